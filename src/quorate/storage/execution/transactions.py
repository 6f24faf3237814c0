"""The execution of a batch in which there are scripts of transactions (`storage.execution.scripts`) among the requests.

A script runs in a savepoint as every request does; each of its statements that may change something runs in one of its
own within that, since one that fails is undone alone. Savepoints of the transaction itself run under names of ours.
"""

from typing import TYPE_CHECKING

import apsw
from msgspec import structs

from quorate.core.limits import RESULT_BYTES_MAX
from quorate.core.requests import Done
from quorate.core.scripts import Evaluated, Pin, Script, Step
from quorate.core.statements import Failed, Result
from quorate.sql.classify import CHANGE, CREATE_AS, DDL, DROP_TABLE, READ, Shape, shape_of
from quorate.sql.control import savepoint_of
from quorate.storage.data.connection import INTERNAL
from quorate.storage.data.guard import Guard
from quorate.storage.data.schema import SchemaReader
from quorate.storage.execution.execution import Execution, TransactionLostError
from quorate.storage.execution.numbering import Numbers, shows_chosen
from quorate.storage.execution.running import NOTHING
from quorate.storage.execution.scripts import as_outcome, escalating, evaluate
from quorate.storage.execution.watch import StoppedError, Watch
from quorate.storage.failures import ResultTooLarge
from quorate.storage.rows.capture import Capture
from quorate.storage.rows.payload import encode, encode_failed

if TYPE_CHECKING:
    from quorate.storage.versions.group import GroupVersions

_SCHEMA_KINDS = frozenset({DDL, CREATE_AS, DROP_TABLE})
COMMITTED = encode(Done(()))


class Transactions(Execution):
    """Runs the scripts of transactions as well."""

    def __init__(
        self, connection: apsw.Connection, guard: Guard, capture: Capture, schema: SchemaReader, watch: Watch
    ) -> None:
        super().__init__(connection, guard, capture, schema, watch)
        self._numbers = Numbers(connection)

    __slots__ = ("_chosen", "_numbers")

    def version(self, versions: "GroupVersions") -> None:
        """It is a database with several leaders."""
        self.versions = versions
        keys, runner = versions.keys, self._runner
        self._numbers.ranged = keys.first
        self._change = lambda statement, shape: (
            keys.change(runner, statement, shape, self.facts) if shape.inserts else runner.change(statement, shape)
        )

    def script(self, position: int, script: Script) -> tuple[bytes, bytes | None]:
        """Run one: its encoded outcome, and what is to be remembered (None: nothing). Raises what `run` raises."""
        self.end_together()
        self._position = position
        capture, facts = self._capture, self.facts
        shapes = [shape_of(step.statement.sql) for step in script.steps]
        schema = any(shape.kind in _SCHEMA_KINDS for shape in shapes)
        if schema:
            capture.flush()
        counted = capture.flushed()
        began_us = self._watch.now_us()
        self._watch.begin()
        self._cursor.execute("SAVEPOINT quorate_request", prepare_flags=INTERNAL)
        mark = capture.mark()
        self._points.clear()
        self._chosen = ""
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
            return COMMITTED, COMMITTED
        self._runner.reset()
        self._back_to("quorate_request", mark, facts)
        capture.recount(counted)
        if isinstance(found, Evaluated):
            found = structs.replace(found, escalate=self._chosen)
            found = escalating(found, script, self._watch.now_us() - began_us, schema=schema)
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
            pin = step.pin
            if shape.inserts and not shape.surplus:
                gave, pin = self._insert(step, shape)
            else:
                gave = self._statement(statement, shape)
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
        return gave, pin

    def _insert(self, step: Step, shape: Shape) -> tuple[Result, Pin | None]:
        """Run an INSERT with numbers that no other open transaction has been shown, where SQLite would choose them."""
        statement, numbers = step.statement, self._numbers
        planned, pin = numbers.plan(statement, shape, self.facts), step.pin
        first = 0 if planned is None or pin is None else numbers.first(planned[1], pin, self.facts)
        if planned is None or pin is None or not first:
            gave = self._statement(statement, shape)
            if shows_chosen(statement, shape, self.facts, gave.lastrowid):
                self._chosen = "it was shown the number of a row that SQLite chose, and that others may be shown too"
            return gave, step.pin
        text, table = planned
        pins = self._runner.pins
        pins.next_number = first
        try:
            gave = self._statement(text, shape_of(text.sql))
        except apsw.SQLError:
            if pins.next_number != first:
                raise
            pins.next_number = 0  # it is wrong, but what SQLite says is about a text that is not the caller's
            return self._statement(statement, shape), step.pin
        finally:
            used = pins.next_number > first
            if used:
                numbers.gave(table, pins)
            pins.next_number = 0
        return gave, structs.replace(pin, reserved=((table.name, first),)) if used else pin
