"""`quorate resolve`: try a program's own resolver before a database uses it."""

import json
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from quorate.cli.output import Exit, Fail, json_option, print_json
from quorate.core.versions.custom import Custom, folded
from quorate.runtime.resolvers import NoResolver, check, unpacked


class Cell(Struct, frozen=True):
    """One column of a recorded conflict."""

    table: str
    key: Any
    column: str
    lost: Any
    shown: Any


class Shown(Struct, frozen=True):
    """What the resolver would show."""

    cell: Cell
    would_show: Any


def recorded(file: Path) -> list[Cell]:
    """The conflicts of a file, as `quorate conflicts --json` lists them: an array, or one a line. Raises Fail."""
    try:
        text = file.read_text(encoding="utf-8").strip()
        found = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
        return [
            Cell(each["table"], each["key"], column, unpacked(value), unpacked(each["shown"].get(column)))
            for each in found
            for column, value in each["lost"].items()
        ]
    except OSError as error:
        raise Fail(f"{file} cannot be read: {error.strerror or error}", Exit.USAGE) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        hint = 'write one object for each: {"table": "t", "key": [1], "lost": {"c": 1}, "shown": {"c": 2}}'
        raise Fail(f"{file} has no recorded conflicts: {type(error).__name__}: {error}", Exit.USAGE, hint) from error


def tried(resolver: Custom, cells: list[Cell]) -> list[Shown]:
    """What it would show for each."""
    return [Shown(each, folded(resolver.function, (each.lost, each.shown))) for each in cells]


@click.command(short_help="Try a resolver of your own on recorded conflicts.")
@click.option("--dry-run", "resolver", required=True, metavar="MODULE:FUNCTION", help="The function; MODULE is a file.")
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of recorded conflicts, as JSON.",
)
@click.option("--column", "columns", multiple=True, metavar="TABLE.COLUMN", help="Only of this column; repeatable.")
@json_option
def resolve(resolver: str, against: Path | None, columns: tuple[str, ...], as_json: bool) -> None:
    """Try a function as a resolver (custom:MODULE:FUNCTION): whether it keeps the laws that replicas need, and what it
    would have shown of recorded conflicts. Changes nothing.

    The function is called with two values and returns what is shown instead. It must be commutative, associative and
    idempotent, and give the same in every process; if it is not, a counterexample is shown, and this ends with 4.
    """
    module, _, function = resolver.rpartition(":")
    if not module:
        raise Fail(f"{resolver!r} is not MODULE:FUNCTION", Exit.USAGE, "for example merges:longest, of merges.py")
    file = Path(module if module.endswith(".py") else f"{module}.py")
    cells = recorded(against) if against is not None else []
    cells = [each for each in cells if not columns or f"{each.table}.{each.column}" in columns]
    try:
        found = check(file, function, [value for each in cells for value in (each.lost, each.shown)])
    except NoResolver as error:
        raise Fail(str(error), Exit.REFUSED) from error
    would = tried(found, cells)
    if as_json:
        shown = [
            {**{name: _packed(getattr(each.cell, name)) for name in Cell.__struct_fields__},
             "would_show": _packed(each.would_show)}
            for each in would
        ]  # fmt: skip
        print_json({"resolver": found.name, "pin": found.pin, "conflicts": shown})
        return
    click.echo(f"{found.name} keeps the laws; its file is {found.pin}")
    for each in would:
        cell = each.cell
        key = ", ".join(map(str, cell.key)) if isinstance(cell.key, list) else cell.key
        click.echo(
            f"{cell.table}.{cell.column} of {key}: lost {cell.lost!r}, shown {cell.shown!r}, would show"
            f" {each.would_show!r}"
        )
    if against is not None:
        click.echo(f"{len(would)} values; {sum(each.would_show != each.cell.shown for each in would)} would differ")


def _packed(value: Any) -> Any:
    return {"blob": value.hex()} if isinstance(value, bytes) else value
