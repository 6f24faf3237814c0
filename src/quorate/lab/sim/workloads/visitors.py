"""Callers with sessions: they read and write at whatever replica, show what they have seen, and go on on other devices.

Each adds marks and reads all of them. `judges.growing` holds every read to what its session had seen, wherever that
was; reads at `bounded` are held to what had been acknowledged by then.
"""

from typing import Any

from quorate.core.bookmarks import Bookmark, Reached, digest_of
from quorate.core.read_levels import SESSION as LEVEL
from quorate.core.statements import Result, Statement
from quorate.errors import ProgrammingError
from quorate.lab.judges.growing import Acknowledged, Growing, Seen, members
from quorate.lab.judges.history import OK
from quorate.lab.sim.engine.world import Violation, World
from quorate.lab.sim.faults.fault import Dial
from quorate.lab.sim.scenarios.dials import MILLISECOND
from quorate.lab.sim.workloads.operations import Database, Operation, Operations
from quorate.lab.sim.workloads.workload import Workload

SESSION = "session"
BOUNDED_STALENESS = "bounded staleness"
READ = Statement("SELECT id, note FROM marks")
CLUSTER = digest_of("simulated")
DEVICE, ANEW = 0.2, 0.03
"""Chances that what another session has seen is taken over, and that a session ends and another begins."""
READS, WRITES = 0.5, 0.3
"""Of what a session does; the rest are reads at `bounded`."""
BOUNDS_MS = (20, 100, 1_000)
PROCESSES_PER_CLIENT = 1_000_000
CLOCKS_APART = 1.05
"""How much longer a bound may be by true time: clocks drift by up to 2 %."""


class Visit:
    """One session with one database."""

    def __init__(self) -> None:
        self.bookmark = Bookmark()
        self.seen = Seen()

    def begin_anew(self) -> None:
        """What it had seen is lost, and it knows; or somebody else sits down."""
        self.bookmark, self.seen = Bookmark(), Seen()

    def heard(self, shown: Bookmark | None, place: Reached) -> None:
        """A node has answered, that was shown this bookmark."""
        if place.epoch:
            self.bookmark = self.bookmark.moved(shown or Bookmark(), CLUSTER, place)

    def goes_on(self, other: "Visit") -> bool:
        """On this device with what was seen on another; its bookmark comes as a text. False when it is too much."""
        try:
            self.bookmark = Bookmark.parse(str(self.bookmark | other.bookmark))
        except ProgrammingError:
            return False
        self.seen.merge(other.seen)
        return True


class Visitors(Workload):
    """All sessions of one run."""

    dial = Dial("sessions")

    def __init__(self, world: World, skip: tuple[str, ...]) -> None:
        super().__init__(world, skip)
        self._world = world
        self._skip = skip
        self._visits: dict[str, dict[int, Visit]] = {}
        self._sets: dict[str, Growing] = {}
        self._acknowledged: dict[str, Acknowledged] = {}

    def next(self, operations: Operations, process: int, database: Database) -> Operation:
        """What the session of this client does next."""
        rng = operations.rng
        visits = self._visits.setdefault(database.name, {})
        visit = visits.setdefault(process // PROCESSES_PER_CLIENT, Visit())
        if rng.random() < ANEW:
            visit.begin_anew()
        if rng.random() < DEVICE and visit.goes_on(visits[rng.choice(sorted(visits))]):
            self._world.mark("session goes on elsewhere")
        kind = rng.random()
        if kind < WRITES:
            operation = self._write(database, visit, operations.mark(process, database))
        elif kind < WRITES + READS:
            operation = self._read(database, visit)
        else:
            operation = self._read_bounded(database, rng.choice(BOUNDS_MS))
        operation.visit = visit
        return operation

    def _set_of(self, database: Database) -> Growing:
        return self._sets.setdefault(database.name, Growing(one_log=not database.loose))

    def _write(self, database: Database, visit: Visit, operation: Operation) -> Operation:
        (member, *_) = operation.statements[0].sets[0]
        assert isinstance(member, int), "a mark is a number"
        growing, as_mark = self._set_of(database), operation.when_ended
        growing.adds(visit.seen, member)
        acknowledged = self._acknowledged.setdefault(database.name, Acknowledged())

        def ended(end: str, results: Any) -> None:
            as_mark(end, results)
            if end == OK:
                growing.added(visit.seen, member)
                acknowledged.added(member, self._world.now_us)

        operation.kind, operation.when_ended = "session write", ended
        return operation

    def _read(self, database: Database, visit: Visit) -> Operation:
        growing = self._set_of(database)

        def ended(end: str, results: tuple[Result, ...] | None) -> None:
            if end == OK and results:
                growing.one_log = growing.one_log and not database.loose
                state = state_of(results[0])
                twice = len(results[0].rows) != state.bit_count()
                self._judge(
                    SESSION, database, "a read gives a row twice" if twice else growing.reads(visit.seen, state)
                )

        return Operation("session read", database.name, [READ], ended, writes=False, level=LEVEL)

    def _read_bounded(self, database: Database, bound_ms: int) -> Operation:
        earliest_us = self._world.now_us - int(bound_ms * MILLISECOND * CLOCKS_APART)
        needed = self._acknowledged.setdefault(database.name, Acknowledged()).before(earliest_us)

        def ended(end: str, results: tuple[Result, ...] | None) -> None:
            missing = needed & ~state_of(results[0]) if end == OK and results else 0
            if missing and not database.loose:
                text = f"a read at bounded:{bound_ms}ms lacks {members(missing)[:5]}, acknowledged before that"
                self._judge(BOUNDED_STALENESS, database, text)

        level = f"bounded:{bound_ms}ms"
        return Operation("bounded read", database.name, [READ], ended, writes=False, level=level)

    def _judge(self, judge: str, database: "Database", broken: str) -> None:
        if broken and judge not in self._skip:
            raise Violation(judge, f"{database.name}: {broken}")


def state_of(result: Result) -> int:
    """The marks of a read, as a set with a bit for each."""
    state = 0
    for row in result.rows:
        assert isinstance(row[0], int), "a mark is a number"
        state |= 1 << row[0]
    return state
