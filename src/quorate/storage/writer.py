"""The one connection of a replica that writes: running batches as the leader, applying them as a follower.

Its state is the open transaction. `running` after a batch was executed, `held` while a caller's interactive
transaction is open, `idle` otherwise; the data file only ever changes by a commit that also writes the position.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import apsw
from msgspec import Raw

from quorate.core.kernel import DATA, Entry, Position
from quorate.core.requests import CommitHeld, Done, Failed, Outcome, Result, Run, Statement, Write
from quorate.storage.application import apply_batch
from quorate.storage.capture import Capture
from quorate.storage.connection import FOLLOW, INTERNAL, LEAD, isolate_counters, open_writer, set_mode
from quorate.storage.data_file import load_window, open_tables, remembered, write_applied, write_records
from quorate.storage.execution import NOT_TEXT, Execution, TransactionLostError
from quorate.storage.failures import raise_if_fatal
from quorate.storage.guard import Guard
from quorate.storage.interface import Broken, Divergent, StatementFailed
from quorate.storage.payload import (
    CANCELLED,
    EXPIRED,
    FORMAT,
    Batch,
    Record,
    decode_batch,
    decode_records,
    encode,
    encode_failed,
    encode_records,
)
from quorate.storage.schema import SchemaFacts, SchemaReader, drop_key_triggers, sync_key_triggers
from quorate.storage.window import Window

IDLE, RUNNING, HELD = range(3)
_HELD_GONE = Failed(
    "OperationalError", "the transaction is not open any more", "a statement or a time-out ended it; begin again"
)
HELD_DONE = encode(Done(()))


@contextmanager
def _storage_errors() -> Iterator[None]:
    """Turn what apsw raises outside users' statements into what drivers know."""
    try:
        yield
    except apsw.Error as error:
        raise_if_fatal(error)
        raise Broken(f"{type(error).__name__}: {error}") from error


