"""A client history as a diagram: a lane for each process, a bar for each call, and what is wrong marked.

The judges tell their witness in lines that name a call by its moments and its process; those calls are marked.
"""

import re
from collections.abc import Iterable, Sequence

from quorate.lab.diagram.model import ALL, SPAN, UNENDED, Diagram, Event, Lane, Verdict, newest
from quorate.lab.judges.history import FOREVER, INFO
from quorate.lab.judges.jepsen import Op
from quorate.lab.judges.report import BROKEN, Report
from quorate.lab.judges.transactions import transaction

LIMIT = 10_000
LANES_MAX = 40
"""With more processes than this, those that do not overlap share lanes."""
TEXT_LIMIT = 200

_WITNESS = re.compile(r"(\d+) *\.\. *(?:\d+|\.\.\.) *process (\S+):")


def tell(ops: Sequence[Op], report: Report, title: str, limit: int = LIMIT, again: str = "") -> Diagram:
    """The history, with what the judge found in it."""
    places, names = _lanes(ops)
    timed = bool(ops) and all(op.time_start >= 0 for op in ops)
    guilty = _guilty(ops, report)
    events = [_event(op, places[op.number], op.number in guilty, timed=timed) for op in ops]
    begin = min((event.time for event in events), default=0)
    if timed:  # recorded times count from anywhere; readers count from the first call
        for event in events:
            event.time -= begin
            event.until = event.until if event.until == UNENDED else event.until - begin
        begin = 0
    end = max((max(event.time, event.until) for event in events), default=1)
    diagram = Diagram(title, [Lane(name, "client") for name in names], events, begin, end, "us" if timed else "step")
    diagram.facts = {
        "model": report.model,
        "verdict": report.verdict,
        "calls": f"{len(ops):,}",
        "processes": f"{len({str(op.process) for op in ops}):,}",
    }
    diagram.again = again
    if report.verdict == BROKEN:
        marked = [event for event in events if event.marked]
        last = max(marked, key=lambda event: max(event.time, event.until), default=None)
        moment = end if last is None else max(last.time, last.until)
        diagram.verdict = Verdict(report.model, _story(report), moment, ALL)
    return newest(diagram, limit)


def _event(op: Op, lane: int, guilty: bool, *, timed: bool) -> Event:
    if timed:  # Jepsen counts nanoseconds
        time, until = int(op.time_start) // 1000, int(op.time_stop) // 1000 if op.time_stop >= 0 else UNENDED
    else:
        time, until = max(0, op.start), op.stop if op.stop < FOREVER else UNENDED
    if op.end == INFO:
        until = UNENDED
    return Event(
        time, lane, op.f, _text(op), SPAN, until=until if until == UNENDED else max(time, until), fate=op.end,
        marked=guilty,
    )  # fmt: skip


def _text(op: Op) -> str:
    key = "" if op.key is None else f" {op.key}"
    asked = "" if op.value is None else f" {op.value}"
    told = "" if op.result is None or op.result == op.value else f" → {op.result}"
    text = f"{op.f}{key}{asked}{told}"
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"


def _lanes(ops: Sequence[Op]) -> tuple[list[int], list[str]]:
    """For each operation its lane, and the lanes' names."""
    processes = list(dict.fromkeys(str(op.process) for op in ops))
    processes.sort(key=lambda name: (len(name), name))
    if len(processes) <= LANES_MAX:
        number = {name: place for place, name in enumerate(processes)}
        return [number[str(op.process)] for op in ops], [f"process {name}" for name in processes]
    free: list[int] = []  # when each lane's newest process has made its last call
    last = {str(op.process): (op.stop if op.end != INFO else op.start) for op in ops}
    lane_of: dict[str, int] = {}
    for op in sorted(ops, key=lambda op: op.start):
        name = str(op.process)
        if name not in lane_of:
            place = next((place for place, until in enumerate(free) if until < op.start), len(free))
            free[place : place + 1] = [last[name]]
            lane_of[name] = place
    return [lane_of[str(op.process)] for op in ops], [f"lane {number + 1}" for number in range(len(free))]


def _guilty(ops: Iterable[Op], report: Report) -> set[int]:
    lines = [*report.witness, *(line for anomaly in report.anomalies for line in anomaly.story)]
    named = {found.groups() for line in lines for found in _WITNESS.finditer(line)}
    told = {line.partition(" = ")[2] for line in lines if " = " in line}
    return {
        op.number for op in ops if (str(op.start), str(op.process)) in named or (told and f"{transaction(op)}" in told)
    }


def _story(report: Report) -> str:
    lines = [report.reason or "the history is impossible", *report.witness]
    for anomaly in report.anomalies:
        lines += [anomaly.name, *(f"  {line}" for line in anomaly.story)]
    return "\n".join(lines)
