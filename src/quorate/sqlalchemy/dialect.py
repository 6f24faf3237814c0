"""`sqlite+quorate://`: SQLAlchemy's SQLite dialect on Quorate's connections, for threads and for asyncio.

The dialect's name stays `sqlite`, so that what treats SQLite apart (`@compiles`, Alembic, SQLModel) goes on to.
"""

import itertools
import re
import threading
from importlib.metadata import version
from typing import Any, ClassVar, cast
from urllib.parse import quote, urlencode

import sqlalchemy
from sqlalchemy import exc, pool, util
from sqlalchemy.dialects.sqlite import base
from sqlalchemy.engine.characteristics import ConnectionCharacteristic
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.engine.url import URL

import quorate
from quorate import aio, errors
from quorate.client.checks import check_flag
from quorate.client.transactions import DEFERRED, check_begin
from quorate.client.url import DEFAULT_TIMEOUT, MEMORY, MemoryTarget, check_read_level, check_timeout, nearest
from quorate.core.formats import RELEASE
from quorate.runtime.embedded.connection import Connection as Embedded
from quorate.runtime.tasks.connection import Connection as Tasks
from quorate.sqlalchemy.driver import Connection, Seen

SERIALIZABLE, AUTOCOMMIT = "SERIALIZABLE", "AUTOCOMMIT"
SERVED = ("single-leader", "multi-leader")
"""Replications whose databases have transactions, constraints and numbered keys, as an ORM needs them."""

_KEYWORDS = {"retry": str, "read_your_writes": str, "token": str}
"""Arguments of `quorate.connect` that may stand in the URL and are no part of a cluster's."""
_ALONE = {"timeout": float, "read": str}
"""What may stand in the URL of a folder."""
_GONE = re.compile("connection (is closed|was opened before a fork)")
_memories = itertools.count(1)


class Module:
    """What SQLAlchemy takes for the driver's module."""

    paramstyle = "qmark"
    apilevel, threadsafety = quorate.apilevel, quorate.threadsafety
    sqlite_version_info = tuple(int(part) for part in version("apsw").split(".")[:3])
    """Of the SQLite that is in the driver here; a cluster's nodes may have a later one."""
    version = RELEASE
    Binary = bytes


for _name in errors.__dict__:
    if isinstance(getattr(errors, _name), type):
        setattr(Module, _name, getattr(errors, _name))


class _Option(ConnectionCharacteristic):
    """An execution option that is kept on the connection until it goes back to the pool."""

    transactional: ClassVar[bool] = True
    name = ""

    def reset_characteristic(self, dialect: Any, dbapi_conn: Any) -> None:
        setattr(dbapi_conn, self.name, self.usual())

    def set_characteristic(self, dialect: Any, dbapi_conn: Any, value: Any) -> None:
        try:
            setattr(dbapi_conn, self.name, self.check(value))
        except errors.ProgrammingError as error:
            raise exc.ArgumentError(str(error)) from error

    def get_characteristic(self, dialect: Any, dbapi_conn: Any) -> Any:
        return getattr(dbapi_conn, self.name)

    def usual(self) -> Any:
        return None

    def check(self, value: Any) -> Any:
        raise NotImplementedError


class _Begin(_Option):
    name = "begin"

    def usual(self) -> Any:
        return DEFERRED

    def check(self, value: Any) -> Any:
        return check_begin(value)


class _ReadOnly(_Option):
    name = "read_only"

    def usual(self) -> Any:
        return False

    def check(self, value: Any) -> Any:
        return check_flag(value, "quorate_read_only")


class _Read(_Option):
    name = "read"

    def check(self, value: Any) -> Any:
        return None if value is None else check_read_level(value)


class Schemas(base.SQLiteDDLCompiler):
    """Numbered keys are AUTOINCREMENT unless a table says otherwise, so that no number is given twice, also not after
    its row was deleted."""

    def get_column_specification(self, column: Any, **kwargs: Any) -> str:
        text: str = super().get_column_specification(column, **kwargs)
        if not _is_numbered(column):
            return text
        name = column.table.primary_key.name
        named = self.preparer.format_constraint(column.table.primary_key) if name is not None else None
        return text + (f" CONSTRAINT {named}" if named else "") + " PRIMARY KEY AUTOINCREMENT"

    def visit_primary_key_constraint(self, constraint: Any, **kw: Any) -> str:
        if len(constraint.columns) == 1 and _is_numbered(next(iter(constraint))):
            return cast("str", None)  # it stands with its column; SQLAlchemy leaves out what is None
        return cast("str", super().visit_primary_key_constraint(constraint, **kw))


