"""Versioned tables in SQLite: local writes are versioned, remote ones merged, and what is visible follows."""

from collections.abc import Callable
from typing import Any

import apsw
import pytest

from quorate.storage.data.connection import open_writer
from quorate.storage.data.guard import Guard
from quorate.storage.failures import RefusedError
from quorate.storage.interface import Divergent
from quorate.storage.versions.base import Base
from quorate.storage.versions.store import VersionStore
from quorate.storage.versions.visible import Visible
from tests.storage.versions.replicas import NOW, Replica, meet, refused

PAGES = "CREATE TABLE pages(id INTEGER PRIMARY KEY, title TEXT, body TEXT, hits INTEGER NOT NULL DEFAULT 0)"
RESOLVERS = {"pages": {"body": "merge:concat", "hits": "merge:counter"}}
USERS = "CREATE TABLE users(id TEXT NOT NULL PRIMARY KEY, mail TEXT COLLATE NOCASE UNIQUE, nick TEXT UNIQUE)"


def pair(ddl: str = PAGES, resolvers: dict[str, dict[str, str]] | None = None) -> tuple[Replica, Replica]:
    chosen = RESOLVERS if resolvers is None else resolvers
    return Replica(1, ddl, chosen), Replica(2, ddl, chosen, skew_ms=5_000)


def same(one: Replica, two: Replica) -> bool:
    return one.store.digest() == two.store.digest()


def test_a_transaction_arrives_as_a_whole() -> None:
    one, two = pair()
    sent = one.run("INSERT INTO pages VALUES (1, 'a', 'b', 3), (2, 'c', 'd', 4)", "DELETE FROM pages WHERE id = 2")
    two.merge(sent, sent)
    assert two.rows("SELECT * FROM pages") == [(1, "a", "b", 3)]
    assert same(one, two)
    assert two.store.seen == one.store.seen


def test_columns_are_merged_each_by_itself() -> None:
    one, two = pair()
    two.merge(one.run("INSERT INTO pages VALUES (1, 'a', 'b', 3)"))
    left = one.run("UPDATE pages SET title = 'one', hits = hits + 1, body = 'left'")
    right = two.run("UPDATE pages SET hits = hits + 10, body = 'right'")
    one.merge(right)
    two.merge(left)
    assert one.rows("SELECT * FROM pages") == [(1, "one", "left\nright", 14)]
    assert same(one, two)
    assert one.conflicts() == []


def test_what_is_rolled_back_leaves_no_version() -> None:
    one, _ = pair()
    one.run("INSERT INTO pages VALUES (1, 'a', 'b', 3)")
    before = one.store.digest(), one.store.seen
    with pytest.raises(Exception, match="no such table"):
        one.run("UPDATE pages SET title = 'x'", "DELETE FROM nowhere")
    assert (one.store.digest(), one.store.seen) == before
    assert one.run("SELECT 1") == b""


def test_a_key_that_changes_is_another_row() -> None:
    one, two = pair()
    two.merge(one.run("INSERT INTO pages VALUES (1, 'a', 'b', 3)"), one.run("UPDATE pages SET id = 7"))
    assert two.rows("SELECT id, title FROM pages") == [(7, "a")]
    assert same(one, two)


def test_rowids_are_each_replicas_own() -> None:
    ddl = "CREATE TABLE t(a TEXT, b INTEGER, c TEXT, PRIMARY KEY (a, b), CHECK (b > 0)) STRICT"
    # a key that may be NULL is refused, so both columns say that they are not
    one, two = pair(ddl.replace("a TEXT,", "a TEXT NOT NULL,").replace("b INTEGER,", "b INTEGER NOT NULL,"), {"t": {}})
    two.connection.execute("INSERT INTO t(rowid, a, b) VALUES (500, 'gone', 1)")
    two.connection.execute("DELETE FROM t")
    two.run("INSERT INTO t(rowid, a, b, c) VALUES (77, 'k', 1, 'two')")
    one.merge(two.sent[-1])
    two.merge(one.run("UPDATE t SET c = 'one'"))
    assert two.rows("SELECT rowid, * FROM t") == [(77, "k", 1, "one")]
    assert same(one, two)


@pytest.mark.parametrize("ddl", ["a TEXT PRIMARY KEY, b, g AS (a || b) STORED", "a REAL PRIMARY KEY, b, g INT"])
def test_keys_and_computed_columns(ddl: str) -> None:
    without = f"CREATE TABLE t({ddl}) WITHOUT ROWID"
    one, two = pair(without, {"t": {}})
    sent = one.run("INSERT INTO t(a, b) VALUES (1, 2.0)")
    also = two.run("INSERT INTO t(a, b) VALUES (1.0, x'00')") if "REAL" in ddl else b""
    two.merge(sent)
    one.merge(also)
    assert len(one.rows("SELECT * FROM t")) == 1
    assert one.rows("SELECT * FROM t") == two.rows("SELECT * FROM t")


