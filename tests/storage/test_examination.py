"""The examination of a data file: it finds what a scan of the rows does not, and looks at one state only."""

import sqlite3
from pathlib import Path

import apsw
import pytest

from quorate.core.entries import Position
from quorate.core.requests import Run
from quorate.core.statements import Statement, Token
from quorate.storage.data.replica import Replica
from quorate.storage.interface import Divergent

ROWS = 4_000


def filled(path: Path) -> Replica:
    replica = Replica(path)
    rows = tuple((number, f"{number:040}") for number in range(1, ROWS + 1))
    statements = (
        Statement("CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT UNIQUE NOT NULL CHECK (length(v) > 3))"),
        Statement("INSERT INTO t VALUES (?, ?)", rows, many=True),
    )
    replica.execute((Run("main", statements, token=Token("a", 0)),))
    replica.commit(Position(1, 1))
    return replica


def inner_page(path: Path, name: str) -> int:
    """Where in the file the root of a table or index begins, which has pages below it."""
    with sqlite3.connect(path) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    return (int(root) - 1) * int(size)


def examined(path: Path) -> str:
    replica = Replica(path)
    examination = replica.examine()
    try:
        return examination.run()
    finally:
        examination.close()
        replica.close()


def test_the_digest_is_that_of_the_replica_and_the_same_in_pieces(tmp_path: Path) -> None:
    replica = filled(tmp_path / "a.db")
    examination = replica.examine()
    found = None
    steps = 0
    while found is None:
        found = examination.step(1)
        steps += 1
    assert found == replica.digest()
    assert steps > ROWS // 512
    examination.close()
    replica.close()


def test_what_is_committed_meanwhile_is_not_seen(tmp_path: Path) -> None:
    replica = filled(tmp_path / "a.db")
    before = replica.digest()
    examination = replica.examine()
    examination.step(2)
    replica.execute((Run("main", (Statement("DELETE FROM t WHERE k > 7"),), token=Token("b", 0)),))
    replica.commit(Position(1, 2))
    assert examination.position == Position(1, 1)
    assert examination.run() == before != replica.digest()
    examination.close()
    replica.close()


def test_a_replica_in_memory_is_examined_alike(tmp_path: Path) -> None:
    replica, other = filled(tmp_path / "a.db"), filled(Path(":memory:"))
    one, two = replica.examine(), other.examine()
    assert (one.position, one.run()) == (two.position, two.run())
    for each in (one, two):
        each.close()
    replica.close()
    other.close()


@pytest.mark.parametrize("where", ["t", "sqlite_autoindex_t_1"])
def test_a_bit_that_flipped_in_an_inner_page_is_found(tmp_path: Path, where: str) -> None:
    """A key in an inner page of a table leads searches astray; a scan of the whole table never reads it."""
    path = tmp_path / "a.db"
    filled(path).close()
    before = examined(path)
    content = bytearray(path.read_bytes())
    start = inner_page(path, where)
    assert content[start] in (2, 5), "the root is an inner page"
    cell = start + int.from_bytes(content[start + 12 : start + 14], "big")
    at = cell + (4 if where == "t" else 8)
    content[at] ^= 1
    path.write_bytes(content)
    if where == "t":
        with apsw.Connection(str(path)) as connection:
            assert len(connection.execute("SELECT v FROM t ORDER BY k").fetchall()) == ROWS
    with pytest.raises(Divergent, match="damaged"):
        examined(path)
    assert before


def test_a_row_that_was_changed_by_hand_changes_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    filled(path).close()
    before = examined(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE t SET v = 'edited' WHERE k = 77")
    connection.close()
    assert examined(path) != before


def test_rows_that_break_a_rule_are_no_damage(tmp_path: Path) -> None:
    """They are the same on every replica; whether they are is what the digest says."""
    path = tmp_path / "a.db"
    filled(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("INSERT INTO t VALUES (9999, '')")
    connection.close()
    assert examined(path)
