"""Writes that take long: what is stopped leaves nothing behind, and what goes on aside is what it would have been."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.core.entries import DATA, Entry, Position
from quorate.core.executing import AT_ITS_END, INTERRUPTED, TOO_LONG
from quorate.core.requests import Done, Run
from quorate.core.statements import Failed, Token
from quorate.storage.data.replica import Replica
from quorate.storage.execution.watch import StoppedError
from quorate.storage.interface import OverBudget, StatementFailed
from quorate.storage.rows.payload import decode_outcome
from tests.storage.pair import read, run, statement

COUNTING = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n{}) SELECT x FROM n"
ENDLESS = f"INSERT INTO t SELECT NULL, x FROM ({COUNTING.format('')})"
LONG = f"INSERT INTO t SELECT NULL, x FROM ({COUNTING.format(' LIMIT 20000')})"


class Clock:
    """Goes on by a millisecond with each look."""

    def __init__(self) -> None:
        self.now_us = 0

    def __call__(self) -> int:
        self.now_us += 1_000
        return self.now_us


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def replica(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Replica]:
    monkeypatch.setattr("quorate.storage.data.writer.LOOK_EVERY", 1_000)
    replica = Replica(tmp_path / "r.db", clock=clock)
    replica.execute([asked("c", "CREATE TABLE t(id INTEGER PRIMARY KEY, v)")])
    replica.commit(Position(1, 1))
    yield replica
    replica.close()


def asked(token: str, *texts: str) -> Run:
    return run(*texts, token=Token(token, 0))


def test_a_request_that_takes_long_is_stopped_and_what_was_executed_before_is_kept(replica: Replica) -> None:
    payload, _ = replica.execute([asked("a", "INSERT INTO t VALUES (1, 'before')")])
    assert payload is not None
    batch = [asked("b", "INSERT INTO t VALUES (2, 'beside')"), asked("e", ENDLESS)]
    with pytest.raises(StoppedError) as stopped:
        replica.execute(batch, 0, 0, 50_000)
    assert (stopped.value.position, stopped.value.why) == (1, TOO_LONG)
    again, (outcome,) = replica.execute(batch[:1])
    assert again is not None
    assert isinstance(decode_outcome(outcome), Done)
    replica.commit(Position(1, 3), (2, 3))
    assert read(replica, "SELECT v FROM t ORDER BY id") == [("before",), ("beside",)]


def test_a_request_without_an_end_is_stopped_at_the_end_of_its_callers_time(replica: Replica, clock: Clock) -> None:
    ends_us = clock.now_us + 30_000
    with pytest.raises(StoppedError) as stopped:
        replica.execute([asked("e", ENDLESS)], 0, 0, 0, ends_us)
    assert stopped.value.why == AT_ITS_END
    assert ends_us <= clock.now_us <= ends_us + 5_000
    assert not replica.busy


def test_what_was_executed_before_a_stop_takes_the_time_that_it_takes_to_commit(replica: Replica) -> None:
    payload, _ = replica.execute([asked("l", LONG)])
    assert payload is not None
    with pytest.raises(StoppedError):
        replica.execute([asked("e", ENDLESS)], 0, 0, 5_000)
    replica.commit(Position(1, 2))
    assert read(replica, "SELECT count(*) FROM t") == [(20_000,)]


def test_what_is_stopped_may_be_run_again_under_its_token(replica: Replica) -> None:
    with pytest.raises(StoppedError):
        replica.execute([asked("l", LONG)], 0, 0, 5_000)
    _, (outcome,) = replica.execute([asked("l", LONG)])
    assert isinstance(decode_outcome(outcome), Done)
    replica.commit(Position(1, 2))
    assert read(replica, "SELECT count(*) FROM t") == [(20_000,)]


def test_a_writer_that_is_lent_can_be_interrupted(replica: Replica) -> None:
    replica.lend()
    replica.interrupt()
    with pytest.raises(StoppedError) as stopped:
        replica.execute([asked("e", ENDLESS)])
    assert stopped.value.why == INTERRUPTED
    replica.take_back()
    replica.interrupt()  # it is not lent: nothing runs that anybody may stop
    _, (outcome,) = replica.execute([asked("l", LONG)])
    assert isinstance(decode_outcome(outcome), Done)


def test_an_entry_that_takes_long_to_apply_changes_nothing_when_it_is_stopped(replica: Replica, tmp_path: Path) -> None:
    payload, _ = replica.execute([asked("l", LONG)])
    assert payload is not None
    replica.commit(Position(1, 2))
    index, _ = replica.execute([asked("i", "CREATE INDEX by_v ON t(v)")])
    assert index is not None
    entries = [Entry(2, 1, DATA, payload), Entry(3, 1, DATA, index)]
    other = Replica(tmp_path / "o.db", clock=Clock())
    created, _ = other.execute([asked("c", "CREATE TABLE t(id INTEGER PRIMARY KEY, v)")])
    assert created is not None
    other.commit(Position(1, 1))
    with pytest.raises(OverBudget):
        other.apply(entries, 5_000)
    assert other.applied == Position(1, 1)
    other.apply(entries)
    assert read(other, "SELECT count(*) FROM t INDEXED BY by_v WHERE v > 0") == [(20_000,)]
    other.close()


def test_a_statement_of_an_interactive_transaction_ends_and_says_so(replica: Replica, clock: Clock) -> None:
    replica.hold()
    with pytest.raises(StatementFailed) as failed:
        replica.run_held(statement(ENDLESS), clock.now_us + 20_000)
    assert isinstance(failed.value.failed, Failed)
    assert failed.value.failed.error == "StatementTimeout"
    assert not replica.busy


def test_rows_of_a_large_entry_are_unpacked_one_by_one_and_are_the_same(
    replica: Replica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = (
        LONG,
        "UPDATE t SET v = CASE id % 3 WHEN 0 THEN NULL WHEN 1 THEN CAST(x'ff41' AS TEXT) ELSE v + 0.5 END",
        "DELETE FROM t WHERE id % 7 = 0",
    )
    entries = []
    for index, text in enumerate(texts, 2):
        payload, _ = replica.execute([asked(f"t{index}", text)])
        assert payload is not None
        replica.commit(Position(1, index))
        entries.append(Entry(index, 1, DATA, payload))
    other = Replica(tmp_path / "o.db")
    other.execute([asked("c", "CREATE TABLE t(id INTEGER PRIMARY KEY, v)")])
    other.commit(Position(1, 1))
    monkeypatch.setattr("quorate.storage.rows.payload.PACKED_BYTES", 0)
    other.apply(entries)
    assert other.digest() == replica.digest()
    other.close()