def test_triggers_fire_where_the_write_was_made() -> None:
    ddl = (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE TABLE log(id INTEGER PRIMARY KEY, what);"
        "CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log(what) VALUES (new.a); END"
    )
    one, two = pair(ddl, {"t": {}, "log": {}})
    two.merge(one.run("INSERT INTO t VALUES (1, 'x')"))
    assert two.rows("SELECT * FROM log") == [(1, "x")]


def test_the_earlier_row_keeps_a_unique_value() -> None:
    one, two = pair(USERS, {"users": {}})
    left = one.run("INSERT INTO users VALUES ('ann', 'A@x', 'n')")
    right = two.run("INSERT INTO users VALUES ('bob', 'a@X', 'm')", "INSERT INTO users VALUES ('cy', 'c', NULL)")
    one.merge(right)
    two.merge(left)
    for each in (one, two):
        assert each.rows("SELECT id FROM users ORDER BY id") == [("ann",), ("cy",)]
        assert each.conflicts() == [("unique", ("bob",))]
        assert each.store.conflicts()[0].against == (("ann",),)
        assert each.is_sound()
    assert same(one, two)


def test_a_hidden_row_comes_back_when_the_value_is_free() -> None:
    for free in ("DELETE FROM users WHERE id = 'ann'", "UPDATE users SET mail = 'other' WHERE id = 'ann'"):
        one, two = pair(USERS, {"users": {}})
        left = one.run("INSERT INTO users VALUES ('ann', 'a', 'n')")
        one.merge(two.run("INSERT INTO users VALUES ('bob', 'a', 'm')"))
        two.merge(left)
        two.merge(one.run(free))
        for each in (one, two):
            assert ("bob", "a", "m") in each.rows("SELECT * FROM users")
            assert each.conflicts() == []
        assert same(one, two)


def test_several_unique_values_lost_at_once() -> None:
    one, two = pair(USERS, {"users": {}})
    left = one.run("INSERT INTO users VALUES ('ann', 'a', 'n'), ('ben', 'b', 'm')")
    right = two.run("INSERT INTO users VALUES ('cy', 'a', 'm')")
    one.merge(right)
    two.merge(left)
    assert one.conflicts() == two.conflicts() == [("multiple unique", ("cy",))]
    assert set(one.store.conflicts()[0].against) == {("ann",), ("ben",)}
    assert same(one, two)


def test_unique_values_that_change_places() -> None:
    one, two = pair(USERS, {"users": {}})
    two.merge(one.run("INSERT INTO users VALUES ('a', '1', 'x'), ('b', '2', 'y')"))
    swap = "UPDATE users SET mail = 't' WHERE id = 'a'", "UPDATE users SET mail = '1' WHERE id = 'b'"
    two.merge(one.run(*swap, "UPDATE users SET mail = '2' WHERE id = 'a'"))
    assert two.rows("SELECT id, mail FROM users ORDER BY id") == [("a", "2"), ("b", "1")]
    assert same(one, two)


def test_a_child_without_a_parent_stays_and_is_listed() -> None:
    ddl = "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p)"
    one, two = pair(ddl, {"p": {}, "c": {}})
    two.merge(one.run("INSERT INTO p VALUES (1)"))
    left, right = one.run("DELETE FROM p"), two.run("INSERT INTO c VALUES (5, 1)")
    one.merge(right)
    two.merge(left)
    for each in (one, two):
        assert each.rows("SELECT * FROM c") == [(5, 1)]
        assert ("foreign key", (5,)) in each.conflicts()
    assert same(one, two)


def test_a_row_is_not_put_together_where_a_check_looks_at_both_columns() -> None:
    one, two = pair("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b, CHECK (a <= b))", {"t": {}})
    two.merge(one.run("INSERT INTO t VALUES (1, 1, 5)"))
    left, right = one.run("UPDATE t SET a = 4"), two.run("UPDATE t SET b = 2")
    one.merge(right)
    two.merge(left)
    assert one.rows("SELECT a, b FROM t") == [(1, 2)]
    assert one.conflicts() == two.conflicts() == [("update/update", (1,))]
    assert same(one, two)


