"""What ends a statement that takes too long must end nothing else."""

from pathlib import Path

from quorate.core.entries import Position
from quorate.core.statements import Token
from quorate.storage.data.replica import Replica
from tests.storage.pair import read, run, statement


def test_the_time_of_a_read_that_is_over_ends_nothing_else(tmp_path: Path) -> None:
    now = [0]
    replica = Replica(tmp_path / "r.db", clock=lambda: now[0])
    replica.execute([run("CREATE TABLE t(id INTEGER PRIMARY KEY, v)", token=Token("t", 0))])
    replica.commit(Position(1, 1))
    for number in range(2, 1200):
        for _ in range(2):  # the second one leaves its state open, and the next commit closes it
            replica.query([statement("SELECT count(*) FROM t")], 1000)
        now[0] += 1_000_000
        write = statement("INSERT INTO t VALUES (?, ?)", number, number)
        replica.execute([run(write, token=Token(f"n{number}", 0))])
        replica.commit(Position(1, number))
    assert read(replica, "SELECT count(*) FROM t") == [(1198,)]
    replica.close()
