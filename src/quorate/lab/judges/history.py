"""A history: what callers asked, what they were told, and when.

An operation has four ends, after Jepsen: `ok` (it happened, and this is what was seen), `fail` (it
certainly did not happen), `info` (nobody knows: it may take effect at any time until the history ends),
and, while it is being recorded, none yet, which counts as `info`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

OK = "ok"
FAIL = "fail"
INFO = "info"
INVOKE = "invoke"

FOREVER = 1 << 62
"""The return time of an operation whose end nobody saw."""

ALWAYS = -FOREVER
"""Since before every operation, also those whose beginning nobody saw."""


class HistoryError(Exception):
    """The text is not a history, or its events contradict each other."""


class Operation(Struct, frozen=True):
    """One call of one process. Times are any integers that grow; only their order matters."""

    process: Any
    function: str
    key: Any
    """Any value that is hashable; keys are equal as `values` are."""
    value: Any
    """What was asked: nothing for a read, the value of a write, (old, new) of a compare-and-set."""
    invoked: int
    returned: int = FOREVER
    end: str = INFO
    result: Any = None
    """What was seen: the value of a read, True or False of a compare-and-set."""


class History:
    """Operations in the order of their invocations, and the means to record them as they happen."""

    def __init__(self, operations: Iterable[Operation] = ()) -> None:
        self.operations: list[Operation] = list(operations)

    def __len__(self) -> int:
        return len(self.operations)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations)

    def invoke(self, process: int, function: str, key: str, value: Any, time: int) -> int:
        """An operation begins; the number returned ends it."""
        self.operations.append(Operation(process, function, key, value, time))
        return len(self.operations) - 1

    def end(self, number: int, end: str, time: int, result: Any = None) -> None:
        """An operation ends. `info` keeps it open for ever."""
        operation = self.operations[number]
        returned = FOREVER if end == INFO else time
        self.operations[number] = msgspec.structs.replace(operation, returned=returned, end=end, result=result)

    def partition(self) -> dict[Any, list[Operation]]:
        """The operations of each key: a history is linearizable when each key's is (Herlihy and Wing)."""
        keys: dict[Any, list[Operation]] = {}
        for operation in self.operations:
            keys.setdefault(operation.key, []).append(operation)
        return keys


class Event(Struct, frozen=True, omit_defaults=True):
    """One line of the JSON form: Jepsen's operation map."""

    process: int
    type: str
    f: str
    value: Any = None
    key: str = ""
    time: int = -1


def dump(history: History) -> bytes:
    """JSON lines: an event for each beginning and each known end, in order of time."""
    rows: list[tuple[int, int, int, Event]] = []
    for number, operation in enumerate(history):
        begin = Event(operation.process, INVOKE, operation.function, operation.value, operation.key, operation.invoked)
        rows.append((operation.invoked, 0, number, begin))
        if operation.end != INFO:
            value = operation.result if operation.end == OK else operation.value
            end = Event(operation.process, operation.end, operation.function, value, operation.key, operation.returned)
            rows.append((operation.returned, 1, number, end))
    rows.sort(key=lambda row: row[:3])
    return b"".join(msgspec.json.encode(event) + b"\n" for _, _, _, event in rows)


def load(text: bytes) -> History:
    """Read the JSON form: a list of events, or one event a line. Raises HistoryError."""
    try:
        if text.lstrip()[:1] == b"[":
            events = msgspec.json.decode(text, type=list[Event])
        else:
            events = [msgspec.json.decode(line, type=Event) for line in text.splitlines() if line.strip()]
    except msgspec.MsgspecError as error:
        raise HistoryError(f"not a history: {error}") from error
    return pair(events)


def pair(events: Iterable[Event]) -> History:
    """Join beginnings with ends by process. The order of the events is the order of time; where times
    are given and equal, beginnings come before ends."""
    ordered = list(events)
    if all(event.time >= 0 for event in ordered):
        ordered.sort(key=lambda event: (event.time, event.type != INVOKE))
    history = History()
    open_operations: dict[int, int] = {}
    for moment, event in enumerate(ordered):
        if event.type == INVOKE:
            if event.process in open_operations:
                raise HistoryError(f"process {event.process} began an operation before its last one ended")
            open_operations[event.process] = history.invoke(event.process, event.f, event.key, event.value, moment)
        elif event.type in {OK, FAIL, INFO}:
            number = open_operations.pop(event.process, None)
            if number is None:
                raise HistoryError(f"process {event.process} ended an operation it never began")
            history.end(number, event.type, moment, event.value)
        else:
            raise HistoryError(f"unknown type of event {event.type!r}")
    return history
