"""Giving to the siblings what is in this group's log: what it wrote itself, and what it has merged of others, if they
ask for that.

Only what a majority of this group holds durably is given, whatever its acks are: what a failover may take back must
not be known elsewhere. The order is the log's: what a write was made upon comes before it. What was merged of an origin
that the asker reads itself is not sent twice; the answer ends before it until the asker has it.
"""

from msgspec import structs

from quorate.core.bounds import GroupId, NodeId
from quorate.core.entries import DATA, FOREIGN, ORIGIN, Entry, Position
from quorate.core.kernel import LogRead, Now, ReadLog
from quorate.core.multi_leader import doubting, stability
from quorate.core.multi_leader.messages import ELSEWHERE, PARTED, READ, WHOLE, Fetch, Fetched, Part
from quorate.core.multi_leader.state import Kept, LeaderGroup, Told, Whole
from quorate.core.single_leader.roles import LEADER
from quorate.core.streams import Merge, ReadWhole, WholeRead, decode_merge

WHOLE_BYTES = 4 << 20
"""A part of everything has about so many."""


def on_fetch(group: LeaderGroup, _now: Now, sender: NodeId, fetch: Fetch) -> None:
    """A sibling asks. A newer question takes the place of an older one."""
    if group.election.role != LEADER or (group.doubt.beyond != ORIGIN and not fetch.part):
        leader, known = group.election.leader, _known(group, fetch)
        group.send(sender, Fetched(fetch.asker, group.group, fetch.number, ELSEWHERE, leader, known=known))
        return
    serving = group.serving
    before = serving.kept.get(fetch.asker)
    if before is not None and before.fetch.number > fetch.number and before.node == sender:
        return  # a late one
    if group.log.epoch_at(fetch.stored.index) == fetch.stored.epoch:
        serving.stored[fetch.asker] = max(serving.stored.get(fetch.asker, ORIGIN), fetch.stored)
    kept = serving.kept[fetch.asker] = Kept(sender, fetch, fetch.after)
    if not fetch.part:
        serving.wholes.pop(fetch.asker, None)
        _serve(group, kept)
    elif fetch.part == 1:
        kept.reading = True
        serving.wholes.pop(fetch.asker, None)
        group.host.emit(ReadWhole(group.group, fetch.asker, WHOLE_BYTES))
    else:
        _give_part(group, kept)


def proceed(group: LeaderGroup) -> None:
    """There may be more in the log, or this replica may not lead any more."""
    serving = group.serving
    if group.election.role != LEADER:
        serving.kept.clear()
        serving.stored.clear()
        serving.wholes.clear()
        return
    stable = _stable(group)
    for kept in list(serving.kept.values()):
        if kept.fetch.part and not kept.reading:
            _give_part(group, kept)
        elif kept.through.index < stable and not kept.reading:
            _serve(group, kept)


def keeps_from(group: LeaderGroup) -> int:
    """The log is needed behind this index."""
    groups = [row.group for row in group.host.groups_for(group.database) if row.group != group.group]
    stored = [group.serving.stored.get(each, ORIGIN).index for each in groups if not stability.is_away(group, each)]
    return min(stored, default=group.log.last.index)


def _stable(group: LeaderGroup) -> int:
    """Up to here the log stays as it is."""
    return min(group.commit.committed, group.commit.agreed)


def _serve(group: LeaderGroup, kept: Kept) -> None:
    log, after = group.log, kept.through
    if log.epoch_at(after.index) != after.epoch:
        return _answer(group, kept, _parted(kept))
    stable = _stable(group)
    while kept.through.index < stable:
        first = kept.through.index + 1
        entries = log.slice(first, stable, group.settings.ship_bytes_max)
        if entries is None:
            kept.reading = True
            last = min(stable, first + group.settings.ship_entries_ahead - 1)
            group.host.emit(ReadLog(group.group, -kept.fetch.asker, first, last, group.settings.ship_bytes_max))
            return None
        if _give(group, kept, entries):
            return None
    if kept.fetch.at_once:
        _answer(group, kept, _read(group, kept))
    return None


def on_log_read(group: LeaderGroup, event: LogRead) -> None:
    """Older entries came back from our own disk."""
    kept = group.serving.kept.get(-event.to)
    if kept is None or not kept.reading or kept.fetch.part:
        return
    kept.reading = False
    entries = event.entries
    fits = bool(entries) and entries[0].index == kept.through.index + 1
    if not (fits and all(group.log.epoch_at(each.index) == each.epoch for each in entries)):
        entries = ()
    if not _give(group, kept, entries):
        _serve(group, kept)


