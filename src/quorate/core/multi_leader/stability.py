"""What all leaders have merged is causally stable (Baquero and others 2014), and can be settled: conflicts in it are
final, and deletes in it need not be remembered.

Each leader tells with its answers what all of them have merged, as far as it knows (`Ack`). What it tells holds at a
place of its log, and counts at a reader who has merged that log up to there. So whoever knows that a sibling has
merged a write has everything, too, that the sibling wrote before it had merged it: nothing that is concurrent with a
stable write can arrive any more. The acknowledgements travel on whatever way the writes do.

What is stable becomes an entry of this group's own log (`Merge.floor`), so that its followers settle the same.

A leader of which nothing new was heard for `forget_after` is not waited for. When it is back it may still bring writes
that had not seen what is settled. What they say of deleted rows is listed as conflicts, and brings no row back.
"""

from quorate.core.bounds import GroupId
from quorate.core.kernel import Applied, Now
from quorate.core.multi_leader import doubting, pulling
from quorate.core.multi_leader.messages import Ack, Fetched
from quorate.core.multi_leader.state import LeaderGroup, Told
from quorate.core.options import MultiLeaderOptions
from quorate.core.versions.dots import flat, floor_of, includes, unflat

PATIENCE = 8
"""No leader is away that was heard within so many times `suspect`."""


def on_applied(group: LeaderGroup, event: Applied) -> None:
    """The data file says what it has seen."""
    if event.streams is not None:
        group.stability.data = event.streams


def on_fetched(group: LeaderGroup, now: Now, message: Fetched) -> None:
    """A sibling tells what the leaders have merged. It counts when its log is merged here as far."""
    stability = group.stability
    if message.acks and _leads(group):
        stability.coming.setdefault(message.upstream, Told(message.at, message.acks))
        _count(group, now)


def on_fetch(group: LeaderGroup, now: Now, asker: GroupId) -> None:
    """A sibling asks, so it is not away."""
    if _leads(group):
        group.stability.heard_us[asker] = now.mono_us


def on_poll(group: LeaderGroup, now: Now) -> None:
    """Time has passed: tell what is merged here, and settle what all have merged."""
    if not _leads(group):
        return
    stability = group.stability
    _count(group, now)
    if stability.telling is None:
        stability.beat += 1
        mine = Ack(group.group, group.election.epoch, stability.beat, stability.data.seen)
        stability.acks[group.group] = mine
        acks = tuple([stability.acks[each] for each in sorted(stability.acks)])
        stability.telling = Told(group.apply.applied, acks)
    _settle(group)


def to_tell(group: LeaderGroup, stable: int, asker: GroupId) -> Told | None:
    """What has not been told to this sibling yet, and will not be taken back. `stable`: the log stays up to there."""
    stability = group.stability
    if not _leads(group):
        return None
    if stability.telling is not None and stability.telling.at.index <= stable:
        stability.told, stability.telling = stability.telling, None
        stability.told_to.clear()
    if stability.told is None or asker in stability.told_to:
        return None
    stability.told_to.add(asker)
    return stability.told


def is_away(group: LeaderGroup, sibling: GroupId) -> bool:
    """Whether nothing new was heard of it for so long that it is not waited for."""
    stability = group.stability
    options = group.host.wanted_options(group.database)
    assert isinstance(options, MultiLeaderOptions), "the catalog says that it has one leader, or none"
    after = max(options.forget_after_us, PATIENCE * group.settings.suspect_us)
    return _leads(group) and group.host.now_us - stability.heard_us.get(sibling, stability.since_us) > after


def _leads(group: LeaderGroup) -> bool:
    """Whether it does; what was known in another epoch is forgotten."""
    stability, epoch = group.stability, group.election.epoch
    if not group.leads_ready or not doubting.is_sure(group):
        return False
    if stability.epoch != epoch:
        stability.epoch, stability.since_us = epoch, group.host.now_us
        stability.told = stability.telling = None
        stability.acks.clear()
        stability.heard_us.clear()
        stability.coming.clear()
        stability.told_to.clear()
    return True


def _count(group: LeaderGroup, now: Now) -> None:
    """What was told counts from here on, as far as it is merged up to where it holds."""
    stability = group.stability
    for upstream, told in list(stability.coming.items()):
        if not pulling.has(group, upstream, told.at):
            continue
        del stability.coming[upstream]
        for ack in told.acks:
            known = stability.acks.get(ack.group)
            if ack.group != group.group and (known is None or (ack.epoch, ack.beat) > (known.epoch, known.beat)):
                stability.acks[ack.group] = ack
                stability.heard_us[ack.group] = now.mono_us


def _settle(group: LeaderGroup) -> None:
    """Have it noted in the log that what all have merged is stable."""
    stability = group.stability
    acks = [stability.acks.get(each) for each in waited_for(group)]
    if any(merge.floor for merge in group.pulling.queue):
        return
    stable = floor_of([unflat(ack.seen) if ack is not None else {} for ack in acks])
    if not includes(unflat(stability.data.floor), stable):
        pulling.settle(group, flat(stable))


def waited_for(group: LeaderGroup) -> list[GroupId]:
    """The leaders that must have merged what is to be settled."""
    groups = [row.group for row in group.host.groups_for(group.database)]
    return [each for each in groups if each == group.group or not is_away(group, each)]
