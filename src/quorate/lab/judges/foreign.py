"""Histories as other projects write them down."""

import re

from quorate.lab.judges.history import FAIL, INVOKE, OK, Event, History, HistoryError, load, pair

_ETCD_LINE = re.compile(r"INFO\s+jepsen\.util\s+-\s+(\d+)\s+:(invoke|ok|fail|info)\s+:(read|write|cas)\s+(.*)$")
_MAP_LINE = re.compile(
    r'\{:process (\d+), :type :(invoke|ok|fail|info), :f :(get|put|append), :key "(.*?)", :value (nil|".*")\}'
)


def etcd_log(text: str) -> History:
    """Jepsen's log of a compare-and-set register. Lines about anything else are passed over."""
    events: list[Event] = []
    asked: dict[int, object] = {}
    for line in text.splitlines():
        match = _ETCD_LINE.match(line)
        if match is None:
            continue
        process, kind, function, written = int(match[1]), match[2], match[3], match[4].strip()
        if kind == INVOKE:
            asked[process] = _value(written)
            events.append(Event(process, INVOKE, function, _value(written)))
        elif kind == FAIL and function == "cas" and not written.startswith(":"):
            events.append(Event(process, OK, function, value=False))  # an answer: the old value was another
        elif kind == OK:
            events.append(Event(process, OK, function, True if function == "cas" else _value(written)))
        else:
            events.append(Event(process, kind, function, asked.get(process)))
    if not events:
        raise HistoryError("no operation in this log")
    return pair(events)


def _value(text: str) -> object:
    if text.startswith("["):
        old, new = text.strip("[]").split()
        return (int(old), int(new))
    return None if text == "nil" else int(text) if text.lstrip("-").isdigit() else None


def maps(text: str) -> History:
    """One map a line, on string keys: `get`, `put`, `append`."""
    events: list[Event] = []
    for line in text.splitlines():
        match = _MAP_LINE.match(line.strip())
        if match is None:
            raise HistoryError(f"not an operation: {line!r}")
        value = None if match[5] == "nil" else match[5][1:-1]
        events.append(Event(int(match[1]), match[2], match[3], value, match[4]))
    return pair(events)


def read_any(content: bytes) -> History:
    """Guess the form by its first characters."""
    start = content.lstrip()[:40]
    if start.startswith(b"{:process"):
        return maps(content.decode())
    if start.startswith((b"{", b"[")):
        return load(content)
    return etcd_log(content.decode())
