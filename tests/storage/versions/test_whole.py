"""A whole state, for a sibling that entries cannot bring forward: what it merges, and what it keeps."""

from pathlib import Path

import pytest

from quorate.core.requests import Done, Outcome
from quorate.core.statements import Token
from quorate.core.streams import Merge
from quorate.storage.versions.whole import whole_of
from tests.storage.versions.groups import Group, exchange, tables


def take_whole(one: Group, other: Group, bytes_max: int = 200) -> int:
    """`one` merges all that `other` holds; of how many parts that was."""
    with other.leader.pinned() as (connection, position):
        parts, cursors = whole_of(connection, other.number, position, bytes_max)
    for number, part in enumerate(parts, 1):
        last = cursors if number == len(parts) else ()
        before = one.cursors
        (outcome,) = one.execute(Merge(other.number, position, other.number, position, (part,), last))
        assert outcome == Done(())
        assert last or one.cursors == before
    return len(parts)


@pytest.mark.parametrize("kind", ["memory", "files"])
def test_one_that_is_new_takes_all(kind: str, tmp_path: Path) -> None:
    folder = None if kind == "memory" else tmp_path
    one, other, third = Group(1, folder), Group(2, folder), Group(3, folder)
    one.run("CREATE TABLE gone(id INTEGER PRIMARY KEY)")
    one.run("INSERT INTO quorate_resolvers VALUES ('t', 'n', 'merge:counter')")
    one.run("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, n INT NOT NULL DEFAULT 0)")
    one.run("DROP TABLE gone")
    exchange((one, other))
    for number in range(30):
        one.run("INSERT INTO t VALUES (?, 'x', ?)", number, number)
    exchange((one, other))
    one.run("DELETE FROM t WHERE id = 3")
    other.run("UPDATE t SET n = n + 100 WHERE id < 5", token="mine")
    exchange((one, other))
    assert take_whole(third, other) > 3
    third.pull(one)
    third.pull(other)
    assert tables(third) == ["t"]
    assert third.rows("SELECT * FROM t ORDER BY id") == one.rows("SELECT * FROM t ORDER BY id")
    assert third.rows("SELECT * FROM quorate_resolvers") == [("t", "n", "merge:counter")]
    (found,) = third.execute(Outcome("wiki", Token("mine", 0)))
    assert isinstance(found, Done)
    assert {each.group: each.merged for each in third.cursors} == {1: one.last, 2: other.last}
    third.run("INSERT INTO t VALUES (99, 'third', 1)")
    one.pull(third)
    assert one.rows("SELECT a FROM t WHERE id = 99") == [("third",)]
    for each in (one, other, third):
        assert len(each.digests()) == 1
        each.close()


def test_one_that_was_away_keeps_what_it_wrote() -> None:
    one, other = Group(1), Group(2)
    one.run("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT)")
    exchange((one, other))
    one.run("INSERT INTO t VALUES (1, 'x')")
    exchange((one, other))
    other.run("INSERT INTO t VALUES (2, 'written away')")
    one.run("UPDATE t SET a = 'y'")
    one.run("ALTER TABLE t ADD COLUMN b INT DEFAULT 4")
    take_whole(other, one)
    assert other.rows("SELECT * FROM t ORDER BY id") == [(1, "y", 4), (2, "written away", 4)]
    assert len(other.digests()) == 1
    take_whole(other, one)
    assert other.rows("SELECT count(*) FROM t") == [(2,)]
    one.pull(other)
    assert one.rows("SELECT * FROM t ORDER BY id") == other.rows("SELECT * FROM t ORDER BY id")
