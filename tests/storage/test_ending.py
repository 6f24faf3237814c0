"""Reads beside the loop that are ended before they are finished."""

import threading
from pathlib import Path
from typing import Any

import pytest

from quorate.core.requests import Done, Run
from quorate.core.statements import Statement, Token
from quorate.storage.data.replica import Replica
from quorate.storage.execution.ending import Ending
from quorate.storage.interface import OverBudget
from quorate.storage.rows.payload import decode_outcome

ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
READ = (Statement("SELECT 7"),)
NEVER = 1 << 62


@pytest.fixture
def replica(tmp_path: Path) -> Any:
    made = Replica(tmp_path / "d.db", clock=lambda: 1_000)
    yield made
    made.close()


def aside(replica: Replica, sql: str, ending: Ending) -> tuple[threading.Thread, list[object]]:
    """Run a read on a thread of its own; what it raised or returned."""
    found: list[object] = []

    def work() -> None:
        try:
            found.append(replica.query_aside((Statement(sql),), ending))
        except OverBudget as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, found


def test_a_read_ends_when_its_time_has_come(replica: Replica) -> None:
    with pytest.raises(OverBudget):
        replica.query_aside((Statement(ENDLESS),), Ending(1_000))
    outcome, _ = replica.query_aside(READ, Ending(NEVER))
    assert isinstance(decode_outcome(outcome), Done), "the connection can be used again"


def test_a_read_that_is_running_ends_when_somebody_says_so(replica: Replica) -> None:
    ending, begun = Ending(NEVER), threading.Event()
    begins = ending.begins
    ending.begins = lambda connection: (begins(connection), begun.set())  # type: ignore[assignment,func-returns-value]
    thread, found = aside(replica, ENDLESS, ending)
    assert begun.wait(10)
    ending.end()
    thread.join(10)
    assert isinstance(found[0], OverBudget)


def test_what_was_ended_before_it_began_never_begins(replica: Replica) -> None:
    ending = Ending(NEVER)
    ending.end()
    with pytest.raises(OverBudget):
        replica.query_aside(READ, ending)


def test_an_end_that_comes_late_ends_nothing_else(replica: Replica) -> None:
    late = Ending(NEVER)
    replica.query_aside(READ, late)
    ending = Ending(NEVER)
    late.end()
    outcome, _ = replica.query_aside(READ, ending)
    assert isinstance(decode_outcome(outcome), Done)


def test_several_threads_read_one_file_and_the_writer_goes_on(replica: Replica) -> None:
    endings = [Ending(NEVER) for _ in range(3)]
    running = [aside(replica, ENDLESS, ending) for ending in endings]
    write = Run("d", (Statement("CREATE TABLE t(x INTEGER PRIMARY KEY)"),), token=Token("a", 0))
    payload, _ = replica.execute((write,))
    assert payload is not None
    replica.rollback()
    outcome, _ = replica.query_aside(READ, Ending(NEVER))
    assert isinstance(decode_outcome(outcome), Done)
    for ending in endings:
        ending.end()
    for thread, found in running:
        thread.join(10)
        assert isinstance(found[0], OverBudget)


def test_readers_that_are_not_needed_any_more_are_closed(tmp_path: Path, replica: Replica) -> None:
    def open_files() -> int:
        """Of the write-ahead log: the file itself SQLite keeps for the next connection."""
        return sum("d.db-wal" in str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink())

    if not Path("/proc/self/fd").exists():
        pytest.skip("nothing tells here which files are open")
    replica.query_aside(READ)
    before = open_files()
    begun = threading.Barrier(4)
    endings = [Ending(NEVER) for _ in range(3)]
    for ending in endings:
        begins = ending.begins

        def waits(connection: Any, begins: Any = begins) -> None:
            begins(connection)
            begun.wait(10)

        ending.begins = waits  # type: ignore[method-assign]
    running = [aside(replica, ENDLESS, ending) for ending in endings]
    begun.wait(10)
    assert open_files() > before
    for ending in endings:
        ending.end()
    for thread, _ in running:
        thread.join(10)
    assert open_files() == before


def test_a_replica_that_is_closed_lets_its_readers_finish(replica: Replica) -> None:
    ending, begun = Ending(NEVER), threading.Event()
    begins = ending.begins
    ending.begins = lambda connection: (begins(connection), begun.set())  # type: ignore[assignment,func-returns-value]
    thread, found = aside(replica, ENDLESS, ending)
    assert begun.wait(10)
    replica.close()
    assert thread.is_alive()
    ending.end()
    thread.join(10)
    assert isinstance(found[0], OverBudget)
