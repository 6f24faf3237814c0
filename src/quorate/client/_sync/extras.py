"""What `sqlite3` has beyond PEP 249, on a connection to a cluster, as threads see it.

Generated from `client/extras_aio.py` by `tools/async_to_sync.py`: edit that one.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from quorate import errors
from quorate.client._sync.streams import OnCluster, Stream, View, refuse_in_transaction, stream_statement
from quorate.client.absent import NOT_ON_A_CLUSTER, Absent
from quorate.client.dumps import CHANGING, SCHEMA, TRIES, check_script, contents_of, lines_of, requests_of
from quorate.client.pieces import CATALOG_STATEMENTS, ConnectionAttributes, catalog_databases
from quorate.client.types import Types, types_of
from quorate.client.url import check_read_level
from quorate.core.kernel import CATALOG_DATABASE
from quorate.core.read_levels import LEADER, LINEARIZABLE, STRONGEST
from quorate.core.requests import Run
from quorate.core.scripts import LetGo
from quorate.core.statements import Statement
from quorate.core.view_requests import Piece
from quorate.wire.answers import read_outcome, results_of

LETS_GO = 1.0
"""Seconds in which a node hears that a transaction is over which held the writer, or others wait a little longer."""
CLOSES = 0.5
"""The same for all that are open when the connection is closed; by then their idle holds are over."""


class Extras(ConnectionAttributes):
    """The part of a connection that only calls the rest of it."""

    __slots__ = ()

    total_changes = Absent("a cursor's rowcount says how many rows its statement changed")
    backup = Absent("copy_to and `quorate export` write files")
    set_trace_callback = Absent("there is none on a cluster")

    def executescript(self: Any, script: str, *, timeout: float | None = None) -> Any:
        """Run the statements of a script, one after the other, and give a cursor. Those between BEGIN and COMMIT are
        one batch, others are committed each by itself. An error ends it where it is; `timeout` is for each request."""
        cursor = self.cursor()
        for statements in requests_of(check_script(script)):
            self.run(statements, timeout=timeout)
        return cursor

    def take_over(self: Any) -> None:
        """Make the transaction that is open on this connection the calling task's: for a pool that closes it in a task
        of its own. Whoever calls it sees to it that no two tasks use the connection at once."""
        self._session.take_over()

    def replication(self: Any, *, timeout: float | None = None) -> str:
        """How the database is replicated, such as `single-leader`. Raises UnknownDatabase."""
        request = Run(CATALOG_DATABASE, CATALOG_STATEMENTS, LINEARIZABLE)
        body, _ = self._client.request(request, CATALOG_DATABASE, level=LINEARIZABLE, timeout=timeout)
        databases = catalog_databases(results_of(read_outcome(body.outcome), None))
        found = {each.name: each.replication for each in databases}
        if self.database not in found:
            hint = f"there are: {', '.join(found)}"
            raise errors.UnknownDatabase(f"there is no database {self.database!r}", hint=hint)
        return found[self.database]

    def iterdump(self: Any, *, timeout: float | None = None) -> Iterator[str]:
        """One state of the database as a script, line by line, as `sqlite3` writes it: `executescript` loads it. All of
        it is one answer, which has its limit (docs/limits.md); `copy_to` and `quorate export` have none."""
        self._client.check_led("iterdump")
        for _ in range(TRIES):
            schema, _ = self.run(SCHEMA, timeout=timeout)
            both, _ = self.run((*SCHEMA, *contents_of(schema.results[0])), timeout=timeout)
            if [each.rows for each in both.results[:2]] == [each.rows for each in schema.results]:
                return lines_of(both.results[:2], both.results[2:])
        raise errors.OperationalError(CHANGING)

    def create_function(self: Any, _name: str, _narg: int, _func: Any, /, *, deterministic: bool = False) -> None:  # noqa: ARG002
        """Raises NotSupportedError: a function would have to be on every node."""
        raise errors.NotSupportedError("create_function is not there on a cluster", hint=NOT_ON_A_CLUSTER)

    def create_collation(self: Any, _name: str, _callback: Any, /) -> None:
        """Raises NotSupportedError: a collation would have to be on every node."""
        raise errors.NotSupportedError("create_collation is not there on a cluster", hint=NOT_ON_A_CLUSTER)

    def interrupt(self: Any) -> None:
        """End the calls that wait on this connection: they raise OperationalError, "interrupted", and nothing is done.
        A write that was sent is asked about first: what was done already gives its result, and what nobody can tell in
        a second is MaybeDone. Any thread may call it; nothing happens when no call waits."""
        self._client.interrupt()

    def meet(self: Any) -> None:
        """Exchange greetings with a node, or hang up and raise Unavailable, naming each address."""
        try:
            self._client.meet()
            if not self._autocommit:
                self._client.check_led("autocommit=False")
            if self._own.chosen:
                self._client.check_led("read_your_writes")
            if self._marker.at:
                self._client.check_led("bookmark")
        except BaseException:
            self.close()
            raise

    def stream(
        self: Any,
        sql: str,
        parameters: Any = (),
        *,
        read: str | None = None,
        timeout: float | None = None,
        types: Types | None = None,
    ) -> Stream:
        """Read rows as they are asked for, however many there are, all from one state of the database:
        `with db.stream("SELECT * FROM big") as rows: for row in rows: ...`. `timeout` is for each piece."""
        self._client.check()
        self._client.check_led("stream")
        refuse_in_transaction(open=self._session.begun or not self._autocommit)
        if read is not None:
            check_read_level(read)
        types = types_of(types, self._types)
        source = OnCluster(self, self.view(), stream_statement(sql, parameters, types), read, timeout)
        return Stream(self, source, types)

    def view(self: Any) -> View:
        """A state of the database that is to be kept."""
        return View(self._client, self.database)

    def open_view(
        self: Any, view: View, statement: Statement, size: int, read: str | None, timeout: float | None
    ) -> Piece:
        """Have a node keep what a read at this level would see, and run a first statement on it."""
        level = self.read if read is None else read
        if level != STRONGEST:
            level = self._own.level(level, (statement,), time.monotonic())
        after = self._marker.shown(level)
        answer, piece = view.open(statement, size, level, after, timeout)
        self._heard(answer, after)
        return piece

    def ping(self: Any, *, timeout: float | None = None) -> None:
        """Raises Unavailable, naming each address, when no node of the cluster answers."""
        self._client.greet(timeout)

    def let_go(self: Any, request: LetGo) -> None:
        """Let others write where a transaction of this connection held the writer. Raises client errors."""
        self._holds.pop(request.name, None)
        self._client.request(request, self.database, level=LEADER, timeout=LETS_GO)

    def let_all_go(self: Any) -> None:
        """The connection is about to close: no transaction of it holds the writer any more."""
        requests = list(self._holds.values())
        self._holds.clear()
        until = time.monotonic() + CLOSES
        for request in requests:
            left = until - time.monotonic()
            if left > 0:
                with suppress(errors.Error):
                    self._client.request(request, self.database, level=LEADER, timeout=left)
