"""Opening an embedded node: a cluster of one, in a folder or in memory."""

import math
import os
import secrets
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from quorate import errors
from quorate.core.bounds import GroupId
from quorate.core.formats import HERE
from quorate.core.recovered import Identity, Member, Recovered
from quorate.core.statements import Statement
from quorate.runtime.embedded.inline import DISK_IS_FULL, ClosedNode, InlineNode, monotonic_us
from quorate.sql.classify import shape_of
from quorate.storage.data.direct import Columns, DirectReader, Rows, ended_after
from quorate.storage.folder import is_node, open_store
from quorate.storage.interface import Broken, DiskIsFull, Divergent, OverBudget, StatementFailed
from quorate.storage.memory import MemoryStore
from quorate.wire.answers import failure, read_outcome, results_of

NAME = "embedded"
_KNOWN_MAX = 1000
_TEXT_MAX = 8192
"""Reads whose columns are kept: how many, and how long their text may be."""
_IDLE_MAX = 8
"""Readers that are kept open when nobody uses them."""


def new_identity() -> Identity:
    """A cluster with a single founder that nobody can dial."""
    node = secrets.randbits(62) + 1
    return Identity(secrets.token_hex(8), node, NAME, 0, (Member(node, NAME, ""),), HERE.highest)


def open_folder(folder: Path) -> InlineNode:
    """Open an embedded node's folder, making it first when it is not there.

    Raises AlreadyOpen, OperationalError, DiskFull, or NotSupportedError for the folder of a server's node.
    """
    if (folder / "cluster.json").exists() and not is_node(folder):
        raise errors.NotSupportedError(
            f"{folder} is the folder of a whole cluster",
            hint="connect to the quorate:// URL in its cluster.json while it runs (quorate up)",
        )
    try:
        store = open_store(folder, None if is_node(folder) else new_identity(), clock=monotonic_us)
    except DiskIsFull as error:
        raise errors.DiskFull(DISK_IS_FULL, hint="make room on the disk") from error
    except (Broken, Divergent) as error:
        raise errors.OperationalError(f"{folder} cannot be opened: {error}") from error
    founders = store.identity.founders
    if len(founders) != 1 or founders[0].address:
        store.close()
        raise errors.NotSupportedError(
            f"{folder} is the folder of a cluster's node",
            hint="start it with quorate serve (or quorate up) and connect to its quorate:// URL",
        )
    return InlineNode(store)


def open_memory() -> InlineNode:
    """An embedded node without a disk."""
    store = MemoryStore(new_identity(), clock=monotonic_us)

    def recover() -> Recovered:
        store.close()  # what is in memory survives that: it is this store's disk
        return store.recover()

    return InlineNode(store, recover)


T = TypeVar("T")


