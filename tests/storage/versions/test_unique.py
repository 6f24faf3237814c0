"""Unique values in odd spellings, of columns that came later, and of rows that are hidden: SQLite's idea of what is
equal, and the visible rows as a function of the base store."""

import pytest

from tests.storage.versions.replicas import NOW, Replica

PEOPLE = "CREATE TABLE t(id TEXT NOT NULL PRIMARY KEY, mail TEXT UNIQUE, nick TEXT)"
INVALID = "CAST(x'41ff' AS TEXT)"


def replicas(ddl: str, count: int = 2) -> list[Replica]:
    return [Replica(origin, ddl, {"t": {}}, skew_ms=5_000 * origin) for origin in range(1, count + 1)]


def exchange(made: list[Replica], *statements: str) -> None:
    """Each runs its own statement, and then hears of the others'."""
    deltas = [each.run(sql) for each, sql in zip(made, statements, strict=True)]
    for each in made:
        each.merge(*deltas)


def agree(made: list[Replica]) -> bool:
    alike = len({each.store.digest() for each in made}) == 1 and len({str(each.conflicts()) for each in made}) == 1
    return alike and all(each.is_sound() for each in made)


@pytest.mark.parametrize(
    ("collation", "one", "other", "equal"),
    [
        ("", INVALID, INVALID, True),
        ("", INVALID, "CAST(x'61ff' AS TEXT)", False),
        ("COLLATE NOCASE", INVALID, "CAST(x'61ff' AS TEXT)", True),
        ("COLLATE NOCASE", "'a' || char(0) || 'b'", "'A' || char(0) || 'c'", True),
        ("COLLATE NOCASE", "'a' || char(0) || 'b'", "'A' || char(0)", False),
        ("COLLATE NOCASE", "'É'", "'é'", False),
        ("COLLATE RTRIM", INVALID, f"{INVALID} || ' '", True),
        ("", "1", "1.0", True),
        ("", "-9223372036854775808", "-9223372036854775808.0", True),
    ],
)
@pytest.mark.parametrize("more", ["", ", n"])
def test_values_that_sqlite_takes_for_equal(collation: str, one: str, other: str, equal: bool, more: str) -> None:
    made = replicas(f"CREATE TABLE t(id INTEGER PRIMARY KEY, u {collation}, n INT DEFAULT 1, UNIQUE (u{more}))")
    exchange(made, f"INSERT INTO t(id, u) VALUES (1, {one})", f"INSERT INTO t(id, u) VALUES (2, {other})")
    assert made[0].rows("SELECT count(*) FROM t") == [(1 if equal else 2,)]
    assert agree(made)


def test_a_default_claims_a_value() -> None:
    made = replicas("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT)")
    exchange(made, "INSERT INTO t VALUES (1, 'x')", "SELECT 1")
    for each in made:
        each.connection.execute("ALTER TABLE t ADD COLUMN b TEXT DEFAULT 'd'; ALTER TABLE t ADD COLUMN c TEXT")
        each.connection.execute("CREATE UNIQUE INDEX i ON t(b)")
        each.store.create("t", NOW)
    left = made[0].run("UPDATE t SET c = 'later column'")
    right = made[1].run("DELETE FROM t", "INSERT INTO t(id, b) VALUES (9, 'd')")
    third = Replica(3, "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b TEXT DEFAULT 'd', c TEXT)", {})
    third.connection.execute("CREATE UNIQUE INDEX i ON t(b)")
    third.store.create("t", NOW)
    third.merge(made[0].sent[0], left, right)
    assert third.rows("SELECT id FROM t") == [(9,)]
    made[0].merge(right)
    made[1].merge(left)
    exchange(made, "INSERT INTO t(id, b) VALUES (11, 'e')", "INSERT INTO t(id, b, c) VALUES (12, 'e', 'z')")
    assert made[0].rows("SELECT id FROM t ORDER BY id") == [(9,), (11,)]
    assert agree(made)


def test_a_key_that_is_hidden_is_inserted_again() -> None:
    made = replicas(PEOPLE, 3)
    exchange(made, *[f"INSERT INTO t VALUES ('{name}', 'm', '')" for name in ("ann", "bob", "cy")])
    made[0].now_ms += 100_000
    delta = made[0].run("DELETE FROM t WHERE id = 'ann'", "INSERT INTO t VALUES ('bob', 'm', 'again')")
    made[1].merge(delta)
    made[2].merge(delta)
    assert made[0].rows("SELECT id FROM t") == [("cy",)]
    assert agree(made)


def test_hidden_rows_come_back_when_the_index_goes() -> None:
    made = replicas("CREATE TABLE t(id INTEGER PRIMARY KEY, u); CREATE UNIQUE INDEX i ON t(u)")
    exchange(made, "INSERT INTO t VALUES (1, 'x')", "INSERT INTO t VALUES (2, 'x')")
    for each in made:
        each.connection.execute("DROP INDEX i")
        each.store.create("t", NOW)
        assert each.rows("SELECT id FROM t ORDER BY id") == [(1,), (2,)]
    assert agree(made)
