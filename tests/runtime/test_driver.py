"""The driver's duties towards a core, on a loop and a clock that the test moves."""

import logging
from typing import Any

import msgspec
import pytest
from tests.runtime.stand_ins import (
    ANSWER,
    WRITE,
    EchoCore,
    FakeLoop,
    FakeStore,
    RecordingCaller,
    RecordingTransport,
    ScriptedCore,
)

from quorate.core import kernel
from quorate.core.calls import Request, Requests
from quorate.core.entries import ORIGIN, Position, WriteHardState
from quorate.core.kernel import Effect, Event
from quorate.core.messages import Heartbeat
from quorate.core.querying import ANSWER_BYTES_MAX, BROKE, DAMAGED, NO_ROOM, Query, QueryFailed, refusal
from quorate.core.requests import Answer, Refused, Status
from quorate.runtime.driver import DISK_RETRY_S, REQUESTS_A_TURN, Driver
from quorate.storage.interface import Broken, DiskIsFull, Divergent, OverBudget

RETRY_US = int(DISK_RETRY_S * 1e6)


class Rig:
    """A driver between stand-ins."""

    def __init__(self, core: ScriptedCore) -> None:
        self.core, self.store, self.loop = core, FakeStore(), FakeLoop()
        self.log: list[Any] = []
        self.failures: list[str] = []
        self.driver = Driver(core, self.store, self.loop, self.failures.append)
        self.driver.clock = self.loop.clock
        self.driver.transport = RecordingTransport(self.log)
        persist = self.store.persist

        def noted(writes: Any) -> None:
            self.log.append("persist")
            persist(writes)

        self.store.persist = noted  # type: ignore[method-assign]

    def kinds(self) -> list[type]:
        return [type(event) for event in self.core.seen]


def scripted(table: dict[type, list[Effect]]) -> ScriptedCore:
    return ScriptedCore(lambda event: table.get(type(event), []))


def test_events_of_effects_are_fed_after_the_step_and_in_order() -> None:
    rig = Rig(scripted({kernel.Wake: [kernel.OpenReplica(1), kernel.ReadCatalog()]}))
    rig.store.events[kernel.OpenReplica] = [kernel.Applied(1, ORIGIN)]
    rig.store.events[kernel.ReadCatalog] = [kernel.CatalogRead(None)]
    rig.driver.feed(kernel.Wake())
    assert rig.core.seen == [kernel.Wake(), kernel.Applied(1, ORIGIN), kernel.CatalogRead(None)]
    assert rig.store.performed == [kernel.OpenReplica(1), kernel.ReadCatalog()]


def test_the_first_wake_comes_as_soon_as_the_loop_runs() -> None:
    rig = Rig(ScriptedCore())
    rig.core.deadline_us = 0
    rig.core.script = lambda event: setattr(rig.core, "deadline_us", None) or []  # type: ignore[func-returns-value]
    rig.driver.start()
    rig.loop.settle()
    assert rig.core.seen == [kernel.Wake()]


def test_a_past_deadline_waits_for_everything_that_is_ready() -> None:
    """This is how a core gathers a batch."""
    core = ScriptedCore()

    def script(event: Event) -> list[Effect]:
        core.deadline_us = 0 if isinstance(event, Requests) else None
        return []

    core.script = script
    rig = Rig(core)
    for ask in range(5):
        rig.driver.asked(RecordingCaller(), ask, Status(), 10)
    rig.loop.settle()
    assert rig.kinds() == [Requests, kernel.Wake]
    assert len(requests(rig.core.seen[0])) == 5


def test_messages_leave_before_the_disk_is_asked_and_one_fsync_serves_the_turn() -> None:
    effects: list[Effect] = [kernel.Persist(3, (WRITE,)), kernel.Send(2, Heartbeat(1, 1))]
    rig = Rig(scripted({kernel.Reachable: effects}))
    rig.driver.reachable(2)
    rig.driver.reachable(3)
    rig.loop.settle()
    assert rig.log == [("sent", (2, Heartbeat(1, 1)), (2, Heartbeat(1, 1))), "persist"]
    assert rig.store.persisted == [(WRITE, WRITE)]
    assert rig.core.seen[-1] == kernel.Persisted(3)


