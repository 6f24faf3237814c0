"""Handing leadership over on purpose: a planned failover, and what a node does that drains.

Source: leadership transfer, Ongaro's thesis 2014, section 3.10 (TimeoutNow is `TimeoutNow` here). In steps:

1. Somebody names a follower, or the one that has most is meant. Writes go on while it catches up.
2. Once it lacks little, new writes wait: they are held, not refused. What is under way is finished and answered.
3. When it holds our whole log durably, it is told to stand. It needs the votes that any candidate needs.
4. It wins: callers of held writes are sent there as soon as we hear of it. Or it does not within an election
   time-out: then we go on leading, and run what was held.

Nothing is promised to anybody by the attempt itself: a `TimeoutNow` that is lost or comes late costs time and no more,
and a caller that hears of the attempt's end hears that the other may still take over (`MaybeDone`).
"""

from collections.abc import Collection
from typing import Any

from msgspec import Raw, msgpack

from quorate.core.bounds import NodeId
from quorate.core.kernel import Now
from quorate.core.requests import Answer, FailoverReport, NotLeader, Refused
from quorate.core.single_leader import holding, long_writes, settling, writes
from quorate.core.single_leader.messages import TimeoutNow
from quorate.core.single_leader.owned import NOBODY
from quorate.core.single_leader.progress import SNAPSHOT
from quorate.core.single_leader.records import Transfer
from quorate.core.single_leader.roles import LEADER
from quorate.core.single_leader.state import Group

_encode = msgpack.Encoder().encode
WHO_LEADS = "`quorate status` shows who leads"
GOES_ON = "`quorate status` shows how far each replica is; the same can be asked again"


def submit(group: Group, now: Now, id: int, to: NodeId) -> None:
    """As leader: a caller wants another replica to lead, `to`, or with NOBODY the one that has most."""
    refusal = _refuse(group, now, to)
    if to == group.me:
        group.reply(id, done(group, group.me, group.host.name_of(group.me)))
    elif refusal is not None:
        group.reply(id, refusal)
    elif group.handover.transfer is not None:
        group.handover.transfer.callers.append(id)
    else:
        group.handover.transfer = Transfer(to or _best(group, now), [id], now.mono_us)
        group.note("transfer_begins", to=group.handover.transfer.to)
        group.host.keep_busy(group.group)
        proceed(group, now)


def begin(group: Group, now: Now, among: Collection[NodeId]) -> bool:
    """Nobody asked, but one of these should rather lead; False when none of them can now."""
    to = _best(group, now, among)
    if group.handover.transfer is None and to != NOBODY:
        group.handover.transfer = Transfer(to, [], now.mono_us)
        group.note("transfer_begins", to=to)
        proceed(group, now)
    return group.handover.transfer is not None


def _refuse(group: Group, now: Now, to: NodeId) -> Refused | None:
    """Why this replica cannot be made leader, or None."""
    if to == group.me:
        return None
    if to != NOBODY and to not in group.voters:
        names = ", ".join(group.host.name_of(node) for node in group.voters)
        name = group.host.name_of(to)
        return refused(f"{name} holds no replica of {group.database}", f"its replicas are on {names}")
    peer = to or _best(group, now)
    if peer == NOBODY:
        return refused(f"no other replica of {group.database} can be reached", GOES_ON)
    name = group.host.name_of(peer)
    if group.handover.transfer is not None and group.handover.transfer.to != peer:
        other = group.host.name_of(group.handover.transfer.to)
        return Refused("Unavailable", f"{group.database} is being handed to {other}", "", retryable=True)
    if not group.host.heard(now, peer):
        return refused(f"{name} is away", f"choose another replica, or start {name}")
    progress = group.progress[peer]
    if progress.copying or not progress.voter or not progress.whole:
        return refused(f"{name} is fetching a copy of {group.database}", "wait until it has it, or choose another")
    return None


def refused(message: str, hint: str) -> Refused:
    """Not done, and the same will be refused again."""
    return Refused("OperationalError", f"not done: {message}", hint)


def _best(group: Group, now: Now, among: Collection[NodeId] | None = None) -> NodeId:
    """The live voter that has most, of these if they are given; NOBODY when there is none."""
    among = group.electors if among is None else among
    live = [
        peer
        for peer, progress in group.progress.items()
        if peer in group.electors
        and peer in among
        and group.host.heard(now, peer)
        and progress.voter
        and progress.whole
        and progress.state != SNAPSHOT
    ]
    return max(live, key=lambda peer: (group.progress[peer].matched, -peer), default=NOBODY)


def proceed(group: Group, now: Now) -> None:
    """As leader, whenever something has moved: take the next step that can be taken."""
    transfer = group.handover.transfer
    if transfer is None or group.election.role != LEADER:
        return
    if group.handover.to:  # also of one that has lost its vote since: it may stand all the same
        if now.mono_us >= group.handover.again_us:
            _give_up(group, "it did not take over in time")
        return
    if transfer.to not in group.electors:
        _give_up(group, "it has no vote any more")
        return
    progress = group.progress[transfer.to]
    if progress.state == SNAPSHOT or not group.host.heard(now, transfer.to):
        _give_up(group, "it is away" if progress.state != SNAPSHOT else "it is too far behind")
        return
    if not transfer.holds:
        lag = group.log.last.index - progress.matched
        if group.leads_ready and lag <= group.settings.ship_entries_ahead:
            transfer.holds, transfer.held_us = True, now.mono_us
            long_writes.put_off(group)
            holding.put_off(group)
        elif now.mono_us - transfer.since_us > group.settings.answer_timeout_us:
            _give_up(group, f"it is {lag} entries behind")
            return
    late = now.mono_us - transfer.held_us > group.settings.suspect_us
    if transfer.holds and not _stand_when_ready(group, now) and late:
        _give_up(group, "what is under way is not committed, or not there, in time")


