"""Whole seeds of the fuzzer: those at which mutants of the row format die (`lab/mutants/seeds.toml`), on the real code.

`quorate lab sql` runs as many as there is time for.
"""

import pytest

from quorate.lab.fuzz.run import run_script, run_seed
from quorate.lab.fuzz.shrink import shrink
from quorate.lab.mutants import known, rows, sabotaged

KNOWN = known.load()
SEEDS = sorted({KNOWN[mutant.name].seed for mutant in rows.MUTANTS if mutant.name in KNOWN})


@pytest.mark.parametrize("seed", SEEDS)
def test_all_say_and_hold_the_same(seed: int) -> None:
    report = run_seed(seed)
    assert report.difference == ""
    assert report.worked > 5


def test_the_same_seed_does_the_same() -> None:
    first, second = run_seed(3), run_seed(3)
    assert repr(first.script) == repr(second.script)
    assert first.features == second.features


def test_a_failing_script_is_made_small() -> None:
    mutant = next(each for each in rows.MUTANTS if each.name == "rows-come-first")
    with sabotaged(mutant):
        report = run_seed(KNOWN[mutant.name].seed)
        assert report.difference
        script, difference = shrink(report.script, report.difference, 60)
        assert difference
        assert len(repr(script)) < len(repr(report.script))
    assert run_script(script).difference == ""
