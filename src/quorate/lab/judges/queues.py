"""Queues: `enqueue` an element, `dequeue` one, `drain` all that is left. Nothing is asked of their order.

`judge` (at most once): each element that comes out went in, and no more often than it went in. `judge_total` (at least
once): each element that comes out went in, and what went in before a drain came out; an element may come out again.
"""

from typing import Any

from quorate.lab.judges.history import FAIL, FOREVER, INFO, HistoryError
from quorate.lab.judges.history import OK as DONE
from quorate.lab.judges.jepsen import Op
from quorate.lab.judges.report import BROKEN, OK, UNKNOWN, Anomaly, Report, brief, show
from quorate.lab.judges.values import elements, freeze

TOLD_MAX = 5


class _Queue:
    """What went in and what came out."""

    def __init__(self, ops: list[Op]) -> None:
        self.enqueued: dict[Any, list[Op]] = {}
        self.dequeued: dict[Any, list[Op]] = {}
        self.unsure = 0
        """How many elements dequeues of unknown end can have taken."""
        self.drained = -1
        """When the last drain that ended well began."""
        self.found: dict[str, dict[Any, tuple[Op, ...]]] = {}
        for op in ops:
            self._take(op)

    def _take(self, op: Op) -> None:
        if op.f == "enqueue":
            element = freeze(op.value if op.value is not None else op.result)
            self.enqueued.setdefault(element, []).append(op)
        elif op.f not in {"dequeue", "drain"}:
            raise HistoryError(f"a queue does not know {op.f!r}")
        elif op.end == INFO:
            self.unsure += 1 if op.f == "dequeue" else FOREVER
        elif op.end == DONE:
            out = [op.result] if op.f == "dequeue" else elements(op.result if op.result is not None else [])
            if out is None:
                raise HistoryError(f"not a list of elements: {op!r}")
            for element in out:
                if op.f == "drain" or element is not None:  # nil: there was none
                    self.dequeued.setdefault(freeze(element), []).append(op)
            if op.f == "drain":
                self.drained = max(self.drained, op.start)

    def tell(self, name: str, element: Any, *ops: Op) -> None:
        self.found.setdefault(name, {}).setdefault(element, ops)

    def check_source(self, *, once: bool) -> None:
        """Whether what came out had gone in. Of equal elements the one that came out first takes the one that began to
        go in first."""
        for element, out in self.dequeued.items():
            into = sorted((op for op in self.enqueued.get(element, ()) if op.end != FAIL), key=lambda op: op.start)
            if not into:
                self.tell("unexpected", element, *out[:1], *self.enqueued.get(element, ())[:1])
                continue
            for place, op in enumerate(sorted(out, key=lambda op: op.stop)):
                if place >= len(into):
                    if once:
                        self.tell("duplicated", element, *out[:TOLD_MAX])
                elif into[place if once else 0].start > op.stop:
                    self.tell("dequeued-before-enqueued", element, op, into[place if once else 0])

    def lost(self) -> list[Any]:
        """Elements that had gone in before the last drain, more often than they came out."""
        return [
            element
            for element, into in self.enqueued.items()
            if sum(op.end == DONE and op.stop < self.drained for op in into) > len(self.dequeued.get(element, ()))
        ]

    def report(self, model: str, ops: list[Op], notes: tuple[str, ...] = ()) -> Report:
        if not self.found:
            return Report(model, OK, notes=notes, operations=len(ops))
        anomalies = tuple(
            Anomaly(name, (f"{len(some):,} elements: {brief(list(some))}", *map(show, next(iter(some.values())))))
            for name, some in self.found.items()
        )
        reason = ", ".join(f"{len(some):,} {name}" for name, some in self.found.items())
        return Report(model, BROKEN, reason, (), anomalies, notes=notes, operations=len(ops))


def judge(ops: list[Op]) -> Report:
    """Nothing comes out that did not go in."""
    queue = _Queue(ops)
    queue.check_source(once=True)
    return queue.report("queue", ops)


def judge_total(ops: list[Op]) -> Report:
    """Nothing comes out that did not go in, and what went in comes out."""
    model = "total-queue"
    queue = _Queue(ops)
    queue.check_source(once=False)
    again = sum(len(out) > len(queue.enqueued.get(element, out)) for element, out in queue.dequeued.items())
    notes = (f"{again:,} elements came out more often than they went in",) if again else ()
    lost = queue.lost()
    if len(lost) > queue.unsure:
        for element in lost:
            queue.tell("lost", element, queue.enqueued[element][0])
    if queue.found:
        return queue.report(model, ops, notes)
    if lost:
        reason = f"{len(lost):,} elements are missing, and dequeues of unknown end may have taken them: {brief(lost)}"
        return Report(model, UNKNOWN, reason, operations=len(ops))
    if queue.drained < 0 and any(element not in queue.dequeued for element in queue.enqueued):
        return Report(model, UNKNOWN, "the queue was never drained", notes=notes, operations=len(ops))
    return queue.report(model, ops, notes)
