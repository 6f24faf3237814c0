"""Reads and writes of single versions, and what is known of their order: for the judges of sessions, of
staleness and of convergence.

Operations are `read` and `write` with a `key` and a value that no other write of the key has, or
transactions, lists of [r key value], [w key value] and [append key value] (then reads are whole lists).
"""

from collections.abc import Callable
from typing import Any

from quorate.lab.judges.history import FAIL, HistoryError
from quorate.lab.judges.history import OK as DONE
from quorate.lab.judges.jepsen import Op, triples
from quorate.lab.judges.values import freeze

ORDERS = ("auto", "numbers", "inferred")
BEFORE_ALL = float("-inf")

Rank = Callable[[Any, Any], tuple[float, float] | None]
"""(key, version) -> (low, high): it is certainly older than another when its high is below the other's low.
None for a version of which nothing is known."""


class Deed:
    """One operation: the versions it saw and those it wrote. None is the version before all writes."""

    __slots__ = ("op", "reads", "session", "writes")

    def __init__(self, op: Op) -> None:
        self.op = op
        self.session: Any = op.process if op.process is not None and op.start >= 0 else self
        """Its process; one of its own where that, or its place in it, is not known."""
        self.reads: list[tuple[Any, Any]] = []
        self.writes: list[tuple[Any, Any]] = []


class Story:
    """All deeds by the order of their beginnings, and who wrote each version."""

    def __init__(self, ops: list[Op]) -> None:
        self.deeds: list[Deed] = []
        self.writers: dict[tuple[Any, Any], Deed] = {}
        self.lists: dict[Any, list[Any]] = {}
        for op in sorted(ops, key=_turn):
            deed = Deed(op)
            for f, key, value in _parts(op):
                self._take(deed, f, key, value)
            self.deeds.append(deed)
        if self.lists:
            self._read_last_elements()

    def _take(self, deed: Deed, f: str, key: Any, value: Any) -> None:
        if f in {"w", "write", "append", "put"}:
            if deed.op.end == FAIL:
                return
            if value is None:
                raise HistoryError(f"a write of nil: {deed.op!r}")
            other = self.writers.setdefault((key, value), deed)
            if other is not deed:
                raise HistoryError(f"{value!r} was written to {key!r} more than once")
            deed.writes.append((key, value))
        elif f in {"r", "read", "get"}:
            inside = any(key == other for other, _ in deed.writes)  # a transaction's look at its own write
            if deed.op.end == DONE and not inside:
                deed.reads.append((key, value))
                if isinstance(value, tuple) and len(value) > len(self.lists.get(key, ())):
                    self.lists[key] = list(value)
        else:
            raise HistoryError(f"neither a read nor a write: {deed.op!r}")

    def _read_last_elements(self) -> None:
        for deed in self.deeds:
            deed.reads = [
                (key, (value[-1] if value else None) if isinstance(value, tuple) else value)
                for key, value in deed.reads
            ]

    def ranks(self, order: str) -> Rank | None:
        """Where each version stands among those of its key; None when only constraints can tell.

        `numbers`: versions are numbers that grow. Lists show the order themselves. `auto`: a write that
        ended before another began made the older version; of two that overlap neither is the older.
        """
        if self.lists:
            places = {key: {each: place for place, each in enumerate(line, 1)} for key, line in self.lists.items()}
            return lambda key, version: _exactly(0 if version is None else places.get(key, {}).get(version))
        if order == "numbers":
            for _, version in self.writers:
                if not isinstance(version, int | float):
                    raise HistoryError(f"not a number: version {version!r}")
            return lambda _key, version: _exactly(BEFORE_ALL if version is None else version)
        return self.interval if order == "auto" else None

    def interval(self, key: Any, version: Any) -> tuple[float, float] | None:
        """When a version was written: the Rank by real time, which compares versions of different keys too."""
        if version is None:
            return BEFORE_ALL, BEFORE_ALL
        deed = self.writers.get((key, version))
        return None if deed is None else (deed.op.start, deed.op.stop)


def _turn(op: Op) -> tuple[int, int]:
    """What has no beginning comes where it ended."""
    return (op.start, 0) if op.start >= 0 else (op.stop, 1)


def _exactly(place: float | None) -> tuple[float, float] | None:
    return None if place is None else (place, place)


def _parts(op: Op) -> list[tuple[str, Any, Any]]:
    value = op.result if op.end == DONE and op.result is not None else op.value
    if op.f == "txn" or (op.key is None and isinstance(value, list) and value and isinstance(value[0], list)):
        return [(f, freeze(key), freeze(each)) for f, key, each in triples(op)]
    if op.f in {"read", "get", "r"} and op.end == DONE:
        value = op.result
    if isinstance(value, dict) and op.key is None:
        return [(op.f, key, freeze(each)) for key, each in value.items()]
    return [(op.f, freeze(op.key), freeze(value))]
