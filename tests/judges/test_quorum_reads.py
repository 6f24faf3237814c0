"""Each judge of registers with versions says what is broken, and nothing else."""

import pytest

from quorate.lab.judges.history import FAIL, FOREVER, INFO, OK
from quorate.lab.judges.quorum_reads import DELETE, GONE, MONOTONIC, NONE, ORDERED, READ, REGULAR, WRITE, Access, judge

ALL = (REGULAR, ORDERED, MONOTONIC, GONE)


def write(value: int, start: int, stop: int, stamp: int, end: str = OK) -> Access:
    return Access(WRITE, "k", value, start, stop, end, (stamp, 1))


def read(value: int | None, start: int, stop: int, stamp: int = 0) -> Access:
    return Access(READ, "k", value, start, stop, OK, (stamp, 1) if stamp else NONE)


def broken(*accesses: Access) -> str:
    found = judge(accesses, ALL)
    return found.judge if found is not None else ""


def test_what_is_promised_is_found_sound() -> None:
    one, two = write(1, 1, 2, 10), write(2, 5, 9, 20)
    assert broken(one, two, read(1, 3, 4, 10), read(2, 6, 7, 20), read(2, 8, 10, 20)) == ""
    assert broken(one, read(1, 3, 4, 10), read(None, 0, 5)) == "", "a read beside the first write"


@pytest.mark.parametrize(
    ("accesses", "judged"),
    [
        ((write(1, 1, 2, 10), read(None, 3, 4)), REGULAR),
        ((write(1, 1, 2, 10), write(2, 3, 4, 20), read(1, 5, 6, 10)), REGULAR),
        ((write(1, 1, 2, 10), read(7, 3, 4, 70)), REGULAR),
        ((read(1, 1, 2, 10), write(1, 3, 4, 10)), REGULAR),
        ((write(1, 1, 9, 10, FAIL), read(1, 10, 11, 10)), REGULAR),
        ((write(1, 1, 2, 10), read(1, 3, 4, 11)), REGULAR),
        ((write(1, 1, 2, 20), write(2, 3, 4, 10)), ORDERED),
        ((write(1, 1, 2, 10), write(2, 3, 9, 20), read(2, 4, 5, 20), read(1, 6, 7, 10)), MONOTONIC),
    ],
)
def test_what_is_broken_is_named(accesses: tuple[Access, ...], judged: str) -> None:
    assert broken(*accesses) == judged


def test_a_write_of_which_nobody_knows_may_show_at_any_time_or_never() -> None:
    unknown = Access(WRITE, "k", 2, 3, FOREVER, INFO)
    assert broken(write(1, 1, 2, 10), unknown, read(1, 4, 5, 10), read(2, 6, 7, 30)) == ""


def test_a_deleted_row_may_not_come_back_but_by_another_insert() -> None:
    delete = Access(DELETE, "k", None, 3, 4, OK, (20, 1))
    first = write(1, 1, 2, 10)
    back = [read(1, 5, 6, 10)]
    assert judge([first, delete, *back], (GONE,)) is not None
    assert judge([first, delete, write(2, 5, 6, 30), read(2, 7, 8, 30)], (GONE,)) is None
    assert judge([write(1, 1, 5, 10), delete, *back], (GONE,)) is None, "the delete may not have seen it"
