"""Each sabotaged core is caught, by the judge whose business it is, within a bounded number of seeds."""

import pytest

from quorate.lab.mutants import MUTANTS, Mutant
from quorate.lab.sim.report import Report
from quorate.lab.sim.scenarios import simulate

SEEDS_MAX = 60


def first_caught(mutant: Mutant, skip: tuple[str, ...]) -> Report:
    for seed in range(SEEDS_MAX):
        report = simulate(seed, mutant.scenario, mutant.core, core=mutant.name, skip=skip)
        if not report.ok:
            return report
    pytest.fail(f"{mutant.name} was not caught by {SEEDS_MAX} seeds of {mutant.scenario}")


@pytest.mark.parametrize("mutant", [one for one in MUTANTS if one.inner], ids=lambda mutant: mutant.name)
def test_a_judge_that_looks_inside_notices_at_once(mutant: Mutant) -> None:
    report = first_caught(mutant, ())
    assert report.judge in mutant.inner
    assert report.seed < 5


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_it_leads_to_is_noticed_too(mutant: Mutant) -> None:
    report = first_caught(mutant, mutant.inner)
    assert report.judge in mutant.outer, "\n".join(report.lines())


def test_a_failing_run_says_how_to_see_it_again() -> None:
    mutant = MUTANTS[0]
    report = first_caught(mutant, ())
    lines = report.lines()
    assert f"seed {report.seed} votes: durable vote is broken" in lines[0]
    assert "before it wrote that down" in lines[1]
    assert 20 < len(report.tail) <= 40
    assert any("Persist" in line for line in report.tail)
    assert lines[-1] == f"again: quorate lab replay {report.seed} --scenario votes --core vote-not-persisted"
    again = simulate(report.seed, mutant.scenario, mutant.core, core=mutant.name)
    assert (again.trace, again.tail) == (report.trace, report.tail)
