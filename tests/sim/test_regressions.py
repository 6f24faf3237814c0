"""Small cases that were made from failing runs: each still shows what it is kept for, and only that.

A case of a mutant breaks its promise with the mutant and keeps it without; a case of the real core was a bug once.
"""

from pathlib import Path

import msgspec
import pytest

from quorate.lab.mutants import run_case
from quorate.lab.sim.campaigns.shrink import Case, Shrinker, chunks, dump, load
from quorate.lab.sim.scenarios.named import case_of

FILES = sorted((Path(__file__).parent / "regressions").glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_case_still_shows_what_it_shows(path: Path) -> None:
    case = load(path.read_bytes())
    assert case.story, "a case says what it is about"
    assert dump(case) == path.read_bytes(), "written as `quorate lab shrink` writes it"
    sound = run_case(msgspec.structs.replace(case, core="real"))
    assert sound.ok, "\n".join(sound.lines())
    if case.core != "real":
        report = run_case(case)
        assert report.judge == case.judge, "\n".join(report.lines())


def test_there_are_cases() -> None:
    assert len(FILES) >= 5


def test_a_failing_run_becomes_small() -> None:
    shrinker = Shrinker(case_of("calm", 0, "commits-twice"), run_case, budget=60)
    steps, _, operations = shrinker.size()
    case = shrinker.shrink()
    assert case.judge == "store"
    assert shrinker.size()[0] <= steps
    assert shrinker.size()[2] <= operations
    assert case.dials.clients == 1
    assert run_case(case).judge == "store"
    assert load(dump(case)) == case


def test_pieces_cover_everything() -> None:
    items = [(0, number) for number in range(7)]
    assert sorted(item for some in chunks(items, 3) for item in some) == items


def test_a_case_is_its_seed_while_nothing_is_left_out() -> None:
    case: Case = case_of("mixed", 3)
    assert run_case(case).trace == run_case(load(dump(case))).trace
