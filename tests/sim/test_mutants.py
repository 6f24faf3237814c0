"""Each mutant is caught, by a judge whose business it is, within a bounded number of seeds.

The search begins at the known seed (`lab/mutants/seeds.toml`); when the code has moved on and it no longer shows the
mutant, the search goes on for a while, from 0. `quorate lab mutants --write docs/mutants.md` finds them anew.
"""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from quorate.cli.lab import mutants as lab_mutants
from quorate.cli.lab.main import lab
from quorate.lab.mutants import MUTANTS, Mutant, find, known, run, sabotaged
from quorate.lab.mutants.known import Known
from quorate.lab.mutants.sabotage import SQL
from quorate.lab.sim.campaigns.report import Report
from quorate.lab.sim.scenarios.named import simulate

SEEDS_MAX = 40
KNOWN = known.load()


def caught(mutant: Mutant, first: int, *, silenced: bool = False) -> Report:
    for seed in known.order(first, SEEDS_MAX):
        report = known.run_once(mutant, seed, silenced=silenced)
        if not report.ok:
            return report
    pytest.fail(f"{mutant.name} was not caught by seed {first} nor {SEEDS_MAX} others (silenced: {silenced})")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_is_caught(mutant: Mutant) -> None:
    report = caught(mutant, KNOWN.get(mutant.name, Known()).seed)
    assert report.judge in mutant.judges, "\n".join(report.lines())


@pytest.mark.parametrize("mutant", [one for one in MUTANTS if one.inner], ids=lambda mutant: mutant.name)
def test_what_it_leads_to_is_noticed_too(mutant: Mutant) -> None:
    report = caught(mutant, KNOWN.get(mutant.name, Known()).outer_seed, silenced=True)
    assert report.judge in mutant.outer, "\n".join(report.lines())


def test_the_page_tells_what_is_known_of_every_mutant() -> None:
    assert sorted(KNOWN) == sorted(mutant.name for mutant in MUTANTS), "quorate lab mutants --write docs/mutants.md"
    nobody = [mutant.name for mutant in MUTANTS if not KNOWN[mutant.name].judge]
    nobody += [mutant.name for mutant in MUTANTS if mutant.inner and not KNOWN[mutant.name].outer_judge]
    assert not nobody, f"nobody has caught {nobody}"
    text = Path(__file__).parents[2].joinpath("docs", "mutants.md").read_text(encoding="utf-8")
    assert text == known.page(MUTANTS, KNOWN), "quorate lab mutants --write docs/mutants.md"


def test_known_seeds_are_written_and_read_and_the_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "mutants.md"
    monkeypatch.setattr(known, "FILE", tmp_path / "seeds.toml")
    known.dump({"commits-twice": Known(3, "nobody"), "no-noop": Known(7, "liveness"), "gone": Known(1, "node")})
    arguments = ["--only", "commits-twice", "--only", "vote-not-persisted", "--seeds", "40", "--anew"]
    done = CliRunner().invoke(lab, ["mutants", *arguments, "--write", str(page), "--json"])
    assert done.exit_code == 0, done.output
    found = {(row["mutant"], row["silenced"]): row["judge"] for row in json.loads(done.stdout)}
    assert found["commits-twice", False] == "store"
    assert found["vote-not-persisted", False] == "durable vote"
    assert found["vote-not-persisted", True] != "durable vote"
    learned = known.load()
    assert sorted(learned) == ["commits-twice", "no-noop", "vote-not-persisted"]
    assert (learned["commits-twice"], learned["no-noop"]) == (Known(0, "store"), Known(7, "liveness"))
    assert "| commits-twice | the same batch is committed twice |" in page.read_text(encoding="utf-8")
    assert "| handovers | 7 | liveness |" in page.read_text(encoding="utf-8")


def test_a_mutant_that_survives_keeps_its_seed_and_loses_its_judge() -> None:
    before = {"one": Known(3, "node", 4, "liveness")}
    found = {("one", False): (-1, "nobody"), ("one", True): (9, "store")}
    assert lab_mutants._learned(before, found) == {"one": Known(3, "", 9, "store")}


def test_the_known_seed_comes_first_and_then_the_others() -> None:
    assert list(known.order(5, 4)) == [5, 0, 1, 2]
    assert list(known.order(1, 4)) == [1, 0, 2, 3]


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
    for mutant in MUTANTS[::8]:
        if mutant.scenario == SQL:
            continue  # tests/fuzz runs the same seeds
        report = simulate(KNOWN[mutant.name].seed, mutant.scenario)
        assert report.ok, "\n".join(report.lines())


def test_a_failing_run_says_how_to_see_it_again() -> None:
    mutant = find("vote-not-persisted")
    report = caught(mutant, KNOWN[mutant.name].seed)
    lines = report.lines()
    assert f"seed {report.seed} votes: durable vote is broken" in lines[0]
    assert "before it wrote that down" in lines[1]
    assert 20 < len(report.tail) <= 40
    assert any("Persist" in line for line in report.tail)
    assert lines[-1] == f"again: quorate lab replay {report.seed} --scenario votes --core vote-not-persisted"
    again = run(mutant, report.seed)
    assert (again.trace, again.tail) == (report.trace, report.tail)
