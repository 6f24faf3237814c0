"""How old a read may be, and whether replicas agree in the end.

Bounded staleness: no read misses more than so many versions that had certainly been written before it
began, nor any that had been written more than so many seconds before. Convergence: once writing has
stopped, the last reads of all processes agree.
"""

from bisect import bisect_right
from typing import Any

from quorate.lab.judges.history import FOREVER
from quorate.lab.judges.history import OK as DONE
from quorate.lab.judges.jepsen import Op
from quorate.lab.judges.report import BROKEN, OK, UNKNOWN, Anomaly, Report, brief, show
from quorate.lab.judges.versions import Deed, Story

MODEL = "bounded-staleness"
TOLD_MAX = 5
TOLD_AS = {
    "stale": "reads older than allowed",
    "unwritten": "reads of what nobody wrote",
    "future": "reads of what was written later",
}


def judge(ops: list[Op], versions: int | None = None, seconds: float | None = None, *, unit: float = 1e-9) -> Report:
    """`unit`: how long the history's unit of time is, in seconds. Without any bound, nothing may be missed."""
    if versions is None and seconds is None:
        versions = 0
    if seconds is not None and any(op.time_start < 0 for op in ops):
        return Report(MODEL, UNKNOWN, "a bound in seconds needs a time in every event", operations=len(ops))
    story = Story(ops)
    writes: dict[Any, list[tuple[int, Deed, Any]]] = {}
    for (key, version), deed in story.writers.items():
        writes.setdefault(key, []).append((deed.op.start, deed, version))
    for line in writes.values():
        line.sort(key=lambda each: each[0])
    starts = {key: [each[0] for each in line] for key, line in writes.items()}
    found: list[Anomaly] = []
    for deed in story.deeds:
        for key, version in deed.reads:
            if version is not None and (key, version) not in story.writers:
                found.append(Anomaly("unwritten", (show(deed.op), f"nobody wrote {key!r} as {version!r}")))
                continue
            if version is not None and story.writers[key, version].op.start > deed.op.stop:
                told = (show(deed.op), show(story.writers[key, version].op), f"read {key!r} before it was written")
                found.append(Anomaly("future", told))
                continue
            since = story.writers[key, version].op.stop if version is not None else -1
            missed = 0
            line = writes.get(key, [])
            for place in range(bisect_right(starts.get(key, []), since), len(line)):
                newer = line[place][1]
                if newer.op.start >= deed.op.start:
                    break
                if newer.op.stop >= deed.op.start or newer.op.end != DONE:
                    continue
                missed += 1
                age = (deed.op.time_start - newer.op.time_stop) * unit
                late = seconds is not None and age > seconds
                if late or (versions is not None and missed > versions):
                    what = f"{age:.3f} seconds before" if late else f"{missed} missed versions or more"
                    text = f"read {key!r} as {version!r}; {line[place][2]!r} had been written: {what}"
                    found.append(Anomaly("stale", (show(newer.op), show(deed.op), text)))
                    break
    if not found:
        return Report(MODEL, OK, operations=len(ops))
    counts = {name: sum(one.name == name for one in found) for name in dict.fromkeys(one.name for one in found)}
    reason = ", ".join(f"{count:,} {TOLD_AS[name]}" for name, count in counts.items())
    return Report(MODEL, BROKEN, reason, (), tuple(found[:TOLD_MAX]), operations=len(ops))


def judge_convergence(ops: list[Op]) -> Report:
    """The last read of every process that began after the last write had ended (or, where a write's end is
    unknown, begun)."""
    story = Story(ops)
    quiet = max(
        (deed.op.stop if deed.op.stop != FOREVER else deed.op.start for deed in story.deeds if deed.writes), default=-1
    )
    last: dict[Any, dict[Any, tuple[Any, Deed]]] = {}
    for deed in story.deeds:
        if deed.op.start > quiet:
            for key, version in deed.reads:
                last.setdefault(key, {})[deed.op.process] = (version, deed)
    found: list[Anomaly] = []
    unsure = any(deed.writes and deed.op.end != DONE for deed in story.deeds)
    compared = 0
    for key, by_process in last.items():
        examples: dict[Any, Deed] = {}
        for version, deed in by_process.values():
            examples.setdefault(version, deed)
            if version is not None and (key, version) not in story.writers:
                found.append(Anomaly("unwritten", (show(deed.op), f"nobody wrote {key!r} as {version!r}")))
        compared += len(by_process) > 1
        if len(examples) > 1:
            found.append(Anomaly("diverged", (*map(show, (deed.op for deed in examples.values())), f"key {key!r}")))
    if found:
        names = [one.name for one in found]
        verdict = UNKNOWN if unsure and set(names) == {"diverged"} else BROKEN
        reason = f"{names.count('diverged'):,} keys differ: {brief([one.story[-1] for one in found])}"
        if verdict == UNKNOWN:
            reason += "; but a write of unknown end may still have taken effect between the reads"
        return Report("convergence", verdict, reason, (), tuple(found[:TOLD_MAX]), operations=len(ops))
    if not compared:
        return Report(
            "convergence", UNKNOWN, "no key was read by two processes after the last write", operations=len(ops)
        )
    return Report("convergence", OK, operations=len(ops))
