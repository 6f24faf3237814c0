"""The execution of a batch in which there are scripts of transactions (`storage.scripts`) among the requests.

A script runs in a savepoint as every request does; each of its statements that may change something runs in one of its
own within that, since one that fails is undone alone. Savepoints of the transaction itself run under names of ours.
"""

from quorate.core.limits import RESULT_BYTES_MAX
from quorate.core.requests import Done, Evaluated, Failed, Result, Script, Step
from quorate.core.scripts import Pin
from quorate.sql.classify import CHANGE, CREATE_AS, DDL, DROP_TABLE, READ, shape_of
from quorate.sql.savepoints import RELEASE, SAVEPOINT, savepoint_of
from quorate.storage.capture import Mark
from quorate.storage.connection import INTERNAL
from quorate.storage.execution import Execution, TransactionLostError
from quorate.storage.failures import ResultTooLarge
from quorate.storage.payload import encode, encode_failed
from quorate.storage.running import NOTHING
from quorate.storage.schema import SchemaFacts
from quorate.storage.scripts import Savepoints, as_outcome, escalating, evaluate
from quorate.storage.watch import StoppedError

_SCHEMA_KINDS = frozenset({DDL, CREATE_AS, DROP_TABLE})
_COMMITTED = encode(Done(()))


class Transactions(Execution):
    """Runs the scripts of transactions as well."""

    __slots__ = ("_marks", "_savepoints", "_schema_changes")

    def script(self, position: int, script: Script) -> tuple[bytes, bytes | None]:
        """Run one: its encoded outcome, and what is to be remembered (None: nothing). Raises what `run` raises."""
        self.end_together()
        self._position = position
        capture, facts = self._capture, self.facts
        shapes = [shape_of(step.statement.sql) for step in script.steps]
        self._schema_changes = any(shape.kind in _SCHEMA_KINDS for shape in shapes)
        if self._schema_changes:
            capture.flush()
        counted = capture.flushed()
        began_us = self._watch.now_us()
        self._watch.begin()
        self._cursor.execute("SAVEPOINT quorate_request", prepare_flags=INTERNAL)
        mark = capture.mark()
        self._savepoints = Savepoints()
        self._marks: list[tuple[Mark, SchemaFacts]] = []
        self.start_counting()
        try:
            found = evaluate(script.steps, self._step)
            keeps = script.commit and isinstance(found, Evaluated)
            orphaned = self._orphans(deferrable=facts.deferrable or self.facts.deferrable) if keeps else None
            if orphaned is not None:
                keeps, found = False, orphaned
        except TransactionLostError:
            raise
        except Exception as error:
            if self._watch.why:
                raise StoppedError(position, self._watch.why) from error
            failed = self._failed(error, 0, 1)
            if not self._connection.in_transaction:
                raise TransactionLostError(position, failed) from error
            keeps, found = False, failed
        finally:
            self._watch.end()
            self._pragmas.reset()
            self._runner.pin(None)
        if keeps:
            self._cursor.execute("RELEASE quorate_request", prepare_flags=INTERNAL)
            return _COMMITTED, _COMMITTED
        self._runner.reset()
        self._back_to("quorate_request", mark, facts)
        capture.recount(counted)
        if isinstance(found, Evaluated):
            found = escalating(found, script, self._watch.now_us() - began_us, schema=self._schema_changes)
        outcome = as_outcome(found)
        if len(outcome) > RESULT_BYTES_MAX:
            outcome = encode_failed(self._failed(ResultTooLarge(), 0, 1))
        return outcome, None

    def _step(self, step: Step) -> tuple[Result | Failed, Pin | None]:
        """Run one statement of a script: what it gave. Raises TransactionLostError, StoppedError, or what is the disk's
        fault."""
        statement = step.statement
        shape = shape_of(statement.sql)
        alone = shape.kind == CHANGE or shape.kind in _SCHEMA_KINDS
        capture, facts = self._capture, self.facts
        self._runner.pin(step.pin)
        if shape.kind in _SCHEMA_KINDS:
            capture.flush()
        if alone:
            self._cursor.execute("SAVEPOINT quorate_statement", prepare_flags=INTERNAL)
            mark = capture.mark()
        try:
            point = None if shape.kind in (CHANGE, READ) else savepoint_of(statement.sql)
            if point is not None:
                self._savepoint(*point)
                return NOTHING, step.pin
            gave: Result = self._statement(statement, shape)
            if self._dirty:
                self._settle()
        except Exception as error:
            if self._watch.why:
                raise
            failed = self._failed(error, 0, 1)
            if not self._connection.in_transaction:
                raise TransactionLostError(self._position, failed) from error
            self._runner.reset()
            if alone:
                self._back_to("quorate_statement", mark, facts)
            return failed, step.pin
        if alone:
            self._cursor.execute("RELEASE quorate_statement", prepare_flags=INTERNAL)
        return gave, step.pin

    def _savepoint(self, word: str, name: str) -> None:
        """Do what a statement about a savepoint says. Raises RefusedError."""
        depth = self._savepoints.do(word, name)
        ours = f"quorate_user_{depth}"
        if word == RELEASE:
            self._cursor.execute(f"RELEASE {ours}", prepare_flags=INTERNAL)
            del self._marks[depth:]
            return
        if word != SAVEPOINT:
            mark, facts = self._marks[depth]
            del self._marks[depth:]
            self._runner.reset()
            self._back_to(ours, mark, facts)
        if self._schema_changes:
            self._capture.flush()
        self._cursor.execute(f"SAVEPOINT {ours}", prepare_flags=INTERNAL)
        self._marks.append((self._capture.mark(), self.facts))
