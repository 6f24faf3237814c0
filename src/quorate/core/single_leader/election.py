"""Who leads: pre-vote, vote, the no-op, check-quorum, stepping down. (`transfer` hands over on purpose.)

Sources: Ongaro & Ousterhout 2014 (Raft) and Ongaro's thesis 2014: elections 3.4, the restriction on who
may win 3.6.1, leadership transfer 3.10, pre-vote 9.6, check-quorum 6.2. That a voter that still hears its
leader refuses disturbers is needed *together with* pre-vote and check-quorum: without it a node with
half a network can depose a working leader for ever.
"""

from collections.abc import Mapping

from quorate.core.ack_policy import spell, spell_noop
from quorate.core.bounds import NodeId
from quorate.core.entries import ACKS, NOOP, Entry
from quorate.core.kernel import Now, Send
from quorate.core.permits import Permitted
from quorate.core.requests import NotLeader
from quorate.core.single_leader import (
    commit,
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
from quorate.core.single_leader.messages import Append, PreVote, PreVoteReply, TimeoutNow, Vote, VoteReply
from quorate.core.single_leader.owned import NOBODY
from quorate.core.single_leader.roles import CANDIDATE, FOLLOWER, LEADER, PRE_CANDIDATE
from quorate.core.single_leader.rules import wanted_rule
from quorate.core.single_leader.state import UNKNOWN_VOTE, Group


def on_timer(group: Group, now: Now) -> None:
    """The election time came: ask around first, unless a leader has been heard meanwhile."""
    if group.election.role == LEADER or group.leader_is_alive(now):
        return
    group.election.leader = NOBODY
    transfer.conclude(group)
    orders.on_timer(group, now)
    if group.left_out:
        return
    permits.give_back(group)
    # In a new group the others may be making it just now.
    group.set_election_timer(now, soon=group.election.eager and group.election.epoch == 0)
    for peer in group.electors:  # a replica that may not stand asks too: the leader, if there is one, will say so
        group.send(peer, PreVote(group.group, group.election.epoch + 1, group.log.last))
    if not orders.may_by_itself(group, now):
        # Also when it could not stand now: votes that come late are for an order that has ended.
        group.election.become(FOLLOWER)
        return
    may = group.may_stand() and now.mono_us >= group.apply.no_room_until_us and not group.log_hangs(now)
    if not may or repair.leaves_it_to_others(group):
        permits.drop(group)
        return
    group.election.become(PRE_CANDIDATE)
    group.election.votes = {group.me: True}
    group.note("pre_candidate")
    if group.wins(group.election.votes):
        _stand(group, now)


def _stand(group: Group, now: Now) -> None:
    """The others would vote for us: with a permit, where one is needed."""
    if not permits.needed(group, now):
        campaign(group, now)
    elif epoch := permits.epoch(group):
        campaign(group, now, epoch=epoch)


def on_permitted(group: Group, now: Now, event: Permitted) -> None:
    if permits.on_permitted(group, now, event) and group.wins(group.election.votes) and group.may_stand():
        _stand(group, now)


def offer_vote(group: Group) -> None:
    """As one of a new group: whoever is to lead it first may have asked before this replica existed."""
    if group.election.first not in (NOBODY, group.me) and not group.log_damaged:
        group.send(group.election.first, PreVoteReply(group.group, group.election.epoch + 1, granted=True))


def campaign(group: Group, now: Now, *, transfer: bool = False, epoch: int = 0) -> None:
    """Stand in a new epoch: the one that a permit is for, else the next. Nobody hears of it before our own vote in
    it is durable."""
    group.election.become(CANDIDATE)
    group.election.leader = NOBODY
    assert epoch == 0 or epoch > group.election.epoch, "epochs only rise"
    group.election.epoch = epoch or group.next_epoch()
    group.election.vote = group.me
    group.election.votes = {}
    group.election.votes_of = {}
    group.set_election_timer(now)
    group.note("candidate")
    pending = group.persist_hard_state()
    pending.campaign = group.election.epoch
    vote = Vote(group.group, group.election.epoch, group.log.last, transfer, group.host.own_lives())
    pending.release.extend(Send(peer, vote) for peer in group.electors)


def on_own_vote(group: Group, now: Now, epoch: int) -> None:
    """Our vote for ourselves is durable, and counts."""
    if group.election.role == CANDIDATE and group.election.epoch == epoch:
        group.election.votes[group.me] = True
        _finish_vote(group, now)


def on_pre_vote(group: Group, now: Now, sender: NodeId, message: PreVote) -> None:
    if sender == group.election.leader and message.epoch > group.election.epoch:
        lose_leader(group, now)  # it would not ask if it still led
    if group.election.role == LEADER:
        group.host.mention(group.group)  # a voter that asks does not know that we lead
    granted = (
        message.epoch > group.election.epoch
        and group.election.role != LEADER
        and not group.log_damaged
        and not group.leader_is_alive(now)
        and group.up_to_date(message.last)
    )
    epoch = message.epoch if granted else group.election.epoch
    group.send(sender, PreVoteReply(group.group, epoch, granted, group.leaves_out(sender)))


def on_pre_vote_reply(group: Group, now: Now, sender: NodeId, message: PreVoteReply) -> None:
    if message.outside > group.membership.member_since(group.me):
        _stay_outside(group, message.outside)
        return
    if not message.granted:
        orders.refused_by(group, sender)
        if message.epoch > group.election.epoch:
            adopt_epoch(group, now, message.epoch, NOBODY)
        return
    if group.election.role != PRE_CANDIDATE or message.epoch != group.election.epoch + 1 or sender not in group.voters:
        return
    group.election.votes[sender] = True
    if group.wins(group.election.votes) and group.may_stand():
        _stand(group, now)


def _stay_outside(group: Group, index: int) -> None:
    """The others have committed a configuration without this replica, which did not hear of it: stand no more, and stop
    asking. Whoever leads a configuration that has it again will say so."""
    if group.election.role in (PRE_CANDIDATE, FOLLOWER) and index > group.election.outside:
        group.note("left_out", index=index)
        group.election.outside = index
        group.election.become(FOLLOWER)
        group.host.cancel_timer(group.election_timer)
        transfer.conclude(group)  # no timer will, and nobody tells us who leads


def on_vote(group: Group, now: Now, sender: NodeId, message: Vote) -> None:
    if sender == group.election.leader and message.epoch > group.election.epoch:
        lose_leader(group, now)
    if group.host.forgot(message.lives):
        return  # its next heartbeat will tell it
    disturbs = not message.transfer and (group.election.role == LEADER or group.leader_is_alive(now))
    if message.epoch > group.election.epoch and not disturbs:
        adopt_epoch(group, now, message.epoch, NOBODY)
    granted = (
        message.epoch == group.election.epoch
        and group.election.vote in (NOBODY, sender)
        and group.election.role == FOLLOWER
        and group.election.leader in (NOBODY, sender)
        and not group.log_damaged
        and group.up_to_date(message.last)
    )
    if not granted:
        group.send(sender, VoteReply(group.group, group.election.epoch, granted=False))
        return
    group.election.vote = sender
    group.set_election_timer(now)
    pending = group.persist_hard_state()
    lives = group.host.own_lives()
    pending.release.append(Send(sender, VoteReply(group.group, group.election.epoch, granted=True, lives=lives)))


def on_vote_reply(group: Group, now: Now, sender: NodeId, message: VoteReply) -> None:
    if message.epoch > group.election.epoch:
        adopt_epoch(group, now, message.epoch, NOBODY)
    if group.election.role != CANDIDATE or message.epoch != group.election.epoch or sender not in group.voters:
        return
    if group.host.forgot(message.lives):
        return  # it may have voted for another before
    group.election.votes[sender] = message.granted
    group.election.votes_of[sender] = message.lives
    _finish_vote(group, now)


def on_stand_now(group: Group, now: Now, sender: NodeId, message: TimeoutNow) -> None:
    """The leader hands over: stand at once, with its word that this disturbs nobody."""
    if (
        message.epoch == group.election.epoch
        and sender == group.election.leader
        and group.may_stand()
        and not group.repair.damaged
    ):
        campaign(group, now, transfer=True)
        group.election.handed_by = sender


def _finish_vote(group: Group, now: Now) -> None:
    if not group.election.votes.get(group.me):
        return  # our own vote first: with it durable, this epoch cannot be stood for twice
    result = group.wins(group.election.votes)
    if result:
        become_leader(group, now)
    elif result is False:
        become_follower(group, now)


def become_leader(group: Group, now: Now) -> None:
    """Won: begin the epoch with a no-op, and count nothing of earlier epochs before it (section 3.6.2)."""
    assert group.election.role == CANDIDATE, "only a candidate wins an election"
    group.election.become(LEADER)
    group.election.leader = group.me
    group.election.led_since_us = now.mono_us
    transfer.ended(group)
    snapshots.forget(group)
    group.host.cancel_timer(group.election_timer)
    following = group.log.last.index + 1
    group.begin_progress()
    reads.begin(group)
    group.election.noop = following
    commit.begin(group)
    group.note("became_leader", last=following)
    payload = _first_words(group)
    transfer.conclude(group)
    orders.conclude(group)
    shipping.append(group, now, (Entry(following, group.election.epoch, NOOP, payload), *_first_rule(group, following)))
    group.host.mention(group.group)
    group.host.keep_busy(group.group)
    commit.advance(group)
    _tell_who_left(group)


def _tell_who_left(group: Group) -> None:
    """Who handed over may be no member any more: then nobody sends it the log, and it would go on leading."""
    left, group.election.handed_by = group.election.handed_by, NOBODY
    if left not in (NOBODY, *group.others):
        previous = group.log.position_at(group.election.noop - 1)
        group.send(left, Append(group.group, group.election.epoch, previous, (), group.commit.committed))


def _first_words(group: Group) -> bytes:
    """What the no-op says: who leads, whether a loss was accepted, and who elected: should one of them turn out to be
    an older copy of its folder, whoever has another log knows why."""
    accepted = (group.rules.lossy or group.is_narrow) and orders.loss_is_accepted(group)
    if accepted:
        group.note("loss_accepted")
    elif not group.electors and not group.rules.lossy:
        return b""
    electors = [node for node in sorted(group.electors) if group.election.votes.get(node)]
    lives = [*group.host.own_lives(), *(life for node in electors for life in group.election.votes_of.get(node, ()))]
    return spell_noop(group.me, accepted=accepted, electors=lives)


def _first_rule(group: Group, noop: int) -> tuple[Entry, ...]:
    """The log of a new group says what acks it has before anything else, so that no write is committed by another
    rule."""
    wanted = wanted_rule(group.host, group.database)
    if noop > 1 or wanted is None or wanted == group.rules.newest:
        return ()
    return (Entry(noop + 1, group.election.epoch, ACKS, spell(wanted.text, group.me)),)


def become_follower(group: Group, now: Now) -> None:
    """Lead or stand no longer, in the same epoch; a timer will see to it that somebody does."""
    if group.election.role == LEADER:
        step_down(group, now)
    permits.drop(group)
    group.election.become(FOLLOWER)
    if group.election.leader == NOBODY:
        group.set_election_timer(now)


def step_down(group: Group, now: Now) -> None:
    """Stop leading: undo what is not logged, tell callers what is true, forget the followers."""
    group.note("stepped_down")
    permits.drop(group)
    group.election.become(FOLLOWER)
    group.election.leader = NOBODY
    group.election.noop = 0
    transfer.ended(group)
    group.leaving.stay()
    group.host.resign(group.group, group.election.epoch)
    snapshots.close_all(group)
    group.end_progress()
    waiting = writes.take_all(group)
    if not transfer.hold(group, waiting):
        group.answer_all(waiting, NotLeader(""))
    writes.abandon(group)
    reads.refuse_all(group)
    verification.abandon(group)
    group.set_election_timer(now)


def adopt_epoch(group: Group, now: Now, epoch: int, leader: NodeId) -> None:
    """A higher epoch exists: whatever this replica was, it now follows in that epoch."""
    assert epoch > group.election.epoch, "epochs only rise"
    was_leader = group.election.role == LEADER
    if was_leader:
        step_down(group, now)
    permits.drop(group)
    group.election.epoch = epoch
    rewinding.forget(group)
    group.election.vote = NOBODY
    group.election.become(FOLLOWER)
    group.election.leader = NOBODY
    group.persist_hard_state()
    if leader != NOBODY:
        follow(group, now, leader)
    else:
        group.set_election_timer(now)


def heard_leader(group: Group, now: Now, sender: NodeId, epoch: int) -> None:
    """A message of the leader of `epoch`, which is not below ours. Whether it is a member, the log will say: a leader's
    configuration may be newer than ours (Ongaro 2014, section 4.1)."""
    if epoch > group.election.epoch:
        adopt_epoch(group, now, epoch, sender)
    elif group.election.leader != sender:
        follow(group, now, sender)


def follow(group: Group, now: Now, leader: NodeId) -> None:
    """This node was heard to lead the epoch that this replica is in."""
    assert group.election.role != LEADER, "two leaders in one epoch"
    assert group.election.leader in (NOBODY, leader), "two leaders in one epoch"
    if group.election.role != FOLLOWER:
        group.election.become(FOLLOWER)
    if group.election.leader != leader:
        permits.drop(group)
        group.election.leader = leader
        repair.hears_leader(group)
        snapshots.forget(group)
        group.note("follows", leader=leader)
        transfer.taken_over(group)
        orders.conclude(group)
    group.host.cancel_timer(group.election_timer)
    if not group.host.heard(now, leader):
        group.set_election_timer(now)


def led_by_nobody(group: Group) -> None:
    """There is no group any more."""
    group.election.leader = NOBODY


def forget_vote(group: Group) -> None:
    """Whether this replica has voted in this epoch is not known any more: it votes for nobody in it."""
    group.election.vote = group.election.vote or UNKNOWN_VOTE


def lose_leader(group: Group, now: Now) -> None:
    """The node that led is gone, restarted, or says that it leads no more."""
    if group.election.role == LEADER:
        return
    group.election.leader = NOBODY
    reads.forget_asked(group)
    group.set_election_timer(now, soon=True)


def check_quorum(group: Group, now: Now, fresh: Mapping[NodeId, int]) -> None:
    """A leader that a majority has not answered for too long must not believe that it still leads.

    `fresh` says for each peer until when the newest of our heartbeats that it answered tells that it follows.
    """
    if group.election.role != LEADER or not orders.steps_down_for_others(group):
        return
    if now.mono_us < group.election.led_since_us + group.settings.suspect_us:
        return
    answered = [peer for peer in group.electors if fresh.get(peer, 0) > now.mono_us]
    if not group.majority_of((group.me, *answered)):
        group.note("lost_quorum")
        become_follower(group, now)
