"""Sets: `add` one element, `read` all of them.

`judge` looks at the last read alone. `judge_full` follows each element through every read: an element that
was known to be there (its add had ended well, or a read had shown it) when a read began that did not show
it is lost when no later read shows it, and stale when one does.
"""

from typing import Any

from quorate.lab.judges.edn import freeze
from quorate.lab.judges.history import FAIL, INFO, HistoryError
from quorate.lab.judges.history import OK as DONE
from quorate.lab.judges.jepsen import Op
from quorate.lab.judges.report import BROKEN, OK, UNKNOWN, Anomaly, Report, brief, show

TOLD_MAX = 5


def _split(ops: list[Op]) -> tuple[dict[Any, Op], list[tuple[Op, list[Any]]]]:
    """(element -> its add, reads that ended well with their elements, by time)."""
    adds: dict[Any, Op] = {}
    reads: list[tuple[Op, list[Any]]] = []
    for op in ops:
        if op.f == "add":
            element = freeze(op.value if op.value is not None else op.result)
            before = adds.get(element)
            if before is None or before.end == FAIL or (before.end == INFO and op.end == DONE):
                adds[element] = op
        elif op.f == "read":
            if op.end == DONE and op.result is not None:
                try:
                    reads.append((op, [freeze(each) for each in op.result]))
                except TypeError as error:
                    raise HistoryError(f"not the elements of a set: {op!r}") from error
        else:
            raise HistoryError(f"a set does not know {op.f!r}")
    reads.sort(key=lambda read: read[0].stop)
    return adds, reads


def judge(ops: list[Op]) -> Report:
    """Everything added, and nothing else, must be in the last read."""
    adds, reads = _split(ops)
    if not reads:
        return Report("set", UNKNOWN, "the set was never read", operations=len(ops))
    last, elements = reads[-1]
    seen = set(elements)
    found: dict[str, list[Any]] = {}
    for element, op in adds.items():
        if op.end == DONE and op.stop < last.start and element not in seen:
            found.setdefault("lost", []).append(element)
        elif op.end == FAIL and element in seen:
            found.setdefault("added-by-a-failure", []).append(element)
    _odd(elements, adds, found)
    notes = _recovered(adds, seen)
    return _report("set", ops, found, adds, last, notes)


def _odd(elements: list[Any], adds: dict[Any, Op], found: dict[str, list[Any]]) -> None:
    """Elements that nobody added, and elements that are there twice."""
    for element in dict.fromkeys(elements):
        if element not in adds:
            found.setdefault("unexpected", []).append(element)
    if len(set(elements)) < len(elements):
        counts: dict[Any, int] = {}
        for element in elements:
            counts[element] = counts.get(element, 0) + 1
        found.setdefault("duplicated", []).extend(element for element, count in counts.items() if count > 1)


def _recovered(adds: dict[Any, Op], seen: set[Any]) -> tuple[str, ...]:
    count = sum(1 for element, op in adds.items() if op.end == INFO and element in seen)
    return (f"{count:,} adds of unknown end took effect",) if count else ()


def _report(
    model: str, ops: list[Op], found: dict[str, list[Any]], adds: dict[Any, Op], last: Op, notes: tuple[str, ...]
) -> Report:
    if not found:
        return Report(model, OK, operations=len(ops), notes=notes)
    anomalies = []
    for name, elements in found.items():
        story = [f"{len(elements):,} elements: {brief(elements)}"]
        story += [show(adds[element]) for element in elements[:TOLD_MAX] if element in adds]
        story.append(show(last, limit=100))
        anomalies.append(Anomaly(name, tuple(story)))
    reason = ", ".join(f"{len(elements):,} {name}" for name, elements in found.items())
    return Report(model, BROKEN, reason, (), tuple(anomalies), notes=notes, operations=len(ops))


class _Life:
    """What is known of one element."""

    __slots__ = ("absent", "known", "op", "present")

    def __init__(self, op: Op) -> None:
        self.op = op
        self.known = op.stop if op.end == DONE else -1
        """The moment since which it must be there, -1 while there is none."""
        self.present: Op | None = None
        """The read that began last of those that showed it."""
        self.absent: Op | None = None
        """The read that began last of those that did not, though it was known."""


def judge_full(ops: list[Op], *, allow_stale: bool = False) -> Report:
    """Lost and stale elements, over all reads."""
    adds, reads = _split(ops)
    if not reads:
        return Report("set-full", UNKNOWN, "the set was never read", operations=len(ops))
    lives = {element: _Life(op) for element, op in adds.items() if op.end != FAIL}
    found: dict[str, list[Any]] = {}
    for op, elements in reads:
        _odd(elements, adds, found)
        for element in elements:
            life = lives.get(element)
            if life is None:
                if element in adds:
                    found.setdefault("added-by-a-failure", []).append(element)
                continue
            if life.known < 0 or op.stop < life.known:
                life.known = op.stop
            if life.present is None or op.start > life.present.start:
                life.present = op
    _mark_absent(lives, reads)
    return _full_report(ops, lives, found, reads[-1][0], allow_stale=allow_stale)


def _mark_absent(lives: dict[Any, _Life], reads: list[tuple[Op, list[Any]]]) -> None:
    """For each element, the read that began last of those that should have shown it and did not."""
    by_known = sorted(((life.known, place) for place, life in enumerate(lives.values()) if life.known >= 0))
    elements = list(lives)
    due: set[Any] = set()
    place = 0
    for op, shown in sorted(reads, key=lambda read: read[0].start):
        while place < len(by_known) and by_known[place][0] < op.start:
            due.add(elements[by_known[place][1]])
            place += 1
        for element in due.difference(shown):
            lives[element].absent = op


def _full_report(
    ops: list[Op], lives: dict[Any, _Life], found: dict[str, list[Any]], last: Op, *, allow_stale: bool
) -> Report:
    found = {name: list(dict.fromkeys(elements)) for name, elements in found.items()}
    never, stale, example = 0, [], None
    for element, life in lives.items():
        if life.absent is None:
            never += life.present is None
        elif life.present is None or life.present.start < life.absent.start:
            found.setdefault("lost", []).append(element)
            example = example or life.absent
        else:
            stale.append(element)
            example = example or life.absent
    notes = [f"{never:,} elements were added, and no read began after that"] if never else []
    if stale and allow_stale:
        notes.append(f"{len(stale):,} elements were missed by a read and came back: {brief(stale)}")
    elif stale:
        found["stale"] = stale
    adds = {element: life.op for element, life in lives.items()}
    if not found and lives and all(life.present is None for life in lives.values()):
        return Report("set-full", UNKNOWN, "no read can say anything of any element", operations=len(ops))
    return _report("set-full", ops, found, adds, example or last, tuple(notes))
