"""`quorate export`: write a database as a plain SQLite file."""

import time
from pathlib import Path

import click

import quorate
from quorate.cli.data.import_ import bar
from quorate.cli.data.import_steps import PROGRESS
from quorate.cli.data.target import cluster_url, embedded_folder
from quorate.cli.output import Exit, Fail, Seconds, cluster_option, json_option, print_json, progress
from quorate.storage.plain.file import PlainFileError
from quorate.storage.plain.write import PlainWriter


@click.command(short_help="Write a database to a plain SQLite file.")
@click.argument("name", metavar="NAME|FOLDER")
@click.argument("file", metavar="FILE.db", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE.db when it exists.")
@click.option("--timeout", type=Seconds(min=0, min_open=True), default=300.0, show_default=True,
              help="Seconds in which a node of the cluster has to make its copy.")  # fmt: skip
@cluster_option
@json_option
def export(name: str, file: Path, force: bool, timeout: float, cluster: str | None, as_json: bool) -> None:
    """Write the database NAME, or the embedded one in FOLDER, to the plain SQLite file FILE.db.

    The file holds one state of the database, whoever writes meanwhile. Of a cluster's database a node makes a copy,
    which is then fetched from that node; when the node is lost, another one makes a copy.
    """
    started = time.monotonic()
    folder = embedded_folder(name, cluster)
    try:
        writing = PlainWriter(file, replace=force)
    except PlainFileError as error:
        raise Fail(str(error), Exit.USAGE) from error
    try:
        with (
            writing as writer,
            quorate.connect(folder or cluster_url(name, cluster), timeout=timeout, lazy=True) as database,
        ):
            _refuse_unfinished(name, database)
            if isinstance(database, quorate.ClusterConnection):
                with bar("fetching", None) as advance:
                    database.copy_to(writer.draft, timeout=timeout, told=lambda done, _: advance(done, "bytes"))
            else:
                database.copy_to(writer.draft)
            writer.take_copy()
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