def test_the_loop_gets_a_turn_between_sending_and_writing() -> None:
    """Only then has the operating system the bytes, and other nodes' disks work beside ours."""
    rig = Rig(scripted({kernel.Reachable: [kernel.Send(2, Heartbeat(1, 1)), kernel.Persist(1, (WRITE,))]}))
    rig.driver.reachable(2)
    rig.loop.turn()
    assert rig.log == [("sent", (2, Heartbeat(1, 1)))]
    rig.loop.turn()
    assert rig.log[-1] == "persist"


def test_what_follows_from_a_write_leaves_in_the_same_turn() -> None:
    rig = Rig(
        scripted({kernel.Wake: [kernel.Persist(1, (WRITE,))], kernel.Persisted: [kernel.Send(2, Heartbeat(2, 1))]})
    )
    rig.driver.feed(kernel.Wake())
    rig.loop.turn()
    rig.loop.turn()
    assert rig.log == ["persist", ("sent", (2, Heartbeat(2, 1)))]


def test_a_deadline_in_the_future_wakes_the_core_then_and_not_before() -> None:
    rig = Rig(ScriptedCore())
    rig.core.deadline_us = rig.loop.now_us + 5_000
    rig.driver.start()
    rig.loop.settle()
    rig.loop.advance(4_999)
    assert rig.core.seen == []
    rig.core.script = lambda event: setattr(rig.core, "deadline_us", None) or []  # type: ignore[func-returns-value]
    rig.loop.advance(1)
    assert rig.core.seen == [kernel.Wake()]


def test_a_deadline_that_moves_moves_the_one_timer() -> None:
    rig = Rig(ScriptedCore())
    rig.core.deadline_us = rig.loop.now_us + 5_000
    rig.driver.start()
    rig.loop.settle()
    rig.core.deadline_us = rig.loop.now_us + 50_000
    rig.driver.reachable(2)
    rig.loop.settle()
    live = [timer for timer in rig.loop.timers if not timer.cancelled]
    assert [timer.at for timer in live] == [rig.loop.now_us + 50_000]
    rig.driver.reachable(2)
    rig.loop.settle()
    assert [timer for timer in rig.loop.timers if not timer.cancelled] == live, "armed again for the same deadline"


def test_each_request_is_answered_on_its_connection_under_its_own_id() -> None:
    rig, first, second = Rig(EchoCore()), RecordingCaller(), RecordingCaller()
    rig.driver.asked(first, 40, Status(), 10)
    rig.driver.asked(second, 40, Status(), 20)
    rig.loop.settle()
    assert first.told == [(40, Answer(ANSWER, 7), 10)]
    assert second.told == [(40, Answer(ANSWER, 7), 20)]


def test_what_peers_say_waits_behind_one_turn_of_requests_at_most() -> None:
    """(1) More is asked than a turn takes, (2) a heartbeat arrives, (3) the rest has its turns, in order."""
    rig, caller = Rig(EchoCore()), RecordingCaller()
    for number in range(2 * REQUESTS_A_TURN + 5):
        rig.driver.asked(caller, number, Status(), 1)
    rig.driver.delivered(2, Heartbeat(1, 1))
    rig.loop.turn()
    assert rig.kinds() == [kernel.Deliver, Requests]
    assert len(requests(rig.core.seen[1])) == REQUESTS_A_TURN
    rig.driver.delivered(2, Heartbeat(2, 1))
    rig.driver.asked(caller, 2 * REQUESTS_A_TURN + 5, Status(), 1)
    rig.loop.settle()
    assert [len(requests(each)) for each in rig.core.seen[3:]] == [REQUESTS_A_TURN, 6]
    assert [number for number, _, _ in caller.told] == list(range(2 * REQUESTS_A_TURN + 6))


def test_a_request_says_when_it_came_and_until_when_it_is_wanted() -> None:
    rig, caller = Rig(EchoCore()), RecordingCaller()
    for number in range(REQUESTS_A_TURN + 1):
        rig.driver.asked(caller, number, Status(), 1, 5_000)
    came_us = rig.loop.now_us
    rig.loop.now_us += 3_000
    rig.loop.settle()
    last = requests(rig.core.seen[-1])[-1]
    assert (last.since_us, last.until_us) == (came_us, came_us + 5_000)


