"""Mutants of the log: acknowledging, counting, overwriting, trimming, snapshots."""

from typing import Any

import msgspec
from msgspec import Raw

from quorate.core.bounds import NodeId
from quorate.core.entries import Position, WriteEntries
from quorate.core.kernel import Now
from quorate.core.quorum import committed_index
from quorate.core.requests import Answer, NotLeader
from quorate.core.single_leader import commit, election, repair, shipping, snapshots, writes
from quorate.core.single_leader.roles import LEADER
from quorate.core.single_leader.state import Group
from quorate.lab.mutants.sabotage import INSIDE, SEEN, Mutant, Swap
from quorate.lab.sim.engine.disk import Disk
from quorate.storage.data import snapshots as shelf
from quorate.storage.memory import MemoryStore

LOST = (
    "acknowledged write lost", "exactly once", "linearizability", "leader completeness", "state machine safety",
    "log matching", "election safety", "replicas equal", "node",
)  # fmt: skip


def _at_once(_original: Any) -> Any:
    return Group.send


def _counts_older(_original: Any) -> Any:
    def advance(group: Group) -> None:
        if group.election.role == LEADER:
            matched = {peer: progress.matched for peer, progress in group.progress.items() if progress.voter}
            matched[group.me] = group.commit.persisted
            index = committed_index(group.voters, matched)
            group.commit.held = max(group.commit.held, index)
            if index > group.commit.committed:
                commit.commit_to(group, index)
                group.host.mention(group.group)

    return advance


def _ready_at_once(_original: Any) -> Any:
    """Whatever was committed before this epoch is applied: that is enough."""

    def leads_ready(group: Group) -> bool:
        election, apply = group.election, group.apply
        return election.role == LEADER and apply.opened and apply.applied.index >= election.noop - 1 >= 0

    return leads_ready


def _starts_at_once(original: Any) -> Any:
    def may_start(group: Group) -> bool:
        held_up = group.writes.batch is not None or group.apply.applying or group.host.disk_full or group.holds_writes
        before_noop = not group.settling.stack and group.apply.applied.index == group.election.noop - 1
        return original(group) or bool(group.leads_ready and before_noop and not held_up)

    return may_start


def _counts_own_unwritten(original: Any) -> Any:
    def advance(group: Group) -> None:
        persisted, group.commit.persisted = group.commit.persisted, group.log.last.index
        try:
            original(group)
        finally:
            group.commit.persisted = persisted

    return advance


def _answers_early(original: Any) -> Any:
    def append(group: Group, now: Now, entries: Any) -> None:
        original(group, now, entries)
        batch = group.writes.flight[-1] if group.writes.flight else None
        if batch is not None and not batch.told:
            for request, outcome in zip(batch.requests, batch.outcomes, strict=True):
                group.reply(request.id, Answer(Raw(outcome), batch.position.index))
            batch.told = True

    return append


def _by_index_only(original: Any) -> Any:
    def on_persisted(group: Group, now: Now, event: Any) -> None:
        for pending in group.pending:
            if pending.sequence <= event.sequence and pending.last is not None:
                group.commit.persisted = max(group.commit.persisted, min(pending.last.index, group.log.last.index))
        original(group, now, event)

    return on_persisted


def _overwrites_freely(_original: Any) -> Any:
    def overwrite(group: Group, entries: Any) -> None:
        first = entries[0].index
        if first <= group.log.last.index:
            group.log.truncate(first)
            group.commit.persisted = min(group.commit.persisted, first - 1)
        group.log.append(entries)
        group.persist(WriteEntries(group.group, entries), last=group.log.last)

    return overwrite


def _overwrite_keeps_promises(_original: Any) -> Any:
    """As ours, but writes under way go on vouching for what was overwritten meanwhile."""

    def overwrite(group: Group, entries: Any) -> None:
        first = entries[0].index
        if first <= group.log.last.index:
            group.log.truncate(first)
            group.commit.persisted = min(group.commit.persisted, first - 1)
            group.note("truncated", index=first)
        group.log.append(entries)
        group.persist(WriteEntries(group.group, entries), last=group.log.last)

    return overwrite


def _all_are_new(_original: Any) -> Any:
    return lambda _group, entries: entries


def _counts_whatever_is_there(original: Any) -> Any:
    def on_append(group: Group, now: Now, sender: NodeId, message: Any) -> None:
        original(group, now, sender, message)
        if message.epoch == group.election.epoch and not group.needs_snapshot():
            commit.commit_to(group, min(message.committed, group.log.last.index))

    return on_append


def _does_not_sync(_original: Any) -> Any:
    return lambda store, group: store._replica(group).applied


def _never_has(_original: Any) -> Any:
    return lambda _group, _position: False


