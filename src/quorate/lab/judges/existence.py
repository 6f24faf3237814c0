"""Rows that are inserted and deleted: whoever was told that one is there, or is not, was told what can be.

A row is certainly there when an INSERT of it was acknowledged and no DELETE that may have happened lies behind or
beside it; and certainly not there when a DELETE was acknowledged and no such INSERT lies behind or beside that.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from quorate.lab.judges.history import FAIL, OK
from quorate.lab.judges.quorum_reads import DELETE, WRITE, Access, Broken

EXISTS = "existence"


class Sighting(Struct, frozen=True):
    """Somebody was told whether there is such a row: by a read, or by a statement that failed or changed nothing."""

    key: str
    there: bool
    start: int
    stop: int


def judge(accesses: Iterable[Access], sightings: Iterable[Sighting]) -> Broken | None:
    """The first sighting that cannot be; None: there is none."""
    by_key: dict[str, list[Access]] = {}
    for each in accesses:
        if each.end != FAIL and each.kind in (WRITE, DELETE):
            by_key.setdefault(each.key, []).append(each)
    for seen in sightings:
        changes = by_key.get(seen.key, [])
        against = _certain(changes, seen, DELETE if seen.there else WRITE)
        if against is not None:
            return Broken(EXISTS, f"{seen} cannot be after {against}")
    return None


def _certain(changes: Sequence[Access], seen: Sighting, kind: str) -> Access | None:
    """A change of this kind that was acknowledged before, and that no other of the opposite kind may have undone."""
    undoing = [each for each in changes if each.kind != kind and each.start < seen.stop]
    for each in changes:
        certain = each.kind == kind and each.end == OK and each.stop < seen.start
        if certain and not any(other.end != OK or other.stop > each.start for other in undoing):
            return each
    return None
