"""Sharp cases of what must travel, each on plain SQLite, in a folder and on three replicas of which another then leads.

Random statements meet some of these hardly ever: values that change places under every kind of unique index, values
that are equal in one sense and different in another, keys of every kind.
"""

import pytest

from quorate.core.statements import Statement
from quorate.lab.fuzz.run import Report, run_script
from quorate.lab.fuzz.script import Batch, Move, Script
from quorate.storage.plain import run as plain_run
from quorate.storage.plain.run import Asked

ROTATED = "UPDATE t SET {0} = CASE {0} WHEN -1 THEN 2 WHEN -2 THEN 3 ELSE 1 END"
REPLACES = """CREATE TABLE t(id INTEGER PRIMARY KEY ON CONFLICT REPLACE, u UNIQUE ON CONFLICT REPLACE,
    n NOT NULL ON CONFLICT REPLACE DEFAULT 5)"""
MANY_ROWS = """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
    INSERT INTO log SELECT 0, i FROM n"""
NOWHERE = "INSERT INTO nowhere VALUES (1)"

CASES: dict[str, tuple[list[str], list[str | list[str]]]] = {
    "rotation of a unique column": (
        ["CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE)", "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)"],
        ["UPDATE t SET u = -u", ROTATED.format("u")],
    ),
    "rotation of the key": (
        ["CREATE TABLE t(id INTEGER PRIMARY KEY, u)", "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)"],
        ["UPDATE t SET id = -id", ROTATED.format("id")],
    ),
    "rotation of the key, WITHOUT ROWID": (
        ["CREATE TABLE t(id PRIMARY KEY, u) WITHOUT ROWID", "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)"],
        ["UPDATE t SET id = -id", ROTATED.format("id")],
    ),
    "rotation under a partial unique index": (
        ["CREATE TABLE t(id INTEGER PRIMARY KEY, u, w)", "CREATE UNIQUE INDEX i ON t(u) WHERE w",
         "INSERT INTO t VALUES (1, 1, 1), (2, 1, 0)"],
        ["UPDATE t SET w = 0 WHERE id = 1", "UPDATE t SET w = 1 WHERE id = 2"],
    ),
    "rotation under a unique expression": (
        ["CREATE TABLE t(id INTEGER PRIMARY KEY, u)", "CREATE UNIQUE INDEX i ON t(abs(u))",
         "INSERT INTO t VALUES (1, 1), (2, 2)"],
        ["UPDATE t SET u = 9 WHERE id = 1", "UPDATE t SET u = -1 WHERE id = 2", "UPDATE t SET u = 2 WHERE id = 1"],
    ),
    "rotation of a unique VIRTUAL column": (
        ["CREATE TABLE t(id INTEGER PRIMARY KEY, u, g AS (abs(u)) UNIQUE)", "INSERT INTO t(u) VALUES (1), (2)"],
        ["UPDATE t SET u = 9 WHERE id = 1", "UPDATE t SET u = -1 WHERE id = 2", "UPDATE t SET u = 2 WHERE id = 1"],
    ),
    "declared ON CONFLICT REPLACE": (
        [REPLACES, "INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)"],
        ["UPDATE t SET u = -u", "UPDATE t SET u = 3 + u", "INSERT INTO t VALUES (7, 2, NULL)",
         "INSERT INTO t VALUES (2, 9, 9)"],
    ),
    "declared ON CONFLICT IGNORE": (
        ["CREATE TABLE t(id INTEGER PRIMARY KEY ON CONFLICT IGNORE, u UNIQUE ON CONFLICT IGNORE)",
         "INSERT INTO t VALUES (1, 1), (2, 2)"],
        ["DELETE FROM t WHERE id = 1", "INSERT INTO t VALUES (1, 2)", "UPDATE t SET u = 1 WHERE id = 2",
         "INSERT INTO t VALUES (1, 2)"],
    ),
    "1 becomes 1.0": (
        ["CREATE TABLE t(a)", "INSERT INTO t VALUES (1), (2.0)"],
        ["UPDATE t SET a = 1.0 WHERE rowid = 1", "UPDATE t SET a = 2 WHERE rowid = 2"],
    ),
    "a key becomes 1.0, WITHOUT ROWID": (
        ["CREATE TABLE t(k PRIMARY KEY, v) WITHOUT ROWID", "INSERT INTO t VALUES (1, 'x')"],
        ["UPDATE t SET k = 1.0", "UPDATE t SET v = 'y'"],
    ),
    "a key becomes upper case, NOCASE, WITHOUT ROWID": (
        ["CREATE TABLE t(k TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID",
         "INSERT INTO t VALUES ('a', 'x'), ('b', 'y')"],
        ["UPDATE t SET k = 'A' WHERE k = 'a'", "DELETE FROM t WHERE k = 'B'", "INSERT INTO t VALUES ('B', 1)",
         "REPLACE INTO t VALUES ('b', 2)"],
    ),
    "a key with spaces behind it, RTRIM": (
        ["CREATE TABLE t(k TEXT COLLATE RTRIM PRIMARY KEY, v) WITHOUT ROWID", "INSERT INTO t VALUES ('a', 'x')"],
        ["UPDATE t SET k = 'a  '"],
    ),
    "0.0 becomes -0.0": (["CREATE TABLE t(a)", "INSERT INTO t VALUES (0.0)"], ["UPDATE t SET a = -0.0"]),
    "NULL keys": (
        ["CREATE TABLE t(k TEXT PRIMARY KEY, v)", "INSERT INTO t VALUES (NULL, 1), (NULL, 2)"],
        ["UPDATE t SET v = 3 WHERE v = 1", "INSERT INTO t VALUES (NULL, 9)", "DELETE FROM t WHERE v = 2"],
    ),
    "text that is not UTF-8": (
        ["CREATE TABLE t(a, b)", "INSERT INTO t VALUES (CAST(x'ff' AS TEXT), 1)"],
        ["UPDATE t SET b = 2", "INSERT INTO t VALUES (CAST(x'fe41' AS TEXT), 'ok')",
         "UPDATE t SET a = CAST(x'fd' AS TEXT) WHERE b = 'ok'"],
    ),
    "a VIRTUAL column": (
        ["CREATE TABLE t(a, g AS (a * 2) VIRTUAL, b)", "INSERT INTO t VALUES (1, 2)"],
        ["UPDATE t SET b = 3", "INSERT INTO t VALUES (5, 6)", "DELETE FROM t WHERE a = 1"],
    ),
    "columns rowid and oid": (
        ["CREATE TABLE t(rowid, oid, x)"],
        ["INSERT INTO t VALUES (5, 6, 7), (8, 9, 1)", "UPDATE t SET _rowid_ = 50 WHERE x = 1"],
    ),
    "columns of all three names, one the INTEGER PRIMARY KEY": (
        ["CREATE TABLE t(rowid, oid, _rowid_ INTEGER PRIMARY KEY, x)"],
        ["INSERT INTO t VALUES (5, 6, 7, 1)", "UPDATE t SET _rowid_ = 9"],
    ),
    "columns of all three names, rowid the key": (
        ["CREATE TABLE t(rowid INTEGER PRIMARY KEY, oid, _rowid_, x)"],
        ["INSERT INTO t VALUES (5, 6, 7, 1)", "UPDATE t SET _rowid_ = 9"],
    ),
    "INTEGER PRIMARY KEY DESC": (
        ["CREATE TABLE t(k INTEGER PRIMARY KEY DESC, x)"],
        ["INSERT INTO t VALUES (5, 6), (1, 1)", "UPDATE t SET k = NULL"],
    ),
    "the smallest and the largest rowid": (
        ["CREATE TABLE t(x)"],
        ["INSERT INTO t(rowid, x) VALUES (9223372036854775807, 1), (-9223372036854775808, 2)", "UPDATE t SET x = 3"],
    ),
    "rows come and are undone, then change": (
        ["CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE)", "INSERT INTO t VALUES (1, 1)"],
        [["DELETE FROM t", "INSERT INTO t VALUES (1, 7), (2, 1)", NOWHERE], "UPDATE t SET u = 5"],
    ),
    "OR FAIL half-way": (
        ["CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE)", "INSERT INTO t VALUES (1, 1)"],
        ["INSERT OR FAIL INTO t VALUES (2, 2), (3, 1), (4, 4)", "INSERT INTO t VALUES (5, 5)"],
    ),
    "ABORT half-way": (
        ["CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE)", "INSERT INTO t VALUES (1, 1)"],
        ["INSERT INTO t VALUES (2, 2), (3, 1), (4, 4)", "INSERT INTO t VALUES (5, 5)"],
    ),
    "columns that came later": (
        ["CREATE TABLE t(a)", "INSERT INTO t VALUES (1), (2)", "ALTER TABLE t ADD COLUMN d REAL DEFAULT 7",
         "ALTER TABLE t ADD COLUMN s TEXT DEFAULT 'q'"],
        ["UPDATE t SET a = 5 WHERE a = 1", "UPDATE t SET d = 8 WHERE a = 2"],
    ),
    "a sequence without a row of its own": (
        ["CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, u UNIQUE)"],
        ["INSERT OR IGNORE INTO t(u) VALUES (1), (1), (2)", "DELETE FROM sqlite_sequence",
         "INSERT INTO t(u) VALUES (9)", "UPDATE sqlite_sequence SET seq = 40", "INSERT INTO t(u) VALUES (10)"],
    ),
    "128 rows of a table without a key": (
        ["CREATE TABLE log(seen, what)", MANY_ROWS],
        ["UPDATE log SET seen = 1", "DELETE FROM log WHERE what % 2"],
    ),
    "a search index over a TEXT key": (
        ["CREATE TABLE d(k TEXT PRIMARY KEY, x)", "CREATE VIRTUAL TABLE f USING fts5(x, content='d')",
         "CREATE TRIGGER di AFTER INSERT ON d BEGIN INSERT INTO f(rowid, x) VALUES (NEW.rowid, NEW.x); END",
         "CREATE TRIGGER dd AFTER DELETE ON d BEGIN INSERT INTO f(f, rowid, x) VALUES('delete', OLD.rowid, OLD.x); END",
         "INSERT INTO d VALUES ('b', 'one'), ('a', 'two'), ('c', 'three')", "DELETE FROM d WHERE k = 'b'"],
        ["INSERT INTO d VALUES ('b', 'four')", "DELETE FROM d WHERE k = 'c'", "INSERT INTO d VALUES ('d', 'five')"],
    ),
    "dropping a parent": (
        ["CREATE TABLE p(id INTEGER PRIMARY KEY)", "CREATE TABLE c(x, p REFERENCES p ON DELETE CASCADE)",
         "CREATE TABLE n(x, p REFERENCES p ON DELETE SET NULL)", "INSERT INTO p VALUES (1), (2)",
         "INSERT INTO c VALUES (1, 1), (2, 2), (3, NULL)", "INSERT INTO n VALUES (1, 2)"],
        ["DROP TABLE p"],
    ),
    "a small change beside a large value": (
        ["CREATE TABLE t(id INTEGER PRIMARY KEY, b, n)", "INSERT INTO t VALUES (1, zeroblob(1000000), 1)"],
        ["UPDATE t SET n = 2"],
    ),
}  # fmt: skip

