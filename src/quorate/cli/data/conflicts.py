"""`quorate conflicts`: what lost against another write in a database of several leaders, and undoing that."""

import time
from collections.abc import Iterator
from typing import Any

import click
import msgspec

import quorate
from quorate.cli.data.target import cluster_url
from quorate.cli.output import Exit, Fail, Seconds, cluster_option, json_option, print_json, progress
from quorate.client.conflicts import UNDO, Conflict, why

POLL_S = 1.0
"""Between two looks with --follow."""


@click.command(short_help="List what lost against another write, and undo it.")
@click.argument("name", metavar="DATABASE")
@click.option("--table", help="Only conflicts of this table.")
@click.option("--follow", is_flag=True, help="Go on, and show conflicts as they appear and are withdrawn.")
@click.option("--undo", metavar="ID", help="Show what lost in this conflict in place of what was chosen.")
@click.option("--timeout", type=Seconds(0.1), default=10.0, show_default=True, help="Seconds that a call may take.")
@cluster_option
@json_option
def conflicts(
    name: str, table: str | None, follow: bool, undo: str | None, timeout: float, cluster: str | None, as_json: bool
) -> None:
    """List the conflicts of DATABASE, which has several leaders: what is not shown, what is shown instead, and why.

    --undo is an ordinary write: it replaces every value of the row's columns that were in conflict, at all leaders.
    """
    opened: Any = quorate.connect(cluster_url(name, cluster), timeout=timeout, lazy=True)
    with opened as database:
        if database.replication() != "multi-leader":
            raise Fail(
                f"{name} does not have several leaders, so it has no conflicts",
                Exit.REFUSED,
                "see docs/multi-leader.md",
            )
        if undo is not None:
            if not database.execute(UNDO, (undo,)).rowcount:
                raise Fail(f"{name} has no conflict {undo} (any more)", Exit.REFUSED, f"see quorate conflicts {name}")
            print_json({"database": name, "undone": undo}) if as_json else progress(f"{undo}: what had lost is shown")
            return
        if follow:
            for line in _followed(database, table, as_json=as_json):
                click.echo(line)
        found = _listed(database, table)
    if as_json:
        print_json(as_objects(found))
        return
    for each in found:
        for line in lines(each):
            click.echo(line)
    click.echo(f"{len(found)} conflicts" if found else "no conflicts")


def _listed(database: Any, table: str | None) -> list[Conflict]:
    return [each for each in database.conflicts() if table in (None, each.table)]


def _followed(database: Any, table: str | None, *, as_json: bool) -> Iterator[str]:
    """Until it is interrupted."""
    known: dict[str, Conflict] = {}
    while True:
        now = {each.id: each for each in _listed(database, table)}
        for each in now.values():
            if each.id not in known:
                yield from [msgspec.json.encode(as_objects([each])[0]).decode()] if as_json else lines(each)
        for gone in known.keys() - now.keys():
            yield msgspec.json.encode({"id": gone, "gone": True}).decode() if as_json else f"{gone}  gone"
        known = now
        time.sleep(POLL_S)


def lines(each: Conflict) -> list[str]:
    """One conflict for people."""
    key = ", ".join(map(str, each.key))
    written = f"  written at leader {each.lost_by}" if each.lost_by is not None else ""
    state = "final" if each.final else "provisional"
    told = [f"{each.id}  {each.table} {key}  {each.kind}  {state}{written}"]
    for column, value in each.lost.items():
        told.append(f"  {column}: lost {value!r}, shown {each.shown.get(column)!r}")
    told += [f"  against {each.table} {', '.join(map(str, holder))}" for holder in each.against]
    return [*told, f"  {why(each)}"]


def as_objects(found: list[Conflict]) -> list[dict[str, Any]]:
    """For JSON; `quorate resolve --against` reads it. A BLOB is an object with its bytes in hexadecimal."""
    return [{**_plain(msgspec.structs.asdict(each)), "why": why(each)} for each in found]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return {"blob": value.hex()} if isinstance(value, bytes) else value