def _offers_at_once(original: Any) -> Any:
    def forget_progress(group: Group, peer: NodeId) -> None:
        original(group, peer)
        snapshots.begin(group, Now(group.host.now_us), peer, group.progress[peer])

    return forget_progress


def _keeps_copies(original: Any) -> Any:
    """Every other time the last copy is offered once more, as where snapshots are files that are kept."""
    kept: dict[tuple[int, int], tuple[Any, bytes]] = {}

    def copy(stored: shelf.MemoryShelf, group: int, replica: Any, spare: int = 0) -> Any:
        make = original(stored, group, replica, spare)
        snapshot, position, _ = make()
        known = kept.pop((id(stored), group), None)
        if known is None:
            kept[id(stored), group] = position, stored._copies[snapshot]
            return make
        stored._copies[snapshot] = known[1]
        return lambda: (snapshot, known[0], len(known[1]))

    return copy


def _wrong_position(original: Any) -> Any:
    def on_opened(group: Group, now: Now, event: Any) -> None:
        ahead = group.log.position_at(max(group.commit.committed, event.position.index))
        original(group, now, type(event)(event.group, event.to, event.snapshot, ahead, event.size))

    return on_opened


def _heals_at_once(_original: Any) -> Any:
    def heal_if_whole(group: Group) -> None:
        if group.log_damaged and group.repair.rebuilt and not group.fetching.switching:
            repair._heal(group)

    return heal_if_whole


def _forgets_damage(original: Any) -> Any:
    def truncate_log_tail(store: MemoryStore, group: int, count: int) -> None:
        original(store, group, count)
        store._lost.pop(group, None)

    return truncate_log_tail


def _tries_fsync_again(_original: Any) -> Any:
    def fsync_failed(disk: Disk) -> None:
        """The kernel says yes this time, and the pages are as lost as before."""
        sequence = 0
        for _ in range(disk._covered):
            sequence = disk._pending.popleft().sequence
        disk._finished(sequence)

    return fsync_failed


def _says_not_done(original: Any) -> Any:
    def step_down(group: Group, now: Now) -> None:
        for batch in group.writes.flight:
            if not batch.told:
                group.answer_all(batch.requests, NotLeader(""))
                batch.told = True
        original(group, now)

    return step_down


def _stays_idle(original: Any) -> Any:
    def back_off(group: Group, *arguments: Any) -> None:
        busy = group.group in group.host._busy  # type: ignore[attr-defined]
        original(group, *arguments)
        if not busy:
            group.host._busy.pop(group.group, None)  # type: ignore[attr-defined]

    return back_off


def _any_position(_original: Any) -> Any:
    return lambda _replica, _position: None


def _takes_its_own(original: Any) -> Any:
    """Whatever entry lies before those that come is taken for the one that the leader names."""

    def on_append(group: Group, now: Now, sender: NodeId, message: Any) -> None:
        index = message.previous.index
        known = group.log.epoch_at(index)
        if known is not None:
            message = msgspec.structs.replace(message, previous=Position(known, index), mark=0)
        original(group, now, sender, message)

    return on_append


