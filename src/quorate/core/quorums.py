"""The arithmetic of n, w and r: what a quorum promises, and which replicas may be away.

Each value has n replicas. A write is acknowledged by w of them, a read is answered by r (Gifford 1979; DeCandia and
others 2007).
"""

from collections.abc import Collection, Iterator
from itertools import combinations

from msgspec import Struct


class Quorums(Struct, frozen=True):
    """How many replicas hold a value, acknowledge a write and answer a read. Raises ValueError for what cannot be."""

    n: int
    w: int
    r: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n = {self.n}: a value needs at least one replica")
        for name, value in (("w", self.w), ("r", self.r)):
            if not 1 <= value <= self.n:
                raise ValueError(f"{name} = {value}: it must be from 1 to n = {self.n}")

    @property
    def overlap(self) -> int:
        """In how many replicas each read quorum meets each write quorum, at least; 0: it may miss it."""
        return max(0, self.w + self.r - self.n)

    @property
    def strict(self) -> bool:
        """Whether each read asks at least one replica that acknowledged the newest complete write: w + r > n."""
        return self.overlap > 0

    @property
    def writes_meet(self) -> bool:
        """Whether two writes always have a replica in common, which sees that they are concurrent: w + w > n."""
        return 2 * self.w > self.n

    @property
    def write_absences(self) -> int:
        """How many replicas may be away for a write to be acknowledged."""
        return self.n - self.w

    @property
    def read_absences(self) -> int:
        """How many replicas may be away for a read to be answered."""
        return self.n - self.r


def absences(n: int, most: int) -> Iterator[tuple[int, ...]]:
    """Every set of at most so many of the replicas 1 to n, the smallest first."""
    for size in range(most + 1):
        yield from combinations(range(1, n + 1), size)


def finds_newest(quorums: Quorums, holders: Collection[int], away: Collection[int]) -> bool | None:
    """Whether every read returns what these replicas hold while those are away; None: no read is answered at all.

    A read may be answered by any r of the replicas that are there, so it is certain to find the newest version only
    if no r of them are without it.
    """
    there = set(range(1, quorums.n + 1)) - set(away)
    if len(there) < quorums.r:
        return None
    return len(there - set(holders)) < quorums.r
