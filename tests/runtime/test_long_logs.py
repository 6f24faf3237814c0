"""A large write to the log goes on beside the loop: heartbeats are heard, and what needs the log waits in its order."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.stores import CREATE, GROUP, IDENTITY
from tests.runtime.stand_ins import ANSWER, WRITE, RecordingCaller
from tests.runtime.test_driver import RETRY_US, Rig, scripted

from quorate.core import kernel
from quorate.core.calls import Requests
from quorate.core.entries import DATA, LARGE_BYTES, ORIGIN, Entry, WriteEntries, WriteHardState
from quorate.core.messages import Heartbeat
from quorate.core.querying import Query
from quorate.core.requests import Answer, Status
from quorate.runtime.aside import LOG
from quorate.storage.folder import open_store
from quorate.storage.interface import Broken, DiskIsFull
from quorate.storage.long_work import LogTakesLong, given

LATER = WriteHardState(1, 3, 0)
STEPS: dict[type, Any] = {
    kernel.Wake: [kernel.Persist(1, (WRITE,))],
    kernel.Drain: [kernel.Persist(2, (LATER,)), kernel.OpenReplica(7), kernel.Send(2, "word")],
    kernel.Applied: [kernel.ReadCatalog()],
}


def large(rig: Rig, found: list[BaseException]) -> None:
    """The store says of the first write that it takes long."""

    def run() -> None:
        if found:
            raise found[0]

    rig.store.troubles.append(LogTakesLong(run, given))


@pytest.fixture
def rig() -> Rig:
    rig = Rig(scripted(STEPS))
    rig.store.events[kernel.OpenReplica] = [kernel.Applied(7, ORIGIN)]
    return rig


def test_the_loop_goes_on_and_what_needs_the_log_waits(rig: Rig) -> None:
    large(rig, [])
    rig.driver.feed(kernel.Wake())
    rig.loop.settle()
    assert [piece.lane for piece in rig.loop.aside] == [LOG]
    rig.driver.delivered(2, Heartbeat(1, 1))
    rig.driver.drain()
    rig.loop.settle()
    assert rig.kinds() == [kernel.Wake, kernel.Deliver, kernel.Drain]
    assert ("sent", (2, "word")) in rig.log
    assert rig.store.performed == []
    assert rig.store.persisted == []
    rig.loop.finish_aside()
    assert rig.store.performed == [kernel.OpenReplica(7), kernel.ReadCatalog()]
    assert rig.store.persisted == [(LATER,)], "what came meanwhile is written behind it"
    assert rig.core.seen[3:] == [kernel.Applied(7, ORIGIN), kernel.Persisted(1), kernel.Persisted(2)]


@pytest.mark.parametrize("is_open", [True, False])
def test_a_read_waits_only_for_a_data_file_that_is_closed(rig: Rig, is_open: bool) -> None:
    rig.core.script = lambda event: [Query(1, 1, ())] if isinstance(event, Requests) else STEPS.get(type(event), [])
    rig.store.is_open = lambda group: is_open  # type: ignore[method-assign]
    large(rig, [])
    rig.driver.feed(kernel.Wake())
    rig.loop.settle()
    caller = RecordingCaller()
    rig.driver.asked(caller, 5, Status(), 10)
    rig.loop.settle()
    answered = [(5, Answer(ANSWER, 9, 1, 1), 10)]
    assert caller.told == (answered if is_open else [])
    rig.loop.finish_aside()
    assert caller.told == answered


def test_a_large_write_that_finds_no_room_is_tried_again_before_what_came_later(rig: Rig) -> None:
    large(rig, [DiskIsFull("full")])
    rig.driver.feed(kernel.Wake())
    rig.loop.settle()
    rig.driver.drain()
    rig.loop.finish_aside()
    assert rig.kinds()[-1] is kernel.DiskFull
    rig.loop.advance(RETRY_US)
    assert rig.store.persisted == [(WRITE, LATER)]
    assert rig.core.seen[-2:] == [kernel.Persisted(2), kernel.DiskRoom()]


def test_a_large_write_that_fails_stops_the_node(rig: Rig) -> None:
    large(rig, [Broken("fsync failed")])
    rig.driver.feed(kernel.Wake())
    rig.loop.settle()
    rig.loop.finish_aside()
    assert "fsync failed" in rig.failures[0]
    assert kernel.Persisted not in rig.kinds()


def test_a_file_store_hands_back_large_entries_and_nothing_else(tmp_path: Path) -> None:
    store = open_store(tmp_path / "n", create=IDENTITY)
    store.recover()
    store.long_us = 20_000
    store.persist([CREATE])
    store.persist([WriteEntries(GROUP, (Entry(1, 1, DATA, b"small"),))])
    entry = Entry(2, 1, DATA, bytes(LARGE_BYTES))
    with pytest.raises(LogTakesLong) as long:
        store.persist([WriteEntries(GROUP, (entry,))])
    assert store.log.read(GROUP, 2, 2, 1) == ()
    long.value.then(long.value.run())
    assert store.log.read(GROUP, 2, 2, 1) == (entry,)
    store.close()
    again = open_store(tmp_path / "n")
    assert {group.group: group.last for group in again.recover().groups}[GROUP] == 2
    again.close()


def test_a_store_whose_large_write_failed_is_of_no_use(tmp_path: Path) -> None:
    store = open_store(tmp_path / "n", create=IDENTITY)
    store.recover()
    store.long_us = 20_000
    store.persist([CREATE])
    with pytest.raises(LogTakesLong) as long:
        store.persist([WriteEntries(GROUP, (Entry(1, 1, DATA, bytes(LARGE_BYTES)),))])
    with pytest.raises(Broken, match="fsync"):
        partial(long.value.then, Broken("fsync failed"))()
    with pytest.raises(Broken, match="fsync"):
        store.persist([WRITE])
    store.close()
