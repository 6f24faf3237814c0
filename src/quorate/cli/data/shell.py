"""`quorate shell`: statements and dot commands, from a person or from a pipe."""

import csv
import io
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import click

import quorate
from quorate.cli.data.target import cluster_url, embedded_folder
from quorate.cli.output import Exit, Fail, Seconds, aligned, cluster_option, is_person, progress, show_error
from quorate.client.url import is_cluster
from quorate.sql.classify import statements_of

_SENTINEL = "BEHIND_IT"
PROMPT, INSIDE, MORE = "quorate> ", "quorate*> ", "    ...> "
"""At the beginning of a statement, the same in an open transaction, and within a statement."""


@click.command(short_help="Run statements and dot commands, typed or piped.")
@click.argument("name", metavar="NAME|FOLDER|URL", default=":memory:")
@click.option("--timeout", type=Seconds(min=0, min_open=True), default=10.0, show_default=True,
              help="Seconds that a statement may take.")  # fmt: skip
@cluster_option
def shell(name: str, timeout: float, cluster: str | None) -> None:
    """Run statements on the database NAME, or on the embedded one in FOLDER, or in memory when none is named.

    Statements end with a semicolon and may take several lines. `.help` lists the dot commands. What comes from a pipe
    or a file ends at the first error, with 1.
    """
    folder = None if name == ":memory:" else embedded_folder(name, cluster)
    target: Any = name if name == ":memory:" else folder or cluster_url(name, cluster)
    with quorate.connect(target, timeout=timeout) as database:
        talk = Shell(database, str(target), click.echo)
        if not is_person():
            talk.run(sys.stdin)
            return
        click.echo("Statements end with a semicolon; .help lists the commands, .quit leaves.")
        talk.converse(input)


def is_complete(text: str) -> bool:
    """Whether a text ends with a whole statement."""
    return [*statements_of(f"{text}\n{_SENTINEL}")][-1:] == [_SENTINEL]