REFUSED = {
    "text that is not UTF-8, WITHOUT ROWID": (
        ["CREATE TABLE t(k PRIMARY KEY, v) WITHOUT ROWID", "INSERT INTO t VALUES (1, 1)"],
        ["UPDATE t SET v = CAST(x'ff' AS TEXT)", "UPDATE t SET v = 2"],
    ),
    "a VIRTUAL column, WITHOUT ROWID": (
        [],
        ["CREATE TABLE t(k PRIMARY KEY, g AS (k * 2) VIRTUAL) WITHOUT ROWID"],
    ),
    "columns rowid, oid and _rowid_": ([], ["CREATE TABLE t(rowid, oid, _rowid_, x)"]),
    "statistics written by hand": (
        ["CREATE TABLE t(a PRIMARY KEY)", "INSERT INTO t VALUES (1)", "ANALYZE"],
        ["UPDATE sqlite_stat1 SET stat = '9 9'", "DELETE FROM sqlite_stat1", "ANALYZE"],
    ),
}


FULL_TEXT_BEHIND = [
    "CREATE VIRTUAL TABLE f USING fts4(x)",
    "CREATE TABLE t(id PRIMARY KEY, a) WITHOUT ROWID",
    "CREATE TRIGGER g AFTER UPDATE ON t BEGIN INSERT INTO f(x) VALUES (NEW.a); END",
    "INSERT INTO t VALUES (1, 'one'), (2, 'two')",
]


