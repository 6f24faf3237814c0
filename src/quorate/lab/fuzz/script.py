"""What one seed does, as data: drawn once, then repeated, shortened and kept as JSON."""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from quorate.core.statements import Statement
from quorate.storage.plain.run import Asked

MOVES = (
    "switch", "snapshot", "newcomer", "kill", "power", "checkpoint", "embedded kill", "embedded reopen",
)  # fmt: skip
"""Another replica leads; a follower is replaced by a copy; one applies the whole log anew; a process dies; a machine
dies, with what was not synced; a checkpoint; the embedded folder's process dies; it is closed and opened."""
ENDS = ("commit", "commit", "commit", "commit", "commit", "crash", "elsewhere", "twice", "read", "checkpoint")
"""What becomes of executed batches: committed; the leader dies before that, and applies them; another leads and has
them; they are undone and executed again; read past, before they are committed; a checkpoint in between."""


class Batch(Struct, frozen=True, tag="batch"):
    """Requests of several callers: each group is executed as one entry, on top of those before."""

    groups: tuple[tuple[Asked, ...], ...]
    end: str = "commit"
    follow: int = 7
    """Bits of the replicas that apply at once what is new."""


class Move(Struct, frozen=True, tag="move"):
    """Something happens to a replica (by number, from the leader on) or to the embedded folder."""

    kind: str
    node: int = 0
    number: int = 0
    """Where exactly, for what happens somewhere in a file."""


Step = Batch | Move


class Script(Struct, frozen=True):
    """Everything that one seed does."""

    seed: int
    memory: bool
    """The replicas are in memory, not in files."""
    steps: tuple[Step, ...]
    folder: bool = True
    """An embedded folder does it too."""


def save(script: Script, path: Path) -> None:
    """Write it as JSON. Bytes and the floats that JSON lacks are marked."""
    path.write_bytes(
        msgspec.json.format(msgspec.json.encode(_plain(msgspec.to_builtins(script, builtin_types=(bytes,)))))
    )


def load(path: Path) -> Script:
    """Read what `save` wrote. Raises ValueError for what is no script."""
    return msgspec.convert(_typed(msgspec.json.decode(path.read_bytes())), Script)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return {"float": repr(value)}
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _typed(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"bytes"}:
            return bytes.fromhex(value["bytes"])
        if value.keys() == {"float"}:
            return float(value["float"])
        return {key: _typed(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_typed(each) for each in value]
    return value


def lines(script: Script) -> list[str]:
    """The script as a person reads it."""
    found = [f"seed {script.seed}, replicas in {'memory' if script.memory else 'files'}"]
    for step in script.steps:
        if isinstance(step, Move):
            found.append(f"{step.kind} (replica {step.node}, {step.number})")
            continue
        found.append(f"batch, end: {step.end}, followers {step.follow:03b}")
        for number, group in enumerate(step.groups):
            for asked in group:
                how = " held" if asked.held else " load" if asked.load else ""
                found.append(f"  entry {number}, request{how}:")
                found += [f"    {_text(each)}" for each in asked.statements]
    return found


def _text(statement: Statement) -> str:
    sql = statement.sql if len(statement.sql) < 1_000 else statement.sql[:1_000] + " ..."
    if statement.sets == ((),):
        return sql + ";"
    return f"{sql}; -- {'executemany ' if statement.many else ''}{repr(statement.sets)[:400]}"
