"""Histories in Jepsen's form, whatever an operation's value is: maps of `process`, `type`, `f`, `value` and
perhaps `time` and `index`.

Where every event has an `index` of its own, the indices are the order of the history. Else beginnings are joined
with ends by process in the order of the file, and what came before what is decided by the times where every event
has one (beginnings before ends at equal times), and by the order of the file where not.
"""

from collections.abc import Iterable
from math import isfinite
from types import NoneType
from typing import Any

from quorate.lab.judges.foreign import etcd_log
from quorate.lab.judges.forms import events, text_of
from quorate.lab.judges.history import FAIL, FOREVER, INFO, INVOKE, OK, History, HistoryError, Operation
from quorate.lab.judges.values import FALSE, Real, freeze, typed

_Numbered = tuple[int, dict[Any, Any]]
"""An event with its number in the file, from 1."""
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
        text = text_of(content)
        found = events(text) if text.strip() else []
        return join(found) if found is not None else from_history(etcd_log(text))
    except RecursionError as error:
        raise HistoryError("not a history: its values are nested too deeply") from error


def join(events: Iterable[dict[Any, Any]]) -> list[Op]:
    """Operations, in the order of their beginnings. Raises HistoryError, which names the event."""
    ops: list[Op] = []
    running: dict[Any, list[Op]] = {}
    moments: list[tuple[float, int, Op]] = []  # (time, 0 for a beginning and 1 for an end, operation)
    found = [(number, checked(number, event)) for number, event in enumerate(events, 1) if not _of_nemesis(event)]
    numbered = _numbered(found)
    ordered = sorted(found, key=lambda one: one[1]["index"]) if numbered else _in_turn(found)
    timed = all(_time(event) >= 0 for _, event in ordered)
    for number, event in ordered:
        kind, process, time = event.get("type"), event.get("process"), _time(event)
        f = event.get("f") or "txn"
        if kind == INVOKE:
            if process is not None and running.get(process):
                raise HistoryError(f"event {number}: process {process} began an operation before its last one ended")
            op = Op(len(ops), process, f, typed(event.get("value")), 0)
            op.key, op.time_start = typed(event.get("key")), time
            ops.append(op)
            running.setdefault(process, []).append(op)
            moments.append((time, 0, op))
        else:
            ended = _ended(running.get(process), process, f, event)
            if ended is None:
                ended = Op(len(ops), process, f, typed(event.get("value")), -1)
                ops.append(ended)
            ended.end, ended.time_stop = str(kind), time
            ended.result = typed(event.get("value"))
            if ended.key is None:
                ended.key = typed(event.get("key"))
            moments.append((time, 1, ended))
    if timed and not numbered:
        moments.sort(key=_by_time)
    for moment, (_, end, op) in enumerate(moments):
        if not end:
            op.start = moment
        elif op.end != INFO:
            op.stop = moment
    return ops


def _of_nemesis(event: dict[Any, Any]) -> bool:
    return event.get("process") == "nemesis"


_KINDS = {INVOKE, *_ENDS}
_FIELDS: dict[str, tuple[str, tuple[type, ...]]] = {
    "type": ("one of invoke, ok, fail and info", (str,)),
    "process": ("a number or a name", (int, str, NoneType)),
    "f": ("a name", (str, NoneType)),
    "time": ("a number", (int, float, Real, NoneType)),
    "index": ("an integer", (int, NoneType)),
}


def checked(number: int, event: dict[Any, Any]) -> dict[Any, Any]:
    """The event, if it can be one. Raises HistoryError."""
    for name, (wanted, types) in _FIELDS.items():
        value = event.get(name)
        fits = value.__class__ in types
        if name == "type":
            fits = fits and value in _KINDS
        elif name == "time":
            fits = fits and (value is None or isfinite(value))
        if not fits:
            shown = "is missing" if value is None else f"is {str(value)[:40]!r}"
            raise HistoryError(f"event {number}: `{name}` {shown}, not {wanted}: {str(event)[:120]}")
    return event


