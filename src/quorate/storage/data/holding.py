"""A writer on which a transaction may stay open from one request to the next (`core.scripts.Hold`).

Whatever else the writer is asked to do undoes it; its client has all statements.
"""

from collections.abc import Sequence

from msgspec import structs

from quorate.core.requests import Write
from quorate.core.scripts import Script
from quorate.storage.data.order import OutOfOrderError
from quorate.storage.data.schema import SchemaFacts
from quorate.storage.data.writer import IDLE, RUNNING, Writer
from quorate.storage.execution.execution import MaybeFullError, TransactionLostError
from quorate.storage.execution.holding import Held
from quorate.storage.failures import EntryTooLarge
from quorate.storage.rows.payload import encode_failed


class HoldingWriter(Writer):
    """Runs batches, and keeps one transaction open. Raises what `Writer` raises."""

    _set_aside: Held | None = None
    """What was open, and comes back with its next request: a replica in memory was read meanwhile."""

    @property
    def ticket(self) -> str:
        """Of the transaction that is open from the last request on; empty: none is."""
        held = self._execution.held or self._set_aside
        return "" if held is None else held.ticket

    def put_aside(self) -> None:
        """Undo what is open, but keep what is needed to bring it back."""
        held = self._execution.held or self._set_aside
        self.set_aside()
        self._set_aside = held

    def set_aside(self) -> None:
        self._set_aside = None
        super().set_aside()

    def _begin(self) -> SchemaFacts:
        if self._execution.held is not None:
            return self._read_facts()
        held, self._set_aside = self._set_aside, None
        facts = super()._begin()
        if held is not None:
            self._execution.run_again(held)
        return facts

    def _execute(self, requests: Sequence[Write], timestamp_us: int) -> tuple[bytes | None, tuple[bytes, ...]]:
        first = requests[0] if requests else None
        if type(first) is not Script or first.hold is None:
            if self._execution.held is not None or self._set_aside is not None:
                self.rollback()
            return super()._execute(requests, timestamp_us)
        if not first.hold.ticket or first.hold.ticket != self.ticket:
            if self.ticket:
                self.rollback()
            if first.commit:
                return super()._execute([structs.replace(first, hold=None)], timestamp_us)
        assert len(requests) == 1, "a transaction that holds the writer is alone in its batch"
        assert not self.stack, "executed batches are not committed"
        return self._execute_alone(first, timestamp_us)

    def _execute_alone(self, request: Script, timestamp_us: int) -> tuple[bytes | None, tuple[bytes, ...]]:
        try:
            facts = self._begin()
            outcomes, records = self._attempt((request,), {})
            if self._execution.held is not None and not request.commit:
                self.state = RUNNING
                return None, outcomes
            if self._execution.is_ready() and records:
                return self._seal(facts, records, timestamp_us), outcomes
        except TransactionLostError as gone:
            if type(gone) is MaybeFullError:
                self._tell_full_from_full(gone)
            outcomes = (encode_failed(gone.failed),)
        except (EntryTooLarge, OutOfOrderError) as error:
            outcomes = (encode_failed(error.failed),)
        self.rollback()
        return None, outcomes

    @property
    def at_rest(self) -> bool:
        """Nothing is open, nor was set aside."""
        return self.state == IDLE and not self.stack and self._set_aside is None
