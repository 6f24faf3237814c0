"""Replicas of a database with versioned tables: SQLite in memory, and deltas that travel as bytes."""

from collections.abc import Mapping
from typing import Any

import apsw

from quorate.core.versions.dots import floor_of
from quorate.storage.data.connection import open_writer
from quorate.storage.data.guard import Guard
from quorate.storage.failures import RefusedError
from quorate.storage.versions.store import VersionStore

NOW = 1_800_000_000_000
RANKS = {1: 2, 2: 0, 3: 1}


class Replica:
    def __init__(self, origin: int, ddl: str, resolvers: Mapping[str, Mapping[str, str]], skew_ms: int = 0) -> None:
        self.origin = origin
        self.connection = open_writer(":memory:", Guard())
        self.now_ms = NOW + skew_ms
        self.sent: list[bytes] = []
        self._change_schema(ddl)
        self.store = VersionStore(self.connection, origin, RANKS, ahead_max_ms=10_000_000)
        for table, chosen in resolvers.items():
            self.store.create(table, self.now_ms, chosen)

    def _change_schema(self, ddl: str) -> None:
        self.connection.execute(ddl)

    def restart(self) -> None:
        self.store = VersionStore(self.connection, self.origin, RANKS, ahead_max_ms=10_000_000)

    def run(self, *statements: str | tuple[str, tuple[Any, ...]]) -> bytes:
        """One transaction; its delta, or nothing."""
        self.now_ms += 1
        with self.store.writing(self.now_ms) as deltas:
            for each in statements:
                sql, bindings = (each, ()) if isinstance(each, str) else each
                self.connection.execute(sql, bindings)
        self.sent += deltas
        return deltas[0] if deltas else b""

    def merge(self, *deltas: bytes) -> None:
        for delta in deltas:
            if delta:
                self.store.merge(delta, self.now_ms)

    def rows(self, sql: str) -> list[Any]:
        return list(self.connection.execute(sql))

    def conflicts(self) -> list[tuple[Any, ...]]:
        return [(each.conflict.value, each.key) for each in self.store.conflicts()]

    def is_sound(self) -> bool:
        return self.rows("PRAGMA integrity_check") == [("ok",)]


def meet(replicas: list[Replica], *, floor: bool = True) -> None:
    """All of them exchange all that they hold, and the floor rises."""
    for _ in range(2):
        for one in replicas:
            for other in replicas:
                if one is not other:
                    one.merge(other.store.whole())
    if floor:
        seen = floor_of([each.store.seen for each in replicas])
        for each in replicas:
            each.store.advance(seen)


def refused(connection: apsw.Connection, name: str, resolvers: Mapping[str, str] | None = None) -> str:
    """Why a table cannot be versioned."""
    try:
        VersionStore(connection, 1).create(name, NOW, resolvers)
    except RefusedError as error:
        return f"{error.failed.message}: {error.failed.hint}"
    return ""