def _time(event: dict[Any, Any]) -> float:
    time = event.get("time")
    return -1 if time is None or time < 0 else time


def _numbered(found: list[_Numbered]) -> bool:
    """Whether every event has an index of its own."""
    numbers = {event.get("index") for _, event in found}
    return None not in numbers and len(numbers) == len(found)


def _in_turn(found: list[_Numbered]) -> list[_Numbered]:
    """The order in which events are joined: the file's, or that of their times where only it makes every process end
    what it began before it begins anew."""
    if all(_time(event) >= 0 for _, event in found) and not _takes_turns(found):
        by_time = sorted(found, key=lambda one: _time(one[1]))
        if _takes_turns(by_time):
            return by_time
    return found


def _takes_turns(found: list[_Numbered]) -> bool:
    begun: dict[Any, float] = {}
    for _, event in found:
        process, time = event.get("process"), _time(event)
        if event["type"] == INVOKE:
            if process in begun:
                return False
            begun[process] = time
        elif process not in begun or begun.pop(process) > time:
            return False
    return True


def _by_time(moment: tuple[float, int, Op]) -> tuple[float, int]:
    return moment[:2]


def _ended(running: list[Op] | None, process: Any, f: str, event: dict[Any, Any]) -> Op | None:
    """Which running operation this event ends. Without processes, the oldest that asked for the same."""
    if not running:
        return None
    if process is not None:
        return running.pop()
    alike = [place for place, op in enumerate(running) if op.f == f]
    said = typed(event.get("value"))
    same = [place for place in alike if running[place].value is None or running[place].value == said]
    for place in same or alike:
        return running.pop(place)
    return None


def from_history(history: History) -> list[Op]:
    """The operations of a recorded register or text."""
    ops: list[Op] = []
    for number, one in enumerate(history):
        op = Op(number, one.process, one.function, typed(one.value), one.invoked)
        op.key, op.end, op.stop, op.result = one.key or None, one.end, one.returned, typed(one.result)
        ops.append(op)
    return ops


def to_history(ops: list[Op], *, keyed: bool = False) -> History:
    """The form that the judge of linearizability reads. `keyed`: values are pairs of key and value."""
    history = History()
    for op in ops:
        key, value, result = op.key, op.value, op.result
        if keyed:
            key, value = _pair(op, value if value is not None else result)
            result = _pair(op, result)[1] if result is not None else None
        if op.f in _SAYING_NOTHING:
            value, result = result if value is None else value, None
        elif op.f == "cas":  # an answer that is not `false` says that it found the old value
            result = op.end == OK and result is not False and result is not FALSE
        stop = op.stop if op.end != INFO else FOREVER
        key = "" if key is None else freeze(key)
        one = Operation(op.process, op.f, key, freeze(value), op.start, stop, op.end, freeze(result))
        history.operations.append(one)
    return history


def _pair(op: Op, value: Any) -> tuple[Any, Any]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise HistoryError(f"not a pair of key and value: {op!r}")
    return value[0], value[1]


def triples(op: Op) -> list[Any]:
    """What a transaction did, as far as is known: lists [f, key, value]. [r key] is short for [r key nil]. Raises
    HistoryError."""
    mops: Any = op.result if op.end == OK and op.result is not None else op.value
    if mops is None:
        return []
    if not isinstance(mops, list | tuple):
        raise HistoryError(f"not a transaction, which is a list of [f, key, value]: {op!r}")
    if op.end != OK:
        mops = [[*mop, None] if isinstance(mop, list) and len(mop) == 2 and mop[0] == "r" else mop for mop in mops]
    for mop in mops:
        if mop.__class__ not in (list, tuple) or len(mop) != 3 or mop[0].__class__ is not str:
            raise HistoryError(f"in a transaction, {str(mop)[:60]} is not [f, key, value]: {op!r}")
    return list(mops)
