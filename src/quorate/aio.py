"""Quorate for asyncio: the same as `quorate`, with `await` where something is waited for.

    async with quorate.aio.connect("quorate://10.0.0.1,10.0.0.2/shop") as db:
        cursor = await db.execute("SELECT n FROM stock WHERE sku = ?", ("mug",))
        print(cursor.fetchone())

Rows are already there when `execute` returns, so fetching them is not awaited.
"""

from collections.abc import Generator
from typing import Any, Self

from quorate.client.aio import Connection as Connection
from quorate.client.aio import Cursor as Cursor
from quorate.client.checks import check_flag
from quorate.client.cluster_aio import Cluster as Cluster
from quorate.client.marker import check_bookmark
from quorate.client.types import Types
from quorate.client.url import DEFAULT_TIMEOUT, ClusterTarget, check_timeout, default_read, parse_target
from quorate.core.bookmarks import Bookmark as Bookmark

__all__ = ["Bookmark", "Cluster", "Connection", "Cursor", "connect"]


class Opened(Connection):
    """A connection that may be awaited, once, to hear that somebody is there, or entered, which meets somebody too."""

    __slots__ = ("_lazy",)

    _lazy: bool

    async def __aenter__(self) -> Self:
        if not self._lazy:
            await self.meet()
        return self

    def __await__(self) -> Generator[Any, None, Connection]:
        return self._greeted().__await__()

    async def _greeted(self) -> Connection:
        try:
            await self.ping()
        except BaseException:
            await self.close()
            raise
        return self


def connect(
    target: str,
    *,
    timeout: float | None = None,
    read: str | None = None,
    autocommit: bool = True,
    retry: str = "safe",
    row_factory: Any = None,
    types: Types | None = None,
    bookmark: Bookmark | str | None = None,
    lazy: bool = False,
) -> "Opened":
    """Open a database of a cluster, from inside a running event loop; the arguments of `quorate.connect`.

    `await connect(...)` waits for a node that answers, and raises Unavailable, naming each address, when none does; so
    does `async with`, but for `lazy=True`. Without either, nothing is waited for before the first call. Raises
    NotSupportedError for a folder or `":memory:"`: an embedded database writes to the disk in the caller's thread,
    which would stop the loop.
    """
    place = parse_target(target)
    mark = check_bookmark(bookmark)
    if not isinstance(place, ClusterTarget):
        from quorate.errors import NotSupportedError

        raise NotSupportedError(
            "an embedded database for asyncio is not there yet",
            hint="use quorate.connect, for example in asyncio.to_thread",
        )
    mark = mark | place.bookmark
    connection = Opened(
        place,
        timeout=(place.timeout or DEFAULT_TIMEOUT) if timeout is None else check_timeout(timeout),
        read=default_read(place.read if read is None else read, mark),
        retry=retry,
        autocommit=autocommit,
        bookmark=mark,
    )
    connection.row_factory, connection.types = row_factory, types
    connection._lazy = check_flag(lazy, "lazy")  # noqa: SLF001 - made here
    return connection
