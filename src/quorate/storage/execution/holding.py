"""The statements of a transaction that holds the writer (`core.scripts.Hold`): each runs once, and stays.

The transaction is open by itself: nobody else's changes are in it. So what must be undone is undone as a whole, by the
writer that this belongs to (`storage.data.holding`).
"""

import apsw
from msgspec import Struct, structs

from quorate.core.limits import RESULT_BYTES_MAX
from quorate.core.scripts import Evaluated, Hold, HoldEnded, Script, Step
from quorate.core.statements import Failed
from quorate.storage.data.guard import Guard
from quorate.storage.data.schema import SchemaReader
from quorate.storage.execution.execution import TransactionLostError
from quorate.storage.execution.scripts import as_outcome, evaluate
from quorate.storage.execution.transactions import COMMITTED, Transactions
from quorate.storage.execution.watch import StoppedError, Watch
from quorate.storage.failures import ResultTooLarge
from quorate.storage.rows.capture import Capture
from quorate.storage.rows.payload import encode, encode_failed

ENDED = encode(HoldEnded())


class Held(Struct):
    """What is open."""

    ticket: str
    steps: list[Step]
    """All that have run, with what they gave."""


class Holding(Transactions):
    """Runs the scripts of transactions that hold the writer as well."""

    __slots__ = ("_ready", "held")

    def __init__(
        self, connection: apsw.Connection, guard: Guard, capture: Capture, schema: SchemaReader, watch: Watch
    ) -> None:
        super().__init__(connection, guard, capture, schema, watch)
        self.held: Held | None = None
        self._ready = False

    def goes_on(self, hold: Hold) -> bool:
        """Whether what is open is what this request goes on with."""
        return self.held is not None and bool(hold.ticket) and hold.ticket == self.held.ticket

    def drop(self) -> None:
        self.held = None
        super().drop()

    def script(self, position: int, script: Script) -> tuple[bytes, bytes | None]:
        """See `Transactions.script`. What runs here must be undone by the writer unless it is `held` afterwards, or
        `is_ready` to be logged."""
        hold = script.hold
        if hold is None:
            return super().script(position, script)
        self._position = position
        if script.commit:
            return self._commit()
        if hold.ticket and not self.goes_on(hold):
            return ENDED, None
        if self.held is None:
            self.start_counting()
        before = [] if self.held is None else self.held.steps
        self.held = None
        found = self._evaluate(script.steps)
        if isinstance(found, Failed):
            return encode_failed(found), None
        outcome = as_outcome(structs.replace(found, ticket=hold.next))
        if len(outcome) > RESULT_BYTES_MAX:
            return encode_failed(self._failed(ResultTooLarge(), 0, 1)), None
        self.held = Held(hold.next, before + _as_they_ran(script.steps, found))
        return outcome, None

    def is_ready(self) -> bool:
        """Whether the one request that has just run was a COMMIT, and may be logged."""
        ready, self._ready = self._ready, False
        return ready

    def _commit(self) -> tuple[bytes, bytes | None]:
        self.held = None
        failed = self.unresolved()
        self._ready = failed is None
        return (COMMITTED, COMMITTED) if failed is None else (encode_failed(failed), None)

    def run_again(self, held: Held) -> None:
        """Bring back what was set aside, on the same state. Raises what `script` raises."""
        self.start_counting()
        found = self._evaluate(held.steps)
        assert isinstance(found, Evaluated), f"what was set aside gives something else: {found}"
        self.held = held

    def _evaluate(self, steps: tuple[Step, ...] | list[Step]) -> Evaluated | Failed:
        self._watch.begin()
        try:
            return evaluate(steps, self._step)
        except TransactionLostError:
            raise
        except Exception as error:
            if self._watch.why:
                raise StoppedError(self._position, self._watch.why) from error
            failed = self._failed(error, 0, 1)
            if not self._connection.in_transaction:
                raise TransactionLostError(self._position, failed) from error
            return failed
        finally:
            self._watch.end()
            self._runner.pin(None)


def _as_they_ran(steps: tuple[Step, ...], found: Evaluated) -> list[Step]:
    """The steps, each with what it gave and its pin."""
    new = zip(found.digests, found.pins, strict=True)
    ran: list[Step] = []
    for step in steps:
        if step.digest:
            ran.append(step)
        else:
            digest, pin = next(new)
            ran.append(structs.replace(step, digest=digest, pin=pin))
    return ran
