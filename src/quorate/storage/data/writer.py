"""The one connection of a replica that writes: running batches as the leader, applying them as a follower.

Its state is the open transaction. `running` after a batch was executed, `held` while a caller's interactive
transaction is open, `idle` otherwise; the data file only ever changes by a commit that also writes the position.

Batches stack: while the first waits to be committed, the next runs on top of it in the same transaction, and one
COMMIT ends them all. A statement that ends the whole transaction (`INSERT OR ROLLBACK`) takes those below with it;
their payloads are kept, and bring the transaction back.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

import apsw
from msgspec import Raw, Struct

from quorate.core.entries import DATA, EXECUTED, Entry, Position
from quorate.core.executing import INTERRUPTED
from quorate.core.requests import CommitHeld, Done, Write
from quorate.core.statements import Failed, Result, Statement
from quorate.core.streams import Streams
from quorate.storage.data.connection import FOLLOW, INTERNAL, LEAD, isolate_counters, open_writer, set_mode
from quorate.storage.data.data_file import (
    keep_control,
    load_window,
    open_tables,
    read_controls,
    remembered,
    write_applied,
    write_records,
)
from quorate.storage.data.guard import Guard
from quorate.storage.data.order import OutOfOrderError
from quorate.storage.data.schema import SchemaFacts, SchemaReader
from quorate.storage.data.window import Window, name_of, records_of, repeated
from quorate.storage.execution.attempt import Attempt
from quorate.storage.execution.execution import MaybeFullError, TransactionLostError
from quorate.storage.execution.holding import Holding
from quorate.storage.execution.watch import LOOK_EVERY, StoppedError, Watch
from quorate.storage.failures import EntryTooLarge, raise_if_fatal
from quorate.storage.interface import Broken, DiskIsFull, Divergent, StatementFailed
from quorate.storage.rows.application import apply_batch
from quorate.storage.rows.capture import Capture
from quorate.storage.rows.payload import (
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

if TYPE_CHECKING:
    from quorate.storage.versions.group import GroupVersions

IDLE, RUNNING, HELD = range(3)
_HELD_GONE = Failed(
    "OperationalError", "the transaction is not open any more", "a statement or a time-out ended it; begin again"
)
HELD_DONE = encode(Done(()))


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn what apsw raises outside users' statements into what drivers know."""
    try:
        yield
    except apsw.Error as error:
        _raise(error)


def _raise(error: apsw.Error) -> NoReturn:
    raise_if_fatal(error)
    raise Broken(f"{type(error).__name__}: {error}") from error


class Stacked(Struct, frozen=True):
    """A batch that was executed and is not committed."""

    payload: bytes
    tokens: list[str]
    records: bytes
    facts: SchemaFacts
    """Of the schema behind it."""
    kind: int = DATA
    """Of its entry."""


