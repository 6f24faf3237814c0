"""Sets: `add` one element, `read` all of them.

Neither may a read show what failed, what nobody adds, what is added only later, or anything twice.
`judge` asks no more than that the last read has all that was added. `judge_full` follows each element through every
read: an element that was known to be there (its add had ended well, or a read had shown it) when a read began that did
not show it is lost when no later read shows it, and stale when one does.
"""

from typing import Any

from quorate.lab.judges.history import FAIL, FOREVER, HistoryError
from quorate.lab.judges.history import OK as DONE
from quorate.lab.judges.jepsen import Op
from quorate.lab.judges.report import BROKEN, OK, UNKNOWN, Anomaly, Report, brief, show
from quorate.lab.judges.values import elements, freeze

TOLD_MAX = 5

Adds = dict[Any, list[Op]]
"""Element -> its adds; one that failed or whose end is unknown may have been tried again."""


def _split(ops: list[Op]) -> tuple[Adds, list[tuple[Op, list[Any]]]]:
    """(element -> its adds, reads that ended well with their elements, by time)."""
    adds: Adds = {}
    reads: list[tuple[Op, list[Any]]] = []
    for op in ops:
        if op.f == "add":
            element = freeze(op.value if op.value is not None else op.result)
            adds.setdefault(element, []).append(op)
        elif op.f == "read":
            if op.end == DONE and op.result is not None:
                members = elements(op.result)
                if members is None:
                    raise HistoryError(f"not the elements of a set: {op!r}")
                reads.append((op, [freeze(each) for each in members]))
        else:
            raise HistoryError(f"a set does not know {op.f!r}")
    reads.sort(key=lambda read: read[0].stop)
    return adds, reads


def _known(adds: list[Op]) -> int:
    """Since when an element must be there."""
    return min((op.stop for op in adds if op.end == DONE), default=FOREVER)


def judge(ops: list[Op]) -> Report:
    """Everything added, and nothing else, must be in the last read."""
    adds, reads = _split(ops)
    if not reads:
        return Report("set", UNKNOWN, "the set was never read", operations=len(ops))
    last, shown = reads[-1]
    seen = set(shown)
    found: dict[str, list[Any]] = {}
    for element, some in adds.items():
        if _known(some) < last.start and element not in seen:
            found.setdefault("lost", []).append(element)
    for op, each in reads:
        _odd(op, each, adds, found)
    unsure = sum(1 for element, some in adds.items() if _known(some) == FOREVER and element in seen)
    notes = (f"{unsure:,} adds of unknown end took effect",) if unsure else ()
    return _report("set", ops, found, adds, last, notes)


def _odd(read: Op, shown: list[Any], adds: Adds, found: dict[str, list[Any]]) -> None:
    """Elements that cannot have been there when this read ended, and elements that it shows twice."""
    for element in dict.fromkeys(shown):
        some = adds.get(element)
        if some is None:
            found.setdefault("unexpected", []).append(element)
        elif all(op.end == FAIL for op in some):
            found.setdefault("added-by-a-failure", []).append(element)
        elif all(op.end == FAIL or op.start > read.stop for op in some):
            found.setdefault("added-later", []).append(element)
    if len(set(shown)) < len(shown):
        counts: dict[Any, int] = {}
        for element in shown:
            counts[element] = counts.get(element, 0) + 1
        found.setdefault("duplicated", []).extend(element for element, count in counts.items() if count > 1)


def _report(
    model: str, ops: list[Op], found: dict[str, list[Any]], adds: Adds, last: Op, notes: tuple[str, ...]
) -> Report:
    if not found:
        return Report(model, OK, operations=len(ops), notes=notes)
    anomalies = []
    counts = []
    for name, every in found.items():
        some = list(dict.fromkeys(every))
        counts.append(f"{len(some):,} {name}")
        story = [f"{len(some):,} elements: {brief(some)}"]
        story += [show(adds[element][0]) for element in some[:TOLD_MAX] if element in adds]
        story.append(show(last, limit=100))
        anomalies.append(Anomaly(name, tuple(story)))
    return Report(model, BROKEN, ", ".join(counts), (), tuple(anomalies), notes=notes, operations=len(ops))


class _Life:
    """What is known of one element."""

    __slots__ = ("absent", "known", "present")

    def __init__(self, adds: list[Op]) -> None:
        self.known = _known(adds)
        """The moment since which it must be there, FOREVER while there is none."""
        self.present: Op | None = None
        """The read that began last of those that showed it."""
        self.absent: Op | None = None
        """The read that began last of those that did not, though it was known."""


def judge_full(ops: list[Op], *, allow_stale: bool = False) -> Report:
    """Lost and stale elements, over all reads."""
    adds, reads = _split(ops)
    if not reads:
        return Report("set-full", UNKNOWN, "the set was never read", operations=len(ops))
    lives = {element: _Life(some) for element, some in adds.items() if any(op.end != FAIL for op in some)}
    found: dict[str, list[Any]] = {}
    for op, shown in reads:
        _odd(op, shown, adds, found)
        for element in shown:
            life = lives.get(element)
            if life is None:
                continue
            life.known = min(life.known, op.stop)
            if life.present is None or op.start > life.present.start:
                life.present = op
    _mark_absent(lives, reads)
    return _full_report(ops, adds, lives, found, reads[-1][0], allow_stale=allow_stale)


def _mark_absent(lives: dict[Any, _Life], reads: list[tuple[Op, list[Any]]]) -> None:
    """For each element, the read that began last of those that should have shown it and did not."""
    by_known = sorted(((life.known, place) for place, life in enumerate(lives.values()) if life.known < FOREVER))
    named = list(lives)
    due: set[Any] = set()
    place = 0
    for op, shown in sorted(reads, key=lambda read: read[0].start):
        while place < len(by_known) and by_known[place][0] < op.start:
            due.add(named[by_known[place][1]])
            place += 1
        for element in due.difference(shown):
            lives[element].absent = op


def _full_report(
    ops: list[Op], adds: Adds, lives: dict[Any, _Life], found: dict[str, list[Any]], last: Op, *, allow_stale: bool
) -> Report:
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
    if not found and lives and all(life.present is None for life in lives.values()):
        return Report("set-full", UNKNOWN, "no read can say anything of any element", operations=len(ops))
    return _report("set-full", ops, found, adds, example or last, tuple(notes))
