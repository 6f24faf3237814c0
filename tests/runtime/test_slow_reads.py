"""Reads that run beside the loop: when they end, and what their callers are told."""

from typing import Any

from tests.runtime.stand_ins import ANSWER, RecordingCaller, ScriptedCore
from tests.runtime.test_driver import Rig

from quorate.core import kernel
from quorate.core.auth.users import Login
from quorate.core.calls import Requests
from quorate.core.querying import Query
from quorate.core.requests import Answer, Refused, Running, Status
from quorate.runtime.aside import CARE, READS
from quorate.storage.interface import OverBudget

A, B = 1, 2
ENDS_US = 3_000_000


class SlowRig(Rig):
    """A driver whose every read takes too long for the loop."""

    def __init__(self, ends_us: int = ENDS_US) -> None:
        super().__init__(ScriptedCore(self._query))
        self.store.slow = True
        self.caller = RecordingCaller()
        self.asks = 0
        self.group, self.ends_us = A, ends_us

    def _query(self, event: kernel.Event) -> list[kernel.Effect]:
        requests = event.requests if isinstance(event, Requests) else ()
        return [Query(self.group, request.id, (), self.ends_us) for request in requests]

    def read(self, group: int = A, ends_us: int = ENDS_US) -> Any:
        """Ask for a read; the piece of work that it becomes."""
        self.group, self.ends_us = group, ends_us
        self.asks += 1
        self.driver.asked(self.caller, self.asks, Status(), 1)
        self.loop.settle()
        return self.loop.aside[-1] if self.loop.aside else None

    def begin(self, piece: Any) -> None:
        """A thread has taken it."""
        self.loop.aside.remove(piece)

    def finish(self, piece: Any) -> None:
        """The thread is done with it."""
        try:
            found = piece.work()
        except Exception as error:  # noqa: BLE001 - as those threads do
            found = error
        piece.done(found)
        self.loop.settle()

    @property
    def told(self) -> list[Any]:
        return [body for _, body, _ in self.caller.told]


def ended(rig: SlowRig) -> str:
    """What the one caller was told."""
    (body,) = rig.told
    assert isinstance(body, Refused)
    assert body.error == "StatementTimeout"
    assert not body.retryable, "other nodes would run it for as long"
    return body.message


def test_a_read_runs_in_the_lane_of_reads_for_its_own_database() -> None:
    rig = SlowRig()
    piece = rig.read(B)
    assert (piece.lane, piece.key) == (READS, B)
    rig.driver.feed(kernel.Wake())
    rig.core.script = lambda _event: [kernel.Checkpoint(B)]
    rig.driver.feed(kernel.Wake())
    assert rig.loop.aside[-1].lane == CARE


def test_it_ends_when_its_callers_time_is_nearly_over() -> None:
    rig = SlowRig()
    rig.begin(piece := rig.read())
    rig.loop.advance(ENDS_US - rig.loop.now_us - 1)
    rig.store.outcome = OverBudget("still running")
    assert rig.told == []
    assert rig.caller.mentioned == [(1, Running())], "so that it is not asked of others as well"
    rig.loop.advance(1)
    rig.finish(piece)
    (ending,) = rig.store.endings
    assert ending is not None
    assert ending.until_us == ENDS_US
    assert ending.over
    assert "its caller's deadline" in ended(rig)


def test_it_ends_at_the_nodes_limit_when_its_caller_would_wait_longer() -> None:
    rig = SlowRig()
    rig.driver.slow_reads.limit_us = 500_000
    rig.begin(piece := rig.read())
    rig.loop.advance(500_000)
    rig.store.outcome = OverBudget("still running")
    rig.finish(piece)
    assert "after 0.5 s" in ended(rig)


def test_a_read_in_the_queue_is_taken_out_of_it_when_its_time_is_over() -> None:
    rig = SlowRig()
    piece = rig.read()
    rig.loop.advance(ENDS_US - rig.loop.now_us)
    assert rig.loop.aside == []
    assert "its caller's deadline" in ended(rig)
    assert rig.store.left == [A], "its file may be closed"
    assert not piece.drop()


def test_a_read_whose_caller_has_gone_is_ended_and_others_go_on() -> None:
    rig = SlowRig()
    other = RecordingCaller()
    rig.begin(running := rig.read())
    rig.read()
    gone, rig.caller = rig.caller, other
    kept = rig.read()
    rig.driver.left(gone)
    assert rig.loop.aside == [kept], "the one in the queue never begins"
    assert rig.store.endings == []
    rig.store.outcome = OverBudget("ended")
    rig.finish(running)
    assert rig.store.endings[0] is not None
    assert rig.store.endings[0].over
    rig.store.outcome = bytes(ANSWER)
    rig.loop.finish_aside()
    assert other.told == [(3, Answer(ANSWER, 9, 1, 1), 1)]


def test_a_caller_may_give_up_one_of_its_reads() -> None:
    rig = SlowRig()
    rig.read()
    rig.read()
    rig.driver.left(rig.caller, 1)
    assert len(rig.loop.aside) == 1
    rig.loop.finish_aside()
    assert rig.told[1] == Answer(ANSWER, 9, 1, 1)


def test_a_read_whose_caller_went_before_it_was_known_to_be_slow_never_begins() -> None:
    rig = SlowRig()
    rig.caller.gone = True
    assert rig.read() is None
    assert rig.store.left == [A]
    assert len(rig.told) == 1, "what is owed is told"


def test_what_comes_in_time_is_the_answer_and_the_end_of_it() -> None:
    rig = SlowRig()
    rig.begin(piece := rig.read())
    rig.finish(piece)
    rig.loop.advance(120_000_000)
    assert rig.told == [Answer(ANSWER, 9, 1, 1)]


def test_stopping_ends_what_is_running() -> None:
    rig = SlowRig()
    rig.begin(piece := rig.read())
    rig.driver.stop()
    rig.finish(piece)
    assert rig.store.endings[0] is not None
    assert rig.store.endings[0].over
    assert rig.told == []


def test_a_user_whose_reads_have_run_for_as_long_as_they_may_is_told_when_to_come_back() -> None:
    rig = SlowRig()
    rig.caller.login = Login("ann")
    rig.driver.slow_reads.times.most_us = 1
    rig.begin(piece := rig.read())
    rig.finish(piece)
    rig.driver.slow_reads.times.ran("ann", 1_000, rig.driver.slow_reads._clock())
    assert rig.read() is None
    refused = rig.told[-1]
    assert isinstance(refused, Refused)
    assert (refused.error, refused.retryable) == ("Overloaded", True)
    rig.caller.login = Login("bob")
    assert rig.read() is not None
