"""A replica whose log is not the new leader's: what is lost with its tail is saved first.

Under `async` an entry may count, be applied and be answered, and then be missing from the log of a later leader. A
replica that finds out (its leader's entry differs from its own at some index) keeps its own entries from there on
outside the log, durably, and only then drops them. If its data file holds one of them, there is no undo: it asks for
a copy. Entries that perhaps never counted are kept with the others: nobody can tell them apart any more.

The same befalls a replica when somebody accepted a loss (`orders`). Every other acks rule lets none of this happen:
there the assertions of `shipping._overwrite` stand.
"""

from itertools import pairwise

from quorate.core.acks_rule import ASYNC, DEFAULT, read_noop, read_rule
from quorate.core.kernel import NOOP, Entry, LostSaved, NodeId, Now, Position, SaveLost
from quorate.core.single_leader import shipping, snapshots
from quorate.core.single_leader.messages import Append
from quorate.core.single_leader.state import LEADER, NOBODY, Group

REIGNS_SHOWN = 16


def may_drop(group: Group, now: Now, first: int) -> bool:
    """Whether the log may be replaced from this index on. If not, the leader's message is dropped; it comes again."""
    if first > group.log.last.index or not group.lossy:
        return True
    loose = group.rules.counted.kind == ASYNC or group.loss_at == first
    safe = group.rules.since if loose else group.counted
    assert first > max(safe, group.agreed), "what counted by more than its leader would be lost"
    if group.applying >= first:
        return False  # wait and see where the data file stands
    if group.applied.index >= first:
        rewind(group, first)
        return False
    if 0 < group.saved <= first:
        group.counted = min(group.counted, first - 1)
        return True
    save(group, now, first)
    return False


def note_loss(group: Group, entry: Entry) -> None:
    """This is the first entry of the leader's log that ours has not. If it begins an epoch with an accepted loss, what
    we have in its place may have counted; otherwise it cannot have: whoever was elected with enough votes before that
    epoch had everything, so that the first difference is just there."""
    if entry.kind == NOOP and entry.index <= group.log.last.index and read_noop(entry.payload)[1]:
        group.loss_at = entry.index


def may_lose(group: Group) -> bool:
    """Whether the log may hold what counted and is in no later leader's. A damaged replica does not know its rule: then
    what the catalog wants has to do."""
    wanted = read_rule(group.host.wanted_acks(group.database) or str(DEFAULT))
    return group.lossy or group.is_narrow or (group.log_damaged and wanted.kind == ASYNC)


def rewind(group: Group, first: int) -> None:
    """The data file holds what the leader's log does not: ask for a copy."""
    assert first > group.agreed, "what a majority holds would be lost"
    if not group.rewind:
        group.note("rewinds", index=first)
    group.rewind = first
    shipping.ask_for_snapshot(group)


def save(group: Group, now: Now, first: int, snapshot: int = 0) -> None:
    """Keep what is about to be dropped. What is not durable here yet has been promised to nobody by this node."""
    if not group.saving:
        group.saving = True
        group.host.emit(SaveLost(group.group, first, snapshot, now.wall_us))


def on_saved(group: Group, now: Now, event: LostSaved) -> None:
    """It is kept, or could not be: then the log stays as it is, and the next message tries again."""
    group.saving = False
    if event.failed:
        group.note("lost_not_saved", reason=event.failed)
        return
    group.note("lost_saved", first=event.first, entries=event.entries)
    group.saved = max(1, event.first)
    if group.incoming is not None and group.incoming.complete:
        snapshots.switch(group, now, group.incoming)


def unknown(group: Group) -> list[tuple[int, int, NodeId]]:
    """As leader: of which earlier leaders nobody here knows what they counted beyond our log. For each: the epoch, the
    index from which on, and who. One that has come back and follows is known: it saved what it had."""
    found = []
    reigns = group.rules.reigns[-REIGNS_SHOWN:] if group.role == LEADER else []
    for reign, following in pairwise(reigns):
        progress = group.progress.get(reign.leader)
        came_back = progress is not None and progress.matched >= following.index
        if (
            following.loses
            and reign.epoch != following.epoch
            and reign.leader not in (NOBODY, group.me)
            and not came_back
        ):
            found.append((reign.epoch, following.index, reign.leader))
    return found


def parted_at(group: Group, message: Append) -> int:
    """The index at or before our log's base where the leader's log is known to differ; 0: none.

    What counted before `async` was in force is the same everywhere.
    """
    if not group.rules.lossy:
        return 0
    positions = [message.previous, *(Position(entry.epoch, entry.index) for entry in message.entries)]
    for position in positions:
        if position.index > group.log.base.index:
            break
        known = group.epoch_at(position.index)
        if known is not None and known != position.epoch:
            return position.index
    return 0
