"""A scenario that somebody wrote: what it names is so, the rest is drawn, and what is wrong in it is said."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from quorate.cli.lab.main import lab
from quorate.lab.sim.scenarios.file import NoScenario
from quorate.lab.sim.scenarios.named import dials_of


def written(folder: Path, text: str) -> str:
    file = folder / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_what_the_file_names_is_so_and_the_rest_is_drawn(tmp_path: Path) -> None:
    text = 'scenario = "mixed"\n[dials]\nnodes = 5\nacks = ["sync"]\n[dials.settings]\nheartbeat_us = 77_000\n'
    file = written(tmp_path, text)
    mine, drawn = dials_of(file, 4), dials_of("mixed", 4)
    assert (mine.nodes, mine.acks, mine.settings.heartbeat_us) == (5, ("sync",), 77_000)
    assert (mine.loss, mine.settings.suspect_us) == (drawn.loss, drawn.settings.suspect_us)
    assert dials_of(file, 5).loss != mine.loss or dials_of(file, 5).delay_us != mine.delay_us


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[dials]\nnodez = 3\n", "has no 'nodez'; it has: nodes, "),
        ("[dials.settings]\nheart = 3\n", "[dials.settings] has no 'heart'"),
        ('[dials]\nnodes = "three"\n', "Expected `int`, got `str` - at `$.nodes`"),
        ('scenario = "doom"\n', "there is no scenario 'doom'; there are: mixed, "),
        ("nodes = 3\n", "Object contains unknown field `nodes`"),
        ("[dials\n", "mine.toml"),
        ("dials = 3\n", "mine.toml"),
    ],
)
def test_what_is_wrong_is_said(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(NoScenario) as error:
        dials_of(written(tmp_path, text), 0)
    assert why in str(error.value)


def test_it_is_run_and_what_it_exercised_is_told(tmp_path: Path) -> None:
    file = written(tmp_path, "[dials]\nsafety_us = 3_000_000\ncrash_us = 500_000\n")
    done = CliRunner().invoke(lab, ["run", file, "--seeds", "4"])
    assert done.exit_code == 0, done.output
    assert "no promise was broken" in done.stdout
    assert "exercised: ok " in done.output
    assert "crash " in done.output
    done = CliRunner().invoke(lab, ["replay", "3", "--scenario", file])
    assert "trace " in done.output
    done = CliRunner().invoke(lab, ["run", str(tmp_path / "none.toml")])
    assert (done.exit_code, "cannot be read" in done.output) == (2, True)


def test_a_failing_seed_names_its_commit() -> None:
    done = CliRunner().invoke(lab, ["run", "calm", "--seeds", "1", "--core", "commits-twice"])
    assert done.exit_code == 1
    assert "\ncommit " in done.output
    assert "again: quorate lab replay 0 --scenario calm --core commits-twice" in done.output
