"""Quorate: SQLite that survives a dead machine.

`connect` opens a database: in a folder, in memory, or on a cluster. `Cluster` speaks of the cluster itself. The
same for asyncio is in `quorate.aio`. What is imported from here is public; other modules may change.
"""

from typing import TYPE_CHECKING, Any

from quorate import errors as _errors
from quorate.errors import *  # noqa: F403 - all that callers can meet

if TYPE_CHECKING:  # the names of `_LATER`, for those who read types
    import os

    from quorate.client._sync.cluster import Cluster as Cluster
    from quorate.client._sync.connection import Connection as _Cluster
    from quorate.client.credentials import Secret
    from quorate.client.interface import Connection as Connection
    from quorate.client.membership import MemberInfo as MemberInfo
    from quorate.client.pieces import DatabaseInfo as DatabaseInfo
    from quorate.client.rows import Row as Row
    from quorate.client.rows import dict_row as dict_row
    from quorate.client.rows import namedtuple_row as namedtuple_row
    from quorate.client.types import PYTHON_TYPES as PYTHON_TYPES
    from quorate.client.types import Types as Types
    from quorate.client.values import BINARY as BINARY
    from quorate.client.values import DATETIME as DATETIME
    from quorate.client.values import NUMBER as NUMBER
    from quorate.client.values import ROWID as ROWID
    from quorate.client.values import STRING as STRING
    from quorate.client.values import Binary as Binary
    from quorate.client.values import Date as Date
    from quorate.client.values import DateFromTicks as DateFromTicks
    from quorate.client.values import Time as Time
    from quorate.client.values import TimeFromTicks as TimeFromTicks
    from quorate.client.values import Timestamp as Timestamp
    from quorate.client.values import TimestampFromTicks as TimestampFromTicks
    from quorate.core.bookmarks import Bookmark as Bookmark
    from quorate.core.requests import FailoverReport as FailoverReport
    from quorate.core.requests import StatusReport as StatusReport
    from quorate.core.verdicts import ReplicaVerdict as ReplicaVerdict
    from quorate.core.verdicts import VerifyReport as VerifyReport
    from quorate.runtime.embedded.connection import Connection as _Embedded

    __version__: str
    """Of the release."""
    ClusterConnection = _Cluster
    EmbeddedConnection = _Embedded

apilevel = "2.0"
threadsafety = 2
"""Threads may share the module and connections."""
paramstyle = "qmark"
"""A dict of parameters binds `:name`."""

_VALUES = "quorate.client.values"
_LATER = {
    "__version__": "quorate.core.formats:RELEASE",
    "BINARY": _VALUES,
    "Binary": _VALUES,
    "Bookmark": "quorate.core.bookmarks",
    "Cluster": "quorate.client._sync.cluster",
    "ClusterConnection": "quorate.client._sync.connection:Connection",
    "Connection": "quorate.client.interface",
    "DATETIME": _VALUES,
    "DatabaseInfo": "quorate.client.pieces",
    "Date": _VALUES,
    "DateFromTicks": _VALUES,
    "EmbeddedConnection": "quorate.runtime.embedded.connection:Connection",
    "FailoverReport": "quorate.core.requests",
    "MemberInfo": "quorate.client.membership",
    "NUMBER": _VALUES,
    "PYTHON_TYPES": "quorate.client.types",
    "ROWID": _VALUES,
    "ReplicaVerdict": "quorate.core.verdicts",
    "Row": "quorate.client.rows",
    "STRING": _VALUES,
    "StatusReport": "quorate.core.requests",
    "Time": _VALUES,
    "TimeFromTicks": _VALUES,
    "Timestamp": _VALUES,
    "TimestampFromTicks": _VALUES,
    "Types": "quorate.client.types",
    "VerifyReport": "quorate.core.verdicts",
    "dict_row": "quorate.client.rows",
    "namedtuple_row": "quorate.client.rows",
}
"""The public names that are imported when they are first used, each from where (`module`, or `module:name` where it has
another name there): a program that only wants one of the two kinds pays for one. The errors come all at once."""

_HERE = ("apilevel", "connect", "paramstyle", "threadsafety")
_ERRORS = [name for name, found in vars(_errors).items() if isinstance(found, type) and issubclass(found, Exception)]
__all__ = sorted([*_ERRORS, *(_LATER.keys() - {"__version__"}), *_HERE])  # noqa: PLE0605 - names of three kinds


