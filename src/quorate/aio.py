"""Quorate for asyncio: the same as `quorate`, with `await` where something is waited for.

    async with quorate.aio.connect("quorate://10.0.0.1,10.0.0.2/shop") as db:
        cursor = await db.execute("SELECT n FROM stock WHERE sku = ?", ("mug",))
        print(cursor.fetchone())

Rows are already there when `execute` returns, so fetching them is not awaited.
"""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Self

from quorate.client.aio import Connection
from quorate.client.checks import check_flag
from quorate.client.cluster_aio import Cluster
from quorate.client.credentials import Secret, check_login
from quorate.client.cursors_aio import Cursor
from quorate.client.marker import check_bookmark
from quorate.client.own_writes import check_own_writes
from quorate.client.types import Types
from quorate.client.url import (
    DEFAULT_TIMEOUT,
    ClusterTarget,
    check_alone,
    check_timeout,
    default_read,
    parse_target,
    with_login,
    with_protection,
)
from quorate.core.bookmarks import Bookmark

if TYPE_CHECKING:
    import os

    from quorate.runtime.tasks.connection import Connection as EmbeddedConnection

__all__ = ["Bookmark", "Cluster", "Connection", "Cursor", "EmbeddedConnection", "connect"]


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
    target: "str | os.PathLike[str]",
    *,
    timeout: float | None = None,
    read: str | None = None,
    autocommit: bool = True,
    retry: str = "safe",
    row_factory: Any = None,
    types: Types | None = None,
    bookmark: Bookmark | str | None = None,
    read_your_writes: str | None = None,
    lazy: bool = False,
    user: str | None = None,
    password: Secret | None = None,
    token: Secret | None = None,
    tls: str | None = None,
    ca: "str | os.PathLike[str] | None" = None,
    certificate: "str | os.PathLike[str] | None" = None,
    key: "str | os.PathLike[str] | None" = None,
) -> "Opened | EmbeddedConnection":
    """Open a database from inside a running event loop; the arguments of `quorate.connect`.

    `await connect(...)` waits for a node that answers, and raises Unavailable, naming each address, when none does; so
    does `async with`, but for `lazy=True`. Without either, nothing is waited for before the first call. A folder is
    opened then, too; its statements run in threads of the connection's own.
    """
    place = parse_target(target)
    mark, own = check_bookmark(bookmark), check_own_writes(read_your_writes)
    seconds = None if timeout is None else check_timeout(timeout)
    connection: Opened | EmbeddedConnection
    given = check_login(user, password, token)
    if isinstance(place, ClusterTarget):
        mark = mark | place.bookmark
        place = with_login(with_protection(place, tls, ca, certificate, key), given)
        connection = Opened(
            place,
            timeout=seconds or place.timeout or DEFAULT_TIMEOUT,
            read=default_read(place.read if read is None else read, mark),
            retry=retry,
            autocommit=autocommit,
            bookmark=mark,
            own_writes=own,
        )
        connection._lazy = check_flag(lazy, "lazy")  # noqa: SLF001 - made here
    else:
        from quorate.runtime.tasks.connection import Connection as InFolder

        check_alone(retry, given, tls, ca, certificate, key)
        connection = InFolder(
            place,
            timeout=seconds or DEFAULT_TIMEOUT,
            read=default_read(read),
            ends=seconds,
            autocommit=autocommit,
            bookmark=mark,
            lazy=check_flag(lazy, "lazy"),
        )
    connection.row_factory, connection.types = row_factory, types
    return connection


def __getattr__(name: str) -> Any:
    if name != "EmbeddedConnection":
        raise AttributeError(f"module 'quorate.aio' has no attribute {name!r}")
    from quorate.runtime.tasks.connection import Connection as Found

    return Found
