"""Django's functions of SQL: as Django computes them, in reads and writes, and never in a schema."""

import itertools
import math
import sqlite3
from typing import Any

import pytest

import quorate
from quorate.functions.django import AGGREGATES, FUNCTIONS, regexp

django_functions: Any = pytest.importorskip("django.db.backends.sqlite3._functions")

MOMENTS = (
    None, "", "2024-02-29", "2024-02-29 23:59:58.123456", "1999-12-31 00:00:00", "2024-06-30 12:30:00+02",
    "12:30:45", "12:30:45.5", "no date", "2024-13-01 00:00:00", 5,
)  # fmt: skip
ZONES = ((None, None), ("Europe/Vienna", "UTC"), ("UTC", "UTC"), ("Asia/Kathmandu", "UTC"), ("UTC+05:30", "UTC"))
PARTS = (
    "year", "iso_year", "quarter", "month", "week", "week_day", "iso_week_day", "day", "hour", "minute", "second",
    "no part",
)  # fmt: skip
NUMBERS = (None, 0, 1, -3, 7, 2.5, "text")
TEXTS = (None, "", "a", "äöü", "hello world")
CALLS: dict[str, Any] = {
    "django_date_extract": itertools.product(PARTS, MOMENTS),
    "django_time_extract": itertools.product(PARTS, MOMENTS),
    "django_time_diff": itertools.product(MOMENTS, MOMENTS),
    "django_timestamp_diff": itertools.product(MOMENTS, MOMENTS),
    "django_format_dtdelta": itertools.product(("+", " - ", "*", "/", None), (*MOMENTS, 86_400_000_000, 2.5), NUMBERS),
    "bitxor": itertools.product(NUMBERS, NUMBERS),
    "cot": ((number,) for number in NUMBERS),
    "lpad": itertools.product(TEXTS, (None, 0, 3, 12), TEXTS),
    "rpad": itertools.product(TEXTS, (None, 0, 3, 12), TEXTS),
    "repeat": itertools.product(TEXTS, (None, 0, 3)),
    "regexp": itertools.product((None, "a", "^h.*d$", "("), (*TEXTS, 5)),
}
for zoned in ("date_trunc", "time_trunc", "datetime_trunc", "datetime_extract"):
    CALLS[f"django_{zoned}"] = ((p, m, *z) for p, m, z in itertools.product(PARTS, MOMENTS, ZONES))
for cast in ("date", "time"):
    CALLS[f"django_datetime_cast_{cast}"] = ((m, *z) for m, z in itertools.product(MOMENTS, ZONES))


class Theirs:
    """What Django registers."""

    def __init__(self) -> None:
        self.functions: dict[str, Any] = {}
        self.aggregates: dict[str, Any] = {}

    def create_function(self, name: str, _count: int, function: Any, **_: Any) -> None:
        self.functions[name.lower()] = function

    def create_aggregate(self, name: str, _count: int, made: Any) -> None:
        self.aggregates[name.lower()] = made

    def execute(self, sql: str) -> Any:
        return sqlite3.connect(":memory:").execute(sql)


@pytest.fixture(scope="module")
def theirs() -> Theirs:
    found = Theirs()
    django_functions.register(found)
    return found


def _outcome(function: Any, values: tuple[Any, ...]) -> Any:
    try:
        return function(*values)
    except Exception:  # noqa: BLE001 - whatever it is
        return "an error"


@pytest.mark.parametrize("name", [*(name for name, *_ in FUNCTIONS), "regexp"])
def test_what_django_computes_is_computed(theirs: Theirs, name: str) -> None:
    ours = regexp if name == "regexp" else {each: function for each, _, function in FUNCTIONS}[name]
    calls = list(CALLS.get(name, ((text,) for text in TEXTS)))
    assert len(calls) > 4
    for values in calls:
        expected = _outcome(theirs.functions[name], values)
        if expected != "an error" and not isinstance(expected, int | float | str | None):
            continue  # a date, which SQLite could not hold
        found = _outcome(ours, values)
        assert found == expected or (expected == "an error" and found is None), values