def connect(
    target: "str | os.PathLike[str]",
    *,
    timeout: float | None = None,
    read: str | None = None,
    autocommit: bool = True,
    retry: str = "safe",
    row_factory: Any = None,
    types: "Types | None" = None,
    bookmark: "Bookmark | str | None" = None,
    read_your_writes: str | None = None,
    lazy: bool = False,
    user: str | None = None,
    password: "Secret | None" = None,
    token: "Secret | None" = None,
    tls: str | None = None,
    ca: "str | os.PathLike[str] | None" = None,
    certificate: "str | os.PathLike[str] | None" = None,
    key: "str | os.PathLike[str] | None" = None,
) -> "Connection":
    """Open a database.

    `target` is a folder (made when it is not there), `":memory:"`, or `quorate://host:port,host:port/NAME` with any of
    a cluster's nodes; without a name it is `main`. `timeout`: how many seconds a call may take (5 unless said). `read`
    is the level of reads that name none: `linearizable` (the default), `leader`, `bounded:2s`, `session` or `eventual`.
    With `bookmark`, or its text, the session of another connection goes on here, by default with `session` reads
    (docs/sessions.md). `read_your_writes` is how `eventual` reads meet this connection's own writes: `leader:10s`,
    `bookmark`, `own:TABLE` or `sticky:KEY`. With `autocommit=False` a connection is a transaction as PEP 249 has it:
    its first statement begins it, and `commit()` or `rollback()` ends it. With `retry="always"` a write that took long
    when its node was lost is sent to another node, too; otherwise its caller gets MaybeDone. `row_factory` makes the
    rows (`quorate.Row`, `quorate.dict_row`, `quorate.namedtuple_row` or a function of a cursor and a row), and `types`
    converts values (`quorate.PYTHON_TYPES` or a `quorate.Types`). On a cluster it greets a node first, and raises
    Unavailable when none answers; not with `lazy=True`. `user` and `password`, or `token`, say who this is on a cluster
    with users (docs/security.md), and so does `certificate`, a file, with its `key`; `tls` (`verify-full`, `off`) and
    `ca`, a file, encrypt (docs/tls.md).
    """
    from quorate.client import credentials, marker, url
    from quorate.client.checks import check_flag
    from quorate.client.own_writes import check_own_writes
    from quorate.client.rows import check_row_factory
    from quorate.client.types import check_types

    place, login = url.parse_target(target), credentials.check_login(user, password, token)
    seconds = None if timeout is None else url.check_timeout(timeout)
    rows, types, own = check_row_factory(row_factory), check_types(types), check_own_writes(read_your_writes)
    mark = marker.check_bookmark(bookmark)
    if isinstance(place, url.ClusterTarget):
        from quorate.client._sync.connection import Connection as Cluster

        place = url.with_login(url.with_protection(place, tls, ca, certificate, key), login)
        keywords: Any = {"retry": retry, "autocommit": autocommit, "bookmark": mark | place.bookmark, "own_writes": own}
        level = url.default_read(place.read if read is None else read, mark | place.bookmark)
        cluster = Cluster(place, timeout=seconds or place.timeout or url.DEFAULT_TIMEOUT, read=level, **keywords)
        cluster.row_factory, cluster.types = rows, types
        if not check_flag(lazy, "lazy"):
            cluster.meet()
        return cluster
    url.check_alone(retry, login, tls, ca, certificate, key)
    keywords = {"autocommit": check_flag(autocommit, "autocommit"), "bookmark": mark}
    return _embedded(place, seconds, url.default_read(read), rows, types, **keywords)


def _embedded(
    place: Any, seconds: float | None, read: str, rows: Any, types: "Types | None", **keywords: Any
) -> "EmbeddedConnection":
    from quorate.client.url import DEFAULT_TIMEOUT
    from quorate.runtime.embedded.connection import Connection as Embedded

    wait = seconds or DEFAULT_TIMEOUT
    embedded = Embedded(place, timeout=wait, read=read, ends=seconds, **keywords)
    embedded.row_factory, embedded.types = rows, types
    return embedded


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _LATER:
        raise AttributeError(f"module 'quorate' has no attribute {name!r}")
    module, _, attribute = _LATER[name].partition(":")
    found: Any = getattr(import_module(module), attribute or name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