def _give(group: LeaderGroup, kept: Kept, entries: tuple[Entry, ...]) -> bool:
    """Whether there is something in these to tell."""
    parts: list[Part] = []
    waits: Merge | None = None
    for entry in entries:
        here = Position(entry.epoch, entry.index)
        if entry.kind == DATA:
            _add(parts, Part(group.group, here, here, (entry.payload,)))
        elif entry.kind == FOREIGN:
            merge = decode_merge(entry.payload)
            if merge.whole is not None:
                waits = _missing(group, kept.fetch, merge)
                if waits is not None:
                    break
            elif not _has(kept.fetch, merge):
                if merge.origin not in kept.fetch.wants:
                    waits = merge
                    break
                _add(parts, Part(merge.origin, merge.merged, here, merge.payloads))
        kept.through = here
    no_way = waits is not None and waits.whole is not None
    if no_way and not parts:
        if group.apply.applied.index > kept.through.index:  # else what is read of everything would end before it, too
            _answer(group, kept, _parted(kept))
    elif no_way:
        _answer(group, kept, _read(group, kept, tuple(parts)))
    elif parts or waits is not None:
        _answer(group, kept, _read(group, kept, tuple(parts), waits))
    else:
        return False
    return True


def _missing(group: LeaderGroup, fetch: Fetch, merge: Merge) -> Merge | None:
    """This group has taken everything from a sibling here: whose writes the asker lacks of that. They are not in our
    log, also where the asker wants them from us: it has to look elsewhere. Our own where it is what we had forgotten,
    which is in no log."""
    if doubting.heals(group, merge):
        return merge
    if not merge.whole and merge.upstream != fetch.asker and said_of(merge.upstream, fetch) < merge.read:
        return Merge(merge.upstream, merge.read, merge.upstream, merge.read)  # a part: what we write next is upon it
    for each in merge.whole or ():
        if each.group not in (fetch.asker, group.group) and said_of(each.group, fetch) < each.merged:
            return Merge(each.group, each.merged, each.group, each.merged)
    return None


def said_of(origin: GroupId, fetch: Fetch) -> Position:
    """Up to where the asker has what this one wrote."""
    return next((through for group, through in fetch.merged if group == origin), ORIGIN)


# ---- everything --------------------------------------------------------------------------------------------


def on_whole_read(group: LeaderGroup, event: WholeRead) -> None:
    """Everything was read, for this sibling."""
    kept = group.serving.kept.get(event.id)
    if kept is None or kept.fetch.part != 1 or not kept.reading:
        return
    kept.reading = False
    if event.failed:
        del group.serving.kept[event.id]  # it will ask again
        group.note("whole_not_read", why=event.failed)
        return
    group.serving.wholes[event.id] = Whole(event.position, event.parts, event.cursors)
    _give_part(group, kept)


def _give_part(group: LeaderGroup, kept: Kept) -> None:
    """Once all that it holds is held by a majority."""
    fetch = kept.fetch
    whole = group.serving.wholes.get(fetch.asker)
    if whole is None or fetch.part > len(whole.parts):
        _answer(group, kept, _parted(kept))
    elif whole.position.index <= _stable(group):
        part = Part(group.group, whole.position, whole.position, (whole.parts[fetch.part - 1],))
        cursors = whole.cursors if fetch.part == len(whole.parts) else ()
        answer = Fetched(
            fetch.asker, group.group, fetch.number, WHOLE, through=whole.position, parts=(part,), cursors=cursors
        )
        _answer(group, kept, answer)


def _parted(kept: Kept) -> Fetched:
    return Fetched(kept.fetch.asker, kept.fetch.group, kept.fetch.number, PARTED)


def _known(group: LeaderGroup, fetch: Fetch) -> Position:
    """Up to where we have what the asker's group wrote."""
    cursor = group.pulling.cursors.get(fetch.asker)
    known = ORIGIN if cursor is None else max(cursor.merged, cursor.read)
    return max(known, group.pulling.merged.get(fetch.asker, ORIGIN)) if group.leads_ready else known


# ---- answering ---------------------------------------------------------------------------------------------


def _has(fetch: Fetch, merge: Merge) -> bool:
    """Whether the asker has this, or wrote it."""
    if merge.origin == fetch.asker or not merge.payloads:
        return True
    return any(origin == merge.origin and through >= merge.merged for origin, through in fetch.merged)


def _add(parts: list[Part], part: Part) -> None:
    if parts and parts[-1].origin == part.origin:
        part = Part(part.origin, part.merged, part.read, (*parts.pop().payloads, *part.payloads))
    parts.append(part)


def _read(group: LeaderGroup, kept: Kept, parts: tuple[Part, ...] = (), waits: Merge | None = None) -> Fetched:
    origin, until = (waits.origin, waits.merged) if waits is not None else (0, ORIGIN)
    fetch = kept.fetch
    told = stability.to_tell(group, _stable(group), fetch.asker) or Told(ORIGIN, ())
    return Fetched(
        fetch.asker, group.group, fetch.number, READ, 0, kept.through, parts, origin, until, at=told.at, acks=told.acks
    )


def _answer(group: LeaderGroup, kept: Kept, answer: Fetched) -> None:
    del group.serving.kept[kept.fetch.asker]
    group.send(kept.node, structs.replace(answer, known=_known(group, kept.fetch)))
