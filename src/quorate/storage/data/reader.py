"""Reading committed state on a connection of its own."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import apsw

from quorate.core.entries import Position
from quorate.core.limits import RESULT_BYTES_MAX
from quorate.core.requests import Done
from quorate.core.scripts import Step
from quorate.core.statements import Failed, Result, Statement
from quorate.sql.classify import READ, SETTING, Shape, shape_of
from quorate.storage.data.connection import INTERNAL, open_reader
from quorate.storage.data.guard import Guard
from quorate.storage.execution.ending import Ending
from quorate.storage.execution.running import NOTHING, Columns, Runner, refuse
from quorate.storage.execution.scripts import as_outcome, read_steps
from quorate.storage.failures import RefusedError, ResultTooLarge, failed_of, raise_if_fatal
from quorate.storage.interface import Broken, OverBudget
from quorate.storage.rows.payload import around_rows, encode
from quorate.storage.versions.among import Among

_STEPS = 1000
"""Instructions of SQLite's machine between two looks at the clock on the loop: about 20 us."""
_STEPS_ASIDE = 10_000_000
"""The same on another thread: some tenths of a second. Each look takes Python's lock, for which the loop then waits,
and for long if the system lets another process run meanwhile. So a read is interrupted when it is to end, and looks
itself only in case the interrupt came between two of its statements."""
_KNOWN_MAX = 1000
_TEXT_MAX = 8192
"""Reads whose columns are kept, encoded: how many, and how long their text may be."""

CHECK = re.compile(r"(?:integrity|quick)_check", re.IGNORECASE)
"""What SQLite answers from what full-text tables remember, however old (`Runner.forget_indexes`)."""


class Reader:
    """One query-only connection. Not safe for two threads at once.

    With `holds`, a read transaction stays open from the second read of one state on: SQLite takes its locks once and
    not for each read, and the columns of a text that was read before cannot have changed. The owner promises to call
    `let_go` after each commit to the file, or reads would go back in time, and before each checkpoint, or the
    write-ahead log could not begin anew. With `aside` it belongs to a thread beside the loop, and only `read_at` is
    used.
    """

    def __init__(
        self,
        path: str,
        clock: Callable[[], int] | None = None,
        *,
        holds: bool = False,
        aside: bool = False,
        vfs: str | None = None,
        versioned: Among | None = None,
    ) -> None:
        self._guard = Guard()
        self._connection = open_reader(path, self._guard, vfs)
        if versioned is not None:
            from quorate.storage.versions.conflicts import declare  # which no other database needs

            declare(self._connection, self._guard, custom=versioned.custom)
        self._runner = Runner(self._connection, self._guard)
        self._clock = clock
        self._budget_us: int | None = None
        self._deadline_us: int | None = None
        self._holds = holds
        self._read_once = False
        """The present state was read before."""
        self._holding = False
        """A transaction is open that shows the present state."""
        self._schema = -1
        self._known: dict[str, tuple[str, bytes, bytes]] = {}
        """Of texts that were read under this schema: what to run, and what comes before and after the rows in an
        encoded `Done`."""
        self._compared: set[bytes] = set()
        """Steps of scripts that have given, in the state that is held, what they say."""
        self._ending: Ending | None = None
        """Of the read that is running aside."""
        if aside:
            self._connection.set_progress_handler(self._ended, _STEPS_ASIDE)
        elif clock is not None:
            self._connection.set_progress_handler(self._late, _STEPS)

    def _late(self) -> bool:
        """Whether the running read is over its budget. Its time begins here and not with its first step: most
        reads never come here, and pay for no look at the clock."""
        if self._budget_us is None:
            return False
        assert self._clock is not None
        now = self._clock()
        if self._deadline_us is None:
            self._deadline_us = now + self._budget_us
        return now > self._deadline_us

    def read(self, statements: Sequence[Statement], budget_us: int | None = None) -> bytes:
        """An encoded Done or Failed. Raises OverBudget, Broken or Divergent."""
        pinned = False
        if not self._holding:
            if self._holds:
                self._hold()
            pinned = not self._holding and len(statements) > 1
            if pinned:
                self.begin()
        self._budget_us, self._deadline_us = budget_us, None
        try:
            if self._holding and len(statements) == 1 and type(statements[0]) is Statement:
                return self._read_held(statements[0])
            return run_reads(self._runner, self._guard, statements, known=self._compared if self._holding else None)
        finally:
            self._budget_us = None  # what follows is no caller's: it must not be ended by a read's time that is over
            if pinned:
                self.end()

    def _hold(self) -> None:
        """Keep the present state open if it has been read before."""
        if not self._read_once:
            self._read_once = True
            return
        self._guard.watching = False
        self._connection.execute("BEGIN", prepare_flags=INTERNAL)
        self._holding = True
        schema: int = self._connection.execute("PRAGMA schema_version", prepare_flags=INTERNAL).get
        if schema != self._schema:
            self._known.clear()
            self._schema = schema

    def let_go(self) -> None:
        """The state that was read is not the present one any more, or may not be held for another reason."""
        self._read_once = False
        if self._holding:
            self._holding = False
            self._compared.clear()
            self.end()

    def _read_held(self, statement: Statement) -> bytes:
        """One read of the state that is held: of a text that was read before, only the rows are new."""
        runner, guard = self._runner, self._guard
        known = self._known.get(statement.sql)
        try:
            if known is None or statement.many or len(statement.sets) != 1:
                result = read_one(runner, statement)
                if result.columns and not CHECK.search(statement.sql):
                    self._remember(statement.sql, result.columns)
                return checked(encode(Done((result,))))
            guard.watching = True
            return checked(known[1] + encode(runner.rows_of(known[0], statement.sets[0])) + known[2])
        except Exception as error:  # noqa: BLE001 - whatever apsw raises, the caller is told
            return outcome_of(error, runner, guard, 0, 1)

    def _remember(self, sql: str, columns: Columns) -> None:
        """The text has just been read: keep what will be the same the next time."""
        if len(sql) <= _TEXT_MAX:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[sql] = shape_of(sql).sql, *around_rows(columns)

    def read_at(self, statements: Sequence[Statement], ending: Ending | None = None) -> tuple[bytes, Position]:
        """The same with the position that was read, for a thread that does not know it. Raises OverBudget when it was
        ended."""
        position = self.begin()
        try:
            if ending is None:
                return run_reads(self._runner, self._guard, statements), position
            with self.ended_by(ending):
                return run_reads(self._runner, self._guard, statements, self._ended), position
        finally:
            self.end()

    @contextmanager
    def ended_by(self, ending: Ending) -> Iterator[None]:
        """What is done meanwhile ends when this says so."""
        self._ending = ending
        ending.begins(self._connection)
        try:
            yield
        finally:  # what follows must not be interrupted
            ending.ends()
            self._ending = None

    @property
    def tools(self) -> tuple[Runner, Guard]:
        """What runs statements here."""
        return self._runner, self._guard

    def _ended(self) -> bool:
        """Whether the read that runs aside is to end now."""
        ending = self._ending
        if ending is None:
            return False
        return ending.over or (self._clock is not None and self._clock() >= ending.until_us)

    def begin(self) -> Position:
        """Pin the last committed state; where it stands. Raises Broken or Divergent."""
        self._guard.watching = False
        try:
            self._connection.execute("BEGIN", prepare_flags=INTERNAL)
            rows = self._connection.execute("SELECT epoch, entry FROM quorate_applied", prepare_flags=INTERNAL)
            return Position(*rows.fetchall()[0])  # type: ignore[arg-type]
        except apsw.Error as error:
            self.end()
            raise_if_fatal(error)
            raise Broken(f"{type(error).__name__}: {error}") from error

    def end(self) -> None:
        self._guard.watching = False
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK", prepare_flags=INTERNAL)

    @property
    def connection(self) -> apsw.Connection:
        return self._connection

    def close(self) -> None:
        self._runner.close()
        self._connection.close()


