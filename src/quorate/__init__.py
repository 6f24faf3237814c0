"""Quorate: SQLite that survives a dead machine.

`connect` opens a database: in a folder, in memory, or on a cluster. `Cluster` speaks of the cluster itself. The
same for asyncio is in `quorate.aio`. What is imported from here is public; other modules may change.
"""

from typing import TYPE_CHECKING, Any

from quorate.errors import (
    AlreadyMember,
    AlreadyOpen,
    AuthenticationError,
    BookmarkLost,
    Cancelled,
    ChangeUnderWay,
    DatabaseError,
    DatabaseExists,
    DataDamaged,
    DataError,
    DiskFull,
    Error,
    Expired,
    IntegrityError,
    InterfaceError,
    InternalError,
    LastVoter,
    MaybeDone,
    NodeRemoved,
    NoMajority,
    NotSupportedError,
    OperationalError,
    Overloaded,
    PermissionDenied,
    ProgrammingError,
    SerializationFailure,
    SnapshotExpired,
    StatementTimeout,
    TokenReused,
    TooLarge,
    Unavailable,
    UnknownDatabase,
    UnknownNode,
    UnknownUser,
    UserExists,
    Warning,  # noqa: A004 - the name PEP 249 asks for
)

if TYPE_CHECKING:
    import os

    from quorate.client._sync.cluster import Cluster as Cluster
    from quorate.client._sync.connection import Connection as ClusterConnection
    from quorate.client.credentials import Secret
    from quorate.client.interface import Connection
    from quorate.client.membership import MemberInfo
    from quorate.client.pieces import DatabaseInfo
    from quorate.client.rows import Row, dict_row, namedtuple_row
    from quorate.client.types import PYTHON_TYPES, Types
    from quorate.client.values import (
        BINARY,
        DATETIME,
        NUMBER,
        ROWID,
        STRING,
        Binary,
        Date,
        DateFromTicks,
        Time,
        TimeFromTicks,
        Timestamp,
        TimestampFromTicks,
    )
    from quorate.core.bookmarks import Bookmark
    from quorate.core.requests import FailoverReport, StatusReport
    from quorate.core.verdicts import ReplicaVerdict, VerifyReport
    from quorate.runtime.embedded.connection import Connection as EmbeddedConnection

    __version__: str
    """Of the release."""

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "PYTHON_TYPES",
    "ROWID",
    "STRING",
    "AlreadyMember",
    "AlreadyOpen",
    "AuthenticationError",
    "Binary",
    "Bookmark",
    "BookmarkLost",
    "Cancelled",
    "ChangeUnderWay",
    "Cluster",
    "ClusterConnection",
    "Connection",
    "DataDamaged",
    "DataError",
    "DatabaseError",
    "DatabaseExists",
    "DatabaseInfo",
    "Date",
    "DateFromTicks",
    "DiskFull",
    "EmbeddedConnection",
    "Error",
    "Expired",
    "FailoverReport",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "LastVoter",
    "MaybeDone",
    "MemberInfo",
    "NoMajority",
    "NodeRemoved",
    "NotSupportedError",
    "OperationalError",
    "Overloaded",
    "PermissionDenied",
    "ProgrammingError",
    "ReplicaVerdict",
    "Row",
    "SerializationFailure",
    "SnapshotExpired",
    "StatementTimeout",
    "StatusReport",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "TokenReused",
    "TooLarge",
    "Types",
    "Unavailable",
    "UnknownDatabase",
    "UnknownNode",
    "UnknownUser",
    "UserExists",
    "VerifyReport",
    "Warning",
    "apilevel",
    "connect",
    "dict_row",
    "namedtuple_row",
    "paramstyle",
    "threadsafety",
]

apilevel = "2.0"
threadsafety = 2
"""Threads may share the module and connections."""
paramstyle = "qmark"
"""A dict of parameters binds `:name`."""

_LATER = {
    "__version__": ("quorate.core.formats", "RELEASE"),
    "Bookmark": ("quorate.core.bookmarks", "Bookmark"),
    "Connection": ("quorate.client.interface", "Connection"),
    "EmbeddedConnection": ("quorate.runtime.embedded.connection", "Connection"),
    "ClusterConnection": ("quorate.client._sync.connection", "Connection"),
    "Cluster": ("quorate.client._sync.cluster", "Cluster"),
    "PYTHON_TYPES": ("quorate.client.types", "PYTHON_TYPES"),
    "Types": ("quorate.client.types", "Types"),
    "Row": ("quorate.client.rows", "Row"),
    "dict_row": ("quorate.client.rows", "dict_row"),
    "namedtuple_row": ("quorate.client.rows", "namedtuple_row"),
    "MemberInfo": ("quorate.client.membership", "MemberInfo"),
    "DatabaseInfo": ("quorate.client.pieces", "DatabaseInfo"),
    "StatusReport": ("quorate.core.requests", "StatusReport"),
    "FailoverReport": ("quorate.core.requests", "FailoverReport"),
    "VerifyReport": ("quorate.core.verdicts", "VerifyReport"),
    "ReplicaVerdict": ("quorate.core.verdicts", "ReplicaVerdict"),
    **{
        name: ("quorate.client.values", name)
        for name in (
            "BINARY",
            "DATETIME",
            "NUMBER",
            "ROWID",
            "STRING",
            "Binary",
            "Date",
            "DateFromTicks",
            "Time",
            "TimeFromTicks",
            "Timestamp",
            "TimestampFromTicks",
        )
    },
}
"""What is imported when it is first used: a program that only wants one of the two kinds pays for one."""


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
    module, attribute = _LATER[name]
    found: Any = getattr(import_module(module), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
