"""What a failover lost and a node kept, as `Cluster.lost` tells of it."""

from collections.abc import Iterable

from msgspec import Struct

from quorate.core.requests import LostEntry, LostReport, Unknown
from quorate.core.statements import Result


class LostWrite(Struct, frozen=True):
    """One entry of a lost tail: what one batch of writes had changed."""

    database: str
    group: int
    epoch: int
    index: int
    wall_us: int
    """When it was written, by the clock of its leader: microseconds since 1970."""
    writes: int
    """How many callers' writes it carries."""
    bytes: int
    state: str
    """kept, begun (a replay of it did not end) or replayed"""
    nodes: tuple[str, ...]
    """Addresses of the nodes that keep it."""

    @property
    def name(self) -> str:
        """As the command line names it: group.epoch.index."""
        return f"{self.group}.{self.epoch}.{self.index}"


class Lost(Struct, frozen=True):
    """Everything that the nodes that answered know to be lost."""

    writes: tuple[LostWrite, ...]
    gaps: tuple[tuple[int, str, int, int], ...]
    """(group, database, first index, last index) of what was lost and could not be read any more when it was saved."""
    unknown: tuple[Unknown, ...]
    """Earlier leaders that have not come back: nobody here knows what they committed."""


class Replayed(Struct, frozen=True):
    """What became of one replay."""

    applied: int
    """Rows that were changed as they had been, and changes of the schema."""
    unfit: tuple[tuple[str, str, str], ...]
    """Table, key and reason of everything that was left alone."""


STATES = ("kept", "begun", "replayed")


def merged(reports: Iterable[tuple[str, LostReport]]) -> Lost:
    """One list out of what each node keeps; several may keep the same entry. Oldest first."""
    found: dict[tuple[int, int, int], tuple[LostEntry, list[str], str]] = {}
    gaps: set[tuple[int, str, int, int]] = set()
    unknown: set[Unknown] = set()
    for address, report in reports:
        gaps.update(report.gaps)
        unknown.update(report.unknown)
        for entry in report.entries:
            key = (entry.group, entry.epoch, entry.index)
            _, nodes, state = found.setdefault(key, (entry, [], entry.state))
            nodes.append(address)
            found[key] = (entry, nodes, max(state, entry.state, key=STATES.index))
    writes = tuple(
        LostWrite(
            entry.database, entry.group, entry.epoch, entry.index, entry.wall_us, entry.requests, entry.bytes, state,
            tuple(nodes),
        )
        for _, (entry, nodes, state) in sorted(found.items())
    )  # fmt: skip
    ordered = sorted(unknown, key=lambda each: (each.group, each.epoch, each.node))
    return Lost(writes, tuple(sorted(gaps)), tuple(ordered))


def replayed(result: Result) -> Replayed:
    """The outcome of a `Replay`."""
    rows = tuple((str(table), str(key), str(what)) for table, key, what in result.rows)
    return Replayed(result.rowcount, rows)
