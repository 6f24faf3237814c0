"""Groups of a database with several leaders: what their data files make of writes, merges, failovers and crashes."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from quorate.core.requests import Done, Outcome, Replay, Run
from quorate.core.scripts import Evaluated, Hold
from quorate.core.statements import Failed, Statement, Token
from quorate.core.streams import Merge
from quorate.storage.data.replica import Replica
from quorate.storage.versions.among import Among
from tests.storage.versions.groups import Group, exchange, script, tables

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, n INT DEFAULT 0)"


@pytest.fixture
def pair() -> Iterator[tuple[Group, Group]]:
    one, other = Group(1), Group(2)
    one.run(TABLE)
    other.pull(one)
    yield one, other
    for each in (one, other):
        each.close()


def writes(*statements: str) -> Run:
    return Run("wiki", tuple([Statement(each) for each in statements]))


def agree(*groups: Group) -> bool:
    """All replicas of all groups show the same, and those of each group hold the same."""
    shown = {str(each.rows(f"SELECT * FROM {name} ORDER BY 1", replica))
             for each in groups for name in tables(each) for replica in (each.leader, *each.followers)}  # fmt: skip
    return len(shown) <= len(tables(groups[0])) and all(len(each.digests()) == 1 for each in groups)


def test_two_leaders_write_one_row(pair: tuple[Group, Group]) -> None:
    one, other = pair
    one.run("INSERT INTO t VALUES (1, 'x', 1)")
    exchange(pair)
    one.run("UPDATE t SET a = 'one' WHERE id = 1")
    other.run("UPDATE t SET n = 7 WHERE id = 1")
    exchange(pair)
    assert one.rows("SELECT * FROM t") == [(1, "one", 7)]
    assert agree(*pair)


def test_a_merge_that_comes_again_changes_nothing(pair: tuple[Group, Group]) -> None:
    one, other = pair
    one.run("INSERT INTO t VALUES (1, 'x', 1)")
    all_of_it = Merge(1, one.last, 1, one.last, tuple([each.payload for each in one.log]))
    other.execute(all_of_it)
    other.run("DELETE FROM t")
    other.execute(all_of_it)
    assert other.rows("SELECT * FROM t") == []
    assert [(each.group, each.merged, each.read) for each in other.cursors] == [(1, one.last, one.last)]


def test_batches_and_merges_stack(pair: tuple[Group, Group]) -> None:
    one, other = pair
    one.run("INSERT INTO t VALUES (1, 'one', 0)")
    other.execute(writes("INSERT INTO t VALUES (2, 'two', 0)"), commit=False)
    merge = Merge(1, one.last, 1, one.last, tuple([each.payload for each in one.log]))
    other.execute(merge, commit=False)
    other.execute(writes("UPDATE t SET n = n + 1"), commit=False)
    if not other.leader.file:
        other.leader.put_aside()  # as a read of a replica in memory does
    other.execute(writes("UPDATE t SET n = n + 1"), commit=False)
    assert other.rows("SELECT * FROM t") == []
    other.commit()
    assert other.rows("SELECT * FROM t") == [(1, "one", 2), (2, "two", 2)]
    one.pull(other)
    assert agree(*pair)


def test_what_is_undone_leaves_no_version(pair: tuple[Group, Group]) -> None:
    one, _ = pair
    one.run("INSERT INTO t VALUES (1, 'x', 1)")
    before = one.leader.digest()
    (found,) = one.execute(
        script("UPDATE t SET a = 'y'", 'SAVEPOINT "s"', "DELETE FROM t", "CREATE TABLE u(id INTEGER PRIMARY KEY)")
    )
    assert isinstance(found, Evaluated), found
    assert found.failures == (None,) * 4
    one.execute(writes("UPDATE t SET a = 'z'", "INSERT INTO t VALUES (1, '', 0)"))
    one.leader.execute([writes("UPDATE t SET a = 'rolled back'")], one.now_us, epoch=1)
    one.leader.rollback()
    assert one.leader.digest() == before
    one.run("CREATE TABLE u(id INTEGER PRIMARY KEY)")
    one.run("INSERT INTO u VALUES (5)")
    assert agree(one)


def test_a_row_that_one_batch_writes_twice(pair: tuple[Group, Group]) -> None:
    one, _ = pair
    requests = [
        writes("INSERT INTO t VALUES (1, 'a', 1)", "ALTER TABLE t ADD COLUMN z TEXT DEFAULT 'd'"),
        writes("UPDATE t SET a = 'b', z = 'e'", "ALTER TABLE t DROP COLUMN n"),
        writes("UPDATE t SET a = a || 'c'"),
    ]
    assert all(isinstance(each, Done) for each in one.execute(*requests))
    exchange(pair)
    assert one.rows("SELECT * FROM t") == [(1, "bc", "e")]
    assert agree(*pair)


def test_tokens_can_be_asked_for_anywhere(pair: tuple[Group, Group]) -> None:
    one, other = pair
    one.run("INSERT INTO t VALUES (1, 'x', 1)", token="mine")
    (before,) = other.execute(Outcome("wiki", Token("another", 0)))
    exchange(pair)
    (found,) = other.execute(Outcome("wiki", Token("mine", 0)))
    assert isinstance(found, Done)
    assert not isinstance(before, Done)
    assert agree(*pair)


def test_a_clock_from_the_future_is_refused(pair: tuple[Group, Group]) -> None:
    one, other = pair
    one.now_us += 3_600_000_000
    one.run("INSERT INTO t VALUES (1, 'x', 1)")
    refused = other.pull(one)
    assert isinstance(refused, Failed)
    assert "clock" in refused.message
    other.now_us += 3_600_000_000
    exchange(pair)
    assert agree(*pair)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("CREATE TABLE u(a TEXT)", "no primary key"),
        ("CREATE TABLE u(a TEXT PRIMARY KEY)", "may be NULL"),
        ("CREATE TABLE u AS SELECT 1", "no primary key"),
        ("CREATE INDEX i ON t(a || 'x')", "on an expression"),
        ("CREATE UNIQUE INDEX i ON t(a) WHERE n > 0", "with WHERE"),
        ("ALTER TABLE t ADD COLUMN g AS (n + 1)", "VIRTUAL"),
        ("CREATE VIRTUAL TABLE f USING fts5(a)", "virtual tables"),
        ("UPDATE quorate_rows SET flags = 0", "belongs to the replica"),
    ],
)
def test_what_others_could_not_follow_is_refused(pair: tuple[Group, Group], sql: str, why: str) -> None:
    one, _ = pair
    before = one.leader.digest()
    assert why in one.refuses(sql).message
    assert one.leader.digest() == before


def test_changes_of_the_schema_meet_writes(pair: tuple[Group, Group]) -> None:
    one, other = pair
    one.run("INSERT INTO t VALUES (1, 'x', 1)")
    exchange(pair)
    one.run("ALTER TABLE t RENAME COLUMN a TO b")
    one.run("ALTER TABLE t RENAME TO new")
    one.run("ALTER TABLE new DROP COLUMN n")
    one.run("ALTER TABLE new ADD COLUMN n INT DEFAULT 5")
    other.run("INSERT INTO t VALUES (2, 'y', 2)")
    other.run("UPDATE t SET a = 'z', n = 9 WHERE id = 1")
    exchange(pair)
    assert one.rows("SELECT * FROM new ORDER BY id") == [(1, "z", 5), (2, "y", 5)]
    assert agree(*pair)
    one.run("DROP TABLE new")
    other.run("INSERT INTO new VALUES (3, 'y', 2)")
    one.run("CREATE TABLE new(id INTEGER PRIMARY KEY, c TEXT)")
    one.run("INSERT INTO new VALUES (4, 'of the second')")
    exchange(pair)
    assert one.rows("SELECT * FROM new") == [(4, "of the second")]
    assert agree(*pair)


def test_a_unique_index_over_rows_that_differ(pair: tuple[Group, Group]) -> None:
    one, other = pair
    one.run("INSERT INTO t VALUES (1, 'x', 1)")
    exchange(pair)
    other.run("INSERT INTO t VALUES (2, 'same', 1), (3, 'same', 2), (4, 'x', 3)")
    one.run("CREATE UNIQUE INDEX i ON t(a)")
    exchange(pair)
    assert one.rows("SELECT id, a FROM t ORDER BY id") == [(1, "x"), (2, "same")]
    assert agree(*pair)
    one.run("DELETE FROM t WHERE id = 2")
    one.run("DROP INDEX i")
    exchange(pair)
    assert [key for (key,) in one.rows("SELECT id FROM t ORDER BY id")] == [1, 3, 4]
    assert agree(*pair)


def test_a_follower_takes_over(pair: tuple[Group, Group]) -> None:
    one, other = pair
    one.run("INSERT INTO t VALUES (1, 'x', 1)")
    exchange(pair)
    other.run("UPDATE t SET a = 'later' WHERE id = 1")
    exchange(pair)
    one.fail_over()
    one.run("UPDATE t SET n = 2 WHERE id = 1")
    exchange(pair)
    assert other.rows("SELECT * FROM t") == [(1, "later", 2)]
    assert [each.group for each in one.cursors] == [2]
    assert agree(*pair)


def test_a_data_file_that_is_older_than_its_log(tmp_path: Path) -> None:
    one, other = Group(1, tmp_path), Group(2, tmp_path)
    one.run(TABLE)
    exchange((one, other))
    one.run("INSERT INTO t VALUES (1, 'x', 1)")
    copy = tmp_path / "copy.db"
    other.pull(one)
    other.leader.copy_to(copy)
    other.run("UPDATE t SET a = 'y'")
    one.run("UPDATE t SET n = 3")
    exchange((one, other))
    again = Replica(copy, versioned=Among(2))
    other.catch_up(again)
    other.followers.append(again)
    assert again.streams == other.leader.streams
    assert agree(one, other)
    for each in (one, other):
        each.close()


@pytest.mark.parametrize("seed", range(12))
def test_any_order(seed: int) -> None:
    draw = random.Random(seed)
    groups = [Group(each, followers=draw.randrange(2)) for each in (1, 2, 3)]
    groups[0].run("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT UNIQUE, n INT NOT NULL DEFAULT 0)")
    exchange(groups)
    for _ in range(60):
        each = draw.choice(groups)
        each.now_us += draw.randrange(2000)
        key, value = draw.randrange(4), draw.choice("abc")
        sql = draw.choice([
            f"INSERT OR REPLACE INTO t(id, a) VALUES ({key}, '{value}')",
            f"UPDATE OR IGNORE t SET a = '{value}' WHERE id = {key}",
            f"UPDATE t SET n = n + 1 WHERE id = {key}",
            f"DELETE FROM t WHERE id = {key}",
        ])  # fmt: skip
        each.execute(writes(sql), commit=draw.random() < 0.6)
        if draw.random() < 0.2:
            each.leader.put_aside()
        if draw.random() < 0.3:
            each.commit()
            other = draw.choice([one for one in groups if one is not each])
            other.commit()
            each.pull(other)
        if draw.random() < 0.05 and each.followers:
            each.commit()
            each.fail_over()
    for each in groups:
        each.commit()
    exchange(groups)
    exchange(groups)
    assert agree(*groups)
    for each in groups:
        each.close()


def test_leaders_that_are_cut_off_allot_different_keys(pair: tuple[Group, Group]) -> None:
    one, _ = pair
    one.run("CREATE TABLE people(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)")
    one.run("CREATE TABLE posts(id INTEGER PRIMARY KEY, author INT REFERENCES people)")
    exchange(pair)
    for each in pair:
        (done,) = each.execute(
            writes(
                "INSERT INTO people(name) VALUES ('ann'), ('bob')",
                "INSERT INTO posts(author) VALUES (last_insert_rowid())",
                "INSERT INTO posts(author) VALUES ((SELECT max(id) FROM people))",
            )
        )
        last = done.results[0].lastrowid
        (found,) = each.execute(script("INSERT INTO people(name) VALUES ('in a transaction') RETURNING id"))
        assert found.results[0].rows == [(last + 1,)]
        each.run("DELETE FROM people WHERE name = 'ann'")
        assert each.run("INSERT INTO people(name) VALUES ('cy')").lastrowid == last + 1
    exchange(pair)
    assert one.rows("SELECT count(*), count(DISTINCT id) FROM people") == [(4, 4)]
    assert one.rows("SELECT count(*) FROM posts") == [(4,)]
    assert agree(*pair)
    last = one.run("INSERT INTO people(name) VALUES ('dan')").lastrowid
    one.run("DELETE FROM people WHERE name = 'dan'")
    one.fail_over()
    assert one.run("INSERT INTO people(name) VALUES ('eve')").lastrowid == last + 1


def test_hidden_rowids_are_each_replicas_own(pair: tuple[Group, Group]) -> None:
    one, other = pair
    one.run("CREATE TABLE named(name TEXT NOT NULL PRIMARY KEY, n INT)")
    exchange(pair)
    one.run("INSERT INTO named VALUES ('a', 1), ('b', 2)")
    other.run("INSERT INTO named VALUES ('c', 1), ('d', 2)")
    other.run("DELETE FROM named WHERE name = 'c'")
    exchange(pair)
    one.run("UPDATE named SET n = 5 WHERE name = 'd'")
    exchange(pair)
    assert one.rows("SELECT * FROM named ORDER BY 1") == [("a", 1), ("b", 2), ("d", 5)]
    assert agree(*pair)


def test_a_transaction_that_holds_the_writer(pair: tuple[Group, Group]) -> None:
    one, _ = pair
    one.run("INSERT INTO t VALUES (1, 'x', 1)")

    def step(*statements: str, ticket: str = "", following: str = "a", commit: bool = False) -> Any:
        held = structs.replace(
            script(*statements, commit=commit, token="held" if commit else ""), hold=Hold("mine", ticket, following)
        )
        (found,) = one.execute(held)
        return found

    found = step(
        "UPDATE t SET a = 'held'", 'SAVEPOINT "s"', "DELETE FROM t", 'ROLLBACK TO "s"', "UPDATE t SET n = n + 1"
    )
    assert found.failures == (None,) * 5
    one.leader.put_aside()  # as a read of a replica in memory does
    found = step('SAVEPOINT "s2"', "INSERT INTO t(a) VALUES ('new') RETURNING id", ticket="a", following="b")
    assert found.ticket == "b"
    found = step(ticket="b", commit=True)
    assert found == Done(())
    exchange(pair)
    assert one.rows("SELECT a, n FROM t ORDER BY id") == [("held", 2), ("new", 0)]
    assert agree(*pair)
    step("UPDATE t SET a = 'never'", 'SAVEPOINT "s"', "DELETE FROM t")
    exchange(pair)
    assert one.rows("SELECT a, n FROM t ORDER BY id") == [("held", 2), ("new", 0)]
    assert agree(*pair)


def test_a_lost_tail_is_replayed_under_its_versions(pair: tuple[Group, Group]) -> None:
    one, other = pair
    one.run("INSERT INTO t VALUES (1, 'x', 1)")
    exchange(pair)
    one.run("UPDATE t SET a = 'lost', n = 5", token="lost")
    lost = one.log.pop()
    one.followers = [one._open("anew")]
    one.committed = len(one.log)
    one.catch_up(one.followers[0])
    one.fail_over()
    one.run("UPDATE t SET n = 7")
    (found,) = one.execute(Replay("wiki", lost.payload, Token("replay", 0)))
    assert found.results[0].rowcount == 1
    exchange(pair)
    assert other.rows("SELECT a, n FROM t") == [("lost", 7)]
    assert other.rows("SELECT class FROM quorate_conflicts") == [("update/update",)]
    (again,) = one.execute(Outcome("wiki", Token("lost", 0)))
    assert isinstance(again, Done)
    assert agree(*pair)
