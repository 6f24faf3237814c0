"""One replica: the SQLite data file of one group on one node.

A file has one connection that writes and checkpoints (`Writer`) and others that only read. A replica in memory
(for tests, the simulator and `":memory:"`) has a single connection: to answer a read from committed state while
a batch is open, it rolls the batch back and applies its payload at commit, as a follower would.
"""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import apsw

from quorate.core.bounds import Epoch
from quorate.core.entries import Entry, Position
from quorate.core.requests import Write
from quorate.core.statements import Failed, Result, Statement
from quorate.core.streams import Merge, Streams
from quorate.storage.data.asides import Asides
from quorate.storage.data.connection import NO_ROWID, PAGE_BYTES, check_sqlite, open_checkpointer
from quorate.storage.data.copying import Copying, reading
from quorate.storage.data.digest import digest_of
from quorate.storage.data.examination import Examination
from quorate.storage.data.guard import Guard
from quorate.storage.data.holding import HoldingWriter
from quorate.storage.data.reader import Reader, run_reads
from quorate.storage.data.view import View, closing
from quorate.storage.data.writer import HELD, IDLE
from quorate.storage.execution.callbacks import Callbacks
from quorate.storage.execution.ending import Ending
from quorate.storage.execution.running import Runner
from quorate.storage.files import SYSTEM, Files
from quorate.storage.interface import Broken, DiskIsFull, Divergent, StorageError
from quorate.storage.rows.payload import encode
from quorate.storage.versions.among import Among

_memories = itertools.count(1)
_BUSY = Failed(
    "OperationalError",
    "a transaction is open on this database",
    "a database in memory has one connection: read through the transaction, or after it",
    "SQLITE_BUSY",
)


