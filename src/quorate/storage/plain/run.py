"""Plain SQLite doing what callers ask, in the form that a replica promises to equal: what the fuzzer compares with.

No log, no capture, no followers: one connection, foreign keys on, and a savepoint for each request, so that one that
fails is undone whole.
"""

from collections.abc import Sequence
from contextlib import suppress

import apsw
from msgspec import Struct

from quorate.core.statements import Failed, Result, Statement
from quorate.sql.classify import shape_of
from quorate.storage.data.connection import LEAD, LOAD, NO_ROWID, PAGE_BYTES, set_mode
from quorate.storage.data.guard import Guard
from quorate.storage.execution.deferred import violated
from quorate.storage.execution.running import refuse
from quorate.storage.failures import RefusedError, failed_of, no_number_left
from quorate.storage.interface import Divergent, StorageError

STEPS_AT_ONCE = 100_000
STEPS_MAX = 20_000_000
"""Instructions that one request may take here; the fuzzer leaves out what takes more."""
Heard = tuple[Result | Failed, ...]
"""What a caller is told: the results of all statements, or one failure; of an interactive transaction what each
statement gave, and last the failure that ended it, if any."""
ENDLESS = Failed("OperationalError", "it takes too long to compare")
GONE = Failed("OperationalError", "the transaction is not open any more")
"""What an interactive transaction says last when one of its statements has ended it."""
FATAL = "fatal"
"""The class of what no caller is told: SQLite calls the disk full or the file damaged."""


class Asked(Struct, frozen=True):
    """One caller's request."""

    statements: tuple[Statement, ...]
    held: bool = False
    load: bool = False


