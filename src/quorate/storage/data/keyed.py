"""The data file of a replica without a leader: entries of its log carry states of rows, which are merged into it."""

from collections.abc import Callable, Sequence
from typing import cast

import msgspec

from quorate.core.entries import DATA, SCHEMA, Position
from quorate.core.row_effects import (
    PlanStatement,
    ReadOnRows,
    ReadTables,
    RowKey,
    RowRun,
    RowsQueried,
    RowState,
    RunOnRow,
    StatementPlanned,
    TablesRead,
    decode_change,
    decode_rows,
)
from quorate.core.versions.comparing import KeyedRows
from quorate.storage.data.holding import HoldingWriter
from quorate.storage.data.keyed_statements import KeyedStatements
from quorate.storage.data.replica import Replica
from quorate.storage.data.schema import SchemaFacts
from quorate.storage.data.writer import storage_errors
from quorate.storage.failures import RefusedError
from quorate.storage.interface import Divergent
from quorate.storage.rows.payload import encode_records
from quorate.storage.versions.keyed import StoredRows
from quorate.storage.versions.keyed_tables import KeyedTables


class KeyedWriter(KeyedStatements):
    """Raises what `Writer` raises."""

    def __init__(self, path: str, vfs: str | None = None, clock: Callable[[], int] | None = None) -> None:
        super().__init__(path, vfs, clock)
        try:
            with storage_errors():
                self._control("BEGIN IMMEDIATE")
                self.rows = StoredRows(self.connection)
                self.tables = KeyedTables(self.connection, self.rows, self._schema, self.guard)
                self._control("COMMIT")
        except BaseException:
            self.connection.close()
            raise

    def set_aside(self) -> None:
        super().set_aside()
        self.rows.forget()
        self.tables.forget()

    def _write_position(self, position: Position, floor: int) -> None:
        self.rows.settle()
        super()._write_position(position, floor)

    def _carry_out(self, kind: int, payload: bytes, facts: SchemaFacts) -> tuple[SchemaFacts, list[str], bytes]:
        try:
            if kind == SCHEMA:
                self.tables.change(*decode_change(payload))
                return self._schema.read(), [], encode_records([])
            if kind != DATA:
                raise Divergent(f"an entry of kind {kind} is not for a database without a leader")
            self.tables.show(self.rows.merge(decode_rows(payload)))
        except (msgspec.MsgspecError, ValueError, RefusedError) as error:
            raise Divergent(f"an entry cannot be applied: {error}") from error
        return facts, [], encode_records([])


class KeyedReplica(Replica, KeyedRows):
    """What is read here is all that was applied. Raises Divergent, DiskIsFull or Broken."""

    def _open_writer(self) -> HoldingWriter:
        return KeyedWriter(self._path, self._files.vfs, self._clock)

    @property
    def _stored(self) -> StoredRows:
        return self._keyed.rows

    def state_of(self, key: RowKey) -> bytes:
        with storage_errors():
            return self._stored.state_of(key)

    def rows_of(self, leaf: int) -> list[RowState]:
        with storage_errors():
            return self._stored.rows_of(leaf)

    def hashes(self, level: int, nodes: Sequence[int]) -> tuple[int, ...]:
        with storage_errors():
            return self._stored.hashes(level, nodes)

    @property
    def rows(self) -> dict[RowKey, bytes]:
        """The state of every row."""
        with storage_errors():
            return self._stored.all_rows()

    # ---- statements --------------------------------------------------------------------------------------

    @property
    def _keyed(self) -> KeyedWriter:
        return cast(KeyedWriter, self._writer)

    def serial(self) -> int:
        """The number of the last change of the schema."""
        with storage_errors():
            return self._keyed.tables.serial

    def plan(self, effect: PlanStatement) -> StatementPlanned:
        with storage_errors():
            return self._keyed.plan(effect)

    def run_on_row(self, effect: RunOnRow) -> RowRun:
        with storage_errors():
            return self._keyed.run_on_row(effect)

    def read_on_rows(self, effect: ReadOnRows) -> RowsQueried:
        with storage_errors():
            return self._keyed.read_on_rows(effect)

    def read_tables(self, effect: ReadTables) -> TablesRead:
        with storage_errors():
            return self._keyed.read_tables(effect)
