"""Statements with which SQLite itself leaves rows out of order, or calls a whole table malformed: refused by name."""

import pytest

from quorate.core.requests import CommitHeld, Done
from quorate.core.statements import Failed
from quorate.lab.fuzz.run import has_run
from quorate.storage.interface import StatementFailed
from tests.storage.pair import Pair, run, statement

TABLE = ("CREATE TABLE t(k TEXT PRIMARY KEY, e)", "INSERT INTO t VALUES ('0', 0), ('1', 1), ('2', 2)")
DELETES = "CREATE TRIGGER g BEFORE UPDATE ON t BEGIN DELETE FROM t WHERE k = OLD.k; END"
UPSERT = "INSERT INTO t(k) VALUES ('0'), ('b'), ('c') ON CONFLICT DO UPDATE SET e = 1"
CHILD = (
    "CREATE TABLE p(id INTEGER PRIMARY KEY)",
    "INSERT INTO p VALUES (1), (2), (3)",
    "CREATE TABLE t(k TEXT PRIMARY KEY, e REFERENCES p(id) ON DELETE CASCADE)",
    "INSERT INTO t VALUES ('0', 1), ('1', 2), ('2', 3)",
    "CREATE TRIGGER g UPDATE ON t BEGIN DELETE FROM p WHERE id = OLD.e; END",
)
BACK = (
    "CREATE TABLE t(k TEXT PRIMARY KEY, e)",
    "INSERT INTO t(rowid, k) VALUES (511, '0')",
    "CREATE TRIGGER g BEFORE UPDATE OF e ON t BEGIN DELETE FROM t; END",
    "CREATE TRIGGER h AFTER DELETE ON t BEGIN INSERT OR IGNORE INTO t(k) VALUES (OLD.k); END",
)
OTHER = "CREATE TABLE o(x)"
ELSEWHERE = """CREATE TRIGGER h AFTER INSERT ON o BEGIN
    INSERT INTO t(k) SELECT value FROM json_each(NEW.x) WHERE true ON CONFLICT DO UPDATE SET e = 1; END"""