def _is_numbered(column: Any) -> bool:
    table = column.table
    return (
        column is table._autoincrement_column
        and "sqlite_autoincrement" not in list(table.dialect_kwargs)  # which answers `in` with defaults, too
        and table.dialect_options["sqlite"]["with_rowid"]
        and not column.foreign_keys
        and column.computed is None
        and type(column.type) in (sqlalchemy.Integer, sqlalchemy.INTEGER)
        and column.dialect_options["sqlite"]["on_conflict_primary_key"] is None
        and table.primary_key.dialect_options["sqlite"]["on_conflict"] is None
    )


class Quorate(base.SQLiteDialect):
    """For threads."""

    driver = "quorate"
    supports_statement_cache = True
    default_paramstyle = "qmark"
    returns_native_bytes = True
    supports_sane_rowcount_returning = True
    ddl_compiler = Schemas
    _isolation_lookup: Any = util.immutabledict({SERIALIZABLE: None, AUTOCOMMIT: None})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.connection_characteristics = self.connection_characteristics.union(
            {"quorate_begin": _Begin(), "quorate_read_only": _ReadOnly(), "quorate_read": _Read()}
        )
        self._seen = Seen()
        self._memory = f"sqlalchemy-{next(_memories)}"
        self._keeper: Embedded | None = None
        """Keeps a database in memory there as long as the engine."""
        self._guard = threading.Lock()
        self._checked = False
        """The cluster's database has been found to be one that an ORM can use."""

    # ------------------------------------------------------------------ what SQLAlchemy asks of a driver

    @classmethod
    def import_dbapi(cls) -> Any:
        return Module

    @classmethod
    def get_async_dialect_cls(cls, url: URL) -> Any:
        return AsyncQuorate

    @classmethod
    def _is_url_file_db(cls, url: URL) -> bool:
        return not is_memory(url)

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:
        return pool.SingletonThreadPool if is_memory(url) else pool.QueuePool

    def retrieve_dbapi_version(self, dbapi: Any) -> Any:
        return getattr(util, "VersionInfo", tuple)(tuple(int(part) for part in dbapi.version.split(".")))

    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:
        return Module.sqlite_version_info

    def create_connect_args(self, url: URL) -> Any:
        return [target_of(url)], keywords_of(url)

    def connect(self, *cargs: Any, **cparams: Any) -> Any:
        target, *rest = cargs
        cparams.setdefault("autocommit", False)
        if target == MEMORY:
            return self._adapted(self._in_memory(**cparams), cluster=False)
        inner: Any = quorate.connect(target, *rest, **cparams)
        if isinstance(inner, Embedded):
            return self._adapted(define_functions(inner), cluster=False)
        if not self._checked:
            try:
                check_replication(inner.replication())
            except BaseException:
                inner.close()
                raise
            self._checked = True
        return self._adapted(inner, cluster=True)

    def _adapted(self, inner: Any, *, cluster: bool) -> Connection:
        return Connection(inner, lambda found: found, self._seen, cluster=cluster)

    def _in_memory(self, timeout: float | None = None, read: str | None = None, *, autocommit: bool) -> Embedded:
        """One more connection to this engine's database in memory."""
        with self._guard:
            if self._keeper is None:
                self._keeper = self._memory_connection(None, read, autocommit=True)
            self._keeper.node.usable()  # raises in a forked child: what is in memory is the parent's
            return define_functions(self._memory_connection(timeout, read, autocommit=autocommit))

    def _memory_connection(self, timeout: float | None, read: str | None, *, autocommit: bool) -> Embedded:
        return Embedded(MemoryTarget(shared=self._memory), **_options(timeout, read), autocommit=autocommit)

    def get_driver_connection(self, connection: DBAPIConnection) -> Any:
        return cast("Any", connection).inner

    def do_ping(self, dbapi_connection: Any) -> bool:
        dbapi_connection.ping()
        return True

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        return isinstance(e, errors.InterfaceError) and _GONE.search(str(e)) is not None

    # ------------------------------------------------------------------ isolation

    def get_isolation_level_values(self, dbapi_conn: Any) -> list[Any]:
        return [SERIALIZABLE, AUTOCOMMIT]

    def get_default_isolation_level(self, dbapi_conn: Any) -> Any:
        return self.get_isolation_level(dbapi_conn)

    def set_isolation_level(self, dbapi_connection: Any, level: Any) -> None:
        dbapi_connection.autocommit = level == AUTOCOMMIT

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        return AUTOCOMMIT if dbapi_connection.autocommit else SERIALIZABLE

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:
        return bool(dbapi_conn.autocommit)


