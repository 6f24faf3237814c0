"""Open transactions that insert into one table are shown different numbers, and keep them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.core.requests import Done
from quorate.core.statements import Failed, Result
from quorate.sql.inserting import insert_of, numbered
from tests.storage.pair import Pair
from tests.storage.test_transactions import begin, failure


@pytest.fixture(params=["memory", "file"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path if request.param == "file" else None) as pair:
        pair.do("CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, v, w DEFAULT 5)")
        pair.do("CREATE TABLE plain(id INTEGER PRIMARY KEY, v, w DEFAULT 5)")
        pair.do("CREATE TABLE hidden(v, w DEFAULT 5)")
        yield pair


INSERTS = [
    "INSERT INTO counted(v) VALUES (?)",
    "INSERT INTO plain (v, w) VALUES (?, 6)",
    'insert or abort into main."Plain" as p(v) values (?) on conflict do nothing',
    "INSERT INTO hidden VALUES (?, 7)",
    "REPLACE INTO hidden(v) VALUES (?) RETURNING rowid",
]


@pytest.mark.parametrize("sql", INSERTS)
def test_both_are_committed_in_either_order(pair: Pair, sql: str) -> None:
    first, second = begin(pair), begin(pair)
    shown = [tx.run(sql, name) for tx, name in ((first, "a"), (second, "b"))]
    assert [each.lastrowid for each in shown if isinstance(each, Result)] == [1, 2]
    assert not first.escalate
    assert second.commit("b") == Done(())
    assert first.commit("a") == Done(())
    table = first.steps[0].pin.reserved[0][0] if first.steps[0].pin else ""
    assert pair.rows(f"SELECT rowid, v FROM {table} ORDER BY rowid") == [(1, "a"), (2, "b")]
    pair.same()


def test_a_number_that_others_took_meanwhile(pair: Pair) -> None:
    tx = begin(pair)
    tx.run("INSERT INTO plain(v) VALUES ('a')")
    pair.do("INSERT INTO plain(v) VALUES ('other')")
    assert failure(tx.commit()) == "SerializationFailure"
    again = begin(pair)
    found = again.run("INSERT INTO plain(v) VALUES ('a')")
    assert isinstance(found, Result)
    assert found.lastrowid == 2
    assert again.commit() == Done(())


def test_many_rows_have_numbers_one_after_the_other(pair: Pair) -> None:
    first, second = begin(pair), begin(pair)
    assert first.rows("INSERT INTO counted(v) VALUES ('a'), ('(' || ')'), ((3)) RETURNING id") == [(1,), (2,), (3,)]
    assert second.rows("INSERT INTO counted DEFAULT VALUES RETURNING id, w") == [(4, 5)]
    assert second.rows("INSERT INTO counted(v) VALUES (?) RETURNING id", "x") == [(5,)]
    assert second.commit("second") == Done(())
    assert first.commit("first") == Done(())
    assert pair.rows("SELECT id FROM counted") == [(1,), (2,), (3,), (4,), (5,)]
    assert pair.do("INSERT INTO counted(v) VALUES (9)")[0].lastrowid == 6


@pytest.mark.parametrize(
    ("sql", "chosen"),
    [
        ("INSERT INTO plain VALUES (NULL, 8, 9)", True),
        ("INSERT INTO plain(v) SELECT 1", True),
        ("INSERT INTO plain(id, v) VALUES (17, 1)", False),
        ("INSERT INTO plain(rowid, v) VALUES (17, 1)", False),
    ],
)
def test_what_cannot_be_reserved_is_said(pair: Pair, sql: str, chosen: bool) -> None:
    tx = begin(pair)
    tx.run(sql)
    assert bool(tx.escalate) == chosen
    assert tx.commit() == Done(())


def test_errors_are_about_the_callers_text(pair: Pair) -> None:
    tx = begin(pair)
    failed = tx.run("INSERT INTO plain(v) VALUES (1, 2)")
    assert isinstance(failed, Failed)
    assert failed.message == "2 values for 1 columns"


def test_a_trigger_that_runs_before_sees_no_number(pair: Pair) -> None:
    pair.do("CREATE TABLE seen(id)")
    pair.do("CREATE TRIGGER b BEFORE INSERT ON plain BEGIN INSERT INTO seen VALUES (NEW.id); END")
    tx = begin(pair)
    tx.run("INSERT INTO plain(v) VALUES (1)")
    assert tx.rows("SELECT id FROM seen") == [(-1,)]
    assert tx.escalate


def test_a_table_that_is_made_anew_begins_anew(pair: Pair) -> None:
    begin(pair).run("INSERT INTO plain(v) VALUES (1)")
    pair.do("DROP TABLE plain")
    pair.do("CREATE TABLE plain(id INTEGER PRIMARY KEY, v, x)")
    found = begin(pair).run("INSERT INTO plain(v) VALUES (1)")
    assert isinstance(found, Result)
    assert found.lastrowid == 1


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t SELECT 1",
        "INSERT INTO temp.t VALUES (1)",
        "WITH x AS (SELECT 1) INSERT INTO t VALUES (1)",
        "INSERT INTO t(a,) VALUES (1)",
        "INSERT INTO t(a) DEFAULT VALUES",
        "INSERT OR NOTHING INTO t VALUES (1)",
        "UPDATE t SET a = 1",
        "INSERT INTO",
        "",
    ],
)
def test_no_insert_of_values(sql: str) -> None:
    found = insert_of(sql)
    assert found is None or not found.table


def test_only_the_parts_that_must_be_are_other() -> None:
    sql = "INSERT INTO t (a /* ( */, \"b)\") VALUES (?1, '(,)'), (f(2), :x) ON CONFLICT (a) DO NOTHING RETURNING (b)"
    found = insert_of(sql)
    assert found is not None
    assert found.columns == ("a", "b)")
    assert numbered(sql, found, "id", ("a", "b)"), "N") == (
        "INSERT INTO t (id, a /* ( */, \"b)\") VALUES (N, ?1, '(,)'), (N, f(2), :x)"
        " ON CONFLICT (a) DO NOTHING RETURNING (b)"
    )
