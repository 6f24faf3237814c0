"""An embedded database as a program sees it: the same calls as on a cluster, answered in the caller's thread.

Reads go straight to the data file: on a node that is alone, what is committed is what was acknowledged, so
every read is linearizable, whatever level it asks for. Writes go one after another through the node's core, and are
on the disk when they return.
"""

import os
import random
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from quorate import errors
from quorate.client.attempts import Attempts
from quorate.client.checks import check_flag, check_new_file
from quorate.client.marker import NOTHING, Marker
from quorate.client.pieces import (
    Batch,
    Tokens,
    batch_statements,
    check_token,
    many_statement,
    needs_token,
    one_statement,
)
from quorate.client.pragmas import Pragmas, shift, without_prefix
from quorate.client.rows import RowFactory
from quorate.client.transactions import DEFERRED, check_begin, refuse_token
from quorate.client.types import Types, types_of
from quorate.client.url import FolderTarget, MemoryTarget, check_read_level, check_timeout
from quorate.client.values import check_parameters
from quorate.client.without_leader import refusal_of_counts
from quorate.core.bookmarks import Bookmark
from quorate.core.read_levels import LINEARIZABLE
from quorate.core.requests import CommitHeld, Done, Outcome, Run
from quorate.core.statements import Result, Statement
from quorate.runtime.embedded.adopting import explained
from quorate.runtime.embedded.cursors import Cursor, cursor_of
from quorate.runtime.embedded.extras import Extras
from quorate.runtime.embedded.inline import ClosedNode, InlineNode
from quorate.runtime.embedded.marked import Marked
from quorate.runtime.embedded.opening import Reads
from quorate.runtime.embedded.session import Session
from quorate.runtime.embedded.sharing import join, leave
from quorate.runtime.embedded.transactions import Transaction
from quorate.runtime.embedded.writing import changes_schema, settle, take_writer
from quorate.sql.classify import shape_of

T = TypeVar("T")


