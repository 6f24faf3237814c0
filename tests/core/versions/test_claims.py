"""Unique values that several rows claim: one choice for all replicas, and as many rows shown as that allows."""

from hypothesis import given
from hypothesis import strategies as st

from quorate.core.versions.claims import Claim, lost


def claim(key: int, born: int, *values: tuple[int, bytes]) -> Claim:
    return Claim(bytes([key]), (born, 1), values)


def test_the_earlier_row_keeps_the_value() -> None:
    assert lost([claim(1, 9, (0, b"a")), claim(2, 5, (0, b"a"))]) == {b"\1": (((0, b"a"), b"\2"),)}


def test_one_that_is_hidden_holds_nothing() -> None:
    rows = [claim(1, 1, (0, b"a")), claim(2, 2, (0, b"a"), (1, b"b")), claim(3, 3, (1, b"b"))]
    assert list(lost(rows)) == [b"\2"]


def test_several_values_may_be_lost_at_once() -> None:
    rows = [claim(1, 1, (0, b"a")), claim(2, 2, (1, b"b")), claim(3, 3, (0, b"a"), (1, b"b"))]
    assert lost(rows) == {b"\3": (((0, b"a"), b"\1"), ((1, b"b"), b"\2"))}


rows = st.dictionaries(
    st.integers(1, 9),
    st.tuples(
        st.integers(1, 4), st.sets(st.tuples(st.integers(0, 1), st.sampled_from([b"a", b"b", b"c"])), max_size=2)
    ),
    max_size=9,
)


@given(rows)
def test_what_is_shown_is_unique_and_as_much_as_can_be(rows: dict[int, tuple[int, set[tuple[int, bytes]]]]) -> None:
    claims = [claim(key, born, *sorted(values)) for key, (born, values) in rows.items()]
    hidden = lost(claims)
    backwards = lost(list(reversed(claims)))
    assert hidden == backwards
    shown = [each for each in claims if each.key not in hidden]
    held = [value for each in shown for value in each.values]
    assert len(held) == len(set(held))
    for each in claims:
        if each.key in hidden:
            assert set(each.values) & set(held)
