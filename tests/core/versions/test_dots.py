"""Dots and contexts: a lattice, judged without a look at the time; and when an origin must be minted anew."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core.versions.dots import (
    Kept,
    Order,
    Write,
    compared,
    covers,
    flat,
    floor_of,
    includes,
    joined,
    mint,
    must_mint,
    unflat,
    with_dot,
    writes_compared,
)

contexts = st.dictionaries(st.integers(1, 4), st.integers(1, 9), max_size=4)
dots = st.tuples(st.integers(1, 9), st.integers(1, 4))


@given(contexts, contexts, contexts)
def test_joining_is_a_lattice(a: dict[int, int], b: dict[int, int], c: dict[int, int]) -> None:
    assert joined(a, b) == joined(b, a)
    assert joined(a, joined(b, c)) == joined(joined(a, b), c)
    assert joined(a, a) == a
    assert includes(joined(a, b), a)


@given(contexts, contexts)
def test_comparing_is_what_including_says(a: dict[int, int], b: dict[int, int]) -> None:
    mirrored = {Order.BEFORE: Order.AFTER, Order.AFTER: Order.BEFORE}
    assert compared(b, a) == mirrored.get(compared(a, b), compared(a, b))
    assert (compared(a, b) is Order.SAME) == (a == b)


@given(contexts, dots)
def test_a_dot_that_was_added_is_covered(context: dict[int, int], dot: tuple[int, int]) -> None:
    assert covers(with_dot(context, dot), dot)
    assert compared(with_dot(context, dot), context) in (Order.SAME, Order.AFTER)


@given(contexts)
def test_encoding_is_deterministic(context: dict[int, int]) -> None:
    backwards = dict(sorted(context.items(), reverse=True))
    assert flat(context) == flat(backwards)
    assert unflat(flat(context)) == context


@given(st.lists(contexts, min_size=1, max_size=4))
def test_the_floor_is_what_all_have_seen(seen: list[dict[int, int]]) -> None:
    floor = floor_of(seen)
    assert all(includes(each, floor) for each in seen)
    for origin in range(1, 5):
        higher = {origin: floor.get(origin, 0) + 1}
        assert not all(includes(each, higher) for each in seen)


def test_nobody_has_seen_nothing() -> None:
    assert floor_of([]) == {}


def test_a_wrong_clock_hides_no_conflict() -> None:
    early, late = Write((5, 1), {}), Write((900, 2), {})
    assert writes_compared(early, late) is Order.CONCURRENT
    assert writes_compared(Write((900, 1), {}), Write((5, 2), {1: 900})) is Order.BEFORE
    assert writes_compared(Write((5, 2), {1: 900}), Write((900, 1), {})) is Order.AFTER
    assert writes_compared(early, early) is Order.SAME


@pytest.mark.parametrize(
    ("kept", "here", "others", "seen", "expected"),
    [
        (None, 0, 0, {}, True),  # an empty disk
        (Kept(7, 3, 100), 3, 3, {7: 100}, False),  # an ordinary restart
        (Kept(7, 3, 100), 4, 3, {}, False),  # it has started meanwhile without a write
        (Kept(7, 5, 100), 3, 3, {}, True),  # the node's file is older than the data file
        (Kept(7, 3, 100), 3, 5, {}, True),  # the whole folder is older: others know of later starts
        (Kept(7, 3, 100), 3, 3, {7: 101}, True),  # the data file is older: others hold what it has forgotten
    ],
)
def test_when_an_origin_is_minted(
    kept: Kept | None, here: int, others: int, seen: dict[int, int], expected: bool
) -> None:
    assert must_mint(kept, here, others, seen) is expected


def test_origins_differ_and_fit_in_sqlite() -> None:
    rng = Random(1)
    minted = [mint(rng) for _ in range(1_000)]
    assert len(set(minted)) == 1_000
    assert all(0 < origin < 1 << 63 for origin in minted)
