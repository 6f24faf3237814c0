"""What `sqlite3` has beyond PEP 249, on a connection to a folder or to memory."""

import os
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from quorate import errors
from quorate.client.checks import check_new_file
from quorate.client.dumps import CHANGING, SCHEMA, TRIES, check_script, contents_of, lines_of
from quorate.client.pieces import ConnectionAttributes
from quorate.client.types import Types, types_of
from quorate.client.url import check_read_level
from quorate.core.options import SINGLE_LEADER
from quorate.sql.classify import statements_of
from quorate.storage.execution.callbacks import Callbacks

if TYPE_CHECKING:
    from quorate.client._sync.streams import Stream

ARGUMENTS_MAX = 127
"""SQLite's limit is higher; so many are portable."""


class Extras(ConnectionAttributes):
    """The part of a connection that only calls the rest of it."""

    __slots__ = ("_changes", "_trace")

    _changes: int
    _trace: Callable[[str], Any] | None

    @property
    def total_changes(self) -> int:
        """Rows that INSERT, UPDATE and DELETE have changed on this connection; not those that triggers and foreign keys
        have."""
        return self._changes

    def set_trace_callback(self, callback: Callable[[str], Any] | None) -> None:
        """Have this called with the text of each statement before it runs; None: nothing any more. Raises
        ProgrammingError."""
        if callback is not None and not callable(callback):
            raise errors.ProgrammingError(f"a trace callback is called with a text, not {type(callback).__name__}")
        self._trace = callback
        self._types_changed()

    def create_function(
        self: Any, name: str, narg: int, func: Callable[..., Any] | None, /, *, deterministic: bool = False
    ) -> None:
        """Define a function of SQL with so many arguments (-1: any number), for the statements of all connections of
        this process to the same folder; None takes it away. It cannot be a part of the schema (CHECK, indexes,
        generated columns, triggers, views, defaults): that is NotSupportedError, as is the name of a function of
        SQLite's. An exception in it is an OperationalError. It may not write. Raises ProgrammingError."""
        check_callback("create_function", name, func)
        if type(narg) is not int or not -1 <= narg <= ARGUMENTS_MAX:
            raise errors.ProgrammingError(f"a function has -1 to {ARGUMENTS_MAX} arguments, not {narg!r}")
        self._define(lambda callbacks: callbacks.add_function(name, narg, func, constant=bool(deterministic)))

    def replication(self, *, timeout: float | None = None) -> str:  # noqa: ARG002 - as on a cluster
        """How the database is replicated: a node that is alone leads."""
        return SINGLE_LEADER

    def take_over(self) -> None:
        """A transaction belongs to no thread here; as on a cluster."""

    def has_function(self: Any, name: str) -> bool:
        """Whether a function of this name was defined for the folder in this process."""
        return bool(self.node.store.callbacks.has_function(name))

    def create_collation(self: Any, name: str, callback: Callable[[str, str], int] | None, /) -> None:
        """Define a collation for the statements of all connections of this process to the same folder; None takes it
        away. As a function, it cannot be a part of the schema. Raises NotSupportedError, ProgrammingError."""
        check_callback("create_collation", name, callback)
        self._define(lambda callbacks: callbacks.add_collation(name, callback))

    def _define(self: Any, change: Callable[[Callbacks], None]) -> None:
        node = self.node
        node.usable()
        mine = node.owner == threading.get_ident()
        if not mine:
            self.take_writer(self.timeout)
        try:
            node.define(change)
        finally:
            if not mine:
                node.writing.release()
        self.reads.schema_changed()

    def stream(
        self: Any,
        sql: str,
        parameters: Any = (),
        *,
        read: str | None = None,
        timeout: float | None = None,
        types: Types | None = None,
    ) -> "Stream":
        """Read rows as they are asked for, however many there are, all from one state of the database:
        `with db.stream("SELECT * FROM big") as rows: for row in rows: ...`. `timeout` is for each piece. What is
        held open keeps the write-ahead log from being reused. In memory all rows are read at once."""
        from quorate.client._sync.streams import Stream, refuse_in_transaction, stream_statement
        from quorate.runtime.embedded.streams import InFolder

        self.node.usable()
        refuse_in_transaction(open=self._session.begun or not self.autocommit)
        if read is not None:
            check_read_level(read)
        types = types_of(types, self._types)
        statement = stream_statement(sql, parameters, types)
        if self._trace is not None:
            self._trace(sql)
        return Stream(self, InFolder(self.reads, statement, self._ends(timeout)), types)

    def interrupt(self: Any) -> None:
        """End the statements that run on this connection: they raise OperationalError, "interrupted", and are undone.
        For another thread to call; nothing happens when none runs."""
        self.node.usable()
        self.reads.interrupt()

    def ping(self: Any) -> None:
        """Raises InterfaceError when the connection is closed, OperationalError when its node has broken down."""
        self.execute("SELECT 1")

    def executescript(self: Any, script: str) -> Any:
        """Run the statements of a script, one after the other, and give a cursor. BEGIN and COMMIT in it do what they
        say; without them, and with autocommit, each statement is committed by itself. An error ends it where it is."""
        cursor = self.cursor()
        for sql in statements_of(check_script(script)):
            self.execute(sql)
        return cursor

    def iterdump(self: Any) -> Iterator[str]:
        """One state of the database as a script, line by line, as `sqlite3` writes it: `executescript` loads it."""
        for _ in range(TRIES):
            schema, _ = self.run(SCHEMA)
            contents = contents_of(schema.results[0])
            both, _ = self.run((*SCHEMA, *contents))
            if [each.rows for each in both.results[:2]] == [each.rows for each in schema.results]:
                return lines_of(both.results[:2], both.results[2:])
        raise errors.OperationalError(CHANGING)

    def backup(self: Any, file: str | os.PathLike[str]) -> None:
        """Write one state of the database to a new plain SQLite file, without the replica's own tables. Raises
        OperationalError where there is a file already, or none can be written."""
        from quorate.storage.plain.file import PlainFileError
        from quorate.storage.plain.write import PlainWriter

        path = check_new_file(file)
        try:
            with PlainWriter(os.fspath(path)) as writer:
                self.copy_to(writer.draft)
                writer.take_copy()
        except PlainFileError as error:
            raise errors.OperationalError(str(error)) from error


def check_callback(call: str, name: object, callback: object) -> None:
    """Raises ProgrammingError unless this names something that can be called, or None."""
    if not isinstance(name, str) or not name:
        raise errors.ProgrammingError(f"{call} takes a name, not {name!r}")
    if callback is not None and not callable(callback):
        raise errors.ProgrammingError(f"{call} takes something to call, or None, not {type(callback).__name__}")
