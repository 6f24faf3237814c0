"""Reading an embedded node's data file without anything in between.

On a node that is alone, what is committed is what was acknowledged, so a read needs no round: a connection of
its own is enough. The point of this file is that a program which reads by key pays for SQLite and for little else.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

import apsw

from quorate.core.statements import Failed
from quorate.sql.classify import READ, SETTING, shape_of
from quorate.storage.data.connection import open_reader
from quorate.storage.data.guard import Guard
from quorate.storage.data.reader import check_read
from quorate.storage.execution.callbacks import Callbacks
from quorate.storage.execution.running import refuse
from quorate.storage.failures import RefusedError, failed_of, raise_if_fatal
from quorate.storage.interface import Broken, StatementFailed
from quorate.storage.rows.payload import encode

PINNED = -2
"""In the place of a state's number: held open by one caller."""
_STEPS = 100_000
"""Instructions of SQLite's machine between two looks at the clock: about a millisecond."""

INTERRUPTED = Failed("OperationalError", "interrupted", "", "SQLITE_INTERRUPT")
"""As `sqlite3` has it."""

Columns = tuple[tuple[str, str | None], ...]
Rows = list[tuple[Any, ...]]


class DirectReader:
    """One query-only connection to a data file. For one thread at a time.

    From the second read of one state on, a read transaction may stay open (`show`), so that SQLite takes its locks
    once and not for each read.
    """

    def __init__(self, path: str, clock: Callable[[], int], callbacks: Callbacks | None = None) -> None:
        """`clock` returns monotonic microseconds."""
        self._callbacks = callbacks or Callbacks()
        self._installed = 0
        """The version of them that the connection knows."""
        self._clock = clock
        self._guard = Guard()
        try:
            self._connection = open_reader(path, self._guard)
        except apsw.Error as error:
            raise_if_fatal(error)
            raise Broken(f"{type(error).__name__}: {error}") from error
        self._guard.watching = True  # nothing but users' statements runs here
        self.state = -1
        """The number of the state that is held open; -1: none, each read looks for itself."""
        self._seen = -1
        self._columns: Columns = ()
        self._cursor = self._connection.cursor()
        self._traced = self._connection.cursor()
        self._traced.exec_trace = self._describe
        self.limit: list[float] | None = None
        """How many seconds the next read may take, in a list of its own; None: any number."""
        self._over = False
        """The running read has taken too long."""
        self._closing = threading.Lock()
        self._thread = 0
        self._connection.set_progress_handler(self._late, _STEPS)
        self.execute: Callable[[str, Any], apsw.Cursor] = self._cursor.execute
        """Runs a text that `first_read` has accepted. Raises what apsw raises; give it to `failed`."""

    def _late(self) -> bool:
        """Whether the running read has taken too long. Its time begins when this is asked first: most reads never come
        here, and pay for no look at the clock."""
        if self.limit is None:
            return False
        now = self._clock() / 1e6
        if len(self.limit) == 1:
            self.limit.append(now + self.limit[0])
        self._over = now >= self.limit[1]
        return self._over

    def _describe(self, cursor: apsw.Cursor, _sql: str, _bindings: object) -> bool:
        self._columns = cursor.get_description()
        return True

    def first_read(self, sql: str, parameters: Any) -> tuple[Columns, Rows]:
        """Run a read that was not seen before; its columns and rows. Raises StatementFailed, Broken or Divergent."""
        shape = shape_of(sql)
        try:
            refuse(shape)
        except RefusedError as error:
            raise StatementFailed(error.failed) from None
        if shape.kind == SETTING:
            return (), []  # there is nothing here that it would hold for
        if shape.kind != READ:
            failed = Failed("ProgrammingError", "a statement that changes something was sent as a read")
            raise StatementFailed(failed)
        try:
            # The columns may be asked for before the first step or when there is a row. Before the first step they
            # may be those of an older schema, unless the same text has just run.
            cursor = self._cursor.execute(shape.sql, parameters)
            try:
                self._columns = cursor.get_description()
            except apsw.ExecutionCompleteError:
                self._traced.execute(shape.sql, parameters).fetchall()
            rows = cursor.fetchall()
        except Exception as error:
            raise self.failed(error) from error
        return self._columns, rows

    def begin(self, sql: str, parameters: Any) -> None:
        """Begin a read whose rows are fetched by `piece`. Raises StatementFailed, Broken or Divergent."""
        shape = shape_of(sql)
        try:
            check_read(shape)
        except RefusedError as error:
            raise StatementFailed(error.failed) from None
        try:
            self._traced.execute(shape.sql, parameters)
        except Exception as error:
            raise self.failed(error) from error

    def piece(self, bytes_max: int) -> tuple[Columns, Rows, bool]:
        """Its columns, its next rows, about so many bytes of them, and whether there may be others. Raises the same."""
        rows: Rows = []
        try:
            for row in self._traced:
                rows.append(row)
                bytes_max -= len(encode(row))
                if bytes_max <= 0:
                    return self._columns, rows, True
        except Exception as error:
            raise self.failed(error) from error
        return self._columns, rows, False

    def show(self, state: int) -> None:
        """The next reads are of the state of this number, which is the present one: hold it open if it has been read
        here before."""
        self.let_go()
        if state == self._seen:
            self._internal("BEGIN")
            self.state = state
        self._seen = state

    def pin(self) -> None:
        """Hold the present state open, whatever its number is, until `let_go`."""
        self.let_go()
        self._internal("BEGIN")
        self._internal("SELECT 1 FROM sqlite_schema LIMIT 1")  # a snapshot begins with the first read
        self.state = PINNED

    def let_go(self) -> None:
        """Hold no state open, and know what the program has defined."""
        if self.state != -1:
            if self.state == PINNED:
                self._renew()
            self.state = -1
            if self._connection.in_transaction:
                self._internal("ROLLBACK")
        if self._installed != self._callbacks.version:
            self._installed = self._callbacks.version
            self._callbacks.install(self._connection)

    def read_all(self, statements: Sequence[tuple[str, Any]]) -> list[tuple[Columns, Rows]]:
        """Run several reads on one and the same state. Raises what `first_read` raises."""
        results = []
        self._internal("BEGIN")
        try:
            for number, (sql, parameters) in enumerate(statements):
                try:
                    results.append(self.first_read(sql, parameters))
                except StatementFailed as error:
                    found = error.failed
                    raise StatementFailed(
                        Failed(found.error, found.message, found.hint, found.sqlite_errorname, number)
                    ) from error.__cause__
        finally:
            self.limit = None
            self._internal("ROLLBACK")
        return results

    def _internal(self, sql: str) -> None:
        self._guard.watching = False
        try:
            while True:
                try:
                    self._connection.execute(sql, prepare_flags=apsw.SQLITE_PREPARE_PERSISTENT)
                except apsw.InterruptError:  # it was meant for a caller's statement
                    continue
                return
        finally:
            self._guard.watching = True

    def failed(self, error: Exception) -> StatementFailed:
        """What to raise for what `execute` raised. Raises Broken or Divergent itself."""
        self._renew()
        limit, self.limit = self.limit, None
        over, self._over = self._over, False
        if isinstance(error, apsw.InterruptError):
            return StatementFailed(ended_after(limit[0]) if over and limit else INTERRUPTED)
        return StatementFailed(failed_of(error, 0, self._guard))

    def _renew(self) -> None:
        """Stop whatever statement is half run."""
        self._cursor.close(force=True)
        self._traced.close(force=True)
        self._cursor = self._connection.cursor()
        self._traced = self._connection.cursor()
        self._traced.exec_trace = self._describe
        self.execute = self._cursor.execute

    def close(self) -> None:
        """Close the connection. Doing so again changes nothing."""
        with self._closing:
            self._connection.close(force=True)

    def runs_in(self, thread: int) -> None:
        """The next reads are those of this thread: `interrupt` may name it."""
        with self._closing:
            self._thread = thread

    def interrupt(self, thread: int | None = None) -> None:
        """End the read that is running, if one is, and if it is this thread's, where one is named. Any thread may call
        it."""
        with self._closing, contextlib.suppress(apsw.ConnectionClosedError):
            if thread in (None, self._thread):
                self._connection.interrupt()


def ended_after(seconds: float) -> Failed:
    """What the caller of a read is told that was ended when its time was over."""
    text = f"not done: the read was ended after {seconds:g} s, the time that it was given"
    return Failed("StatementTimeout", text, "read less at a time, or give it more time (timeout=)")
