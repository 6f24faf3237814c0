"""When an entry is counted, and what follows: commit, apply, trim.

A leader counts an entry when as many voters hold it durably as the acks rules ask (`rules`), its own disk being one
voice among them, and only through an entry of its own epoch (Ongaro 2014, sections 3.5 and 3.6.2; figure 3.7
shows what is lost otherwise). The no-op that begins an epoch, and each change of the rules or of the members, count by
majority.
"""

from quorate.core.acks_rule import NOTHING_SAID
from quorate.core.kernel import (
    CATALOG_GROUP,
    Applied,
    Apply,
    ApplyFailed,
    Checkpoint,
    Checkpointed,
    NodeId,
    Now,
    OpenGeneration,
    Persisted,
    Send,
    TrimLog,
)
from quorate.core.single_leader import election, orders, reads, repair, verification, writes
from quorate.core.single_leader.messages import SnapshotDone
from quorate.core.single_leader.state import FOLLOWER, LEADER, NOBODY, Group


def on_persisted(group: Group, now: Now, event: Persisted) -> None:
    """Everything up to this sequence is durable: speak what waited for it, and count ourselves."""
    while group.pending and group.pending[0].sequence <= event.sequence:
        pending = group.pending.popleft()
        # The same index may have been overwritten while it was on its way (A, then B, then "A is durable"):
        # it is durable only if it still is what the log says.
        last = pending.last
        if last is not None and group.log.epoch_at(last.index) == last.epoch:
            group.persisted = max(group.persisted, last.index)
        for effect in pending.release:
            group.host.emit(effect)
        if pending.campaign:
            election.on_own_vote(group, now, pending.campaign)
        if pending.switch:
            group.apply_blocked = False  # that was about the data file that goes
            group.host.emit(OpenGeneration(group.group, pending.switch))
    advance(group)
    writes.on_counted(group)
    repair.heal_if_whole(group)
    apply_more(group)


def advance(group: Group) -> None:
    """Count what is held as the acks rules ask. By majority: the no-op, and every change of the rules or members."""
    if group.role != LEADER:
        return
    _turn(group)  # so that every turn below is beyond what is counted, and each round of the loop gets further
    matched = {peer: progress.matched for peer, progress in group.progress.items() if progress.voter}
    matched[group.me] = group.persisted
    agreed = group.agreed_by(matched)
    if group.log.epoch_at(agreed) != group.epoch:
        return
    group.agreed = max(group.agreed, agreed)
    _count_held(group, matched, agreed)
    while 0 < group.turns_at <= agreed:
        count(group, group.turns_at)
        group.host.mention(group.group)
        _count_held(group, matched, agreed)  # from here on another rule holds, or others vote


def _count_held(group: Group, matched: dict[NodeId, int], agreed: int) -> None:
    """Count by the rules of now, up to where they or the voters change; nothing but by majority beyond that."""
    held = agreed if group.rules.are_default else group.held_by(matched)
    if group.turns_at:
        held = min(held, group.turns_at - 1)
    if held > group.held:
        group.held = held
        writes.on_counted(group)
    index = max(held, group.noop if agreed >= group.noop else 0)
    if index > group.counted and group.log.epoch_at(index) == group.epoch:
        count(group, index)
        group.host.mention(group.group)


def count(group: Group, index: int) -> None:
    """Raise the counted index; nothing counted is ever uncounted."""
    if index <= group.counted:
        return
    assert index <= group.log.last.index, "counted beyond the log"
    group.counted = index
    _turn(group)
    group.note("counted", index=index, position=group.log.position_at(index))
    writes.on_counted(group)
    apply_more(group)


def _turn(group: Group) -> None:
    """What is counted of changes of the rules and members holds by itself now."""
    group.rules.counts(group.counted)
    if group.membership.counts(group.counted):
        group.host.make_ready(group.group)  # the next step of a change may follow


def apply_more(group: Group, *, gathered: bool = False) -> None:
    """Bring the data file forward to what is both counted and durable here, or soon (`Settings.apply_delay_us`)."""
    if group.applying or not group.opened or group.switching or group.apply_blocked or group.needs_snapshot():
        return
    if group.batch is not None or group.stack:  # the open transaction holds what is not applied: `writes.settle`
        return
    target = min(group.counted, group.persisted)
    first = group.applied.index + 1
    limit = verification.limit(group)
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
    """The data file moved (or was opened, or replaced)."""
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
    verification.proceed(group, now)
    apply_more(group)
    reads.on_applied(group)
    maybe_checkpoint(group)


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


def on_apply_failed(group: Group, now: Now, event: ApplyFailed) -> None:
    """No room: stop leading and try again later. Anything else: this replica is damaged."""
    failing, group.applying = group.applying, 0
    if event.full:
        group.apply_blocked = True
        if now.mono_us >= group.no_room_until_us:
            group.note("no_room")
        group.no_room_until_us = now.mono_us + 2 * group.settings.suspect_us
    else:
        repair.found_damaged(group, event, failing)
    if group.role == LEADER and (group.damaged or orders.steps_down_for_others(group)):
        election.become_follower(group, now)
    elif group.role == LEADER:
        writes.put_back(group)
    elif group.damaged:
        group.role = FOLLOWER
    group.host.keep_busy(group.group)


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