def _never() -> bool:
    return False


def run_reads(
    runner: Runner,
    guard: Guard,
    statements: Sequence[Statement],
    ended: Callable[[], bool] = _never,
    *,
    known: set[bytes] | None = None,
) -> bytes:
    """Run statements that must all be reads; an encoded Done or Failed (of the steps of a script: Evaluated or Failed).
    `known`: as `scripts.evaluate` has it. Raises OverBudget (also when `ended` says so before one of them), Broken or
    Divergent."""
    first: Any = statements[0] if statements else None
    if type(first) is Step:
        return _run_script(runner, guard, cast(Sequence[Step], statements), ended, known)
    results: list[Result] = []
    try:
        for statement in statements:
            if ended():
                raise OverBudget("the read was ended")
            results.append(read_one(runner, statement))
        return checked(encode(Done(tuple(results))))
    except OverBudget:
        raise
    except Exception as error:  # noqa: BLE001 - whatever apsw raises, the caller is told
        return outcome_of(error, runner, guard, len(results), len(statements))


def _run_script(
    runner: Runner, guard: Guard, steps: Sequence[Step], ended: Callable[[], bool], known: set[bytes] | None
) -> bytes:
    """The same for the statements of a transaction that has only read so far."""

    def read(step: Step) -> Result:
        if ended():
            raise OverBudget("the read was ended")
        runner.pin(step.pin)
        return read_one(runner, step.statement)

    def failed(error: Exception) -> Failed:
        if isinstance(error, OverBudget):
            raise error
        return failure_of(error, runner, guard, 0, 1)

    try:
        outcome = as_outcome(read_steps(steps, read, failed, known))
    finally:
        runner.pin(None)
    return outcome if len(outcome) <= RESULT_BYTES_MAX else encode(failed(ResultTooLarge()))


def read_one(runner: Runner, statement: Statement) -> Result:
    """Run a statement that must be a read. Raises RefusedError and what apsw raises."""
    shape = shape_of(statement.sql)
    if shape.kind == SETTING and not shape.surplus:
        return NOTHING  # there is nothing here that it would hold for
    check_read(shape)
    if CHECK.search(shape.sql):
        runner.forget_indexes()
    return runner.read(statement, shape)


def check_read(shape: Shape) -> None:
    """Raises RefusedError for what is no read."""
    if shape.surplus or shape.kind != READ:
        refuse(shape)
        raise RefusedError("ProgrammingError", "a statement that changes something was sent as a read")


def checked(encoded: bytes) -> bytes:
    """The outcome, unless it is too large. Raises ResultTooLarge."""
    if len(encoded) > RESULT_BYTES_MAX:
        raise ResultTooLarge
    return encoded


def outcome_of(error: Exception, runner: Runner, guard: Guard, done: int, total: int) -> bytes:
    """An encoded Failed for what the read after the first `done` raised. Raises OverBudget, Broken or Divergent."""
    return encode(failure_of(error, runner, guard, done, total))


def failure_of(error: Exception, runner: Runner, guard: Guard, done: int, total: int) -> Failed:
    """The same, not encoded."""
    if isinstance(error, RefusedError):
        failed = error.failed
        return Failed(failed.error, failed.message, failed.hint, "", done)
    runner.reset()
    if isinstance(error, apsw.InterruptError):
        raise OverBudget("the read takes longer than it may on the loop") from error
    return failed_of(error, min(done, total - 1), guard)
