"""Conflicts of a database with several leaders, as `Connection.conflicts` tells of them."""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from quorate import errors
from quorate.client.checks import shown as told
from quorate.core.bounds import GroupId

COLUMNS = (
    "id", "table", "class", "key", "lost", "shown", "row", "lost_by", "shown_by", "lost_at", "shown_at", "resolver",
    "state", "against",
)  # fmt: skip
QUERY = f"SELECT {', '.join([chr(34) + each + chr(34) for each in COLUMNS])} FROM quorate_conflicts"  # noqa: S608
QUERY += " WHERE ?1 IS NULL OR lost_at IS NULL OR lost_at >= ?1 ORDER BY lost_at, id"
UNDO = "UPDATE quorate_conflicts SET shown = lost WHERE id = ?"


class Conflict(Struct, frozen=True):
    """One write that is not shown, or a row with which something is wrong (docs/multi-leader.md)."""

    id: str
    """The same at every leader."""
    table: str
    kind: str
    """Its class, such as update/update."""
    key: tuple[Any, ...]
    """Of the row."""
    lost: dict[str, Any]
    """Column -> the value that is not shown."""
    shown: dict[str, Any]
    """Column -> what is shown instead."""
    row: dict[str, Any] | None
    """The row as it is shown; None: it is not there."""
    lost_by: GroupId | None
    """The group of the leader that wrote it; None: it is not about one write."""
    shown_by: GroupId | None
    lost_at: int | None
    """When it was written, by that leader's clock: milliseconds since 1970."""
    shown_at: int | None
    resolver: str
    final: bool
    """It will not be withdrawn: every leader has seen both writes."""
    against: tuple[tuple[Any, ...], ...]
    """Keys of the rows that hold the unique values that it lost."""


def check_since(since: object) -> int | None:
    """Milliseconds since 1970, or None. Raises ProgrammingError."""
    if since is not None and (isinstance(since, bool) or not isinstance(since, int)):
        raise errors.ProgrammingError(f"since is a time in milliseconds since 1970, not {told(since)}")
    return since


def conflicts_of(rows: Iterable[tuple[Any, ...]]) -> list[Conflict]:
    """What `QUERY` gave."""
    return [_conflict(*row) for row in rows]


def _conflict(id: Any, table: Any, kind: Any, key: Any, lost: Any, shown: Any, row: Any, *rest: Any) -> Conflict:
    lost_by, shown_by, lost_at, shown_at, resolver, state, against = rest
    return Conflict(
        id, table, kind, _keys(key), _object(lost), _object(shown), None if row is None else _object(row),
        lost_by, shown_by, lost_at, shown_at, resolver, state == "final",
        tuple(tuple(map(_value, each)) for each in msgspec.json.decode(against or "[]")),
    )  # fmt: skip


def _keys(text: Any) -> tuple[Any, ...]:
    return tuple(map(_value, msgspec.json.decode(text)))


def _object(text: Any) -> dict[str, Any]:
    return {name: _value(value) for name, value in msgspec.json.decode(text or "{}").items()}


def _value(value: Any) -> Any:
    return bytes.fromhex(value["blob"]) if isinstance(value, dict) else value


def why(each: Conflict) -> str:
    """What was chosen, and why, in words."""
    if each.against:
        return "another row was inserted first, and holds a unique value of this one: the row is hidden"
    return WHY.get(each.kind) or CHOSEN.get(each.resolver, "the values of both were merged")


CHOSEN = {
    "last-write-wins": "the later write is shown (last-write-wins)",
    "priority": "the write of the leader that comes first is shown (priority)",
    "keep": "the later write is shown, and both are kept until one resolves them (keep)",
}
WHY = {
    "update/delete": "the row was deleted by somebody who had not seen this update",
    "delete/update": "the row was deleted by somebody who had not seen this later update",
    "delete/delete": "both deleted it; nothing is lost",
    "insert/tombstone": "the row stays: its delete had not seen this insert",
    "missing row": "the row had been forgotten: it was deleted long ago",
    "foreign key": "its parent is not there",
    "check": "what was merged breaks a CHECK of its table",
    "schema": "its column is not there yet",
}
