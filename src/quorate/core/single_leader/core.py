"""A replica of a single-leader group as a state machine: the table of what goes where.

States: follower, pre_candidate, candidate, leader. What is promised depends on the acks rule that the group's log
names (`rules`, and `core.promises` for the words).

Caveats: there are no lease reads, on purpose.
"""

from collections.abc import Callable
from typing import Any

from quorate.core.bounds import EPOCH_LEAP
from quorate.core.kernel import (
    Applied,
    ApplyFailed,
    CallerLeft,
    Checkpointed,
    Denied,
    Digested,
    Executed,
    LogRead,
    LostSaved,
    NodeId,
    Now,
    OpenGeneration,
    OpenReplica,
    Permitted,
    PermitUnavailable,
    Persisted,
    SnapshotOpened,
    SnapshotRead,
    SnapshotStored,
    Stopped,
)
from quorate.core.single_leader import (
    acks,
    closing,
    election,
    long_writes,
    members,
    orders,
    permits,
    reads,
    repair,
    rewinding,
    shipping,
    snapshots,
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
    StandNow,
    VerifyAsk,
    VerifyReply,
    VerifyVerdict,
    Vote,
    VoteReply,
)
from quorate.core.single_leader.state import FOLLOWER, LEADER, NOBODY, Group

MESSAGES: dict[type, Callable[[Group, Now, NodeId, Any], None]] = {
    PreVote: election.on_pre_vote,
    PreVoteReply: election.on_pre_vote_reply,
    Vote: election.on_vote,
    VoteReply: election.on_vote_reply,
    StandNow: election.on_stand_now,
    Append: shipping.on_append,
    AppendReply: shipping.on_append_reply,
    SnapshotOffer: snapshots.on_offer,
    SnapshotWant: snapshots.on_want,
    SnapshotChunk: snapshots.on_chunk,
    SnapshotGone: snapshots.on_gone,
    SnapshotDone: snapshots.on_done,
    ReadIndexAsk: reads.on_ask,
    ReadIndexReply: reads.on_reply,
    VerifyAsk: verification.on_ask,
    VerifyReply: verification.on_reply,
    VerifyVerdict: verification.on_verdict,
}

EVENTS: dict[type, Callable[[Group, Now, Any], None]] = {
    Persisted: acks.on_persisted,
    Executed: writes.on_executed,
    Stopped: long_writes.on_stopped,
    CallerLeft: long_writes.on_caller_left,
    Applied: acks.on_applied,
    ApplyFailed: acks.on_apply_failed,
    Checkpointed: acks.on_checkpointed,
    LogRead: shipping.on_log_read,
    SnapshotOpened: snapshots.on_opened,
    SnapshotRead: snapshots.on_read,
    SnapshotStored: snapshots.on_stored,
    Digested: verification.on_digested,
    LostSaved: rewinding.on_saved,
    Permitted: permits.on_permitted,
    Denied: permits.on_denied,
    PermitUnavailable: permits.on_unavailable,
}


def on_message(group: Group, now: Now, sender: NodeId, message: Any) -> None:
    """A message of another replica of this group. Whether the sender is a member is not asked: its log may say so, and
    ours not yet (Ongaro 2014, section 4.1). Only members are counted."""
    if _is_believable(group, sender, message.epoch):
        MESSAGES[type(message)](group, now, sender, message)


def _is_believable(group: Group, sender: NodeId, epoch: int) -> bool:
    """Whether such an epoch can have come about: see `EPOCH_LEAP`."""
    if epoch <= group.epoch + EPOCH_LEAP:
        return True
    group.note("epoch_not_believed", sender=sender, said=epoch)
    return False


def on_ready(group: Group, now: Now) -> None:
    """Everything that was ready has been fed: begin what can begin."""
    verification.begin(group, now)
    transfer.proceed(group, now)
    writes.reconcile(group, now)
    members.reconcile(group, now)
    writes.start_batch(group, now)
    reads.begin_round(group)


