"""The arithmetic of quorums, held against the definitions by enumeration."""

from itertools import combinations

import pytest

from quorate.core.quorums import Quorums, absences, finds_newest

ALL = [Quorums(n, w, r) for n in range(1, 6) for w in range(1, n + 1) for r in range(1, n + 1)]
THREE = [Quorums(3, w, r) for w in range(1, 4) for r in range(1, 4)]


@pytest.mark.parametrize(("n", "w", "r"), [(0, 1, 1), (3, 0, 1), (3, 4, 1), (3, 1, 0), (3, 1, 4), (3, -1, 2)])
def test_what_cannot_be_is_refused_with_its_name(n: int, w: int, r: int) -> None:
    with pytest.raises(ValueError, match=r"^(n|w|r) = -?\d+: "):
        Quorums(n, w, r)


@pytest.mark.parametrize("quorums", ALL)
def test_strict_means_that_no_read_misses_a_write(quorums: Quorums) -> None:
    replicas = range(quorums.n)
    met = [
        len(set(write) & set(read))
        for write in combinations(replicas, quorums.w)
        for read in combinations(replicas, quorums.r)
    ]
    assert quorums.overlap == min(met)
    assert quorums.strict == all(met)


@pytest.mark.parametrize("quorums", ALL)
def test_writes_meet(quorums: Quorums) -> None:
    writes = list(combinations(range(quorums.n), quorums.w))
    assert quorums.writes_meet == all(set(one) & set(other) for one in writes for other in writes)


def test_absences_are_every_set() -> None:
    assert list(absences(3, 1)) == [(), (1,), (2,), (3,)]
    assert list(absences(3, 0)) == [()]
    assert len(list(absences(5, 2))) == 1 + 5 + 10


@pytest.mark.parametrize("quorums", ALL)
def test_finds_newest_is_true_of_every_read_quorum(quorums: Quorums) -> None:
    replicas = set(range(1, quorums.n + 1))
    for held in range(1, quorums.n + 1):
        for holders in combinations(sorted(replicas), held):
            for away in absences(quorums.n, quorums.n):
                reads = list(combinations(sorted(replicas - set(away)), quorums.r))
                expected = all(set(read) & set(holders) for read in reads) if reads else None
                assert finds_newest(quorums, holders, away) == expected


def test_three_replicas_and_the_last_write_on_two() -> None:
    """The textbook's exercise: which (w, r) return the newest version for certain, and who may be away."""
    certain = {(each.w, each.r) for each in THREE if each.w <= 2 and finds_newest(each, (1, 2), ())}
    assert certain == {(1, 2), (1, 3), (2, 2), (2, 3)}
    promised = {(each.w, each.r) for each in THREE if each.strict}
    assert promised == {(1, 3), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3)}, "of every write, not only of this one"
    two = Quorums(3, 2, 2)
    assert {away: finds_newest(two, (1, 2), away) for away in absences(3, 3)} == {
        (): True,
        (1,): True,
        (2,): True,
        (3,): True,
        (1, 2): None,
        (1, 3): None,
        (2, 3): None,
        (1, 2, 3): None,
    }
    one = Quorums(3, 2, 1)
    assert [away for away in absences(3, 2) if finds_newest(one, (1, 2), away)] == [(3,), (1, 3), (2, 3)]
