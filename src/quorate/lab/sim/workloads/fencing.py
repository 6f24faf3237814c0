"""Calls that commit once (`run_transaction` with a token), for the judge: which attempts there were, what each caller
was told, and what is there in the end.

A name stands for one effect, however many processes call with it, and however many attempts each of them makes. What is
held: the effect is there once; every answer names the same attempt; once an attempt has begun, no lower one commits; a
call returns what its function gave in the attempt that was committed, or None where that was another call's; and a call
that fails, but for MaybeDone, has left nothing.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from quorate import errors
from quorate.core.requests import Cancelled, Done, WriteOutcome
from quorate.core.scripts import Attempted
from quorate.core.statements import Failed, Statement
from quorate.lab.sim.engine.world import Violation, World
from quorate.lab.sim.workloads.ledger import ACKNOWLEDGED_LOST, EXACTLY_ONCE, SAME_ANSWER, TRUE_ANSWER

FENCING = "fencing"
FAILURES = (errors.SerializationFailure.__name__, errors.Cancelled.__name__)
"""With which the COMMIT of an attempt may fail: another transaction was first, or a higher attempt."""

TABLES = (
    "CREATE TABLE effects(mark INTEGER PRIMARY KEY, name TEXT NOT NULL, place INTEGER NOT NULL) STRICT",
    "CREATE TABLE places(id INTEGER PRIMARY KEY, taken INTEGER NOT NULL) STRICT",
    "INSERT INTO places VALUES (1, 0)",
)
"""Made with the other tables of a database. Each effect takes the next place, so that any two of them meet."""
DUMP = (Statement("SELECT mark, name, place FROM effects ORDER BY place"), Statement("SELECT taken FROM places"))
"""What is looked at in the end."""


class Call:
    """One call of `run_transaction`, by one process."""

    __slots__ = ("ended", "error", "given", "run", "sent", "value")

    def __init__(self, run: "NamedRun") -> None:
        self.run = run
        self.given: int | None = None
        """The mark that its function wrote last."""
        self.sent: dict[int, int] = {}
        """Of each attempt whose COMMIT was sent, the mark that it writes."""
        self.ended = False
        self.value: int | None = None
        """What it returned."""
        self.error: errors.Error | None = None
        """What it raised."""


class NamedRun:
    """All calls under one name."""

    __slots__ = ("asked", "calls", "cancelled", "highest", "name", "numbers", "returned", "settling", "winner")

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: list[Call] = []
        self.numbers: set[int] = set()
        """Those of the attempts that somebody was told to have begun."""
        self.highest = 0
        self.winner = 0
        """The attempt that somebody was told to be committed."""
        self.asked = False
        """Somebody has asked for its outcome."""
        self.cancelled = False
        """Somebody was told that it never will be done."""
        self.returned = False
        """A call has returned: it need not be asked about."""
        self.settling = False
        """Somebody calls with it to find out, when all faults have ended."""

    @property
    def settled(self) -> bool:
        """Somebody was told how it ends."""
        return bool(self.winner) or self.cancelled

    def call(self) -> Call:
        """Another call begins."""
        self.calls.append(Call(self))
        return self.calls[-1]

    def heard(self, outcome: WriteOutcome, before: "Before", *, commits: bool) -> None:
        """Judge what a node answered to a COMMIT, or to the beginning of an attempt or the question for the outcome."""
        if isinstance(outcome, Done):
            if outcome.results:
                self._committed(int(outcome.results[0].rows[0][0]))  # type: ignore[arg-type]
        elif isinstance(outcome, Cancelled):
            if self.winner or not self.asked:
                raise Violation(TRUE_ANSWER, f"{self.name} was told to be cancelled: attempt {self.winner}")
            self.cancelled = True
        elif isinstance(outcome, Attempted):
            self._begun(outcome.attempt, before)
        elif not (commits and isinstance(outcome, Failed) and outcome.error in FAILURES):
            raise Violation(TRUE_ANSWER, f"an attempt of {self.name} was told {outcome!r}")

    def _committed(self, attempt: int) -> None:
        if self.cancelled or self.winner not in (0, attempt):
            told = "that it is cancelled" if self.cancelled else f"that attempt {self.winner} is committed"
            raise Violation(SAME_ANSWER, f"of {self.name} it was told {told}, and then that attempt {attempt} is")
        if attempt < self.highest:
            text = f"attempt {attempt} of {self.name} was committed after attempt {self.highest} had begun"
            raise Violation(FENCING, text)
        if not any(attempt in call.sent for call in self.calls):
            raise Violation(TRUE_ANSWER, f"attempt {attempt} of {self.name} is committed, which nobody has sent")
        self.winner = attempt

    def _begun(self, attempt: int, before: "Before") -> None:
        if before.settled:
            raise Violation(FENCING, f"another attempt of {self.name} has begun after its end was told")
        if attempt in self.numbers or attempt <= before.highest:
            raise Violation(FENCING, f"attempt {attempt} of {self.name} has begun twice, or after a higher one")
        if self.winner and attempt > self.winner:
            raise Violation(FENCING, f"attempt {attempt} of {self.name} has begun, and {self.winner} is committed")
        self.numbers.add(attempt)
        self.highest = max(self.highest, attempt)


class Before:
    """What had been told of a name when something was sent."""

    __slots__ = ("highest", "settled")

    def __init__(self, run: NamedRun) -> None:
        self.settled = run.settled
        self.highest = run.highest


class NamedRuns:
    """The account of all calls of one database."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._runs: list[NamedRun] = []
        self._marks = 0

    def new(self) -> NamedRun:
        """A name that nobody has used."""
        self._runs.append(NamedRun(f"run-{len(self._runs) + 1}"))
        return self._runs[-1]

    def __iter__(self) -> Iterator[NamedRun]:
        return iter(self._runs)

    def next_mark(self) -> int:
        """A mark that nothing else writes."""
        self._marks += 1
        return self._marks

    def judge(self, found: Iterable[Done]) -> None:
        """What every caller was told, against what each replica holds in the end. Raises Violation."""
        for each in found:
            self._check([tuple(row) for row in each.results[0].rows], each.results[1].rows[0][0])
            self._world.mark("runs judged")

    def _check(self, effects: list[tuple[Any, ...]], taken: Any) -> None:
        places = [place for _, _, place in effects]
        if places != list(range(1, len(effects) + 1)) or taken != len(effects):
            raise Violation(EXACTLY_ONCE, f"{len(effects)} effects have the places {places}, and {taken} are taken")
        marks: dict[str, list[int]] = {}
        for mark, name, _ in effects:
            marks.setdefault(name, []).append(mark)
        for run in self._runs:
            self._check_run(run, marks.get(run.name, []))

    def _check_run(self, run: NamedRun, marks: list[int]) -> None:
        if len(marks) > 1:
            raise Violation(EXACTLY_ONCE, f"{run.name} was done {len(marks)} times")
        mark = marks[0] if marks else None
        if run.winner and mark is None:
            raise Violation(ACKNOWLEDGED_LOST, f"attempt {run.winner} of {run.name} was committed, and is not there")
        if run.winner and all(call.sent.get(run.winner) != mark for call in run.calls):
            raise Violation(TRUE_ANSWER, f"attempt {run.winner} of {run.name} did not write {mark}, which is there")
        if run.cancelled and mark is not None:
            raise Violation(TRUE_ANSWER, f"{run.name} was told to be cancelled, and is done")
        for call in run.calls:
            if call.ended:
                self._check_call(call, mark)

    def _check_call(self, call: Call, mark: int | None) -> None:
        own = mark is not None and mark in call.sent.values()
        if call.error is None:
            if mark is None:
                raise Violation(ACKNOWLEDGED_LOST, f"a call of {call.run.name} has returned, and nothing is there")
            if call.value != (mark if own else None):
                text = f"a call of {call.run.name} returned {call.value}, and what is there is {mark}"
                raise Violation(SAME_ANSWER, f"{text}, which it wrote" if own else text)
        elif own and not isinstance(call.error, errors.MaybeDone):
            raise Violation(TRUE_ANSWER, f"a call of {call.run.name} failed with {call.error!r}, and is done")
