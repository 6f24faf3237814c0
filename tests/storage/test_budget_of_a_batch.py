"""A batch whose time is spent: what has run is whole, and what has not may come again."""

from pathlib import Path

from quorate.core.entries import Position
from quorate.core.requests import Done, Run
from quorate.core.statements import Statement, Token
from quorate.storage.data.replica import Replica
from quorate.storage.rows.payload import decode_outcome


def write(number: int) -> Run:
    return Run("main", (Statement("INSERT INTO t VALUES (?)", ((number,),)),), token=Token(f"t{number}", 0))


def test_storage_begins_no_request_after_the_batch_s_time(tmp_path: Path) -> None:
    ticks = iter(range(0, 1_000_000, 10))
    replica = Replica(tmp_path / "data.db", clock=lambda: next(ticks))
    created = Run("main", (Statement("CREATE TABLE t(id INTEGER PRIMARY KEY)"),), token=Token("create", 0))
    payload, outcomes = replica.execute((created,))
    assert payload is not None
    replica.commit(Position(1, 1))
    some = tuple(write(number) for number in range(20))
    payload, outcomes = replica.execute(some, 0, 20)
    assert payload is not None
    assert len(outcomes) == 9, "ten of this clock's microseconds for each look, behind the first and the ninth"
    assert all(isinstance(decode_outcome(outcome), Done) for outcome in outcomes)
    replica.commit(Position(1, 2))
    payload, outcomes = replica.execute(some, 0, 0)
    assert len(outcomes) == 20, "no budget: all of them, the first nine as repetitions"
    replica.commit(Position(1, 3))
    found, _ = replica.query((Statement("SELECT count(*) FROM t"),))
    answer = decode_outcome(found)
    assert isinstance(answer, Done)
    assert answer.results[0].rows == [(20,)]
    replica.close()


def test_one_request_is_run_however_little_time_there_is(tmp_path: Path) -> None:
    ticks = iter(range(0, 1_000_000, 1_000))
    replica = Replica(tmp_path / "data.db", clock=lambda: next(ticks))
    created = Run("main", (Statement("CREATE TABLE t(id INTEGER PRIMARY KEY)"),), token=Token("create", 0))
    _, outcomes = replica.execute((created, write(1)), 0, 1)
    assert len(outcomes) == 1
    replica.close()
