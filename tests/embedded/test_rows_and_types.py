"""Rows and values in the form that a program asks for, on one connection and not for the whole process."""

import datetime as dt
import decimal
import enum
import sqlite3
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

import quorate


class Colour(enum.Enum):
    RED = "red"


class Number:
    """As a scalar of numpy is, as far as this package looks at one."""

    def item(self) -> int:
        return 7


Number.__module__ = "numpy"


@pytest.fixture
def db() -> Iterator[Any]:
    with quorate.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, Name TEXT)")
        connection.execute("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
        yield connection


QUERY = "SELECT id, Name, id + 1 FROM t ORDER BY id"


@pytest.mark.parametrize("factory", [quorate.Row, sqlite3.Row])
def test_rows_that_are_found_by_name(db: Any, factory: Any) -> None:
    db.row_factory = factory
    for _ in range(2):  # the second time a shorter way is taken
        row = db.execute(QUERY).fetchone()
        assert isinstance(row, quorate.Row)
        assert (row["id"], row["NAME"], row[0], row[-1], row[0:2], len(row)) == (1, "one", 1, 2, (1, "one"), 3)
        assert tuple(row) == (1, "one", 2)
        assert row.keys() == ["id", "Name", "id + 1"]
        assert dict(zip(row.keys(), row, strict=True)) == {"id": 1, "Name": "one", "id + 1": 2}
    with pytest.raises(IndexError):
        row["nothing"]
    first, second = db.execute(QUERY).fetchall()
    assert first == row
    assert hash(first) == hash(row)
    assert first != second
    assert first != (1, "one", 2)
    assert "Name='one'" in repr(first)


def test_every_way_of_fetching_makes_rows(db: Any) -> None:
    db.row_factory = quorate.dict_row
    expected = [{"id": 1, "Name": "one", "id + 1": 2}, {"id": 2, "Name": "two", "id + 1": 3}]
    assert db.execute(QUERY).fetchall() == expected
    assert list(db.execute(QUERY)) == expected
    assert db.execute(QUERY).fetchmany(5) == expected
    cursor = db.cursor()
    assert cursor.execute(QUERY).fetchone() == expected[0]
    cursor.row_factory = quorate.namedtuple_row
    row = cursor.fetchone()
    assert (row.id, row.Name, row._2) == (2, "two", 3)
    assert cursor.fetchone() is None
    cursor.row_factory = None
    assert cursor.execute(QUERY).fetchone() == (1, "one", 2)
    cursor.row_factory = lambda cursor, row: (cursor.description[0][0], *row)
    assert cursor.execute(QUERY).fetchone() == ("id", 1, "one", 2)
    assert [each.fetchone() for each in db.batch(["SELECT 1 AS a", "INSERT INTO t VALUES (3, 'x') RETURNING id"])] == [
        {"a": 1},
        {"id": 3},
    ]
    with db.transaction() as tx:
        assert tx.execute("SELECT 1 AS a").fetchone() == {"a": 1}


def test_a_row_factory_may_give_anything(db: Any) -> None:
    db.row_factory = lambda _cursor, _row: None
    assert list(db.execute(QUERY)) == [None, None]
    with pytest.raises(quorate.ProgrammingError, match="row_factory"):
        db.row_factory = "dict"
    with pytest.raises(quorate.ProgrammingError, match="row_factory"):
        quorate.connect(":memory:", row_factory=7)


VALUES = {
    "DATE": dt.date(2024, 2, 29),
    "TIME": dt.time(1, 2, 3, 4),
    "TIMESTAMP": dt.datetime(2024, 2, 29, 1, 2, 3, tzinfo=dt.UTC),
    "DATETIME": dt.datetime(2024, 2, 29, 1, 2, 3),  # noqa: DTZ001 - without a zone it comes back without one
    "DECIMAL_TEXT(20, 2)": decimal.Decimal("1.10"),
    "decimal(20, 2)": decimal.Decimal("1.5"),
    "UUID": uuid.UUID(int=7),
    "BOOLEAN": True,
}


def test_types_of_python_come_back_as_they_went_in() -> None:
    columns = ", ".join(f"c{number} {declared}" for number, declared in enumerate(VALUES))
    with quorate.connect(":memory:", types=quorate.PYTHON_TYPES) as db:
        db.execute(f"CREATE TABLE t({columns})")
        db.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(VALUES))})", tuple(VALUES.values()))
        db.executemany("INSERT INTO t(c0) VALUES (:day)", [{"day": dt.date(1999, 1, 1)}, {"day": None}])
        for _ in range(2):
            found = db.execute("SELECT * FROM t").fetchall()
            assert found[0] == tuple(VALUES.values())
            assert [type(value) for value in found[0]] == [type(value) for value in VALUES.values()]
            assert [row[0] for row in found[1:]] == [dt.date(1999, 1, 1), None]
        assert db.execute("SELECT c0 FROM t WHERE c0 = ?", [VALUES["DATE"]]).fetchone() == (VALUES["DATE"],)
        with db.transaction() as tx:
            assert tx.execute("SELECT c7 FROM t WHERE c0 = ?", (VALUES["DATE"],)).fetchone() == (True,)
        db.types = None
        assert db.execute("SELECT c0, c7 FROM t").fetchone() == ("2024-02-29", 1)
        with pytest.raises(quorate.DataError):
            db.execute("SELECT ?", (dt.date(2024, 1, 1),))


