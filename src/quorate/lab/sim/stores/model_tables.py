"""The tables of one database as dictionaries, and the SQL that simulated callers and the catalog speak.

This is a model of SQLite for exactly the statements that a simulated cluster runs: each text is known beforehand, and
what it does and answers is written down here in Python. It is some ten times as fast, and it is kept honest by a
contract: tests/contracts/test_model.py runs the same statements on it and on SQLite and compares every answer.
"""

import re
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import msgspec

from quorate.core import catalog, directory
from quorate.core.statements import Failed, Result, Statement
from quorate.lab.sim.stores import model_drops, model_large, model_users
from quorate.lab.sim.stores.store import UnknownToModel
from quorate.lab.sim.workloads import operations

Row = tuple[Any, ...]
Columns = tuple[tuple[str, str | None], ...]

_encode = msgspec.msgpack.Encoder().encode


class StatementError(Exception):
    """The statement fails, as it does in SQLite."""

    def __init__(self, error: str, message: str, name: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.failed = (error, message, hint, name)

    def at(self, statement: int) -> Failed:
        """As the outcome of a request whose statement this is."""
        return Failed(*self.failed, statement)


class Change(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A row that came (no old one), went (no new one) or became another."""

    table: str
    old: Row | None
    new: Row | None


class Text(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A statement that changes the schema; every replica runs it."""

    sql: str


class Sequence(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The highest id that AUTOINCREMENT has given."""

    table: str
    value: int


Segment = Change | Text | Sequence


class Tables:
    """One state of all tables. A fork shares what neither has changed, so forking costs next to nothing."""

    __slots__ = ("changes", "hash", "last_rowid", "own", "rows", "schema", "sequences")

    def __init__(self) -> None:
        self.schema: dict[str, tuple[str, int]] = {}
        """Table, index or trigger -> its text, and how many columns from the first make up the key."""
        self.rows: dict[str, dict[Any, Row]] = {}
        self.sequences: dict[str, int] = {}
        self.changes: list[Segment] = []
        """What happened since the fork."""
        self.last_rowid: int | None = None
        self.hash = b""
        """Of the schema."""
        self.own: set[str] = set()
        """Tables that no other state shares."""

    def fork(self) -> "Tables":
        """A state that begins as this one, to be kept or forgotten."""
        fork = Tables.__new__(Tables)
        fork.schema, fork.hash, fork.sequences = self.schema, self.hash, self.sequences
        fork.rows = self.rows.copy()
        fork.changes, fork.last_rowid, fork.own = [], None, set()
        return fork

    # ---- rows --------------------------------------------------------------------------------------------

    def table(self, name: str) -> dict[Any, Row]:
        """Its rows by key, for reading."""
        found = self.rows.get(name)
        if found is None:
            raise StatementError("ProgrammingError", f"no such table: {name}", "SQLITE_ERROR")
        return found

    def _to_write(self, name: str) -> dict[Any, Row]:
        if name not in self.own:
            self.rows[name] = self.table(name).copy()
            self.own.add(name)
        return self.rows[name]

    def key_of(self, name: str, row: Row) -> Any:
        """What names this row in its table."""
        width = self.schema[name][1]
        return row[0] if width == 1 else row[:width]

    def change(self, name: str, old: Row | None, new: Row | None) -> None:
        """Put one row in the place of another (None: of nothing)."""
        if old == new:
            return
        rows = self._to_write(name)
        if new is not None:
            rows[self.key_of(name, new)] = new
        elif old is not None:
            del rows[self.key_of(name, old)]
        self.changes.append(Change(name, old, new))

    def insert(self, name: str, row: Row, unique: str) -> None:
        """Add a row. Raises StatementError when its key is taken."""
        if self.key_of(name, row) in self.table(name):
            message = f"UNIQUE constraint failed: {name}.{unique}"
            raise StatementError("IntegrityError", message, "SQLITE_CONSTRAINT_PRIMARYKEY")
        self.change(name, None, row)

    def next_id(self, name: str) -> int:
        """As AUTOINCREMENT gives it."""
        value = max(self.sequences.get(name, 0), max(self.table(name), default=0)) + 1
        self.sequences = {**self.sequences, name: value}
        self.changes.append(Sequence(name, value))
        return value

    # ---- schema ------------------------------------------------------------------------------------------

    def run_text(self, sql: str) -> None:
        """Change the schema. Raises UnknownToModel."""
        created = _CREATE.match(sql)
        if created and created[2] in self.schema:
            kind, name = created[1].lower(), created[2]
            raise StatementError("ProgrammingError", f"{kind} {name} already exists", "SQLITE_ERROR")
        self.changes.append(Text(sql))
        if version := _VERSION.fullmatch(sql):
            self.sequences = {**self.sequences, VERSION: int(version[1])}
        elif added := _ADD_COLUMN.fullmatch(sql):
            table, default = added[1], int(added[2])
            self.rows[table] = {key: (*row, default) for key, row in self.table(table).items()}
            self.own.add(table)
            self._describe(table, f"{self.schema[table][0]} {sql}", self.schema[table][1])
        elif renamed := _RENAME.fullmatch(sql):
            old, new = renamed[1], renamed[2]
            text, width = self.schema[old]
            self.rows[new] = self.table(old)
            del self.rows[old]
            self.own.discard(old)
            self.schema = {name: known for name, known in self.schema.items() if name != old}
            self._describe(new, text, width)
        elif created:
            name = created[2]
            if created[1] == "TABLE":
                self.rows[name] = {}
                self.own.add(name)
            composed = _COMPOSED_KEY.search(sql)
            self._describe(name, sql, composed[1].count(",") + 1 if composed else 1)
        else:
            raise UnknownToModel(sql)

    def _describe(self, name: str, text: str, width: int) -> None:
        self.schema = {**self.schema, name: (text, width)}
        self.hash = blake2b(_encode(sorted(self.schema.items())), digest_size=16).digest()

    # ---- following ---------------------------------------------------------------------------------------

    def apply(self, segment: Segment) -> str:
        """Do what a leader did; why that cannot be, or nothing."""
        kind = type(segment)
        if kind is Change:
            table, old, new = segment.table, segment.old, segment.new  # type: ignore[union-attr]
            rows = self.rows.get(table)
            if rows is None:
                return f"there is no table {table}"
            key = self.key_of(table, new if old is None else old)  # type: ignore[arg-type]
            if rows.get(key) != old:
                return f"a row differs from what the leader changed, in table {table}"
            self.change(table, old, new)
        elif kind is Text:
            self.run_text(segment.sql)  # type: ignore[union-attr]
        else:
            assert isinstance(segment, Sequence)
            self.sequences = {**self.sequences, segment.table: segment.value}
        return ""


_ADD_COLUMN = re.compile(r"ALTER TABLE (\w+) ADD COLUMN \w+ INTEGER DEFAULT (\d+)")
_VERSION = re.compile(r"PRAGMA user_version = (\d+)")
VERSION = "user_version"
"""Kept among the sequences, which no table of this name has."""
_RENAME = re.compile(r"ALTER TABLE (\w+) RENAME TO (\w+)")
_CREATE = re.compile(r"CREATE (TABLE|INDEX|TRIGGER) (\w+)")
_COMPOSED_KEY = re.compile(r"PRIMARY KEY\(([^)]+)\)")
_TWO_ROWS = re.compile(r"INSERT INTO (t\d+) VALUES \('x', 1\), \('y', 2\)")

_NO_COLUMNS: Columns = ()
_TEXT = Result((), [], -1)
_NONE, _ONE = Result((), [], 0), Result((), [], 1)
_NO_TRANSACTIONS = (
    "NotSupportedError",
    "transaction control is not supported here",
    "",
    "use connection.batch() for several statements at once, or transaction()",
)

Run = Callable[[Tables, Any], Result]


def run_statement(tables: Tables, statement: Statement) -> Result:
    """Run one statement. Raises StatementError as SQLite would, or UnknownToModel."""
    sql = statement.sql
    run = STATEMENTS.get(sql)
    if run is None:
        return _other(tables, sql)
    if not statement.many:
        return run(tables, statement.sets[0])
    results = [run(tables, parameters) for parameters in statement.sets]
    return Result((), [], sum(result.rowcount for result in results), results[-1].lastrowid if results else None)


def _other(tables: Tables, sql: str) -> Result:
    two = _TWO_ROWS.fullmatch(sql)
    if two:
        for row in (("x", 1), ("y", 2)):
            tables.insert(two[1], row, "a")
        return Result((), [], 2, tables.last_rowid)
    if sql.startswith(("CREATE ", "ALTER ", "PRAGMA user_version = ")):
        tables.run_text(sql)
        return _TEXT
    raise UnknownToModel(sql)


def _fails(*failed: str) -> Run:
    def run(_tables: Tables, _parameters: Any) -> Result:
        raise StatementError(*failed)

    return run


# ---- what callers say (lab/sim/workloads/operations.py) ------------------------------------------------------------


def _read(table: str, columns: Columns) -> Run:
    def run(tables: Tables, parameters: Any) -> Result:
        row = tables.table(table).get(parameters[0])
        return Result(columns, [] if row is None else [row[1:2]], -1)

    return run


def _select(table: str, columns: Columns) -> Run:
    names = len(columns)

    def run(tables: Tables, _parameters: Any) -> Result:
        return Result(columns, [row[:names] for _, row in sorted(tables.table(table).items())], -1)

    return run


def _write(tables: Tables, parameters: Any) -> Result:
    if len(parameters) != 2:
        message = "Incorrect number of bindings supplied.  The current statement uses 2 and there are 1 supplied."
        raise StatementError("ProgrammingError", message)
    return _set(tables, "registers", parameters[1], parameters[0])


def _set(tables: Tables, table: str, key: Any, value: Any) -> Result:
    old = tables.table(table).get(key)
    if old is None:
        return _NONE
    tables.change(table, old, (key, value))
    return _ONE


def _pair_write(tables: Tables, parameters: Any) -> Result:
    return _set(tables, "pairs", parameters[1], parameters[0])


def _compare(tables: Tables, parameters: Any) -> Result:
    value, key, expected = parameters
    old = tables.table("registers").get(key)
    if old is None or old[1] != expected:
        return _NONE
    tables.change("registers", old, (key, value))
    return _ONE


def _count(tables: Tables, parameters: Any) -> Result:
    old = tables.table("counters").get(parameters[0])
    if old is None:
        return _NONE
    tables.change("counters", old, (old[0], old[1] + 1))
    return _ONE


def _insert_keyed(table: str, unique: str, *values: int) -> Run:
    """A row of a table whose rowid is hidden: one more than there are, for none is ever deleted."""

    def run(tables: Tables, parameters: Any) -> Result:
        tables.insert(table, (*parameters, *values), unique)
        tables.last_rowid = len(tables.table(table))
        return Result((), [], 1, tables.last_rowid)

    return run


def _mark(tables: Tables, parameters: Any) -> Result:
    tables.insert("marks", (parameters[0], "made"), "id")
    tables.last_rowid = parameters[0]
    return Result((), [], 1, tables.last_rowid)


def _journal(tables: Tables, parameters: Any) -> Result:
    """The trigger counts it."""
    number = tables.next_id("journal")
    defaults = tuple(int(found) for found in _DEFAULTS.findall(tables.schema["journal"][0]))
    tables.change("journal", None, (number, parameters[0], *defaults))
    for old in list(tables.table("tally").values()):
        tables.change("tally", old, (old[0], old[1] + 1))
    tables.last_rowid = number
    return Result((("n", "INTEGER"),), [(number,)], 1, number)


_DEFAULTS = re.compile(r"ADD COLUMN \w+ INTEGER DEFAULT (\d+)")


def _tally(tables: Tables, _parameters: Any) -> Result:
    return Result((("n", "INTEGER"),), [row[1:2] for row in tables.table("tally").values()], -1)


def _clear(name: str) -> Run:
    def run(tables: Tables, _parameters: Any) -> Result:
        rows = list(tables.table(name).values())
        for row in rows:
            tables.change(name, row, None)
        return Result((), [], len(rows))

    return run


def _two_pairs(tables: Tables, _parameters: Any) -> Result:
    for row in ((0, 0), (1, 0)):
        tables.insert("pairs", row, "side")
    tables.last_rowid = 1
    return Result((), [], 2, 1)


def _one_tally(tables: Tables, _parameters: Any) -> Result:
    tables.insert("tally", (1, 0), "id")
    tables.last_rowid = 1
    return Result((), [], 1, 1)


# ---- what the catalog says (core/directory.py) ---------------------------------------------------------------


def _insert_row(name: str, unique: str) -> Run:
    """Into a table that is keyed by its first columns; with one, that is its rowid."""

    def run(tables: Tables, parameters: Any) -> Result:
        tables.insert(name, tuple(parameters), unique)
        if tables.schema[name][1] == 1:
            tables.last_rowid = parameters[0]
        return Result((), [], 1, tables.last_rowid)

    return run


def _delete_row(name: str) -> Run:
    def run(tables: Tables, parameters: Any) -> Result:
        old = tables.table(name).get(parameters[0] if len(parameters) == 1 else tuple(parameters))
        if old is None:
            return _NONE
        tables.change(name, old, None)
        return _ONE

    return run


def _database(tables: Tables, parameters: Any) -> Result:
    tables.insert("databases", tuple(parameters), "name")
    return Result((), [], 1, tables.last_rowid)


def _options(tables: Tables, parameters: Any) -> Result:
    known, options, name = parameters
    old, message = tables.table("databases").get(name), "NOT NULL constraint failed: databases.options"
    if old is None:
        return _NONE
    if old[2] != known:
        raise StatementError("IntegrityError", message, "SQLITE_CONSTRAINT_NOTNULL")
    tables.change("databases", old, (*old[:2], options))  # nothing, where they are the same
    return _ONE


def _partition(tables: Tables, parameters: Any) -> Result:
    number = tables.next_id("partitions")
    tables.change("partitions", None, (number, parameters[0], 0, parameters[1]))
    tables.last_rowid = number
    return Result((), [], 1, number)


def _replica(tables: Tables, parameters: Any) -> Result:
    groups = tables.table("partitions").values()
    group = next(number for number, name, _, leader in groups if (name, leader) == parameters[:2])
    tables.insert("replicas", (group, parameters[2]), "partition, replicas.node")
    return Result((), [], 1, tables.last_rowid)


def _placements(tables: Tables, _parameters: Any) -> Result:
    nodes: dict[int, list[str]] = {}
    for group, node in sorted(tables.table("replicas")):
        nodes.setdefault(group, []).append(str(node))
    rows: list[Row] = [
        (*row[:4], ",".join(nodes[group]) if group in nodes else None)
        for group, row in sorted(tables.table("partitions").items())
    ]
    listed = (
        catalog.QUERIES[2]
        .removeprefix("SELECT id, database, number, leader, ")
        .removesuffix(" FROM partitions ORDER BY id")
    )
    columns = (("id", "INTEGER"), ("database", "TEXT"), ("number", "INTEGER"), ("leader", "INTEGER"), (listed, None))
    return Result(columns, rows, -1)


def _version(tables: Tables, _parameters: Any) -> Result:
    number = max(1, tables.sequences.get(VERSION, 0))
    return Result((("max(1, user_version)", None),), [(number,)], -1)


_DUMPED = {
    "registers": (("key", "TEXT"), ("value", "INTEGER")),
    "counters": (("key", "TEXT"), ("n", "INTEGER")),
    "pairs": (("side", "INTEGER"), ("value", "INTEGER")),
    "marks": (("id", "INTEGER"), ("note", "TEXT")),
}
_MEMBERS = (("node", "INTEGER"), ("name", "TEXT"), ("address", "TEXT"))
_SCHEMA_CHANGES = (("partition", "INTEGER"), ("number", "INTEGER"), ("sql", "TEXT"))
_CHANGES = (("number", "INTEGER"), ("change", "TEXT"), ("token", "TEXT"))
_DATABASES = (("name", "TEXT"), ("replication", "TEXT"), ("options", "TEXT"))

STATEMENTS: dict[str, Run] = (
    {
        operations.READ: _read("registers", (("value", "INTEGER"),)),
        operations.WRITE: _write,
        operations.COMPARE: _compare,
        operations.COUNT: _count,
        operations.MARK: _mark,
        operations.PAIR_WRITE: _pair_write,
        operations.PAIR_READ: _read("pairs", (("value", "INTEGER"),)),
        operations.JOURNAL: _journal,
        operations.TALLY: _tally,
        "DELETE FROM journal": _clear("journal"),
        "INSERT INTO pairs VALUES (0, 0), (1, 0)": _two_pairs,
        "INSERT INTO tally VALUES (1, 0)": _one_tally,
        "INSERT INTO registers VALUES (?, 0)": _insert_keyed("registers", "key", 0),
        "INSERT INTO counters VALUES (?, 0)": _insert_keyed("counters", "key", 0),
        "INSERT INTO registers VALUES (?, 1)": _insert_keyed("registers", "key", 1),
        "INSERT OR ROLLBACK INTO registers VALUES (?, 1)": _insert_keyed("registers", "key", 1),
        "INSERT INTO nowhere VALUES (1)": _fails("ProgrammingError", "no such table: nowhere", "SQLITE_ERROR"),
        "SELEC 1": _fails("ProgrammingError", 'near "SELEC": syntax error', "SQLITE_ERROR"),
        **dict.fromkeys(("ROLLBACK", "COMMIT"), _fails(*_NO_TRANSACTIONS)),
        "INSERT INTO members VALUES (?, ?, ?)": _insert_row("members", "node"),
        "INSERT INTO databases VALUES (?, ?, ?)": _database,
        directory.ALTER: _options,
        directory.NEW_GROUP: _partition,
        directory.NEW_REPLICA: _replica,
        "INSERT INTO member_changes VALUES (?, ?, ?)": _insert_row("member_changes", "number"),
        "INSERT INTO removed VALUES (?, ?, ?)": _insert_row("removed", "node"),
        "INSERT INTO catalog_voters VALUES (?)": _insert_row("catalog_voters", "node"),
        "INSERT INTO beginnings VALUES (?, ?)": _insert_keyed("beginnings", "partition, beginnings.node"),
        "INSERT INTO replicas VALUES (?, ?)": _insert_row("replicas", "partition, replicas.node"),
        "DELETE FROM members WHERE node = ?": _delete_row("members"),
        "DELETE FROM replicas WHERE partition = ? AND node = ?": _delete_row("replicas"),
        "DELETE FROM catalog_voters": _clear("catalog_voters"),
        catalog.MEMBERS_QUERIES[0]: _select("member_changes", _CHANGES),
        catalog.MEMBERS_QUERIES[1]: _select("removed", _MEMBERS),
        catalog.MEMBERS_QUERIES[2]: _select("catalog_voters", _MEMBERS[:1]),
        catalog.MEMBERS_QUERIES[3]: _select("beginnings", (("partition", "INTEGER"), ("node", "INTEGER"))),
        catalog.SCHEMAS_QUERIES[0]: _select("schema_changes", _SCHEMA_CHANGES),
        catalog.QUERIES[0]: _select("members", _MEMBERS),
        catalog.QUERIES[1]: _select("databases", _DATABASES),
        catalog.QUERIES[2]: _placements,
        catalog.QUERIES[3]: _version,
    }
    | {sql: _select(name, _DUMPED[name]) for name, sql in operations.DUMP}
    | model_drops.STATEMENTS
    | model_users.STATEMENTS
    | model_large.STATEMENTS
)
"""What the model has learnt, besides changes of the schema."""
