"""A campaign too short for every fault to have its turn says so and does not fail for it."""

from quorate.lab.nemesis.faults import CALM
from quorate.lab.nemesis.figures import spread
from quorate.lab.nemesis.periods import Row, unseen

NONE = spread([])


def row(fault: str, periods: int, evidence: int) -> Row:
    return Row(fault, periods, 0, evidence, 0, NONE, NONE)


def test_what_had_no_turn_yet_is_told_and_what_had_one_and_never_struck_is_a_failure() -> None:
    rows = (row("kill -9", 2, 2), row("delay", 1, 0), row("full disk", 0, 0), row(CALM, 0, 0))
    assert unseen(rows, 3) == (["full disk", CALM], ["delay never struck"])


def test_a_long_campaign_owes_every_fault() -> None:
    rows = (row("kill -9", 20, 20), row("full disk", 0, 0), row(CALM, 7, 0))
    assert unseen(rows, 27) == ([], ["full disk never struck"])
