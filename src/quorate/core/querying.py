"""Reads that a replica runs on its data file, and what their callers are told.

Whether a read may run, and when, is decided before (`single_leader.reads`). What it found is `answer`ed; a driver may
hand that straight on, without a step. Of a read that found nothing the core hears (`QueryFailed`): it says what the
caller is told (`refusal`), and has a damaged data file repaired.
"""

from typing import Any

from msgspec import Raw, Struct

from quorate.core.bounds import GroupId
from quorate.core.entries import Position
from quorate.core.executing import AT_ITS_END, INTERRUPTED, TOO_LONG
from quorate.core.limits import FRAME_BYTES_MAX
from quorate.core.requests import Answer, Refused

DAMAGED, NO_ROOM, BROKE, SHARE = "damaged", "no room", "broke", "share"
"""Why a read found nothing, beside the reasons for which a batch is stopped (`core.executing`)."""
ANSWER_BYTES_MAX = FRAME_BYTES_MAX - 1024


class Query(Struct, frozen=True):
    """Run these statements on committed state, read only, and hand on the `answer` to request `id` -> nothing, or
    `QueryFailed`."""

    group: GroupId
    id: int
    statements: tuple[Any, ...]
    ends_us: int = 0
    """When they are ended, by the node's monotonic clock: their caller's time is nearly over; 0: not known."""
    age_us: int = -1
    """See `Answer.age_us`."""


class QueryFailed(Struct, frozen=True):
    """The read for request `id` found nothing.

    `why` is `DAMAGED` (the data file is), `NO_ROOM` (it cannot be opened now, most likely for want of a file
    descriptor), `AT_ITS_END` (`Query.ends_us` had come), `TOO_LONG` (it ran for longer than this node lets a read run),
    `INTERRUPTED` (nobody waits for the answer any more), `SHARE` (its user's reads have run
    for as long as those of one user may), or `BROKE` (something that nobody expected).
    """

    group: GroupId
    id: int
    why: str
    reason: str = ""
    """In words: what is damaged or went wrong; how long a read may run."""
    refused: Refused | None = None
    """What the caller is told, if that is known; else it follows from `why`."""


def answer(query: Query, outcome: bytes, position: Position) -> Answer | Refused:
    """What the caller of a read is told that has run, on the state at this position."""
    if len(outcome) > ANSWER_BYTES_MAX:
        message = f"the result has {len(outcome)} bytes; an answer carries at most {ANSWER_BYTES_MAX}"
        return Refused(
            "TooLarge", message, "read it with stream(), which has no limit on a cluster, or fewer rows at a time"
        )
    return Answer(Raw(outcome), position.index, position.epoch, query.group, query.age_us)


def refusal(event: QueryFailed) -> Refused:
    """What the caller is told."""
    if event.refused is not None:
        return event.refused
    why, reason = event.why, event.reason
    if why == DAMAGED:
        return Refused("Unavailable", "this node's copy is damaged and being repaired", retryable=True)
    if why == NO_ROOM:
        return Refused("Unavailable", f"this node cannot open the data file now: {reason}", retryable=True)
    if why == TOO_LONG:
        message = f"not done: the read was ended after {reason}, the longest that a read may run"
        return Refused("StatementTimeout", message, "read less at a time, or raise read_limit")
    if why in (AT_ITS_END, INTERRUPTED):
        message = "not done: the read was ended at its caller's deadline"
        return Refused("StatementTimeout", message, "read less at a time, or give it more time (timeout=)")
    return Refused("InternalError", f"the read failed: {reason}", retryable=True)
