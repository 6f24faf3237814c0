"""`quorate import`: load an existing SQLite file into a database."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

import quorate
from quorate import errors
from quorate.cli.data.create import usual_replicas
from quorate.cli.data.import_steps import Database, Loader
from quorate.cli.data.target import cluster_url, folder_of
from quorate.cli.output import Exit, Fail, Seconds, cluster_option, json_option, print_json, progress
from quorate.client.url import parse_cluster_url
from quorate.storage.plain.file import Extent, PlainFile, PlainFileError


@click.command("import", short_help="Load a SQLite file into a database.")
@click.argument("file", metavar="FILE.db", type=click.Path(path_type=Path))
@click.option("--into", required=True, metavar="NAME|FOLDER", help="A database's name, or an embedded one's folder.")
@click.option("--timeout", type=Seconds(min=0, min_open=True), default=30.0, show_default=True,
              help="Seconds that one step may take.")  # fmt: skip
@cluster_option
@json_option
def import_(file: Path, into: str, timeout: float, cluster: str | None, as_json: bool) -> None:
    """Load the SQLite file FILE.db: schema, indexes, views, triggers and rows.

    What cannot be carried is named, and then nothing is written. An import that was interrupted goes on when the
    same command is given again. FILE.db itself is only read.
    """
    started = time.monotonic()
    try:
        source = PlainFile(file)
    except PlainFileError as error:
        raise Fail(str(error), Exit.USAGE) from error
    try:
        extent = _examine(source)
        with open_target(into, cluster, timeout) as database:
            loader = Loader(source, extent, database)
            loader.prepare()
            if loader.resumed:
                progress(f"going on behind step {loader.done}")
            try:
                with bar("loading", extent.rows) as advance:
                    loader.load(advance)
            except KeyboardInterrupt:
                progress("interrupted; the same command goes on where this one stopped")
                raise
    finally:
        source.close()
    if as_json:
        report = {"file": str(file), "into": into, "tables": len(source.tables), "rows": extent.rows}
        print_json({**report, "resumed": loader.resumed, "seconds": round(time.monotonic() - started, 3)})
    else:
        progress(f"loaded {file} into {into}: {len(source.tables)} tables, {extent.rows} rows")


def _examine(source: PlainFile) -> Extent:
    """How much there is to load. Raises Fail that names everything that cannot be carried."""
    problems = source.problems()
    if not problems:
        with bar("reading", None) as advance:
            extent = source.extent(lambda rows: advance(rows, ""))
        problems = list(extent.problems)
    if problems:
        listed = "".join(f"\n  - {each}" for each in problems)
        raise Fail(f"{source.path} cannot be loaded; nothing was written:{listed}", Exit.REFUSED)
    broken, mismatched = source.violations()
    if broken:
        progress(f"Warning: {broken} rows refer to rows that do not exist; they are loaded as they are")
    for each in mismatched:
        progress(
            f"Warning: {each}; it is loaded as it is, but SQLite refuses writes that have to check it, and here foreign"
            " keys are always enforced"
        )
    return extent


@contextmanager
def open_target(into: str, cluster: str | None, timeout: float) -> Iterator[Database]:
    """The database to load into, made when it is not there."""
    folder = folder_of(into, cluster)
    if folder is not None:
        with quorate.connect(folder, timeout=timeout) as embedded:
            assert isinstance(embedded, quorate.EmbeddedConnection)
            yield embedded
        return
    url = cluster_url(into, cluster)
    with quorate.connect(url, timeout=timeout, lazy=True) as database:
        try:
            database.execute("SELECT 1")
        except errors.UnknownDatabase:
            _create(url, parse_cluster_url(url).database, timeout)
        assert isinstance(database, quorate.ClusterConnection)
        yield database


def _create(url: str, name: str, timeout: float) -> None:
    with quorate.Cluster(url, timeout=timeout) as cluster:
        replicas = usual_replicas(cluster)
        cluster.create(name, replicas=replicas, exists_ok=True)
    progress(f"created {name}: {replicas} replicas")


@contextmanager
def bar(what: str, total: int | None) -> Iterator[Callable[[int, str], None]]:
    """A progress bar on stderr when that is a terminal, else nothing. Yields what is called with the rows so far."""
    if not sys.stderr.isatty():
        yield lambda _rows, _what: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: list[Any] = [
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[name]}"),
    ]
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=total, name="")
        yield lambda rows, name: shown.update(task, completed=rows, name=name)