def asked(given: str | list[str]) -> Asked:
    return Asked(tuple(Statement(sql) for sql in ([given] if isinstance(given, str) else given)))


def perform(before: list[str], then: list[str | list[str]], *, memory: bool, folder: bool) -> Report:
    """The statements of each request in one entry, and again by another leader on what that left."""
    made = Batch((tuple(asked(sql) for sql in before),)) if before else Batch(())
    batch = Batch((tuple(asked(each) for each in then),))
    last = Batch(batch.groups, "elsewhere", 0)
    steps = (made, batch, Move("switch", 1), batch, Move("snapshot", 1), last)
    return run_script(Script(0, memory, steps, folder))


@pytest.mark.parametrize("memory", [False, True], ids=["files", "memory"])
@pytest.mark.parametrize("name", CASES)
def test_all_hold_the_same(name: str, memory: bool) -> None:
    report = perform(*CASES[name], memory=memory, folder=not memory)
    assert report.difference == ""
    assert report.worked > 0
    assert not report.refusals


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_travel_is_refused_by_name(name: str) -> None:
    before, then = REFUSED[name]
    report = perform(before, list(then), memory=True, folder=True)
    assert report.difference == ""
    assert report.refusals


@pytest.mark.parametrize(
    "declared", ["({columns})", "(c0 INTEGER PRIMARY KEY, {rest})", "({columns}, PRIMARY KEY (c0, c1)) WITHOUT ROWID"]
)
@pytest.mark.parametrize("width", [1_500, 2_000])
def test_wide_tables(width: int, declared: str) -> None:
    names = [f"c{number}" for number in range(width)]
    columns = declared.format(columns=", ".join(names), rest=", ".join(names[1:]))
    rows = [f"INSERT INTO w VALUES ({', '.join(str(at + first) for at in range(width))})" for first in (0, 5_000)]
    report = perform(
        [f"CREATE TABLE w{columns}", rows[0]],
        [rows[1], "UPDATE w SET c7 = 1, c9 = 2 WHERE c0 = 0", "UPDATE w SET c3 = c3 + 1", "UPDATE w SET c1 = c1 + 1"],
        memory=True,
        folder=False,
    )
    assert report.difference == ""
    assert report.worked > 5


