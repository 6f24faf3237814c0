"""A person decides who leads: what `failover = manual` forbids, and what a replica does that is told to stand.

Under `manual` nobody stands by himself once a group's log says so. A replica stands because its leader hands over
(`transfer`), or because somebody orders it to while nobody leads. It asks around first and needs the same votes as any
candidate. With *accept loss* a majority of the voters is enough, though the ack policy asks for more: never less than a
majority, or an epoch could have two leaders. What the others alone had committed is then lost, and the epoch says so in
its first entry (`ack_policy.spell_noop`), so that whoever comes back saves its tail and who does not is listed.
"""

from quorate.core.bounds import NodeId
from quorate.core.kernel import Now
from quorate.core.quorum import joint_vote_won, majority
from quorate.core.requests import NotLeader, Refused
from quorate.core.single_leader import transfer
from quorate.core.single_leader.owned import NOBODY
from quorate.core.single_leader.records import Order
from quorate.core.single_leader.roles import LEADER
from quorate.core.single_leader.state import Group


def may_by_itself(group: Group, now: Now) -> bool:
    """Whether this replica may stand without being asked: always when it is alone, or was told to, or has just handed
    over to somebody who has not taken over. Also when its node was taken out of the cluster: nobody can tell it
    anything any more, and somebody has to lead for its place to be given to others."""
    return was_told(group, now) or not group.rules.by_hand or not group.electors


def was_told(group: Group, now: Now) -> bool:
    """Whether somebody's word stands behind this replica, or nobody's can."""
    return group.order is not None or now.mono_us < group.handover.resumes_until_us or group.host.removed


def steps_down_for_others(group: Group) -> bool:
    """Whether a leader that cannot work gives way: under `manual` nobody would take its place."""
    return not group.rules.by_hand


def submit(group: Group, now: Now, id: int, to: NodeId, *, accept_loss: bool) -> bool:
    """A caller wants a replica to lead, and this one does not: here, at the leader, or at the one that is meant.
    Whether this one is to stand now."""
    if group.leader_is_alive(now) or group.host.draining:
        group.reply(id, NotLeader(group.leader_address()))
    elif to in (group.me, NOBODY):
        return _stands(group, now, id, to, accept_loss=accept_loss)
    elif group.votes_here and to not in group.voters:  # a learner does not know who votes
        names = ", ".join(group.host.name_of(node) for node in group.voters)
        text = f"{group.host.name_of(to)} holds no replica of {group.database}"
        group.reply(id, transfer.refused(text, f"its replicas are on {names}"))
    elif not group.host.heard(now, to):
        name = group.host.name_of(to)
        group.reply(id, transfer.refused(f"{name} is away", f"choose another replica, or start {name}"))
    else:
        group.reply(id, NotLeader(group.host.address_of(to)))
    return False


def _stands(group: Group, now: Now, id: int, to: NodeId, *, accept_loss: bool) -> bool:
    if to == NOBODY and not accept_loss and not group.rules.by_hand:
        group.reply(id, NotLeader(""))  # somebody will stand by himself
    elif to == NOBODY:
        text = f"nobody leads {group.database}, so the node that is to lead must be named"
        group.reply(id, transfer.refused(text, "`quorate status` shows how far each replica is"))
    elif why := _cannot(group, now):
        name = group.host.name_of(group.me)
        group.reply(id, transfer.refused(f"{name} cannot lead {group.database}: {why}", "choose another replica"))
    elif group.order is not None and group.order.accept_loss == accept_loss:
        group.order.callers.append(id)
    elif group.order is not None:
        group.reply(id, Refused("Unavailable", f"{group.database} is being failed over", "", retryable=True))
    else:
        group.order = Order([id], now.mono_us + group.settings.answer_timeout_us, accept_loss)
        group.note("ordered", accept_loss=accept_loss)
        return True
    return False


def _cannot(group: Group, now: Now) -> str:
    """Why this replica cannot be made leader now; empty when it can."""
    if group.repair.damaged:
        return f"its replica is damaged ({group.repair.damaged})"
    if group.host.disk_full or now.mono_us < group.apply.no_room_until_us:
        lacks = "" if group.host.disk_full else group.apply.lacks
        return f"it lacks something: {lacks}" if lacks else "its disk has no room"
    if group.left_out:
        return "it is in it no more"
    if not group.votes_here:
        return "its replica has no vote yet"
    return "" if group.may_stand() else "its replica is not open yet"


def refused_by(group: Group, sender: NodeId) -> None:
    """Somebody would not vote for us."""
    if group.order is not None:
        group.order.refused[sender] = None


def on_timer(group: Group, now: Now) -> None:
    """Another attempt ends without enough votes; after a while so does the order."""
    order = group.order
    if order is None:
        return
    order.rounds += 1
    if now.mono_us < order.until_us:
        return
    group.order = None
    yes = [voter for voter in group.voters if group.election.votes.get(voter)]
    silent = [each for each in group.voters if each not in yes and each not in order.refused]
    refusing = [each for each in order.refused if each not in yes]
    text = f"{group.host.name_of(group.me)} got {len(yes)} of the {_needed(group, order)} votes that it needs"
    if silent:
        text += f"; {_names(group, silent)} did not answer"
    if refusing:
        text += f"; {_names(group, refusing)} refused"
    for caller in order.callers:
        group.reply(caller, transfer.refused(text, _hint(group, order, len(yes), refusing)))


def _names(group: Group, nodes: list[NodeId]) -> str:
    return ", ".join(group.host.name_of(node) for node in nodes)


def _needed(group: Group, order: Order) -> int:
    return (majority if order.is_loose else group.rules.votes)(len(group.voters))


def _hint(group: Group, order: Order, yes: int, refusing: list[NodeId]) -> str:
    if refusing:
        return "those who refuse have more in their logs, or hear a leader: name one of them"
    if not order.accept_loss and yes >= majority(len(group.voters)):
        return "with --accept-loss a majority is enough; what only those had that are away is then lost"
    return "start more of its nodes"


def conclude(group: Group) -> None:
    """It is known who leads."""
    order, group.order = group.order, None
    if order is None:
        return
    for caller in order.callers:
        if group.election.role == LEADER:
            group.reply(caller, transfer.done(group, group.me, ""))
        else:
            group.reply(caller, NotLeader(group.leader_address()))


def loss_is_accepted(group: Group) -> bool:
    """As the winner of a vote: it took fewer voters than the ack policy asks for."""
    if group.order is None or not group.order.is_loose:
        return False
    configuration = group.configuration
    return (
        joint_vote_won(configuration.voters, configuration.following, group.election.votes, group.rules.votes)
        is not True
    )
