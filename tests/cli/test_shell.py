"""`quorate shell`: what is piped into it, and what a person types."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import quorate
from quorate.cli.data.shell import INSIDE, MORE, PROMPT, Shell, is_complete
from quorate.cli.main import main

FILL = "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);\nINSERT INTO t VALUES (1, 'x;y'), (2, NULL);\n"


def piped(text: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["shell", *arguments], input=text)


def lines(text: str) -> list[str]:
    done = piped(text)
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("SELECT 1;", True),
        ("SELECT 1; -- two", True),
        ("SELECT 1", False),
        ("SELECT ';", False),
        ("SELECT /* ;", False),
        ("CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM t;", False),
        ("CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM t; END;", True),
        ("", True),
    ],
)
def test_where_a_statement_ends(text: str, whole: bool) -> None:
    assert is_complete(text) is whole


def test_statements_may_take_several_lines_and_the_last_needs_no_semicolon() -> None:
    assert lines(FILL + "SELECT a,\n b\nFROM t; SELECT 3") == ["a  b", "1  x;y", "2  NULL", "3", "3"]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("list", ["1|x;y", "2|"]),
        ("csv", ["a,b", "1,x;y", "2,"]),
        ("json", ['{"a": 1, "b": "x;y"}', '{"a": 2, "b": null}']),
        ("line", ["a = 1", "b = x;y", "", "a = 2", "b = NULL", ""]),
    ],
)
def test_modes(mode: str, expected: list[str]) -> None:
    assert lines(f"{FILL}.mode {mode}\nSELECT * FROM t;") == expected


def test_a_database_is_described() -> None:
    asked = ".tables\n.tables v%\n.schema t\n.databases\n.explain SELECT * FROM t"
    made = lines(f"{FILL}CREATE VIEW v AS SELECT 1;\n{asked}")
    assert made[:3] == ["t", "v", "v"]
    assert made[3] == "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);"
    assert made[4:] == ["main  :memory:", "SCAN t"]


def test_a_dump_can_be_read_again(tmp_path: Path) -> None:
    (tmp_path / "dump.sql").write_text("\n".join(lines(FILL + ".dump")))
    folder = str(tmp_path / "shop")
    quorate.connect(folder).close()
    done = piped(f".read {tmp_path / 'dump.sql'}\n.timer on\nSELECT count(*) AS n FROM t;\n.quit\nnonsense", folder)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == ["n", "2"]
    assert " s" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT missing;\nSELECT 1;", "no such column"),
        (".nonsense\nSELECT 1;", "there is no command .nonsense"),
        (".mode fancy", "table, list"),
        (".timer", "on or off"),
        (".read missing.sql", "cannot be read"),
    ],
)
def test_what_is_piped_ends_at_the_first_error(text: str, said: str) -> None:
    done = piped(text)
    assert done.exit_code != 0
    assert said in done.stderr
    assert not done.stdout


def test_a_file_that_reads_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text(f".read {tmp_path / 'a.sql'}\n")
    assert "reads itself" in piped(f".read {tmp_path / 'a.sql'}").stderr


def test_a_person_is_told_of_errors_and_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    asked: list[str] = []
    typed: Iterator[str | type[BaseException]] = iter(
        [
            "BEGIN;",
            "SELECT 1 AS",
            "n;",
            "nonsense;",
            "SELECT",
            KeyboardInterrupt,
            ".nothing",
            "COMMIT;",
            ".help",
            ".quit",
        ]
    )

    def ask(prompt: str) -> str:
        asked.append(prompt)
        answer = next(typed)
        if not isinstance(answer, str):
            raise answer
        return answer

    with quorate.connect(":memory:") as db:
        Shell(db, ":memory:", said.append).converse(ask)
    assert asked[:5] == [PROMPT, INSIDE, MORE, INSIDE, INSIDE]
    assert asked[-1] == PROMPT
    assert said[:2] == ["n", "1"]
    assert any(line.startswith(".tables") for line in said)
    errors = capsys.readouterr().err
    assert "syntax error" in errors
    assert ".nothing" in errors