def on_tick(group: Group, now: Now, alive: dict[NodeId, bool]) -> bool:
    """A heartbeat's worth of time has passed. False when this group has nothing under way."""
    if group.apply_blocked and group.switching and group.incoming is not None:
        group.host.emit(OpenGeneration(group.group, group.incoming.ours))
    elif group.apply_blocked and not group.opened:
        group.host.emit(OpenReplica(group.group))
    group.apply_blocked = False
    acks.apply_more(group)
    if group.damaged:
        repair.tick(group, now)
    if group.role == LEADER and group.log_hangs(now) and orders.steps_down_for_others(group):
        group.note("log_hangs")
        election.become_follower(group, now)
    transfer.proceed(group, now)
    waiting = reads.tick(group, now)
    writes.tick(group, now)
    waiting = verification.tick(group, now) or waiting
    waiting = members.tick(group, now) or waiting
    if group.role == LEADER:
        waiting = shipping.resend(group, now, alive) or waiting
    if group.queue or group.reading.waiting:
        group.host.make_ready(group.group)
    return (
        waiting
        or group.transfer is not None
        or group.batch is not None
        or bool(group.flight)
        or bool(group.queue)
        or bool(group.pending)
        or group.apply_waits
        or bool(group.damaged)
        or group.switching
        or not group.opened
    )


def on_mention(group: Group, now: Now, sender: NodeId, epoch: int, counted: int) -> int:
    """A heartbeat of a node that leads this group in `epoch`. Returns the epoch that we are in, or 0
    when the answer must wait for our disk (the next heartbeat will ask again)."""
    if epoch < group.epoch:
        return 0 if group.pending and any(pending.hard_state for pending in group.pending) else group.epoch
    if not _is_believable(group, sender, epoch):
        return 0
    shipping.heard_leader(group, now, sender, epoch)
    if group.needs_log:
        return 0
    acks.count(group, min(counted, group.log.last.index))
    if group.log_damaged or (group.pending and any(pending.hard_state for pending in group.pending)):
        return 0  # one whose log is damaged may have promised a later epoch, and confirms nobody
    return epoch


def on_mention_answered(group: Group, now: Now, peer: NodeId, sequence: int, epoch: int) -> None:
    """A follower answered a heartbeat of ours that named this group."""
    if epoch > group.epoch:
        if _is_believable(group, peer, epoch):
            election.adopt_epoch(group, now, epoch, NOBODY)
    elif epoch == group.epoch and group.role == LEADER:
        reads.on_confirmed(group, peer, sequence)


def on_resigned(group: Group, now: Now, sender: NodeId, epoch: int) -> None:
    """A node says that it no longer leads this group."""
    if group.leader == sender and group.epoch <= epoch:
        election.lose_leader(group, now)


def apply_now(group: Group) -> None:
    """Entries were gathered for long enough."""
    writes.settle_now(group)
    acks.apply_more(group, gathered=True)


def on_disk_full(group: Group, now: Now) -> None:
    """Lead nothing where others can, stand for nothing."""
    if group.role not in (FOLLOWER, LEADER) or (group.role == LEADER and orders.steps_down_for_others(group)):
        election.become_follower(group, now)


check_quorum = election.check_quorum
close = closing.close
lose_leader = election.lose_leader
forget_progress = shipping.forget_progress
become_follower = election.become_follower
on_gather_timer = writes.on_gather_timer
on_election_timer = election.on_timer
offer_vote = election.offer_vote
drain = transfer.drain
submit_write = writes.submit
join = writes.join
joined = writes.joined
takes_writes = writes.takes_writes
submit_read = reads.submit
submit_failover = transfer.submit
submit_verify = verification.submit
verify_next = verification.start_next
wants_other_acks = writes.wants_other_acks
wants_other_members = members.wants_others
unwanted = members.unwanted
waits_for_others = members.waits_for_others
is_settled = members.is_settled
