"""Guarantees to one session (Terry and others 1994): a session is a process.

read-your-writes: a read sees the session's own earlier writes, or newer. monotonic-reads: never older than
what it read before. monotonic-writes: whoever saw a write sees the same session's earlier writes, or newer.
writes-follow-reads: whoever saw a write sees what its session had read before it, or newer.
consistent-prefix: what one read shows of several keys was there together at some point of the one log.

The order of versions is that of their writes in real time, as far as those did not overlap, or given (see
`versions`). Beyond that each guarantee that was promised constrains it, and a circle of constraints breaks
the promise.
"""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from quorate.lab.judges.history import INFO
from quorate.lab.judges.history import OK as DONE
from quorate.lab.judges.jepsen import Op
from quorate.lab.judges.report import BROKEN, OK, Anomaly, Report, show
from quorate.lab.judges.versions import BEFORE_ALL, Deed, Rank, Story

GUARANTEES = ("read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads")
RYW, MR, MW, WFR = GUARANTEES
PREFIX = "consistent-prefix"
TOLD_MAX = 5

Floor = dict[Any, tuple[float, Deed]]
"""key -> (the rank below which no read may be, the operation that made it so)."""


def judge(ops: list[Op], promised: Iterable[str] = GUARANTEES, order: str = "auto") -> Report:
    """The verdict on the guarantees that were promised."""
    promised = tuple(promised)
    story = Story(ops)
    model = promised[0] if len(promised) == 1 else "sessions"
    rank = story.ranks(order)
    found: list[Anomaly] = []
    notes = ["the order of versions is not known; it is constrained by what sessions did"] if rank is None else []
    if rank is not None:
        found += _Watch(story, rank, promised).run()
    if not found:
        found += _by_constraints(story, promised)
    if not found:
        return Report(model, OK, notes=tuple(notes), operations=len(ops))
    counts: dict[str, int] = {}
    told = []
    for one in found:
        counts[one.name] = counts.get(one.name, 0) + 1
        if counts[one.name] <= TOLD_MAX:
            told.append(one)
    reason = ", ".join(f"{name} {count:,} times" for name, count in counts.items())
    return Report(model, BROKEN, reason, (), tuple(told), notes=tuple(notes), operations=len(ops))


class _Session:
    """What one session did and must see."""

    def __init__(self) -> None:
        self.written: list[tuple[Any, Any, Deed]] = []
        self.read: list[tuple[Any, Any, Deed]] = []
        self.floors: dict[str, Floor] = {name: {} for name in GUARANTEES}
        self.taken: dict[str, dict[Any, int]] = {MW: {}, WFR: {}}
        """How far another session's log of writes or reads has already been made a floor here."""


class _Watch:
    """One pass over the history, when the order of versions is known."""

    def __init__(self, story: Story, rank: Rank, promised: tuple[str, ...]) -> None:
        self.story = story
        self.rank = rank
        self.promised = promised
        self.sessions: dict[Any, _Session] = {}
        self.before: dict[tuple[Any, Any], tuple[Any, int, int]] = {}
        """(key, version) -> its session, how many writes and how many reads that had done before."""
        self.found: list[Anomaly] = []

    def run(self) -> list[Anomaly]:
        for deed in self.story.deeds:
            session = self.sessions.setdefault(deed.session, _Session())
            for key, version in deed.writes:
                self.before[key, version] = (deed.session, len(session.written), len(session.read))
                session.written.append((key, version, deed))
            for key, version in deed.reads:
                session.read.append((key, version, deed))
        self.sessions_again = {name: _Session() for name in self.sessions}
        for deed in self.story.deeds:
            self._deed(deed)
        return self.found

    def _deed(self, deed: Deed) -> None:
        session = self.sessions_again[deed.session]
        floors = session.floors
        for name in (MW, WFR):
            if name in self.promised:
                for key, version in deed.reads:
                    self._inherit(session, name, key, version, deed)
        own = set(deed.writes)
        for name in self.promised:
            for key, version in deed.reads:
                floor = floors[name].get(key)
                place = self.rank(key, version)
                if floor is not None and place is not None and place[1] < floor[0] and (key, version) not in own:
                    self._tell(name, deed, key, version, floor[1])
        for key, version in deed.reads:
            self._raise(floors[MR], key, version, deed)
        for name, past in ((MW, RYW), (WFR, MR)):
            for key, version in deed.writes:
                floor = floors[past].get(key)
                place = self.rank(key, version)
                if name in self.promised and floor is not None and place is not None and place[1] < floor[0]:
                    self._tell(name, deed, key, version, floor[1])
        if deed.op.end == DONE:
            for key, version in deed.writes:
                self._raise(floors[RYW], key, version, deed)

    def _raise(self, floor: Floor, key: Any, version: Any, deed: Deed) -> None:
        place = self.rank(key, version)
        if place is not None and (key not in floor or place[0] > floor[key][0]):
            floor[key] = (place[0], deed)

    def _inherit(self, session: _Session, name: str, key: Any, version: Any, _deed: Deed) -> None:
        """Seeing a version means having to see what it depends on, and what that depends on."""
        waiting = [(key, version)]
        taken = session.taken[name]
        while waiting:
            origin = self.before.get(waiting.pop())
            if origin is None:
                continue
            process, writes, reads = origin
            log = self.sessions[process].written if name == MW else self.sessions[process].read
            count = writes if name == MW else reads
            for place in range(taken.get(process, 0), count):
                other_key, other_version, other = log[place]
                if other.op.end == INFO:
                    continue
                self._raise(session.floors[name], other_key, other_version, other)
                waiting.append((other_key, other_version))
            taken[process] = max(taken.get(process, 0), count)

    def _tell(self, name: str, deed: Deed, key: Any, version: Any, cause: Deed) -> None:
        verb = "wrote" if (key, version) in deed.writes else "read"
        story = (
            show(cause.op),
            show(deed.op),
            f"the second {verb} {key!r} as {version!r}, older than the first allows",
        )
        self.found.append(Anomaly(name, story))