class Reads:
    """Reads of one group that do not go through the core. Threads share it.

    What was answered is committed first where it is not yet (`InlineNode.unsettled`).

    `known` and `idle` are open to the connection, whose shortest way for a read is: look up the text in `known`,
    take a reader from `idle`, run, put it back. Both operations on `idle` are single steps of the interpreter.
    """

    def __init__(self, node: InlineNode, database: str, group: GroupId) -> None:
        self.known: dict[str, Columns] = {}
        """The columns of reads that have run before, by their text."""
        self.idle: list[DirectReader] = []
        """Readers that nobody is using."""
        self._node = node
        self._database = database
        self._group = group
        self._file = node.store.file_of(group)
        self._changed = 0
        self._guard = threading.Lock()
        self._readers: weakref.WeakSet[DirectReader] = weakref.WeakSet()
        """All that were opened, for `interrupt`."""
        _reads.add(self)
        node.readers.append(self.let_go)
        node.forgetting.append(self._forget)

    def let_go(self) -> None:
        """No idle reader holds a state open from here on: the write-ahead log is about to begin anew."""
        for _ in range(len(self.idle)):
            try:
                reader = self.idle.pop(0)
            except IndexError:  # other threads have taken the rest
                return
            reader.let_go()
            self.put_back(reader)

    def schema_changed(self) -> None:
        """Statements may have other columns from here on, for every connection to the node."""
        for forget in tuple(self._node.forgetting):
            forget()

    def _forget(self) -> None:
        with self._guard:
            self._changed += 1
            self.known.clear()

    def first(self, sql: str, parameters: Any, seconds: float | None = None) -> tuple[Columns, Rows]:
        """A read whose text is not in `known` yet, which may take so long. Raises client errors."""
        statement = Statement(sql, (parameters,))
        if self._node.unsettled and not self._settles():
            return self._ahead((statement,))[0]
        if not self._file:
            return self._in_memory((statement,), seconds)[0]
        changed = self._changed
        reader = self._reader(seconds)
        try:
            found = reader.first_read(sql, parameters)
        except BaseException as error:  # noqa: BLE001 - it is raised again
            raise self.failed_read(reader, error) from error.__cause__
        self.put_back(reader)
        with self._guard:
            if changed == self._changed and len(sql) < _TEXT_MAX and not shape_of(sql).replaced:
                if len(self.known) >= _KNOWN_MAX:
                    self.known.clear()
                self.known[sql] = found[0]
        return found

    def together(self, statements: Sequence[Statement], seconds: float | None = None) -> list[tuple[Columns, Rows]]:
        """Several reads of one and the same state, which may take so long together. Raises client errors."""
        if self._node.unsettled and not self._settles():
            return self._ahead(statements)
        if not self._file:
            return self._in_memory(statements, seconds)
        reader = self._reader(seconds)
        try:
            found = reader.read_all([(each.sql, each.sets[0]) for each in statements])
        except BaseException as error:  # noqa: BLE001 - it is raised again
            raise self.failed_read(reader, error) from error.__cause__
        self.put_back(reader)
        return found

    def pin(self, seconds: float | None) -> "Pinned | None":
        """The present state, to be read by one thread, each read in so many seconds. None where there are no readers:
        in memory, and where there is no room to bring the data file forward."""
        if not self._file or (self._node.unsettled and not self._settles()):
            return None
        state = self._node.state
        return Pinned(self, self._reader(seconds), seconds, state)

    def _settles(self) -> bool:
        """Bring the data file to what was answered; False when there is no room for that."""
        try:
            self._node.settle(self._database)
        except errors.DiskFull:
            return False
        return True

    def _ahead(self, statements: Sequence[Statement]) -> list[tuple[Columns, Rows]]:
        done = results_of(read_outcome(self._node.read_ahead(self._group, statements)), None)
        return [(result.columns, result.rows) for result in done.results]

    def put_back(self, reader: DirectReader) -> None:
        """The reader is idle again."""
        reader.limit = None
        if len(self.idle) < _IDLE_MAX and not self._node.forked and not self._node.closed:
            self.idle.append(reader)
        else:
            reader.close()

    def failed(self, reader: DirectReader, error: BaseException) -> BaseException:
        """What to raise for what `reader.execute` raised; the reader is put back or closed."""
        if not isinstance(error, Exception):
            reader.close()
            return error
        try:
            return self.failed_read(reader, reader.failed(error))
        except (Broken, Divergent) as worse:
            return self.failed_read(reader, worse)

    def _reader(self, seconds: float | None) -> DirectReader:
        self._node.usable()
        try:
            reader = self.idle.pop()
        except IndexError:
            try:
                reader = DirectReader(self._file, monotonic_us, self._node.store.callbacks)
                with self._guard:
                    self._readers.add(reader)
            except (Broken, Divergent, DiskIsFull) as error:
                raise errors.OperationalError(f"the data file cannot be opened: {error}") from error
        reader.let_go()
        reader.runs_in(threading.get_ident())
        reader.limit = None if seconds is None else [seconds]
        return reader

    def interrupt(self, thread: int | None = None) -> None:
        """End the statements that this connection runs, in whatever thread; or those of one thread, if it reads by the
        methods of this class alone."""
        with self._guard:
            readers = list(self._readers)
        for reader in readers:
            reader.interrupt(thread)
        self._node.interrupts.end(self, self._group, thread)

    def failed_read(self, reader: DirectReader, error: BaseException) -> BaseException:
        """What to raise for what a method of the reader raised; the reader is put back or closed."""
        if isinstance(error, StatementFailed):
            self.put_back(reader)
            return failure(error.failed)
        reader.close()
        if isinstance(error, Broken | Divergent | DiskIsFull):
            return errors.OperationalError(f"the data file cannot be read: {error}")
        return error

    def _in_memory(self, statements: Sequence[Statement], seconds: float | None) -> list[tuple[Columns, Rows]]:
        """There is one connection to a database in memory; the caller's thread may have it already."""
        self._node.usable()
        mine = self._node.owner == threading.get_ident()
        if not mine:
            if not self._node.writing.acquire(blocking=False):
                self._node.interrupts.wait(math.inf, self, self._node.writing)
            self._node.interrupts.taken_by(self)
        self._node.interrupts.begins()
        try:
            outcome, _ = self._node.store.query(self._group, statements, int((seconds or 0.0) * 1e6))
        except OverBudget:
            self._node.store.leave(self._group)
            raise self._node.interrupts.explain(failure(ended_after(seconds or 0.0))) from None
        finally:
            if not mine:
                self._node.writing.release()
        done = results_of(read_outcome(outcome), None)
        return [(result.columns, result.rows) for result in done.results]

    def close(self) -> None:
        """Close the readers; one that is in use is closed when it comes back."""
        node, self._node = self._node, self._node if self._node.forked else ClosedNode()
        if not node.closed:
            node.readers.remove(self.let_go)
            node.forgetting.remove(self._forget)
        self.known.clear()
        while self.idle:
            self.idle.pop().close()