class Writer:
    """Raises DiskIsFull, Broken and Divergent; after any of them no transaction is open."""

    def __init__(self, path: str) -> None:
        self.guard = Guard()
        with _storage_errors():
            self.connection = open_writer(path, self.guard)
            try:
                self.applied, self._floor = open_tables(self.connection)
            except BaseException:
                self.connection.close()
                raise
        self.state = IDLE
        self._mode = FOLLOW
        self._facts: SchemaFacts | None = None
        self._schema = SchemaReader(self.connection)
        self._window: Window | None = None
        self._cursor = self.connection.cursor()
        self._capture = Capture(self.connection)
        self._execution = Execution(self.connection, self.guard, self._capture, self._schema)
        isolate_counters(self.connection, self._execution.counted_from)
        self._tokens: list[str] = []
        self._records = b""

    # ------------------------------------------------------------------ small parts

    def _control(self, sql: str) -> None:
        self._cursor.execute(sql, prepare_flags=INTERNAL)

    @property
    def window(self) -> Window:
        if self._window is None:
            self._window = load_window(self.connection, self._floor)
        return self._window

    @property
    def floor(self) -> int:
        return self._floor

    @property
    def has_virtual_tables(self) -> bool:
        return self._read_facts().virtual

    def _read_facts(self) -> SchemaFacts:
        if self._facts is None:
            self._facts = self._schema.read()
        return self._facts

    def _lead(self) -> None:
        """Be ready to run users' statements."""
        if self._mode == LEAD:
            return
        facts = self._read_facts()
        if facts.virtual:
            self.forget_cached()
        set_mode(self.connection, LEAD)
        self._mode = LEAD
        sync_key_triggers(self.connection, facts)

    def _follow(self) -> None:
        """Be ready to apply what others ran: nothing may fire again."""
        if self._mode == FOLLOW:
            return
        drop_key_triggers(self.connection)
        set_mode(self.connection, FOLLOW)
        self._mode = FOLLOW

    def forget_cached(self) -> None:
        """Raise the connection's own data version: full-text tables keep parts of their index in memory, and only
        look again when another connection seems to have written."""
        self.connection.file_control("main", apsw.SQLITE_FCNTL_RESET_CACHE, 0)

    def _begin(self) -> SchemaFacts:
        facts = self._read_facts()
        self._control("BEGIN IMMEDIATE")
        self._capture.begin(facts)
        self._execution.begin(facts)
        return facts

    def rollback(self) -> None:
        """Undo whatever is open."""
        self._capture.drop()
        self.state = IDLE
        if self.connection.in_transaction:
            with _storage_errors():
                self._control("ROLLBACK")

    def _fail(self) -> None:
        """Something went wrong in a transaction: undo it and trust nothing that was derived from it."""
        self._facts = None
        self._window = None
        self.rollback()
        if self._mode == LEAD:
            self._mode = FOLLOW  # so that the next batch looks at the triggers again
            set_mode(self.connection, FOLLOW)

    # ------------------------------------------------------------------ leading

    def execute(self, requests: Sequence[Write], timestamp_us: int) -> tuple[bytes | None, tuple[bytes, ...]]:
        """See `Replica.execute`."""
        assert self.state != RUNNING, "a batch is open already"
        held = requests[0] if requests and type(requests[0]) is CommitHeld else None
        assert held is None or len(requests) == 1, "CommitHeld is alone in its batch"
        assert held is not None or self.state == IDLE, "an interactive transaction is open"
        try:
            with _storage_errors():
                if held is not None:
                    return self._execute_held(held, timestamp_us)
                return self._execute(requests, timestamp_us)
        except BaseException:
            self._fail()
            raise

    def _execute(self, requests: Sequence[Write], timestamp_us: int) -> tuple[bytes | None, tuple[bytes, ...]]:
        self._lead()
        lost: dict[int, bytes] = {}
        careful = False
        while True:
            facts = self._begin()
            try:
                outcomes, records = self._attempt(requests, lost, careful)
                return self._seal(facts, records, timestamp_us), outcomes
            except TransactionLostError as gone:
                lost[gone.position] = encode_failed(gone.failed)
            except UnicodeDecodeError:  # some request's rows cannot be captured: find out whose
                assert not careful
                careful = True
            self.rollback()

    def _attempt(
        self, requests: Sequence[Write], lost: dict[int, bytes], careful: bool
    ) -> tuple[tuple[bytes, ...], list[Record]]:
        """Run every request once. `lost` has the failures of those that ended an earlier attempt's transaction:
        they are not run again. Careful: capture each request by itself. Raises TransactionLostError."""
        outcomes: list[bytes] = []
        records: list[Record] = []
        fresh: dict[str, bytes] = {}
        run = self._execution.run
        for position, request in enumerate(requests):
            token = request.token
            if token is not None:
                known = fresh.get(token.id) or self._known(token.id, token.seen)
                if known is not None:
                    outcomes.append(known)
                    continue
            if position in lost:
                outcome = kept = lost[position]
            elif type(request) is Run:
                outcome, kept = run(position, request)
                if careful:
                    self._execution.capture_now(position)
            else:
                assert type(request) is Outcome, request
                outcome = kept = CANCELLED
            outcomes.append(outcome)
            if token is not None:
                fresh[token.id] = kept
                records.append((token.id, kept))
        return tuple(outcomes), records

    def _known(self, token: str, seen: int) -> bytes | None:
        """What is to be answered without running anything."""
        window = self._window or self.window
        entry = window.find(token)
        if entry is not None:
            return remembered(self.connection, entry, token)
        return EXPIRED if seen < window.floor else None

    def _seal(self, facts: SchemaFacts, records: list[Record], timestamp_us: int) -> bytes | None:
        """Capture what the open transaction did. Nothing to log: it is undone."""
        segments = self._capture.finish(self._execution.facts)
        if not segments and not records:
            self.rollback()
            return None
        self._records = encode_records(records)
        self._tokens = [token for token, _ in records]
        self.state = RUNNING
        return encode(Batch(FORMAT, facts.hash, timestamp_us, segments, Raw(self._records)))

    def commit(self, position: Position) -> None:
        """See `Replica.commit`."""
        assert self.state == RUNNING, "no batch is open"
        assert position.index == self.applied.index + 1, f"{position} does not follow {self.applied}"
        try:
            with _storage_errors():
                self._finish(position, self._tokens, self._records)
        except BaseException:
            self._fail()
            raise
        self._facts = self._execution.facts
        self._capture.drop()
        self.state = IDLE

    def _finish(self, position: Position, tokens: list[str], records: bytes) -> None:
        """Write position and records, and commit."""
        window = self._window or self.window
        if tokens:
            write_records(self.connection, window, position.index, tokens, records)
        write_applied(self.connection, position, window.floor)
        self._control("COMMIT")
        self.applied = position
        self._floor = window.floor

    # ------------------------------------------------------------------ an interactive transaction

    def hold(self) -> None:
        """See `Replica.hold`."""
        assert self.state == IDLE, "the writer is busy"
        try:
            with _storage_errors():
                self._lead()
                self._begin()
        except BaseException:
            self._fail()
            raise
        self._execution.start_counting()
        self.state = HELD

    def run_held(self, statement: Statement) -> Result:
        """See `Replica.run_held`."""
        if self.state != HELD:
            raise StatementFailed(_HELD_GONE)
        try:
            return self._execution.run_held(statement)
        except StatementFailed:
            if not self.connection.in_transaction:
                self.rollback()
            raise
        except BaseException:
            self._fail()
            raise

    def _execute_held(self, request: CommitHeld, timestamp_us: int) -> tuple[bytes | None, tuple[bytes, ...]]:
        token = request.token
        known = self._known(token.id, token.seen)
        if known is not None:
            self.rollback()
            return None, (known,)
        failed = self._execution.unresolved() if self.state == HELD else _HELD_GONE
        outcome = HELD_DONE if failed is None else encode_failed(failed)
        if failed is not None:  # only the failure is to be remembered
            self.rollback()
            self._lead()
            self._begin()
        facts = self._read_facts()  # as they were when the transaction began
        try:
            return self._seal(facts, [(token.id, outcome)], timestamp_us), (outcome,)
        except UnicodeDecodeError:
            self.rollback()
            self._begin()
            outcome = encode_failed(NOT_TEXT)
            return self._seal(facts, [(token.id, outcome)], timestamp_us), (outcome,)

    # ------------------------------------------------------------------ following

    def apply(self, entries: Sequence[Entry]) -> None:
        """See `Replica.apply`."""
        self.rollback()
        if not entries:
            return
        try:
            with _storage_errors():
                self._follow()
                self._control("BEGIN IMMEDIATE")
                previous = self.applied
                for entry in entries:
                    previous = self._apply(entry, previous)
                write_applied(self.connection, previous, self.window.floor)
                self._control("COMMIT")
        except BaseException:
            self._fail()
            raise
        self.applied = previous
        self._floor = self.window.floor

    def _apply(self, entry: Entry, previous: Position) -> Position:
        if entry.index != previous.index + 1 or entry.epoch < previous.epoch:
            at = Position(entry.epoch, entry.index)
            raise Divergent(f"entry {at} cannot follow {previous}")
        if entry.kind == DATA:
            batch = decode_batch(entry.payload)
            if batch.schema != self._read_facts().hash:
                raise Divergent(f"entry {entry.index} was made under another schema than this replica has")
            if batch.segments and apply_batch(self.connection, batch):
                self._facts = None
            records = bytes(batch.records)
            tokens = [token for token, _ in decode_records(records)]
            if tokens:
                write_records(self.connection, self.window, entry.index, tokens, records)
        return Position(entry.epoch, entry.index)

    # ------------------------------------------------------------------

    def close(self) -> None:
        self.rollback()
        self._execution.close()
        self._cursor.close(force=True)
        self.connection.close()
