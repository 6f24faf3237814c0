"""Each mutant is caught, by a judge whose business it is, within a bounded number of seeds.

The seeds at which the search begins are known to be good; when the code has moved on and they no longer are, the
search goes on for a while. `quorate lab mutants` searches from seed 0.
"""

import pytest

from quorate.lab.mutants import MUTANTS, Mutant, first_caught, run, sabotaged
from quorate.lab.sim.report import Report
from quorate.lab.sim.scenarios import simulate

SEEDS_MAX = 40


def caught(mutant: Mutant, first: int, skip: tuple[str, ...]) -> Report:
    report = first_caught(mutant, first, SEEDS_MAX, skip)
    if report is None:
        pytest.fail(f"{mutant.name} was not caught by {SEEDS_MAX} seeds of {mutant.scenario}")
    return report


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_is_caught(mutant: Mutant) -> None:
    report = caught(mutant, mutant.seed, ())
    assert report.judge in mutant.judges, "\n".join(report.lines())


@pytest.mark.parametrize("mutant", [one for one in MUTANTS if one.inner], ids=lambda mutant: mutant.name)
def test_what_it_leads_to_is_noticed_too(mutant: Mutant) -> None:
    report = caught(mutant, mutant.outer_seed, mutant.inner)
    assert report.judge in mutant.outer, "\n".join(report.lines())


def test_there_are_many_and_each_says_where_it_comes_from() -> None:
    assert len(MUTANTS) >= 40
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    for mutant in MUTANTS:
        assert mutant.bug, mutant.name
        assert mutant.where, mutant.name


def test_sabotage_ends_with_its_block() -> None:
    before = {mutant.name: [vars(swap.owner)[swap.name] for swap in mutant.swaps] for mutant in MUTANTS}
    for mutant in MUTANTS:
        with sabotaged(mutant):
            now = [vars(swap.owner)[swap.name] for swap in mutant.swaps]
            assert all(new is not old for new, old in zip(now, before[mutant.name], strict=True)), mutant.name
        assert [vars(swap.owner)[swap.name] for swap in mutant.swaps] == before[mutant.name], mutant.name


def test_the_same_seeds_are_good_without_sabotage() -> None:
    for mutant in MUTANTS[::5]:
        report = simulate(mutant.seed, mutant.scenario)
        assert report.ok, "\n".join(report.lines())


def test_a_failing_run_says_how_to_see_it_again() -> None:
    mutant = MUTANTS[0]
    report = caught(mutant, mutant.seed, ())
    lines = report.lines()
    assert f"seed {report.seed} votes: durable vote is broken" in lines[0]
    assert "before it wrote that down" in lines[1]
    assert 20 < len(report.tail) <= 40
    assert any("Persist" in line for line in report.tail)
    assert lines[-1] == f"again: quorate lab replay {report.seed} --scenario votes --core vote-not-persisted"
    again = run(mutant, report.seed)
    assert (again.trace, again.tail) == (report.trace, report.tail)
