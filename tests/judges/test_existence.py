"""The judge of rows that are inserted and deleted says what cannot be, and nothing else."""

import pytest

from quorate.lab.judges.existence import Sighting, judge
from quorate.lab.judges.history import FAIL, FOREVER, INFO, OK
from quorate.lab.judges.quorum_reads import DELETE, WRITE, Access


def inserted(start: int, stop: int, end: str = OK) -> Access:
    return Access(WRITE, "k", start, start, stop, end)


def deleted(start: int, stop: int, end: str = OK) -> Access:
    return Access(DELETE, "k", None, start, stop, end)


@pytest.mark.parametrize(
    ("changes", "there", "sound"),
    [
        ((), False, True),
        ((inserted(1, 2),), True, True),
        ((inserted(1, 2),), False, False),
        ((inserted(1, 2), deleted(3, 4)), False, True),
        ((inserted(1, 2), deleted(3, 4)), True, False),
        ((inserted(1, 2), deleted(3, 4), inserted(5, 6)), True, True),
        ((inserted(1, 2), deleted(3, 4), inserted(5, 6)), False, False),
        ((inserted(1, 2), deleted(3, 4, FAIL)), False, False),
        ((inserted(1, 2), deleted(3, FOREVER, INFO)), False, True),
        ((deleted(1, FOREVER, INFO), inserted(3, 4)), False, True),
        ((inserted(1, 2), deleted(3, 4), inserted(5, FOREVER, INFO)), True, True),
        ((inserted(1, 11), deleted(3, 4)), True, True),
        ((inserted(1, 11),), False, True),
        ((inserted(1, 2), deleted(3, 11)), False, True),
    ],
)
def test_a_sighting_is_sound_or_not(changes: tuple[Access, ...], there: bool, sound: bool) -> None:
    found = judge(changes, [Sighting("k", there, 10, 12)])
    assert (found is None) == sound, found


def test_rows_are_judged_by_their_keys() -> None:
    assert judge([inserted(1, 2)], [Sighting("other", there=False, start=3, stop=4)]) is None
