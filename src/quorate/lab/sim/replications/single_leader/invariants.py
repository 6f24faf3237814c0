"""What must be true across replicas after every step, in the words of the Raft paper (Ongaro and Ousterhout
2014, figure 3), checked by somebody who sees all of them at once.

Election safety: at most one leader in an epoch. Log matching: two logs with an entry of the same index and
epoch hold the same entry, and the same before it. Leader completeness: what was committed is in the log of
every later leader. State machine safety: no two replicas count, or apply, different entries at an index.
To these come others: a vote is durable before it is heard of; a committed entry is durable on a majority at that
moment; a leader counts only through an entry of its own epoch (figure 8); a replica that nobody damaged is never
found damaged; one that was, speaks for its log only when it has got a whole copy.
"""

import copy
import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from quorate.core.bounds import GroupId, NodeId
from quorate.core.entries import (
    DATA,
    NOOP,
    CreateGroup,
    DropGroup,
    Entry,
    LogWrite,
    SwitchGeneration,
    WriteEntries,
    WriteHardState,
)
from quorate.core.kernel import Applied, Commit, Deliver, Effect, Event, Note, Persist, Send
from quorate.core.permits import Permitted
from quorate.core.recovered import Recovered, RecoveredGroup
from quorate.core.replication import message_kinds
from quorate.core.requests import Failover
from quorate.core.single_leader.messages import TimeoutNow, VoteReply
from quorate.core.single_leader.roles import LEADER
from quorate.core.superseding import IN_DOUBT
from quorate.lab.sim.engine.arrivals import ASKED, requests_of
from quorate.lab.sim.engine.host import Host
from quorate.lab.sim.engine.tombstones import Tombstones
from quorate.lab.sim.engine.world import Violation, World
from quorate.lab.sim.faults.unfit import Repairs
from quorate.lab.sim.replications.single_leader.by_hand import ByHand
from quorate.lab.sim.replications.single_leader.configurations import CONFIGURATION, Configurations
from quorate.lab.sim.replications.single_leader.on_disk import Committed, Harmed, OnDisk, Seen, speaks_for_its_log
from quorate.lab.sim.replications.single_leader.tails import ENOUGH_HOLDERS, LOST_TAIL, Tails
from quorate.storage.interface import Divergent

DIGEST_EVERY = 4
"""Replicas are compared at every so many indexes."""

GOT = {kind: f"got {kind.__name__}" for kind in message_kinds()}
"""What is committed when a message of each kind arrives."""

ELECTION_SAFETY = "election safety"
LOG_MATCHING = "log matching"
LEADER_COMPLETENESS = "leader completeness"
STATE_MACHINE_SAFETY = "state machine safety"
DURABLE_VOTE = "durable vote"
DURABLE_MAJORITY = "durable majority"
MONOTONE, REPLICAS_EQUAL = "monotone epochs", "replicas equal"
OWN_EPOCH = "own epoch"
SOUND_DISK = "sound disk"
ILL = "damaged replica"
KEPT, DURABLE_LOG = "committed entries stay", "durable log"


