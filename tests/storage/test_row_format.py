"""Every trap of the row format: the leader's payload must make the follower the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.core.entries import DATA, Entry
from quorate.core.requests import CommitHeld
from quorate.storage.interface import Divergent
from tests.storage.pair import Pair, read, run, statement


@pytest.fixture(params=["file", "memory"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path if request.param == "file" else None) as pair:
        yield pair


def test_rows_of_every_storage_class(pair: Pair) -> None:
    pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    values = [None, 0, -1, 2**63 - 1, -(2**63), 1.5, -0.0, float("inf"), "", "text\0with nul", b"", b"\x00\xff", "é"]
    pair.do(*(statement("INSERT INTO t(v) VALUES (?)", value) for value in values))
    assert [row[0] for row in pair.rows("SELECT v FROM t ORDER BY id")] == values
    pair.do("UPDATE t SET v = NULL WHERE id % 2", "DELETE FROM t WHERE id % 3 = 0")


def test_a_failed_request_leaves_nothing_and_its_neighbours_all(pair: Pair) -> None:
    pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY, v INT UNIQUE)")
    good, bad, other = pair.batch(
        run("INSERT INTO t VALUES (1, 1)"),
        run("INSERT INTO t VALUES (2, 2)", "UPDATE t SET v = 7 WHERE id = 1", "INSERT INTO t VALUES (3, 7)"),
        run("INSERT INTO t VALUES (4, 4)"),
    )
    assert [type(outcome).__name__ for outcome in (good, bad, other)] == ["Done", "Failed", "Done"]
    assert bad.statement == 2  # type: ignore[union-attr]
    assert bad.sqlite_errorname == "SQLITE_CONSTRAINT_UNIQUE"  # type: ignore[union-attr]
    assert pair.rows("SELECT * FROM t") == [(1, 1), (4, 4)]


def test_insert_or_fail_keeps_nothing_of_a_failed_request(pair: Pair) -> None:
    pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    failed = pair.fail("INSERT OR FAIL INTO t VALUES (1), (2), (1)")
    assert failed.error == "IntegrityError"
    assert pair.rows("SELECT * FROM t") == []


def test_unique_values_can_be_swapped(pair: Pair) -> None:
    pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY, v INT UNIQUE)", "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)")
    pair.do("UPDATE t SET v = -v", "UPDATE t SET v = CASE v WHEN -1 THEN 2 WHEN -2 THEN 3 ELSE 1 END")
    assert pair.rows("SELECT v FROM t ORDER BY id") == [(2,), (3,), (1,)]


def test_primary_keys_can_be_swapped(pair: Pair) -> None:
    pair.do("CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL, v) WITHOUT ROWID", "INSERT INTO t VALUES ('a', 1), ('b', 2)")
    pair.do(
        "UPDATE t SET k = 'x' WHERE k = 'a'", "UPDATE t SET k = 'a' WHERE k = 'b'", "UPDATE t SET k = 'b' WHERE k = 'x'"
    )
    assert pair.rows("SELECT * FROM t") == [("a", 2), ("b", 1)]


def test_generated_columns(pair: Pair) -> None:
    pair.do(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, twice INT AS (a * 2) STORED, thrice INT AS (a * 3) VIRTUAL)",
        "CREATE INDEX i ON t(thrice)",
        "INSERT INTO t(a) VALUES (1), (2)",
        "UPDATE t SET a = 5 WHERE thrice = 3",
    )
    assert pair.rows("SELECT a, twice, thrice FROM t") == [(5, 10, 15), (2, 4, 6)]


def test_tables_without_a_key_travel_with_their_rowids(pair: Pair) -> None:
    pair.do("CREATE TABLE t(v)", "INSERT INTO t(rowid, v) VALUES (10, 'a'), (-5, 'b'), (99, 'b')")
    pair.do("UPDATE t SET v = 'c' WHERE rowid = 99", "DELETE FROM t WHERE rowid = 10")
    assert pair.rows("SELECT rowid, v FROM t ORDER BY rowid") == [(-5, "b"), (99, "c")]


def test_hidden_rowids_beside_a_declared_key_travel(pair: Pair) -> None:
    pair.do("CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL, v)")
    pair.do(*(statement("INSERT INTO t VALUES (?, ?)", f"key {n * 7 % 31}", n) for n in range(31)))
    pair.switch()
    pair.do("UPDATE t SET v = -v WHERE v % 2", "DELETE FROM t WHERE v % 3 = 0")
    assert len(pair.rows("SELECT rowid, k, v FROM t ORDER BY k")) == 20


@pytest.mark.parametrize(
    "declared", ["(rowid, oid, _rowid_, v)", "(k PRIMARY KEY, g AS (k * 2) VIRTUAL) WITHOUT ROWID"]
)
def test_a_table_whose_rows_cannot_travel_is_refused(pair: Pair, declared: str) -> None:
    failed = pair.fail(f"CREATE TABLE t{declared}")
    assert failed.error == "NotSupportedError"
    assert pair.rows("SELECT name FROM sqlite_schema WHERE name = 't'") == []
    pair.do("CREATE TABLE t(v)", "INSERT INTO t VALUES (1)")


def test_foreign_key_actions_travel_and_do_not_run_twice(pair: Pair) -> None:
    pair.do(
        "CREATE TABLE parent(id INTEGER PRIMARY KEY)",
        "CREATE TABLE cascades(id INTEGER PRIMARY KEY, p INT REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE)",
        "CREATE TABLE nulls(id INTEGER PRIMARY KEY, p INT REFERENCES parent ON DELETE SET NULL)",
        "CREATE TABLE log(n INTEGER PRIMARY KEY, what TEXT)",
        "CREATE TRIGGER tell AFTER DELETE ON cascades BEGIN INSERT INTO log(what) VALUES ('gone ' || OLD.id); END",
        "INSERT INTO parent VALUES (1), (2)",
        "INSERT INTO cascades VALUES (1, 1), (2, 1), (3, 2)",
        "INSERT INTO nulls VALUES (1, 1), (2, 2)",
    )
    pair.do("DELETE FROM parent WHERE id = 1", "UPDATE OR IGNORE parent SET id = 5 WHERE id = 7")
    assert pair.rows("SELECT * FROM cascades") == [(3, 2)]
    assert pair.rows("SELECT * FROM nulls ORDER BY id") == [(1, None), (2, 2)]
    assert pair.rows("SELECT what FROM log ORDER BY n") == [("gone 1",), ("gone 2",)]


def test_dropping_a_parent_takes_its_children_along_everywhere(pair: Pair) -> None:
    pair.do(
        "CREATE TABLE parent(id INTEGER PRIMARY KEY)",
        "CREATE TABLE cascades(id INTEGER PRIMARY KEY, p INT REFERENCES parent ON DELETE CASCADE)",
        "CREATE TABLE nulls(id INTEGER PRIMARY KEY, p INT REFERENCES parent ON DELETE SET NULL)",
        "INSERT INTO parent VALUES (1), (2)",
        "INSERT INTO cascades VALUES (1, 1), (2, 2)",
        "INSERT INTO nulls VALUES (1, 1)",
    )
    pair.do('DROP TABLE "parent"')
    assert pair.rows("SELECT * FROM cascades") == []
    assert pair.rows("SELECT * FROM nulls") == [(1, None)]


def test_dropping_a_parent_that_is_needed_fails(pair: Pair) -> None:
    pair.do(
        "CREATE TABLE parent(id INTEGER PRIMARY KEY)",
        "CREATE TABLE child(id INTEGER PRIMARY KEY, p INT REFERENCES parent)",
        "INSERT INTO parent VALUES (1)",
        "INSERT INTO child VALUES (1, 1)",
    )
    assert pair.fail("DROP TABLE parent").sqlite_errorname == "SQLITE_CONSTRAINT_FOREIGNKEY"
    pair.do("DELETE FROM child", "DROP TABLE parent")


def test_triggers_fire_once(pair: Pair) -> None:
    pair.do(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v INT)",
        "CREATE TABLE log(n INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT)",
        "CREATE VIEW doubled AS SELECT id, v * 2 AS v FROM t",
        "CREATE TRIGGER b BEFORE UPDATE ON t BEGIN INSERT INTO log(what) VALUES ('before'); END",
        "CREATE TRIGGER a AFTER INSERT ON t BEGIN INSERT INTO log(what) VALUES ('after'); "
        "UPDATE t SET v = CASE WHEN NEW.v > 5 THEN 5 ELSE NEW.v END WHERE id = NEW.id; END",
        "CREATE TRIGGER i INSTEAD OF INSERT ON doubled BEGIN INSERT INTO t VALUES (NEW.id, NEW.v / 2); END",
    )
    pair.do("INSERT INTO t VALUES (1, 3)", "INSERT INTO doubled VALUES (2, 40)", "UPDATE t SET v = 9 WHERE id = 1")
    assert pair.rows("SELECT * FROM t ORDER BY id") == [(1, 9), (2, 5)]
    assert pair.rows("SELECT what FROM log ORDER BY n") == [
        ("after",),
        ("before",),
        ("after",),
        ("before",),
        ("before",),
    ]


def test_triggers_that_raise(pair: Pair) -> None:
    pair.do(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v INT)",
        "CREATE TRIGGER a BEFORE INSERT ON t WHEN NEW.v < 0 BEGIN SELECT RAISE(ABORT, 'negative'); END",
        "CREATE TRIGGER i BEFORE INSERT ON t WHEN NEW.v > 9 BEGIN SELECT RAISE(IGNORE); END",
    )
    assert pair.fail("INSERT INTO t VALUES (1, -1)").message == "negative"
    assert pair.do("INSERT INTO t VALUES (2, 10)")[0].rowcount == 0
    assert pair.rows("SELECT * FROM t") == []


@pytest.mark.parametrize(
    "declared", ["k TEXT PRIMARY KEY, v", "k INT, v, PRIMARY KEY(k, v)", "k INTEGER PRIMARY KEY DESC, v"]
)
def test_rows_with_null_in_their_key_are_told_apart(pair: Pair, declared: str) -> None:
    pair.do(f"CREATE TABLE t({declared})", "INSERT INTO t VALUES (NULL, 1), (NULL, 2), (NULL, 3)")
    pair.do("UPDATE t SET v = 9 WHERE v = 2", "DELETE FROM t WHERE v = 1", "INSERT OR REPLACE INTO t VALUES (NULL, 4)")
    assert pair.rows("SELECT k, v FROM t ORDER BY v") == [(None, 3), (None, 4), (None, 9)]


def test_an_integer_primary_key_still_chooses_its_value(pair: Pair) -> None:
    pair.do(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v)",
        "CREATE TABLE s(k INTEGER PRIMARY KEY, v) STRICT".replace("v)", "v ANY)"),
    )
    assert pair.do("INSERT INTO t VALUES (NULL, 'x')")[0].lastrowid == 1
    assert pair.do("INSERT INTO s VALUES (NULL, 'x')")[0].lastrowid == 1


def test_autoincrement_never_reuses_an_id_after_a_failover(pair: Pair) -> None:
    pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v)")
    pair.do("INSERT INTO t(v) VALUES ('a'), ('b'), ('c')", "DELETE FROM t WHERE id = 3")
    pair.switch()
    assert pair.do("INSERT INTO t(v) VALUES ('d')")[0].lastrowid == 4
    pair.do("DELETE FROM t")
    pair.switch()
    assert pair.do("INSERT INTO t(v) VALUES ('e')")[0].lastrowid == 5


def test_sequences_written_by_hand_travel(pair: Pair) -> None:
    pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT)", "INSERT INTO t VALUES (5)")
    pair.do("INSERT INTO t VALUES (10)", "UPDATE sqlite_sequence SET seq = 5 WHERE name = 't'")
    pair.do("UPDATE sqlite_sequence SET seq = 100")
    assert pair.rows("SELECT name, seq FROM sqlite_sequence") == [("t", 100)]
    pair.do("DELETE FROM sqlite_sequence")
    assert pair.rows("SELECT * FROM sqlite_sequence") == []
    pair.do("ALTER TABLE t RENAME TO u", "INSERT INTO u DEFAULT VALUES")
    assert pair.rows("SELECT * FROM sqlite_sequence") == [("u", 11)]
    pair.do("DROP TABLE u")


def test_create_table_as_select(pair: Pair) -> None:
    pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    pair.do(statement('CREATE TABLE "a copy" AS SELECT id, v, random() AS r, ? AS p FROM t', 7))
    assert [row[:2] for row in pair.rows('SELECT id, v FROM "a copy"')] == [(1, "a"), (2, "b")]
    pair.do("INSERT INTO t VALUES (3, 'c')", "CREATE TABLE again AS SELECT * FROM t", "UPDATE again SET v = upper(v)")
    assert pair.rows("SELECT v FROM again") == [("A",), ("B",), ("C",)]
    pair.do("CREATE TABLE IF NOT EXISTS again AS SELECT 1")
    assert pair.fail("CREATE TABLE again AS SELECT 1").error == "ProgrammingError"
    pair.fail("CREATE TABLE gone AS SELECT * FROM t", "INSERT INTO t VALUES (1, 'twice')")
    assert pair.rows("SELECT count(*) FROM sqlite_schema WHERE name = 'gone'") == [(0,)]
    pair.do("CREATE TABLE gone AS SELECT * FROM t WHERE 0")


def test_what_is_evaluated_is_evaluated_once(pair: Pair) -> None:
    pair.do(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a DEFAULT (random()), b DEFAULT CURRENT_TIMESTAMP, c BLOB)",
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET c = randomblob(16) WHERE id = NEW.id; END",
        "INSERT INTO t(id) VALUES (1), (2)",
    )
    assert len(set(pair.rows("SELECT a, c FROM t"))) == 2


def test_full_text_search(pair: Pair) -> None:
    pair.do("CREATE VIRTUAL TABLE docs USING fts5(title, body)")
    pair.do("INSERT INTO docs VALUES ('one', 'a quick brown fox')", "INSERT INTO docs VALUES ('two', 'a lazy dog')")
    pair.do("UPDATE docs SET body = 'a quick dog' WHERE title = 'two'")
    assert pair.rows("SELECT title FROM docs WHERE docs MATCH 'quick' ORDER BY rowid") == [("one",), ("two",)]
    pair.do("DELETE FROM docs WHERE title = 'one'", "INSERT INTO docs(docs) VALUES ('optimize')")
    assert pair.rows("SELECT title FROM docs WHERE docs MATCH 'quick'") == [("two",)]
    pair.do("ALTER TABLE docs RENAME TO texts", "DROP TABLE texts")


def test_full_text_search_through_changing_leaders(pair: Pair) -> None:
    """The module caches parts of its index, and does not notice what arrives below it."""
    pair.do("CREATE VIRTUAL TABLE docs USING fts5(body)")
    for number in range(6):
        pair.batch(
            run(statement("INSERT INTO docs VALUES (?)", f"word{number} common")),
            run("INSERT INTO docs VALUES ('x')", "INSERT INTO nowhere VALUES (1)"),
            run(statement("INSERT INTO docs VALUES (?)", f"other{number} common")),
        )
        if number % 2:
            pair.do("DELETE FROM docs WHERE docs MATCH 'other0'", "INSERT INTO docs(docs, rank) VALUES ('merge', 16)")
        assert len(pair.rows("SELECT rowid FROM docs WHERE docs MATCH 'common'")) == 2 * number + (
            2 if not number else 1
        )
        pair.switch()
    pair.do("INSERT INTO docs(docs) VALUES ('integrity-check')")
    pair.switch()
    pair.do("INSERT INTO docs(docs) VALUES ('integrity-check')")


@pytest.mark.parametrize("module", ["fts3", "fts4"])
def test_older_full_text_search_writes_what_it_holds_back(pair: Pair, module: str) -> None:
    """These modules keep new terms in memory until the transaction is about to end, which is after the capture."""
    pair.do(f"CREATE VIRTUAL TABLE docs USING {module}(body)")
    pair.do("INSERT INTO docs VALUES ('quick fox')")
    pair.do("INSERT INTO docs VALUES ('lazy dog')", "CREATE TABLE amid(v)", "INSERT INTO docs VALUES ('quick dog')")
    pair.switch()
    pair.do("UPDATE docs SET body = 'quick cat' WHERE rowid = 2", "DELETE FROM docs WHERE rowid = 1")
    pair.leader.hold()
    pair.leader.run_held(statement("INSERT INTO docs VALUES ('quick mouse')"))
    pair.batch(CommitHeld("main", pair.token()))
    assert pair.rows("SELECT rowid FROM docs WHERE docs MATCH 'quick' ORDER BY rowid") == [(2,), (3,), (4,)]
    pair.do("INSERT INTO docs(docs) VALUES ('optimize')", "INSERT INTO docs(docs) VALUES ('integrity-check')")


def test_rtree(pair: Pair) -> None:
    pair.do("CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1, y0, y1)")
    pair.do(*(statement("INSERT INTO boxes VALUES (?, ?, ?, 0, 1)", n, n, n + 1) for n in range(100)))
    pair.switch()
    pair.do("DELETE FROM boxes WHERE id < 50", "UPDATE boxes SET x0 = 0 WHERE id = 60")
    assert pair.rows("SELECT id FROM boxes WHERE x0 <= 55 AND x1 >= 55 ORDER BY id") == [(54,), (55,), (60,)]


def test_external_content_full_text_kept_by_triggers(pair: Pair) -> None:
    pair.do(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT)",
        "CREATE VIRTUAL TABLE ft USING fts5(body, content='t', content_rowid='id')",
        "CREATE TRIGGER ai AFTER INSERT ON t BEGIN INSERT INTO ft(rowid, body) VALUES (NEW.id, NEW.body); END",
        "CREATE TRIGGER ad AFTER DELETE ON t BEGIN INSERT INTO ft(ft, rowid, body) VALUES ('delete', OLD.id, OLD.body);"
        " END",
        "INSERT INTO t(body) VALUES ('apple pie'), ('apple tart'), ('plum')",
        "DELETE FROM t WHERE id = 1",
    )
    assert pair.rows("SELECT rowid FROM ft WHERE ft MATCH 'apple'") == [(2,)]


def test_schema_and_rows_change_in_turn(pair: Pair) -> None:
    pair.batch(
        run("CREATE TABLE t(id INTEGER PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1)"),
        run("INSERT INTO t VALUES (2, 2)"),
        run("ALTER TABLE t ADD COLUMN w TEXT DEFAULT 'w'", "UPDATE t SET w = 'x' WHERE id = 1"),
        run(
            "INSERT INTO t VALUES (3, 3, 'y')", "CREATE INDEX i ON t(v)", "UPDATE t SET v = v + 1", "DROP TABLE nowhere"
        ),
        run("UPDATE t SET v = 9 WHERE id = 2"),
        run("ALTER TABLE t DROP COLUMN v", "INSERT INTO t VALUES (4, 'z')", "CREATE UNIQUE INDEX u ON t(w)"),
        run("DELETE FROM t WHERE id = 1"),
    )
    assert pair.rows("SELECT * FROM t") == [(2, "w"), (4, "z")]


def test_statistics_indexes_and_header_numbers(pair: Pair) -> None:
    pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY, v INT)", "CREATE INDEX i ON t(v)")
    pair.do("INSERT INTO t(v) VALUES (1), (1), (2)", "ANALYZE", "REINDEX", "REINDEX i")
    pair.do("PRAGMA user_version = 7", "PRAGMA application_id = 99")
    assert pair.rows("PRAGMA user_version") == [(7,)]
    assert pair.rows("SELECT tbl, stat FROM sqlite_stat1 WHERE tbl = 't'") == [("t", "3 2")]
    failed = pair.fail("DELETE FROM sqlite_stat1")
    assert failed.error == "NotSupportedError"
    pair.do("INSERT INTO t(v) VALUES (3)", "ANALYZE t")


def test_returning_upsert_and_replace(pair: Pair) -> None:
    pair.do("CREATE TABLE t(k TEXT PRIMARY KEY, n INT, u INT UNIQUE) STRICT, WITHOUT ROWID")
    (first,) = pair.do("INSERT INTO t VALUES ('a', 1, 1), ('b', 2, 2) RETURNING k, n + 1 AS more")
    assert (first.columns, first.rows, first.rowcount) == ((("k", "TEXT"), ("more", None)), [("a", 2), ("b", 3)], 2)
    (second,) = pair.do("INSERT INTO t VALUES ('a', 5, 9) ON CONFLICT(k) DO UPDATE SET n = n + excluded.n RETURNING n")
    assert second.rows == [(6,)]
    pair.do("INSERT OR REPLACE INTO t VALUES ('c', 3, 2)")
    assert pair.rows("SELECT k, n, u FROM t ORDER BY k") == [("a", 6, 1), ("c", 3, 2)]
    (none,) = pair.do("DELETE FROM t WHERE k = 'zz' RETURNING k")
    assert (none.columns, none.rows, none.rowcount) == ((("k", "TEXT"),), [], 0)
    assert pair.fail("INSERT INTO t VALUES ('d', 'no number', 3)").error == "IntegrityError"


def test_collations(pair: Pair) -> None:
    pair.do("CREATE TABLE t(k TEXT COLLATE NOCASE PRIMARY KEY NOT NULL, v)", "INSERT INTO t VALUES ('Key', 1)")
    pair.do("UPDATE t SET k = 'KEY'", "UPDATE t SET v = 2 WHERE k = 'key'")
    pair.do("INSERT OR REPLACE INTO t VALUES ('kEy', 3)")
    assert pair.rows("SELECT * FROM t") == [("kEy", 3)]


@pytest.mark.parametrize("table", ["t(k PRIMARY KEY NOT NULL, v)", "t(k ANY PRIMARY KEY, v ANY) STRICT"])
def test_keys_that_are_equal_as_numbers(pair: Pair, table: str) -> None:
    pair.do(f"CREATE TABLE {table}", "INSERT INTO t VALUES (1, 'a'), ('1', 'b'), (x'31', 'c')")
    pair.do("UPDATE t SET k = 1.0 WHERE k = 1")
    pair.do("INSERT OR REPLACE INTO t VALUES (1, 'a')", "DELETE FROM t WHERE k = '1'")
    assert [(type(k), v) for k, v in pair.rows("SELECT * FROM t ORDER BY v")] == [(int, "a"), (bytes, "c")]


def test_a_generated_column_before_a_collated_key(pair: Pair) -> None:
    pair.do(
        "CREATE TABLE t(g AS (k || n) STORED, h AS (n + 1) STORED, k COLLATE NOCASE, n INT, PRIMARY KEY(n, k))"
        " WITHOUT ROWID",
        "INSERT INTO t(k, n) VALUES ('a', 1), ('b', 1)",
    )
    pair.do("UPDATE t SET k = upper(k)", "DELETE FROM t WHERE k = 'b'", "INSERT INTO t(k, n) VALUES ('B', 2)")
    assert pair.rows("SELECT * FROM t") == [("A1", 2, "A", 1), ("B2", 3, "B", 2)]


def test_names_that_need_quotes(pair: Pair) -> None:
    pair.do(
        'CREATE TABLE "order ""x"""("the key" TEXT PRIMARY KEY, [select] INT)',
        'INSERT INTO "order ""x""" VALUES (\'a\', 1)',
        'CREATE TABLE "é" AS SELECT * FROM "order ""x"""',
    )
    pair.do('INSERT INTO "order ""x""" VALUES (NULL, 1)')
    pair.do('UPDATE "order ""x""" SET [select] = 2', 'DROP TABLE "order ""x"""')