def test_a_counter_that_breaks_its_check_is_shown_and_listed() -> None:
    ddl = "CREATE TABLE stock(sku TEXT NOT NULL PRIMARY KEY, n INTEGER NOT NULL CHECK (n >= 0))"
    one, two = pair(ddl, {"stock": {"n": "merge:counter"}})
    two.merge(one.run("INSERT INTO stock VALUES ('mug', 20)"))
    left, right = one.run("UPDATE stock SET n = n - 1"), two.run("UPDATE stock SET n = n - 20")
    one.merge(right)
    two.merge(left)
    assert one.rows("SELECT n FROM stock") == [(-1,)]
    assert one.conflicts() == two.conflicts() == [("check", ("mug",))]
    two.merge(one.run("UPDATE stock SET n = 5"))
    assert one.conflicts() == two.conflicts() == []
    assert same(one, two)


def test_a_column_of_a_newer_schema_loses_nothing() -> None:
    one, two = pair(PAGES, {"pages": {}})
    two.merge(one.run("INSERT INTO pages VALUES (1, 'a', 'b', 3)"))
    one.connection.execute("ALTER TABLE pages ADD COLUMN lang TEXT DEFAULT 'en'")
    one.store.create("pages", NOW)
    two.merge(one.run("UPDATE pages SET lang = 'fr', title = 'x'"), one.run("INSERT INTO pages(id) VALUES (2)"))
    assert two.rows("SELECT id, title FROM pages") == [(1, "x"), (2, None)]
    assert ("schema", (1,)) in two.conflicts()
    two.connection.execute("ALTER TABLE pages ADD COLUMN lang TEXT DEFAULT 'en'")
    two.store.create("pages", NOW)
    assert two.rows("SELECT lang FROM pages") == [("fr",), ("en",)]
    assert same(one, two)


def test_conflicts_are_final_when_all_have_seen_them() -> None:
    one, two = pair(PAGES, {"pages": {}})
    two.merge(one.run("INSERT INTO pages VALUES (1, 'a', 'b', 3)"))
    left, right = one.run("UPDATE pages SET title = 'one'"), two.run("UPDATE pages SET title = 'two'")
    one.merge(right)
    two.merge(left)
    listed = one.store.conflicts()
    assert [(each.is_discard, each.is_final, each.cells) for each in listed] == [
        (True, False, (("title", "one", "two"),))
    ]
    assert listed == two.store.conflicts()
    meet([one, two])
    for each in (one, two):
        assert [(each.is_final, each.cells) for each in each.store.conflicts()] == [(True, (("title", "one", "two"),))]
    assert same(one, two)


@pytest.mark.parametrize("value", ["one", "two", "both"])
@pytest.mark.parametrize("resolver", ["keep", "last-write-wins"])
def test_a_conflict_is_resolved_by_a_write_that_replaces_all(resolver: str, value: str) -> None:
    one, two = pair(PAGES, {"pages": {"title": resolver}})
    two.merge(one.run("INSERT INTO pages VALUES (1, 'a', 'b', 3)"))
    left, right = one.run("UPDATE pages SET title = 'one'"), two.run("UPDATE pages SET title = 'two'")
    one.merge(right)
    two.merge(left)
    assert one.conflicts() == [("update/update", (1,))]
    two.merge(one.store.resolve("pages", (1,), {"title": value}, one.now_ms))
    for each in (one, two):
        assert each.rows("SELECT title FROM pages") == [(value,)]
        assert each.conflicts() == []
    assert same(one, two)
    with pytest.raises(RefusedError, match="no such row"):
        one.store.resolve("pages", (5,), {"title": value}, one.now_ms)


def test_a_peer_too_far_ahead_is_refused() -> None:
    one, two = pair()
    sent = two.run("INSERT INTO pages(id) VALUES (1)")
    one.store.clock._ahead_max_ms = 100
    with pytest.raises(RefusedError, match="too far ahead"):
        one.merge(sent)
    assert one.rows("SELECT * FROM pages") == []


def test_who_was_away_too_long_is_refused() -> None:
    one, two = pair()
    two.merge(one.run("INSERT INTO pages(id) VALUES (1)"))
    one.run("DELETE FROM pages")
    one.store.advance(one.store.seen)  # the members are only this one now
    assert one.rows("SELECT count(*) FROM quorate_rows") == [(0,)]
    with pytest.raises(RefusedError, match="away for too long"):
        two.merge(one.store.whole())
    fresh = Replica(3, PAGES, RESOLVERS)
    fresh.merge(one.store.whole())
    assert same(fresh, one)


def test_one_that_joins_takes_what_lies_below_the_floor() -> None:
    one, two = pair(PAGES, {"pages": {}})
    two.merge(one.run("INSERT INTO pages(id, title) VALUES (1, 'a'), (2, 'b')"))
    left, right = one.run("UPDATE pages SET title = 'one'"), two.run("UPDATE pages SET title = 'two'")
    one.merge(right)
    two.merge(left)
    meet([one, two])
    fresh = Replica(3, PAGES, {"pages": {}})
    fresh.merge(two.store.whole())
    assert fresh.rows("SELECT id, title FROM pages") == [(1, "two"), (2, "two")]
    assert fresh.conflicts() == one.conflicts() == [("update/update", (1,)), ("update/update", (2,))]
    assert same(fresh, one)
    fresh.merge(left)
    assert same(fresh, one)


