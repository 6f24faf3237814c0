"""`quorate verify` on what a cluster answers, and on the folder of an embedded database."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

import quorate
from quorate.cli.data import verify as command
from quorate.cli.main import main
from quorate.core.verdicts import AWAY, DIFFERS, EQUAL, ReplicaVerdict, VerifyReport


class Cluster:
    """Answers with one report after the other."""

    reports: Iterator[VerifyReport]

    def __init__(self, _url: str) -> None:
        self.asked = 0

    def verify(self, database: str | None, timeout: float) -> list[VerifyReport]:
        assert database == "shop"
        assert timeout > 0
        return [next(Cluster.reports)]

    def status(self) -> list[Any]:
        return []

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_error: object) -> None:
        return None


def report(*verdicts: str) -> VerifyReport:
    order = (EQUAL, AWAY, DIFFERS)
    replicas = tuple(
        ReplicaVerdict(number, f"n{number}", verdict, "d", rebuilt=verdict == DIFFERS)
        for number, verdict in enumerate(verdicts, start=1)
    )
    return VerifyReport("shop", 1, 2, 77, max(verdicts, key=order.index), replicas)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> type[Cluster]:
    monkeypatch.setattr(quorate, "Cluster", Cluster)
    return Cluster


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["verify", "shop", "--cluster", "quorate://h:1", *arguments])


def test_equal_replicas_are_one_line_and_no_failure(answers: type[Cluster]) -> None:
    answers.reports = iter([report(EQUAL, EQUAL, EQUAL)])
    found = run()
    assert (found.exit_code, found.stdout) == (0, "shop: equal at index 77 of epoch 2\n")


def test_a_replica_that_differs_is_named_and_fails_the_command(answers: type[Cluster]) -> None:
    answers.reports = iter([report(EQUAL, DIFFERS, AWAY)])
    found = run()
    assert found.exit_code == 1
    assert "n2: differs from the majority; it fetches a copy from the others" in found.stdout
    assert "n3: could not answer" in found.stdout


def test_a_replica_that_is_away_says_nothing_about_the_others(answers: type[Cluster]) -> None:
    answers.reports = iter([report(EQUAL, EQUAL, AWAY)])
    found = run()
    assert found.exit_code == 1
    assert found.stdout.startswith("shop: 2 of 3 replicas are equal at index 77 of epoch 2\n")


def test_waiting_looks_again(answers: type[Cluster], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_POLL_S", 0.0)
    answers.reports = iter([report(EQUAL, DIFFERS), report(EQUAL, EQUAL)])
    found = run("--wait", "--json")
    assert found.exit_code == 0
    assert [each["verdict"] for each in msgspec.json.decode(found.stdout)] == [EQUAL]
    assert "differs" in found.stderr


def test_the_folder_of_an_embedded_database_is_examined(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    with quorate.connect(folder) as db:
        db.execute("CREATE TABLE t(a TEXT UNIQUE)")
        db.executemany("INSERT INTO t VALUES (?)", [(f"row {number}",) for number in range(3000)])
    found = CliRunner().invoke(main, ["verify", str(folder)])
    assert found.exit_code == 0, found.output
    assert "main: equal" in found.stdout
    assert "a single replica: sound" in found.stdout
