"""What callers ask of single rows that have versions, each by its full primary key, and what they are told.

A write has a version, which is minted once. Its caller is told the row's whole new state (`Minted`) before any replica
is given it, and sends exactly that when it asks again, wherever it asks: merging a state twice is merging it once, so
no retry takes effect twice, also of an increment. Who was told nothing of a version and has no answer must not ask
again: nobody could tell the second write from the first.
"""

from typing import Any

from msgspec import Struct

from quorate.core.bounds import Count, Small, Stamped
from quorate.core.statements import Statement, Token

INSERT, UPDATE, UPSERT, ADD, DELETE = "insert", "update", "upsert", "add", "delete"
CHANGES = (INSERT, UPDATE, UPSERT, ADD, DELETE)
"""`add` adds to the integers that counters show. `insert` fails where the row is; `update`, `add` and `delete` change
no row where it is not."""


class WriteRow(Struct, frozen=True, tag="write_row"):
    """Change one row."""

    database: str
    table: str
    key: bytes
    change: str
    """One of `CHANGES`."""
    values: tuple[tuple[Small, Any], ...] = ()
    """Of columns, by their numbers beside the key."""
    w: Small = 0
    """How many replicas must hold it durably before it is acknowledged; 0: as many as the database says."""
    minted: bytes = b""
    """Asked again: the state that its caller was told."""


class ReadRow(Struct, frozen=True, tag="read_row"):
    """One row: no rows where it is not; else for each column its value, and the version that wrote it."""

    database: str
    table: str
    key: bytes
    r: Small = 0
    """How many replicas must answer; 0: as many as the database says."""


class RunRow(Struct, frozen=True, tag="run_row"):
    """Run one statement on a database without a leader, once. Any replica carries it out."""

    database: str
    statement: Statement
    w: Small = 0
    """As in `WriteRow`."""
    r: Small = 0
    """How many replicas must answer before it is read, or written; 0: as many as the database says."""
    minted: bytes = b""
    """Asked again: what its caller was told (`Minted.state`)."""
    level: str = ""
    """Of a read: empty for `r` replicas, or `eventual` for what this one holds."""
    schema: Count = 0
    """The change of the schema that its caller has seen: a replica that is not so far waits until it is."""


class SchemaFits(Struct, frozen=True, tag="schema_fits"):
    """The answer to a `RunRow` that changes the schema: it can, behind this change; nothing has happened yet. Ask the
    catalog for `ChangeSchema`."""

    after: Count


class ChangeSchema(Struct, frozen=True, tag="change_schema"):
    """Let every replica of a database without a leader change its schema so, unless it was changed since `after`.
    `Done` with one row: the number of this change."""

    database: str
    sql: str
    after: Count
    token: Token


class Minted(Struct, frozen=True, tag="minted"):
    """No answer, which follows: the write has this version, and the row this state with it."""

    state: bytes
    """What is to be sent when it is asked again. Of a `RunRow` it says also what the statement returned."""
    stamp: Stamped
    origin: Stamped


class ByRow(Struct, frozen=True, tag="by_row"):
    """Not done: the database has no leader, who could tell a repetition of this request. Ask with `RunRow`."""
