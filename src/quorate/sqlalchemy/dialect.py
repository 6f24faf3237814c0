"""`sqlite+quorate://`: SQLAlchemy's SQLite dialect on Quorate's connections, for threads and for asyncio.

The dialect's name stays `sqlite`, so that what treats SQLite apart (`@compiles`, Alembic, SQLModel) goes on to.
"""

import itertools
import re
import threading
from importlib.metadata import version
from typing import Any, ClassVar, cast

from sqlalchemy import exc, pool, util
from sqlalchemy.dialects.sqlite import base
from sqlalchemy.engine.characteristics import ConnectionCharacteristic
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.engine.url import URL

import quorate
from quorate import aio, errors
from quorate.client.checks import check_flag
from quorate.client.transactions import DEFERRED, check_begin
from quorate.client.url import DEFAULT_TIMEOUT, MEMORY, MemoryTarget, check_read_level, check_timeout
from quorate.core.formats import RELEASE
from quorate.runtime.embedded.connection import Connection as Embedded
from quorate.runtime.tasks.connection import Connection as Tasks
from quorate.sqlalchemy.driver import Connection, Seen
from quorate.sqlalchemy.schemas import Schemas
from quorate.sqlalchemy.urls import is_memory, keywords_of, target_of

SERIALIZABLE, AUTOCOMMIT = "SERIALIZABLE", "AUTOCOMMIT"
SERVED = ("single-leader", "multi-leader")
"""Replications whose databases have transactions, constraints and numbered keys, as an ORM needs them."""

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
