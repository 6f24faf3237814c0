"""Whatever text is asked of a replica without a leader, it is planned, run or refused: nothing else comes of it."""

from pathlib import Path
from random import Random

import pytest

from quorate.core.row_effects import READS_ROW, READS_TABLES, WRITES, PlanStatement, ReadOnRows, RunOnRow
from quorate.core.statements import Parameters, Statement
from tests.storage.test_keyed_statements import COUNTER, TABLE, Rig

WORDS = """
CREATE DROP ALTER TABLE INDEX VIEW UNIQUE TRIGGER INSERT INTO VALUES UPDATE SET DELETE FROM WHERE SELECT * t k n s u
'a' 1 2.5 x'00' NULL ? ?1 ?9 :a @b $c ( ) , ; = == AND OR NOT ON CONFLICT DO NOTHING RETURNING LIMIT ORDER BY EXPLAIN
WITH AS REPLACE IF EXISTS ADD COLUMN RENAME TO DEFAULT PRAGMA VACUUM BEGIN COMMIT - . main "t" [t] -- /* */
quorate_resolvers quorate_states sqlite_master PRIMARY KEY WITHOUT ROWID STRICT COLLATE NOCASE CHECK random()
?0 ?99999999999999999999 9999999999999999999999
""".split()  # noqa: SIM905 - a list would be a page long
BASE = (
    "INSERT INTO t VALUES ( 'a' , 1 , 'x' )",
    "INSERT INTO t ( k , n ) VALUES ( ? , 1 ) ON CONFLICT ( k ) DO UPDATE SET n = n + 1 RETURNING n",
    "UPDATE t SET n = n + 1 WHERE k = ?",
    "DELETE FROM t WHERE k = 'a' RETURNING *",
    "SELECT * FROM t WHERE k = 'a' AND n > 1",
    "SELECT count ( * ) FROM t",
    "CREATE TABLE u ( k TEXT PRIMARY KEY NOT NULL , x INTEGER )",
    "ALTER TABLE t ADD COLUMN z",
    "DROP TABLE t",
    "INSERT INTO quorate_resolvers VALUES ( 't' , 'n' , 'merge:counter' )",
    "",
)
GIVEN: tuple[Parameters, ...] = ((), ("a",), ("a", 1), {"a": 1, "b": 2}, (None,), (b"\0", 2.5, 3))


def odd(rng: Random) -> str:
    words = rng.choice(BASE).split()
    for _ in range(rng.randrange(5)):
        at = rng.randrange(len(words) + 1)
        words[at : at + rng.randrange(2)] = [rng.choice(WORDS)] if rng.random() < 0.7 else []
    return " ".join(words[: rng.randrange(len(words) + 1)] if rng.random() < 0.1 else words)


@pytest.mark.parametrize("seed", range(2))
def test_odd_texts(seed: int, tmp_path: Path) -> None:
    rng = Random(seed)
    rig = Rig(tmp_path / "data")
    rig.change(TABLE)
    rig.change(COUNTER)
    rig.run("INSERT INTO t VALUES ('a', 1, 'x')")
    kinds = set()
    for number in range(1_000):
        statement = Statement(odd(rng), (rng.choice(GIVEN),))
        minted = rng.randbytes(9) if rng.random() < 0.1 else b""
        planned = rig.replica.plan(PlanStatement(1, 1, number, statement, minted))
        kinds.add(planned.kind)
        if planned.kind == WRITES:
            state = rig.replica.state_of(planned.key)
            rig.replica.run_on_row(RunOnRow(1, 1, number, planned.key, state, statement, 100 + number, 7, 20_000))
        elif planned.kind in (READS_ROW, READS_TABLES):
            rig.replica.read_on_rows(ReadOnRows(1, 1, number, (), statement, 20_000))
    assert kinds >= {WRITES, READS_ROW, READS_TABLES}
    assert rig.run("SELECT * FROM t WHERE k = 'a'") == [("a", 1, "x")], "nothing of it was kept"


@pytest.mark.parametrize("text", ["CREATE", "DROP", "ALTER", "INSERT", "UPDATE", "SELECT", ";", ""])
def test_half_a_statement_is_refused(text: str, tmp_path: Path) -> None:
    rig = Rig(tmp_path / "data")
    rig.change(TABLE)
    assert rig.refused(text)
