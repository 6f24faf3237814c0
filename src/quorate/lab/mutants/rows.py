"""Mutants of what a leader captures of rows and of what followers make of it: the fuzzer of `lab.fuzz` shows them."""

from typing import Any

import msgspec

from quorate.lab.mutants.sabotage import SQL, Mutant, Swap
from quorate.storage.data import order
from quorate.storage.data.connection import INTERNAL
from quorate.storage.data.schema import SchemaFacts, SchemaReader
from quorate.storage.data.writer import Writer
from quorate.storage.execution import execution
from quorate.storage.rows import application, difference
from quorate.storage.rows.capture import Capture
from quorate.storage.rows.table import Table

DIFFERS = ("same as SQLite",)


def _nothing(_original: Any) -> Any:
    return lambda *_arguments: None


def _without_rowid(original: Any) -> Any:
    """Followers choose hidden rowids themselves."""

    def write_statements(table: Table) -> None:
        original(table)
        if table.hidden_rowid:
            marks = ", ".join(f"?{number}" for number in range(2, table.width + 1))
            table.insert = f"{table.insert_anywhere.split(' VALUES ')[0]} VALUES ({marks})"

    return write_statements


def _as_it_came(_original: Any) -> Any:
    """Rows come before those go that stood in their way."""

    def apply_rows(connection: Any, tables: dict[str, Table], changed: Any) -> None:
        for rows in changed:
            table = tables[rows.table]
            for change in rows.updated:
                sql = table.update(change.columns)[change.compared]
                application._run(connection, table, sql, change.rows, "")
            if rows.inserted:
                application._run(connection, table, table.insert, rows.inserted, "")
            for row in rows.deleted:
                connection.execute(table.delete, table.bindings(table.key_of(row)), prepare_flags=INTERNAL)

    return apply_rows


def _untyped(_original: Any) -> Any:
    def differing(old: Any, new: Any) -> Any:
        places = [place for place, one in enumerate(old) if one != new[place]]
        return places, [new[place] for place in places], [old[place] for place in places]

    return differing


def _named_columns_only(_original: Any) -> Any:
    """An index over an expression makes nothing unique that has a name."""

    def unique(table: Table, ask: Any, indexes: Any) -> frozenset[int]:
        found = set() if table.hidden_rowid else set(table.key)
        for index, is_unique, _, _ in indexes:
            if is_unique:
                names = [name for (name,) in ask("SELECT name FROM pragma_index_xinfo(?) WHERE key", index)]
                found |= {table.columns.index(name) for name in names if name in table.columns}
        return frozenset(found)

    return unique


def _key_only(_original: Any) -> Any:
    """No index is asked whether it is unique."""
    return lambda table, _ask, _indexes: frozenset() if table.hidden_rowid else frozenset(table.key)


def _keeps_what_was_undone(original: Any) -> Any:
    def undo(seen: Capture, mark: Any) -> None:
        original(seen, (len(seen.segments), *mark[1:]))

    return undo


def _asleep_while_dropping(_original: Any) -> Any:
    return lambda seen, _table: seen.asleep()


def _unwritten(original: Any) -> Any:
    """What a virtual table holds in memory is not asked for before the rows are read back."""

    def flush(seen: Capture) -> None:
        facts = seen.facts
        seen.facts = msgspec.structs.replace(facts, virtual=False)
        try:
            original(seen)
        finally:
            seen.facts = facts

    return flush


class _Unmoved:
    """A change of a row, without its new rowid."""

    def __init__(self, change: Any) -> None:
        self._change = change

    @property
    def rowid_new(self) -> Any:
        return self._change.rowid

    def __getattr__(self, name: str) -> Any:
        return getattr(self._change, name)


def _unmoved(original: Any) -> Any:
    return lambda seen, change: original(seen, _Unmoved(change))


def _never_apart(original: Any) -> Any:
    def read(reader: SchemaReader) -> SchemaFacts:
        facts: SchemaFacts = original(reader)
        apart = facts.apart and not facts.statistics
        return msgspec.structs.replace(facts, apart=apart)

    return read


def _above_zero(original: Any) -> Any:
    return lambda connection, **_deferrable: original(connection, deferrable=False)


def _remembered(original: Any) -> Any:
    def bring_back(writer: Writer) -> None:
        original(writer)
        writer._beneath = False

    return bring_back


def _mutant(name: str, bug: str, where: str, *swaps: Swap) -> Mutant:
    return Mutant(name, bug, where, SQL, swaps, DIFFERS)


_SESSIONS = "SQLite's session extension: tables without a declared key, and rowids beside one"

MUTANTS = (
    _mutant("row-without-rowid", "rows travel without their hidden rowid", _SESSIONS,
            Swap(Table, "_write_statements", _without_rowid)),
    _mutant("rows-come-first", "rows come before those go that stood in their way",
            "any log of statements' effects in their order; MySQL's row format, where unique keys rotate",
            Swap(application, "_apply_rows", _as_it_came)),
    _mutant("untyped-comparison", "a column that went from 1 to 1.0 has not changed",
            "SQLite's session extension, for keys of BLOB and untyped columns",
            Swap(difference, "differing", _untyped)),
    _mutant("in-place-under-an-expression", "a row is changed in place though an expression of it is unique",
            "no case known; found here by an experiment", Swap(Table, "_unique", _named_columns_only)),
    _mutant("index-not-checked", "a row is changed in place though a column of it is in a unique index",
            "any log of effects that applies them row by row: MySQL's, where unique keys rotate",
            Swap(Table, "_unique", _key_only)),
    _mutant("undone-rows-kept", "what a request that failed did to the schema travels",
            "no case known", Swap(Capture, "undo", _keeps_what_was_undone)),
    _mutant("asleep-during-drop", "what DROP TABLE does to children by their foreign keys is not seen",
            "SQLite's session extension: a session does not outlive DDL",
            Swap(Capture, "dropping", _asleep_while_dropping)),
    _mutant("sequence-not-carried", "followers count AUTOINCREMENT's numbers themselves",
            "SQLite's session extension does not see sqlite_sequence", Swap(Capture, "_add_sequences", _nothing)),
    _mutant("index-in-memory-missed", "rows that a full-text table still holds in memory do not travel",
            "FTS5 writes at the end of a savepoint or of the transaction", Swap(Capture, "flush", _unwritten)),
    _mutant("created-rows-missed", "the rows of CREATE TABLE ... AS do not travel",
            "SQLite's session extension and its preupdate hook do not see them", Swap(Capture, "add_all", _nothing)),
    _mutant("moved-row-missed", "a row that gets another rowid is only seen to go",
            "no case known", Swap(Capture, "_hear", _unmoved)),
    _mutant("full-text-not-apart", "FTS4 writes within another caller's statement, whose last rowid becomes 0",
            "no case known; found here by the fuzzer", Swap(SchemaReader, "read", _never_apart)),
    _mutant("order-not-looked-at", "rows that SQLite has put out of order are acknowledged, and followers differ",
            "no case known; found here by a random generator of triggers", Swap(order, "refuse_disorder", _nothing)),
    _mutant("deferred-count-below-zero", "a count of deferred violations below 0 is not noticed, and COMMIT fails",
            "no case known; found here by the fuzzer", Swap(execution, "violated", _above_zero)),
    _mutant("undone-index-remembered", "a full-text table still believes in what was applied beneath it and undone",
            "no case known; found here by the fuzzer", Swap(Writer, "_bring_back", _remembered)),
)  # fmt: skip