class Connection(Marked, Extras):
    """One database of an embedded node. Any number of threads may use it at once."""

    __slots__ = (
        "__weakref__", "_autocommit", "_finalizer", "_idle", "_known", "_marker", "_name", "_pragmas", "_session",
        "_unsettled", "database", "ends", "group", "node", "read", "reads", "timeout", "tokens",
    )  # fmt: skip

    def __init__(
        self,
        target: FolderTarget | MemoryTarget,
        *,
        timeout: float,
        read: str,
        ends: float | None = None,
        autocommit: bool = True,
        bookmark: Bookmark = NOTHING,
    ) -> None:
        self.database = target.database
        """The name of the database."""
        self.read = read
        """Kept for symmetry with a cluster: every read here is linearizable."""
        self.timeout = timeout
        """Seconds that a write waits for other threads' writes and transactions."""
        self.ends = ends
        """Seconds that a statement may run; None: as long as `Settings.write_limit_us`."""
        self._name = str(target.path) if isinstance(target, FolderTarget) else ":memory:"
        self.tokens = Tokens(secrets.token_hex(8))
        self._pragmas = Pragmas()
        self._row_factory: RowFactory | None = None
        self._types: Types | None = None
        self._changes = 0
        self._trace: Callable[[str], Any] | None = None
        self.node: InlineNode
        try:
            self.node, self.group, index = join(target)
        except errors.DataDamaged as error:
            raise (
                explained(target.path, self.database, error) if isinstance(target, FolderTarget) else error
            ) from None
        self.tokens.heard(index)
        self._marker = Marker(bookmark=bookmark)
        self.reads = Reads(self.node, self.database, self.group)
        self._session = Session(self.node, self.reads, self.tokens, self._pragmas, self.database, self.group)
        self._autocommit = autocommit
        self._known = self.reads.known if autocommit else {}
        self._unsettled = self.node.unsettled
        self._idle = self.reads.idle
        self._finalizer = weakref.finalize(self, _close, self.node, self.reads, self._session)
        if bookmark:
            self._begin_marked()

    @property
    def autocommit(self) -> bool:
        """Whether each statement is committed when `execute` returns. If not, the first one begins a transaction, which
        `commit` or `rollback` ends. Setting it to True commits."""
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        value = check_flag(value, "autocommit")
        with self._session.turn:
            if value:
                self._session.commit()
            self._autocommit = value
            self._look_for_transaction()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open on this connection, one that `commit` ends."""
        return self._session.begun

    def _look_for_transaction(self) -> None:
        """Reads go their shortest way only where none is open or about to be."""
        shortest = self._autocommit and not self._session.begun and self._types is None and self._trace is None
        self._known = self.reads.known if shortest else {}

    def _types_changed(self) -> None:
        self._look_for_transaction()

    def _in_session(
        self, statements: Sequence[Statement], token: str | None, timeout: float | None
    ) -> list[Result] | None:
        """What these give in the connection's transaction, or to it; None: there is none, and they begin none."""
        shape = shape_of(statements[0].sql)
        session = self._session
        controls = shape.control if len(statements) == 1 and not shape.surplus else None
        if self._autocommit and not session.begun and controls is None:
            return None
        refuse_token(token)
        seconds = self.timeout if timeout is None else check_timeout(timeout)
        with session.turn:
            if self._autocommit and not session.begun and controls is None:  # another thread has just ended it
                return None
            try:
                if controls is not None:
                    return [session.control(controls, seconds)]
                if not session.begun:
                    answered = self._pragmas.answered(statements)
                    if answered is not None:
                        return list(answered.results)
                results = session.run(statements, seconds, self._ends(timeout))
                self._count(results)
                return results
            finally:
                self._look_for_transaction()

    def execute(
        self,
        sql: str,
        parameters: Any = (),
        *,
        token: str | None = None,
        read: str | None = None,
        timeout: float | None = None,
        types: Types | None = None,
        w: int | None = None,
        r: int | None = None,
    ) -> Cursor:
        """Run one statement. A write is on the disk on return.

        `token` names a write so that it happens once however often it is run, by whatever process. `timeout` is
        how many seconds a write waits for other threads', and then how many it, or a read, may run itself. `w` and `r`
        are for databases without a leader: NotSupportedError. Raises a subclass of Error; all of them mean "not done",
        except MaybeDone.
        """
        if w is not None or r is not None:
            raise refusal_of_counts()
        if type(parameters) is tuple and read is None and types is None and not self._unsettled:
            try:
                columns = self._known[sql]
                reader = self._idle.pop()
            except (KeyError, IndexError, TypeError):
                pass
            else:
                try:
                    if reader.state != self.node.state:
                        reader.show(self.node.state)
                    seconds = self.ends if timeout is None else check_timeout(timeout)
                    if seconds is not None:
                        reader.limit = [seconds]
                    data = reader.execute(sql, parameters).fetchall()
                    reader.limit = None
                except BaseException as error:
                    failed = self.reads.failed(reader, error)
                    check_parameters(parameters)  # names the one that cannot be bound
                    raise failed from error
                self._idle.append(reader)
                return Cursor(self, columns, data)
        return self._execute(sql, parameters, token, read, timeout, types_of(types, self._types))

    def _execute(
        self,
        sql: str,
        parameters: Any,
        token: str | None,
        read: str | None,
        timeout: float | None,
        types: Types | None,
    ) -> Cursor:
        """What the short way of `execute` does not do: writes, and reads that were not seen before."""
        statement = one_statement(sql, parameters, types)
        if self._trace is not None:
            self._trace(sql)
        if read is not None:
            check_read_level(read)
        results = self._in_session((statement,), token, timeout)
        if results is not None:
            return cursor_of(self, results[0], types=types)
        if token is not None:
            check_token(token)
        if not needs_token((statement,)):
            answered = self._pragmas.answered((statement,))
            if answered is not None:
                self.node.usable()
                return cursor_of(self, answered.results[0])
            cursor = Cursor(self, *self.reads.first(sql, statement.sets[0], self._ends(timeout)))
            cursor.types = types
            return cursor
        done = self._write((statement,), token, timeout)
        return cursor_of(self, done.results[0], done.truncated, types)

    def _ends(self, timeout: float | None) -> float | None:
        """After how many seconds a read is ended; None: never."""
        return self.ends if timeout is None else check_timeout(timeout)

    def executemany(
        self,
        sql: str,
        sets: Iterable[Any],
        *,
        token: str | None = None,
        timeout: float | None = None,
        types: Types | None = None,
    ) -> Cursor:
        """Run one statement once for each set of parameters, all or none of them."""
        types = types_of(types, self._types)
        done, _ = self.run((many_statement(sql, sets, types),), token, timeout=timeout)
        return cursor_of(self, done.results[0], done.truncated, types)

    def batch(
        self,
        statements: Batch,
        *,
        token: str | None = None,
        read: str | None = None,
        timeout: float | None = None,
        types: Types | None = None,
    ) -> list[Cursor]:
        """Run several statements, all or none of them; a cursor for each.

        Each is a text or a pair of text and parameters. A failure says in `.statement` which one it was.
        """
        types = types_of(types, self._types)
        done, _ = self.run(batch_statements(statements, types), token, read=read, timeout=timeout)
        return [cursor_of(self, result, done.truncated, types) for result in done.results]

    def outcome(self, token: str, *, seen: int | None = None, timeout: float | None = None) -> list[Cursor]:
        """Settle a write whose answer was lost: its results if it happened.

        Raises Cancelled when it did not, and then it never will; the error it failed with; or Expired when it
        is too old for anybody to tell.
        """
        done = self.settled(token, seen, timeout)
        return [cursor_of(self, result, done.truncated) for result in done.results]

    def settled(self, token: str, seen: int | None, timeout: float | None) -> Done:
        """What `outcome` gives, without cursors."""
        known = self.tokens.recall(token, seen)
        self.take_writer(self.timeout if timeout is None else check_timeout(timeout))
        try:
            return self.settle(Outcome(self.database, known))
        finally:
            self.node.writing.release()

    def transaction(
        self,
        *,
        begin: str = DEFERRED,
        read_only: bool = False,
        token: str | None = None,
        timeout: float | None = None,
    ) -> Transaction:
        """Several statements as one: `with db.transaction() as tx: tx.execute(...)`.

        However it begins, it has the database's only writer from then on; one with `read_only` reads one state and lets
        others write. `db.execute` inside the block reads what was there before it; its writes are refused there.
        """
        self.node.usable()
        check_begin(begin)
        if self._session.begun or not self._autocommit:
            raise errors.ProgrammingError(
                "this connection is itself a transaction, or in one", hint="another connection can have transaction()"
            )
        ends = self.ends if timeout is None else check_timeout(timeout)
        if token is not None:
            check_token(token)
        waits = self.timeout if timeout is None else check_timeout(timeout)
        return Transaction(self, token, waits, ends, read_only=check_flag(read_only, "read_only"))

    def run_transaction(
        self,
        function: Callable[[Transaction], T],
        *,
        retries: int = 5,
        token: str | None = None,
        timeout: float | None = None,
        begin: str = DEFERRED,
        read_only: bool = False,
    ) -> T:
        """Run `function(tx)` in a transaction, and again, up to so many times, when it failed with an error that is
        `.retryable`; what it returned in the transaction that was committed. `timeout` is for all of it, in seconds.
        The same as on a cluster, where others may be first; here nobody is, and a full disk is what may be retried."""
        from quorate.client._sync.transactions import run_transaction

        seconds = self.timeout if timeout is None else check_timeout(timeout)
        attempts = Attempts(retries, token, seconds, random.SystemRandom(), time.monotonic)
        return run_transaction(self, function, attempts, begin=begin, read_only=read_only)

    def copy_to(self, file: str | os.PathLike[str]) -> None:
        """Write a consistent copy of the data file, with the replica's own tables in it, to a new file. Raises
        OperationalError where there is one, or none can be made."""
        path = check_new_file(file)
        self.take_writer(self.timeout)
        try:
            self.node.copy_to(self.database, self.group, path)
        finally:
            self.node.writing.release()

    def cursor(self) -> Cursor:
        """A cursor that has not run anything yet."""
        self.node.usable()
        return Cursor(self)

    def commit(self) -> None:
        """Commit the open transaction; it is on the disk on return. Does nothing where none is open. If it
        fails, nothing of the transaction is done, and it is over."""
        with self._session.turn:
            try:
                self._session.commit()
            finally:
                self._look_for_transaction()

    def rollback(self) -> None:
        """Undo what the open transaction did. Does nothing where none is open."""
        with self._session.turn:
            self._session.rollback()
            self._look_for_transaction()

    def close(self) -> None:
        """Close the files. Closing again does nothing. A transaction open in this thread or on this connection is
        undone."""
        node = self.node
        if not node.forked:
            with self._session.turn:
                self._session.drop()
        if self._finalizer.detach() is None:  # it was closed before
            return
        if node.users > 1 or node.owner == threading.get_ident() or node.forked:
            _close(node, self.reads, self._session)
        else:
            with node.writing:
                _close(node, self.reads, self._session)
        if not node.forked:
            self.node = ClosedNode()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """With autocommit it closes. Without, it commits first, or rolls back if the block has raised."""
        try:
            if kind is None and not self._autocommit:
                self.commit()
        finally:
            self.close()

    def __repr__(self) -> str:
        return f"<quorate.Connection to {self.database!r} in {self._name}>"

    def run(
        self,
        statements: Sequence[Statement],
        name: str | None = None,
        *,
        read: str | None = None,
        timeout: float | None = None,
        load: bool = False,
    ) -> tuple[Done, int]:
        """Carry statements through as one request, under a token of this name if they write; what they gave, and
        0: what they read is never old here. `load`: with triggers and foreign-key actions switched off."""
        if read is not None:
            check_read_level(read)
        if name is not None:
            check_token(name)
        for statement in statements if self._trace is not None else ():
            self._trace(statement.sql)  # type: ignore[misc]
        results = self._in_session(statements, name, timeout)
        if results is not None:
            return Done(tuple(results)), 0
        answered = self._pragmas.answered(statements)
        if answered is not None:
            self.node.usable()
            return answered, 0
        if not needs_token(statements):
            found = self.reads.together(statements, self._ends(timeout))
            return Done(tuple(Result(columns, rows, -1) for columns, rows in found)), 0
        return self._write(statements, name, timeout, load), 0

    def _write(
        self, statements: Sequence[Statement], name: str | None, timeout: float | None, load: bool = False
    ) -> Done:
        prefix = () if load else self._pragmas.begin()
        if prefix:
            try:
                done = self._write_together((*prefix, *statements), name, timeout)
            except errors.Error as error:
                shift(error, len(prefix))
                raise
            return without_prefix(done, len(prefix))
        return self._write_together(statements, name, timeout, load)

    def _write_together(
        self, statements: Sequence[Statement], name: str | None, timeout: float | None, load: bool = False
    ) -> Done:
        node, tokens = self.node, self.tokens
        take_writer(node, self.timeout if timeout is None else check_timeout(timeout), self.reads)
        try:
            token = tokens.mint(name, statements)
            run = Run(self.database, tuple(statements), LINEARIZABLE, token, load)
            done = settle(node, tokens, run, self.ends if timeout is None else timeout)
        finally:
            node.writing.release()
        self._count(done.results)
        if changes_schema(statements):
            self.reads.schema_changed()
        return done

    def _count(self, results: Iterable[Result]) -> None:
        for result in results:
            if result.rowcount > 0:
                self._changes += result.rowcount

    def begins_with(self) -> tuple[Statement, ...]:
        """The settings that a transaction begins with, which is about to begin."""
        return self._pragmas.begin()

    def settle(self, request: Run | Outcome | CommitHeld, seconds: float | None = None) -> Done:
        """Let the node carry a write through, in so many seconds; the caller holds the writer."""
        return settle(self.node, self.tokens, request, seconds)

    def take_writer(self, seconds: float) -> None:
        """Wait for the database's only writer. Raises Unavailable when others keep it for too long."""
        take_writer(self.node, seconds, self.reads)


def _close(node: InlineNode, reads: Reads, session: Session) -> None:
    session.drop()
    reads.close()
    leave(node)