class Writer:
    """Raises DiskIsFull, Broken and Divergent; after any of them no transaction is open."""

    def __init__(self, path: str, vfs: str | None = None, clock: Callable[[], int] | None = None) -> None:
        self.guard = Guard()
        self.watch = Watch(clock)
        with storage_errors():
            self.connection = open_writer(path, self.guard, vfs)
            try:
                self.applied, self._floor = open_tables(self.connection)
                self.controls = read_controls(self.connection)
                """The control entries that the file keeps."""
            except BaseException:
                self.connection.close()
                raise
        self.versions: GroupVersions | None = None
        """Of a database with several leaders (`data.versioned`)."""
        self.streams: Streams | None = None
        self.state = IDLE
        self._mode = FOLLOW
        self._beneath = False
        """Rows were applied in a transaction in which callers may then have read. When it is undone, a full-text table
        that was only read does not hear of it, and remembers what is not there."""
        self._facts: SchemaFacts | None = None
        self._schema = SchemaReader(self.connection)
        self._window: Window | None = None
        self._cursor = self.connection.cursor()
        self._capture = Capture(self.connection)
        self._execution = Holding(self.connection, self.guard, self._capture, self._schema, self.watch)
        self.connection.set_progress_handler(self.watch.late, LOOK_EVERY)
        isolate_counters(self.connection, self._execution.counted_from)
        self.stack: list[Stacked] = []
        """The executed batches, oldest first. They are in the open transaction, unless the state is `idle`: then they
        were set aside, and come back with the next batch or with their commit."""
        self._fresh: dict[str, bytes] = {}
        """The outcomes that they will be remembered by, by token."""

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
        if self._read_facts().virtual:
            self.forget_cached()
        set_mode(self.connection, LEAD)
        self._mode = LEAD

    def _follow(self) -> None:
        """Be ready to apply what others ran: nothing may fire again."""
        if self._mode == FOLLOW:
            return
        set_mode(self.connection, FOLLOW)
        self._mode = FOLLOW

    def forget_cached(self) -> None:
        """Raise the connection's own data version: full-text tables keep parts of their index in memory, and only
        look again when another connection seems to have written."""
        self.connection.file_control("main", apsw.SQLITE_FCNTL_RESET_CACHE, 0)

    def _begin(self) -> SchemaFacts:
        """Begin a transaction, or go on with the one that earlier batches have left open."""
        if not self.stack:
            self._lead()
            facts = self._read_facts()
            self._control("BEGIN IMMEDIATE")
        else:
            if not self.connection.in_transaction:
                self._bring_back()
            facts = self.stack[-1].facts
        self._capture.begin(facts)
        self._execution.begin(facts)
        return facts

    def _bring_back(self) -> None:
        """Open a transaction that holds what the stack did, as a follower would."""
        if any(stacked.facts.virtual for stacked in self.stack):
            self.forget_cached()
            self._beneath = True
        self._follow()
        self._control("BEGIN IMMEDIATE")
        facts = self._read_facts()
        for stacked in self.stack:
            facts = self._carry_out(stacked.kind, stacked.payload, facts)[0]
        set_mode(self.connection, LEAD)
        self._mode = LEAD

    def set_aside(self) -> None:
        """Undo the open transaction, and keep the stack."""
        self._execution.drop()
        self.state = IDLE
        if self.connection.in_transaction:
            with storage_errors():
                self._control("ROLLBACK")
        if self._beneath:
            self.forget_cached()
            self._beneath = False

    def rollback(self) -> None:
        """Undo whatever is open."""
        self._drop_stack()
        self.set_aside()

    def _drop_stack(self) -> None:
        self.stack.clear()
        self._fresh.clear()

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
        held = requests[0] if requests and type(requests[0]) is CommitHeld else None
        assert held is None or len(requests) == 1, "CommitHeld is alone in its batch"
        assert held is not None or self.state != HELD, "an interactive transaction is open"
        try:
            if held is not None:
                return self._execute_held(held, timestamp_us)
            return self._execute(requests, timestamp_us)
        except StoppedError:
            self.set_aside()
            raise
        except apsw.InterruptError as error:  # behind the last statement
            self._fail()
            raise StoppedError(0, INTERRUPTED) from error
        except apsw.Error as error:
            self._fail()
            _raise(error)
        except BaseException:
            self._fail()
            raise

    def _execute(self, requests: Sequence[Write], timestamp_us: int) -> tuple[bytes | None, tuple[bytes, ...]]:
        lost: dict[int, bytes] = {}
        count = len(requests)
        while True:
            facts = self._begin()
            try:
                outcomes, records = self._attempt(requests[:count], lost)
                return self._seal(facts, records, timestamp_us), outcomes
            except TransactionLostError as gone:
                if type(gone) is MaybeFullError:
                    self._tell_full_from_full(gone)
                lost[gone.position] = encode_failed(gone.failed)
            except (EntryTooLarge, OutOfOrderError) as error:
                if count == 1:  # refused, and remembered as such
                    lost[0] = encode_failed(error.failed)
                count = max(1, count // 2)
            self.set_aside()

    def _tell_full_from_full(self, error: MaybeFullError) -> None:
        """Raises DiskIsFull unless AUTOINCREMENT has no number left."""
        self.set_aside()
        self._begin()
        if not self._execution.numbers_are_out():
            raise DiskIsFull(str(error)) from error

    def _attempt(self, requests: Sequence[Write], lost: dict[int, bytes]) -> tuple[tuple[bytes, ...], list[Record]]:
        """Run every request once. `lost` has the failures of those that ended an earlier attempt's transaction, or that
        change too much: they are not run again. Raises what `Attempt.run` raises."""
        attempt = Attempt(self._execution, self.watch, self._known, self._remembers)
        attempt.run(requests, lost)
        return tuple(attempt.outcomes), attempt.records

    def _remembers(self, token: str) -> bool:
        return token in self._fresh or self.window.find(token) is not None

    def _known(self, token: str, seen: int) -> bytes | None:
        """What is to be answered without running anything."""
        fresh = self._fresh.get(token)
        if fresh is not None:
            return fresh
        window = self.window if self._window is None else self._window
        entry = window.find(token)
        if entry is not None:
            return remembered(self.connection, entry, token)
        return EXPIRED if seen < window.floor else None

    def _seal(self, facts: SchemaFacts, records: list[Record], timestamp_us: int) -> bytes | None:
        """Capture what this batch did. Nothing to log: nothing is left of it."""
        segments = self._execution.seal()
        if not segments and not records:
            if self.stack:
                self.state = RUNNING
            else:
                self.rollback()
            return None
        encoded = encode_records(records)
        payload = encode(Batch(FORMAT, facts.hash, timestamp_us, segments, Raw(encoded)))
        fresh = dict(records)
        self.stack.append(Stacked(payload, list(fresh), encoded, self._execution.facts))
        self._fresh.update(fresh)
        self.state = RUNNING
        return payload

    def commit(self, position: Position, batches: Sequence[int]) -> None:
        """See `Replica.commit`."""
        assert self.stack, "no batch is open"
        assert len(batches) == len(self.stack), f"{len(self.stack)} batches are open, not {len(batches)}"
        assert self.applied.index < batches[0], f"{batches} do not follow {self.applied}"
        assert batches[-1] <= position.index, f"{batches} go beyond {position}"
        if self.state == IDLE:
            stack = dict(zip(batches, self.stack, strict=True))
            indexes = range(self.applied.index + 1, position.index + 1)
            self.apply([_entry(index, position, stack.get(index)) for index in indexes])
            return
        try:
            self._finish(position, batches)
        except apsw.Error as error:
            self._fail()
            _raise(error)
        except BaseException:
            self._fail()
            raise
        self._facts = self.stack[-1].facts
        self._drop_stack()
        self._capture.drop()
        self.state = IDLE

    def _finish(self, position: Position, batches: Sequence[int]) -> None:
        """Write position and records, and commit."""
        window = self.window if self._window is None else self._window
        for index, stacked in zip(batches, self.stack, strict=True):
            if stacked.tokens:
                write_records(self.connection, window, index, stacked.tokens, stacked.records)
        self._write_position(position, window.floor)
        self._control("COMMIT")
        if self._capture.late:
            raise Divergent(f"the table {self._capture.late} changed while it was committed")
        self.applied = position
        self._floor = window.floor

    def _write_position(self, position: Position, floor: int) -> None:
        """What is committed now leads to here."""
        write_applied(self.connection, position, floor)

    # ------------------------------------------------------------------ an interactive transaction

    def hold(self) -> None:
        """See `Replica.hold`."""
        assert self.state == IDLE, "the writer is busy"
        assert not self.stack, "executed batches are not committed"
        try:
            with storage_errors():
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
        known = self._known(name_of(token.id), token.seen)
        if known is not None:
            self.rollback()
            return None, (repeated(token.id, known, self._remembers),)
        failed = self._execution.unresolved() if self.state == HELD else _HELD_GONE
        outcome = HELD_DONE if failed is None else encode_failed(failed)
        if failed is not None:  # only the failure is to be remembered
            self.rollback()
            self._begin()
        facts = self._read_facts()  # as they were when the transaction began
        try:
            return self._seal(facts, records_of(token.id, outcome), timestamp_us), (outcome,)
        except (EntryTooLarge, OutOfOrderError) as error:
            self.rollback()
            self._begin()
            outcome = encode_failed(error.failed)
            return self._seal(facts, records_of(token.id, outcome), timestamp_us), (outcome,)

    # ------------------------------------------------------------------ following

    def apply(self, entries: Sequence[Entry]) -> None:
        """See `Replica.apply`."""
        self.rollback()
        if not entries:
            return
        controls = self.controls
        try:
            with storage_errors():
                self._follow()
                self._control("BEGIN IMMEDIATE")
                previous = self.applied
                for entry in entries:
                    previous = self._apply(entry, previous)
                self._write_position(previous, self.window.floor)
                self._control("COMMIT")
        except BaseException:
            self.controls = controls
            self._fail()
            raise
        self.applied = previous
        self._floor = self.window.floor

    def look_ahead(self, entries: Sequence[Entry]) -> None:
        """Apply these entries in a transaction that must be rolled back: there is no room to commit it."""
        self.rollback()
        controls = self.controls
        try:
            with storage_errors():
                self._follow()
                self.forget_cached()  # of entries that were applied, or looked at, before
                self._beneath = True
                self.connection.execute("PRAGMA cache_spill=OFF", can_cache=False)
                self._control("BEGIN IMMEDIATE")
                previous = self.applied
                for entry in entries:
                    previous = self._apply(entry, previous)
        finally:
            self.controls = controls
            self._facts = None
            self._window = None

    def stop_looking(self) -> None:
        """Undo `look_ahead`."""
        self.rollback()
        self.connection.execute("PRAGMA cache_spill=ON", can_cache=False)

    def _apply(self, entry: Entry, previous: Position) -> Position:
        if entry.index != previous.index + 1 or entry.epoch < previous.epoch:
            at = Position(entry.epoch, entry.index)
            raise Divergent(f"entry {at} cannot follow {previous}")
        if entry.kind in EXECUTED:
            self._facts, tokens, records = self._carry_out(entry.kind, entry.payload, self._read_facts())
            if tokens:
                write_records(self.connection, self.window, entry.index, tokens, records)
        else:
            self.controls = keep_control(self.connection, self.controls, entry)
        return Position(entry.epoch, entry.index)

    def _carry_out(self, kind: int, payload: bytes, facts: SchemaFacts) -> tuple[SchemaFacts, list[str], bytes]:
        """Do what an entry did: the facts of the schema behind it, its tokens, and its records."""
        if kind != DATA:
            raise Divergent(f"an entry of kind {kind} is not for a database with one leader")
        batch = decode_batch(payload)
        if batch.schema != facts.hash:
            raise Divergent("an entry was made under another schema than this replica has")
        if batch.segments:
            facts = self._apply_segments(batch, facts)
        records = bytes(batch.records)
        return facts, [token for token, _ in decode_records(records)], records

    def _apply_segments(self, batch: Batch, facts: SchemaFacts) -> SchemaFacts:
        return apply_batch(self.connection, batch, facts, self._schema.read)

    # ------------------------------------------------------------------

    def close(self) -> None:
        try:
            self.rollback()
        finally:
            self._execution.close()
            self._cursor.close(force=True)
            with suppress(apsw.Error):  # the WAL could not be folded in: then it stays, as after a crash
                self.connection.close()


def _entry(index: int, position: Position, stacked: Stacked | None) -> Entry:
    """What the log holds at this index, which the leader of `position.epoch` appended."""
    if stacked is None:
        return Entry(index, position.epoch, not DATA, b"")
    return Entry(index, position.epoch, stacked.kind, stacked.payload)
