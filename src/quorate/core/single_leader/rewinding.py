"""A replica whose log is not the new leader's: what is lost with its tail is saved first.

Under `async` an entry may count, be applied and be answered, and then be missing from the log of a later leader. A
replica that finds out (its leader's entry differs from its own at some index) keeps its own entries from there on
outside the log, durably, and only then drops them. If its data file holds one of them, there is no undo: it asks for
a copy. Entries that perhaps were never committed are kept with the others: nobody can tell them apart any more.

The same befalls a replica when somebody accepted a loss (`orders`).

Every other ack policy lets none of this happen, but where a node's folder was put back from an older copy and nobody
who was there could tell (`core.superseding`): then a majority may elect a leader that lacks what was committed. Whoever
still has that finds it out by one of two signs, and keeps his tail in the same way. Either he knows that what the
leader's log has not did count; or the entry at which the logs part says in which lives its leader was elected, and one
of them is of a folder that does not know a life that was heard here. (Without a sign the tail is what any failover may
leave behind: it was never committed.) Two such leaders may have given the same number to different epochs, so the mark
of the entry that began it is compared too.
"""

from itertools import pairwise

from quorate.core.ack_policy import ASYNC, DEFAULT, mark_of, read_electors, read_noop
from quorate.core.bounds import NodeId
from quorate.core.entries import NOOP, Entry, Position
from quorate.core.kernel import LostSaved, Now, SaveLost
from quorate.core.single_leader import commit, repair
from quorate.core.single_leader.messages import Append
from quorate.core.single_leader.owned import NOBODY
from quorate.core.single_leader.roles import LEADER
from quorate.core.single_leader.rules import wanted_rule
from quorate.core.single_leader.state import Group

LEADERSHIPS_SHOWN = 16


def may_drop(group: Group, now: Now, first: int) -> bool:
    """Whether the log may be replaced from this index on. If not, the leader's message is dropped; it comes again."""
    if first > group.log.last.index or not group.lossy:
        return True
    if group.apply.applying >= first:
        return False  # wait and see where the data file stands
    if max(group.apply.applied.index, group.rules.since, group.membership.since) >= first:
        rewind(group, first)
        return False
    if 0 < group.rewinding.saved <= first:
        commit.lose(group, first - 1)
        return True
    save(group, now, first)
    return False


def note_loss(group: Group, entry: Entry) -> None:
    """This is the first entry of the leader's log that ours has not. If it begins an epoch with an accepted loss, or by
    the vote of a folder that has forgotten, what we have in its place may have been committed; otherwise it cannot
    have: whoever was elected with enough votes before that epoch had everything, so that the first difference is just
    there."""
    first = entry.index
    if first > group.log.last.index:
        return
    if entry.kind == NOOP and read_noop(entry.payload)[1]:
        group.rewinding.loss_at = first
    loose = group.rules.committed.kind == ASYNC or group.rewinding.loss_at == first
    safe = group.rules.since if loose else max(group.commit.committed, group.apply.applied.index)
    if first <= max(safe, group.commit.agreed) or (
        entry.kind == NOOP and group.host.forgot(read_electors(entry.payload))
    ):
        contradicted(group, first)


def contradicted(group: Group, first: int) -> None:
    """What was committed is not in the leader's log from this index on: our tail is kept before it is dropped."""
    if group.rewinding.loss_at != first:
        group.note("contradicted", index=first, committed=group.commit.committed)
    group.rewinding.loss_at = first
    commit.contradict(group, first - 1)


def may_lose(group: Group) -> bool:
    """Whether the log may hold what was committed and is in no later leader's: any that is not empty may. A damaged
    replica does not know its rule: then what the catalog wants has to do."""
    wanted = wanted_rule(group.host, group.database) or DEFAULT
    some = group.log.last.index > group.log.base.index
    return some or group.lossy or group.is_narrow or (group.log_damaged and wanted.kind == ASYNC)


def rewind(group: Group, first: int) -> None:
    """The data file holds what the leader's log does not: ask for a copy."""
    if not group.rewinding.first:
        group.note("rewinds", index=first)
    group.rewinding.first = first
    repair.ask_for_copy(group)


def save(group: Group, now: Now, first: int, snapshot: int = 0) -> None:
    """Keep what is about to be dropped. What is not durable here yet has been promised to nobody by this node."""
    if not group.rewinding.saving:
        group.rewinding.saving = True
        group.host.emit(SaveLost(group.group, first, snapshot, now.wall_us))


def on_saved(group: Group, event: LostSaved) -> None:
    """It is kept, or could not be: then the log stays as it is, and the next message tries again."""
    group.rewinding.saving = False
    if event.failed:
        group.note("lost_not_saved", reason=event.failed)
        return
    group.note("lost_saved", first=event.first, entries=event.entries)
    group.rewinding.saved = max(1, event.first)


def not_saved(group: Group) -> None:
    """What was kept is not the tail of the log any more."""
    group.rewinding.saved = 0


def forget(group: Group) -> None:
    """Another epoch begins: its leader's log may be ours."""
    group.rewinding.first = group.rewinding.loss_at = 0


def ended(group: Group) -> None:
    """What the leader's log does not hold is gone from ours."""
    forget(group)
    not_saved(group)


def unknown(group: Group) -> list[tuple[int, int, NodeId]]:
    """As leader: of which earlier leaders nobody here knows what they committed beyond our log. For each: the epoch,
    the index from which on, and who. One that has come back and follows is known: it saved what it had."""
    found = []
    leaderships = group.rules.leaderships[-LEADERSHIPS_SHOWN:] if group.election.role == LEADER else []
    for leadership, following in pairwise(leaderships):
        progress = group.progress.get(leadership.leader)
        came_back = progress is not None and progress.matched >= following.index
        if (
            following.loses
            and leadership.epoch != following.epoch
            and leadership.leader not in (NOBODY, group.me)
            and not came_back
        ):
            found.append((leadership.epoch, following.index, leadership.leader))
    return found


def parted_at(group: Group, message: Append) -> int:
    """The index at or before our log's base where the leader's log is known to differ; 0: none."""
    base = group.log.base
    begun = other_epoch(group, message)
    if 0 < begun <= base.index:
        return begun
    if message.previous.index > base.index:
        return 0
    if _differs(group, message.previous):
        return message.previous.index
    for entry in message.entries:
        if entry.index > base.index:
            break
        if _differs(group, Position(entry.epoch, entry.index)) or begins_another(group, entry):
            return entry.index
    return 0


def _differs(group: Group, position: Position) -> bool:
    """Whether this is not the epoch of the entry that our log had there. Epochs never go down."""
    known = group.epoch_at(position.index)
    return position.epoch > group.log.base.epoch if known is None else known != position.epoch


def other_epoch(group: Group, message: Append) -> int:
    """Where the epoch of what comes before these entries began in our log, if it is another with the same number."""
    begun = group.rules.begun_at(message.previous.index) if message.mark else None
    if begun is None or begun.epoch != message.previous.epoch or begun.mark == message.mark:
        return 0
    return begun.index


def begins_another(group: Group, entry: Entry) -> bool:
    """Whether this entry begins an epoch, and ours at its index begins another with the same number."""
    if entry.kind != NOOP:
        return False
    begun, mark = group.rules.begun_at(entry.index), mark_of(entry.payload)
    return begun is not None and begun.epoch == entry.epoch and mark not in (0, begun.mark)
