"""Random statements on a schema full of traps: after every batch both replicas must hold the same."""

import random
from pathlib import Path

import pytest

from quorate.core.requests import Run
from quorate.core.statements import Statement
from quorate.storage.data.replica import Replica
from tests.storage.pair import Pair, read

SCHEMA = (
    "CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT, u INT UNIQUE, v TEXT DEFAULT (hex(randomblob(4))))",
    "CREATE TABLE b(k TEXT PRIMARY KEY, a INT REFERENCES a(id) ON DELETE CASCADE ON UPDATE CASCADE, n INT)",
    "CREATE TABLE later(id INTEGER PRIMARY KEY, a INT REFERENCES a ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED)",
    "CREATE TABLE c(x, y)",
    "CREATE TABLE d(g AS (length(k) + n) STORED, k COLLATE NOCASE, n INT, u UNIQUE, PRIMARY KEY(k, n)) WITHOUT ROWID",
    "CREATE VIRTUAL TABLE f USING fts5(body)",
    "CREATE TABLE log(n INTEGER PRIMARY KEY, what)",
    "CREATE TRIGGER a_deleted AFTER DELETE ON a BEGIN INSERT INTO log(what) VALUES ('a ' || OLD.id); END",
    "CREATE TRIGGER b_inserted BEFORE INSERT ON b WHEN NEW.n = 3 BEGIN SELECT RAISE(ROLLBACK, 'three'); END",
    "CREATE TRIGGER c_updated AFTER UPDATE ON c WHEN NEW.y > 5 BEGIN UPDATE c SET y = 0 WHERE rowid = NEW.rowid; END",
)

STATEMENTS = (
    "INSERT INTO a(u) VALUES ({n})",
    "INSERT OR REPLACE INTO a(id, u) VALUES ({n}, {m})",
    "INSERT OR ROLLBACK INTO a(u) VALUES ({n})",
    "INSERT OR FAIL INTO a(u) VALUES ({m}), ({n}), ({n})",
    "UPDATE OR IGNORE a SET u = u + 1 WHERE id % 3 = {k}",
    "UPDATE a SET u = -u",
    "UPDATE a SET id = id + 40 WHERE id = {n}",
    "UPDATE a SET u = CASE u WHEN {n} THEN {m} WHEN {m} THEN {n} ELSE u END WHERE u IN ({n}, {m})",
    "DELETE FROM a WHERE id = {n}",
    "DELETE FROM a WHERE id > {m} RETURNING id",
    "INSERT INTO b VALUES ('{w}', (SELECT max(id) FROM a), {k})",
    "INSERT INTO b VALUES (NULL, 1, 1)",
    "INSERT INTO b VALUES ('{w}', {n}, 1) ON CONFLICT(k) DO UPDATE SET n = n + 1",
    "UPDATE b SET k = k || '{w}' WHERE n = {k}",
    "DELETE FROM b WHERE n < {k}",
    "INSERT INTO later(a) VALUES ({n})",
    "DELETE FROM later WHERE id % 2",
    "INSERT INTO c VALUES ({n}, random() % 10), ({n}, NULL)",
    "UPDATE c SET y = y + 1 WHERE x = {n}",
    "UPDATE c SET rowid = rowid + 100 WHERE x = {m}",
    "DELETE FROM c WHERE x > {n} AND y < {k}",
    "INSERT INTO d(k, n, u) VALUES ('{w}', {k}, {n})",
    "INSERT OR REPLACE INTO d(k, n, u) VALUES (upper('{w}'), {k}, {m})",
    "UPDATE d SET k = upper(k) WHERE n = {k}",
    "UPDATE OR REPLACE d SET k = lower(k), u = {m} WHERE u > {n}",
    "DELETE FROM d WHERE k = upper('{w}')",
    "INSERT INTO f(body) VALUES ('{w} {v} word')",
    "UPDATE f SET body = body || ' {w}' WHERE rowid % 3 = {k}",
    "DELETE FROM f WHERE f MATCH '{w}'",
    "INSERT INTO f(f) VALUES ('optimize')",
    "SELECT count(*) FROM a, b",
    "INSERT INTO nowhere VALUES (1)",
    "DELETE FROM sqlite_sequence",
    "CREATE TABLE IF NOT EXISTS extra{k}(k TEXT PRIMARY KEY, a REFERENCES a ON DELETE CASCADE)",
    "CREATE TABLE extra{k} AS SELECT *, random() AS r FROM a",
    "INSERT INTO extra{k} SELECT id, id FROM a",
    "DROP TABLE extra{k}",
    "DROP TABLE IF EXISTS extra{k}",
    "ALTER TABLE c ADD COLUMN z{n} DEFAULT 7",
    "CREATE INDEX IF NOT EXISTS i{k} ON c(y)",
    "DROP INDEX IF EXISTS i{k}",
    "ANALYZE",
)


def statement(rng: random.Random) -> Statement:
    sql = rng.choice(STATEMENTS).format(
        n=rng.randrange(12), m=rng.randrange(12), k=rng.randrange(4), w=rng.choice("xyz") * 2, v=rng.choice("pqr")
    )
    return Statement(sql)


@pytest.mark.parametrize("seed", range(12))
def test_random_batches(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    with Pair(tmp_path if seed % 3 == 0 else None) as pair:
        pair.do(*SCHEMA)
        for _ in range(25):
            requests = [
                Run("main", tuple(statement(rng) for _ in range(rng.choice((1, 1, 2, 3)))), load=rng.random() < 0.05)
                for _ in range(rng.randrange(1, 8))
            ]
            if rng.random() < 0.15:
                pair.leader.execute(requests)
                pair.leader.rollback()
                pair.same()
            elif rng.random() < 0.2:
                payload, _ = pair.leader.execute(requests)
                read(pair.leader, "SELECT count(*) FROM f WHERE f MATCH 'word'")
                if payload is not None:
                    pair.commit(payload)
            pair.batch(*requests)
            pair.rows("SELECT rowid FROM f WHERE f MATCH 'word' ORDER BY rowid")
            if rng.random() < 0.3:
                pair.switch()
        pair.do("INSERT INTO f(f) VALUES ('integrity-check')")
        assert pair.rows("PRAGMA integrity_check") == [("ok",)]
        late = Replica(tmp_path / "late.db")
        half = len(pair.entries) // 2
        late.apply(pair.entries[:half])
        late.apply(pair.entries[half:])
        assert late.digest() == pair.leader.digest()
        late.close()