def _by_constraints(story: Story, promised: tuple[str, ...]) -> list[Anomaly]:
    """What each session did in turn, as "this version is not newer than that", and the circles of that."""
    edges: dict[Any, dict[Any, dict[Any, tuple[str, Deed, Deed]]]] = {}
    last: dict[tuple[Any, Any], dict[str, tuple[Any, Deed]]] = {}
    for deed in story.deeds:
        if deed.op.end != DONE:
            continue
        for kind, pairs in (("r", deed.reads), ("w", deed.writes)):
            for key, version in pairs:
                past = last.setdefault((deed.session, key), {})
                for name, earlier, now in ((RYW, "w", "r"), (MR, "r", "r"), (MW, "w", "w"), (WFR, "r", "w")):
                    if now == kind and earlier in past and name in promised and past[earlier][0] != version:
                        before, cause = past[earlier]
                        edges.setdefault(key, {}).setdefault(before, {}).setdefault(version, (name, cause, deed))
                past[kind] = (version, deed)
    found = []
    for key, later in edges.items():
        circle = _circle(later)
        if circle:
            labels = [later[one][other] for one, other in circle if one is not None]
            names = [name for name, _, _ in labels]
            worst = next(name for name in (MR, RYW, WFR, MW) if name in names)
            text = [f"{key!r}: {one!r} is not newer than {other!r}" for one, other in circle]
            witness = dict.fromkeys(show(deed.op) for _, cause, deed in labels for deed in (cause, deed))
            found.append(Anomaly(worst, (*witness, *text)))
    return found


def _circle(later: dict[Any, dict[Any, Any]]) -> list[tuple[Any, Any]]:
    """Edges of a circle. The version before all writes comes before every other one."""
    for version, after in later.items():
        if version is not None and None in after:
            return [(version, None)]
    done: set[Any] = set()
    for root in later:
        path: list[Any] = [root]
        rests = [iter(later.get(root, ()))]
        on_path = {root}
        while path:
            for after in rests[-1]:
                if after in on_path:
                    trail = [*path[path.index(after) :], after]
                    return list(pairwise(trail))
                if after not in done:
                    path.append(after)
                    on_path.add(after)
                    rests.append(iter(later.get(after, ())))
                    break
            else:
                done.add(path[-1])
                on_path.discard(path.pop())
                rests.pop()
    return []


def judge_prefix(ops: list[Op], order: str = "auto") -> Report:
    """Each read of several keys shows one prefix of the log. The log is the order of writes in real time, as
    far as they did not overlap, or that of their versions if these are numbers over all keys."""
    story = Story(ops)
    rank = (story.ranks(order) if order == "numbers" and not story.lists else None) or story.interval
    logs: dict[Any, tuple[list[float], list[tuple[float, Any]]]] = {}
    ends: dict[Any, list[tuple[float, float, Any]]] = {}
    for key, version in story.writers:
        low, high = rank(key, version) or (BEFORE_ALL, BEFORE_ALL)
        ends.setdefault(key, []).append((high, low, version))
    for key, line in ends.items():
        line.sort(key=lambda each: each[:2])
        newest: tuple[float, Any] = (BEFORE_ALL, None)
        so_far = []
        for _, low, version in line:
            newest = max(newest, (low, version), key=lambda each: each[0])
            so_far.append(newest)
        logs[key] = ([high for high, _, _ in line], so_far)
    found = [one for deed in story.deeds for one in _torn(story, rank, logs, deed)]
    if not found:
        return Report(PREFIX, OK, operations=len(ops))
    reason = f"{len(found):,} reads show no prefix of the log"
    return Report(PREFIX, BROKEN, reason, (), tuple(found[:TOLD_MAX]), operations=len(ops))


def _torn(
    story: Story, rank: Rank, logs: dict[Any, tuple[list[float], list[tuple[float, Any]]]], deed: Deed
) -> list[Anomaly]:
    """What this read shows without what came before it, or with it."""
    own = set(deed.writes)
    latest, shown = BEFORE_ALL, ""
    with_it: dict[Any, tuple[float, Any]] = {}  # what was written in one operation with what is shown
    reads = [pair for pair in deed.reads if pair not in own]
    for key, version in reads:
        if version is None:
            continue
        place = rank(key, version)
        writer = story.writers.get((key, version))
        if place is None or writer is None:
            return [Anomaly("unwritten", (show(deed.op), f"nobody wrote {key!r} as {version!r}"))]
        if writer.op.start > deed.op.stop:
            return [Anomaly("future", (show(deed.op), show(writer.op), f"read {key!r} before it was written"))]
        if place[0] > latest:
            latest, shown = place[0], f"it shows {key!r} as {version!r}"
        for other, value in writer.writes:
            low = (rank(other, value) or (BEFORE_ALL, 0))[0]
            if low > with_it.get(other, (BEFORE_ALL, None))[0]:
                with_it[other] = (low, value)
    for key, version in reads:
        place = rank(key, version)
        highs, newest = logs.get(key, ([], []))
        before = bisect_left(highs, latest)
        needed = newest[before - 1] if before else (BEFORE_ALL, None)
        needed = max(needed, with_it.get(key, needed), key=lambda each: each[0])
        if place is not None and place[1] < needed[0]:
            text = f"and {key!r} as {version!r}, not as {needed[1]!r}, which was there by then"
            return [Anomaly(PREFIX, (show(deed.op), shown, text))]
    return []