class Replica:
    """Opens or creates the data file. Raises Divergent (damaged, unknown format), DiskIsFull or Broken.

    `clock` (monotonic microseconds) is for the budgets of `query`; `versioned`: if siblings of its group write too.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Callable[[], int] | None = None,
        files: Files = SYSTEM,
        versioned: Among | None = None,
    ) -> None:
        check_sqlite()
        self._files = files
        self._memory = str(path) == ":memory:"
        self._path = f"file:/quorate-memory-{next(_memories)}?vfs=memdb" if self._memory else os.fspath(path)
        self._clock = clock
        if not self._memory:
            files.rewrite(Path(self._path + "-wal"))
        self._versioned = versioned
        self._writer = self._open_writer()
        self._reader: Reader | None = None
        self._aside = Asides(self._open_aside)
        """Readers of other threads."""
        self._own: tuple[Runner, Guard] | None = None
        self._checkpoint_wanted = False
        self._lent = False
        """The writer is another thread's for now."""
        self._aside_failed = ""
        """How the disk failed in `checkpoint_aside`."""
        self._log_pages = 0
        """Pages in the write-ahead log, as of the last commit."""
        if not self._memory:
            self._writer.connection.set_wal_hook(self._on_wal)

    def _open_writer(self) -> HoldingWriter:
        if self._versioned is None:
            return HoldingWriter(self._path, self._files.vfs, self._clock)
        from quorate.storage.data.versioned import VersionedWriter  # which no other database needs

        return VersionedWriter(self._path, self._versioned, self._files.vfs, self._clock)

    @property
    def streams(self) -> Streams | None:
        """How far the logs of siblings are merged, as it is committed; None: it has no siblings."""
        return self._writer.streams

    @property
    def file(self) -> str:
        """The path of the data file; empty for a replica in memory."""
        return "" if self._memory else self._path

    @property
    def applied(self) -> Position:
        """The committed position (ORIGIN for a new file). Kept in memory: reading it costs nothing."""
        return self._writer.applied

    @property
    def controls(self) -> tuple[Entry, ...]:
        """The control entries that the file keeps."""
        return self._writer.controls

    @property
    def floor(self) -> int:
        """Tokens whose `seen` is below this index and that are unknown are Expired."""
        return self._writer.floor

    @property
    def busy(self) -> bool:
        """Something is not committed yet: executed batches or a held transaction."""
        return not self._writer.at_rest

    @property
    def ticket(self) -> str:
        """Of the transaction that holds the writer from its last request on; empty: none does."""
        return self._writer.ticket

    @property
    def held(self) -> bool:
        """A caller's interactive transaction is open on the writer."""
        return self._writer.state == HELD

    # ------------------------------------------------------------------ leading

    def execute(
        self,
        requests: Sequence[Write | Merge],
        timestamp_us: int = 0,
        budget_us: int = 0,
        long_us: int = 0,
        ends_us: int = 0,
        epoch: Epoch = 0,
    ) -> tuple[bytes | None, tuple[bytes, ...]]:
        """Run a batch, one savepoint for each request: the payload of its entry, and an encoded outcome for each.

        Leaves the transaction open for the next batch, for `commit` or for `rollback`; a payload of None adds
        nothing to it: every request was a repetition or had expired. Raises DiskIsFull, Divergent or Broken; then
        nothing is open, and nothing happened since the last commit.

        After `budget_us` (0, or a replica without a clock: never) no further request is begun: the outcomes are those
        of the first requests, at least of one. Raises StoppedError for a request that runs for longer than `long_us` or
        beyond `ends_us`; then nothing of the batch took effect, and those before it are kept.
        """
        self._writer.watch.allow(budget_us, long_us, ends_us, stoppable=True)
        if self._writer.versions is not None:
            self._writer.versions.lead(epoch, timestamp_us // 1000)
        return self._writer.execute(requests, timestamp_us)  # type: ignore[arg-type]

    def commit(self, position: Position, batches: Sequence[int] = ()) -> None:
        """Commit the open batches as this position; `batches` are their indexes (empty: there is one, and this is it).

        Raises DiskIsFull (rolled back: the file stands where it stood, `apply` the entries later) or Broken.
        """
        self._writer.commit(position, batches or (position.index,))
        self._forget_cached()
        if self._checkpoint_wanted:
            self.checkpoint()

    def rollback(self) -> None:
        """Undo the open batches or the held transaction, if any."""
        self._writer.rollback()
        if self._checkpoint_wanted:
            self.checkpoint()

    def hold(self) -> None:
        """Open the writer's transaction for a caller's interactive transaction."""
        self._writer.hold()

    def run_held(self, statement: Statement, ends_us: int = 0) -> Result:
        """Run one statement of the held transaction, all of it or nothing, and at most until `ends_us`.

        Raises StatementFailed; `held` then says whether the transaction is still open.
        """
        self._writer.watch.allow(ends_us=ends_us, stoppable=True)
        return self._writer.run_held(statement)

    def release(self) -> None:
        """Roll the held transaction back. Does nothing when nothing is held."""
        if self.held:
            self.rollback()

    # ------------------------------------------------------------------ following

    def apply(self, entries: Sequence[Entry], long_us: int = 0) -> None:
        """Bring the file forward by these entries, all in one transaction (an open batch is rolled back first).

        They must follow `applied` without a gap. Raises Divergent, DiskIsFull, Broken, or OverBudget when it takes
        longer than `long_us` (0: as long as it takes); then nothing changed.
        """
        watch = self._writer.watch
        watch.allow(long_us=long_us)
        watch.begin()
        try:
            self._writer.apply(entries)
        finally:
            watch.end()
        self._forget_cached()

    def _forget_cached(self) -> None:
        """In memory the connection that applies reads too: full-text tables must look again. A commit applies as well,
        when a read has put its batch aside."""
        if self._memory and self._writer.has_virtual_tables:
            self._writer.forget_cached()

    # ------------------------------------------------------------------ reading

    def query(self, statements: Sequence[Statement], budget_us: int | None = None) -> tuple[bytes, Position]:
        """Run reads on committed state: an encoded Done or Failed, and the position it was read at.

        Raises OverBudget when it takes longer than `budget_us` (which needs a `clock`), Divergent or Broken.
        """
        if self._memory:
            return self._query_memory(statements, budget_us or 0), self.applied
        if self._reader is None:
            self._reader = self._open_reader()
        return self._reader.read(statements, budget_us), self._writer.applied

    def query_aside(self, statements: Sequence[Statement], ending: Ending | None = None) -> tuple[bytes, Position]:
        """`query` for other threads, each of which has a connection of its own meanwhile. Raises OverBudget when it
        was ended, NoDescriptors (or DiskIsFull) also when the replica was closed for another to take its place."""
        if self._memory:
            return self.query(statements)
        reader = self._aside.take()
        try:
            return reader.read_at(statements, ending)
        finally:
            self._aside.put_back(reader)

    def view(self) -> View:
        """Pin the last committed state, to be read until it is closed: for a file replica on any thread. Raises
        Divergent, DiskIsFull or Broken."""
        if not self._memory:
            return View(self._aside.take(), self._aside.put_back)
        copy = Replica(":memory:", clock=self._clock, versioned=self._versioned)
        copy.load(self.dump())
        path = copy._path.removeprefix("file:").removesuffix("?vfs=memdb")
        reader = Reader(path, self._clock, aside=True, vfs="memdb", versioned=self._versioned)
        return View(reader, closing(copy))

    def _open_aside(self) -> Reader:
        try:
            with reading():
                return Reader(self._path, self._clock, aside=True, vfs=self._files.vfs, versioned=self._versioned)
        except Broken as error:
            if self._aside.closed:  # and its file may be gone
                raise DiskIsFull("the data file has just been replaced") from error
            raise

    def query_ahead(self, entries: Sequence[Entry], statements: Sequence[Statement]) -> bytes:
        """Run reads on the state that these entries will lead to, while the disk has no room for it: an encoded Done
        or Failed. Raises Divergent or Broken."""
        self._writer.look_ahead(entries)
        try:
            guard = self._writer.guard
            runner = Runner(self._writer.connection, guard)
            try:
                return run_reads(runner, guard, statements)
            finally:
                runner.close()
        finally:
            self._writer.stop_looking()

    def _open_reader(self) -> Reader:
        with reading():
            return Reader(self._path, self._clock, holds=True, vfs=self._files.vfs, versioned=self._versioned)

    def _query_memory(self, statements: Sequence[Statement], budget_us: int) -> bytes:
        if self.held:
            return encode(_BUSY)
        self.put_aside()
        if self._own is None:
            guard = self._writer.guard
            self._own = Runner(self._writer.connection, guard), guard
        self._writer.connection.set_last_insert_rowid(NO_ROWID)
        watch = self._writer.watch
        watch.allow(long_us=budget_us, stoppable=True)
        watch.begin()
        try:
            return run_reads(*self._own, statements)
        finally:
            watch.end()
            watch.allow()

    def put_aside(self) -> None:
        """In memory: show committed state, keeping the open batches as their payloads."""
        if self._writer.state != IDLE and not self.held:
            self._writer.put_aside()

    # ------------------------------------------------------------------ the file as a whole

    def checkpoint(self) -> Position:
        """Make everything that is committed durable; the position that now is.

        While a transaction is open the write-ahead log is synced instead, and folded into the file after it.
        Raises DiskIsFull or Broken.
        """
        if self._memory:
            return self.applied
        if self._aside_failed:
            raise Broken(self._aside_failed)
        position = self.applied
        if self._reader is not None:
            self._reader.let_go()
        self._checkpoint_wanted = self._writer.state != IDLE
        complete = False
        if not self._checkpoint_wanted:
            with reading():
                frames, moved = self._writer.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            complete = frames == moved
            self._log_pages = frames - moved
        if not complete:  # a batch is open, or a reader still needs what is in the log
            path = Path(os.path.abspath(self._path))
            self._files.sync(path.with_name(path.name + "-wal"))
            self._files.sync(path.parent)
        return position

    def _on_wal(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        """Called after each commit."""
        self._log_pages = pages
        if self._reader is not None and not self._lent:
            self._reader.let_go()
        return apsw.SQLITE_OK

    def lend(self) -> None:
        """From now on another thread uses the writer; nobody else may but for `interrupt`."""
        self._writer.watch.interrupted = False
        self._lent = True

    def take_back(self) -> None:
        """The other thread is done with it."""
        self._lent = False
        self._writer.watch.interrupted = False
        if self._reader is not None:
            self._reader.let_go()

    def interrupt(self) -> None:
        """End soon what the writer, which is lent, is doing. Any thread may call it."""
        if self._lent:
            self._writer.watch.interrupted = True
            self._writer.connection.interrupt()

    def install(self, callbacks: Callbacks) -> None:
        """Make the program's functions and collations known to the writer."""
        self._writer.guard.callbacks = callbacks
        callbacks.install(self._writer.connection)

    def end_statement(self) -> None:
        """End the caller's statement that runs on the writer, if one does. Any thread may call it."""
        self._writer.watch.stopped = True

    @property
    def commit_weight(self) -> int:
        """About how many bytes of changes a commit has to put into the file. Those of the open transaction are mostly
        there; those that were undone come back from their payloads."""
        size = sum(len(stacked.payload) for stacked in self._writer.stack)
        return size if self._writer.state == IDLE else size // 4

    @property
    def unsynced(self) -> int:
        """About how many bytes are in the write-ahead log only, which is not synced before a checkpoint."""
        return self._log_pages * PAGE_BYTES

    def checkpoint_aside(self) -> None:
        """Most of a checkpoint's work, on a connection of its own, so that `checkpoint` has little left to do.

        One other thread at a time may call it, while this one goes on writing. Two connections that write and
        checkpoint one file are what SQLite's WAL-reset bug needed; it is why `connection` refuses SQLite before
        3.51.3. A failing disk is left for `checkpoint` to tell, whatever else for it to find again.
        """
        if self._memory:
            return
        try:
            with self._checkpointer() as connection:
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.IOError as error:  # a failed fsync is told once: `checkpoint` would be told that all is well
            self._aside_failed = f"checkpoint of {self._path}: {error}"
        except apsw.Error:
            return

    def _checkpointer(self) -> "contextlib.closing[apsw.Connection]":
        return contextlib.closing(open_checkpointer(self._path, self._files.vfs))

    def copying(self) -> Copying:
        """Pin the last committed state, to be copied: for a file replica on any thread, while one in memory must not be
        used meanwhile. Raises Divergent, DiskIsFull or Broken."""
        if self._memory:
            assert not self.held, "a transaction is open"
            self.put_aside()
            return Copying(self._writer.connection, self._files, self.applied)
        with reading():
            return Copying(Reader(self._path, vfs=self._files.vfs), self._files)

    def copy_to(self, path: str | Path) -> Position:
        """Write a consistent, durable copy of the last committed state to a new file; its position. Raises DiskIsFull,
        Divergent or Broken."""
        return self.copying().to(path)

    def digest(self) -> str:
        """A hash of the committed content (schema, rows in key order, window), equal on equal replicas."""
        with self.pinned() as (connection, _):
            return digest_of(connection)

    @contextlib.contextmanager
    def pinned(self) -> Iterator[tuple[apsw.Connection, Position]]:
        """The committed state, and where it stands. Raises Divergent, DiskIsFull or Broken."""
        if self._memory:
            assert not self.held, "a transaction is open"
            self.put_aside()
            return (yield self._writer.connection, self.applied)
        with reading():
            source = Reader(self._path, vfs=self._files.vfs)
            try:
                yield source.connection, source.begin()
            finally:
                source.end()
                source.close()

    def examine(self) -> Examination:
        """Pin the committed state, to be looked at piece by piece, on a connection of its own (but for a replica in
        memory, which must not be used meanwhile). Raises Divergent, DiskIsFull or Broken."""
        if self._memory:
            assert not self.held, "a transaction is open"
            self.put_aside()
            return Examination(self._writer.connection, self.applied)
        with reading():
            return Examination(Reader(self._path, vfs=self._files.vfs))

    def dump(self) -> bytes:
        """The last committed state as the bytes of a database file (replicas in memory)."""
        assert self._memory, "a file is its own dump"
        assert not self.held, "a transaction is open"
        self.put_aside()
        return self._writer.connection.serialize("main")

    def load(self, image: bytes) -> None:
        """Replace everything by an image from `dump` (replicas in memory); what was open is gone."""
        assert self._memory, "a file is loaded by opening it"
        self._close_writer()
        self._path = f"file:/quorate-memory-{next(_memories)}?vfs=memdb"
        source = apsw.Connection(":memory:")
        target = apsw.Connection(self._path, vfs="memdb", flags=_MEMORY_FLAGS)
        try:
            source.deserialize("main", image)
            with target.backup("main", source, "main") as backup:
                backup.step(-1)
            self._writer = self._open_writer()
        finally:
            target.close()
            source.close()

    def edit(self, sql: str) -> bool:
        """Change committed rows behind everybody's back, as another program would (replicas in memory); whether
        anything was changed. For the simulator."""
        assert self._memory, "edit a file with the sqlite3 shell"
        other = apsw.Connection(self._path, vfs="memdb", flags=_MEMORY_FLAGS)
        try:
            other.execute(sql)
            return other.changes() > 0
        except apsw.Error:  # no such table, or somebody is writing
            return False
        finally:
            other.close()

    def _close_writer(self) -> None:
        if self._own is not None:
            self._own[0].close()
            self._own = None
        self._writer.close()

    def close(self) -> None:
        """Roll back what is open and close every connection, the writer last; those on which other threads are reading
        just now are closed by them. May be called twice."""
        if self._aside.close():
            if self._reader is not None:
                self._reader.close()
            self._close_writer()

    def abandon(self) -> None:
        """Close as a dying process does, without folding the write-ahead log into the file: after a failed
        fsync nothing more may be written, or it would pass for durable."""
        if not self._aside.closed:
            self._writer.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            with contextlib.suppress(StorageError):
                self.close()


_MEMORY_FLAGS = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI

__all__ = ["Broken", "DiskIsFull", "Divergent", "Replica"]
