"""Taking what the siblings wrote: their logs are read, and what is found is merged in this group's own log.

One question for each sibling is on its way at a time, and one merge: if one fails, all that was read after it is read
again, for it may build upon that one. A question whose answer is lost is asked again. While a sibling has nothing new
it keeps the question; now and then it is asked to answer at once, so that its silence can be told from its death.
"""

from typing import Any

import msgspec

from quorate.core.bounds import GroupId, NodeId
from quorate.core.calls import Request
from quorate.core.entries import ORIGIN, Position
from quorate.core.kernel import Applied, Now
from quorate.core.multi_leader import doubting, topology
from quorate.core.multi_leader.messages import ELSEWHERE, PARTED, WHOLE, Fetch, Fetched, Part
from quorate.core.multi_leader.state import BOOT_BITS, MERGES, LeaderGroup, Upstream
from quorate.core.options import ALL, MultiLeaderOptions
from quorate.core.requests import Answer, Done, WriteOutcome
from quorate.core.single_leader import writes
from quorate.core.streams import Cursor, Flat, Merge

POLL = "poll"
CURSOR_ENTRIES = 1000
"""So many entries are read without anything to merge before it is noted how far."""
_outcome: msgspec.msgpack.Decoder[WriteOutcome] = msgspec.msgpack.Decoder(WriteOutcome)


def on_applied(group: LeaderGroup, event: Applied) -> None:
    """The data file says how far the siblings are merged."""
    if event.streams is not None:
        group.pulling.cursors = {each.group: each for each in event.streams.cursors}
        if not doubting.is_sure(group):
            group.host.make_ready(group.group)


def proceed(group: LeaderGroup, now: Now) -> None:
    """Do whatever can be done now."""
    pulling = group.pulling
    if not group.leads_ready:
        pulling.epoch = 0
        return
    if pulling.epoch != group.election.epoch:
        pulling.epoch = group.election.epoch
        pulling.upstreams = {}
        _begin_anew(group)
        group.host.set_timer((group.group, POLL), now.mono_us + group.settings.suspect_us)
    if not doubting.proceed(group, now):
        return
    chosen = _choose(group, now)
    read = [each.group for each in chosen]
    for upstream in chosen:
        if not upstream.part and doubting.takes_back(group, now, upstream.group):
            upstream.part, upstream.number = 1, 0
        if upstream.lacks and upstream.waits in _silent(group):
            upstream.part = 1  # it is nowhere else
        if not upstream.number and not _has_queued(group, upstream):
            _note_cursor(group, upstream)
            if upstream.part or upstream.waits not in read or not _waits(group, upstream):
                _ask(group, now, upstream)
    _merge_next(group, now)


def _begin_anew(group: LeaderGroup) -> None:
    """From where the data file stands."""
    pulling = group.pulling
    pulling.queue.clear()
    pulling.running = 0
    pulling.merged = {each.group: each.merged for each in pulling.cursors.values()}
    for upstream in pulling.upstreams.values():
        upstream.read = _begins(group, upstream.group)
        upstream.number = upstream.waits = upstream.part = 0


def _cursor(group: LeaderGroup, sibling: GroupId) -> Cursor:
    return group.pulling.cursors.get(sibling) or Cursor(sibling, ORIGIN, ORIGIN)


def _begins(group: LeaderGroup, sibling: GroupId) -> Position:
    """From where its log is read: what it wrote is here up to there, and so is all that it was made upon."""
    cursor = _cursor(group, sibling)
    return max(cursor.read, cursor.merged)


def _choose(group: LeaderGroup, now: Now) -> list[Upstream]:
    """Those that are read now."""
    pulling = group.pulling
    rows = group.host.groups_for(group.database)
    groups = sorted([row.group for row in rows])
    if group.group not in groups:
        return []
    for row in rows:
        upstream = pulling.upstreams.get(row.group)
        if upstream is not None:
            upstream.nodes = row.nodes
        elif row.group != group.group:
            read = _begins(group, row.group)
            pulling.upstreams[row.group] = Upstream(row.group, row.nodes, row.nodes[0], now.mono_us, read)
    chosen = _chosen(group, groups)
    return [pulling.upstreams[each] for each in (*chosen, *_besides(group, now, chosen))]