MUTANTS = (
    Mutant(
        "refused-and-left-idle",
        "what a leader of an idle group sends to a follower that refused is sent once, and never again if it is lost",
        "found here: bug 17 of found-by-simulation.md",
        "rebuilds",
        (Swap(shipping, "_back_off", _stays_idle),),
        ("liveness",),
    ),
    Mutant(
        "acknowledged-before-fsync",
        "a follower says that it has an entry while its disk is still writing it",
        "NATS JetStream 2.12.1 (Jepsen, 2025: fsync every two minutes); PySyncObj (never)",
        "power",
        (Swap(Group, "send_after_persist", _at_once),),
        ("durable vote", "durable majority", "durable log"),
        inner=("durable vote", "durable majority", "durable log"),
        outer=LOST,
    ),
    Mutant(
        "fsync-retried",
        "an fsync that failed is asked again, and its success is believed",
        "PostgreSQL until 2018, SQLite, LMDB, LevelDB, Redis (Can applications recover from fsync failures?, 2020)",
        "mixed",
        (Swap(Disk, "_fsync_failed", _tries_fsync_again),),
        ("durable vote", "durable majority", "durable log", "store", "monotone epochs"),
    ),
    Mutant(
        "counts-an-older-epoch",
        "a leader counts replicas of an entry of an earlier epoch",
        "figure 8 of the Raft paper; LogCabin issue 44; PySyncObj issue 169",
        "handovers",
        (Swap(commit, "advance", _counts_older),),
        ("own epoch",),
    ),
    Mutant(
        "counts-and-answers-an-older-epoch",
        "the same, and the leader answers callers by such an entry before its own no-op is applied",
        "figure 8 of the Raft paper as callers meet it; Raft without section 3.6.2 and without a no-op",
        "figure_eight",
        (
            Swap(commit, "advance", _counts_older),
            Swap(Group, "leads_ready", _ready_at_once),
            Swap(writes, "may_start", _starts_at_once),
        ),
        ("own epoch", "leader completeness"),
        inner=INSIDE,
        outer=SEEN,
    ),
    Mutant(
        "counts-itself-unwritten",
        "a leader counts itself before its own disk has the entry",
        "goraft pull request 150",
        "power",
        (Swap(commit, "advance", _counts_own_unwritten),),
        ("durable majority", "node"),
    ),
    Mutant(
        "answers-before-committed",
        "a leader answers its caller when the entry is in its own log",
        "Redis Sentinel and MongoDB with w:1 (Jepsen, 2013): acknowledged writes are thrown away by a failover",
        "power",
        (Swap(shipping, "append", _answers_early),),
        (*LOST, "true answer"),
    ),
    Mutant(
        "append-aba",
        "a write under way vouches for whatever lies at its index when it is done",
        "etcd-io/raft: the test file async_storage_writes_append_aba_race",
        "overwrites",
        (Swap(commit, "on_persisted", _by_index_only), Swap(shipping, "_overwrite", _overwrite_keeps_promises)),
        ("durable log",),
    ),
    Mutant(
        "stale-append-truncates",
        "a follower replaces its log's end by what a late message holds",
        "openraft issue 511 and akka-entity-replication issue 152 (committed entries deleted by an append)",
        "handovers",
        (Swap(shipping, "_new_entries", _all_are_new), Swap(shipping, "_overwrite", _overwrites_freely)),
        ("committed entries stay", "durable majority", *LOST),
    ),
    Mutant(
        "previous-not-compared",
        "a follower appends entries behind one that is not the one before them in the leader's log",
        "no case known as a bug; the consistency check of AppendEntries in the Raft paper, section 5.3",
        "handovers",
        (Swap(shipping, "on_append", _takes_its_own),),
        ("log matching", *LOST),
    ),
    Mutant(
        "counts-what-was-not-sent",
        "a follower counts entries that the leader did not send with its commit index",
        "copycat issue 265; ScyllaDB issue 9965; NuRaft pull request 57",
        "handovers",
        (Swap(shipping, "on_append", _counts_whatever_is_there),),
        ("durable majority", *LOST),
    ),
    Mutant(
        "trims-beyond-checkpoint",
        "the log forgets what no checkpoint has made durable in the data file",
        "MatrixCube issue 556 (a gap in the log after a restart; same symptom)",
        "power",
        (Swap(MemoryStore, "_checkpoint", _does_not_sync),),
        ("sound disk", "store", "node"),
    ),
    Mutant(
        "old-copy-over-new-log",
        "a follower that was restarted is offered a kept snapshot, and installs it over a log that has more",
        "Zeebe issue 6092",
        "copies",
        (
            Swap(snapshots, "_has", _never_has),
            Swap(shipping, "forget_progress", _offers_at_once),
            Swap(shelf.MemoryShelf, "copy", _keeps_copies),
        ),
        ("committed entries stay", "node"),
    ),
    Mutant(
        "copy-without-position",
        "a snapshot carries the position that the leader had, not the one that it holds",
        "a relative of openraft pull request 1930 (a copy whose position contradicts what it replaces)",
        "snapshots",
        (Swap(snapshots, "on_opened", _wrong_position), Swap(shelf, "check_position", _any_position)),
        ("sound disk", "store", "node", "liveness", *LOST),
    ),
    Mutant(
        "lost-tail-taken-for-clean",
        "a log that has lost its end is taken for a shorter one",
        "Protocol-aware recovery, FAST 2018 (ZooKeeper, LogCabin, etcd, Kafka); SQLite's WAL by design",
        "amputation",
        (Swap(MemoryStore, "truncate_log_tail", _forgets_damage),),
        ("damaged replica",),
        inner=("damaged replica",),
        outer=(*LOST, "durable majority", "monotone epochs", "sound disk", "store"),
    ),
    Mutant(
        "heals-too-soon",
        "a rebuilt replica votes before it knows how far it must be",
        "found here in review; Protocol-aware recovery, FAST 2018",
        "relapse",
        (Swap(repair, "heal_if_whole", _heals_at_once),),
        ("damaged replica",),
    ),
    Mutant(
        "says-not-done-of-what-is-logged",
        "a leader that steps down tells its callers 'not done' of writes that may yet count",
        "CockroachDB issues 10247 and 103817; Maelstrom: never answer a definite error when unsure",
        "hasty",
        (Swap(election, "step_down", _says_not_done),),
        ("linearizability", "true answer", "exactly once"),
    ),
)