class AsyncQuorate(Quorate):
    """For asyncio."""

    driver = "aioquorate"
    supports_statement_cache = True
    is_async = True
    has_terminate = True

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:
        return pool.AsyncAdaptedQueuePool

    def connect(self, *cargs: Any, **cparams: Any) -> Any:
        target, *rest = cargs
        cparams.setdefault("autocommit", False)
        if target == MEMORY:
            inner = util.await_only(self._tasks_in_memory(**cparams))
            return self._adapted(inner, cluster=False)
        inner = util.await_only(self._opened(aio.connect(target, *rest, **cparams)))
        return self._adapted(inner, cluster=not isinstance(inner, Tasks))

    async def _opened(self, connection: Any) -> Any:
        """The connection, when it has met somebody."""
        inner = await connection
        if isinstance(inner, Tasks):
            await inner.call(define_functions)
        elif not self._checked:
            try:
                check_replication(await inner.replication())
            except BaseException:
                await inner.close()
                raise
            self._checked = True
        return inner

    def _adapted(self, inner: Any, *, cluster: bool) -> Connection:
        def wait(found: Any) -> Any:
            inner.take_over()  # SQLAlchemy closes connections in tasks of their own, and lends each to one user
            return util.await_only(found)

        return Connection(inner, wait, self._seen, cluster=cluster)

    async def _tasks_in_memory(
        self,
        timeout: float | None = None,  # noqa: ASYNC109
        read: str | None = None,
        *,
        autocommit: bool,
    ) -> Tasks:
        with self._guard:
            if self._keeper is None:
                self._keeper = self._memory_connection(None, read, autocommit=True)
            self._keeper.node.usable()
        inner = Tasks(MemoryTarget(shared=self._memory), **_options(timeout, read), autocommit=autocommit)
        await inner.call(define_functions)
        return inner

    def do_terminate(self, dbapi_connection: Any) -> None:
        if util.concurrency.in_greenlet():
            dbapi_connection.close()


def _options(timeout: float | None, read: str | None) -> dict[str, Any]:
    ends = None if timeout is None else check_timeout(timeout)
    return {"timeout": ends or DEFAULT_TIMEOUT, "read": check_read_level(read or "linearizable"), "ends": ends}


def check_replication(replication: str) -> None:
    """Raises NotSupportedError for one without transactions."""
    if replication not in SERVED:
        raise errors.NotSupportedError(
            f"this database is {replication}: it has no transactions, no constraints across rows and no numbered keys,"
            " and an ORM relies on them",
            hint=f"create one that is {' or '.join(SERVED)}",
        )


def define_functions(inner: Embedded) -> Embedded:
    """What SQLAlchemy's `regexp_match` needs, once in each node of this process."""
    if not inner.has_function("regexp"):
        inner.create_function("regexp", 2, _regexp, deterministic=True)
    return inner


def _regexp(pattern: str, text: str | None) -> bool | None:
    return None if text is None else re.search(pattern, text) is not None


# ---------------------------------------------------------------------- URLs


def is_memory(url: URL) -> bool:
    """Whether it is the URL of a database in memory."""
    return not url.host and not url.query.get("host") and url.database in (None, "", MEMORY)


def target_of(url: URL) -> str:
    """What `quorate.connect` is pointed at. Raises ArgumentError."""
    hosts = _hosts(url)
    if not hosts:
        if url.username or url.password or url.port:
            raise exc.ArgumentError(
                f"{url!r} has a user or a port and no host: sqlite+quorate://HOST:PORT/DATABASE leads to a cluster,"
                " sqlite+quorate:///FOLDER to a folder"
            )
        return MEMORY if is_memory(url) else str(url.database)
    options = {name: value for name, value in url.query.items() if name != "host" and name not in _KEYWORDS}
    query = urlencode(options, doseq=True)
    return f"quorate://{','.join(hosts)}/{quote(url.database or '', safe='')}" + (f"?{query}" if query else "")


def keywords_of(url: URL) -> dict[str, Any]:
    """What `quorate.connect` is told beside that. Raises ArgumentError."""
    cluster = bool(_hosts(url))
    known = _KEYWORDS if cluster else _ALONE
    given = {name: value for name, value in url.query.items() if name in known}
    unknown = sorted(set(url.query) - set(given))
    if unknown and not cluster:
        raise exc.ArgumentError(
            f"unknown option {unknown[0]!r} in the URL of a folder: {nearest(unknown[0], tuple(known))}"
        )
    try:
        found: dict[str, Any] = {name: known[name](value) for name, value in given.items()}
    except (TypeError, ValueError) as error:
        raise exc.ArgumentError(f"an option of {url!r} cannot be read: {error}") from error
    if url.username is not None:
        found["user"] = url.username
    if url.password is not None:
        found["password"] = str(url.password)
    return found


def _hosts(url: URL) -> list[str]:
    """Each `host` or `host:port`, as they stand in the URL."""
    more = url.query.get("host", ())
    first = [] if not url.host else [_host(url.host) + (f":{url.port}" if url.port else "")]
    return [*first, *((more,) if isinstance(more, str) else more)]


def _host(name: str) -> str:
    return f"[{name}]" if ":" in name else name
