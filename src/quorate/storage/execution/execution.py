"""Running the requests of a batch, each isolated from the others, in the leader's open transaction.

Each request runs in a savepoint, so one that fails leaves nothing behind and the others never notice. Two
things get past a savepoint. `INSERT OR ROLLBACK`, `RAISE(ROLLBACK)` and some errors of SQLite itself end the whole
transaction: then `TransactionLostError` asks for the batch to be run again without the offender. And a violated
deferred foreign key passes RELEASE and would fail the COMMIT of everybody: so it is looked for after each request.
"""

from typing import TYPE_CHECKING, Any

import apsw
from msgspec import Struct

from quorate.core.limits import COMPUTED_BYTES_MAX, RESULT_BYTES_MAX, ROW_BYTES_MAX
from quorate.core.requests import Run
from quorate.core.statements import Failed, Result, Statement
from quorate.sql import classify
from quorate.sql.classify import CHANGE, CREATE_AS, DDL, DROP_TABLE, READ, REFUSED, SETTING, Shape, shape_of
from quorate.sql.control import RELEASE, SAVEPOINT, savepoint_of
from quorate.sql.tokens import quoted
from quorate.storage.data.connection import INTERNAL, LEAD, LOAD, NO_ROWID, limit_rows, set_mode
from quorate.storage.data.functions import check_schema
from quorate.storage.data.guard import Guard
from quorate.storage.data.order import OutOfOrderError, UndefinedError, are_sound, may_upsert, refuse_disorder
from quorate.storage.data.schema import SchemaFacts, SchemaReader, numbers_are_out
from quorate.storage.execution.deferred import violated
from quorate.storage.execution.pragmas import Pragmas, renaming
from quorate.storage.execution.running import NOTHING, Runner, refuse
from quorate.storage.execution.watch import StoppedError, Watch
from quorate.storage.failures import RefusedError, ResultTooLarge, failed_of, no_number_left
from quorate.storage.interface import StatementFailed
from quorate.storage.rows.capture import Capture, Mark
from quorate.storage.rows.payload import Batch, Ddl, Delta, Segment, encode_done, encode_failed
from quorate.storage.rows.replaying import Replaying

if TYPE_CHECKING:
    from quorate.storage.versions.group import GroupVersions

_ENDED = Failed(
    "StatementTimeout",
    "not done: the statement was ended at its deadline",
    "change fewer rows at a time, or give it more time (timeout=)",
    "SQLITE_INTERRUPT",
)
APART = 64
"""Requests that run in savepoints of their own behind one that has failed, for failures seldom come alone."""
_SCHEMA_KINDS = frozenset({DDL, CREATE_AS, DROP_TABLE})
_ABORT = "SQLITE_CONSTRAINT_FOREIGNKEY"


class TransactionLostError(Exception):
    """This request ended the transaction of the whole batch."""

    def __init__(self, position: int, failed: Failed) -> None:
        super().__init__(failed.message)
        self.position = position
        self.failed = failed


class MaybeFullError(TransactionLostError):
    """SQLite has undone the transaction and says that it is full: the disk, or the numbers of AUTOINCREMENT. What was
    stacked in the transaction must come back before anybody can tell."""


class TogetherError(Exception):
    """Of the requests that shared a savepoint one failed: they are undone from this position on, and are run again."""

    def __init__(self, first: int) -> None:
        super().__init__(f"undone from {first} on")
        self.first = first


class Point(Struct, frozen=True):
    """A savepoint of a held transaction."""

    name: str
    mark: Mark
    facts: SchemaFacts


