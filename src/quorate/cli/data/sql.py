"""`quorate sql`: run one statement and show what it gives."""

import sys

import click

import quorate
from quorate.cli.data.shell import shown
from quorate.cli.data.target import cluster_url, embedded_folder
from quorate.cli.output import Seconds, aligned, cluster_option, json_option, print_json, progress


@click.command(short_help="Run one statement, and print its rows.")
@click.argument("name", metavar="NAME|FOLDER")
@click.argument("statement", metavar="SQL")
@click.option("--timeout", type=Seconds(min=0, min_open=True), default=10.0, show_default=True,
              help="Seconds that it may take.")  # fmt: skip
@cluster_option
@json_option
def sql(name: str, statement: str, timeout: float, cluster: str | None, as_json: bool) -> None:
    """Run the statement SQL on the database NAME, or on the embedded one in FOLDER, and print its rows.

    A dash in place of SQL reads the statement from standard input.
    """
    text = sys.stdin.read() if statement == "-" else statement
    target = embedded_folder(name, cluster) or cluster_url(name, cluster)
    with quorate.connect(target, timeout=timeout, lazy=True) as database:
        cursor = database.execute(text)
        if cursor.description is None:
            changed = max(0, cursor.rowcount)
            print_json({"rowcount": changed}) if as_json else progress(f"done: {changed} rows changed")
            return
        columns, rows = [column[0] for column in cursor.description], cursor.fetchall()
    if as_json:
        print_json({"columns": columns, "rows": rows})
        return
    for line in aligned([columns, *([shown(value) for value in row] for row in rows)]):
        click.echo(line)
