"""The state of one replica of a single-leader group, and the few things every part of it does.

The parts are modules of functions over this state, named as the papers name the sub-protocol; `core` has the table.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any

from msgspec import Struct, structs

from quorate.core.admission import Admission
from quorate.core.bookmarks import Reached
from quorate.core.bounds import NodeId
from quorate.core.calls import Request
from quorate.core.entries import EXECUTED, Entry, LogWrite, Position, WriteHardState
from quorate.core.kernel import CloseSnapshot, Effect, Note, Now, Send
from quorate.core.membership import Configuration, Membership
from quorate.core.quorum import joint_committed_index, joint_vote_won, majority
from quorate.core.recovered import RecoveredGroup
from quorate.core.replica import Host
from quorate.core.single_leader.log import Log
from quorate.core.single_leader.messages import AppendReply
from quorate.core.single_leader.owned import (
    NOBODY,
    Applying,
    Committed,
    Election,
    Fetching,
    HandOver,
    Holding,
    Repair,
    Rewinding,
    Settling,
    Writes,
)
from quorate.core.single_leader.progress import Progress
from quorate.core.single_leader.records import Leaving, Order, Permit, Reading, Verifying
from quorate.core.single_leader.roles import LEADER
from quorate.core.single_leader.rules import Rules

TIMERS = ELECTION, GATHER, APPLY = "election", "gather", "apply"

UNKNOWN_VOTE: NodeId = -1
"""A damaged replica may have forgotten its vote: it votes for nobody in this epoch."""


class Pending(Struct):
    """A `Persist` on its way to the disk, and what may happen once it is there."""

    sequence: int
    last: Position | None = None
    """The last entry it writes, if any."""
    hard_state: bool = False
    campaign: int = 0
    """The epoch that this replica stands for with its own vote in it; 0 when it does not."""
    switch: int = 0
    """The snapshot that becomes the data file; 0 when none does."""
    since_us: int = 0
    release: list[Effect] = []  # msgspec copies an empty list for each instance


class Group:
    """One replica. Holds state; decides nothing by itself."""

    def __init__(self, host: Host, found: RecoveredGroup) -> None:
        self.host = host
        self.settings = host.settings
        self.me = host.me
        if found.damaged and not found.log_intact:  # nothing in its log can be built upon, not even its shape
            found = structs.replace(found, epochs=(), last=found.base.index, tail=(), applied=found.base)
        self.group = found.group
        self.election_timer, self.gather_timer, self.apply_timer = [(self.group, timer) for timer in TIMERS]
        self.database, self.partition = found.database, found.partition
        self.membership = Membership(found.voters, found.controls, found.controls_coming)
        self.configuration = Configuration()
        """The newest one that the log names (`configure`)."""
        self._included = False
        """It includes this replica."""
        self.voters: tuple[NodeId, ...] = ()
        """Everybody who votes; while joint, of both sets."""
        self.others: tuple[NodeId, ...] = ()
        """Every member but this replica, learners too."""
        self.electors: tuple[NodeId, ...] = ()
        """The voters among them."""
        self.progress: dict[NodeId, Progress] = {}
        self.log = Log(found.base, found.epochs, found.last, found.tail)
        self.rules = Rules(found.controls, found.controls_coming)
        self.pending: deque[Pending] = deque()
        vote = UNKNOWN_VOTE if found.damaged and not found.log_intact else found.vote
        new = found.voters and found.epoch == 0
        first = found.voters[self.group % len(found.voters)] if new else NOBODY
        eager = self.membership.newest.electors == (self.me,) or first == self.me
        self.election = Election(found.epoch, vote, first=first, eager=eager)
        self.commit = Committed(found.last, max(found.base.index, min(found.applied.index, found.last)))
        self.apply = Applying(found.applied, found.applied.index)
        self.settling = Settling()
        self.writes = Writes(Admission(self.settings), deque(), deque())
        self.holding = Holding()
        self.long_texts: dict[str, None] = {}
        """Statements that took long when they ran last; the newest last."""
        self.reading = Reading(numbers=self.host.boot << 32)
        self.repair = Repair(found.damaged, log_intact=found.log_intact)
        self.fetching = Fetching()
        self.rewinding = Rewinding()
        self.handover = HandOver()
        self.order: Order | None = None
        self.leaving = Leaving()
        self.permit = Permit()
        self.verifying = Verifying(numbers=self.host.boot << 32)

        self.configure()

    # ---- speaking, and what must be durable before ------------------------------------------------

    def send(self, to: NodeId, message: Any) -> None:
        """Send now, or once the epoch and vote it speaks for are durable."""
        for pending in reversed(self.pending):
            if pending.hard_state:
                pending.release.append(Send(to, message))
                return
        self.host.emit(Send(to, message))

    def send_after_persist(self, to: NodeId, message: Any) -> None:
        """Send once everything handed to the disk so far is durable."""
        if self.pending:
            self.pending[-1].release.append(Send(to, message))
        else:
            self.host.emit(Send(to, message))

    def persist(self, *writes: LogWrite, last: Position | None = None) -> Pending:
        """Hand writes to the disk; the returned record says what waits for them."""
        pending = Pending(self.host.persist(self.group, writes), last=last, since_us=self.host.now_us)
        self.pending.append(pending)
        return pending

    def persist_hard_state(self) -> Pending:
        pending = self.persist(WriteHardState(self.group, self.election.epoch, self.election.vote))
        pending.hard_state = True
        return pending

    def append(self, entries: Sequence[Entry]) -> None:
        """The log goes on with these, and what they say of rules and members holds from here on."""
        self.log.append(entries)
        for entry in entries:
            if entry.kind not in EXECUTED:
                self.rules.appended(entries)
                self.membership.appended(entries)
                self.configure()
                return

    def configure(self) -> None:
        """Follow the newest configuration of the log, if it has become another."""
        newest = self.membership.newest
        if self.membership.newest_at >= self.election.outside and newest.includes(self.me):
            self.election.let_in()  # our own log knows better
        if newest == self.configuration:
            return
        self.configuration = newest
        self._included = newest.includes(self.me)
        self.voters = newest.electors
        self.others = tuple(node for node in newest.members if node != self.me)
        self.electors = tuple(node for node in self.voters if node != self.me)
        if self.election.role == LEADER:
            for peer in [each for each in self.progress if each not in self.others]:
                progress = self.progress.pop(peer)
                if progress.snapshot:
                    self.host.emit(CloseSnapshot(self.group, progress.snapshot))
            for peer in self.others:
                if peer not in self.progress:
                    self.progress[peer] = Progress(next=self.log.last.index + 1)

    def begin_progress(self) -> None:
        """As a new leader: nothing is known of the followers' logs."""
        following = self.log.last.index + 1
        self.progress = {peer: Progress(next=following) for peer in self.others}

    def end_progress(self) -> None:
        """Forget the followers."""
        self.progress = {}

    def drop_from(self, first: int) -> None:
        """Forget the log from this index on, and what it says of rules and members."""
        self.log.truncate(first)
        self.rules.truncated(first)
        self.membership.truncated(first)
        self.configure()
        self.commit.cut(first - 1)
        for pending in self.pending:  # what they vouch for ends where it is overwritten
            if pending.last is not None and pending.last.index >= first:
                pending.last = self.log.last

    def note(self, name: str, **fields: Any) -> None:
        self.host.emit(Note(name, {"group": self.group, "epoch": self.election.epoch, **fields}))

    def reply(self, id: int, body: Any) -> None:
        self.host.reply(id, body)

    def reply_all(self, answers: list[tuple[int, Any]]) -> None:
        self.host.reply_all(answers)

    # ---- what a part tells those above it: `replica` says who hears it -------------------------------------

    def on_committed(self) -> None:
        """More is committed, or held as the ack policies ask, or durable here."""
        raise NotImplementedError

    def on_own_vote(self, now: Now, epoch: int) -> None:
        """Our vote for ourselves in this epoch is durable."""
        raise NotImplementedError

    def heard_leader(self, now: Now, sender: NodeId, epoch: int) -> None:
        """A message of the leader of `epoch`, which is not below ours."""
        raise NotImplementedError

    def adopt_epoch(self, now: Now, epoch: int, leader: NodeId) -> None:
        """A higher epoch was heard of."""
        raise NotImplementedError

    def become_follower(self, now: Now) -> None:
        """This replica cannot lead, or stand, now."""
        raise NotImplementedError

    # ---- questions -----------------------------------------------------------------------------------

    @property
    def votes_here(self) -> bool:
        """This replica is a voter, as far as it knows, or was one until an entry that may not count yet. Such a one
        may be the only replica that can win: nobody else has that entry (Ongaro 2014, section 4.2.2)."""
        return (self.me in self.voters or self.me in self.membership.committed.electors) and not self.election.outside

    @property
    def left_out(self) -> bool:
        """This replica knows, or was told, that it is no member any more. That an entry says so which may not count yet
        is not enough."""
        if self.election.outside:
            return True
        return not self._included and bool(self.voters) and not self._may_be_member(self.me)

    def leaves_out(self, node: NodeId) -> int:
        """Index of the committed configuration that says that this node is no member; 0: it may be one."""
        return 0 if self._may_be_member(node) else self.membership.since

    def _may_be_member(self, node: NodeId) -> bool:
        """Whether the configuration that holds includes this node, or the one that is committed does."""
        return self.configuration.includes(node) or self.membership.committed.includes(node)

    def majority_of(self, nodes: Collection[NodeId]) -> bool:
        """Whether these are a majority of the voters; of the old and of the new ones while members change."""
        return self.configuration.majority_of(nodes)

    @property
    def turns_at(self) -> int:
        """Index of the first entry that is not committed and after which another rule, or other voters, may decide;
        0: there is none."""
        if not self.rules.coming and not self.membership.coming:
            return 0
        return min(each[0][0] for each in (self.rules.coming, self.membership.coming) if each)

    @property
    def is_narrow(self) -> bool:
        """A leader elected by a mere majority may lack what was committed: nobody is, unless a person accepts the
        loss."""
        sizes = (len(self.configuration.voters), len(self.configuration.following))
        return any(self.rules.is_narrow(size) for size in sizes if size)

    @property
    def lossy(self) -> bool:
        """Something that was committed, here or elsewhere, may be missing from the leader's log."""
        return self.rules.lossy or self.rewinding.loss_at > 0

    @property
    def holds_writes(self) -> bool:
        """Leadership is being handed over: nothing new is begun."""
        handover = self.handover
        return handover.to != NOBODY or (handover.transfer is not None and handover.transfer.holds)

    @property
    def leads_ready(self) -> bool:
        """Leads, and everything of earlier epochs is applied: may execute and may answer for the log."""
        election, apply = self.election, self.apply
        if election.role != LEADER or not apply.opened or self.repair.damaged:
            return False
        return apply.applied.index >= election.noop > 0

    def held_by(self, matched: dict[NodeId, int]) -> int:
        """The highest index that is held as the ack policies ask, given what is durable where."""
        return self._index_of(matched, self.rules.holders)

    def agreed_by(self, matched: dict[NodeId, int]) -> int:
        """The highest index that a majority holds durably."""
        return self._index_of(matched, majority)

    def _index_of(self, matched: dict[NodeId, int], holders: Callable[[int], int]) -> int:
        return joint_committed_index(self.configuration.voters, self.configuration.following, matched, holders)

    def wins(self, votes: dict[NodeId, bool]) -> bool | None:
        """Whether these votes make a leader: True, False when they no longer can, None while it is open."""
        needed = majority if self.order is not None and self.order.is_loose else self.rules.votes
        return joint_vote_won(self.configuration.voters, self.configuration.following, votes, needed)

    def epoch_at(self, index: int) -> int | None:
        """The epoch of the entry at this index, also of one that the log has forgotten; None when nobody here knows."""
        return self.rules.epoch_at(index) if index < self.log.base.index else self.log.epoch_at(index)

    def next_epoch(self) -> int:
        """The epoch to stand in, without a permit."""
        return self.election.epoch + 1

    def has_of_another(self, place: Reached) -> bool:  # noqa: ARG002
        """Whether what was there in the log of another group of this database is here. There is none."""
        return False

    @property
    def life(self) -> int:
        """See `AppendReply.life`."""
        return (self.host.boot << 20) + self.repair.damages

    def append_reply(self, *, matched: int, accepted: bool, conflict: Position | None = None) -> AppendReply:
        """What this replica says of its log, `conflict` where it ends unless something else is said."""
        conflict = self.log.last if conflict is None else conflict
        voter, whole = not self.log_damaged, not self.repair.damaged
        return AppendReply(self.group, self.election.epoch, accepted, matched, conflict, voter, self.life, whole)

    def known(self, now: Now) -> tuple[int, int, int] | None:
        """See `CatalogReplica`. What was committed in earlier epochs is known to be all once one of the present is."""
        committed, epoch, leader = self.commit.committed, self.election.epoch, self.election.leader
        if self.log.epoch_at(committed) != epoch:
            return None
        if self.leads_ready:
            times = {node: self.host.lived_us(node) for node in (*self.configuration.voters, *self.others)}
            at_us = self.agreed_by({**times, self.me: now.mono_us})
        elif self.leader_is_alive(now):
            at_us = self.host.lived_us(leader)
        else:
            return None
        return at_us, committed, self.apply.applied.index

    def leader_address(self) -> str:
        """Where a caller should go; empty when nobody knows."""
        leader = (
            self.election.first if self.election.leader == NOBODY and self.log.last.index == 0 else self.election.leader
        )
        return self.host.address_of(leader) if leader not in (NOBODY, self.me) else ""

    def leader_is_alive(self, now: Now) -> bool:
        """Some other node leads and this node still hears it (the lease that refuses disturbers)."""
        return self.election.leader not in (NOBODY, self.me) and self.host.heard(now, self.election.leader)

    def log_hangs(self, now: Now) -> bool:
        """Our own disk has not answered for so long that others had better lead."""
        since_us = max(self.pending[0].since_us, self.host.log_busy_us) if self.pending else now.mono_us
        return now.mono_us - since_us > 2 * self.settings.suspect_us

    def up_to_date(self, last: Position) -> bool:
        """Is a log that ends there at least as complete as ours? (Ongaro 2014, section 3.6.1)"""
        return last >= self.log.last

    @property
    def apply_waits(self) -> bool:
        """There is something to apply that could not be applied yet."""
        return self.apply.opened and self.apply.applied.index < min(self.commit.committed, self.commit.persisted)

    @property
    def log_damaged(self) -> bool:
        """What its log says cannot be trusted, nor what it has promised."""
        return bool(self.repair.damaged) and not self.repair.log_intact

    def keeps_log_from(self) -> int:
        """The log may be forgotten up to here, as far as others than the members of this group are concerned."""
        return self.log.last.index

    def needs_snapshot(self) -> bool:
        """Damaged, and no copy has taken the place of the data file."""
        return bool(self.repair.damaged) and not self.repair.rebuilt

    @property
    def needs_log(self) -> bool:
        """Damaged, and nothing that is here can be built upon."""
        return self.log_damaged and not self.repair.rebuilt

    def may_stand(self) -> bool:
        if self.log.last.index == 0 and self.host.wanted_options(self.database) is None:
            return False  # the first entries of a group say what acks it has
        hindered = self.log_damaged or self.host.disk_full or self.host.draining or self.fetching.switching
        return self.votes_here and self.apply.opened and not hindered

    def apply_later(self, delay_us: int) -> None:
        """Apply what there is after this time at the latest."""
        if self.host.timer_us(self.apply_timer) is None:
            self.host.set_timer(self.apply_timer, self.host.now_us + delay_us)

    # ---- what several parts do -----------------------------------------------------------------------

    def set_election_timer(self, now: Now, *, soon: bool = False) -> None:
        """Stand after a random time unless a leader is heard first; `soon` when one was just lost."""
        span = self.host.election_us(self.electors, len(self.voters) // 2)
        low, high = (span // 10, span) if soon else (span, 2 * span)
        self.host.set_timer(self.election_timer, now.mono_us + self.host.rng.randint(low, high))

    def answer_all(self, waiting: Sequence[Request], body: Any) -> None:
        for request in waiting:
            self.reply(request.id, body)