class Shell:
    """A connection that is talked to in lines."""

    def __init__(self, database: Any, target: str, say: Callable[[str], object]) -> None:
        self._database = database
        self._target = target
        self._say = say
        self._mode = "table"
        self._timer = False
        self._reading: list[Path] = []
        """Files that are being read, each by the one before it."""

    # ------------------------------------------------------------------ lines

    def run(self, lines: Iterable[str]) -> None:
        """Run what these lines say. Raises what goes wrong first."""
        kept = ""
        for line in lines:
            if not kept.strip() and line.startswith("."):
                if not self.command(line.strip()):
                    return
                continue
            kept += line if line.endswith("\n") else f"{line}\n"
            if is_complete(kept):
                self.statements(kept)
                kept = ""
        self.statements(kept)

    def converse(self, ask: Callable[[str], str]) -> None:
        """Run what a person types, and show what goes wrong, until there is no more."""
        with suppress(ImportError):
            import readline  # noqa: F401 - the arrow keys work from here on
        kept = ""
        while True:
            try:
                line = ask(MORE if kept else INSIDE if self._database.in_transaction else PROMPT)
                if not kept and line.startswith("."):
                    if not self.command(line.strip()):
                        return
                    continue
                kept += f"{line}\n"
                if is_complete(kept):
                    whole, kept = kept, ""
                    self.statements(whole)
            except EOFError:
                return
            except KeyboardInterrupt:
                kept = ""
                self._say("")
            except (quorate.Error, Fail) as error:
                show_error(error)

    def statements(self, text: str) -> None:
        """Run statements, one after the other, and show what each gives."""
        for sql in statements_of(text):
            began = time.monotonic()
            cursor = self._database.execute(sql)
            if cursor.description is not None:
                self._show([column[0] for column in cursor.description], cursor.fetchall())
            if self._timer:
                progress(f"{time.monotonic() - began:.3f} s")

    # ------------------------------------------------------------------ rows

    def _show(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        for line in self.MODES[self._mode](columns, rows):
            self._say(line)

    @staticmethod
    def _as_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
        if rows:
            yield from aligned([list(columns), *([shown(value) for value in row] for row in rows)])

    @staticmethod
    def _as_list(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:  # noqa: ARG004 - as the others
        for row in rows:
            yield "|".join("" if value is None else shown(value) for value in row)

    @staticmethod
    def _as_lines(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
        for row in rows:
            yield from (f"{name} = {shown(value)}" for name, value in zip(columns, row, strict=True))
            yield ""

    @staticmethod
    def _as_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(["" if value is None else shown(value) for value in row] for row in rows)
        yield text.getvalue().removesuffix("\n")

    @staticmethod
    def _as_json(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
        for row in rows:
            values = [shown(value) if isinstance(value, bytes) else value for value in row]
            yield json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False)

    MODES: ClassVar[dict[str, Callable[[Sequence[str], Sequence[Sequence[Any]]], Iterator[str]]]] = {
        "table": _as_table, "list": _as_list, "line": _as_lines, "csv": _as_csv, "json": _as_json,
    }  # fmt: skip

    # ------------------------------------------------------------------ dot commands

    def command(self, line: str) -> bool:
        """Do what a dot command says; False: to leave. Raises Fail for one that is not there."""
        word, _, rest = line.partition(" ")
        if word in (".quit", ".exit"):
            return False
        if word not in self.COMMANDS:
            raise Fail(f"there is no command {word}", Exit.USAGE, ".help lists them")
        self.COMMANDS[word][0](self, rest.strip())
        return True

    def _help(self, rest: str) -> None:  # noqa: ARG002 - as the others
        for line in aligned([*([f"{name} {each[1]}".rstrip(), each[2]] for name, each in self.COMMANDS.items())]):
            self._say(line)
        self._say("Leave with .quit or the end of input.")

    def _read(self, rest: str) -> None:
        path = Path(rest)
        if path in self._reading:
            raise Fail(f"{rest} reads itself", Exit.USAGE)
        self._reading.append(path)
        try:
            with path.open(encoding="utf-8") as file:
                self.run(file)
        except (OSError, UnicodeDecodeError) as error:
            raise Fail(f"{rest or 'a file without a name'} cannot be read: {error}", Exit.USAGE) from error
        finally:
            self._reading.pop()

    def _dump(self, rest: str) -> None:  # noqa: ARG002
        for line in self._database.iterdump():
            self._say(line)

    def _tables(self, rest: str) -> None:
        found = self._database.execute(
            "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
            " AND (? = '' OR name LIKE ?) ORDER BY name", (rest, rest),
        )  # fmt: skip
        for (name,) in found:
            self._say(name)

    def _schema(self, rest: str) -> None:
        found = self._database.execute(
            "SELECT sql FROM sqlite_schema WHERE sql NOT NULL AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
            " AND (? = '' OR tbl_name LIKE ?) ORDER BY type <> 'table', type, name", (rest, rest),
        )  # fmt: skip
        for (sql,) in found:
            self._say(f"{sql};")

    def _set_mode(self, rest: str) -> None:
        if rest not in self.MODES:
            raise Fail(f"there is no mode {rest!r}", Exit.USAGE, f"there are: {', '.join(self.MODES)}")
        self._mode = rest

    def _set_timer(self, rest: str) -> None:
        if rest not in ("on", "off"):
            raise Fail(".timer is on or off", Exit.USAGE)
        self._timer = rest == "on"

    def _databases(self, rest: str) -> None:  # noqa: ARG002
        if not is_cluster(self._target):
            self._say(f"{self._database.database}  {self._target}")
            return
        with quorate.Cluster(self._target) as cluster:
            rows = [(each.name, each.replication, str(each.replicas)) for each in cluster.databases()]
        for line in aligned(rows):
            self._say(line)

    def _explain(self, rest: str) -> None:
        depths = {0: -1}
        for number, parent, _, text in self._database.execute(f"EXPLAIN QUERY PLAN {rest}"):
            depths[number] = depths.get(parent, -1) + 1
            self._say("  " * depths[number] + text)

    COMMANDS: ClassVar[dict[str, tuple[Callable[["Shell", str], None], str, str]]] = {
        ".databases": (_databases, "", "list the databases"),
        ".dump": (_dump, "", "print the database as a script"),
        ".explain": (_explain, "STATEMENT", "print how a statement would be run"),
        ".help": (_help, "", "list these commands"),
        ".mode": (_set_mode, "MODE", "print rows as table, list, line, csv or json"),
        ".read": (_read, "FILE", "run what is in a file"),
        ".schema": (_schema, "[TABLE]", "print the statements that made tables, indexes, views and triggers"),
        ".tables": (_tables, "[PATTERN]", "list tables and views"),
        ".timer": (_set_timer, "on|off", "print how long each statement took"),
    }


def shown(value: object) -> str:
    """A value as a person reads it."""
    if value is None:
        return "NULL"
    return f"x'{value.hex()}'" if isinstance(value, bytes) else str(value)
