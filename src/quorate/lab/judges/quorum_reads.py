"""Registers whose reads and writes tell the versions that they are of, as databases without a leader keep them.

Regular (Lamport 1986; with several writers, Shao and others 2011, in the order of versions): a read returns a write
that began before it ended, with a version that is not lower than any acknowledged before it began. Ordered: a write's
version is higher than any acknowledged before it began. Monotonic: no read returns a lower version than one that ended
before it began. A row that was deleted does not come back.
"""

from bisect import bisect_left
from collections.abc import Iterable

from msgspec import Struct

from quorate.lab.judges.history import FAIL, FOREVER, INFO, OK

Version = tuple[int, int]
NONE: Version = (0, 0)
"""Of a read that found no row."""
READ, WRITE, DELETE = "read", "write", "delete"
REGULAR, ORDERED, MONOTONIC, GONE = "regular register", "ordered versions", "monotonic reads", "no resurrection"


class Access(Struct):
    """One read or write of one row. Times are any integers that grow."""

    kind: str
    key: str
    value: object
    """Of a write, each has another; of a read, what it returned."""
    start: int
    stop: int = FOREVER
    end: str = INFO
    version: Version = NONE
    """Of a write: NONE where nobody was told."""


class Broken(Struct, frozen=True):
    """What is wrong."""

    judge: str
    story: str


def judge(accesses: Iterable[Access], judges: Iterable[str]) -> Broken | None:
    """The first thing that these judges find wrong; None: nothing."""
    by_key: dict[str, list[Access]] = {}
    for each in accesses:
        if each.end != FAIL:
            by_key.setdefault(each.key, []).append(each)
    for name in judges:
        for some in by_key.values():
            if name in JUDGES and (story := JUDGES[name](some)):
                return Broken(name, story)
    return None


class _Highest:
    """The highest version that was told of before a moment."""

    def __init__(self, told: Iterable[Access]) -> None:
        ended = sorted([(each.stop, each.version, each) for each in told if each.end == OK], key=lambda it: it[:2])
        self._stops = [stop for stop, _, _ in ended]
        self._highest: list[Access] = []
        for _, version, each in ended:
            before = self._highest[-1] if self._highest else each
            self._highest.append(each if version >= before.version else before)

    def before(self, moment: int) -> Access | None:
        at = bisect_left(self._stops, moment)
        return self._highest[at - 1] if at else None


def _regular(some: list[Access]) -> str:
    writes = [each for each in some if each.kind == WRITE]
    highest = _Highest(writes)
    by_value = {each.value: each for each in writes}
    for read in [each for each in some if each.kind == READ and each.end == OK]:
        known = highest.before(read.start)
        if known is not None and read.version < known.version:
            return f"{read} is older than {known}, which was acknowledged before"
        if read.version == NONE:
            continue
        write = by_value.get(read.value)
        if write is None or write.start > read.stop:
            return f"{read} returns what nobody had written"
        if write.version not in (NONE, read.version):
            return f"{read} returns the value of {write} with another version"
    return ""


def _ordered(some: list[Access]) -> str:
    writes = [each for each in some if each.kind == WRITE]
    highest = _Highest(writes)
    for write in writes:
        known = highest.before(write.start)
        if known is not None and write.version != NONE and write.version <= known.version:
            return f"{write} has no higher version than {known}, which was acknowledged before it began"
    return ""


def _monotonic(some: list[Access]) -> str:
    reads = [each for each in some if each.kind == READ and each.end == OK]
    highest = _Highest(reads)
    for read in reads:
        known = highest.before(read.start)
        if known is not None and read.version < known.version:
            return f"{read} is older than {known}, which had ended before it began"
    return ""


def _gone(some: list[Access]) -> str:
    deletes = [each for each in some if each.kind == DELETE and each.end == OK]
    by_value = {each.value: each for each in some if each.kind == WRITE}
    for read in some:
        if read.kind != READ or read.end != OK or read.version == NONE:
            continue
        write = by_value.get(read.value)
        for delete in deletes:
            if write is not None and write.end == OK and write.stop < delete.start and delete.stop < read.start:
                return f"{read} returns {write}, which {delete} had deleted"
    return ""


JUDGES = {REGULAR: _regular, ORDERED: _ordered, MONOTONIC: _monotonic, GONE: _gone}
