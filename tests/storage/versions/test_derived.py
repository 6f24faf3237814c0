"""Full-text and R-Tree indexes: each replica's own, and right after every merge."""

from random import Random

import apsw
import pytest

from quorate.storage.failures import RefusedError
from quorate.storage.versions.derived import Indexes
from tests.storage.versions.replicas import Replica, meet

TABLE = "CREATE TABLE t(id TEXT NOT NULL PRIMARY KEY, name TEXT UNIQUE, body TEXT, x INTEGER NOT NULL DEFAULT 0);"
FORGET = "INSERT INTO f(f, rowid, name, body) VALUES ('delete', old.rowid, old.name, old.body);"
KEEP = "INSERT INTO f(rowid, name, body) VALUES (new.rowid, new.name, new.body);"
EXTERNAL = (
    f"{TABLE} CREATE VIRTUAL TABLE f USING fts5(name, body, content='t');"
    f"CREATE TRIGGER ti AFTER INSERT ON t BEGIN {KEEP} END; CREATE TRIGGER td AFTER DELETE ON t BEGIN {FORGET} END;"
    f"CREATE TRIGGER tu AFTER UPDATE ON t BEGIN {FORGET} {KEEP} END"
)
OWN = (
    f"{TABLE} CREATE VIRTUAL TABLE f USING fts5(name, body);"
    f"CREATE TRIGGER ti AFTER INSERT ON t BEGIN {KEEP} END;"
    "CREATE TRIGGER td AFTER DELETE ON t BEGIN DELETE FROM f WHERE rowid = old.rowid; END;"
    f"CREATE TRIGGER tu AFTER UPDATE ON t BEGIN DELETE FROM f WHERE rowid = old.rowid; {KEEP} END"
)
RTREE = (
    f"{TABLE} CREATE VIRTUAL TABLE r USING rtree(id, low, high);"
    "CREATE TRIGGER ti AFTER INSERT ON t BEGIN INSERT INTO r VALUES (new.rowid, new.x, new.x); END;"
    "CREATE TRIGGER td AFTER DELETE ON t BEGIN DELETE FROM r WHERE id = old.rowid; END;"
    "CREATE TRIGGER tu AFTER UPDATE ON t BEGIN"
    " DELETE FROM r WHERE id = old.rowid; INSERT INTO r VALUES (new.rowid, new.x, new.x); END"
)


def replicas(ddl: str) -> list[Replica]:
    made = [Replica(origin, ddl, {"t": {}}, skew_ms=origin * 1_000) for origin in (1, 2, 3)]
    for each in made:
        if ddl is RTREE:
            each.store.derive("r", "t", {"low": "x", "high": "x"})
        else:
            each.store.derive("f", "t", {"name": "name", "body": "body"})
    return made


def write(one: Replica, rng: Random) -> None:
    key, name = f"'{rng.randrange(5)}'", f"'name{rng.randrange(4)}'"
    body, x = f"'{rng.choice(['red', 'green', 'blue'])} {rng.choice(['car', 'boat'])}'", rng.randrange(9)
    statements = [
        f"INSERT OR REPLACE INTO t VALUES ({key}, {name}, {body}, {x})",
        f"UPDATE t SET body = {body}, x = {x} WHERE id = {key}",
        f"UPDATE t SET name = {name} WHERE id = {key}",
        f"DELETE FROM t WHERE id = {key}",
    ]
    try:
        one.run("PRAGMA recursive_triggers = ON", *rng.sample(statements, 2))
    except apsw.ConstraintError:
        return


@pytest.mark.parametrize("ddl", [EXTERNAL, OWN, RTREE], ids=["external", "own", "rtree"])
def test_indexes_agree_with_their_source(ddl: str) -> None:
    for seed in range(8):
        rng, made = Random(seed), replicas(ddl)
        for _ in range(20):
            one, other = rng.sample(made, 2)
            write(one, rng)
            if rng.random() < 0.4:
                one.merge(other.store.whole())
        meet(made)
        for each in made:
            if ddl is RTREE:
                assert each.rows("SELECT rtreecheck('r')") == [("ok",)]
                assert each.rows("SELECT id, low FROM r ORDER BY id") == each.rows("SELECT rowid, x FROM t ORDER BY 1")
                continue
            each.connection.execute("INSERT INTO f(f, rank) VALUES ('integrity-check', 1)")
            for word in ("red", "boat", "name1"):
                found = each.rows(f"SELECT t.id FROM f JOIN t ON t.rowid = f.rowid WHERE f MATCH '{word}' ORDER BY 1")
                like = f"SELECT id FROM t WHERE body LIKE '%{word}%' OR name = '{word}' ORDER BY 1"
                assert found == each.rows(like)
        assert len({each.store.digest() for each in made}) == 1


def test_an_index_is_filled_when_it_is_declared_and_kept_after_a_restart() -> None:
    one, two, _ = replicas(EXTERNAL)
    one.connection.execute("CREATE VIRTUAL TABLE g USING fts5(words)")
    one.run("INSERT INTO t VALUES ('a', 'n', 'red car', 1)")
    one.store.derive("g", "t", {"words": "body"})
    one.restart()
    one.merge(two.run("INSERT INTO t VALUES ('b', 'm', 'red boat', 1)"))
    assert len(one.rows("SELECT * FROM g WHERE g MATCH 'red'")) == 2


@pytest.mark.parametrize(
    ("name", "columns", "why"),
    [("t", {}, "neither FTS5 nor"), ("f", {"body": "nothing"}, "has no column nothing")],
)
def test_what_cannot_be_derived(name: str, columns: dict[str, str], why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        replicas(EXTERNAL)[0].store.derive(name, "t", columns)


@pytest.mark.parametrize("what", ["take_out", "put_in"])
@pytest.mark.parametrize("ddl", [EXTERNAL, OWN, RTREE], ids=["external", "own", "rtree"])
def test_sabotage_is_seen(what: str, ddl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Indexes, what, lambda self, table, keys: None)
    with pytest.raises((AssertionError, apsw.Error)):
        test_indexes_agree_with_their_source(ddl)
