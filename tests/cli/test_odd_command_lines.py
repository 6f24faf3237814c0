"""Whatever stands on a command line, the command ends with an error that can be read and an exit code of ours."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from quorate.cli.main import main
from quorate.cli.output import Exit
from quorate.client import routing

NOBODY = "quorate://127.0.0.1:1"
ODD = [
    "", "\udcff", "a\0b", "x" * 5000, "nan", "1e400", "9" * 5000, "-1", "/", ".", "file", "dir", "./file", "bad",
    "quorate://", "http://x", f"quorate://{'h' * 5000}/x", "quorate://h:99999", "a..b:1", "[::1", "n=a:b:c", "\n",
]  # fmt: skip
RUN_FOREVER = {"demo", "nemesis", "up", "serve", "lab"}
"""Left out: what these take is checked by the same types."""


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group) and name not in RUN_FOREVER:
            yield from commands(command, (*path, name))
        elif command is not None and name not in RUN_FOREVER:
            yield (*path, name), command


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QUORATE_URL", raising=False)
    monkeypatch.setattr(routing, "REFUSED_FOR", 0.0)
    Path("file").write_text("x")
    Path("dir").mkdir()
    Path("bad").mkdir()
    Path("bad/cluster.json").write_bytes(b"\xff\0")


def lines_of(path: tuple[str, ...], command: click.Command) -> Iterator[list[str]]:
    """The command with one odd argument, for each of its arguments and each odd value."""
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    options = [each for each in command.params if isinstance(each, click.Option) and not each.is_flag]
    known = {name for option in options for name in option.opts}
    usual = (["--timeout", "0.1"] if "--timeout" in known else []) + (
        ["--cluster", NOBODY] if "--cluster" in known else []
    )
    plain = ["x"] * len(arguments)
    for value in ODD:
        for at in range(len(arguments)):
            yield [*path, *usual, "--", *plain[:at], value, *plain[at + 1 :]]
        for option in options:
            yield [*path, *usual, option.opts[0], value, "--", *plain]


COMMANDS = dict(commands(main))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_command(path: tuple[str, ...]) -> None:
    found = 0
    for line in lines_of(path, COMMANDS[path]):
        result = CliRunner().invoke(main, line)
        assert result.exception is None or isinstance(result.exception, SystemExit), (line, result.exception)
        assert result.exit_code in set(Exit) - {Exit.INTERNAL}, (line, result.output)
        assert (result.exit_code == Exit.OK) or "Error: " in result.stderr, (line, result.output)
        found += 1
    assert found >= len(ODD)


def test_what_is_not_utf8_is_named() -> None:
    result = CliRunner().invoke(main, ["sql", "\udcff", "SELECT 1"])
    assert result.exit_code == Exit.USAGE
    assert "is not UTF-8" in result.stderr


@pytest.mark.parametrize("seconds", ["nan", "inf", "1e9", "0"])
def test_what_is_no_time_is_wrong_usage(seconds: str) -> None:
    result = CliRunner().invoke(main, ["status", "--cluster", NOBODY, "--timeout", seconds])
    assert result.exit_code == Exit.USAGE
    assert "--timeout" in result.stderr