def _stand_when_ready(group: Group, now: Now) -> bool:
    """Everything is finished here, and there: tell it to stand."""
    assert group.handover.transfer is not None, "nothing is handed over"
    peer = group.handover.transfer.to
    settling.settle_now(group)
    if is_busy(group) or group.progress[peer].matched < group.log.last.index:
        return False
    tell(group, now, peer)
    return True


def is_busy(group: Group) -> bool:
    """Something runs, or callers wait for what is logged and may still be committed."""
    return group.writes.batch is not None or (
        bool(group.writes.flight or group.settling.stack) and not writes.in_vain(group)
    )


def tell(group: Group, now: Now, peer: NodeId) -> None:
    """Ask a follower that has everything to stand at once."""
    group.handover.to = peer
    group.handover.again_us = now.mono_us + 2 * group.settings.election_us
    group.handover.resumes_until_us = now.mono_us + 2 * group.settings.suspect_us + 4 * group.settings.election_us
    group.note("told_to_stand", to=peer)
    group.send(peer, TimeoutNow(group.group, group.election.epoch))


def _give_up(group: Group, why: str) -> None:
    """Go on leading, and run what was held. Callers hear that it is not done, unless the other was told to stand:
    (1) the message is late; (2) we give up; (3) it arrives in the same epoch, and whoever stands on our word wins.
    Nothing could be promised of that."""
    transfer, group.handover.transfer = group.handover.transfer, None
    assert transfer is not None, "nothing is handed over"
    told = group.handover.to != NOBODY
    group.handover.to = NOBODY
    group.note("transfer_failed", to=transfer.to, why=why)
    here, there = group.host.name_of(group.me), group.host.name_of(transfer.to)
    text = f"{there} does not lead {group.database}: {why}; {here} goes on leading"
    refusal = (
        Refused("MaybeDone", f"{text}, but {there} may still take over", WHO_LEADS) if told else refused(text, GOES_ON)
    )
    for caller in transfer.callers:
        group.reply(caller, refusal)
    group.host.make_ready(group.group)


# ---- afterwards --------------------------------------------------------------------------------------------


def hold(group: Group, requests: list[Any]) -> bool:
    """Keep these writes until it is known who leads; False when that is not to be expected."""
    if group.handover.transfer is None:
        return False
    group.handover.transfer.waiting += requests
    return True


def done(group: Group, leader: NodeId, was: str) -> Answer:
    """What a caller is told when it is done."""
    report = FailoverReport(group.database, group.group, group.election.epoch, group.host.name_of(leader), was)
    return Answer(Raw(_encode(report)))


def conclude(group: Group) -> None:
    """It is known who leads, or it is not and nobody is to wait any longer."""
    transfer, group.handover.transfer = group.handover.transfer, None
    if transfer is None:
        return
    group.note("transfer_ends", to=transfer.to, leader=group.election.leader)
    here = group.host.name_of(group.me)
    if group.election.leader == NOBODY:
        group.answer_all(transfer.waiting, NotLeader(""))
        for caller in transfer.callers:
            group.reply(caller, NotLeader(""))
        return
    for caller in transfer.callers:
        if group.election.leader == transfer.to:
            group.reply(caller, done(group, group.election.leader, here))
        else:
            leader, there = group.host.name_of(group.election.leader), group.host.name_of(transfer.to)
            text = f"{there} did not take over from {here}; {leader} leads {group.database}"
            group.reply(caller, refused(text, GOES_ON))
    group.answer_all(transfer.waiting, NotLeader(group.leader_address()))


def ended(group: Group) -> None:
    """We begin to lead, or cease to: who was told to stand is of no interest any more."""
    group.handover.to = NOBODY


def taken_over(group: Group) -> None:
    """Somebody leads: we do not resume."""
    group.handover.resumes_until_us = 0
    conclude(group)


def drain(group: Group, now: Now, alive: dict[NodeId, bool]) -> bool:
    """Hand leadership to a live follower that has everything; True when nothing is left to do.

    Called again and again while the node drains: a follower that does not stand (its disk may be full, or it may
    be draining too) gives way to the next, and when each was asked, the rest is left to time.
    """
    if group.handover.transfer is not None:
        proceed(group, now)
        return False
    if group.writes.queue:
        writes.refuse_queue(group, NotLeader(""))
    long_writes.give_up(group)
    holding.put_off(group)
    settling.settle_now(group)
    if is_busy(group):
        return False
    if group.election.role != LEADER or not any(alive.get(peer) for peer in group.electors):
        return True
    last = group.log.last.index
    ready = [
        peer
        for peer in group.electors
        if alive.get(peer) and group.progress[peer].matched == last and group.progress[peer].whole
    ]
    if ready and now.mono_us >= group.handover.again_us:
        if group.handover.tries >= len(group.electors):
            return True
        group.handover.tries += 1
        at = ready.index(group.handover.to) + 1 if group.handover.to in ready else 0
        tell(group, now, ready[at % len(ready)])
    return False
