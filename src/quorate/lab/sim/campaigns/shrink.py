"""Making a failing run small: fewer faults, fewer operations, quieter dials, and still the same broken promise.

A run is a function of its seed, its dials, and of which faults and operations are left out; so a small case is those
four things in a file, and can be run for ever. Faults and operations have random numbers of their own, and leaving one
out changes the others only through what it did. The search is delta debugging (Zeller and Hildebrandt 2002).
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec
from msgspec import Struct

from quorate.lab.sim.campaigns.report import Report
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.scenarios.drawing import QUIET

Item = tuple[int, int]
"""(0, a fault's number) or (a client's number, its operation's)."""


class Case(Struct, frozen=True, kw_only=True):
    """One run, whole: what a file of a small case holds."""

    scenario: str
    seed: int
    core: str = "real"
    storage: str = "sqlite"
    """What the data is kept in."""
    judge: str = ""
    """Which promise it breaks (with this core)."""
    story: str = ""
    """What it shows, for people."""
    dials: Dials
    skip_faults: tuple[int, ...] = ()
    skip_operations: dict[int, tuple[int, ...]] = {}


def load(text: bytes) -> Case:
    """Read a case. Raises msgspec.ValidationError or DecodeError."""
    return msgspec.json.decode(text, type=Case)


def dump(case: Case) -> bytes:
    """A case as readable JSON."""
    return msgspec.json.format(msgspec.json.encode(case), indent=1) + b"\n"


class Shrinker:
    """Shrinks one case. `run` runs a case; at most `budget` runs are spent."""

    def __init__(self, case: Case, run: Callable[[Case], Report], budget: int = 400) -> None:
        self.case = case
        self.report = run(case)
        self._run = run
        self._left = budget

    def shrink(self) -> Case:
        """The smallest case that was found. The first must fail."""
        assert not self.report.ok, "there is nothing to shrink in a run that fails nothing"
        self.case = msgspec.structs.replace(self.case, judge=self.report.judge)
        self._end_early()
        self._quieten()
        self._leave_out()
        self._quieten()
        return self.case

    def _try(self, case: Case) -> bool:
        """Keep this case when it breaks the same promise."""
        if self._left <= 0:
            return False
        self._left -= 1
        report = self._run(case)
        if report.judge != self.case.judge:
            return False
        self.case, self.report = case, report
        return True

    def _with(self, **dials: object) -> Case:
        return msgspec.structs.replace(self.case, dials=msgspec.structs.replace(self.case.dials, **dials))

    def _end_early(self) -> None:
        if self.report.virtual_us < self.case.dials.safety_us:
            self._try(self._with(safety_us=self.report.virtual_us + 1))

    def _quieten(self) -> None:
        for name, values in QUIET.items():
            for value in values:
                now = getattr(self.case.dials, name)
                if now == value or (isinstance(now, int) and isinstance(value, int) and now < value):
                    break
                if self._try(self._with(**{name: value})):
                    break

    def _items(self) -> list[Item]:
        """Everything that still happens."""
        case, report = self.case, self.report
        items = [(0, number) for number in range(1, report.faults + 1) if number not in case.skip_faults]
        for client, begun in report.operations.items():
            skipped = case.skip_operations.get(client, ())
            items += [(client, number) for number in range(1, begun + 1) if number not in skipped]
        return items

    def _leave_out(self) -> None:
        """Try to leave out halves, then quarters, then eighths, until single ones remain."""
        size = max(1, len(self._items()) // 2)
        while size >= 1 and self._left > 0:
            shrunk = False
            for some in list(chunks(self._items(), size)):
                shrunk = self._try(self._without(some)) or shrunk
            if not shrunk or size == 1:
                if size == 1:
                    return
                size //= 2

    def _without(self, some: Sequence[Item]) -> Case:
        faults = {*self.case.skip_faults, *(number for client, number in some if not client)}
        operations = {client: set(numbers) for client, numbers in self.case.skip_operations.items()}
        for client, number in some:
            if client:
                operations.setdefault(client, set()).add(number)
        return msgspec.structs.replace(
            self.case,
            skip_faults=tuple(sorted(faults)),
            skip_operations={client: tuple(sorted(operations[client])) for client in sorted(operations)},
        )

    def size(self) -> tuple[int, int, int]:
        """Steps, faults and operations of the case as it is."""
        items = self._items()
        faults = sum(1 for client, _ in items if not client)
        return self.report.steps, faults, len(items) - faults


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Pieces of at most this size, the last ones first: what came late matters least."""
    for end in range(len(items), 0, -size):
        yield items[max(0, end - size) : end]