def test_scalars_of_numpy_are_what_they_say(db: Any) -> None:
    with pytest.raises(quorate.DataError, match=r"value\.item"):
        db.execute("SELECT ?", (Number(),))
    db.types = quorate.Types()
    assert db.execute("SELECT ?", (Number(),)).fetchone() == (7,)


def test_a_cursor_may_have_types_of_its_own(db: Any) -> None:
    cursor = db.cursor()
    cursor.types = quorate.Types({Colour: lambda colour: colour.value}, {"text": str.upper})
    cursor.execute("INSERT INTO t(Name) VALUES (?)", (Colour.RED,))
    assert cursor.execute("SELECT Name FROM t WHERE Name = ?", (Colour.RED,)).fetchall() == [("RED",)]
    assert db.execute("SELECT Name FROM t WHERE id = 3").fetchone() == ("red",)
    with pytest.raises(quorate.DataError):
        db.execute("SELECT ?", (Colour.RED,))


def test_what_an_adapter_or_converter_raises_is_said(db: Any) -> None:
    db.types = quorate.Types({Colour: lambda _: 1 / 0}, {"TEXT": int})
    with pytest.raises(quorate.DataError, match="the adapter of Colour failed"):
        db.execute("SELECT ?", (Colour.RED,))
    with pytest.raises(quorate.DataError, match="the converter of TEXT failed for the column Name"):
        db.execute("SELECT Name FROM t").fetchall()
    with pytest.raises(quorate.ProgrammingError, match="types"):
        db.types = {}
    with pytest.raises(quorate.ProgrammingError, match="function"):
        quorate.Types({str: 7})  # type: ignore[dict-item]


def test_a_call_may_have_types_of_its_own() -> None:
    day = dt.date(2026, 11, 30)
    db: Any
    with quorate.connect(":memory:") as db:
        db.execute("CREATE TABLE t(d DATE)")
        for _ in range(2):  # later times take a shorter way
            db.execute("INSERT INTO t VALUES (?)", (day,), types=quorate.PYTHON_TYPES)
            assert db.execute("SELECT d FROM t", types=quorate.PYTHON_TYPES).fetchone() == (day,)
            assert db.execute("SELECT d FROM t").fetchone() == ("2026-11-30",)
        db.executemany("INSERT INTO t VALUES (?)", [(day,)], types=quorate.PYTHON_TYPES)
        (cursor,) = db.batch([("SELECT d FROM t WHERE d = ?", (day,))], types=quorate.PYTHON_TYPES)
        assert cursor.fetchall() == [(day,)] * 3
        with db.transaction() as tx:
            found = tx.execute("SELECT d FROM t WHERE d = ?", (day,), types=quorate.PYTHON_TYPES)
            assert found.fetchone() == (day,)
            tx.executemany("INSERT INTO t VALUES (?)", [(day,)], types=quorate.PYTHON_TYPES)
        db.types = quorate.PYTHON_TYPES
        assert db.execute("SELECT d FROM t", types=quorate.Types()).fetchone() == ("2026-11-30",)
        with pytest.raises(quorate.ProgrammingError, match=r"quorate\.Types"):
            db.execute("SELECT 1", types="date")