def test_a_key_of_1499_columns() -> None:
    names = ", ".join(f"c{number}" for number in range(1_499))
    values = ", ".join(map(str, range(1_500)))
    before = [f"CREATE TABLE w({names}, last, PRIMARY KEY ({names})) WITHOUT ROWID", f"INSERT INTO w VALUES ({values})"]
    report = perform(before, ["UPDATE w SET last = 8", "UPDATE w SET c5 = 77"], memory=True, folder=False)
    assert report.difference == ""


def test_a_full_text_table_that_writes_in_a_savepoint_leaves_no_lastrowid() -> None:
    """FTS4 writes what it has gathered when the next request's savepoint begins."""
    then: list[str | list[str]] = ["UPDATE t SET a = a || 'x'", "REPLACE INTO t VALUES (3, 'three')"]
    report = perform(FULL_TEXT_BEHIND, then, memory=False, folder=True)
    assert report.difference == ""
    assert report.worked > 0


HELD_REFUSED = {
    "the statement ends the transaction": [
        "INSERT INTO r(v) VALUES (7)",
        "INSERT OR ROLLBACK INTO k VALUES (CAST(x'ff' AS TEXT), 1), (2, NULL)",
        "INSERT INTO r(v) VALUES (8)",
    ],
    "it is the last, and ends the transaction": [
        "INSERT INTO r(v) VALUES (7)",
        "INSERT OR ROLLBACK INTO k VALUES (CAST(x'ff' AS TEXT), 1), (2, NULL)",
    ],
    "it had given a last rowid": [
        "INSERT INTO r(v) VALUES (7), (CAST(x'ff' AS TEXT)) RETURNING v",
        "INSERT INTO k VALUES (3, 3)",
    ],
}


