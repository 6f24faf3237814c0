"""Reading from one state of a cluster's database that a node keeps as threads see it.

Generated from `client/streams_aio.py` by `tools/async_to_sync.py`: edit that one.
"""

from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self

from quorate import errors
from quorate.client._sync.carrier import Client
from quorate.client.links import LinkLost
from quorate.client.pieces import needs_token, one_statement
from quorate.client.results import Description, Rows, closed
from quorate.client.types import Types
from quorate.core.bookmarks import Bookmark
from quorate.core.read_levels import LINEARIZABLE, STRONGEST
from quorate.core.requests import Answer, Refused
from quorate.core.statements import Result, Statement
from quorate.core.view_requests import CloseView, OpenView, Piece, ReadView, Viewed
from quorate.wire.answers import decoded, failure, read_view, refusal

PIECE_BYTES = 256 << 10
"""About how many bytes of rows are fetched at a time."""
ASKED = 3
"""How often a node is asked for a piece whose answer is lost."""


class View:
    """One state of a database, which one node keeps. For one task at a time."""

    def __init__(self, client: Client, database: str) -> None:
        self._client = client
        self._database = database
        self._address = ""
        self._view = 0
        """Its number; 0: none is open."""
        self._number = -1

    @property
    def was_opened(self) -> bool:
        """Whether a node has kept it, if it does not any more."""
        return self._number >= 0

    def open(
        self, statement: Statement, size: int, level: str, after: Bookmark | None, timeout: float | None
    ) -> tuple[Answer, Piece]:
        """Have a node pin what a read at this level would see, and run a statement on it; where that is, and the first
        rows. Raises what a read raises."""
        strongest = level == STRONGEST
        body = OpenView(self._database, statement, LINEARIZABLE if strongest else level, strongest, after, size)
        answer, call = self._client.carry(body, self._database, level=body.level, timeout=timeout)
        viewed = decoded(answer.outcome, Viewed)
        self._address, self._view, self._number = call.answered_by, viewed.view, 0
        return answer, _piece_of(viewed)

    def read(self, statement: Statement | None, size: int, timeout: float | None) -> Piece:
        """Run another statement, or go on with the last one. Raises SnapshotExpired when the node does not keep the
        state any more or cannot be reached, and what a read raises."""
        if not self._view:
            raise errors.SnapshotExpired("the snapshot is not kept any more", hint="begin anew")
        self._number += 1
        body = ReadView(self._view, self._number, statement, size)
        reply = self._ask(body, self._client.timeout if timeout is None else timeout)
        if isinstance(reply, Refused):
            self._view = 0
            raise refusal(reply)
        if not isinstance(reply, Answer):
            raise errors.InternalError(f"a node answered a request with {type(reply).__name__}")
        return _piece_of(decoded(reply.outcome, Viewed))

    def _ask(self, body: ReadView, seconds: float) -> Any:
        lost: LinkLost | None = None
        for _ in range(ASKED):
            try:
                return self._client.ask_node(self._address, body, seconds, int(seconds * 1e6))
            except LinkLost as error:
                lost = error
        self._client.shun(self._address)
        self._view = 0
        raise errors.SnapshotExpired(
            f"node {self._address}, which kept the snapshot, does not answer: {lost}", hint="begin anew"
        ) from lost

    def close(self) -> None:
        """Tell the node that nobody reads it any more, and wait for nothing. One that does not hear of that finds out
        by itself."""
        view, self._view = self._view, 0
        if view:
            with suppress(errors.Error, LinkLost):
                self._client.mention(self._address, CloseView(view))


def _piece_of(viewed: Viewed) -> Piece:
    """Raises what the statement failed with."""
    outcome = read_view(viewed.outcome)
    if isinstance(outcome, Piece):
        return outcome
    raise failure(outcome)


class Source(Protocol):
    """Where the pieces of a stream come from, in order, each with about so many bytes of rows."""

    def first(self, size: int) -> Piece: ...
    def more(self, size: int) -> Piece: ...
    def close(self) -> None: ...


class OnCluster:
    """Pieces of a read on a cluster."""

    def __init__(
        self, connection: Any, view: View, statement: Statement, read: str | None, timeout: float | None
    ) -> None:
        self._connection = connection
        self._view = view
        self._statement = statement
        self._read = read
        self._timeout = timeout

    def first(self, size: int) -> Piece:
        piece: Piece = self._connection.open_view(self._view, self._statement, size, self._read, self._timeout)
        return piece

    def more(self, size: int) -> Piece:
        return self._view.read(None, size, self._timeout)

    def close(self) -> None:
        self._view.close()


class Stream:
    """The rows of one read, fetched as they are asked for, all from one state of the database. Made by
    `Connection.stream`; `async with` closes it.

    It holds about 256 KiB of rows at a time, or one row. A node of a cluster keeps the state for some minutes only, and
    not beyond its own life: then fetching raises SnapshotExpired, and the read is to begin anew.
    """

    def __init__(self, connection: Any, source: Source, types: Types | None) -> None:
        self.arraysize: int = 1
        """How many rows `fetchmany` gives when it is not told."""
        self.connection = connection
        """Where it reads."""
        self._source = source
        self._rows = Rows()
        """Those that have come and were not fetched."""
        self._rows.types, self._rows.row_factory = types, connection.row_factory
        self._begun = self._closed = False
        self._more = True

    @property
    def description(self) -> Description | None:
        """As `Cursor.description`; None before the first row was asked for."""
        return self._rows.description

    def fetchone(self) -> Any:
        """The next row, or None behind the last. Raises SnapshotExpired, and what a read raises."""
        return self._rows.fetchone() if self._has_rows() else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next `size` rows (`arraysize` of them when not told); fewer at the end."""
        count = self.arraysize if size is None else size
        found: list[Any] = []
        while len(found) < count and self._has_rows():
            found += self._rows.fetchmany(count - len(found))
        return found

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        return self.fetchmany(1 << 62)

    def _has_rows(self) -> bool:
        """Whether there is another row, fetching the next piece if need be."""
        while True:
            if self._closed:
                closed("stream")
            if self._rows.left:
                return True
            if not self._more:
                return False
            self._fetch()

    def _fetch(self) -> None:
        try:
            piece = self._source.more(PIECE_BYTES) if self._begun else self._source.first(PIECE_BYTES)
        except BaseException:  # also when its task is cancelled: nobody knows how far it got
            self.close()
            raise
        self._begun, self._more = True, piece.more
        self._rows._load(Result(piece.columns, piece.rows, -1))  # noqa: SLF001 - made here
        if not self._more:
            self._source.close()

    def close(self) -> None:
        """Fetch nothing more. Closing again does nothing."""
        self._closed = True
        self._source.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if not self._has_rows():
            raise StopIteration
        return self._rows.fetchone()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def stream_statement(sql: str, parameters: Any, types: Types | None) -> Statement:
    """What a stream is to read. Raises ProgrammingError."""
    statement = one_statement(sql, parameters, types)
    if needs_token((statement,)):
        raise errors.ProgrammingError("a stream only reads, and this may write", hint="use execute")
    return statement


def refuse_in_transaction(*, open: bool) -> None:
    """Raises ProgrammingError where a stream would not see what a transaction has written."""
    if open:
        raise errors.ProgrammingError(
            "a stream reads outside of transactions, and this connection is in one", hint="use another connection"
        )
