"""A replica of a single-leader group as a state machine: what goes where.

States: follower, pre_candidate, candidate, leader. What is promised depends on the ack policy that the group's log
names (`rules`, and `promises` for the words).

Caveats: there are no lease reads, on purpose.
"""

from collections.abc import Callable
from typing import Any

from quorate.core.bounds import EPOCH_LEAP, NodeId
from quorate.core.copy_requests import OpenCopy
from quorate.core.entries import CreateGroup
from quorate.core.executing import CallerLeft, Executed, Stopped
from quorate.core.kernel import (
    Applied,
    ApplyFailed,
    Checkpointed,
    Condemn,
    Digested,
    Effect,
    LogRead,
    LostSaved,
    Now,
    OpenGeneration,
    OpenReplica,
    Persisted,
    SnapshotOpened,
    SnapshotRead,
    SnapshotStored,
)
from quorate.core.messages import GroupHeartbeat
from quorate.core.options import SINGLE_LEADER as NAME
from quorate.core.options import SingleLeaderOptions
from quorate.core.permits import Denied, Permitted, PermitUnavailable
from quorate.core.read_levels import STRONGEST
from quorate.core.replica import Replication
from quorate.core.requests import Failover, Refused, Verify
from quorate.core.row_requests import ReadRow, RunRow, WriteRow
from quorate.core.scripts import LetGo
from quorate.core.single_leader import (
    apply,
    closing,
    commit,
    election,
    holding,
    invariants,
    long_writes,
    members,
    orders,
    permits,
    reads,
    repair,
    rewinding,
    settling,
    shipping,
    snapshots,
    status,
    transfer,
    verification,
    writes,
)
from quorate.core.single_leader.messages import (
    Append,
    AppendReply,
    PreVote,
    PreVoteReply,
    ReadIndexAsk,
    ReadIndexReply,
    SnapshotChunk,
    SnapshotDone,
    SnapshotGone,
    SnapshotOffer,
    SnapshotWant,
    TimeoutNow,
    VerifyAsk,
    VerifyReply,
    VerifyVerdict,
    Vote,
    VoteReply,
)
from quorate.core.single_leader.owned import NOBODY
from quorate.core.single_leader.promises import PROMISES
from quorate.core.single_leader.records import EntireCopy
from quorate.core.single_leader.roles import FOLLOWER, LEADER
from quorate.core.single_leader.rules import wanted_rule
from quorate.core.single_leader.state import ELECTION, GATHER, Group
from quorate.core.view_requests import OpenView

MESSAGES: dict[type, Callable[[Group, Now, NodeId, Any], None]] = {
    PreVote: election.on_pre_vote,
    PreVoteReply: election.on_pre_vote_reply,
    Vote: election.on_vote,
    VoteReply: election.on_vote_reply,
    TimeoutNow: election.on_stand_now,
    Append: shipping.on_append,
    AppendReply: shipping.on_append_reply,
    SnapshotOffer: snapshots.on_offer,
    SnapshotWant: snapshots.on_want,
    SnapshotChunk: snapshots.on_chunk,
    SnapshotGone: snapshots.on_gone,
    SnapshotDone: shipping.on_snapshot_done,
    ReadIndexAsk: reads.on_ask,
    ReadIndexReply: reads.on_reply,
    VerifyAsk: verification.on_ask,
    VerifyReply: verification.on_reply,
    VerifyVerdict: verification.on_verdict,
}


def _on_applied(group: Group, now: Now, event: Applied) -> None:
    """The data file moved: who waits for that goes on."""
    if not group.apply.opened:
        commit.opened(group, event.position.index)
    apply.on_applied(group, now, event)
    if group.fetching.switching:
        snapshots.finish(group, event)
    verification.proceed(group, now)
    apply.apply_more(group)
    reads.on_applied(group)
    apply.maybe_checkpoint(group)


