"""An etcd permits to stand, and fixes the epoch: what `failover = etcd` asks beside the votes.

1. A replica hears no leader, and asks around (pre-vote). A majority would vote for it.
2. It asks for the permit: a key in etcd that is created only if nobody has it.
3. The revision at which it was created is the epoch that it stands for. If its group is in a later epoch already, it
   takes the key again: revisions only rise.
4. It needs the votes that the acks ask for, like any candidate, and gives the permit back when it is not elected, or
   ceases to lead.

The permit elects nobody and deposes nobody: an old leader whose permit ran out goes on until it hears of a higher
epoch, or a majority is silent (check-quorum); and one that has it still is deposed by a higher epoch all the same.
Whoever is told to stand (`transfer`, `orders`) needs none. While etcd is away leaders go on, and elections wait.

Source of the epoch: the sequencers of Chubby, Burrows 2006, section 2.4; etcd's create revision is one.
"""

from quorate.core.kernel import Now
from quorate.core.permits import AskPermit, Denied, DropPermit, Permitted, PermitUnavailable
from quorate.core.single_leader import orders
from quorate.core.single_leader.roles import LEADER, PRE_CANDIDATE
from quorate.core.single_leader.state import Group


def needed(group: Group, now: Now) -> bool:
    """Whether this replica may not stand now without a permit."""
    return group.rules.by_permit and bool(group.electors) and not orders.was_told(group, now)


def epoch(group: Group) -> int:
    """The epoch that the permit is for which this replica has. 0: it has none for a later one, and asks for it."""
    permit = group.permit
    if permit.epoch > group.election.epoch:
        return permit.epoch
    if not permit.asked:
        _ask(group)
    return 0


def _ask(group: Group) -> None:
    permit = group.permit
    permit.numbers += 1
    permit.asked = permit.numbers
    permit.epoch = 0  # the one that we stood with is replaced
    group.host.emit(AskPermit(group.group, permit.asked))


def on_permitted(group: Group, now: Now, event: Permitted) -> bool:
    """Whether this replica may stand now."""
    permit = group.permit
    if event.number != permit.asked:
        return False
    permit.asked = 0
    permit.why = ""
    if group.election.role != PRE_CANDIDATE or not needed(group, now):
        group.host.emit(DropPermit(group.group, event.epoch))
    elif event.epoch <= group.election.epoch:  # a transfer or an order has raised it past etcd's revision
        group.note("permit_too_low", revision=event.epoch)
        _ask(group)
    else:
        permit.epoch = event.epoch
        group.note("permitted", revision=event.epoch)
        return True
    return False


def on_denied(group: Group, _now: Now, event: Denied) -> None:
    if event.number == group.permit.asked:
        group.permit.asked = 0
        group.permit.why = f"{group.host.name_of(event.holder)} has the permit still"
        group.note("permit_denied", holder=event.holder)


def on_unavailable(group: Group, _now: Now, event: PermitUnavailable) -> None:
    if event.number == group.permit.asked:
        group.permit.asked = 0
        group.permit.why = f"etcd gives no permit: {event.reason}"
        group.note("permit_unavailable", reason=event.reason)


def drop(group: Group) -> None:
    """This replica neither leads nor stands now."""
    group.permit.why = ""
    give_back(group)


def give_back(group: Group) -> None:
    """Another round of asking around begins: whoever wins it asks for a permit. One that is kept until then may be kept
    for ever, while others may not stand: (1) a replica whose log is short gets a permit; (2) those who would have voted
    for it hear their leader once more, and get more entries; (3) the leader dies."""
    permit = group.permit
    if permit.epoch:
        group.host.emit(DropPermit(group.group, permit.epoch))
        permit.epoch = 0


def missing(group: Group) -> str:
    """Why this replica, which would stand, may not; empty when that is not so."""
    return group.permit.why if group.election.role != LEADER and group.rules.by_permit else ""