LEFT_OUT = (
    "CREATE TABLE t(k UNIQUE, e DEFAULT 3, u, PRIMARY KEY (k, e))",
    "CREATE INDEX i ON t(e)",
    "CREATE UNIQUE INDEX j ON t(abs(e)) WHERE e > 3",
    """INSERT INTO t(rowid, k, e, u) VALUES (3, 'e', 3, 2), (8, '3', 3, NULL), (9, '2', 0, NULL), (12, 'n', 3, 3),
    (14, '1', 3, 1), (17, '0', 3, NULL), (19, 'c', 3, NULL), (20, 'w', 3, NULL)""",
    "CREATE TRIGGER g UPDATE OF u ON t BEGIN DELETE FROM t WHERE k = OLD.k; END",
    "CREATE TRIGGER b BEFORE DELETE ON t BEGIN DELETE FROM t WHERE rowid = OLD.rowid; END",
    """CREATE TRIGGER a AFTER DELETE ON t BEGIN
    REPLACE INTO t(k, e) SELECT OLD.k, OLD.e WHERE (SELECT count(*) FROM t) < 40;
    UPDATE t SET rowid = rowid + 1 WHERE k = OLD.k; END""",
)
CASES = {
    "the trigger deletes the row": ((*TABLE, DELETES), UPSERT),
    "its INTEGER PRIMARY KEY is not given": (
        ("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, k UNIQUE, e)",
         "INSERT INTO t(k) VALUES ('0'), ('1'), ('2')", DELETES),
        UPSERT,
    ),
    "a foreign key deletes the row": (CHILD, UPSERT),
    "another trigger puts rows back": (
        BACK,
        "INSERT INTO t(k) VALUES ('a'), ('0'), ('b'), ('c') ON CONFLICT DO UPDATE SET e = 1",
    ),
    "the upsert is a trigger's": ((*TABLE, DELETES, OTHER, ELSEWHERE), """INSERT INTO o VALUES ('["0", "b", "c"]')"""),
    "a row is left out of an index": (
        LEFT_OUT,
        """INSERT INTO t(k) VALUES ('d'), ('0'), ('5'), ('1'), ('2'), ('h')
        ON CONFLICT DO UPDATE SET u = excluded.u WHERE k <> '2'""",
    ),
    "the trigger was made for another spelling": (
        (*TABLE, "CREATE TRIGGER [g h] BEFORE UPDATE ON T BEGIN DELETE FROM t WHERE k = OLD.k; END"), UPSERT,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_upserts_that_leave_rows_out_of_order_are_refused(name: str) -> None:
    before, upsert = CASES[name]
    with Pair() as pair:
        for each in before:
            pair.do(each)
        rows = pair.rows("SELECT rowid, * FROM t NOT INDEXED")
        failed = pair.fail(upsert)
        assert (failed.error, failed.message) == ("NotSupportedError", "SQLite would leave rows out of order in t")
        assert "one row at a time" in failed.hint
        assert has_run(failed)
        assert pair.rows("SELECT rowid, * FROM t NOT INDEXED") == rows
        assert pair.rows("PRAGMA integrity_check") == [("ok",)]


def test_only_the_statement_that_does_it_is_refused() -> None:
    with Pair() as pair:
        for each in (*TABLE, DELETES):
            pair.do(each)
        plain = [run(statement("INSERT INTO t(k) VALUES (?)", f"new {at}")) for at in range(3)]
        outcomes = pair.batch(plain[0], run(UPSERT), plain[1], run("SELECT 1", UPSERT), plain[2])
        assert [type(each) for each in outcomes] == [Done, Failed, Done, Failed, Done]
        assert pair.rows("SELECT count(*) FROM t") == [(6,)]


def test_one_row_at_a_time_works() -> None:
    with Pair() as pair:
        for each in (*TABLE, DELETES):
            pair.do(each)
        for key in ("0", "b", "c"):
            pair.do(statement("INSERT INTO t(k) VALUES (?) ON CONFLICT DO UPDATE SET e = 1", key))
        assert pair.rows("SELECT k FROM t ORDER BY rowid") == [("1",), ("2",), ("b",), ("c",)]


def test_an_interactive_transaction_goes_on_without_the_statement() -> None:
    with Pair() as pair:
        for each in (*TABLE, DELETES):
            pair.do(each)
        pair.leader.hold()
        with pytest.raises(StatementFailed) as raised:
            pair.leader.run_held(statement(UPSERT))
        assert "out of order" in raised.value.failed.message
        pair.leader.run_held(statement("INSERT INTO t(k) VALUES ('new')"))
        assert isinstance(pair.batch(CommitHeld("main", pair.token()))[0], Done)
        assert pair.rows("SELECT k FROM t ORDER BY rowid") == [("0",), ("1",), ("2",), ("new",)]


RANDOM = (
    "CREATE TABLE p(id INTEGER PRIMARY KEY)",
    "CREATE TABLE t(k UNIQUE, e REFERENCES p(id))",
    "INSERT INTO t(rowid, k) VALUES (1, 0), (2, 1), (9223372036854775807, 'last')",
)


def test_replacing_where_rowids_are_chosen_at_random() -> None:
    """SQLite leaves the rows of most such statements out of order: then they are refused, and otherwise they travel."""
    found = set()
    with Pair() as pair:
        for each in RANDOM:
            pair.do(each)
        for at in range(40):
            (outcome,) = pair.batch(run(f"REPLACE INTO t(k) VALUES (1), ({at + 2}), ('a{at}'), ('b{at}'), ('c{at}')"))
            found.add(type(outcome))
            if isinstance(outcome, Failed):
                assert outcome.message == "SQLite would leave rows out of order in t"
                assert "another rowid" in outcome.hint
        assert Failed in found
        assert pair.rows("PRAGMA integrity_check") == [("ok",)]
        pair.do("REPLACE INTO t(k) VALUES ('alone')")


def test_a_batch_of_which_one_leaves_rows_out_of_order() -> None:
    with Pair() as pair:
        for each in RANDOM:
            pair.do(each)
        many = "REPLACE INTO t(k) VALUES (0), " + ", ".join(f"('a{at}')" for at in range(60))
        one, other = (run(f"INSERT INTO p VALUES ({at})") for at in (1, 2))
        outcomes = pair.batch(one, run(many), other)
        while len(outcomes) < 3:
            outcomes += pair.batch(*(one, run(many), other)[len(outcomes) :])
        assert [type(each) for each in outcomes] == [Done, Failed, Done]


MALFORMED = (
    "CREATE TABLE t(id INTEGER PRIMARY KEY, k UNIQUE, e)",
    "CREATE INDEX i ON t(e)",
    "INSERT INTO t(k, e) VALUES ('0', 0), ('3', 3)",
    "CREATE TRIGGER g BEFORE UPDATE ON t BEGIN DELETE FROM t WHERE id = OLD.id; END",
)
CALLED_MALFORMED = "INSERT INTO t(k) VALUES ('0'), ('0'), ('3') ON CONFLICT DO UPDATE SET e = 1"


def test_a_table_that_sqlite_calls_malformed_and_is_whole() -> None:
    """The statement is refused, the replica is not damaged, and those in the same batch are not harmed."""
    with Pair() as pair:
        for each in MALFORMED:
            pair.do(each)
        failed = pair.fail(CALLED_MALFORMED)
        assert failed.error == "NotSupportedError"
        assert "a BEFORE trigger deletes or moves a row of t" in failed.message
        assert "AFTER" in failed.hint
        one, other = (run(f"INSERT INTO t(k) VALUES ('new {at}')") for at in (1, 2))
        outcomes = pair.batch(one, run(CALLED_MALFORMED), other)
        assert [type(each) for each in outcomes] == [Done, Failed, Done]
        assert pair.rows("SELECT k FROM t ORDER BY id") == [("0",), ("3",), ("new 1",), ("new 2",)]


def test_a_table_called_malformed_of_which_nothing_was_committed() -> None:
    with Pair() as pair:
        outcomes = pair.batch(*map(run, MALFORMED), run(CALLED_MALFORMED))
        assert [type(each) for each in outcomes] == [Done] * 4 + [Failed]
