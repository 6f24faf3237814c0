"""What follows when an entry is committed: it is applied, the data file is checkpointed, and the log trimmed.

What stands in the way, and who hears that the data file has moved, is in `replica`.
"""

from quorate.core.entries import Position, TrimLog
from quorate.core.kernel import CATALOG_GROUP, Applied, Apply, ApplyFailed, Checkpoint, Checkpointed, Now
from quorate.core.requests import Refused
from quorate.core.single_leader import repair
from quorate.core.single_leader.owned import NOBODY
from quorate.core.single_leader.roles import LEADER
from quorate.core.single_leader.state import Group

NO_ROOM = Refused("DiskFull", "the node's disk has no room", "free some space", retryable=True)


def apply_more(group: Group, *, gathered: bool = False) -> None:
    """Bring the data file forward to what is both committed and durable here, or soon (`Settings.apply_delay_us`)."""
    if group.settling.stack or group.writes.batch is not None:
        return  # the open transaction holds what is not applied: `settling`
    state = group.apply
    if state.applying or not state.opened or group.fetching.switching or state.blocked or group.needs_snapshot():
        return
    target = min(group.commit.committed, group.commit.persisted)
    first = state.applied.index + 1
    limit = group.verifying.limit(group.election.epoch, group.election.leader, state.applied.index)
    if limit is not None:
        target, gathered = min(target, limit), True
    if target < first:
        return
    if not gathered and _may_gather(group, target):
        group.apply_later(group.settings.apply_delay_us)
        return
    group.holding.end(group.host.now_us)  # storage undoes what is open
    entries = group.log.slice(first, target, group.settings.apply_bytes_max)
    if entries is not None:
        target = entries[-1].index
        group.apply.bytes_since_checkpoint += sum(len(entry.payload) for entry in entries)
    else:
        target = min(target, first + group.settings.ship_entries_ahead)
    group.apply.applying = target
    group.host.emit(Apply(group.group, group.log.position_at(target), entries or ()))


def _may_gather(group: Group, target: int) -> bool:
    """Whether nobody waits for these entries, so that more may come before they are applied together."""
    return (
        group.election.role != LEADER
        and not group.reading.applying
        and group.group != CATALOG_GROUP
        and target - group.apply.applied.index < group.settings.apply_entries_max
    )


def executed(group: Group, size: int) -> None:
    """So many bytes of changes lie in the open transaction, which `settling` commits."""
    group.apply.bytes_since_checkpoint += size


def committing(group: Group, position: Position) -> None:
    """The open transaction is being committed: it leads to here."""
    group.apply.applying = position.index


def on_applied(group: Group, now: Now, event: Applied) -> None:
    """The data file moved (or was opened, or replaced). Others follow (`replica`)."""
    if not group.apply.opened:
        group.apply.opened = True
        group.apply.applied = event.position
        group.apply.checkpointed = max(group.apply.checkpointed, group.log.base.index)
        if group.election.eager and group.election.leader == NOBODY:
            group.host.set_timer(group.election_timer, now.mono_us)
    elif event.position.index >= group.apply.applied.index or group.fetching.switching:
        group.apply.applied = event.position
    group.apply.applying = 0
    group.apply.unsynced = event.unsynced
    if group.election.role == LEADER and group.apply.applied.index >= group.election.noop:
        group.host.make_ready(group.group)


def unblock(group: Group) -> None:
    """It may be tried again."""
    group.apply.blocked = False


def replaced(group: Group, index: int) -> None:
    """A copy that stands here has become the data file."""
    group.apply.checkpointing = False
    group.apply.checkpointed = index


def on_failed(group: Group, now: Now, event: ApplyFailed) -> bool:
    """No room: try again later. Anything else: this replica is damaged. Whether it is."""
    failing, group.apply.applying = group.apply.applying, 0
    if event.full:
        group.apply.blocked = True
        if now.mono_us >= group.apply.no_room_until_us:
            group.note("lacking" if event.lacking else "no_room", why=event.reason)
        group.apply.lacks = event.reason if event.lacking else ""
        group.apply.no_room_until_us = now.mono_us + 2 * group.settings.suspect_us
    else:
        group.apply.opened = True
        group.apply.checkpointing = False
        repair.found_damaged(group, event, failing)
    return not event.full


def refusal(group: Group) -> Refused:
    """Why this replica takes no writes that could be carried out in its data file."""
    if group.host.disk_full or not group.apply.lacks:
        return NO_ROOM
    hint = "give this node the file that the others have, list it in `resolvers` of node.toml, and restart it"
    return Refused("Unavailable", f"this node cannot go on: {group.apply.lacks}", hint, retryable=True)


def maybe_checkpoint(group: Group) -> None:
    """Ask for a checkpoint when enough was applied since the last."""
    due = (
        group.apply.applied.index - group.apply.checkpointed >= group.settings.checkpoint_entries
        or max(group.apply.bytes_since_checkpoint, group.apply.unsynced) >= group.settings.checkpoint_bytes
    )
    at_rest = (
        group.apply.opened
        and group.writes.batch is None
        and not group.settling.stack
        and not group.apply.applying
        and not group.holding.name
    )
    if due and at_rest and not group.apply.checkpointing:
        group.apply.checkpointing = True
        group.apply.bytes_since_checkpoint = 0
        group.host.emit(Checkpoint(group.group))


def on_checkpointed(group: Group, _now: Now, event: Checkpointed) -> None:
    """The data file holds everything up to here by itself: the log may forget most of it."""
    group.apply.checkpointing = False
    group.apply.checkpointed = max(group.apply.checkpointed, event.position.index)
    held = min(event.position.index, group.apply.applied.index, group.commit.persisted)
    if group.rules.lossy or group.is_narrow:
        held = min(held, group.commit.agreed)  # a tail that may be lost must be there to be saved
    small = group.log.first_within(group.settings.log_keep_bytes)
    through = min(held, max(held - group.settings.log_keep_entries, small), group.keeps_log_from())
    for progress in group.progress.values():
        if progress.copying and progress.snapshot:
            through = min(through, progress.snapshot_at.index)
    group.log.shrink(group.settings.cache_bytes_max, group.apply.applied.index)
    if through > group.log.base.index and not group.fetching.switching:
        position = group.log.position_at(through)
        group.log.trim(position)
        group.persist(TrimLog(group.group, position))
