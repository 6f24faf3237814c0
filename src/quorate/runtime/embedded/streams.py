"""The pieces of a stream from a folder: one state of its data file is held open until all was fetched."""

from quorate.core.statements import Statement
from quorate.core.view_requests import Piece
from quorate.runtime.embedded.opening import Pinned, Reads


class InFolder:
    """A `client.streams_aio.Source` for threads. In memory there is one connection, so all rows come at once."""

    def __init__(self, reads: Reads, statement: Statement, seconds: float | None) -> None:
        self._reads = reads
        self._statement = statement
        self._seconds = seconds
        self._pinned: Pinned | None = None

    def first(self, size: int) -> Piece:
        """The first rows."""
        self._pinned = self._reads.pin(self._seconds)
        if self._pinned is None:
            return Piece(*self._reads.first(self._statement.sql, self._statement.sets[0], self._seconds), more=False)
        return Piece(*self._pinned.begin(self._statement, size))

    def more(self, size: int) -> Piece:
        """The next ones."""
        assert self._pinned is not None, "nothing has begun"
        return Piece(*self._pinned.more(size))

    def close(self) -> None:
        """Hold the state no more."""
        pinned, self._pinned = self._pinned, None
        if pinned is not None:
            pinned.close()