def _on_apply_failed(group: Group, now: Now, event: ApplyFailed) -> None:
    """A leader without room for its data file, or with a damaged one, leads no more where others can."""
    if apply.on_failed(group, now, event):
        snapshots.give_up(group)
    if group.election.role == LEADER and (group.repair.damaged or orders.steps_down_for_others(group)):
        election.become_follower(group, now)
    elif group.election.role == LEADER:
        writes.put_back(group)
    elif group.repair.damaged:
        group.election.become(FOLLOWER)
    group.host.keep_busy(group.group)


EVENTS: dict[type, Callable[[Group, Now, Any], None]] = {
    Persisted: commit.on_persisted,
    Executed: writes.on_executed,
    Stopped: long_writes.on_stopped,
    CallerLeft: long_writes.on_caller_left,
    Applied: _on_applied,
    ApplyFailed: _on_apply_failed,
    Checkpointed: apply.on_checkpointed,
    LogRead: shipping.on_log_read,
    SnapshotOpened: snapshots.on_opened,
    SnapshotRead: snapshots.on_read,
    SnapshotStored: snapshots.on_stored,
    Digested: verification.on_digested,
    LostSaved: snapshots.on_lost_saved,
    Permitted: election.on_permitted,
    Denied: permits.on_denied,
    PermitUnavailable: permits.on_unavailable,
}