def test_load_switches_triggers_and_foreign_keys_off_for_itself_alone(pair: Pair) -> None:
    pair.do(
        "CREATE TABLE parent(id INTEGER PRIMARY KEY)",
        "CREATE TABLE child(id INTEGER PRIMARY KEY, p INT REFERENCES parent)",
        "CREATE TRIGGER t AFTER INSERT ON parent BEGIN INSERT INTO child VALUES (NEW.id, NEW.id); END",
    )
    outcomes = pair.batch(
        run("INSERT INTO parent VALUES (1)"),
        run("INSERT INTO child VALUES (7, 77)", "INSERT INTO parent VALUES (2)", load=True),
        run("INSERT INTO child VALUES (8, 88)"),
        run("INSERT INTO parent VALUES (3)"),
    )
    assert [type(outcome).__name__ for outcome in outcomes] == ["Done", "Done", "Failed", "Done"]
    assert pair.rows("SELECT * FROM child ORDER BY id") == [(1, 1), (3, 3), (7, 77)]


def test_a_follower_with_another_schema_notices(pair: Pair) -> None:
    pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    with Pair() as other:
        other.do("CREATE TABLE t(id INTEGER PRIMARY KEY, w, v)")
        pair.leader.execute([run("INSERT INTO t VALUES (1, 1)", token=pair.token())])
        payload, _ = other.leader.execute([run("INSERT INTO t VALUES (1, 1, 1)", token=pair.token())])
        assert payload is not None
        with pytest.raises(Divergent, match="schema"):
            pair.follower.apply([entry_of(2, payload)])
        pair.leader.rollback()
    assert pair.follower.applied.index == 1
    pair.do("INSERT INTO t VALUES (1, 1)")


