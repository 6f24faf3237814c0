"""Short programs for `sqlite3` and for Quorate, put together from a table of pieces; what is heard of each step."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import quorate

Step = tuple[Any, ...]
"""A method's name and its arguments: of the connection for `commit`, `rollback` and `batch`, else of the one cursor."""

SCHEMAS: dict[str, list[str]] = {
    "plain": ["CREATE TABLE t(k INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, NULL)"],
    "unique": [
        "CREATE TABLE t(k INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT NOT NULL UNIQUE CHECK (length(v) < 9))",
        "INSERT INTO t(v) VALUES ('a'), ('b'), ('c')",
    ],
    "keyed": ["CREATE TABLE t(k TEXT PRIMARY KEY, v) WITHOUT ROWID", "INSERT INTO t VALUES ('1', 'a'), ('2', 'b')"],
    "children": [
        "CREATE TABLE t(k INTEGER PRIMARY KEY, v)",
        "CREATE TABLE c(k INTEGER PRIMARY KEY, t REFERENCES t ON DELETE CASCADE)",
        "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
        "INSERT INTO c VALUES (1, 1), (2, 2), (3, 2)",
        "CREATE TRIGGER up AFTER UPDATE ON t BEGIN INSERT INTO c(t) VALUES (new.k); END",
    ],
}

ALL: Step = ("execute", "SELECT * FROM t ORDER BY k")
READS: list[Step] = [ALL, ("fetchall",), ("execute", "SELECT count(*), max(k) FROM t"), ("fetchone",), ("fetchone",)]

PIECES: dict[str, list[Step]] = {
    "insert": [("execute", "INSERT INTO t(k, v) VALUES (?, ?)", (7, "x")), *READS],
    "named": [("execute", "INSERT INTO t(k, v) VALUES (:k, :v)", {"k": 8, "v": "y"}), *READS],
    "next key": [("execute", "INSERT INTO t(v) VALUES ('next')"), ("execute", "SELECT last_insert_rowid()"),
                 ("fetchone",), *READS],
    "many": [("executemany", "INSERT INTO t(k, v) VALUES (?, ?)", [(11, "p"), (12, "q"), (13, "r")]), *READS],
    "many that fail": [("executemany", "INSERT INTO t(k, v) VALUES (?, ?)", [(11, "p"), (1, "q"), (1, "r")])],
    "none": [("executemany", "INSERT INTO t(k, v) VALUES (?, ?)", []), ALL, ("fetchall",)],
    "update": [("execute", "UPDATE t SET v = v || '!' WHERE k > ?", (1,)), ("execute", "SELECT changes()"),
               ("fetchone",), *READS],
    "update nothing": [("execute", "UPDATE t SET v = 'z' WHERE k = 99"), *READS],
    "delete": [("execute", "DELETE FROM t WHERE k = 2"), *READS],
    "delete all": [("execute", "DELETE FROM t"), *READS],
    "upsert": [("execute", "INSERT INTO t(k, v) VALUES (1, 'u') ON CONFLICT(k) DO UPDATE SET v = excluded.v"), *READS],
    "ignore": [("execute", "INSERT OR IGNORE INTO t(k, v) VALUES (1, 'i')"), *READS],
    "replace": [("execute", "REPLACE INTO t(k, v) VALUES (2, 'r')"), *READS],
    "returning": [("execute", "INSERT INTO t(k, v) VALUES (21, 'p'), (22, 'q') RETURNING v, k AS key"), ("fetchone",),
                  ("fetchall",), *READS],
    "update returning": [("execute", "UPDATE t SET v = 'x' || k RETURNING k, v"), ("fetchall",), *READS],
    "taken key": [("execute", "INSERT INTO t(k, v) VALUES (1, 'again')"), *READS],
    "taken value": [("execute", "INSERT INTO t(k, v) VALUES (31, 'a')"), *READS],
    "null": [("execute", "INSERT INTO t(k, v) VALUES (32, ?)", (None,)), *READS],
    "too long": [("execute", "UPDATE t SET v = 'much too long'"), *READS],
    "orphan": [("execute", "INSERT INTO c(t) VALUES (99)"), ("execute", "SELECT count(*) FROM c"), ("fetchone",)],
    "or rollback": [("execute", "INSERT OR ROLLBACK INTO t(k, v) VALUES (1, 'x')"), *READS],
    "or fail": [("execute", "INSERT OR FAIL INTO t(k, v) VALUES (41, 'f'), (1, 'x')"), *READS],
    "syntax": [("execute", "SELEC 1"), ("execute", "SELECT FROM WHERE"), *READS],
    "no table": [("execute", "SELECT * FROM nothing"), ("execute", "INSERT INTO nothing VALUES (1)"), *READS],
    "parameters": [("execute", "SELECT ?, ?", (1,)), ("execute", "SELECT :a", {}), ("execute", "SELECT ?", ()), *READS],
    "types": [("execute", "SELECT ?, ?, ?, ?, ?", (None, 2**62, 1.5, "ü", b"\0")), ("fetchall",),
              ("execute", "SELECT typeof(?), typeof(?)", (True, bytearray(b"x"))), ("fetchall",)],
    "no such type": [("execute", "SELECT ?", (object(),)), ("execute", "SELECT ?", (2**63,)), *READS],
    "fetching": [ALL, ("fetchmany",), ("fetchmany", 5), ("fetchone",), ("fetchall",), ALL, ("list",)],
    "arraysize": [("set", "arraysize", 2), ALL, ("fetchmany",), ("fetchmany",)],
    "expressions": [("execute", "SELECT 1 + 1, 'a' AS b, v FROM t LIMIT 1"), ("fetchall",)],
    "no rows": [("execute", "SELECT k, v FROM t WHERE 0"), ("fetchone",), ("fetchall",), ("list",)],
    "create": [("execute", "CREATE TABLE n(a)"), ("execute", "INSERT INTO n SELECT k FROM t"),
               ("execute", "SELECT count(*) FROM n"), ("fetchone",)],
    "create as": [("execute", "CREATE TABLE n AS SELECT v FROM t"), ("execute", "SELECT * FROM n ORDER BY 1"),
                  ("fetchall",)],
    "alter": [("execute", "ALTER TABLE t ADD COLUMN w DEFAULT 5"), *READS],
    "drop": [("execute", "DROP TABLE t"), ALL],
    "schema": [("execute", "SELECT type, name FROM sqlite_master ORDER BY name"), ("fetchall",),
               ("execute", "PRAGMA table_info(t)"), ("fetchall",),
               ("execute", "SELECT name FROM sqlite_temp_master"), ("fetchall",)],
    "pragmas": [("execute", "PRAGMA user_version = 3"), ("execute", "PRAGMA user_version"), ("fetchone",),
                ("execute", "PRAGMA foreign_keys"), ("fetchone",), ("execute", "PRAGMA busy_timeout = 50"),
                ("fetchone",), ("execute", "PRAGMA foreign_keys = ON")],
    "with": [("execute", "WITH n(i) AS (VALUES (51), (52)) INSERT INTO t(k, v) SELECT i, 'w' || i FROM n"), *READS],
    "two statements": [("execute", "SELECT 1;"), ("fetchone",), ("execute", "SELECT 1; SELECT 2")],
    "again": [("execute", "SAVEPOINT a"), ("execute", "DELETE FROM t"), ("execute", "SAVEPOINT b"),
              ("execute", "INSERT INTO t(k, v) VALUES (61, 's')"), ("execute", "ROLLBACK TO b"),
              ("execute", "RELEASE b"), *READS, ("execute", "ROLLBACK TO a"), ("execute", "RELEASE a"), *READS],
    "no savepoint": [("execute", "RELEASE nothing"), ("execute", "ROLLBACK TO nothing"), *READS],
}  # fmt: skip