class PlainRun:
    """A database in memory. `run` leaves a transaction open, for `commit` or `undo`."""

    def __init__(self) -> None:
        self.connection = apsw.Connection(":memory:")
        self.connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        set_mode(self.connection, LEAD)
        self._steps = 0
        self._patient = False
        self._columns: tuple[tuple[str, str | None], ...] = ()
        self.connection.set_progress_handler(self._stepped, STEPS_AT_ONCE)

    def _stepped(self) -> bool:
        self._steps += STEPS_AT_ONCE
        return self._steps > STEPS_MAX and not self._patient

    def run(
        self,
        requests: Sequence[Asked],
        refused: frozenset[tuple[int, int]] = frozenset(),
        begun: frozenset[tuple[int, int]] = frozenset(),
        *,
        patient: bool = False,
    ) -> list[Heard]:
        """What each request gives. Statements that are refused elsewhere (request, statement) are not run, nor are
        their requests, but for held ones. Of those, what had `begun` elsewhere before it was refused is run and
        undone here too: it leaves a last rowid behind. With `patient` nothing takes too long."""
        self._patient = patient
        ended: dict[int, Heard] = {}
        while True:
            self.connection.execute("BEGIN IMMEDIATE")
            heard: list[Heard] = []
            for number, request in enumerate(requests):
                mine = frozenset(statement for each, statement in refused if each == number)
                if number in ended:
                    heard.append(ended[number])
                elif mine and not request.held:
                    heard.append(())
                else:
                    undone = frozenset(statement for each, statement in begun if each == number)
                    heard.append(self._request(request, mine, undone))
                if not self.connection.in_transaction:  # it ended everybody's: all again, without it
                    ended[number] = heard[-1]
                    break
            else:
                return heard

    def commit(self) -> None:
        """Keep what `run` did."""
        self.connection.execute("COMMIT")

    def undo(self) -> None:
        """Keep nothing of it."""
        self.connection.execute("ROLLBACK")

    def end(self) -> None:
        """Undo what is still open, if anything is."""
        if self.connection.in_transaction:
            self.undo()

    def _request(self, request: Asked, refused: frozenset[int], begun: frozenset[int]) -> Heard:
        connection = self.connection
        self._steps = 0
        connection.execute("SAVEPOINT request")
        connection.set_last_insert_rowid(NO_ROWID)
        if request.load:
            set_mode(connection, LOAD)
        try:
            heard = self._held(request, refused, begun) if request.held else self._whole(request)
        finally:
            set_mode(connection, LEAD)
        if not connection.in_transaction:
            return heard
        failed = bool(heard) and isinstance(heard[-1], Failed) and not request.held
        if not failed and violated(connection, deferrable=True):
            late = Failed("IntegrityError", "FOREIGN KEY constraint failed", "", "SQLITE_CONSTRAINT_FOREIGNKEY")
            heard = (*heard, late) if request.held else (late,)
            failed = True
        if failed:
            connection.execute("ROLLBACK TO request")
        connection.execute("RELEASE request")
        return heard

    def _whole(self, request: Asked) -> Heard:
        results: list[Result] = []
        for number, statement in enumerate(request.statements):
            try:
                results.append(self._statement(statement))
            except Exception as error:  # noqa: BLE001 - whatever it is, this caller is told
                return (self._failed(error, number),)
        return tuple(results)

    def _held(self, request: Asked, refused: frozenset[int], begun: frozenset[int]) -> Heard:
        heard: list[Result | Failed] = []
        for number, statement in enumerate(request.statements):
            if number in refused:
                if number in begun:
                    self._undone(statement)
                continue
            self.connection.execute("SAVEPOINT statement")
            try:
                heard.append(self._statement(statement))
            except Exception as error:  # noqa: BLE001 - whatever it is, this caller is told
                heard.append(self._failed(error, 0))
                if not self.connection.in_transaction:
                    return (*heard, GONE)
                self.connection.execute("ROLLBACK TO statement")
            self.connection.execute("RELEASE statement")
        return tuple(heard)

    def _undone(self, statement: Statement) -> None:
        """Run a statement that must not have an effect."""
        self.connection.execute("SAVEPOINT statement")
        with suppress(Exception):  # whatever it says, nobody compares it
            self._statement(statement)
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK TO statement")
            self.connection.execute("RELEASE statement")

    def _failed(self, error: Exception, number: int) -> Failed:
        if self._steps > STEPS_MAX and not self._patient:
            return ENDLESS
        if isinstance(error, RefusedError):
            failed = error.failed
            return Failed(failed.error, failed.message, failed.hint, failed.sqlite_errorname, number)
        if isinstance(error, apsw.FullError):  # of AUTOINCREMENT: nothing here fills a disk
            return no_number_left(number)
        try:
            return failed_of(error, number, Guard())
        except StorageError as fatal:
            if isinstance(fatal, Divergent) and self.connection.in_transaction:
                self.connection.execute("ROLLBACK")  # behind ROLLBACK TO, SQLite would go on to call it malformed
            return Failed(FATAL, str(fatal), "", type(fatal).__name__, number)

    def _statement(self, statement: Statement) -> Result:
        shape = shape_of(statement.sql)
        refuse(shape)
        cursor = self.connection.cursor()
        cursor.exec_trace = self._described
        changed, rows = 0, []
        for parameters in statement.sets:
            rows = cursor.execute(shape.sql, parameters, can_cache=False).fetchall()
            changed += self.connection.changes() if _counts(shape.sql) else 0
        many = statement.many or len(statement.sets) != 1
        counted = _counts(shape.sql)
        last = self.connection.last_insert_rowid() if shape.inserts and changed else NO_ROWID
        columns = self._columns if not many and shape.rows else ()
        return Result(columns, [] if many else rows, changed if counted else -1, None if last == NO_ROWID else last)

    def _described(self, cursor: apsw.Cursor, _sql: str, _bindings: object) -> bool:
        try:
            self._columns = cursor.get_description()
        except apsw.ExecutionCompleteError:
            self._columns = ()
        return True

    def close(self) -> None:
        """Nothing is left."""
        self.connection.close(force=True)


def _counts(sql: str) -> bool:
    """Does this statement change rows?"""
    words = sql.split(None, 1)
    if not words:
        return False
    verb = words[0].upper()
    changing = any(f" {word} " in f" {sql.upper()} " for word in ("INSERT", "UPDATE", "DELETE", "REPLACE"))
    return verb in ("INSERT", "REPLACE", "UPDATE", "DELETE") or (verb == "WITH" and changing)