def test_a_follower_with_other_rows_notices(pair: Pair) -> None:
    table = "CREATE TABLE t(id INTEGER PRIMARY KEY, v)"
    pair.do(table, "INSERT INTO t VALUES (1, 1), (8, 9)")
    with Pair() as other:
        other.do(table, "INSERT INTO t VALUES (1, 2), (7, 7)")
        for sql in ("UPDATE t SET v = 3 WHERE id = 1", "DELETE FROM t WHERE id = 7", "INSERT INTO t VALUES (8, 8)"):
            payload, _ = other.leader.execute([run(sql, token=pair.token())])
            assert payload is not None
            with pytest.raises(Divergent, match=r"in the table t|UNIQUE constraint failed"):
                pair.follower.apply([entry_of(2, payload)])
            other.leader.rollback()
    assert read(pair.follower, "SELECT * FROM t") == [(1, 1), (8, 9)]
    pair.do("UPDATE t SET v = 5")


def entry_of(index: int, payload: bytes) -> Entry:
    return Entry(index, 1, DATA, payload)


def test_a_payload_that_is_none_is_not_applied(pair: Pair) -> None:
    with pytest.raises(Divergent, match="cannot be read"):
        pair.follower.apply([entry_of(1, b"\xc1garbage")])
    with pytest.raises(Divergent, match="cannot follow"):
        pair.follower.apply([entry_of(5, b"")])