def _besides(group: LeaderGroup, now: Now, chosen: tuple[GroupId, ...]) -> list[GroupId]:
    """Who is read for a while, because it wrote what is not in the log of one of those that are read always: that one
    has taken everything from another. To take everything from it would have our own readers do the same, in a ring
    for ever."""
    upstreams, read = group.pulling.upstreams, list(chosen)
    for each in read:  # grows meanwhile
        one = upstreams[each]
        if one.lacks and one.waits in upstreams and _waits(group, one) and one.waits not in read:
            read.append(one.waits)
            if not upstreams[one.waits].number:
                upstreams[one.waits].heard_us = now.mono_us
    return read[len(chosen) :]


def _chosen(group: LeaderGroup, groups: list[GroupId]) -> tuple[GroupId, ...]:
    """Whose logs are read now, of these."""
    kind = _topology(group) if doubting.is_sure(group) else ALL
    return topology.upstreams(kind, group.group, groups, _silent(group))


def _topology(group: LeaderGroup) -> str:
    options = group.host.wanted_options(group.database)
    assert isinstance(options, MultiLeaderOptions), "the catalog says that it has one leader, or none"
    return options.topology


def _silent(group: LeaderGroup) -> list[GroupId]:
    """Siblings that have not answered for long."""
    horizon = group.host.now_us - 4 * group.settings.suspect_us
    return [each.group for each in group.pulling.upstreams.values() if each.number and each.heard_us < horizon]


def _has_queued(group: LeaderGroup, upstream: Upstream) -> bool:
    return any(merge.upstream == upstream.group for merge in group.pulling.queue)


def _waits(group: LeaderGroup, upstream: Upstream) -> bool:
    """Whether something has to come from another sibling first, which is heard."""
    if not upstream.waits or upstream.waits in _silent(group):
        return False
    return merged_of(group, upstream.waits) < upstream.until


def _note_cursor(group: LeaderGroup, upstream: Upstream) -> None:
    """Much was read, and nothing of it was new: have it noted, so that the sibling may forget it."""
    if upstream.read.index - _cursor(group, upstream.group).read.index > CURSOR_ENTRIES:
        merged = merged_of(group, upstream.group)
        group.pulling.queue.append(Merge(upstream.group, merged, upstream.group, upstream.read))


def _ask(group: LeaderGroup, now: Now, upstream: Upstream, *, at_once: bool = False) -> None:
    pulling = group.pulling
    pulling.numbers += 1
    groups = sorted([group.group, *pulling.upstreams])
    silent = _silent(group)
    chosen = _chosen(group, groups)
    wants = [each for each in topology.wanted(chosen, group.group, groups, silent) if each != upstream.group]
    at_once = at_once or (group.doubt.asks and upstream.group not in group.doubt.told)
    upstream.number, upstream.asked_us, upstream.at_once = pulling.numbers, now.mono_us, at_once
    upstream.waits, upstream.wanted = 0, tuple(wants)
    fetch = Fetch(
        upstream.group, group.group, pulling.numbers, upstream.read, _cursor(group, upstream.group).read,
        tuple(sorted(pulling.merged.items())), upstream.wanted, at_once, upstream.part,
    )  # fmt: skip
    group.send(upstream.asked, fetch)


def on_asked(group: LeaderGroup, now: Now, sender: NodeId, fetch: Fetch) -> None:
    """A sibling asks us. What it was asked is lost, if it has only just begun: another of its nodes leads, or this one
    was not there yet, or was restarted."""
    pulling, asks_as = group.pulling, (sender, fetch.number >> BOOT_BITS)
    upstream = pulling.upstreams.get(fetch.asker)
    if upstream is None or upstream.asks_as == asks_as or pulling.epoch != group.election.epoch:
        return
    upstream.asks_as = asks_as
    if upstream.number:
        upstream.asked = sender
        _ask(group, now, upstream)


def on_fetched(group: LeaderGroup, now: Now, sender: int, message: Fetched) -> None:
    """A sibling answers."""
    pulling = group.pulling
    upstream = pulling.upstreams.get(message.upstream)
    if upstream is None or upstream.number != message.number or pulling.epoch != group.election.epoch:
        return
    doubting.heard(group, now, upstream.group, message.known, leads=message.state != ELSEWHERE)
    if not group.leads_ready:
        return
    if message.state == ELSEWHERE:
        if message.leader in upstream.nodes and message.leader != sender:
            upstream.asked = message.leader
            _ask(group, now, upstream)
        return  # its nodes have no leader: the timer asks the next of them
    upstream.number, upstream.asked, upstream.heard_us = 0, sender, now.mono_us
    if message.state == PARTED:
        upstream.part = 1
        group.note("stream_parted", upstream=upstream.group, read=upstream.read)
    elif message.state == WHOLE:
        _take_part(group, upstream, message)
    else:
        _take(group, upstream, message)
    proceed(group, now)