class Pinned:
    """One state of the data file, read until it is closed, whoever writes meanwhile."""

    def __init__(self, reads: Reads, reader: DirectReader, seconds: float | None, state: int) -> None:
        self.state = state
        """Its number, or an older one."""
        self._reads = reads
        self._reader: DirectReader | None = reader
        self._seconds = seconds
        reader.pin()

    def read(self, statement: Statement) -> tuple[Columns, Rows]:
        """Run one read. Raises client errors."""
        return self._call(lambda reader: reader.first_read(statement.sql, statement.sets[0]))

    def begin(self, statement: Statement, bytes_max: int) -> tuple[Columns, Rows, bool]:
        """Begin a read whose rows are fetched in pieces, and fetch the first. Raises client errors."""

        def first(reader: DirectReader) -> tuple[Columns, Rows, bool]:
            reader.begin(statement.sql, statement.sets[0])
            return reader.piece(bytes_max)

        return self._call(first)

    def more(self, bytes_max: int) -> tuple[Columns, Rows, bool]:
        """The next piece."""
        return self._call(lambda reader: reader.piece(bytes_max))

    def _call(self, call: Callable[[DirectReader], T]) -> T:
        reader = self._reader
        if reader is None:
            raise errors.OperationalError("the data file cannot be read any more", hint="begin another transaction")
        reader.limit = None if self._seconds is None else [self._seconds]
        reader.runs_in(threading.get_ident())
        try:
            return call(reader)
        except StatementFailed as error:
            raise failure(error.failed) from error.__cause__
        except BaseException as error:  # noqa: BLE001 - it is raised again
            self._reader = None
            raise self._reads.failed_read(reader, error) from error.__cause__

    def close(self) -> None:
        """Hold the state no more."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.let_go()
            self._reads.put_back(reader)


_reads: "weakref.WeakSet[Reads]" = weakref.WeakSet()
_inherited: list[DirectReader] = []
"""In a forked child: the parent's readers, kept so that nothing is done to its files."""


def _in_child() -> None:
    for reads in list(_reads):
        reads.known.clear()
        _inherited.extend(reads.idle)
        reads.idle.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