def test_many_entries_in_one_apply(pair: Pair, tmp_path: Path) -> None:
    pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    for number in range(5):
        pair.do(statement("INSERT INTO t(v) VALUES (?)", number), f"CREATE TABLE t{number}(v)")
    with Pair() as late:
        late.follower.apply(pair.entries)
        assert late.follower.digest() == pair.leader.digest()


def test_text_that_is_not_utf8_travels(pair: Pair) -> None:
    pair.do(
        "CREATE TABLE t(a, b)", "INSERT INTO t VALUES (CAST(x'ff' AS TEXT), 1), ('fine', 1), (CAST(x'fd' AS TEXT), 1)"
    )
    pair.do("UPDATE t SET b = 2", "UPDATE t SET a = CAST(x'fe41' AS TEXT) WHERE a = 'fine'")
    pair.do('CREATE TABLE "why?"("a?", b UNIQUE)', "INSERT INTO \"why?\" VALUES (CAST(x'ff' AS TEXT), 1)")
    pair.do('UPDATE "why?" SET b = 2')
    assert pair.rows("SELECT hex(a), b FROM t") == [("FF", 2), ("FE41", 2), ("FD", 2)]


def test_a_user_may_call_a_table_carray(pair: Pair) -> None:
    pair.do("CREATE TABLE carray(value)", "INSERT INTO carray VALUES (1), (2), (3)", "UPDATE carray SET value = -value")
    assert pair.rows("SELECT value FROM carray") == [(-1,), (-2,), (-3,)]


