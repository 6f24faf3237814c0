"""Writes that take long: each runs alone, beside all else, and ends when its caller ceases to wait.

In steps:

1. A write runs in a batch with others, where it keeps the node from everything else. After `Settings.long_us` storage
   stops it and undoes the batch (`Stopped`). The others of the batch run again, at once.
2. What lies in the open transaction is committed first, so that nobody who reads waits for the long one.
3. Its caller is told (`Running`), and it runs alone (`Execute.alone`) until it is done, its caller's time is nearly
   over, he leaves (`CallerLeft`), or another is to lead (`Rollback`). Meanwhile other writes of this database wait,
   and nothing else does. Those whose time is nearly over by then are refused (`refuse_late`).

A text that took long once goes the same way the next time without being tried first, until it is quick again; so does a
request that is large (`Settings.long_bytes`). An embedded node has nobody to keep waiting, and `Settings.long_us` is 0.
"""

from typing import Any

from msgspec import structs

from quorate.core.calls import Request, Tell
from quorate.core.executing import INTERRUPTED, TOO_LONG, CallerLeft, Stopped
from quorate.core.kernel import Now
from quorate.core.requests import NotLeader, Refused, Run, Running
from quorate.core.scripts import Script
from quorate.core.single_leader import settling
from quorate.core.single_leader.state import Group

TEXTS = 64
"""Texts that are remembered, of each group."""
TEXT_LENGTH = 4_096
"""A longer one is not remembered, and is tried each time."""
LEAST_US = 200_000
"""So much of its caller's time is left to tell him that his write was ended; of a short time an eighth."""


LEFT = Refused("StatementTimeout", "not done: its caller left while the write was running", "")
NOT_BEGUN = Refused(
    "StatementTimeout",
    "not done: time ran out while the write waited for another one that takes long",
    "give it more time (timeout=), or let the other change fewer rows at a time",
)


def refusal(limit_us: int, *, for_all: bool) -> Refused:
    """Not done: the write was ended."""
    if for_all:
        message = f"the write was ended after {limit_us // 1_000_000} s, the longest that a write may run"
        return Refused("StatementTimeout", f"not done: {message}", "change fewer rows at a time, or raise write_limit")
    hint = "change fewer rows at a time, or give it more time (timeout=)"
    return Refused("StatementTimeout", "not done: the write was ended at its caller's deadline", hint)


def long_size(group: Group) -> int:
    """A write of so many bytes is to run alone."""
    return group.settings.long_bytes if group.settings.long_us else 1 << 62


def is_long(group: Group, waiting: Request, size: int) -> bool:
    """Whether this write is to run alone."""
    return waiting.long or size >= long_size(group) or took_long(group, waiting.body)


def took_long(group: Group, body: Any) -> bool:
    """Whether one of its texts did the last time."""
    texts = group.long_texts
    return bool(texts) and any(text in texts for text in _texts(body))


def may_begin(group: Group) -> bool:
    """Whether everything before it is committed; what is not will be soon."""
    settling.settle_now(group)
    return not group.settling.stack and not group.apply.applying


def ends_us(group: Group, now: Now, waiting: Request) -> int:
    """When it is to be ended."""
    limit_us = now.mono_us + group.settings.write_limit_us
    until_us = waiting.until_us
    if until_us and group.settings.long_us:
        until_us -= min(LEAST_US, max(0, until_us - now.mono_us) // 8)
    return min(limit_us, until_us) if until_us else limit_us


def tell(group: Group, waiting: Request) -> None:
    """Say that it is running."""
    if waiting.id >= 0:
        group.host.emit(Tell(waiting.id, Running(), group.group))


def on_caller_left(group: Group, _now: Now, event: CallerLeft) -> None:
    """What runs alone for nobody is undone, as at its caller's deadline. What is logged already is not."""
    batch = group.writes.batch
    if batch is not None and batch.alone and batch.requests[0].id == event.id:
        group.note("caller_left")
        settling.roll_back(group)
        group.writes.end_batch()
        group.answer_all(batch.requests, LEFT)
        group.host.make_ready(group.group)


def refuse_late(group: Group, now: Now) -> None:
    """Whose time is nearly over while he waits behind such a write is told that nothing of his has begun, nor will."""
    batch = group.writes.batch
    if not group.writes.queue or not (group.holding.name or (batch is not None and batch.alone)):
        return
    least_us = 2 * group.settings.heartbeat_us
    for waiting in list(group.writes.queue):
        tells_us = min(LEAST_US, max(least_us, (waiting.until_us - waiting.since_us) // 8))
        if 0 < waiting.until_us <= now.mono_us + tells_us:
            group.writes.take_out(waiting)
            group.reply(waiting.id, NOT_BEGUN)


def _texts(body: Any) -> tuple[str, ...]:
    return tuple([statement.sql for statement in body.statements]) if isinstance(body, Run | Script) else ()


def on_stopped(group: Group, now: Now, event: Stopped) -> None:
    """Storage has undone the batch."""
    batch = group.writes.batch
    if batch is None or batch.number != event.batch or event.why == INTERRUPTED:
        return
    group.writes.end_batch()
    if group.holding.name:
        settling.roll_back(group)
    request = batch.requests[event.position]
    if event.why == TOO_LONG:
        group.note("long_write")
        _remember(group, request.body)
        del batch.requests[event.position]
        group.writes.put_first((*batch.requests, structs.replace(request, long=True)))
    else:
        late = not request.until_us or now.mono_us < request.until_us - LEAST_US
        group.reply(request.id, refusal(group.settings.write_limit_us, for_all=late))
    settling.settle(group)
    group.host.make_ready(group.group)


def _remember(group: Group, body: Any) -> None:
    for text in _texts(body):
        if len(text) <= TEXT_LENGTH:
            group.long_texts.pop(text, None)
            group.long_texts[text] = None
    while len(group.long_texts) > TEXTS:
        del group.long_texts[next(iter(group.long_texts))]


def ran(group: Group, now: Now) -> None:
    """It is done. Its callers have waited for that, and not for it to be committed."""
    batch = group.writes.batch
    assert batch is not None, "nothing runs"
    if now.mono_us - batch.since_us < group.settings.long_us:
        for text in _texts(batch.requests[0].body):
            group.long_texts.pop(text, None)
    batch.requests = [structs.replace(request, since_us=now.mono_us) for request in batch.requests]


def put_off(group: Group) -> None:
    """Others are to lead: undo what runs alone, and keep it as one of those that wait."""
    batch = group.writes.batch
    if batch is not None and batch.alone:
        settling.roll_back(group)
        group.writes.end_batch()
        group.writes.put_first(batch.requests)


def give_up(group: Group) -> None:
    """This node is about to stop: undo what runs alone, and send its caller elsewhere."""
    batch = group.writes.batch
    if batch is not None and batch.alone:
        settling.roll_back(group)
        group.writes.end_batch()
        group.answer_all(batch.requests, NotLeader(""))
