"""The transaction that a connection to a folder is itself in: with `autocommit=False`, or behind a BEGIN.

It begins deferred, as SQLite's does: it reads one state of the file until it writes. With its first write it takes the
database's only writer and keeps it to its end; if others have written since it began to read, it may not, for what it
read is not so any more. A database in memory has one connection, so there a transaction takes the writer at once.
"""

import threading
from collections.abc import Sequence
from contextlib import suppress

from quorate import errors
from quorate.client.pieces import Tokens, needs_token
from quorate.client.pragmas import Pragmas
from quorate.client.transactions import NESTED, no_savepoint, not_begun
from quorate.core.requests import CommitHeld
from quorate.core.statements import Result, Statement
from quorate.runtime.embedded.inline import ClosedNode, InlineNode
from quorate.runtime.embedded.opening import Pinned, Reads
from quorate.runtime.embedded.writing import changes_schema, settle, take_writer
from quorate.sql.classify import READ, shape_of
from quorate.sql.control import BEGIN, COMMIT, RELEASE, ROLLBACK, ROLLBACK_TO, SAVEPOINT, Control

CHANGED = "others have written since this transaction began to read, and what it read may not be so any more"
_BATCH = Control(SAVEPOINT, "quorate's batch")
"""Around several statements that are to be done together or not at all."""
_NOTHING = Result((), [], -1)