def test_the_widest_table(pair: Pair) -> None:
    names = [f"c{number}" for number in range(2000)]
    pair.do(f"CREATE TABLE t({', '.join(names)})", f"INSERT INTO t VALUES ({', '.join('1' * 2000)})")
    pair.do(f"UPDATE t SET {', '.join(name + ' = 2' for name in names)}", "INSERT INTO t SELECT * FROM t")
    assert pair.rows("SELECT sum(c0 + c1999) FROM t") == [(8,)]
    key = ", ".join(f"k{number}" for number in range(1200))
    pair.do(f"CREATE TABLE w({key}, v, PRIMARY KEY({key})) WITHOUT ROWID")
    pair.do(f"INSERT INTO w VALUES ({', '.join('1' * 1201)})", "UPDATE w SET v = 2", "UPDATE w SET k7 = 3")
    assert pair.rows("SELECT k7, v FROM w") == [(3, 2)]


def test_what_changes_too_much_is_refused_and_its_neighbours_are_not(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.do("CREATE TABLE t(v)")
    monkeypatch.setattr(pair.leader._writer._capture, "bytes_max", 1000)
    requests = [run(f"INSERT INTO t VALUES (zeroblob({size}))") for size in (400, 500, 2000, 300)]
    found = []
    while requests:
        outcomes = pair.batch(*requests)
        found += outcomes
        del requests[: len(outcomes)]
    assert [type(outcome).__name__ for outcome in found] == ["Done", "Done", "Failed", "Done"]
    assert found[2].error == "TooLarge"  # type: ignore[union-attr]
    assert pair.rows("SELECT length(v) FROM t") == [(400,), (500,), (300,)]
    failed = pair.fail("INSERT INTO t VALUES (zeroblob(5000))", "CREATE TABLE u(v)")
    assert failed.error == "TooLarge"


def test_full_text_of_version_4_may_not_merge_by_itself(pair: Pair) -> None:
    pair.do("CREATE VIRTUAL TABLE f USING fts4(x)", "INSERT INTO f VALUES ('one')")
    assert pair.fail("INSERT INTO f(f) VALUES ('auto' || 'merge=2')").error == "NotSupportedError"
    for number in range(40):
        words = " ".join(f"w{number}x{word}" for word in range(200))
        pair.do(*(statement("INSERT INTO f VALUES (?)", f"{words} {copy}") for copy in range(3)))
    pair.do("INSERT INTO f(f) VALUES ('merge=20,2')", "INSERT INTO f(f) VALUES ('automerge=0')")
    assert pair.rows("SELECT count(*) FROM f WHERE f MATCH 'w7x7'") == [(3,)]