def test_what_is_read_after_a_stall_may_be_as_old_as_the_stall() -> None:
    rig, caller = Rig(EchoCore()), RecordingCaller()
    rig.driver.asked(caller, 1, Status(), 1, 5_000)
    rig.loop.settle()
    before_us = rig.loop.now_us
    rig.loop.now_us += 2_000_000
    rig.driver.asked(caller, 2, Status(), 1, 5_000)
    rig.loop.settle()
    last = requests(rig.core.seen[-1])[-1]
    assert (last.since_us, last.until_us) == (before_us, before_us + 5_000)


def requests(event: Event) -> tuple[Request, ...]:
    assert isinstance(event, Requests)
    return event.requests


def ask_read(rig: Rig) -> RecordingCaller:
    caller = RecordingCaller()
    rig.core.script = lambda event: [Query(1, 1, ())] if isinstance(event, Requests) else []
    rig.driver.asked(caller, 1, Status(), 1)
    rig.loop.settle()
    return caller


def test_a_read_is_answered_by_the_driver() -> None:
    assert ask_read(Rig(ScriptedCore())).told == [(1, Answer(ANSWER, 9, 1, 1), 1)]


def test_a_slow_read_is_run_again_beside_the_loop() -> None:
    rig = Rig(ScriptedCore())
    rig.store.slow = True
    caller = ask_read(rig)
    assert caller.told == []
    rig.loop.finish_aside()
    assert caller.told == [(1, Answer(ANSWER, 9, 1, 1), 1)]


def test_a_read_that_fails_beside_the_loop_is_refused_and_the_node_goes_on() -> None:
    rig = Rig(ScriptedCore())
    rig.store.slow, rig.store.outcome = True, RuntimeError("broken page")
    caller = ask_read(rig)
    rig.loop.finish_aside()
    assert rig.core.seen[-1] == QueryFailed(1, 1, BROKE, "broken page")
    assert isinstance(caller.told[0][1], Refused)
    assert rig.failures == []


def test_a_read_that_never_ends_is_ended() -> None:
    rig = Rig(ScriptedCore())
    rig.store.slow, rig.store.outcome = True, OverBudget("still running")
    caller = ask_read(rig)
    rig.loop.finish_aside()
    ((_, body, _),) = caller.told
    assert isinstance(body, Refused)
    assert "ended after 60 s" in body.message


@pytest.mark.parametrize("slow", [True, False])
@pytest.mark.parametrize(
    ("error", "why"), [(Divergent("a torn page"), DAMAGED), (DiskIsFull("no descriptor"), NO_ROOM)]
)
def test_a_read_that_cannot_be_done_is_the_cores_to_answer(slow: bool, error: Exception, why: str) -> None:
    rig = Rig(ScriptedCore())
    rig.store.slow, rig.store.outcome = slow, error
    caller = ask_read(rig)
    rig.loop.finish_aside()
    failed = QueryFailed(1, 1, why, str(error))
    assert rig.core.seen[-1] == failed
    assert caller.told == [(1, refusal(failed), 1)]
    assert rig.failures == []


def test_a_result_too_large_for_a_frame_is_refused_with_advice() -> None:
    rig = Rig(ScriptedCore())
    rig.store.outcome = bytes(ANSWER_BYTES_MAX + 1)
    ((_, body, _),) = ask_read(rig).told
    assert isinstance(body, Refused)
    assert "stream()" in body.hint


def test_a_full_disk_is_told_once_tried_again_and_its_end_told_too() -> None:
    rig = Rig(scripted({kernel.Wake: [kernel.Persist(4, (WRITE,))]}))
    rig.store.troubles.extend([DiskIsFull("full"), DiskIsFull("full")])
    rig.driver.feed(kernel.Wake())
    rig.loop.settle()
    assert rig.kinds() == [kernel.Wake, kernel.DiskFull]
    rig.loop.advance(RETRY_US)
    assert rig.kinds() == [kernel.Wake, kernel.DiskFull]
    rig.loop.advance(RETRY_US)
    assert rig.core.seen[2:] == [kernel.Persisted(4), kernel.DiskRoom()]
    assert rig.store.persisted == [(WRITE,)], "what was kept is written, once"


