"""Reading committed state on a connection of its own."""

from collections.abc import Callable, Sequence

import apsw

from quorate.core.kernel import Position
from quorate.core.requests import Done, Failed, Result, Statement
from quorate.sql.classify import READ, shape_of
from quorate.storage.connection import INTERNAL, open_reader
from quorate.storage.failures import RowsTooLarge, failed_of, raise_if_fatal
from quorate.storage.guard import Guard
from quorate.storage.interface import Broken, OverBudget
from quorate.storage.payload import encode
from quorate.storage.running import RESULT_MAX, RefusedError, Runner, refuse

_STEPS = 1000
"""Instructions of SQLite's machine between two looks at the clock: about 20 us."""


class Reader:
    """One query-only connection. Not safe for two threads at once."""

    def __init__(self, path: str, clock: Callable[[], int] | None = None, vfs: str | None = None) -> None:
        self._guard = Guard()
        self._connection = open_reader(path, self._guard, vfs)
        self._runner = Runner(self._connection, self._guard)
        self._clock = clock
        self._deadline_us: int | None = None
        if clock is not None:
            self._connection.set_progress_handler(self._late, _STEPS)

    def _late(self) -> bool:
        assert self._clock is not None
        return self._deadline_us is not None and self._clock() > self._deadline_us

    def read(self, statements: Sequence[Statement], budget_us: int | None = None) -> bytes:
        """An encoded Done or Failed. Raises OverBudget, Broken or Divergent."""
        if budget_us is not None and self._clock is not None:
            self._deadline_us = self._clock() + budget_us
        try:
            if len(statements) == 1:
                return run_reads(self._runner, self._guard, statements)
            self.begin()
            try:
                return run_reads(self._runner, self._guard, statements)
            finally:
                self.end()
        finally:
            self._deadline_us = None

    def read_at(self, statements: Sequence[Statement], budget_us: int | None = None) -> tuple[bytes, Position]:
        """The same with the position that was read, for a thread that does not know it."""
        position = self.begin()
        if budget_us is not None and self._clock is not None:
            self._deadline_us = self._clock() + budget_us
        try:
            return run_reads(self._runner, self._guard, statements), position
        finally:
            self._deadline_us = None
            self.end()

    def begin(self) -> Position:
        """Pin the last committed state; where it stands. Raises Broken or Divergent."""
        try:
            self._connection.execute("BEGIN", prepare_flags=INTERNAL)
            rows = self._connection.execute("SELECT epoch, entry FROM quorate_applied", prepare_flags=INTERNAL)
            return Position(*rows.fetchall()[0])  # type: ignore[arg-type]
        except apsw.Error as error:
            self.end()
            raise_if_fatal(error)
            raise Broken(f"{type(error).__name__}: {error}") from error

    def end(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK", prepare_flags=INTERNAL)

    @property
    def connection(self) -> apsw.Connection:
        return self._connection

    def close(self) -> None:
        self._runner.close()
        self._connection.close()


def run_reads(runner: Runner, guard: Guard, statements: Sequence[Statement]) -> bytes:
    """Run statements that must all be reads; an encoded Done or Failed."""
    results: list[Result] = []
    try:
        for statement in statements:
            shape = shape_of(statement.sql)
            if shape.surplus or shape.kind != READ:
                refuse(shape)
                raise RefusedError("ProgrammingError", "a statement that changes something was sent as a read")
            results.append(runner.read(statement, shape))
        encoded = encode(Done(tuple(results)))
        if len(encoded) > RESULT_MAX:
            raise RowsTooLarge(f"the result is larger than {RESULT_MAX >> 20} MiB")
    except RefusedError as error:
        failed = error.failed
        return encode(Failed(failed.error, failed.message, failed.hint, "", len(results)))
    except apsw.InterruptError as error:
        runner.reset()
        raise OverBudget("the read takes longer than it may on the loop") from error
    except Exception as error:  # noqa: BLE001 - whatever apsw raises, the caller is told
        runner.reset()
        return encode(failed_of(error, min(len(results), len(statements) - 1), guard))
    return encoded
