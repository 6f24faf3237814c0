"""What all commands share: exit codes, how errors are shown, where the cluster is, JSON on stdout."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from quorate import errors
from quorate.runtime.config import ConfigError
from quorate.runtime.founding import CLUSTER_FILE, read_cluster_file


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILED = 1
    """It ran, and what it found or did is not right."""
    USAGE = 2
    """The command line, the configuration or the environment is wrong; nothing was tried."""
    UNAVAILABLE = 3
    """No node, or no leader, answered in time; nothing happened, and the same may work later."""
    REFUSED = 4
    """The cluster, the folder or SQLite refused; the same will be refused again."""
    MAYBE = 5
    """The answer was lost: it may have happened. The message has the token to ask with."""
    INTERNAL = 70
    """Quorate itself is wrong, or a node stopped because going on would have broken a promise."""
    INTERRUPTED = 130


class Fail(Exception):
    """Ends a command with a message, a hint and an exit code."""

    def __init__(self, message: str, code: Exit = Exit.FAILED, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class Seconds(click.FloatRange):
    """A number of seconds, or of minutes, for an option."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raises BadParameter, also for what is no number or beyond all time (nan, inf)."""
        found = super().convert(value, param, ctx)
        if not found < 1e9:
            self.fail(f"{value} is too much, or not a number.", param, ctx)
        return found


@contextmanager
def usage_errors() -> Iterator[None]:
    """What is wrong with a command's arguments, found before anything is asked of anybody: wrong usage."""
    try:
        yield
    except errors.Error as error:
        raise Fail(str(error.args[0]), Exit.USAGE, error.hint) from error


def code_of(error: BaseException) -> Exit:
    """The exit code for an error that ended a command."""
    if isinstance(error, Fail):
        return error.code
    if isinstance(error, ConfigError):
        return Exit.USAGE
    if isinstance(error, errors.MaybeDone):
        return Exit.MAYBE
    if isinstance(error, errors.InternalError):
        return Exit.INTERNAL
    if isinstance(error, errors.Error):
        return Exit.UNAVAILABLE if error.retryable else Exit.REFUSED
    if isinstance(error, OSError):
        return Exit.FAILED
    return Exit.INTERNAL


def show_error(error: BaseException) -> None:
    """One line on stderr, and the hint on a second."""
    message = error.args[0] if error.args and not isinstance(error, OSError) else str(error)
    click.echo(f"Error: {message or type(error).__name__}", err=True)
    hint = getattr(error, "hint", "")
    if hint:
        click.echo(f"Hint: {hint}", err=True)


def progress(line: str) -> None:
    """A line for people, on stderr."""
    click.echo(line, err=True)


def print_json(value: Any) -> None:
    """One JSON object on stdout. Structs, tuples and dicts."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A table as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def marked(rows: Sequence[Sequence[str]]) -> list[str]:
    """The same for a page: a Markdown table whose first row is its head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]


def is_terminal() -> bool:
    """Whether stdout is a terminal that understands colours and cursor movements."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def is_person() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask_password(user: str) -> str:
    """Ask whoever sits at the terminal."""
    found: str = click.prompt(f"Password of {user}", hide_input=True, err=True)
    return found


def find_cluster(given: str | None) -> str:
    """The URL of the cluster that is meant: the option, else QUORATE_URL, else ./cluster.json.

    A folder or a file stands for the `cluster.json` in it. Raises ConfigError.
    """
    folder = cluster_folder(given)
    return _target(given) if folder is None else read_cluster_file(folder).url


def cluster_folder(given: str | None) -> Path | None:
    """The folder of the cluster that is meant; None when it is named by a URL. Raises ConfigError."""
    target = _target(given)
    if "://" in target:
        return None
    path = Path(target)
    return path.parent if path.name == CLUSTER_FILE else path


def _target(given: str | None) -> str:
    target = given or os.environ.get("QUORATE_URL") or ""
    if not target and not Path(CLUSTER_FILE).exists():
        raise ConfigError(f"which cluster? Give --cluster URL-or-DIR, set QUORATE_URL, or run beside {CLUSTER_FILE}")
    return target or "."


F = TypeVar("F", bound=Callable[..., Any])


def cluster_option(command: F) -> F:
    """Adds `--cluster URL-or-DIR` as the argument `cluster`."""
    return click.option(
        "--cluster",
        "--url",
        "cluster",
        metavar="URL-or-DIR",
        help="The cluster's URL, or a folder with cluster.json. Default: QUORATE_URL, then ./cluster.json.",
    )(command)


def json_option(command: F) -> F:
    """Adds `--json` as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")(command)
