"""What the clients of one run were told, and what must therefore be in the tables at the end.

Every write has a token and an end: done, failed (it did not happen) or unsure. Registers go to the
linearizability judge; counters and marks are added up, which is what shows a write that took effect twice.
"""

from typing import Any

from msgspec import Struct

from quorate.lab.judges.history import FAIL, INFO, OK, History
from quorate.lab.judges.linearizability import BROKEN, UNKNOWN, Budget, describe, judge
from quorate.lab.judges.models import Register
from quorate.lab.sim.engine.world import Violation, World

LINEARIZABILITY = "linearizability"
EXACTLY_ONCE = "exactly once"
ACKNOWLEDGED_LOST = "acknowledged write lost"
ATOMICITY = "atomicity"
SAME_ANSWER = "same answer"
TRUE_ANSWER = "true answer"

BUDGET = Budget(steps=300_000, configurations=150_000)


class Sums(Struct):
    """What was told of one counter, or of the set of marks."""

    done: int = 0
    unsure: int = 0


class Ledger:
    """The account of one run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.history = History()
        self.counters: dict[tuple[str, str], Sums] = {}
        self.marks: dict[tuple[str, int], str] = {}
        """(database, mark) -> how its insertion ended."""
        self.values: dict[tuple[str, str], set[int]] = {}
        """Every value that anybody tried to write to a register."""
        self.acknowledged: dict[str, list[str]] = {}
        """Database -> the tokens of writes that were told to be done."""
        self.done_at: dict[str, int] = {}
        """Database -> when a write was last acknowledged."""
        self.loose: set[str] = set()
        """Databases that had `async` at some time: what they lose is accounted for by `tails`."""
        self.longest_gap_us = 0
        self._answered_us = -1
        self._value = 0

    def next_value(self) -> int:
        """A value that nothing else writes."""
        self._value += 1
        return self._value

    def answered(self) -> None:
        """An operation succeeded now (or the safety phase ends)."""
        now_us = self._world.now_us
        if self._answered_us >= 0:
            self.longest_gap_us = max(self.longest_gap_us, now_us - self._answered_us)
        self._answered_us = now_us

    def counter(self, database: str, key: str) -> Sums:
        return self.counters.setdefault((database, key), Sums())

    def judge(self) -> None:
        """Every register, by its history alone. Raises Violation; a search that gives up is counted."""
        kept = [one for one in self.history if one.key.partition(".")[0] not in self.loose]
        verdict = judge(History(kept), Register(0), BUDGET)
        if verdict.verdict == BROKEN:
            raise Violation(LINEARIZABILITY, "\n".join(describe(verdict)))
        if verdict.verdict == UNKNOWN:
            self._world.mark("judge gave up")
        else:
            self._world.mark("histories judged")

    def check_tables(self, database: str, tables: dict[str, dict[Any, Any]], *, loose: bool = False) -> None:
        """What a replica holds in the end, against what the clients were told. `loose`: acknowledged writes may have
        been lost, and those that were cancelled too, so that only what holds without them is looked at."""
        for (name, key), sums in sorted(self.counters.items()):
            if name != database:
                continue
            found = tables["counters"].get(key, 0)
            if not loose and not sums.done <= found <= sums.done + sums.unsure:
                text = (
                    f"{database}.{key} is {found}: {sums.done} increments were acknowledged, {sums.unsure} are unsure"
                )
                raise Violation(EXACTLY_ONCE, text)
        for (name, mark), end in sorted(self.marks.items()):
            if name != database or loose:
                continue
            if end == OK and mark not in tables["marks"]:
                raise Violation(ACKNOWLEDGED_LOST, f"mark {mark} of {database} was acknowledged and is not there")
            if end == FAIL and mark in tables["marks"]:
                raise Violation(TRUE_ANSWER, f"mark {mark} of {database} was told to have failed, and is there")
        if len(set(tables["pairs"].values())) > 1:
            raise Violation(ATOMICITY, f"the two halves of the pair in {database} differ: {tables['pairs']}")


ENDS = (OK, FAIL, INFO)
