"""What a diagram shows, as plain data: any system's run can be told in it, as JSON.

One list of events, each with a time, a lane, a kind and a text; its `shape` says how it is drawn. Times are
microseconds, or any numbers that grow when `unit` is "step". Lanes are numbered by their place in `lanes`.
"""

import msgspec
from msgspec import Struct

POINT = "point"
"""Something happened at one moment."""
MESSAGE = "message"
"""From `lane` at `time` to lane `to` at `until`; -1: it never arrived, and `fate` says why."""
SPAN = "span"
"""A client's call, or a node's write to its disk; `until` -1: its end was not seen."""
BAND = "band"
"""A fault that lasts: on one lane, or on all (`lane` -1)."""
LEADERSHIP = "leadership"
"""One replica's role (`kind`) in one epoch."""
COUNT = "count"
"""The commit index of one replica becomes `index`."""

ALL = -1
NO_GROUP = -1
UNENDED = -1

LOST = "lost"
IN_FLIGHT = "in flight"
AGAIN = "again"
"""A repetition of a message that has arrived already."""
TO_THE_DEAD = "to the dead"
"""It arrived where nobody was alive."""


class Lane(Struct, frozen=True):
    name: str
    kind: str = "node"
    """`node` or `client`."""


class Event(Struct, omit_defaults=True):
    time: int
    lane: int
    kind: str
    text: str = ""
    shape: str = POINT
    until: int = UNENDED
    to: int = ALL
    group: int = NO_GROUP
    epoch: int = 0
    index: int = 0
    fate: str = ""
    """Of a message: why it did not arrive as it should. Of a call: `ok`, `fail` or `info`."""
    marked: bool = False
    """Part of what is shown to be wrong."""


class Verdict(Struct, omit_defaults=True):
    """What was found wrong, and where to look first."""

    judge: str
    text: str
    time: int
    lane: int = ALL


class Diagram(Struct, omit_defaults=True):
    """Everything that the page needs."""

    title: str
    lanes: list[Lane]
    events: list[Event]
    begin: int = 0
    end: int = 0
    unit: str = "us"
    """`us`, or `step` when only the order is known."""
    verdict: Verdict | None = None
    facts: dict[str, str] = {}
    """Shown in the heading, in this order."""
    groups: dict[str, str] = {}
    """Group number -> its name."""
    again: str = ""
    """The command that makes this run again."""
    left_out: int = 0
    """Older events that were cut off."""


def encode(diagram: Diagram) -> bytes:
    return msgspec.json.encode(diagram)


def decode(text: bytes) -> Diagram:
    """Raises msgspec.MsgspecError."""
    return msgspec.json.decode(text, type=Diagram)


CUT = (POINT, MESSAGE, SPAN)
"""Shapes that are many; the others are kept as far as they reach into what is shown."""


def newest(diagram: Diagram, limit: int) -> Diagram:
    """The same, sorted by time and with at most `limit` events (messages, points and spans): the newest."""
    events = sorted(diagram.events, key=lambda event: event.time)
    many = [event for event in events if event.shape in CUT]
    if len(many) <= limit:
        return msgspec.structs.replace(diagram, events=events)
    begin = many[-limit].time
    kept: list[Event] = []
    last_counts: dict[tuple[int, int], Event] = {}
    for event in events:
        reaches = event.time >= begin or (event.shape in (BAND, LEADERSHIP) and not UNENDED < event.until < begin)
        if reaches or (event.marked and event.shape in CUT):
            kept.append(event)
        elif event.shape == COUNT:
            last_counts[event.lane, event.group] = event
    kept = sorted([*last_counts.values(), *kept], key=lambda event: event.time)
    first = min((event.time for event in kept if event.shape in CUT), default=begin)
    left_out = len(many) - sum(event.shape in CUT for event in kept)
    return msgspec.structs.replace(diagram, events=kept, begin=min(begin, first), left_out=diagram.left_out + left_out)