class Invariants:
    """An observer of all hosts. `skip` names judges that keep silent (to learn what others catch)."""

    def __init__(self, world: World, skip: Iterable[str] = ()) -> None:
        self.world = world
        self.skip = frozenset(skip)
        self.leaders: dict[tuple[GroupId, int], NodeId] = {}
        self.entries: dict[tuple[GroupId, int, int], tuple[bytes, int]] = {}
        """(group, index, epoch) -> (hash of the entry, epoch of the one before it)."""
        self.committed: dict[GroupId, dict[int, Committed]] = {}
        self.payloads: dict[tuple[GroupId, int, int], tuple[int, bytes]] = {}
        """(group, index, epoch) -> kind and payload, where somebody will ask (`keeps_payloads`)."""
        self.keeps_payloads = False
        self.digests: dict[tuple[GroupId, int, int], tuple[str, NodeId]] = {}
        self.seen: dict[tuple[NodeId, GroupId], Seen] = {}
        self.disks: dict[tuple[NodeId, GroupId], OnDisk] = {}
        self.harmed = Harmed()
        """Replicas that were damaged on purpose; every other one must be found sound."""
        self.ill: set[tuple[NodeId, GroupId]] = set()
        """Those among them that have not got a whole copy since: they may neither vote nor be counted."""
        self.owed: dict[tuple[NodeId, GroupId], dict[int, int]] = {}
        """What such a replica had when it was damaged, by index: its epoch. Once healed it must have it again."""
        self.outdated: set[tuple[NodeId, GroupId]] = set()
        """Those whose disk was replaced by an older one, while they do not know."""
        self.tails = Tails(world)
        self.by_hand = ByHand(world, self.tails, self.disks, self._broken)
        self.configurations = Configurations(world, silent=CONFIGURATION in self.skip)
        self.leading: dict[tuple[GroupId, NodeId], int] = {}
        """Who believes to lead now, and in which epoch."""
        self.repairs = Repairs(world, self.skip)
        self.tombstones = Tombstones(self._broken)
        self.when_reborn: Callable[[Host], object] = lambda _host: None
        """A fault waits for a replica that has another data file, or a node that has restarted."""

    def _broken(self, judge: str, message: str) -> None:
        if judge not in self.skip:
            raise Violation(judge, message)

    def started(self, host: Host, recovered: Recovered) -> None:
        """A new life: what is in memory only is forgotten, what is on disk must be there."""
        self.when_reborn(host)
        self.tombstones.started(recovered)
        for key in [key for key in self.seen if key[0] == host.number]:
            del self.seen[key]
            self.leading.pop((key[1], host.number), None)
        for found in recovered.groups:
            if found.damaged and not self.harmed.explain(host.number, found.group, found.damaged):
                text = f"node {host.number} found group {found.group} damaged, which nobody did: {found.damaged}"
                self._broken(SOUND_DISK, text)
            disk = self.disks.get((host.number, found.group))
            if disk is not None and found.epoch < disk.epoch:
                self._broken(MONOTONE, f"node {host.number} lost epoch {disk.epoch} of group {found.group} by restart")
            if disk is not None and (host.number, found.group) not in self.harmed:
                self._check_recovered(host, found, disk)
            elif disk is not None and not found.damaged and found.last < max(disk.entries, default=0):
                text = f"node {host.number} finds a log of group {found.group} that ends at {found.last} instead of"
                self._broken(ILL, f"{text} {max(disk.entries)}, and takes it for whole")

    def _check_recovered(self, host: Host, found: RecoveredGroup, disk: OnDisk) -> None:
        """What was durable in the last life is there in this one, and nothing else is."""
        what = f"node {host.number} finds group {found.group} after a restart with"
        if (found.epoch, found.vote) != (disk.epoch, disk.vote):
            here = f"epoch {found.epoch} and vote {found.vote}"
            self._broken(DURABLE_LOG, f"{what} {here}, not with epoch {disk.epoch} and vote {disk.vote}")
        last = max(disk.entries, default=disk.base)
        if found.last != last and disk.base <= found.base.index:
            self._broken(DURABLE_LOG, f"{what} a log that ends at {found.last} instead of {last}")
        for index, epoch in disk.entries.items():
            have = [run.epoch for run in found.epochs if run.index <= index]
            if index > found.base.index and (not have or have[-1] != epoch):
                self._broken(DURABLE_LOG, f"{what} another entry {index} than that of epoch {epoch}")

    def durable(self, host: Host, writes: tuple[LogWrite, ...]) -> None:
        """These writes are on this node's disk."""
        for write in writes:
            if isinstance(write, CreateGroup):
                self.tombstones.made(host.number, write.group)
                self.configurations.of(write.group).first[host.number] = write.voters
                continue
            if isinstance(write, DropGroup):
                self._drop(host, write.group)
                continue
            disk = self.disks.setdefault((host.number, write.group), OnDisk())
            if isinstance(write, SwitchGeneration):
                self.ill.discard((host.number, write.group))
                self.when_reborn(host)
            if isinstance(write, WriteHardState) and write.epoch < disk.epoch:
                self._broken(MONOTONE, f"node {host.number} group {write.group}: epoch {disk.epoch} -> {write.epoch}")
            if self.keeps_payloads and isinstance(write, WriteEntries):
                for entry in write.entries:
                    self.payloads[write.group, entry.index, entry.epoch] = entry.kind, entry.payload
            gone = disk.write(write)
            if gone and (host.number, write.group) not in self.harmed:
                self._check_kept(host, write.group, gone, disk)
                self._check_saved(host, write, gone, disk)

    def _drop(self, host: Host, group: GroupId) -> None:
        """Of this replica nothing is known any more but that it was dropped."""
        key = host.number, group
        self.tombstones.wrote(*key)
        for known in (self.disks, self.seen, self.owed):
            known.pop(key, None)
        for some in (self.harmed, self.ill, self.outdated):
            some.discard(key)
        self.leading.pop((group, host.number), None)

    def _check_kept(self, host: Host, group: GroupId, gone: dict[int, int], disk: "OnDisk") -> None:
        """What was committed and lay here must lie here still, as an entry or in the data file."""
        committed = self.committed.get(group, {})
        for index, epoch in gone.items():
            known = committed.get(index)
            if known is not None and known.epoch == epoch and not disk.holds(index, epoch):
                text = f"node {host.number} drops entry {index} of epoch {epoch} of group {group} from its log"
                self._broken(KEPT, f"{text}, which node {known.by} committed")

    def _check_saved(self, host: Host, write: LogWrite, held: dict[int, int], disk: "OnDisk") -> None:
        """What is dropped, and is not behind what comes in its place, was counted on by nobody or is kept."""
        if LOST_TAIL in self.skip or write.group not in self.tails.chains:
            return
        gone = {(index, epoch) for index, epoch in held.items() if disk.entries.get(index) != epoch}
        if gone and isinstance(write, SwitchGeneration):
            gone -= set(self.tails.chain(write.group).behind((write.position.index, write.position.epoch)))
        if gone:
            self.tails.dropping(host.number, write.group, sorted(gone), host.store.kept(write.group))

    def damaged(self, host: Host, group: GroupId, count: int) -> None:
        """The end of this node's log of the group is lost."""
        self.harmed.add((host.number, group))
        self.ill.add((host.number, group))
        disk = self.disks.get((host.number, group))
        if disk is not None:
            self.owed.setdefault((host.number, group), {}).update(disk.entries)
            disk.cut(count)

    def copied(self, host: Host) -> dict[GroupId, OnDisk]:
        """Somebody copies this node's disk."""
        return {group: copy.deepcopy(disk) for (node, group), disk in self.disks.items() if node == host.number}

    def put_back(self, host: Host, copied: dict[GroupId, OnDisk], *, unseen: bool) -> None:
        """This node's disk is an older one. As soon as it knows, it may neither vote nor be counted. `unseen`: nobody
        who is there can tell it; then whoever can is to keep what leaders of later epochs lack."""
        self.tails.forgetful = self.tails.forgetful or unseen
        self.tombstones.put_back(host.number, host.store.log.dropped)
        for key in [key for key in self.disks if key[0] == host.number]:
            now, old = self.disks[key], copied.get(key[1]) or OnDisk()
            old.lost = {**now.lost, **now.entries}
            self.owed.setdefault(key, {}).update(now.entries)
            self.disks[key] = old
            self.ill.discard(key)
            self.harmed.add(key)
            self.outdated.add(key)

    def flipped(self, host: Host, group: GroupId) -> None:
        """A bit changed on this node's disk; whether anybody notices remains to be seen."""
        self.harmed.add((host.number, group))

    def sending(self, host: Host, effect: Send) -> None:
        """A vote that is sent must be on the disk (or have been, with a higher epoch there now)."""
        message = effect.message
        if self.ill and speaks_for_its_log(message) and (host.number, message.group) in self.ill:
            text = f"node {host.number}, whose log of group {message.group} lost its end, sends"
            self._broken(ILL, f"{text} {type(message).__name__} as if it were whole")
        if type(message) is not VoteReply or not message.granted:
            return
        disk = self.disks.get((host.number, message.group))
        if disk is None or disk.epoch < message.epoch or (disk.epoch == message.epoch and disk.vote != effect.to):
            text = (
                f"node {host.number} votes for node {effect.to} in epoch {message.epoch} of group {message.group}"
                " before it wrote that down"
            )
            self._broken(DURABLE_VOTE, text)

    def after_step(self, host: Host, event: Event, effects: list[Effect], touched: Iterable[Any]) -> None:
        """Look at what the step wrote and noted, and at the groups that it may have changed."""
        told = type(event)
        if told is Deliver:
            message = event.message  # type: ignore[union-attr]
            self.world.mark(GOT[type(message)])
            if type(message) is TimeoutNow:
                self.by_hand.handed_over(host, message)
        elif told in ASKED or told is Permitted:
            self._hear(host, event)
        for effect in effects:
            kind = type(effect)
            if kind is Send:
                if type(effect.message) is TimeoutNow:  # type: ignore[union-attr]
                    self.by_hand.handed_over(host, effect.message)  # type: ignore[union-attr]
            elif kind is Note:
                self._check_note(host, effect)  # type: ignore[arg-type]
            elif kind is Commit and len(effect.batches) > 1:  # type: ignore[union-attr]
                self.world.mark("batches committed together")
            elif kind is Persist:
                for write in effect.writes:  # type: ignore[union-attr]
                    if type(write) is WriteEntries:
                        self._check_log_matching(host, write)
                    elif type(write) is CreateGroup:  # it goes by that already while that is being written
                        self.configurations.of(write.group).first[host.number] = write.voters
        for group in touched:
            if self.configurations.some:
                self.configurations.check(host.number, group)
            seen = self.seen.get((host.number, group.group))
            if seen is None:
                seen = self.seen[host.number, group.group] = Seen(group)
            if group.election.epoch != seen.epoch:
                self._check_epoch(host, group.group, seen, group)
            if group.election.role != seen.role:
                seen.role = group.election.role
                self.leading.pop((group.group, host.number), None)
                if group.election.role == LEADER:
                    self._check_leader(host, group.group, group)
            if group.commit.persisted != seen.persisted and not group.fetching.switching:
                self._check_persisted(host, group.group, seen, group)
            if group.commit.committed != seen.committed:
                self._check_committed(host, group.group, seen, group)
        if told is Applied:
            self._check_applied(host, event)  # type: ignore[arg-type]

    def _hear(self, host: Host, event: Event) -> None:
        """Somebody may have been told to lead."""
        if type(event) is Permitted:
            self.by_hand.permitted(host, event)
        for body in [request.body for request in requests_of(event) if type(request.body) is Failover]:
            self.by_hand.asked(host, body)

    def _check_note(self, host: Host, note: Note) -> None:
        if note.name == "damaged":
            self._check_sound(host, note)
            key = (host.number, note.fields["group"])
            if key in self.outdated:
                self.outdated.discard(key)
                self.ill.add(key)
        elif note.name == "healed":
            self._check_healed(host, note.fields["group"])
            self.repairs.healed(host, note.fields["group"])

    def _check_sound(self, host: Host, note: Note) -> None:
        group, reason = note.fields["group"], str(note.fields["reason"])
        if not self.harmed.explain(host.number, group, reason):
            self._broken(SOUND_DISK, f"node {host.number} found group {group} damaged, which nobody did: {reason}")
        if reason == IN_DOUBT:
            self._doubted(host, group)

    def _doubted(self, host: Host, group: GroupId) -> None:
        """Its node has lost the catalog: it gives up its log, and neither votes nor is counted until it is healed."""
        key = (host.number, group)
        self.harmed.add(key)
        self.ill.add(key)
        if key in self.disks:
            self.owed.setdefault(key, {}).update(self.disks[key].entries)

    def _check_healed(self, host: Host, group: GroupId) -> None:
        disk = self.disks[host.number, group]
        committed = self.committed.get(group, {})
        for index, epoch in self.owed.pop((host.number, group), {}).items():
            known = committed.get(index)
            if known is not None and known.epoch == epoch and not disk.holds(index, epoch):
                text = f"node {host.number} takes its replica of group {group} for whole again without entry {index}"
                self._broken(ILL, f"{text} of epoch {epoch}, which it had acknowledged")

    def _check_persisted(self, host: Host, number: GroupId, seen: Seen, group: Any) -> None:
        index = seen.persisted = group.commit.persisted
        disk = self.disks.get((host.number, number))
        epoch = group.log.epoch_at(index)
        if index and epoch is not None and not (disk is not None and disk.holds(index, epoch)):
            text = f"node {host.number} takes entry {index} of epoch {epoch} of group {number} for durable"
            self._broken(DURABLE_LOG, f"{text}, and its disk does not have it")

    def _check_epoch(self, host: Host, number: GroupId, seen: Seen, group: Any) -> None:
        if group.election.epoch < seen.epoch:
            self._broken(MONOTONE, f"node {host.number} group {number}: epoch {seen.epoch} -> {group.election.epoch}")
        seen.epoch = group.election.epoch

    def _check_log_matching(self, host: Host, write: WriteEntries) -> None:
        assert host.core is not None
        group = host.core.groups[write.group]
        previous = group.log.epoch_at(write.entries[0].index - 1)
        if self.tails.written(write.group, write.entries, previous):
            self._give_up(write.group)
        self.configurations.written(host.number, group, write.entries, previous)
        for entry in write.entries:
            key = (write.group, entry.index, entry.epoch)
            value = (_hash(entry), previous)
            known = self.entries.setdefault(key, value)
            if known != value and previous is not None:
                what = "itself differs" if known[0] != value[0] else "follows another entry"
                text = f"group {write.group}: entry {entry.index} of epoch {entry.epoch} on node {host.number} {what}"
                self._broken(LOG_MATCHING, text)
            previous = entry.epoch

    def _give_up(self, group: GroupId) -> None:
        """Somebody has accepted that what was committed before may be missing from now on."""
        chain, known = self.tails.chain(group), self.committed.setdefault(group, {})
        for index, committed in list(known.items()):
            place = (index, committed.epoch)
            is_data = chain.entries.get(place, (NOOP,))[0] == DATA
            if (is_data or self.tails.forgetful) and chain.given_up(place):
                chain.committed[place] = known.pop(index).by

    def places(self, group: GroupId) -> list[set[tuple[int, int]]]:
        """Index and epoch of each entry of this group, for each disk that has some."""
        return [set(disk.entries.items()) for (_, number), disk in self.disks.items() if number == group]

    def _check_leader(self, host: Host, number: GroupId, group: Any) -> None:
        self.world.mark("elections")
        self.leading[number, host.number] = group.election.epoch
        self.by_hand.leads(host, number, group)
        if self._others_lead(host, number):
            self.world.mark("two leaders at once")
        other = self.leaders.setdefault((number, group.election.epoch), host.number)
        if other != host.number:
            text = f"nodes {other} and {host.number} both lead group {number} in epoch {group.election.epoch}"
            self._broken(ELECTION_SAFETY, text)
        for index, committed in self.committed.get(number, {}).items():
            if committed.within < group.election.epoch and index >= group.log.base.index:
                have = group.log.epoch_at(index)
                if have != committed.epoch:
                    text = (
                        f"node {host.number} leads group {number} in epoch {group.election.epoch} without entry"
                        f" {index} of epoch {committed.epoch}, which node {committed.by} committed in epoch"
                        f" {committed.within} (it has: {have})"
                    )
                    self._broken(LEADER_COMPLETENESS, text)

    def _others_lead(self, host: Host, number: GroupId) -> bool:
        return any(group == number and node != host.number for group, node in self.leading)

    def _check_committed(self, host: Host, number: GroupId, seen: Seen, group: Any) -> None:
        loose = self.tails.chain(number).async_once
        if group.commit.committed < seen.committed and not (group.repair.damaged or group.repair.rebuilt or loose):
            text = f"node {host.number} group {number} uncommitted: {seen.committed} -> {group.commit.committed}"
            self._broken(STATE_MACHINE_SAFETY, text)
        known = self.committed.setdefault(number, {})
        for index in range(seen.committed + 1, group.commit.committed + 1):
            epoch = group.log.epoch_at(index)
            if epoch is None or index == group.log.base.index:
                continue  # behind an installed snapshot
            if loose and self.tails.loose(number, (index, epoch)):
                if group.leads:
                    self.tails.chain(number).committed.setdefault((index, epoch), host.number)
                    self._check_majority(host, number, group, index, epoch)
                continue
            committed = known.get(index)
            if committed is None:
                known[index] = Committed(epoch, group.election.epoch, host.number)
                self._check_majority(host, number, group, index, epoch)
            elif committed.epoch != epoch:
                text = (
                    f"group {number}: node {host.number} counts entry {index} of epoch {epoch}, but node"
                    f" {committed.by} committed that of epoch {committed.epoch} there"
                )
                self._broken(STATE_MACHINE_SAFETY, text)
        before = self._agreed_before(number, seen.committed, group)
        seen.committed = group.commit.committed
        leads = group.leads and self.leading.get((number, host.number)) == group.election.epoch
        epoch = group.log.epoch_at(group.commit.committed)
        if leads and epoch is not None and epoch < group.election.epoch and not before:
            text = f"node {host.number} leads group {number} in epoch {group.election.epoch} and counts entry"
            text = f"{text} {group.commit.committed} of epoch {epoch}, which a later leader may still replace"
            self._broken(OWN_EPOCH, text)

    def _agreed_before(self, number: GroupId, seen: int, group: Any) -> bool:
        """Whether the newest entry that this replica counts now was committed for good before, in a database that once
        was async: then a leader may take the word of a replica that rewinds for it."""
        if not self.tails.chain(number).async_once or group.commit.committed == seen:
            return False
        known = self.committed.get(number, {}).get(group.commit.committed)
        if known is not None and known.within < group.election.epoch:
            return True
        return any(disk.base >= group.commit.committed for (_, each), disk in self.disks.items() if each == number)

    def _check_majority(self, host: Host, number: GroupId, group: Any, index: int, epoch: int) -> None:
        for voters in self.configurations.sets(host.number, group):
            holders = 0
            for voter in voters:
                disk = self.disks.get((voter, number))
                holders += disk is not None and disk.holds(index, epoch)
            needed = self.tails.needed(number, (index, epoch), len(voters))
            majority = len(voters) // 2 + 1
            if holders >= majority and self._borne(number, group, index):
                continue  # a no-op or the like behind it is committed, which counts by majority
            if holders < needed:
                text = (
                    f"node {host.number} counts entry {index} of epoch {epoch} of group {number}, which only {holders}"
                    f" of {len(voters)} voters have on disk, where {needed} are needed"
                )
                self._broken(DURABLE_MAJORITY if needed == majority else ENOUGH_HOLDERS, text)

    def _borne(self, number: GroupId, group: Any, index: int) -> bool:
        """Whether an entry without changes, behind this one, is committed with it."""
        chain = self.tails.chain(number)
        for later in range(index, group.commit.committed + 1):
            epoch = group.log.epoch_at(later)
            if epoch is not None and chain.entries.get((later, epoch), (DATA,))[0] != DATA:
                return True
        return False

    def _check_applied(self, host: Host, event: Applied) -> None:
        index = event.position.index
        committed = self.committed.get(event.group, {}).get(index)
        loose = self.tails.loose(event.group, (index, event.position.epoch))
        if committed is not None and committed.epoch != event.position.epoch and not loose:
            text = (
                f"node {host.number} group {event.group} applied entry {index} of epoch {event.position.epoch}, but"
                f" that of epoch {committed.epoch} was committed"
            )
            self._broken(STATE_MACHINE_SAFETY, text)
        if index and index % DIGEST_EVERY == 0:
            self.compare(host, event.group, index, event.position.epoch)

    def compare(self, host: Host, group: GroupId, index: int, epoch: int) -> None:
        """The replica's contents must be those of every other that ever stood at this index."""
        if any(group in some for some in (host.store.spoiled, host.store.edited, host.store.lied_to)):
            self.world.mark("latent damage")
            return
        try:
            digest = host.store.digest(group)
        except Divergent:
            if not host.store.log.flipped:  # nothing that it would have to read while opening is damaged
                raise
            self.world.mark("latent damage")
            return
        self.world.mark("digests compared")
        known = self.digests.setdefault((group, index, epoch), (digest, host.number))
        if known[0] != digest:
            text = (
                f"group {group} at index {index}: node {host.number} holds other data than node {known[1]} held there"
            )
            self._broken(REPLICAS_EQUAL, text)


def _hash(entry: Entry) -> bytes:
    if entry.kind == NOOP:
        return b""
    return hashlib.blake2b(entry.payload, digest_size=16).digest()
