"""Statements on a replica without a leader, each run in a transaction that is undone.

What changes a row is run where the row is as the coordinator has gathered it; what it did to that row becomes the row's
new state. What reads is run where rows are as they were gathered. So nothing is written here but what the log carries.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import apsw
import msgspec

from quorate.core.executing import TOO_LONG
from quorate.core.requests import Done, Run
from quorate.core.row_effects import (
    CHANGES_SCHEMA,
    IS_REFUSED,
    READS_ROW,
    READS_TABLES,
    WRITES,
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
)
from quorate.core.statements import Failed, Parameters, Statement
from quorate.core.versions.encoding import encode_row
from quorate.core.versions.row import Row
from quorate.core.versions.told import told
from quorate.sql.classify import CHANGE, READ, shape_of
from quorate.sql.keyed import Keyed, Operand, keyed_of
from quorate.sql.tokens import tokens
from quorate.storage.data.connection import INTERNAL
from quorate.storage.data.direct import INTERRUPTED
from quorate.storage.data.holding import HoldingWriter
from quorate.storage.execution.attempt import Attempt
from quorate.storage.execution.execution import TransactionLostError
from quorate.storage.execution.running import refuse
from quorate.storage.execution.watch import StoppedError
from quorate.storage.failures import EntryTooLarge, RefusedError, failed_of
from quorate.storage.rows.payload import Changes, Segment, decode_outcome, encode_failed
from quorate.storage.versions.keyed import StoredRows
from quorate.storage.versions.keyed_tables import KeyedTables
from quorate.storage.versions.local import changes_of, stamped
from quorate.storage.versions.table import VersionedTable, encode_key

_told = msgspec.msgpack.Decoder(tuple[str, bytes, bytes, bytes])
_BY_KEY = "name every column of the primary key in WHERE, as `column = value`, joined by AND"
_EVENTUAL = 'ask again: a read repairs what differs; or read less, or with read="eventual" what one replica holds'
_ONE_ROW = "without a leader a statement changes one row, which it names by its full primary key"


class KeyedStatements(HoldingWriter):
    """What `KeyedWriter` does for those who ask by SQL. Raises what `Writer` raises."""

    rows: StoredRows
    tables: KeyedTables

    # ------------------------------------------------------------------ what a statement is about

    def plan(self, effect: PlanStatement) -> StatementPlanned:
        """See `core.row_effects`."""
        planned = StatementPlanned(effect.group, effect.to, effect.number, IS_REFUSED, serial=self.tables.serial)
        try:
            return self._plan(planned, effect)
        except RefusedError as error:
            return msgspec.structs.replace(planned, outcome=encode_failed(error.failed))
        except (apsw.Error, KeyError, TypeError, ValueError) as error:
            self.set_aside()
            return msgspec.structs.replace(planned, outcome=encode_failed(failed_of(error, 0, self.guard)))

    def _plan(self, planned: StatementPlanned, effect: PlanStatement) -> StatementPlanned:
        statement = effect.statement
        shape = shape_of(statement.sql)
        refuse(shape)
        if statement.many or len(statement.sets) != 1:
            hint = "execute() it once for each row; each is a write of its own"
            raise RefusedError(
                "NotSupportedError", "without a leader a statement runs with one set of parameters", hint
            )
        keyed = keyed_of(shape.sql)
        if shape.kind not in (CHANGE, READ):
            if statement.sets[0]:
                raise RefusedError("ProgrammingError", "a change of the schema takes no parameters")
            self._attempt_change(shape.sql)
            return msgspec.structs.replace(planned, kind=CHANGES_SCHEMA)
        found = None if keyed is None else self.tables.named(keyed.table)
        if shape.kind == READ:
            if keyed is not None and found is not None and keyed.alone:
                key = self._key(keyed, found[1], statement.sets[0])
                if key is not None:
                    return msgspec.structs.replace(planned, kind=READS_ROW, key=(found[0], key))
            tables = self._tables_read(shape.sql, statement.sets[0])
            return msgspec.structs.replace(planned, kind=READS_TABLES, tables=tables)
        key_of = self._key_written(keyed, found, statement)
        planned = msgspec.structs.replace(planned, kind=WRITES, key=key_of)
        return self._again(planned, effect.minted) if effect.minted else planned

    def _again(self, planned: StatementPlanned, minted: bytes) -> StatementPlanned:
        """A write is asked for again. Raises RefusedError, if no node has told its caller that."""
        try:
            tab, key, state, outcome = _told.decode(minted)
        except msgspec.MsgspecError:
            tab, key, state, outcome = "", b"", b"", b""
        if (tab, key) != planned.key or told(state, self.tables.tables[tab].spec) is None:
            message = "what was sent with the write is none that a node has told"
            raise RefusedError("ProgrammingError", message, "send what it told")
        return msgspec.structs.replace(planned, state=state, outcome=outcome)

    def _key_written(
        self, keyed: Keyed | None, found: tuple[str, VersionedTable] | None, statement: Statement
    ) -> RowKey:
        if keyed is None:
            raise RefusedError("NotSupportedError", _ONE_ROW, "INSERT ... VALUES of one row, UPDATE or DELETE")
        if found is None:
            self._prepare(statement.sql, statement.sets[0])  # says what is wrong
            raise RefusedError("NotSupportedError", _ONE_ROW, f"write to a table: {keyed.table} is none")
        tab, table = found
        if not keyed.alone:
            hint = "read first, and pass what was read as parameters"
            raise RefusedError("NotSupportedError", "without a leader a write reads no other row or table", hint)
        key = self._key(keyed, table, statement.sets[0])
        if key is None:
            self._refuse_null(keyed, table, statement)
            names = ", ".join(table.key_names)
            hint = f"give the whole key as literals or parameters: {names}. {_BY_KEY}"
            raise RefusedError("NotSupportedError", f"{_ONE_ROW}, and this one does not", hint)
        return tab, key

    def _refuse_null(self, keyed: Keyed, table: VersionedTable, statement: Statement) -> None:
        """Raise RefusedError for an INSERT whose key has a NULL where SQLite has nothing to put in its place."""
        inserts = [text for _, text, _, _ in islice(tokens(statement.sql), 2)] == ["INSERT", "INTO"]
        if not inserts or not (table.table.hidden_rowid or table.table.without_rowid):
            return
        for name, value in zip(table.key_names, self._given(keyed, table, statement.sets[0]) or (), strict=False):
            if value is None:
                raise RefusedError("IntegrityError", f"NOT NULL constraint failed: {table.name}.{name}")

    def _key(self, keyed: Keyed, table: VersionedTable, parameters: Parameters) -> bytes | None:
        """The key that the statement names; None: not all of it. Raises KeyError: a parameter is missing."""
        given = self._given(keyed, table, parameters)
        return None if given is None or None in given else encode_key(self._as_stored(table, given))

    def _given(self, keyed: Keyed, table: VersionedTable, parameters: Parameters) -> list[Any] | None:
        """What it names for each column of the key; None: not for all."""
        operands: list[Operand] = []
        for name in table.key_names:
            operand = keyed.values.get(name.lower())
            if keyed.listed and name in table.table.columns[: len(keyed.listed)]:
                operand = keyed.listed[table.table.columns.index(name)]
            if operand is None:
                return None
            operands.append(operand)
        return [_value(self.connection, each, parameters) for each in operands]

    def _as_stored(self, table: VersionedTable, values: list[Any]) -> list[Any]:
        """The values as the columns' affinities make them."""
        kinds: Any = self.connection.execute(
            "SELECT name, type FROM pragma_table_info(?)", (table.name,), prepare_flags=INTERNAL
        ).fetchall()
        declared = dict(kinds)
        terms = [f"CAST(? AS {kind})" if (kind := _affinity(declared[name], value)) else "?"
                 for name, value in zip(table.key_names, values, strict=True)]  # fmt: skip
        sql = f"SELECT {', '.join(terms)}"
        return list(self.connection.execute(sql, values, prepare_flags=INTERNAL).fetchall()[0])

    def _prepare(self, sql: str, parameters: Parameters) -> None:
        self.guard.watching = True
        try:
            self.connection.execute(f"EXPLAIN {sql}", parameters, can_cache=False).fetchall()
        finally:
            self.guard.watching = False

    def _tables_read(self, sql: str, parameters: Parameters) -> tuple[str, ...]:
        """What a SELECT reads, through views too, as keys of rows name it."""
        names: set[str] = set()

        def seen(operation: int, one: str | None, two: str | None, database: str | None, source: str | None) -> int:
            if operation == apsw.SQLITE_READ and one is not None:
                names.add(one.lower())
            return self.guard(operation, one, two, database, source)

        self.connection.authorizer = seen
        try:
            if next(tokens(sql))[1] != "EXPLAIN":
                self._prepare(sql, parameters)
        finally:
            self.connection.authorizer = self.guard
        return tuple([tab for tab, table in sorted(self.tables.tables.items()) if table.name.lower() in names])

    def _attempt_change(self, sql: str) -> None:
        """Raise what a change of the schema would raise."""
        self._follow()
        self._control("BEGIN IMMEDIATE")
        try:
            self.tables.attempt(self.tables.serial + 1, sql)
        finally:
            self.set_aside()

    # ------------------------------------------------------------------ running them

    @contextmanager
    def _where(self, states: dict[RowKey, bytes]) -> Iterator[None]:
        """A transaction in which these rows have these states, and which is undone."""
        self._lead()
        facts = self._read_facts()
        self._control("BEGIN IMMEDIATE")
        try:
            self.tables.show({key: state for key, state in states.items() if self.rows.state_of(key) != state})
            self._capture.begin(facts)
            self._execution.begin(facts)
            yield
        finally:
            self.set_aside()

    def _run(self, statement: Statement, long_us: int) -> tuple[bytes, tuple[Segment, ...]]:
        self.watch.allow(long_us=long_us)
        attempt = Attempt(self._execution, self.watch, lambda _token, _seen: None, lambda _token: False)
        try:
            attempt.run((Run("", (statement,)),), {})
            return attempt.outcomes[0], self._execution.seal()
        except TransactionLostError as gone:
            return encode_failed(gone.failed), ()
        except EntryTooLarge as error:
            return encode_failed(error.failed), ()
        except StoppedError as stopped:
            if stopped.why != TOO_LONG:
                return encode_failed(INTERRUPTED), ()
            message = f"without a leader a statement on rows that were gathered runs for {long_us // 1000} ms at most"
            return encode_failed(Failed("StatementTimeout", message, _EVENTUAL)), ()

    def run_on_row(self, effect: RunOnRow) -> RowRun:
        """See `core.row_effects`."""
        tab, key = effect.key
        try:
            with self._where({effect.key: effect.state}):
                outcome, segments = self._run(effect.statement, effect.long_us)
                state = b""
                if _has_changed(outcome):
                    state = self._state_behind(tab, key, effect, segments)
        except RefusedError as error:
            state, outcome = b"", encode_failed(error.failed)
        return RowRun(effect.group, effect.to, effect.number, state, outcome)

    def _state_behind(self, tab: str, key: bytes, effect: RunOnRow, segments: tuple[Segment, ...]) -> bytes:
        table = self.tables.tables[tab]
        changed = [rows for each in segments if isinstance(each, Changes) for rows in each.tables]
        if not changed:
            return effect.state  # it had these values already, perhaps on too few replicas
        with self._capture.asleep():
            changes = changes_of(self.connection, table, changed[0])
        if len(changed) > 1 or changed[0].table != table.name or changes.keys() != {key}:
            raise RefusedError(
                "NotSupportedError", _ONE_ROW, "leave the key as it is: DELETE the row, and INSERT another"
            )
        before = (0, effect.state) if effect.state else None
        after = stamped(table, (effect.stamp, effect.origin), changes[key], before, {})
        return encode_row(after) if isinstance(after, Row) else after[0]

    def read_on_rows(self, effect: ReadOnRows) -> RowsQueried:
        """See `core.row_effects`."""
        try:
            with self._where({(tab, key): state for tab, key, state in effect.rows}):
                outcome, _ = self._run(effect.statement, effect.long_us)
        except RefusedError as error:
            outcome = encode_failed(error.failed)
        return RowsQueried(effect.group, effect.to, effect.number, outcome)

    def read_tables(self, effect: ReadTables) -> TablesRead:
        """See `core.row_effects`."""
        found: list[RowState] = []
        size = 0
        for tab in effect.tables:
            for key, state in self.rows.of_table(tab):  # read no further than needed: all may be millions
                found.append((tab, key, state))
                size += len(key) + len(state)
                if len(found) > effect.rows_max or size > effect.bytes_max:
                    return TablesRead(effect.group, effect.to, effect.number, (), too_many=True)
        return TablesRead(effect.group, effect.to, effect.number, tuple(found))


def _affinity(declared: str, value: Any) -> str:
    """How a column of this type changes this value; empty: it does not (SQLite, "Datatypes", sections 3.1 and 3.2)."""
    kind = declared.upper()
    if "INT" in kind or not any(each in kind for each in ("CHAR", "CLOB", "TEXT")):
        numeric = "INT" in kind or not (kind == "" or "BLOB" in kind)
        return "NUMERIC" if numeric and isinstance(value, str) and _is_number(value) else ""
    return "TEXT" if isinstance(value, int | float) else ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip()[-1:].isdigit() or text.strip().endswith(".")


def _value(connection: apsw.Connection, operand: Operand, parameters: Parameters) -> Any:
    if operand.place:
        if isinstance(parameters, dict):
            return parameters[operand.text[1:]]
        if operand.place > len(parameters):
            raise RefusedError("ProgrammingError", f"no value was given for parameter {operand.place}")
        return parameters[operand.place - 1]
    return connection.execute(f"SELECT {operand.text}", prepare_flags=INTERNAL).fetchall()[0][0]


def _has_changed(outcome: bytes) -> bool:
    """Whether a statement has changed a row, or was undone."""
    found = decode_outcome(outcome)
    return isinstance(found, Done) and found.results[0].rowcount > 0
