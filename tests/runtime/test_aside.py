"""The threads beside the loop: lanes, databases that take turns, and the end."""

import queue
import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from quorate.runtime.aside import CARE, READS, Aside

A, B = 1, 2


class Held:
    """Work that ends when the test says so."""

    def __init__(self) -> None:
        self.begun, self.over = threading.Event(), threading.Event()

    def __call__(self) -> "Held":
        self.begun.set()
        assert self.over.wait(10)
        return self


class Beside:
    """Lanes whose results arrive in a queue."""

    def __init__(self, **widths: tuple[int, int]) -> None:
        self.found: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.aside = Aside(self._call, {"care": (1, 1), **widths})
        self._held: list[Held] = []

    def _call(self, done: Callable[[object], None], found: object) -> None:
        done(found)

    def run(self, work: Callable[[], object], lane: str = READS, key: int = A):  # type: ignore[no-untyped-def]
        return self.aside.run(work, self.found.put, lane, key)

    def hold(self, key: int = A) -> Held:
        """A piece that has a thread until it is let go."""
        held = Held()
        self._held.append(held)
        self.run(held, key=key)
        return held

    def result(self) -> object:
        return self.found.get(timeout=10)

    def close(self) -> None:
        for held in self._held:
            held.over.set()
        assert self.aside.stop(10)


@pytest.fixture
def on_close():  # type: ignore[no-untyped-def]
    with ExitStack() as stack:
        yield stack


def beside(stack: ExitStack, **widths: tuple[int, int]) -> Beside:
    made = Beside(**widths)
    stack.callback(made.close)
    return made


def test_one_thread_does_one_thing_after_the_other_and_hands_errors_over(on_close: ExitStack) -> None:
    one = beside(on_close, reads=(1, 1))
    one.run(lambda: 1)
    one.run(lambda: 1 // 0)
    one.run(lambda: threading.current_thread().name)
    assert one.result() == 1
    assert isinstance(one.result(), ZeroDivisionError)
    assert one.result() == "quorate-reads-1"


def test_a_lane_waits_for_no_other(on_close: ExitStack) -> None:
    two = beside(on_close, reads=(1, 1))
    assert two.hold().begun.wait(10)
    two.run(lambda: "a checkpoint", CARE)
    assert two.result() == "a checkpoint"


def test_a_database_with_slow_work_leaves_threads_to_the_others(on_close: ExitStack) -> None:
    four = beside(on_close, reads=(4, 2))
    slow = [four.hold(A) for _ in range(5)]
    assert slow[0].begun.wait(10)
    assert slow[1].begun.wait(10)
    for number in range(3):
        four.run(lambda number=number: number, key=B)  # type: ignore[misc]
        assert four.result() == number
    assert not any(held.begun.is_set() for held in slow[2:])
    slow[0].over.set()
    assert four.result() is slow[0]
    assert slow[2].begun.wait(10)


def test_databases_take_turns(on_close: ExitStack) -> None:
    one = beside(on_close, reads=(1, 1))
    first = one.hold(A)
    assert first.begun.wait(10)
    for number in range(3):
        one.run(lambda number=number: (A, number), key=A)  # type: ignore[misc]
    one.run(lambda: (B, 0), key=B)
    first.over.set()
    assert [one.result() for _ in range(5)] == [first, (A, 0), (B, 0), (A, 1), (A, 2)]


def test_what_is_taken_out_of_the_queue_never_runs(on_close: ExitStack) -> None:
    one = beside(on_close, reads=(1, 1))
    first = one.hold()
    assert first.begun.wait(10)
    dropped = one.run(lambda: "dropped")
    one.run(lambda: "last")
    assert dropped.drop()
    assert not dropped.drop(), "it is there no more"
    first.over.set()
    assert [one.result(), one.result()] == [first, "last"]


def test_work_that_has_begun_is_not_taken_back(on_close: ExitStack) -> None:
    one = beside(on_close, reads=(1, 1))
    held = Held()
    on_close.callback(held.over.set)
    piece = one.run(held)
    assert held.begun.wait(10)
    assert not piece.drop()


def test_the_end_waits_for_what_runs_and_begins_nothing_more(on_close: ExitStack) -> None:
    one = beside(on_close, reads=(1, 1))
    held = one.hold()
    assert held.begun.wait(10)
    one.run(lambda: "never")
    assert not one.aside.stop(0.01), "a piece still runs"
    held.over.set()
    assert one.aside.stop(10)
    assert one.result() is held
    one.run(lambda: "too late")
    assert one.found.empty()