class Session:
    """One connection's transactions, one after the other. Threads take turns: the caller holds `turn`."""

    def __init__(
        self, node: InlineNode, reads: Reads, tokens: Tokens, pragmas: Pragmas, database: str, group: int
    ) -> None:
        self.turn = threading.RLock()
        self.begun = False
        """A transaction is open, though nothing may have run in it."""
        self._node = node
        self._reads = reads
        self._tokens = tokens
        self._pragmas = pragmas
        self._database = database
        self._group = group
        self._held = False
        """It has the database's writer."""
        self._pinned: Pinned | None = None
        """What it reads before it writes."""
        self._by_savepoint = False
        """A SAVEPOINT began it, so its RELEASE commits it."""
        self._points: list[str] = []
        """The savepoints that are open, the outermost first."""
        self._schema_changed = False

    # ------------------------------------------------------------------ beginning and ending

    def control(self, control: Control, seconds: float) -> Result:
        """Do what a statement about transactions says; it waits so long for the writer. Raises client errors."""
        word = control.word
        self._node.usable()
        if word == BEGIN:
            self._begin(control.name, seconds)
        elif word == SAVEPOINT:
            self._savepoint(control)
        elif not self.begun:
            raise not_begun(control)
        elif word == COMMIT:
            self.commit()
        elif word == ROLLBACK:
            self.rollback()
        else:
            self._back_to(control)
        return _NOTHING

    def _begin(self, how: str, seconds: float) -> None:
        if self.begun:
            raise errors.OperationalError(NESTED)
        self.begun = True
        if how != "deferred":
            try:
                self._take(seconds)
            except BaseException:
                self._end()
                raise

    def commit(self) -> None:
        """End it and keep what it did; if that fails, nothing of it is done, and it is over all the same. Does nothing
        when none is open."""
        self._node.usable()
        try:
            if self._held:
                self._own()
                settle(self._node, self._tokens, CommitHeld(self._database, self._tokens.mint(None)))
                if self._schema_changed:
                    self._reads.schema_changed()
        finally:
            self._end()

    def rollback(self) -> None:
        """End it and undo what it did. Does nothing when none is open."""
        self._node.usable()
        self._end()

    def drop(self) -> None:
        """The connection is closed: undo what is open, unless this is a forked child and it is the parent's."""
        if self.begun and not self._node.forked:
            with suppress(errors.Error):
                self._end()
        if not self._node.forked:
            self._node = ClosedNode()

    def _end(self) -> None:
        pinned, self._pinned = self._pinned, None
        if pinned is not None:
            pinned.close()
        held, self._held = self._held, False
        self.begun = self._by_savepoint = self._schema_changed = False
        self._points.clear()
        if held:
            try:
                if self._node.holds(self._group):
                    self._node.release(self._group)
            finally:
                self._node.owner = 0
                self._node.writing.release()

    # ------------------------------------------------------------------ savepoints

    def _savepoint(self, control: Control) -> None:
        if not self.begun:
            self.begun = self._by_savepoint = True
        if self._held:
            self._run_held(Statement(control.sql), None)
        self._points.append(control.name)

    def _back_to(self, control: Control) -> None:
        """RELEASE or ROLLBACK TO."""
        names = self._points
        if control.name not in names:
            raise no_savepoint(control.name)
        at = len(names) - 1 - names[::-1].index(control.name)
        if control.word == RELEASE and at == 0 and self._by_savepoint:
            self.commit()
            return
        if self._held:
            self._run_held(Statement(control.sql), None)
        del names[at if control.word == RELEASE else at + 1 :]

    # ------------------------------------------------------------------ statements

    def run(self, statements: Sequence[Statement], seconds: float, ends: float | None) -> list[Result]:
        """Run statements, all or none of them, beginning a transaction if none is open. They wait `seconds` for the
        writer, and each may take `ends`. Raises client errors; a failed statement is undone alone."""
        self._node.usable()
        self.begun = True
        if len(statements) == 1:
            return [self._run(statements[0], seconds, ends)]
        self._savepoint(_BATCH)
        results: list[Result] = []
        try:
            for statement in statements:
                results.append(self._run(statement, seconds, ends))  # noqa: PERF401 - how many ran is needed below
        except errors.Error as error:
            error.statement = len(results)
            if self.begun:
                self._back_to(Control(ROLLBACK_TO, _BATCH.name))
                self._back_to(Control(RELEASE, _BATCH.name))
            raise
        self._back_to(Control(RELEASE, _BATCH.name))
        return results

    def _run(self, statement: Statement, seconds: float, ends: float | None) -> Result:
        if self._held:
            return self._run_held(statement, ends)
        shape = shape_of(statement.sql)
        if shape.setting and shape.kind == READ:
            answered = self._pragmas.answered((statement,))
            if answered is not None:
                return answered.results[0]
        if not shape.setting and not needs_token((statement,)):
            if self._pinned is None:
                self._pinned = self._reads.pin(ends)
            if self._pinned is not None:
                return Result(*self._pinned.read(statement), -1)
        self._take(seconds)
        return self._run_held(statement, ends)

    def _take(self, seconds: float) -> None:
        """Take the writer, with settings and savepoints. Raises SerializationFailure if what was read is old."""
        node, group = self._node, self._group
        take_writer(node, seconds, self._reads)
        try:
            node.hold(self._database, group)
            if self._pinned is not None and self._pinned.state != node.state:
                raise errors.SerializationFailure(CHANGED, hint="roll back and begin anew, or say BEGIN IMMEDIATE")
            for setting in self._pragmas.begin():
                node.run_held(group, setting)
            for name in self._points:
                node.run_held(group, Statement(Control(SAVEPOINT, name).sql))
        except BaseException:
            if node.holds(group):
                node.release(group)
            node.writing.release()
            raise
        self._held = True
        self._own()
        pinned, self._pinned = self._pinned, None
        if pinned is not None:
            pinned.close()

    def _run_held(self, statement: Statement, ends: float | None) -> Result:
        self._own()
        self._schema_changed = self._schema_changed or changes_schema((statement,))
        try:
            return self._node.run_held(self._group, statement, ends or 0.0)
        except errors.Error:
            if not self._node.holds(self._group):  # the statement has ended it: INSERT OR ROLLBACK
                self._end()
            raise

    def _own(self) -> None:
        """The thread whose turn it is has the writer."""
        self._node.owner = threading.get_ident()
