"""What follows when an entry is counted: it is applied, the data file is checkpointed, and the log trimmed.

What stands in the way, and who hears that the data file has moved, is in `replica`.
"""

from quorate.core.acks_rule import NOTHING_SAID
from quorate.core.kernel import CATALOG_GROUP, Applied, Apply, ApplyFailed, Checkpoint, Checkpointed, Now, Send, TrimLog
from quorate.core.single_leader import repair
from quorate.core.single_leader.messages import SnapshotDone
from quorate.core.single_leader.state import LEADER, NOBODY, Group


def apply_more(group: Group, *, gathered: bool = False) -> None:
    """Bring the data file forward to what is both counted and durable here, or soon (`Settings.apply_delay_us`)."""
    if group.applying or not group.opened or group.switching or group.apply_blocked or group.needs_snapshot():
        return
    if group.batch is not None or group.stack:  # the open transaction holds what is not applied: `writes.settle`
        return
    target = min(group.counted, group.persisted)
    first = group.applied.index + 1
    limit = group.verifying.limit(group.epoch, group.leader, group.applied.index)
    if limit is not None:
        target, gathered = min(target, limit), True
    if target < first:
        return
    if not gathered and _may_gather(group, target):
        group.apply_later(group.settings.apply_delay_us)
        return
    entries = group.log.slice(first, target, group.settings.apply_bytes_max)
    if entries is not None:
        target = entries[-1].index
        group.bytes_since_checkpoint += sum(len(entry.payload) for entry in entries)
    else:
        target = min(target, first + group.settings.ship_entries_ahead)
    group.applying = target
    group.host.emit(Apply(group.group, group.log.position_at(target), entries or ()))


def _may_gather(group: Group, target: int) -> bool:
    """Whether nobody waits for these entries, so that more may come before they are applied together."""
    return (
        group.role != LEADER
        and not group.reading.applying
        and group.group != CATALOG_GROUP
        and target - group.applied.index < group.settings.apply_entries_max
    )


def on_applied(group: Group, now: Now, event: Applied) -> None:
    """The data file moved (or was opened, or replaced). Others follow (`replica`)."""
    if not group.opened:
        group.opened = True
        group.applied = event.position
        group.counted = max(group.counted, min(event.position.index, group.log.last.index))
        group.checkpointed = max(group.checkpointed, group.log.base.index)
        if group.eager and group.leader == NOBODY:
            group.host.set_timer(group.election_timer, now.mono_us)
    elif event.position.index >= group.applied.index or group.switching:
        group.applied = event.position
    group.applying = 0
    group.unsynced = event.unsynced
    if group.switching:
        _finish_switch(group, event)
    if group.role == LEADER and group.applied.index >= group.noop:
        group.host.make_ready(group.group)


def _finish_switch(group: Group, event: Applied) -> None:
    incoming, position = group.incoming, event.position
    if not group.repair.beside:  # else our own log has told us all of that, and more
        group.rules.replaced(event.acks or NOTHING_SAID)
        group.membership.replaced(event.acks or NOTHING_SAID)
        group.configure()
    group.switching = False
    group.checkpointing = False
    group.incoming = None
    group.checkpointed = position.index
    group.note("snapshot_installed", index=position.index)
    repair.installed(group)
    if incoming is not None and group.leader == incoming.leader != NOBODY:
        done = SnapshotDone(group.group, group.epoch, incoming.theirs, position)
        group.host.emit(Send(group.leader, done))


def on_failed(group: Group, now: Now, event: ApplyFailed) -> None:
    """No room: try again later. Anything else: this replica is damaged."""
    failing, group.applying = group.applying, 0
    if event.full:
        group.apply_blocked = True
        if now.mono_us >= group.no_room_until_us:
            group.note("no_room")
        group.no_room_until_us = now.mono_us + 2 * group.settings.suspect_us
    else:
        repair.found_damaged(group, event, failing)


def maybe_checkpoint(group: Group) -> None:
    """Ask for a checkpoint when enough was applied since the last."""
    due = (
        group.applied.index - group.checkpointed >= group.settings.checkpoint_entries
        or max(group.bytes_since_checkpoint, group.unsynced) >= group.settings.checkpoint_bytes
    )
    at_rest = group.opened and group.batch is None and not group.stack and not group.applying
    if due and at_rest and not group.checkpointing:
        group.checkpointing = True
        group.bytes_since_checkpoint = 0
        group.host.emit(Checkpoint(group.group))


def on_checkpointed(group: Group, _now: Now, event: Checkpointed) -> None:
    """The data file holds everything up to here by itself: the log may forget most of it."""
    group.checkpointing = False
    group.checkpointed = max(group.checkpointed, event.position.index)
    held = min(event.position.index, group.applied.index, group.persisted)
    if group.rules.lossy or group.is_narrow:
        held = min(held, group.agreed)  # a tail that may be lost must be there to be saved
    small = group.log.first_within(group.settings.log_keep_bytes)
    through = min(held, max(held - group.settings.log_keep_entries, small))
    for progress in group.progress.values():
        if progress.copying and progress.snapshot:
            through = min(through, progress.snapshot_at.index)
    group.log.shrink(group.settings.cache_bytes_max, group.applied.index)
    if through > group.log.base.index and not group.switching:
        position = group.log.position_at(through)
        group.log.trim(position)
        group.persist(TrimLog(group.group, position))
