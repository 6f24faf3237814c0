"""The pieces of a stream from a folder, for tasks: one thread fetches them."""

from typing import TYPE_CHECKING

from quorate.core.statements import Statement
from quorate.core.view_requests import Piece
from quorate.runtime.embedded.connection import Connection as Embedded
from quorate.runtime.embedded.streams import InFolder
from quorate.runtime.tasks.workers import Worker

if TYPE_CHECKING:
    from quorate.runtime.tasks.calls import Calls


class InTasks:
    """A `client.streams_aio.Source`."""

    def __init__(self, connection: "Calls", statement: Statement, seconds: float | None) -> None:
        self._connection = connection
        self._statement = statement
        self._seconds = seconds
        self._source: InFolder | None = None
        self._worker: Worker | None = None

    async def first(self, size: int) -> Piece:
        """The first rows."""

        def begin(inner: Embedded) -> Piece:
            self._source = InFolder(inner.reads, self._statement, self._seconds)
            return self._source.first(size)

        self._worker = self._connection.take_worker()
        return await self._connection.call(begin, self._worker)

    async def more(self, size: int) -> Piece:
        """The next ones."""
        source = self._source
        assert source is not None, "nothing has begun"
        return await self._connection.call(lambda _: source.more(size), self._worker)

    async def close(self) -> None:
        """Hold the state no more."""
        worker, self._worker = self._worker, None
        if worker is not None:
            self._connection.give_back(worker, worker.submit(self._end))

    def _end(self) -> None:
        if self._source is not None:
            self._source.close()
