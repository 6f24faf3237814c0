"""Mutants of ack policies: how many disks and votes there must be, and what becomes of a lost tail."""

from typing import Any

from quorate.core.ack_policy import ASYNC, AckPolicy
from quorate.core.bounds import NodeId
from quorate.core.kernel import LostSaved
from quorate.core.quorum import majority
from quorate.core.single_leader import commit, rewinding
from quorate.core.single_leader.rules import Rules
from quorate.core.single_leader.state import Group
from quorate.lab.mutants.sabotage import Mutant, Swap
from quorate.storage.log.lost import LostTails
from quorate.storage.store import BaseStore

LOSES = (
    "leader completeness", "state machine safety", "committed entries stay", "acknowledged write lost",
    "linearizability", "exactly once", "node", "lost tail", "replicas equal",
)  # fmt: skip


def _always_majority(_original: Any) -> Any:
    return lambda _rule, voters: majority(voters)


def _weakens_itself(original: Any) -> Any:
    """As MySQL does when no follower answers in time, here at once."""

    def holders(rules: Rules, voters: int) -> int:
        return 1 if rules.newest.kind != ASYNC and rules.since else int(original(rules, voters))

    return holders


def _noop_as_any(_original: Any) -> Any:
    def count_held(group: Group, matched: dict[NodeId, int], _agreed: int) -> None:
        held = group.held_by(matched)
        group.commit.held = max(group.commit.held, held)
        if held > group.commit.committed and group.log.epoch_at(held) == group.election.epoch:
            commit.commit_to(group, held)
            group.host.mention(group.group)

    return count_held


def _saves_nothing(_original: Any) -> Any:
    return lambda _store, effect: [LostSaved(effect.group, effect.first, 0)]


def _saves_one(original: Any) -> Any:
    def save(tails: LostTails, group: int, database: str, entries: Any, gap: Any, saved_us: int) -> int:
        return int(original(tails, group, database, list(entries)[:1], gap, saved_us))

    return save


def _saves_again(original: Any) -> Any:
    def save(tails: LostTails, group: int, database: str, entry: Any, saved_us: int) -> None:
        original(tails, group, database, entry, saved_us)
        again = type(entry)(entry.index, entry.epoch + 1_000, entry.kind, entry.payload)
        original(tails, group, database, again, saved_us)

    return save


def _counts_unwritten(original: Any) -> Any:
    def advance(group: Group) -> None:
        persisted = group.commit.persisted
        if group.rules.lossy and group.commit.agreed >= group.election.noop:
            group.commit.persisted = group.log.last.index
        try:
            original(group)
        finally:
            group.commit.persisted = persisted

    return advance


def _drops_freely(_original: Any) -> Any:
    def may_drop(group: Group, _now: Any, first: int) -> bool:
        group.commit.committed = min(group.commit.committed, first - 1)
        return True

    return may_drop


MUTANTS = (
    Mutant(
        "majority-votes-under-semi-sync",
        "a leader is elected by a majority though two of five disks were enough for a write",
        "no case known; the intersection that Flexible Paxos (2016) makes explicit",
        "narrow",
        (Swap(AckPolicy, "votes", _always_majority),),
        LOSES,
    ),
    Mutant(
        "falls-back-to-async",
        "when followers do not answer, writes are acknowledged without them",
        "MySQL's semi-synchronous replication after rpl_semi_sync_source_timeout",
        "altered",
        (Swap(Rules, "holders", _weakens_itself),),
        ("durable as promised", "durable majority", *LOSES),
    ),
    Mutant(
        "no-op-waits-for-all",
        "the entry that begins an epoch must be on every disk, like any other of a sync database",
        "no case known; found in the design",
        "stalled",
        (Swap(commit, "_commit_held", _noop_as_any),),
        ("progress", "liveness"),
    ),
    Mutant(
        "lost-tail-not-saved",
        "an old leader that comes back drops what it alone had",
        "Redis, MongoDB before its rollback files, MySQL with rejoin by clone",
        "tails",
        (Swap(BaseStore, "_on_save_lost", _saves_nothing),),
        ("lost tail",),
    ),
    Mutant(
        "lost-tail-saved-in-part",
        "only the first entry of a lost tail is kept",
        "MongoDB SERVER-4941 (rollback larger than its limit)",
        "tails",
        (Swap(LostTails, "save", _saves_one),),
        ("lost tail",),
    ),
    Mutant(
        "lost-tail-saved-twice",
        "an entry of a lost tail is kept under two names, and would be replayed twice",
        "no case known",
        "tails",
        (Swap(LostTails, "_save", _saves_again),),
        ("lost tail",),
    ),
    Mutant(
        "async-before-fsync",
        "an asynchronous leader acknowledges what its own disk does not hold yet",
        "Redis with appendfsync everysec; Kafka with flush.messages unset",
        "tails",
        (Swap(commit, "advance", _counts_unwritten),),
        ("durable as promised", "lost tail", "node"),
    ),
    Mutant(
        "rewinds-in-place",
        "a replica drops a tail from its log that its data file holds",
        "repmgr and Patroni without pg_rewind: a former primary follows with its extra changes",
        "tails",
        (Swap(rewinding, "may_drop", _drops_freely),),
        ("lost tail", "node", "replicas equal", "store"),
    ),
)