def test_writes_that_come_while_the_disk_is_full_are_kept_behind_the_others() -> None:
    later = WriteHardState(1, 3, 0)
    rig = Rig(scripted({kernel.Wake: [kernel.Persist(1, (WRITE,))], kernel.DiskFull: [kernel.Persist(2, (later,))]}))
    rig.store.troubles.append(DiskIsFull("full"))
    rig.driver.feed(kernel.Wake())
    rig.loop.settle()
    rig.loop.advance(RETRY_US)
    assert rig.store.persisted == [(WRITE, later)]
    assert kernel.Persisted(2) in rig.core.seen


@pytest.mark.parametrize("trouble", [Broken("fsync failed"), RuntimeError("never seen before")])
def test_a_log_that_cannot_be_written_stops_the_node(trouble: Exception, caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(scripted({kernel.Wake: [kernel.Persist(1, (WRITE,))], kernel.Persisted: [kernel.Send(2, None)]}))
    rig.store.troubles.append(trouble)
    with caplog.at_level(logging.CRITICAL, "quorate.runtime"):
        rig.driver.feed(kernel.Wake())
        rig.loop.settle()
    assert len(rig.failures) == 1
    assert kernel.Persisted not in rig.kinds()
    rig.driver.reachable(2)
    rig.loop.settle()
    assert kernel.Reachable not in rig.kinds(), "a stopped node takes no events"
    assert rig.log == ["persist"]
    assert "the node stops" in caplog.text


def test_a_core_that_raises_stops_the_node(caplog: pytest.LogCaptureFixture) -> None:
    def script(event: Event) -> list[Effect]:
        raise AssertionError("two leaders in one epoch")

    rig = Rig(ScriptedCore(script))
    rig.driver.reachable(2)
    rig.driver.reachable(3)
    rig.loop.settle()
    assert len(rig.core.seen) == 1
    assert len(rig.failures) == 1
    assert "two leaders in one epoch" in caplog.text


def test_halt_stops_the_node_with_its_reason() -> None:
    rig = Rig(scripted({kernel.Reachable: [kernel.Halt("the log diverged"), kernel.Send(2, None)]}))
    rig.driver.reachable(2)
    rig.loop.settle()
    assert rig.failures == ["the log diverged"]
    assert rig.log == []


def test_draining_ends_when_the_core_says_so() -> None:
    rig = Rig(scripted({kernel.Drain: [kernel.Drained()]}))
    drained = []
    rig.driver.drained = lambda: drained.append(1)
    rig.driver.drain()
    assert drained == [1]


def test_notes_become_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    note = kernel.Note("became_leader", {"group": 1, "epoch": 4})
    rig = Rig(scripted({kernel.Wake: [note]}))
    with caplog.at_level(logging.INFO, "quorate.node"):
        rig.driver.feed(kernel.Wake())
    assert caplog.messages == ["became_leader group=1 epoch=4"]


def test_answers_to_writes_that_do_not_fit_a_frame_say_that_it_happened() -> None:
    from quorate.core.requests import Done
    from quorate.transport.oversize import shortened

    body = shortened(Answer(msgspec.Raw(b"\xc0"), 12))
    assert body.index == 12
    assert msgspec.msgpack.decode(body.outcome, type=Done).truncated


def test_the_bulk_of_a_checkpoint_is_done_beside_the_loop() -> None:
    rig = Rig(scripted({kernel.Wake: [kernel.Checkpoint(3)]}))
    done = kernel.Checkpointed(3, Position(1, 9))
    rig.store.events[kernel.Checkpoint] = [done]
    rig.driver.feed(kernel.Wake())
    assert rig.store.performed == [], "the loop has not been held up yet"
    rig.loop.finish_aside()
    assert rig.store.performed_aside == [3]
    assert rig.store.performed == [kernel.Checkpoint(3)]
    assert rig.core.seen[-1] == done