def test_what_the_floor_has_forgotten_does_not_come_back() -> None:
    one, two = pair()
    sent = [one.run("INSERT INTO pages(id) VALUES (1)"), one.run("DELETE FROM pages")]
    two.merge(*sent)
    meet([one, two])
    two.merge(sent[0])
    assert two.rows("SELECT count(*) FROM quorate_rows") == [(0,)]
    assert two.store.refused == 1
    assert same(one, two)


def test_stamps_go_on_after_a_restart_with_a_clock_that_went_back() -> None:
    one, two = pair(PAGES, {"pages": {}})
    two.merge(one.run("INSERT INTO pages(id, title) VALUES (1, 'a')"))
    one.now_ms -= 3_600_000
    one.restart()
    two.merge(one.run("UPDATE pages SET title = 'b'"))
    assert two.rows("SELECT title FROM pages") == [("b",)]
    assert same(one, two)


def test_bytes_that_are_no_delta() -> None:
    with pytest.raises(Divergent):
        pair()[0].merge(b"\xff")


@pytest.mark.parametrize(
    ("ddl", "resolvers", "why"),
    [
        ("CREATE TABLE t(a)", {}, "has no primary key: declare one"),
        ("CREATE TABLE t(a TEXT PRIMARY KEY)", {}, "may be NULL: declare one"),
        ("CREATE TABLE t(a TEXT NOT NULL COLLATE NOCASE PRIMARY KEY)", {}, "has a collation"),
        ("CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE UNIQUE INDEX i ON t(lower(b))", {}, "on an expression"),
        ("CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE UNIQUE INDEX i ON t(b) WHERE b > 1", {}, "with WHERE"),
        ("CREATE TABLE t(a INTEGER PRIMARY KEY, b AS (a + 1))", {}, "has a VIRTUAL column: make it STORED"),
        ("CREATE TABLE t(a INTEGER PRIMARY KEY, b)", {"b": "merge:counter"}, "declare it INTEGER NOT NULL"),
        ("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)", {"b": "merge:set"}, "declare it TEXT NOT NULL"),
        ("CREATE TABLE t(a INTEGER PRIMARY KEY, b INT)", {"b": "merge:concat"}, "declare it TEXT"),
        ("CREATE TABLE t(a INTEGER PRIMARY KEY, b INT)", {"b": "merge:sum"}, "is no resolver"),
        ("CREATE TABLE t(a INTEGER PRIMARY KEY, b INT)", {"c": "keep"}, "has no column c"),
        ("CREATE TABLE u(a)", {}, "there is no table t"),
    ],
)
def test_what_is_refused(ddl: str, resolvers: dict[str, str], why: str) -> None:
    connection = open_writer(":memory:", Guard())
    connection.execute(ddl)
    assert why in refused(connection, "t", resolvers)


def test_a_set_is_shown_in_one_form_and_refuses_what_is_none() -> None:
    one, two = pair("CREATE TABLE t(id INTEGER PRIMARY KEY, tags TEXT NOT NULL)", {"t": {"tags": "merge:set"}})
    two.merge(one.run('INSERT INTO t VALUES (1, \'[ "b", "a" ]\')'))
    left, right = one.run("UPDATE t SET tags = '[\"a\"]'"), two.run('UPDATE t SET tags = \'["a","b","c"]\'')
    one.merge(right)
    two.merge(left)
    expected: list[Any] = [('["a","c"]',)]
    assert one.rows("SELECT tags FROM t") == two.rows("SELECT tags FROM t") == expected
    with pytest.raises(RefusedError, match="JSON array"):
        one.run("UPDATE t SET tags = 'x'")
    assert one.rows("SELECT tags FROM t") == expected


@pytest.mark.parametrize(
    ("where", "what", "caught"),
    [
        (Visible, "follow", test_a_hidden_row_comes_back_when_the_value_is_free),
        (Base, "hidden", test_a_hidden_row_comes_back_when_the_value_is_free),
        (Visible, "_holders", test_the_earlier_row_keeps_a_unique_value),
        (VersionStore, "_take_discarded", test_one_that_joins_takes_what_lies_below_the_floor),
        (VersionStore, "_show_again", test_a_column_of_a_newer_schema_loses_nothing),
    ],
)
def test_sabotage_is_seen(where: type, what: str, caught: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(where, what, lambda *_: set() if what == "_holders" else [])
    with pytest.raises((AssertionError, apsw.ConstraintError)):
        caught()
