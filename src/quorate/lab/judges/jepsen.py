"""Histories in Jepsen's form, whatever an operation's value is: maps of `process`, `type`, `f`, `value` and
perhaps `time`, as JSON or EDN, one list of them or one after another.

Beginnings are joined with ends by process, in the order of the file. What came before what is decided by
the times where every event has one (beginnings before ends at equal times), else by that same order; so too
where the events are numbered (`index`) and their times, taken a little apart, do not grow with the numbers.
"""

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import msgspec

from quorate.lab.judges.edn import freeze, read_all
from quorate.lab.judges.foreign import etcd_log
from quorate.lab.judges.history import FAIL, FOREVER, INFO, INVOKE, OK, History, HistoryError, Operation

_ENDS = {OK, FAIL, INFO}
_SAYING_NOTHING = {"write", "put", "append", "acquire", "release"}
"""Operations whose end only repeats what was asked."""


class Op:
    """One operation of one process."""

    __slots__ = ("end", "f", "key", "number", "process", "result", "start", "stop", "time_start", "time_stop", "value")

    def __init__(self, number: int, process: Any, f: str, value: Any, start: int) -> None:
        self.number = number
        self.process = process
        self.f = f
        self.value = value
        """What was asked."""
        self.result: Any = None
        """What the end said: for a read what was seen, usually the same as was asked for anything else."""
        self.key: Any = None
        """What the event's own `key` says, if it has one."""
        self.end = INFO
        self.start = start
        """Moments: integers that grow with time. -1 when the beginning was not recorded."""
        self.stop = FOREVER
        self.time_start: float = -1
        """Times as recorded, -1 when there are none. Their unit is the history's (Jepsen: nanoseconds)."""
        self.time_stop: float = -1

    def __repr__(self) -> str:
        return f"<{self.number} process {self.process} {self.end} {self.f} {self.result or self.value!r}>"


def read(content: bytes) -> list[Op]:
    """Any form of history that is known here. Raises HistoryError."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise HistoryError("not a history: this is no text") from error
    start = text.lstrip()[:1]
    if start and start in "[({;#^":
        return join(_events(content, text))
    if not start:
        return []
    return from_history(etcd_log(text))


def _events(content: bytes, text: str) -> list[dict[Any, Any]]:
    try:
        found = _json_events(content)
    except msgspec.MsgspecError as trouble:
        if re.match(r'\s*[\[({]*\s*[\[({]\s*"', text):
            raise HistoryError(f"not a history: {trouble}") from trouble
        found = list(read_all(text))
        if len(found) == 1 and isinstance(found[0], list):
            found = found[0]
    for event in found:
        if not isinstance(event, dict):
            raise HistoryError(f"not an operation: {str(event)[:80]}")
    if any(":type" in event or str(event.get("type")).startswith(":") for event in found):
        return [_without_colons(event) for event in found]
    return found


def _without_colons(value: Any) -> Any:
    """Keywords that somebody wrote into JSON as they look in EDN."""
    if isinstance(value, str):
        return value.removeprefix(":")
    if isinstance(value, list):
        return [_without_colons(each) for each in value]
    if isinstance(value, dict):
        return {_without_colons(key): _without_colons(each) for key, each in value.items()}
    return value


def _json_events(content: bytes) -> list[Any]:
    if content.lstrip()[:1] == b"[":
        try:
            return msgspec.json.decode(content, type=list[Any])
        except msgspec.DecodeError:
            if content.lstrip()[1:].lstrip()[:1] == b"[":
                raise
    lines = (line.strip().rstrip(b",") for line in content.splitlines())
    return [msgspec.json.decode(line) for line in lines if line]


def join(events: Iterable[dict[Any, Any]]) -> list[Op]:
    """Operations, in the order of their beginnings. Raises HistoryError."""
    ops: list[Op] = []
    running: dict[Any, list[Op]] = {}
    moments: list[tuple[float, int, Op]] = []  # (time, 0 for a beginning and 1 for an end, operation)
    timed = numbered = True
    for event in events:
        kind = event.get("type")
        process = event.get("process")
        if process == "nemesis":
            continue
        time = event.get("time")
        if not isinstance(time, int | float) or time < 0:
            timed, time = False, -1
        numbered = numbered and isinstance(event.get("index"), int)
        f = event.get("f") or "txn"
        if kind == INVOKE:
            if process is not None and running.get(process):
                raise HistoryError(f"process {process} began an operation before its last one ended")
            op = Op(len(ops), process, f, event.get("value"), 0)
            op.key, op.time_start = event.get("key"), time
            ops.append(op)
            running.setdefault(process, []).append(op)
            moments.append((time, 0, op))
        elif kind in _ENDS:
            ended = _ended(running.get(process), process, f, event)
            if ended is None:
                ended = Op(len(ops), process, f, event.get("value"), -1)
                ended.key = event.get("key")
                ops.append(ended)
            ended.end, ended.time_stop = kind, time
            ended.result = event.get("value")
            if ended.key is None:
                ended.key = event.get("key")
            moments.append((time, 1, ended))
        else:
            raise HistoryError(f"unknown type of event {kind!r}")
    if timed and not (numbered and any(one[0] > other[0] for one, other in pairwise(moments))):
        moments.sort(key=_by_time)
    for moment, (_, end, op) in enumerate(moments):
        if not end:
            op.start = moment
        elif op.end != INFO:
            op.stop = moment
    return ops


def _by_time(moment: tuple[float, int, Op]) -> tuple[float, int]:
    return moment[:2]


def _ended(running: list[Op] | None, process: Any, f: str, event: dict[Any, Any]) -> Op | None:
    """Which running operation this event ends. Without processes, the oldest that asked for the same."""
    if not running:
        return None
    if process is not None:
        return running.pop()
    alike = [place for place, op in enumerate(running) if op.f == f]
    same = [place for place in alike if running[place].value is None or running[place].value == event.get("value")]
    for place in same or alike:
        return running.pop(place)
    return None


def from_history(history: History) -> list[Op]:
    """The operations of a recorded register or text."""
    ops: list[Op] = []
    for number, one in enumerate(history):
        op = Op(number, one.process, one.function, one.value, one.invoked)
        op.key, op.end, op.stop, op.result = one.key or None, one.end, one.returned, one.result
        ops.append(op)
    return ops


def to_history(ops: list[Op], *, keyed: bool = False) -> History:
    """The form that the judge of linearizability reads. `keyed`: values are pairs of key and value."""
    history = History()
    for op in ops:
        key, value, result = op.key, op.value, op.result
        if keyed:
            key, value = _pair(op, value)
            result = _pair(op, result)[1] if result is not None else None
        if op.f in _SAYING_NOTHING:
            result = None
        text = "" if key is None else key if isinstance(key, str) else repr(key)
        process = op.process if isinstance(op.process, int) else -1
        stop = op.stop if op.end != INFO else FOREVER
        one = Operation(process, op.f, text, freeze(value), op.start, stop, op.end, freeze(result))
        history.operations.append(one)
    return history


def _pair(op: Op, value: Any) -> tuple[Any, Any]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise HistoryError(f"not a pair of key and value: {op!r}")
    return value[0], value[1]