@pytest.mark.parametrize("memory", [False, True], ids=["files", "memory"])
@pytest.mark.parametrize("name", HELD_REFUSED)
def test_what_is_refused_within_an_interactive_transaction(name: str, memory: bool) -> None:
    before = ["CREATE TABLE k(a PRIMARY KEY, b NOT NULL) WITHOUT ROWID", "CREATE TABLE r(v)"]
    held = Asked(tuple(Statement(sql) for sql in HELD_REFUSED[name]), held=True)
    last = asked("INSERT INTO r(v) VALUES (9)")
    steps = (*(Batch(((asked(sql),),)) for sql in before), Batch(((held,),)), Batch(((last,),)))
    report = run_script(Script(0, memory, steps, folder=not memory))
    assert report.difference == ""
    assert report.refusals.total() == 1
    assert report.worked >= 3


def test_power_may_fail_behind_a_checkpoint_that_waited_for_a_batch() -> None:
    """What such a checkpoint folds into the file is synced in the log before."""
    made = Batch(((asked("CREATE TABLE t(id INTEGER PRIMARY KEY)"),),))
    filled = Batch(((asked("INSERT INTO t VALUES (1)"),),))
    renamed = Batch(((asked("ALTER TABLE t RENAME TO u"),),), "checkpoint")
    steps = (made, Move("snapshot"), Move("switch"), filled, renamed, Move("power"))
    report = run_script(Script(0, False, steps))
    assert report.difference == ""
    assert report.features["power"] == 1


def test_broken_references_are_compared_in_an_order_of_their_own() -> None:
    tables = [f"CREATE TABLE child{at}(a, r REFERENCES parent(id))" for at in range(12)]
    made = Batch(((asked(["CREATE TABLE parent(id INTEGER PRIMARY KEY)", *tables]),),))
    rows = tuple(Statement(f"INSERT INTO child{at} VALUES (1, {at})") for at in range(12))
    broken = Batch(((Asked(rows, load=True),),))
    report = run_script(Script(0, False, (made, broken)))
    assert report.difference == ""
    assert report.worked == 25


def test_what_takes_long_only_without_a_refused_request_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The replicas have run it, so it has an end."""
    monkeypatch.setattr(plain_run, "STEPS_MAX", 300_000)
    tables = ["CREATE TABLE t(a)", "CREATE TABLE k(a PRIMARY KEY) WITHOUT ROWID"]
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) INSERT INTO t SELECT i FROM n"
    refused = asked(["DELETE FROM t WHERE a > 1", "INSERT INTO k VALUES (CAST(x'ff' AS TEXT))"])
    long = asked("UPDATE t SET a = (SELECT count(other.a) FROM t AS other WHERE other.a <> t.a)")
    report = run_script(Script(0, False, (Batch(((asked([*tables, rows]),),)), Batch(((refused, long),)))))
    assert report.difference == ""
    assert report.refusals.total() == 1
    assert not report.endless
    assert report.worked == 4


@pytest.mark.parametrize("keys", ["'0'), ('b'), ('c", "'0'), ('0'), ('3"], ids=["out of order", "called malformed"])
@pytest.mark.parametrize("memory", [False, True], ids=["files", "memory"])
def test_an_upsert_whose_trigger_deletes_the_row(keys: str, memory: bool) -> None:
    """SQLite leaves rows out of order, or calls the table malformed: refused, and everything goes on."""
    before = [
        "CREATE TABLE t(id INTEGER PRIMARY KEY, k UNIQUE, e)", "CREATE INDEX i ON t(e)",
        "INSERT INTO t(k, e) VALUES ('0', 0), ('3', 3)",
        "CREATE TRIGGER g BEFORE UPDATE ON t BEGIN DELETE FROM t WHERE id = OLD.id; END",
    ]  # fmt: skip
    upsert = f"INSERT INTO t(k) VALUES ({keys}') ON CONFLICT DO UPDATE SET e = 1"
    then: list[str | list[str]] = ["INSERT INTO t(k) VALUES ('x')", upsert, "INSERT INTO t(k) VALUES ('y')"]
    report = perform(before, then, memory=memory, folder=not memory)
    assert report.difference == ""
    assert report.refusals.total() >= 1
    assert report.worked >= 6
