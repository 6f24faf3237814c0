"""`quorate quorum`: what a person asks of it, and what it answers to nonsense."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from quorate.cli.main import main
from quorate.cli.output import Exit


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["quorum", *arguments])


def test_a_strict_quorum() -> None:
    told = ask().stdout
    assert "Reads see the newest acknowledged write: yes." in told
    assert "Reads are not linearizable" in told
    assert "A read succeeds while these are away: none; 1; 2; 3." in told
    assert "Chance" not in told


def test_a_quorum_that_may_miss() -> None:
    told = ask("--w", "1", "--r", "1", "--latency", "exponential:5").stdout
    assert "not always, because w + r = 2 is not more than n = 3" in told
    assert "k=1: 66.67%   k=2: 44.44%" in told
    assert "Chance that a read is stale which begins so long after the write was acknowledged:" in told


def test_the_textbook_s_exercise() -> None:
    """Three replicas, the last write on two of them."""
    rows = json.loads(ask("--all", "--held", "1,2", "--json").stdout)
    certain = {(row["w"], row["r"]): row["newest_without"] for row in rows if row["acknowledged"]}
    alone = [[3], [1, 3], [2, 3]]
    any_one = [[], [1], [2], [3]]
    assert certain == {(1, 1): alone, (1, 2): any_one, (1, 3): [[]], (2, 1): alone, (2, 2): any_one, (2, 3): [[]]}
    told = ask("--all", "--held", "1,2").stdout.splitlines()
    assert "2  2  yes                    1                1               none; 1; 2; 3" in told


def test_measured_latencies(tmp_path: Path) -> None:
    file = tmp_path / "latencies"
    file.write_text("1\n1\n30\n")
    found = json.loads(ask("--w", "1", "--r", "1", "--latency", str(file), "--json").stdout)
    chances = [each["chance"] for each in found["stale_after"]]
    assert chances[0] > 0.1
    assert chances[-1] == 0.0
    strict = json.loads(ask("--latency", str(file), "--write-latency", "fixed:9", "--json").stdout)
    assert {each["chance"] for each in strict["stale_after"]} == {0.0}


def test_more_sets_than_anybody_reads() -> None:
    assert "A read succeeds whichever 30 are away." in ask("--n", "40", "--w", "20", "--r", "10").stdout
    assert ask("--n", "1000", "--w", "500", "--r", "1").exit_code == Exit.OK


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--w", "4"], "w = 4: it must be from 1 to n = 3"),
        (["--r", "0"], "r = 0: it must be from 1 to n = 3"),
        (["--held", "7"], "the replicas are 1 to 3"),
        (["--held", "a"], "write the replicas' numbers"),
        (["--write-latency", "fixed:1"], "needs --latency"),
        (["--latency", "fixed:-1"], "no latency, or one that is negative"),
        (["--latency", "fixed:nan"], "no latency, or one that is negative"),
        (["--latency", "nowhere"], "write fixed:MS"),
        (["--all", "--latency", "fixed:1"], "leave --latency out"),
        (["--all", "--n", "99", "--w", "1", "--r", "1"], "more than 12"),
    ],
)
def test_nonsense_is_wrong_usage(arguments: list[str], told: str) -> None:
    result = ask(*arguments)
    assert result.exit_code == Exit.USAGE
    assert told in result.stderr.replace("\n", " ")