def _take_part(group: LeaderGroup, upstream: Upstream, message: Fetched) -> None:
    """Of everything that the sibling holds. The cursors move with the last one: where it comes to nothing, all is taken
    again."""
    through, (part,) = message.through, message.parts
    origin = group.group if group.doubt.keeper == upstream.group else upstream.group
    group.pulling.queue.append(Merge(origin, through, upstream.group, through, part.payloads, message.cursors))
    upstream.part += 1
    if message.cursors:
        upstream.part = 0
        upstream.read = max(upstream.read, through)
        for each in message.cursors:
            _has(group, each.group, each.merged)


def _take(group: LeaderGroup, upstream: Upstream, message: Fetched) -> None:
    """What was in its log."""
    for part in message.parts:
        if _is_known(group, part):
            continue
        group.pulling.queue.append(Merge(part.origin, part.merged, upstream.group, part.read, part.payloads))
        _has(group, part.origin, part.merged)
    upstream.read = max(upstream.read, message.through)
    _has(group, upstream.group, message.through)
    upstream.waits, upstream.until = message.waits, message.until


def _is_known(group: LeaderGroup, part: Part) -> bool:
    """It came on another way meanwhile, or is our own."""
    return part.origin == group.group or part.merged <= merged_of(group, part.origin)


def merged_of(group: LeaderGroup, origin: GroupId) -> Position:
    """Up to where everything that this sibling wrote is here, or waits to be merged."""
    return group.pulling.merged.get(origin, ORIGIN)


def _has(group: LeaderGroup, origin: GroupId, through: Position) -> None:
    merged = group.pulling.merged
    merged[origin] = max(merged.get(origin, ORIGIN), through)


def has(group: LeaderGroup, origin: GroupId, position: Position) -> bool:
    """Whether the data file has all that a sibling had committed at this place of its log."""
    pulling, cursor = group.pulling, _cursor(group, origin)
    if max(cursor.merged, cursor.read) >= position:
        return True
    knows = group.leads_ready and pulling.epoch == group.election.epoch and not pulling.queue
    return knows and pulling.merged.get(origin, ORIGIN) >= position


def on_poll(group: LeaderGroup, now: Now) -> None:
    """Time has passed: see who is silent."""
    pulling = group.pulling
    if pulling.epoch != group.election.epoch or not group.leads_ready:
        return  # whoever leads next sets the timer anew
    group.host.set_timer((group.group, POLL), now.mono_us + group.settings.suspect_us)
    for upstream in pulling.upstreams.values():
        if upstream.number and now.mono_us - upstream.asked_us >= group.settings.suspect_us // 2:
            if upstream.at_once:  # that one did not answer
                at = upstream.nodes.index(upstream.asked) if upstream.asked in upstream.nodes else -1
                upstream.asked = upstream.nodes[(at + 1) % len(upstream.nodes)]
            _ask(group, now, upstream, at_once=True)
    proceed(group, now)


# ---- merging ----------------------------------------------------------------------------------------------


def _merge_next(group: LeaderGroup, now: Now) -> None:
    pulling = group.pulling
    if not pulling.queue or pulling.running or now.mono_us < pulling.again_us or group.holds_writes:
        return
    pulling.numbers += 1
    pulling.running = MERGES - pulling.numbers
    group.writes.put_first((Request(pulling.running, pulling.queue[0], now.mono_us),))
    writes.joined(group)


def settle(group: LeaderGroup, floor: Flat) -> None:
    """Have it merged that this is stable, behind what waits already."""
    group.pulling.queue.append(Merge(group.group, ORIGIN, group.group, ORIGIN, floor=floor))
    group.host.make_ready(group.group)


def _failed(group: LeaderGroup, why: Any) -> None:
    """What was read after it may build upon it."""
    group.note("merge_failed", why=why)
    group.pulling.again_us = group.host.now_us + group.settings.retry_us
    _begin_anew(group)


def on_answer(group: LeaderGroup, id: int, body: Any) -> None:
    """A merge has ended: in the log, or not at all."""
    pulling = group.pulling
    if id != pulling.running:
        return
    pulling.running = 0
    if isinstance(body, Answer) and isinstance(_outcome.decode(body.outcome), Done):
        pulling.queue.popleft()
    else:
        _failed(group, body)
    group.host.make_ready(group.group)