ENDINGS: dict[str, tuple[list[Step], list[Step]]] = {
    "alone": ([], []),
    "committed": ([], [("commit",), *READS, ("rollback",)]),
    "rolled back": ([], [("rollback",), *READS, ("commit",)]),
    "BEGIN": ([("execute", "BEGIN")], [("execute", "COMMIT"), *READS]),
    "BEGIN IMMEDIATE": ([("execute", "BEGIN IMMEDIATE")], [("execute", "ROLLBACK"), *READS]),
}
"""What comes before and behind a piece. With autocommit off, BEGIN comes in a transaction and is an error."""


class Program(NamedTuple):
    name: str
    schema: str
    autocommit: bool
    steps: list[Step]


def programs() -> Iterator[Program]:
    """Every piece in both modes and on each schema, with one ending after the other."""
    endings = list(ENDINGS.items())
    number = 0
    for autocommit in (True, False):
        usable = endings if autocommit else endings[:3]
        for schema in SCHEMAS:
            for piece, steps in PIECES.items():
                if piece == "orphan" and schema != "children":
                    continue
                ending, (before, behind) = usable[number % len(usable)]
                number += 1
                name = f"{'on' if autocommit else 'off'}-{schema}-{piece}-{ending}".replace(" ", "_")
                yield Program(name, schema, autocommit, [*before, *steps, *behind])


class Standard:
    """`sqlite3` with autocommit on or off, as Python 3.12 has it: off, a transaction is always open."""

    def __init__(self, autocommit: bool) -> None:
        self.db: Any = sqlite3.connect(":memory:", isolation_level=None)
        self.db.execute("PRAGMA foreign_keys = ON")
        self.autocommit = autocommit

    def begin(self) -> None:
        if not self.autocommit and not self.db.in_transaction:
            self.db.execute("BEGIN")

    def commit(self) -> None:
        self.db.commit()
        self.begin()

    def rollback(self) -> None:
        self.db.rollback()
        self.begin()


class Heard(NamedTuple):
    """What one step gave."""

    value: Any
    error: str
    names: tuple[str, ...] | None
    rowcount: int
    lastrowid: int | None
    in_transaction: bool


def run(db: Any, ends: Any, in_transaction: Callable[[], bool], steps: list[Step]) -> list[Heard]:
    """Every step on one cursor."""
    cursor = db.cursor()
    heard = []
    for name, *arguments in steps:
        value, error = None, ""
        try:
            if name in ("commit", "rollback"):
                getattr(ends, name)()
            elif name == "set":
                setattr(cursor, *arguments)
            elif name == "list":
                value = list(cursor)
            else:
                given = getattr(cursor, name)(*arguments)
                value = None if given is cursor else given
        except Exception as raised:  # noqa: BLE001 - which one it is gets compared
            error = type(raised).__name__
        names = None if cursor.description is None else tuple(column[0] for column in cursor.description)
        heard.append(Heard(value, error, names, cursor.rowcount, cursor.lastrowid, in_transaction()))
    return heard


def on_sqlite3(program: Program) -> list[Heard]:
    standard = Standard(program.autocommit)
    for sql in SCHEMAS[program.schema]:
        standard.db.execute(sql)
    standard.begin()
    try:
        return run(standard.db, standard, lambda: bool(standard.db.in_transaction), program.steps)
    finally:
        standard.db.close()


def on_quorate(program: Program, target: Any) -> list[Heard]:
    with quorate.connect(target) as db:
        db.batch(SCHEMAS[program.schema])
        db.autocommit = program.autocommit
        return run(db, db, lambda: db.in_transaction, program.steps)