class Execution:
    """Runs requests on the writing connection. `facts` are those of the schema as the open transaction sees it."""

    __slots__ = (
        "_apart", "_base", "_capture", "_change", "_connection", "_cursor", "_dirty", "_guard", "_points", "_position",
        "_pragmas", "_runner", "_schema", "_together", "_watch", "facts", "versions",
    )  # fmt: skip

    facts: SchemaFacts

    def __init__(
        self, connection: apsw.Connection, guard: Guard, capture: Capture, schema: SchemaReader, watch: Watch
    ) -> None:
        self._watch = watch
        self._connection = connection
        self._guard = guard
        self._capture = capture
        self._schema = schema
        self._runner = Runner(connection, guard)
        self._change = self._runner.change
        self._pragmas = Pragmas(connection)
        self._cursor = connection.cursor()
        self._base = 0
        self._dirty = False
        self._together: tuple[int, Mark] | None = None
        """Where the requests that share the open savepoint begin."""
        self._position = 0
        """Of the request that runs, in its batch."""
        self._points: list[Point] = []
        """The savepoints of a held transaction."""
        self.versions: GroupVersions | None = None
        """Of a database with several leaders."""
        self._apart = 0
        """So many requests run in savepoints of their own, since one has failed."""

    def counted_from(self) -> int:
        """What `total_changes()` was when the current request began."""
        return self._base

    def begin(self, facts: SchemaFacts) -> None:
        """A transaction has begun."""
        self.facts = facts
        self._points.clear()
        self._dirty = False
        self._together = None
        limit_rows(self._connection, ROW_BYTES_MAX)

    def seal(self) -> tuple[Segment, ...]:
        """No more requests run: what they did. Raises EntryTooLarge."""
        self._pragmas.reset()
        limit_rows(self._connection, COMPUTED_BYTES_MAX)
        return self._capture.finish()

    def drop(self) -> None:
        """No more requests run, and what they did is of no interest."""
        self._pragmas.reset()
        limit_rows(self._connection, COMPUTED_BYTES_MAX)
        self._capture.drop()

    def start_counting(self) -> None:
        """What `changes()` and its like tell begins here."""
        self._connection.set_last_insert_rowid(NO_ROWID)
        self._base = self._connection.total_changes()

    # ------------------------------------------------------------------ requests of a batch

    def run(self, position: int, request: Run) -> tuple[bytes, bytes]:
        """Run one request: its encoded outcome, and the same as it will be remembered.

        Raises TransactionLostError, StoppedError, or what is the disk's fault.
        """
        statements = request.statements
        self._position = position
        if not request.load:
            if self._apart:
                self._apart -= 1
            elif len(statements) == 1 and not self.facts.apart:
                shape = shape_of(statements[0].sql)
                if shape.kind == CHANGE and not shape.surplus:
                    return self._run_together(position, statements[0], shape)
            self.end_together()
            return self._run(position, statements)
        self.end_together()
        set_mode(self._connection, LOAD)
        try:
            return self._run(position, request.statements, load=True)
        finally:
            set_mode(self._connection, LEAD)

    def _run_together(self, position: int, statement: Statement, shape: Shape) -> tuple[bytes, bytes]:
        """Run a request of one plain change in the savepoint that it shares with those before it. When anything fails,
        all of them are undone, and each is run again in its own: raises TogetherError."""
        connection = self._connection
        if self._together is None:
            self._cursor.execute("SAVEPOINT quorate_request", prepare_flags=INTERNAL)
            self._together = position, self._capture.mark()
        connection.set_last_insert_rowid(NO_ROWID)
        self._base = connection.total_changes()
        self._watch.begin()
        try:
            result = self._change(statement, shape)
            if self._capture.vanished:
                self._refuse_disorder(statement)
            outcome = encode_done([result])
            if len(outcome[0]) > RESULT_BYTES_MAX:
                raise ResultTooLarge
        except Exception as error:
            self._watch.end()
            first, mark = self._together
            self._together = None
            if self._watch.why:
                raise StoppedError(position, self._watch.why) from error
            failed = self._failed(error, 0, 1)
            if not connection.in_transaction:
                raise TransactionLostError(position, failed) from error
            self._undo(mark, self.facts, failed)
            self._apart = APART
            raise TogetherError(first) from error
        return outcome

    def end_together(self) -> None:
        """The requests that share a savepoint have all succeeded."""
        if self._together is not None:
            self._together = None
            self._watch.end()
            self._cursor.execute("RELEASE quorate_request", prepare_flags=INTERNAL)

    def _run(self, position: int, statements: tuple[Statement, ...], *, load: bool = False) -> tuple[bytes, bytes]:
        shapes = [shape_of(statement.sql) for statement in statements]
        facts, capture = self.facts, self._capture
        if any(shape.kind in _SCHEMA_KINDS for shape in shapes):
            capture.flush()  # what came before must not be undone with this request
        connection = self._connection
        self._watch.begin()
        control = self._cursor.execute
        control("SAVEPOINT quorate_request", prepare_flags=INTERNAL)
        mark = capture.mark()  # behind the savepoint, with which virtual tables write rows that stay
        connection.set_last_insert_rowid(NO_ROWID)
        self._base = connection.total_changes()
        results: list[Result] = []
        try:
            for statement, shape in zip(statements, shapes, strict=True):
                results.append(self._statement(statement, shape))  # how many ran is needed when one fails
            if self._dirty:
                self._settle()
            wrong = None if load else self._orphans(deferrable=facts.deferrable or self.facts.deferrable)
            self._watch.end()
            if wrong is not None:
                return self._undo(mark, facts, wrong)
            outcome = encode_done(results)
            if len(outcome[0]) > RESULT_BYTES_MAX:
                raise ResultTooLarge
        except Exception as error:  # whatever it is, it is this caller's alone
            self._watch.end()
            if self._watch.why:
                raise StoppedError(position, self._watch.why) from error
            failed = self._failed(error, len(results), len(statements))
            if not connection.in_transaction:
                raise TransactionLostError(position, failed) from error
            return self._undo(mark, facts, failed)
        finally:
            self._pragmas.reset()
        control("RELEASE quorate_request", prepare_flags=INTERNAL)
        return outcome

    def _orphans(self, *, deferrable: bool) -> Failed | None:
        """The failure of a request that leaves a violated foreign key behind; `deferrable`: some may be deferred."""
        pragmas = self._pragmas
        wrong = pragmas.problem() if pragmas.used else None
        if wrong is not None or not pragmas.enforced:
            return wrong
        if not violated(self._connection, deferrable=deferrable or pragmas.used):
            return None
        return Failed("IntegrityError", "FOREIGN KEY constraint failed", "", _ABORT)

    def replay(self, position: int, batch: Batch) -> tuple[bytes, bool]:
        """Apply a lost entry as far as it fits: the encoded outcome, and whether anything of it is there now."""
        self.end_together()
        facts, capture = self.facts, self._capture
        capture.flush()
        set_mode(self._connection, LOAD)
        self._cursor.execute("SAVEPOINT quorate_request", prepare_flags=INTERNAL)
        mark = capture.mark()
        self._watch.begin()
        try:
            capture.awake = self.versions is None  # its deltas travel as they are
            result = Replaying(self._connection, facts, self._replay_text, self.versions).run(batch)
            capture.segments += [each for each in batch.segments if isinstance(each, Delta)]
            if self._dirty:
                self._settle()
            outcome = encode_done([result])[0]
        except Exception as error:
            if self._watch.why:
                raise StoppedError(position, self._watch.why) from error
            failed = self._failed(error, 0, 1)
            if not self._connection.in_transaction:
                raise TransactionLostError(position, failed) from error
            return self._undo(mark, facts, failed)[0], False
        finally:
            capture.awake = True
            self._watch.end()
            set_mode(self._connection, LEAD)
        self._cursor.execute("RELEASE quorate_request", prepare_flags=INTERNAL)
        return outcome, result.rowcount > 0 or not result.rows

    def _replay_text(self, segment: Ddl) -> SchemaFacts:
        with renaming(self._connection, segment.legacy):
            self._statement(Statement(segment.sql), shape_of(segment.sql))
        self._settle()
        return self.facts

    def _undo(self, mark: Mark, facts: SchemaFacts, failed: Failed) -> tuple[bytes, bytes]:
        self._runner.reset()
        self._back_to("quorate_request", mark, facts)
        outcome = encode_failed(failed)
        return outcome, outcome

    def _back_to(self, savepoint: str, mark: Mark, facts: SchemaFacts) -> None:
        """Undo everything since a savepoint, and forget what was seen of it."""
        capture = self._capture
        self._cursor.execute(f"ROLLBACK TO {savepoint}", prepare_flags=INTERNAL)
        if capture.merging:
            self._stop_merging(capture.merging)
        self._cursor.execute(f"RELEASE {savepoint}", prepare_flags=INTERNAL)
        capture.undo(mark)
        if self.versions is not None and facts is not self.facts:
            self.versions.forget_tables()
        self.facts = capture.facts = facts
        self._dirty = False

    def _stop_merging(self, table: str) -> None:
        """The module of a full-text table still remembers that it was told to merge by itself: tell it not to."""
        self._capture.merging = ""
        tell = f"INSERT INTO main.{quoted(table)}({quoted(table)}) VALUES ('automerge=0')"  # noqa: S608
        with self._capture.asleep():
            for sql in ("SAVEPOINT quorate_merging", tell, "ROLLBACK TO quorate_merging", "RELEASE quorate_merging"):
                self._connection.execute(sql, can_cache=False, prepare_flags=INTERNAL)

    def _malformed_within(self) -> RefusedError | None:
        """Why SQLite calls a file malformed that is whole, if it does. The whole transaction is undone then: behind
        ROLLBACK TO, SQLite would go on to call it so."""
        capture = self._capture
        refused: RefusedError | None = None
        try:
            if capture.vanished:
                refused = UndefinedError(min(capture.vanished))
            capture.refuse_disorder(seen=True)
        except OutOfOrderError as found:
            refused = found
        if refused is None:
            return None
        self._runner.reset()
        self._cursor.execute("ROLLBACK", prepare_flags=INTERNAL)
        return refused if are_sound(self._connection, capture.touched()) else None

    def _failed(self, error: Exception, statement: int, count: int) -> Failed:
        at = min(statement, count - 1)
        if isinstance(error, RefusedError):
            failed = error.failed
            return Failed(failed.error, failed.message, failed.hint, failed.sqlite_errorname, at)
        if isinstance(error, apsw.InterruptError):
            return _ENDED
        if isinstance(error, apsw.CorruptError):
            refused = self._malformed_within()
            if refused is not None:
                return self._failed(refused, statement, count)
        if isinstance(error, apsw.FullError) and self.facts.autoincrement:
            if self._capture.last_rowid or self.numbers_are_out():
                return no_number_left(at)
            if not self._connection.in_transaction:
                raise MaybeFullError(self._position, no_number_left(at)) from error
        return failed_of(error, at, self._guard)

    def numbers_are_out(self) -> bool:
        """Whether AUTOINCREMENT has no number left for some table, as far as the transaction now sees."""
        try:
            return numbers_are_out(self._connection, self.facts)
        except apsw.SQLError:  # a table that went with the transaction
            return False

    # ------------------------------------------------------------------ one statement

    def _statement(self, statement: Statement, shape: Shape) -> Result:
        kind = shape.kind
        if kind == SETTING and not shape.surplus:
            return self._pragmas.run(shape)
        self._pragmas.begun = True
        if kind == CHANGE and not shape.surplus:
            if self._dirty:
                self._settle()
            result = self._change(statement, shape)
            if self._capture.vanished:
                self._refuse_disorder(statement)
            return result
        refuse(shape)
        if kind == READ:
            return self._runner.read(statement, shape)
        self._capture.flush()
        self._dirty = True
        if self.versions is not None:
            self.versions.look()
        change = {CREATE_AS: self._create_as, DROP_TABLE: self._drop_table}.get(kind, self._change_schema)
        result = change(statement, shape)
        if self.versions is not None:  # each change by itself
            self._settle()
        return result

    def _refuse_disorder(self, statement: Statement) -> None:
        """Raise OutOfOrderError when this statement has made SQLite put rows out of order."""
        capture, facts = self._capture, self.facts
        if may_upsert(statement, facts.triggers_upsert):
            refuse_disorder(self._connection, [facts.tables[name] for name in sorted(capture.vanished)])
        capture.forget_vanished()

    def _change_schema(self, statement: Statement, shape: Shape) -> Result:
        check_schema(shape.sql, self._guard.callbacks)
        with self._capture.asleep():
            result = self._runner.text(statement, shape)
        self._capture.ddl(classify.travelling(shape.sql), self._pragmas.legacy if shape.alters else 0)
        return result

    def _settle(self) -> None:
        """The schema has changed: look at it again."""
        self.facts = self._capture.facts = self._schema.read()
        if self.facts.problem:
            raise RefusedError("NotSupportedError", self.facts.problem)
        self._dirty = False
        segments = self._capture.segments
        if self.versions is not None and segments and isinstance(segments[-1], Ddl):
            with self._capture.asleep():
                segments[-1] = self.versions.settle(self.facts, segments[-1])

    def _drop_table(self, statement: Statement, shape: Shape) -> Result:
        """Dropping a parent deletes its rows first, with all that foreign keys then do to the children: followers
        have foreign keys off, so the children's rows travel, and then the text."""
        with self._capture.dropping(shape.table):
            result = self._runner.text(statement, shape)
            self._refuse_disorder(statement)
        self._capture.flush()
        self._capture.ddl(shape.sql)
        return result

    def _create_as(self, statement: Statement, shape: Shape) -> Result:
        """CREATE TABLE ... AS SELECT: the hook does not see its rows, and the SELECT may give others elsewhere. So the
        table travels as SQLite wrote it down, and then all its rows."""
        if len(statement.sets) != 1:
            raise RefusedError("ProgrammingError", "CREATE TABLE ... AS takes one set of parameters")
        find = "SELECT name, sql FROM main.sqlite_schema WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')"
        there = self._rows(find, (shape.table,))
        with self._capture.asleep():
            result = self._runner.text(statement, shape)
        if not there:  # otherwise IF NOT EXISTS has done nothing
            name, sql = self._rows(find, (shape.table,))[0]
            self._capture.ddl(sql)
            self._settle()
            self._capture.add_all(name)
        return result

    def _rows(self, sql: str, parameters: tuple[str, ...]) -> list[Any]:
        return self._connection.execute(sql, parameters, prepare_flags=INTERNAL).fetchall()

    # ------------------------------------------------------------------ a held transaction

    def run_held(self, statement: Statement) -> Result:
        """Run one statement of an interactive transaction: all of it or nothing. Raises StatementFailed."""
        shape = shape_of(statement.sql)
        facts, capture = self.facts, self._capture
        if shape.kind in _SCHEMA_KINDS:
            capture.flush()
        elif shape.kind == REFUSED and (point := savepoint_of(statement.sql)) is not None:
            try:
                self._savepoint(*point)
            except Exception as error:
                raise StatementFailed(self._failed(error, 0, 1)) from error
            return NOTHING
        self._cursor.execute("SAVEPOINT quorate_statement", prepare_flags=INTERNAL)
        mark = capture.mark()
        self._watch.begin()
        try:
            result = self._statement(statement, shape)
            if self._dirty:
                self._settle()
        except Exception as error:
            self._watch.end()
            failed = self._failed(error, 0, 1)
            self._runner.reset()
            if self._connection.in_transaction:
                self._back_to("quorate_statement", mark, facts)
            raise StatementFailed(failed) from error
        self._watch.end()
        self._cursor.execute("RELEASE quorate_statement", prepare_flags=INTERNAL)
        return result

    def _savepoint(self, word: str, name: str) -> None:
        """Carry out SAVEPOINT, RELEASE or ROLLBACK TO of a transaction, under a name of ours. Raises RefusedError."""
        points, capture = self._points, self._capture
        found = next((at for at in range(len(points) - 1, -1, -1) if points[at].name == name), -1)
        if word != SAVEPOINT and found < 0:
            raise RefusedError("ProgrammingError", f"no such savepoint: {name}")
        if word == SAVEPOINT:
            found = len(points)
            capture.flush()  # what came before must not be undone with what comes
        else:
            point = points[found]
            del points[found:]
            if word == RELEASE:
                self._cursor.execute(f"RELEASE quorate_point_{found}", prepare_flags=INTERNAL)
                return
            self._runner.reset()
            self._back_to(f"quorate_point_{found}", point.mark, point.facts)
        self._cursor.execute(f"SAVEPOINT quorate_point_{found}", prepare_flags=INTERNAL)
        points.append(Point(name, capture.mark(), self.facts))

    def unresolved(self) -> Failed | None:
        """The failure of a held transaction that still violates a foreign key."""
        return self._orphans(deferrable=True)

    def close(self) -> None:
        self._runner.close()
        self._cursor.close(force=True)
