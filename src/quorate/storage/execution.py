"""Running the requests of a batch, each isolated from the others, in the leader's open transaction.

Each request runs in a savepoint, so one that fails leaves nothing behind and the others never notice. Two
things get past a savepoint. `INSERT OR ROLLBACK`, `RAISE(ROLLBACK)` and some errors of SQLite itself end the whole
transaction: then `TransactionLostError` asks for the batch to be run again without the offender. And a violated
deferred foreign key passes RELEASE and would fail the COMMIT of everybody: so it is looked for after each request.
"""

import apsw

from quorate.core.requests import Failed, Result, Run, Statement
from quorate.sql.classify import CHANGE, CREATE_AS, DDL, DROP_TABLE, READ, Shape, shape_of
from quorate.sql.tokens import quoted
from quorate.storage.capture import Capture
from quorate.storage.connection import INTERNAL, LEAD, LOAD, NO_ROWID, set_mode
from quorate.storage.failures import RowsTooLarge, failed_of
from quorate.storage.guard import Guard
from quorate.storage.interface import StatementFailed
from quorate.storage.payload import Batch, encode_done, encode_failed
from quorate.storage.replaying import Replaying
from quorate.storage.running import RESULT_MAX, RefusedError, Runner, refuse
from quorate.storage.schema import SchemaFacts, SchemaReader, drop_key_triggers, sync_key_triggers

STEPS_AT_ONCE = 5_000_000
STEPS_MAX = 1_000_000_000
"""Instructions of SQLite's virtual machine that one write may take: some seconds. Counted in steps and not in
seconds, because storage has no clock. A write runs where everything else of its node runs, and one without an end
would stop the node, and then, retried, the next."""
_SCHEMA_KINDS = frozenset({DDL, CREATE_AS, DROP_TABLE})
_ABORT = "SQLITE_CONSTRAINT_FOREIGNKEY"
NOT_TEXT = Failed(
    "DataError",
    "text that is not UTF-8 was written to a table whose key has a collation",
    "store it as a BLOB, or declare the key COLLATE BINARY",
)


class TransactionLostError(Exception):
    """This request ended the transaction of the whole batch."""

    def __init__(self, position: int, failed: Failed) -> None:
        super().__init__(failed.message)
        self.position = position
        self.failed = failed


