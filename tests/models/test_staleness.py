"""Staleness of partial quorums, held against enumeration, published figures and an integral."""

from itertools import combinations
from random import Random

import pytest

from quorate.core.quorums import Quorums
from quorate.lab.models.staleness import Legs, stale_after, stale_within

ALL = [Quorums(n, w, r) for n in range(1, 6) for w in range(1, n + 1) for r in range(1, n + 1)]


@pytest.mark.parametrize("quorums", ALL)
def test_one_version_behind_by_enumeration(quorums: Quorums) -> None:
    replicas = range(quorums.n)
    missed = [
        not set(write) & set(read)
        for write in combinations(replicas, quorums.w)
        for read in combinations(replicas, quorums.r)
    ]
    assert stale_within(quorums, 1) == pytest.approx(sum(missed) / len(missed))


@pytest.mark.parametrize(
    ("n", "w", "r", "versions", "stale"),
    [(3, 1, 1, 1, 2 / 3), (3, 1, 1, 2, 4 / 9), (3, 1, 1, 10, (2 / 3) ** 10), (3, 1, 2, 1, 1 / 3), (3, 2, 1, 2, 1 / 9),
     (5, 2, 2, 1, 0.3), (3, 2, 2, 1, 0.0)],
)  # fmt: skip
def test_versions_behind(n: int, w: int, r: int, versions: int, stale: float) -> None:
    assert stale_within(Quorums(n, w, r), versions) == pytest.approx(stale)


def test_staleness_in_time() -> None:
    rng = Random(1)
    slow = [rng.expovariate(1 / 20) for _ in range(5_000)]
    quick = [rng.expovariate(1 / 1) for _ in range(5_000)]
    legs = Legs(slow, quick, quick, quick)
    found = stale_after(Quorums(3, 1, 1), legs, (0.0, 5.0, 20.0, 1000.0), 4_000, Random(2))
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.4
    assert found[-1] == 0.0
    assert stale_after(Quorums(3, 2, 2), legs, (0.0,), 2_000, Random(2)) == [0.0], "a strict quorum is never stale"
    fixed = Legs([9.0, 9.0], [1.0], [2.0], [1.0])
    assert stale_after(Quorums(3, 1, 1), fixed, (0.0, 1.0), 10, Random(0)) == [0.0, 0.0]


def test_staleness_of_two_replicas_is_the_integral() -> None:
    """n = 2, w = r = 1, writes take 0 or 10 ms, everything else nothing: a read is stale when it is answered by the
    replica that has not got the write, which is so for one read in two of the runs in which just one is slow."""
    legs = Legs([0.0, 10.0], [0.0], [0.0], [0.0, 0.001])
    found = stale_after(Quorums(2, 1, 1), legs, (0.0, 9.9, 10.1), 40_000, Random(3))
    assert found[0] == pytest.approx(0.25, abs=0.01)
    assert found[1] == pytest.approx(0.25, abs=0.01)
    assert found[2] == 0.0