@pytest.mark.parametrize("name", [name for name, _ in AGGREGATES])
def test_spreads_are_those_of_statistics(theirs: Theirs, name: str) -> None:
    numbers = [1e6 + number * 0.1 for number in range(50)]
    own, other = dict(AGGREGATES)[name](), theirs.aggregates[name]()
    for number in numbers:
        own.step(number)
        other.step(number)
    found = own.final()
    assert found is not None
    assert math.isclose(found, other.finalize(), rel_tol=1e-9)


def test_nothing_that_django_registers_is_missing(theirs: Theirs) -> None:
    with quorate.connect(":memory:") as db:
        there = {name for (name,) in db.execute("SELECT name FROM pragma_function_list")}
    assert {*theirs.functions, *theirs.aggregates} - there == {"regexp"}


@pytest.mark.parametrize("target", ["folder", ":memory:"])
def test_reads_and_writes_call_them(tmp_path: Any, target: str) -> None:
    with quorate.connect(str(tmp_path / "shop") if target == "folder" else target) as db:
        db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, at TEXT, n REAL)")
        db.execute("INSERT INTO t(at, n) VALUES (lpad('x', 3, '-'), rand()), (md5('x'), 2.0)")
        assert db.execute("SELECT at FROM t ORDER BY id").fetchall() == [
            ("--x",),
            ("9dd4e461268c8034f5c8564e155c67a6",),
        ]
        db.execute("UPDATE t SET n = id")
        assert db.execute("SELECT var_pop(n), stddev_samp(n) FROM t WHERE id = 1").fetchone() == (0.0, None)
        assert db.execute("SELECT var_pop(n) FROM t").fetchone() == (0.25,)


def test_what_fails_in_one_says_which() -> None:
    with quorate.connect(":memory:") as db:
        with pytest.raises(quorate.OperationalError, match="repeat has failed: ValueError"):
            db.execute("SELECT repeat('x', 1000000000)")
        with pytest.raises(quorate.OperationalError, match="django_date_trunc has failed"):
            db.execute("SELECT django_date_trunc('age', '2024-01-01', NULL, NULL)")
        with pytest.raises(quorate.OperationalError, match="var_pop has failed"):
            db.execute("SELECT var_pop('a')")


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE INDEX i ON t(md5(a))",
        "CREATE TABLE u(a CHECK (lpad(a, 1, 'x') = a))",
        'CREATE VIEW v AS SELECT "REVERSE"(a) FROM t',
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET a = sha1(a); END",
        "ALTER TABLE t ADD COLUMN b AS (repeat(a, 2))",
    ],
)
def test_no_schema_calls_them(sql: str) -> None:
    with quorate.connect(":memory:") as db:
        db.execute("CREATE TABLE t(a)")
        with pytest.raises(quorate.NotSupportedError, match="cannot be a part of the schema"):
            db.execute(sql)


def test_tables_may_have_their_names() -> None:
    with quorate.connect(":memory:") as db:
        db.execute("CREATE TABLE repeat(md5 TEXT)")
        db.execute("CREATE INDEX i ON repeat (md5)")
        db.execute("CREATE TABLE log(a)")
        db.execute("CREATE TRIGGER g AFTER INSERT ON log BEGIN INSERT INTO repeat(md5) VALUES (new.a); END")
        db.execute("INSERT INTO log VALUES ('x')")
        assert db.execute("SELECT md5 FROM repeat").fetchall() == [("x",)]


def test_a_program_may_have_its_own_in_their_place() -> None:
    with quorate.connect(":memory:") as db:
        db.create_function("md5", 1, lambda value: f"mine {value}")
        assert db.execute("SELECT md5('x')").fetchone() == ("mine x",)
        db.create_function("md5", 1, None)
        assert db.execute("SELECT length(md5('x'))").fetchone() == (32,)