class Execution:
    """Runs requests on the writing connection. `facts` are those of the schema as the open transaction sees it."""

    __slots__ = (
        "_base", "_capture", "_connection", "_counting", "_cursor", "_dirty", "_guard", "_runner", "_schema", "_steps",
        "facts", "steps_max",
    )  # fmt: skip

    facts: SchemaFacts

    def __init__(self, connection: apsw.Connection, guard: Guard, capture: Capture, schema: SchemaReader) -> None:
        self._connection = connection
        self._guard = guard
        self._capture = capture
        self._schema = schema
        self._runner = Runner(connection, guard)
        self._cursor = connection.cursor()
        self._base = 0
        self._dirty = False
        self._steps = 0
        self._counting = False
        self.steps_max = STEPS_MAX
        connection.set_progress_handler(self._stepped, STEPS_AT_ONCE)

    def _stepped(self) -> bool:
        """Called now and then while a statement runs; True interrupts it. Only callers' statements are counted: what a
        follower applies, and what commits, may take as long as it needs."""
        if not self._counting:
            return False
        self._steps += STEPS_AT_ONCE
        return self._steps >= self.steps_max

    def counted_from(self) -> int:
        """What `total_changes()` was when the current request began."""
        return self._base

    def begin(self, facts: SchemaFacts) -> None:
        """A transaction has begun."""
        self.facts = facts
        self._dirty = False

    def start_counting(self) -> None:
        """What `changes()` and its like tell begins here."""
        self._connection.set_last_insert_rowid(NO_ROWID)
        self._base = self._connection.total_changes()

    # ------------------------------------------------------------------ requests of a batch

    def run(self, position: int, request: Run) -> tuple[bytes, bytes]:
        """Run one request: its encoded outcome, and the same as it will be remembered.

        Raises TransactionLostError, or what is the disk's fault.
        """
        if not request.load:
            return self._run(position, request.statements)
        set_mode(self._connection, LOAD)
        try:
            return self._run(position, request.statements)
        finally:
            set_mode(self._connection, LEAD)

    def _run(self, position: int, statements: tuple[Statement, ...]) -> tuple[bytes, bytes]:
        shapes = [shape_of(statement.sql) for statement in statements]
        facts = self.facts
        mark = -1
        for shape in shapes:
            if shape.kind in _SCHEMA_KINDS:  # what came before must not be undone with this request
                self._capture.flush(facts)
                mark = len(self._capture.segments)
                break
        connection = self._connection
        connection.set_last_insert_rowid(NO_ROWID)
        self._base = connection.total_changes()
        self._steps = 0
        self._counting = True
        control = self._cursor.execute
        control("SAVEPOINT quorate_request", prepare_flags=INTERNAL)
        results: list[Result] = []
        try:
            for statement, shape in zip(statements, shapes, strict=True):
                results.append(self._statement(statement, shape))  # how many ran is needed when one fails
            if self._dirty:
                self._settle()
            self._counting = False
            if connection.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0]:
                return self._undo(mark, facts, _violated())
            outcome = encode_done(results)
            if len(outcome[0]) > RESULT_MAX:
                raise RowsTooLarge(f"the result is larger than {RESULT_MAX >> 20} MiB")
        except Exception as error:  # whatever it is, it is this caller's alone
            self._counting = False
            failed = self._failed(error, len(results), len(statements))
            if not connection.in_transaction:
                raise TransactionLostError(position, failed) from error
            return self._undo(mark, facts, failed)
        control("RELEASE quorate_request", prepare_flags=INTERNAL)
        return outcome

    def replay(self, position: int, batch: Batch) -> tuple[bytes, bool]:
        """Apply a lost entry as far as it fits: the encoded outcome, and whether anything of it is there now."""
        facts = self.facts
        self._capture.flush(facts)
        mark = len(self._capture.segments)
        set_mode(self._connection, LOAD)
        self._cursor.execute("SAVEPOINT quorate_request", prepare_flags=INTERNAL)
        try:
            self._capture.open(facts)
            result = Replaying(self._connection, facts.hash, self._replay_text).run(batch)
            if self._dirty:
                self._settle()
            outcome = encode_done([result])[0]
        except Exception as error:
            failed = self._failed(error, 0, 1)
            if not self._connection.in_transaction:
                raise TransactionLostError(position, failed) from error
            return self._undo(mark, facts, failed)[0], False
        finally:
            set_mode(self._connection, LEAD)
        self._cursor.execute("RELEASE quorate_request", prepare_flags=INTERNAL)
        return outcome, result.rowcount > 0 or not result.rows

    def _replay_text(self, statement: Statement) -> None:
        self._statement(statement, shape_of(statement.sql))
        self._settle()
        self._capture.open(self.facts)

    def _undo(self, mark: int, facts: SchemaFacts, failed: Failed) -> tuple[bytes, bytes]:
        self._runner.reset()
        self._cursor.execute("ROLLBACK TO quorate_request", prepare_flags=INTERNAL)
        self._cursor.execute("RELEASE quorate_request", prepare_flags=INTERNAL)
        if mark >= 0:
            self._capture.forget(mark)
            self.facts = facts
            self._dirty = False
        outcome = encode_failed(failed)
        return outcome, outcome

    def _failed(self, error: Exception, statement: int, count: int) -> Failed:
        at = min(statement, count - 1)
        if isinstance(error, RefusedError):
            failed = error.failed
            return Failed(failed.error, failed.message, failed.hint, failed.sqlite_errorname, at)
        if isinstance(error, apsw.InterruptError) and self._steps >= self.steps_max:
            hint = "change fewer rows at a time"
            return Failed("OperationalError", "the write takes too long", hint, "SQLITE_INTERRUPT", at)
        return failed_of(error, at, self._guard)

    def capture_now(self, position: int) -> None:
        """Capture what this request did. Raises TransactionLostError when that cannot be done."""
        try:
            self._capture.flush(self.facts)
        except UnicodeDecodeError as error:
            raise TransactionLostError(position, NOT_TEXT) from error

    # ------------------------------------------------------------------ one statement

    def _statement(self, statement: Statement, shape: Shape) -> Result:
        kind = shape.kind
        if kind == CHANGE and not shape.surplus:
            if self._dirty:
                self._settle()
            if self._capture.session is None:
                self._capture.open(self.facts)
            return self._runner.change(statement, shape)
        refuse(shape)
        if kind == READ:
            return self._runner.read(statement, shape)
        self._capture.flush(self.facts)
        self._dirty = True
        if kind == CREATE_AS:
            return self._create_as(statement, shape)
        if kind == DROP_TABLE:
            return self._drop_table(statement, shape)
        if shape.alters:  # our triggers must not be rewritten, nor stand in the way
            drop_key_triggers(self._connection)
        result = self._runner.text(statement, shape)
        self._capture.ddl(shape.sql)
        return result

    def _settle(self) -> None:
        """The schema has changed: look at it again."""
        self.facts = self._schema.read()
        if self.facts.problem:
            raise RefusedError("NotSupportedError", self.facts.problem)
        sync_key_triggers(self._connection, self.facts)
        self._dirty = False

    def _drop_table(self, statement: Statement, shape: Shape) -> Result:
        """Dropping a parent deletes its rows first, with all that foreign keys then do to the children: followers
        have foreign keys off, so the children's rows travel, and then the text."""
        drop_key_triggers(self._connection, shape.table)
        self._capture.open(self.facts, excluded=shape.table)
        result = self._runner.text(statement, shape)
        self._capture.flush(self.facts)
        self._capture.ddl(shape.sql)
        return result

    def _create_as(self, statement: Statement, shape: Shape) -> Result:
        """CREATE TABLE ... AS SELECT: sessions do not see its rows, and the SELECT may give others elsewhere. So
        the table travels as SQLite wrote it down, and its rows are moved out and in again under a session."""
        if len(statement.sets) != 1:
            raise RefusedError("ProgrammingError", "CREATE TABLE ... AS takes one set of parameters")
        find = "SELECT sql FROM main.sqlite_schema WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')"
        if self._rows(find, (shape.table,)):
            return self._runner.text(statement, shape)  # IF NOT EXISTS does nothing; without it, this fails
        result = self._runner.text(statement, shape)
        sql = self._rows(find, (shape.table,))[0][0]
        assert isinstance(sql, str)
        self._capture.ddl(sql)
        table = quoted(shape.table)
        for step in (
            f"CREATE TEMP TABLE quorate_rows AS SELECT * FROM main.{table} ORDER BY rowid",  # noqa: S608
            f"DELETE FROM main.{table}",  # noqa: S608
        ):
            self._connection.execute(step, can_cache=False, prepare_flags=INTERNAL)
        self._capture.open(self.facts)
        copy = f"INSERT INTO main.{table} SELECT * FROM temp.quorate_rows ORDER BY rowid"  # noqa: S608
        self._connection.execute(copy, can_cache=False, prepare_flags=INTERNAL)
        self._connection.execute("DROP TABLE temp.quorate_rows", can_cache=False, prepare_flags=INTERNAL)
        return result

    def _rows(self, sql: str, parameters: tuple[str, ...]) -> list[tuple[object, ...]]:
        return self._connection.execute(sql, parameters, prepare_flags=INTERNAL).fetchall()

    # ------------------------------------------------------------------ a held transaction

    def run_held(self, statement: Statement) -> Result:
        """Run one statement of an interactive transaction: all of it or nothing. Raises StatementFailed."""
        shape = shape_of(statement.sql)
        facts = self.facts
        if shape.kind in _SCHEMA_KINDS:
            self._capture.flush(facts)
        mark = len(self._capture.segments)
        self._cursor.execute("SAVEPOINT quorate_statement", prepare_flags=INTERNAL)
        self._steps, self._counting = 0, True
        try:
            result = self._statement(statement, shape)
            if self._dirty:
                self._settle()
        except Exception as error:
            self._counting = False
            failed = self._failed(error, 0, 1)
            self._runner.reset()
            if self._connection.in_transaction:
                self._cursor.execute("ROLLBACK TO quorate_statement", prepare_flags=INTERNAL)
                self._cursor.execute("RELEASE quorate_statement", prepare_flags=INTERNAL)
                if shape.kind in _SCHEMA_KINDS:
                    self._capture.forget(mark)
                    self.facts = facts
                    self._dirty = False
            raise StatementFailed(failed) from error
        self._counting = False
        self._cursor.execute("RELEASE quorate_statement", prepare_flags=INTERNAL)
        return result

    def unresolved(self) -> Failed | None:
        """The failure of a held transaction that still violates a deferred foreign key."""
        return _violated() if self._connection.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0] else None

    def close(self) -> None:
        self._runner.close()
        self._cursor.close(force=True)


def _violated() -> Failed:
    return Failed("IntegrityError", "FOREIGN KEY constraint failed", "", _ABORT)
