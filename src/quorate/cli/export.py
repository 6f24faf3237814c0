"""`quorate export`: write a database as a plain SQLite file."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

import quorate
from quorate.cli.import_ import bar
from quorate.cli.import_steps import PROGRESS
from quorate.cli.output import Exit, Fail, cluster_option, json_option, print_json, progress
from quorate.cli.target import cluster_url, embedded_folder
from quorate.client import errors
from quorate.core.requests import Parameters, Result, Statement
from quorate.storage.plain_file import PlainFileError
from quorate.storage.plain_shape import Object, Table
from quorate.storage.plain_write import PlainWriter

_ATTEMPTS = 5
_PAGE_ROWS = 5000
"""Rows of one read; fewer when they are large."""

_SCHEMA = Statement(
    "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND substr(name, 1, 7) <> 'sqlite_'"
    " AND substr(name, 1, 8) <> 'quorate_' AND tbl_name NOT IN"
    " (SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow') ORDER BY rowid"
)
_SYSTEM = Statement("SELECT name FROM sqlite_schema WHERE name IN ('sqlite_sequence', 'sqlite_stat1')")
_SEQUENCES = Statement("SELECT name, seq FROM sqlite_sequence ORDER BY name")
_HEAD = (_SCHEMA, _SYSTEM, Statement("PRAGMA user_version"), Statement("PRAGMA application_id"))


class Moved(Exception):
    """Somebody wrote to the database between two reads."""


@click.command(short_help="Write a database to a plain SQLite file.")
@click.argument("name", metavar="NAME|FOLDER")
@click.argument("file", metavar="FILE.db", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE.db when it exists.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=30.0, show_default=True,
              help="Seconds that one read may take.")  # fmt: skip
@cluster_option
@json_option
def export(name: str, file: Path, force: bool, timeout: float, cluster: str | None, as_json: bool) -> None:
    """Write the database NAME, or the embedded one in FOLDER, to the plain SQLite file FILE.db.

    The file holds one state of the database. Of a cluster's database up to about 32 MiB are read at once, whoever
    writes meanwhile. A larger one is read in parts, and read again when somebody writes meanwhile; under steady
    writing that does not succeed, and the command says so.
    """
    started = time.monotonic()
    folder = embedded_folder(name, cluster)
    try:
        writing = PlainWriter(file, replace=force)
    except PlainFileError as error:
        raise Fail(str(error), Exit.USAGE) from error
    try:
        with writing as writer, quorate.connect(folder or cluster_url(name, cluster), timeout=timeout) as database:
            _refuse_unfinished(name, database)
            if folder is not None:
                database.copy_to(writer.draft)  # type: ignore[union-attr]
                writer.take_copy()
            else:
                Exporter(database, writer).export()  # type: ignore[arg-type]
    except PlainFileError as error:
        raise Fail(str(error), Exit.FAILED) from error
    size = file.stat().st_size
    if as_json:
        print_json({"from": name, "file": str(file), "bytes": size, "seconds": round(time.monotonic() - started, 3)})
    else:
        progress(f"wrote {name} to {file}: {size} bytes")


def _refuse_unfinished(name: str, database: quorate.Connection) -> None:
    """A part of an import would look like the whole. Raises Fail."""
    if database.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (PROGRESS,)).fetchone():
        raise Fail(
            f"an import into {name} was interrupted, and only a part of it is there",
            Exit.REFUSED,
            f"give the import command again; to export the part, drop the table {PROGRESS} first",
        )


class Exporter:
    """Reads one state of a cluster's database: all in one request, which no write disturbs, or, when that is too large
    for one answer, every part at the same place of its log."""

    def __init__(self, database: "quorate.ClusterConnection", writer: PlainWriter) -> None:
        self._database = database
        self._writer = writer
        self._index = 0
        self._page = _PAGE_ROWS
        self._at_once = True

    def export(self) -> None:
        """Write the file. Raises Fail when the database does not stand still for long enough."""
        for attempt in range(_ATTEMPTS):
            try:
                self._attempt()
            except Moved:
                progress(f"the database was written to meanwhile; reading it again ({attempt + 1} of {_ATTEMPTS})")
                self._writer.start_again()
            else:
                return
        raise Fail(
            "the database was written to during every attempt, so no single state of it could be read",
            Exit.UNAVAILABLE,
            "export when fewer writes come, or stop one node and read its folder's data file with SQLite",
        )

    def _attempt(self) -> None:
        self._index = 0
        head = self._read(*_HEAD)
        there = {row[0] for row in head[1].rows}
        counters = (_SEQUENCES,) if "sqlite_sequence" in there else ()
        wanted = self._writer.begin([Object(*row) for row in head[0].rows])  # type: ignore[arg-type]
        whole = (
            self._whole((*_HEAD, *counters, *(Statement(table.select()) for table in wanted))) if self._at_once else ()
        )
        if whole and whole[:2] != head[:2]:
            raise Moved
        _, _, *header = whole[: len(_HEAD)] or head
        sequences = (whole[len(_HEAD)] if whole else self._read(_SEQUENCES)[0]).rows if counters else []
        pages = iter(whole[len(_HEAD) + len(counters) :])
        with bar("reading", None) as advance:
            total = 0
            for table in wanted:
                for rows in [next(pages).rows] if whole else self._pages(table):
                    self._writer.rows(table, rows)
                    total += len(rows)
                    advance(total, table.name)
        numbers = [int(each.rows[0][0] or 0) for each in header]
        named = [
            (name, value) for name, value in zip(("user_version", "application_id"), numbers, strict=True) if value
        ]
        self._writer.finish(
            [(str(name), int(seq)) for name, seq in sequences],  # type: ignore[arg-type]
            named,
            analyze="sqlite_stat1" in there,
        )

    def _whole(self, statements: tuple[Statement, ...]) -> tuple[Result, ...]:
        """All that there is, at one position; nothing when that is too large for one answer."""
        try:
            return self._database.run(statements)[0].results
        except errors.TooLarge:
            self._at_once = False
            return ()

    def _pages(self, table: Table) -> Iterator[list[tuple[Any, ...]]]:
        """A table's rows, page by page: each begins behind the last row of the one before."""
        last: Parameters = ()
        places = [table.columns.index(column) for column in table.order if column in table.columns]
        paged = bool(places)
        while True:
            sql = table.select(after=bool(last), limit=paged)
            try:
                page = self._read(Statement(sql, ((*last, self._page) if paged else (),)))[0].rows
            except errors.TooLarge:
                if self._page == 1 or not paged:
                    raise
                self._page = max(1, self._page // 8)  # too large for one answer
                continue
            yield page
            if not paged or len(page) < self._page:
                return
            last = tuple(page[-1][place] for place in places)

    def _read(self, *statements: Statement) -> tuple[Result, ...]:
        """Read; Raises Moved when the log is not where it was at the first read of this attempt."""
        done, index = self._database.run(statements)
        if self._index == 0:
            self._index = index
        elif index != self._index:
            raise Moved
        return done.results