class SingleLeaderReplica(Group):
    """The state of a replica (`Group`), and what its node asks of it (`core.replica.Replica`)."""

    replication = NAME

    def begin(self, now: Now, opening: list[Effect], created: CreateGroup | None) -> None:
        if created is not None:  # there is nothing to open before the log knows of the group
            self.persist(created).release += opening
        else:
            for effect in opening:
                self.host.emit(effect)
        if self.log_damaged:  # it may have forgotten a vote: it votes for nobody in this epoch, for good
            self.persist_hard_state()
        self.host.keep_busy(self.group)
        self.set_election_timer(now)
        if created is not None:
            election.offer_vote(self)

    def on_event(self, now: Now, event: Any) -> None:
        EVENTS[type(event)](self, now, event)

    def on_message(self, now: Now, sender: NodeId, message: Any) -> None:
        """Whether the sender is a member is not asked: its log may say so, and ours not yet (Ongaro 2014, section 4.1).
        Only members are counted."""
        if self._is_believable(sender, message.epoch):
            MESSAGES[type(message)](self, now, sender, message)

    def _is_believable(self, sender: NodeId, epoch: int) -> bool:
        """Whether such an epoch can have come about: see `EPOCH_LEAP`."""
        if epoch <= self.election.epoch + EPOCH_LEAP:
            return True
        self.note("epoch_not_believed", sender=sender, said=epoch)
        return False

    def on_timer(self, now: Now, name: str) -> None:
        if name == ELECTION:
            election.on_timer(self, now)
        elif name == GATHER:
            writes.on_gather_timer(self, now)
        else:  # entries were gathered for long enough
            settling.settle_now(self)
            apply.apply_more(self, gathered=True)

    def on_ready(self, now: Now) -> None:
        if self.verifying.wanted:
            verification.begin(self, now)
        if self.handover.transfer is not None:
            transfer.proceed(self, now)
        if self.rules.differs:
            writes.reconcile(self, now)
        members.reconcile(self, now)
        if self.writes.queue:
            writes.start_batch(self, now)
        if self.reading.waiting:
            reads.begin_round(self)

    def on_tick(self, now: Now, alive: dict[NodeId, bool]) -> bool:
        if self.apply.blocked and self.fetching.switching and self.fetching.incoming is not None:
            self.host.emit(OpenGeneration(self.group, self.fetching.incoming.ours))
        elif self.apply.blocked and not self.apply.opened:
            self.host.emit(OpenReplica(self.group))
        apply.unblock(self)
        apply.apply_more(self)
        if self.repair.damaged and repair.tick(self, now):
            election.become_follower(self, now)
        if self.election.role == LEADER and self.log_hangs(now) and orders.steps_down_for_others(self):
            self.note("log_hangs")
            election.become_follower(self, now)
        transfer.proceed(self, now)
        waiting = reads.tick(self, now)
        writes.tick(self, now)
        waiting = verification.tick(self, now) or waiting
        waiting = members.tick(self, now) or waiting
        if self.election.role == LEADER:
            waiting = shipping.resend(self, now, alive) or waiting
        if self.writes.queue or self.reading.waiting:
            self.host.make_ready(self.group)
        return (
            waiting
            or self.handover.transfer is not None
            or self.writes.batch is not None
            or bool(self.writes.flight)
            or bool(self.writes.queue)
            or bool(self.pending)
            or self.apply_waits
            or bool(self.repair.damaged)
            or self.fetching.switching
            or not self.apply.opened
        )

    def on_catalog(self) -> None:
        self.rules.want(wanted_rule(self.host, self.database))
        if writes.wants_other_acks(self) or members.wants_others(self):
            self.host.make_ready(self.group)
            self.host.keep_busy(self.group)
        elif self.unwanted or members.waits_for_others(self):
            self.host.keep_busy(self.group)

    def on_disk_full(self, now: Now) -> None:
        """Lead nothing where others can, stand for nothing."""
        if self.election.role not in (FOLLOWER, LEADER) or (
            self.election.role == LEADER and orders.steps_down_for_others(self)
        ):
            election.become_follower(self, now)

    def on_disk_room(self, now: Now) -> None:
        self.host.keep_busy(self.group)
        if self.election.leader == NOBODY:
            self.set_election_timer(now)

    def on_stalled(self, stall_us: int) -> None:
        for pending in self.pending:
            pending.since_us += stall_us

    def distrust(self, now: Now, reason: str) -> None:
        if not self.others or self.log_damaged:
            return
        election.forget_vote(self)
        repair.distrust(self, reason)
        for pending in self.pending:  # nor is said what waits for the disk
            pending.release.clear()
            pending.campaign = 0
        election.become_follower(self, now)
        self.host.emit(Condemn(self.group, reason, log=True))

    def compare(self) -> None:
        verification.start(self)

    def assert_invariants(self) -> None:
        invariants.assert_invariants(self)

    @property
    def damaged(self) -> str:
        return self.repair.damaged

    @property
    def leads(self) -> bool:
        return self.election.role == LEADER

    @property
    def unwanted(self) -> bool:
        return members.unwanted(self)

    @property
    def unwritten(self) -> bool:
        return bool(self.pending)

    @property
    def at_rest(self) -> bool:
        idle = self.writes.batch is None and not self.writes.queue and not self.writes.flight and not self.holding.name
        return idle and self.apply.applied.index == self.log.last.index

    # ---- peers, and the heartbeat's line -----------------------------------------------------------------

    @property
    def confirming(self) -> bool:
        return bool(self.reading.round)

    def mention_to(self, peer: NodeId) -> GroupHeartbeat | None:
        progress = self.progress.get(peer)
        if self.election.role != LEADER or progress is None:
            return None
        return GroupHeartbeat(self.group, self.election.epoch, min(self.commit.committed, progress.matched))

    def on_mention(self, now: Now, sender: NodeId, mention: GroupHeartbeat) -> GroupHeartbeat | None:
        """Answered with the epoch that we are in, once that is durable: the next heartbeat asks again."""
        epoch = self._heard_leader(now, sender, mention)
        return GroupHeartbeat(self.group, epoch, mention.committed) if epoch else None

    def _heard_leader(self, now: Now, sender: NodeId, mention: GroupHeartbeat) -> int:
        """A heartbeat of a node that leads in this epoch. The epoch that we are in; 0: not to be said yet."""
        if mention.epoch < self.election.epoch:
            return 0 if self.pending and any(pending.hard_state for pending in self.pending) else self.election.epoch
        if not self._is_believable(sender, mention.epoch):
            return 0
        self.heard_leader(now, sender, mention.epoch)
        if self.needs_log:
            return 0
        commit.commit_to(self, min(mention.committed, self.log.last.index))
        if self.log_damaged or (self.pending and any(pending.hard_state for pending in self.pending)):
            return 0  # one whose log is damaged may have promised a later epoch, and confirms nobody
        return mention.epoch

    def on_mention_answered(self, now: Now, peer: NodeId, sequence: int, mention: GroupHeartbeat) -> bool:
        if mention.epoch > self.election.epoch:
            if self._is_believable(peer, mention.epoch):
                election.adopt_epoch(self, now, mention.epoch, NOBODY)
        elif mention.epoch == self.election.epoch and self.election.role == LEADER:
            reads.on_confirmed(self, peer, sequence)
        return mention.epoch == self.election.epoch and mention.committed == self.commit.committed

    def on_resigned(self, now: Now, sender: NodeId, epoch: int) -> None:
        if self.election.leader == sender and self.election.epoch <= epoch:
            election.lose_leader(self, now)

    def on_peer_lost(self, now: Now, peer: NodeId) -> None:
        if self.election.leader == peer:
            election.lose_leader(self, now)

    def on_peer_back(self, peer: NodeId) -> None:
        """What it missed must be sent."""
        if self.election.role == LEADER and peer in self.progress:
            self.host.keep_busy(self.group)

    def on_peer_restarted(self, peer: NodeId) -> bool:
        if self.election.role != LEADER or peer not in self.progress:
            return False
        shipping.forget_progress(self, peer)
        return True

    # ---- callers -----------------------------------------------------------------------------------------

    def submit_copy(self, now: Now, id: int, body: OpenCopy) -> None:
        after = () if body.after is None else body.after.places
        reads.submit(self, now, id, EntireCopy(), STRONGEST if body.strongest else body.level, after)

    def submit_view(self, now: Now, id: int, body: OpenView) -> None:
        after = () if body.after is None else body.after.places
        reads.submit(self, now, id, body, STRONGEST if body.strongest else body.level, after)

    def on_request(self, now: Now, id: int, body: Verify | Failover | LetGo | RunRow | WriteRow | ReadRow) -> None:
        if type(body) is Verify:
            verification.submit(self, now, id)
        elif type(body) is LetGo:
            holding.let_go(self, id, body)
        elif isinstance(body, RunRow | WriteRow | ReadRow):
            self.host.reply(id, BY_STATEMENTS)
        else:
            assert isinstance(body, Failover), "a request that groups do not answer"
            to = self.host.node_named(body.to) if body.to else NOBODY
            assert to is not None, "the node knows everybody who is named"
            if self.election.role == LEADER and not self.host.draining:
                transfer.submit(self, now, id, to)
            elif orders.submit(self, now, id, to, accept_loss=body.accept_loss):
                election.on_timer(self, now)

    def lacks_room(self) -> bool:
        return self.host.now_us < self.apply.no_room_until_us and not self.apply.lacks

    def keeps(self, index: int, epoch: int) -> bool:
        return index <= self.commit.committed and self.epoch_at(index) == epoch

    def unknown_losses(self) -> list[tuple[int, int, NodeId]]:
        return rewinding.unknown(self)

    # ---- what the parts tell those above them (`Group` says when) ----------------------------------------

    on_committed = writes.on_committed
    on_own_vote = election.on_own_vote
    heard_leader = election.heard_leader
    adopt_epoch = election.adopt_epoch
    become_follower = election.become_follower

    # ---- what the parts do themselves --------------------------------------------------------------------

    is_settled = members.is_settled
    drain = transfer.drain
    close = closing.close
    on_answered_until = election.check_quorum
    takes_writes = writes.takes_writes
    submit = writes.submit
    join = writes.join
    joined = writes.joined
    submit_read = reads.submit
    status = status.status


BY_STATEMENTS = Refused(
    "NotSupportedError",
    "w and r are for databases without a leader, and this one has one",
    "leave w= and r= away; the database's acks say how many replicas hold a write",
)
SINGLE_LEADER = Replication(
    NAME, SingleLeaderReplica, frozenset(EVENTS), frozenset(MESSAGES), SingleLeaderOptions, PROMISES
)
