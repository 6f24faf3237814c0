"""A leader brings its group's members to what the catalog wants, one entry of the log at a time.

The plan is `membership.next_step`. Here: when a step may be taken, who is caught up, and how a leader goes that has
changed itself out of its group: it leads until the configuration without it is committed, then it hands over and steps
down (Ongaro 2014, section 4.2.2).
"""

from quorate.core import membership
from quorate.core.bounds import NodeId
from quorate.core.entries import MEMBERS, Entry
from quorate.core.kernel import Now
from quorate.core.single_leader import election, orders, settling, shipping, transfer
from quorate.core.single_leader.messages import PreVote
from quorate.core.single_leader.progress import REPLICATING
from quorate.core.single_leader.roles import LEADER
from quorate.core.single_leader.state import Group

HAND_OVER_AGAIN = 4
"""So many times the time in which a node is taken for dead, between two attempts to hand over."""


def wants_others(group: Group) -> bool:
    """Whether this replica leads, and its members are not (yet) those that the catalog wants."""
    return group.election.role == LEADER and _differ(group)


def _differ(group: Group) -> bool:
    """Whether the members, as far as this log says, are not (yet), or not for sure, those that the catalog wants."""
    if group.configuration.joint or group.membership.coming:
        return True
    wanted = group.host.wanted_members(group.group)
    return wanted is not None and not membership.reached(group.configuration, wanted)


def waits_for_others(group: Group) -> bool:
    """Whether this replica follows, and has not seen the members become those that the catalog wants."""
    return group.election.role != LEADER and not group.left_out and _differ(group)


def is_settled(group: Group, now: Now) -> bool:
    """Whether nothing is left to do for the members that are wanted, as far as this replica can tell. It is the leader
    who carries a change out, and who says so. While none is heard, whoever has not seen the end of it must speak:
    (1) a leader has appended the joint configuration; (2) it dies; (3) nobody leads, so nobody says that the change is
    under way; (4) somebody stops the node that goes, and the old voters have no majority any more."""
    return not (wants_others(group) or (waits_for_others(group) and not group.leader_is_alive(now)))


def reconcile(group: Group, now: Now) -> None:
    """As leader: take the next step, if the one before is committed and nothing is just being executed."""
    wanted = group.host.wanted_members(group.group)
    if (wanted is None and not group.configuration.joint) or not may_change(group):
        return
    if wanted is None:
        wanted = membership.Wanted(())  # what was begun is ended, whatever is wanted
    alive = {group.me, *(node for node in wanted.voters if group.host.heard(now, node))}
    step = membership.next_step(group.configuration, wanted, caught_up(group), alive)
    if step is not None:
        settling.settle_now(group)
        entry = Entry(group.log.last.index + 1, group.election.epoch, MEMBERS, membership.spell(step))
        group.note("members_change", voters=step.voters, learners=step.learners, following=step.following)
        shipping.append(group, now, (entry,))
        group.host.mention(group.group)


def may_change(group: Group) -> bool:
    """One change at a time, and none before our own no-op is applied: an earlier leader's may be under way still."""
    return (
        group.leads_ready
        and not group.membership.coming
        and group.writes.batch is None
        and not group.host.disk_full
        and group.handover.transfer is None
        and not group.handover.to
    )


def caught_up(group: Group) -> list[NodeId]:
    """Learners that have almost all of the log, so that writes do not wait for them once they vote."""
    enough = group.log.last.index - group.settings.promote_within
    return [
        peer
        for peer in group.configuration.learners
        if (progress := group.progress.get(peer)) is not None
        and progress.voter
        and progress.state == REPLICATING
        and progress.matched >= enough
    ]


def tick(group: Group, now: Now) -> bool:
    """Go on with a change; leave when we are not wanted any more. False when there is nothing to do."""
    if group.election.role != LEADER:
        return _ask_whether_out(group, now) or waits_for_others(group)
    if group.me not in group.voters and not group.membership.coming:
        _leave(group, now)
        return True
    if not wants_others(group):
        return False
    _hand_over(group, now)
    group.host.make_ready(group.group)
    return True


def unwanted(group: Group) -> bool:
    """Whether the catalog wants this replica no more, and its group may not have changed its members yet."""
    wanted = group.host.wanted_members(group.group)
    return wanted is not None and group.me not in (*wanted.voters, *wanted.learners) and not group.left_out


def _ask_whether_out(group: Group, now: Now) -> bool:
    """Nobody sends the log any more to a replica that is out, so the end of it may say something else: ask. False when
    there is no reason to.

    (1) A node becomes a learner; (2) it has the log's beginning, but not yet the entry that names it; (3) it is taken
    out again: it knows no member, and asks those that are wanted."""
    wanted = group.host.wanted_members(group.group)
    if wanted is None or not unwanted(group):
        return False
    if now.mono_us - group.leaving.asked_us >= group.settings.suspect_us:
        group.leaving.asked_us = now.mono_us
        for peer in group.electors or wanted.voters:
            group.send(peer, PreVote(group.group, group.election.epoch + 1, group.log.last))
    return True


def _hand_over(group: Group, now: Now) -> None:
    """We are to go: one that is to stay had better lead, who knows everybody that is to come. If none can take over,
    we lead the change ourselves."""
    wanted = group.host.wanted_members(group.group)
    if wanted is None or group.me in wanted.voters or group.configuration.joint or group.membership.coming:
        return
    again = now.mono_us - group.leaving.handed_us > HAND_OVER_AGAIN * group.settings.suspect_us
    if group.handover.transfer is None and again and group.leads_ready and transfer.begin(group, now, wanted.voters):
        group.leaving.handed_us = now.mono_us


def _leave(group: Group, now: Now) -> None:
    """The configuration without us is committed: hand over, and step down when that does not come about in time."""
    if not group.leaving.since_us:
        group.leaving.since_us = now.mono_us
        group.note("leaves")
    late = now.mono_us - group.leaving.since_us > 2 * group.settings.suspect_us
    going = group.handover.to or transfer.begin(group, now, group.electors)
    if (late or not going) and orders.steps_down_for_others(group):
        election.become_follower(group, now)
