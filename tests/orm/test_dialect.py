"""`sqlite+quorate://` on folders and in memory: what SQLAlchemy's own suite does not ask."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, create_engine, event, exc, inspect, select
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

import quorate
from quorate import errors
from quorate.core.bookmarks import Bookmark
from quorate.sqlalchemy import run_transaction, run_transaction_async
from quorate.sqlalchemy.dialect import AsyncQuorate, Quorate, check_replication
from quorate.sqlalchemy.driver import Connection, Seen
from quorate.sqlalchemy.urls import keywords_of, target_of

metadata = MetaData()
item = Table("item", metadata, Column("id", Integer, primary_key=True), Column("name", String))


class Base(DeclarativeBase):
    pass


class Stock(Base):
    __tablename__ = "stock"
    sku: Mapped[str] = mapped_column(primary_key=True)
    n: Mapped[int]


@pytest.fixture(params=["folder", "memory"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(
        f"sqlite+quorate:///{tmp_path / 'shop'}" if request.param == "folder" else "sqlite+quorate://"
    )
    metadata.create_all(engine)
    yield engine
    engine.dispose()


def names(engine: Engine, **options: Any) -> list[str]:
    with engine.connect().execution_options(**options) as connection:
        return list(connection.execute(select(item.c.name).order_by(item.c.id)).scalars())


# ---------------------------------------------------------------------- URLs


@pytest.mark.parametrize(
    ("url", "target", "keywords"),
    [
        ("sqlite+quorate://", ":memory:", {}),
        ("sqlite+quorate:///:memory:", ":memory:", {}),
        ("sqlite+quorate:///./shop?timeout=3", "./shop", {"timeout": 3.0}),
        ("sqlite+quorate:////srv/shop", "/srv/shop", {}),
        ("sqlite+quorate://a:7/shop?host=b:8&host=c", "quorate://a:7,b:8,c/shop", {}),
        ("sqlite+quorate:///shop?host=a&host=b", "quorate://a,b/shop", {}),
        ("sqlite+quorate://[::1]:7654/shop", "quorate://[::1]:7654/shop", {}),
        (
            "sqlite+quorate://ann:p%40w@a/shop?tls=off&read=session&retry=always",
            "quorate://a/shop?tls=off&read=session",
            {"user": "ann", "password": "p@w", "retry": "always"},
        ),
    ],
)
def test_a_url_says_where(url: str, target: str, keywords: dict[str, Any]) -> None:
    assert target_of(make_url(url)) == target
    assert keywords_of(make_url(url)) == keywords


def test_a_wrong_url_says_what_is_wrong() -> None:
    with pytest.raises(exc.ArgumentError, match="did you mean 'timeout'"):
        keywords_of(make_url("sqlite+quorate:///./shop?timout=3"))
    with pytest.raises(exc.ArgumentError, match="no host"):
        target_of(make_url("sqlite+quorate://ann@/shop"))


def test_both_kinds_of_engine_take_both_names() -> None:
    assert type(create_engine("sqlite+quorate://").dialect) is Quorate
    for name in ("quorate", "aioquorate"):
        dialect = create_async_engine(f"sqlite+{name}://").dialect
        assert type(dialect) is AsyncQuorate
        assert dialect.name == "sqlite"


# ---------------------------------------------------------------------- transactions


def test_statements_are_one_transaction_until_commit(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(item.insert().values(name="mug"))
        connection.rollback()
        connection.execute(item.insert().values(name="jug"))
        connection.commit()
        connection.execute(item.insert().values(name="cup"))
    assert names(engine) == ["jug"]


def test_savepoints_are_undone_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(item.insert().values(name="mug"))
        with connection.begin_nested() as nested:
            connection.execute(item.insert().values(name="jug"))
            nested.rollback()
    assert names(engine) == ["mug"]


def test_autocommit_commits_each_statement_and_ends_with_the_checkout(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        assert connection.get_isolation_level() == "AUTOCOMMIT"
        connection.execute(item.insert().values(name="mug"))
        connection.rollback()
    with engine.connect() as connection:
        assert connection.get_isolation_level() == "SERIALIZABLE"
    assert names(engine) == ["mug"]


def test_read_uncommitted_is_refused_by_name(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(exc.ArgumentError, match="'READ UNCOMMITTED'"):
        connection.execution_options(isolation_level="READ UNCOMMITTED")


def test_read_only_refuses_writes_until_the_connection_goes_back(engine: Engine) -> None:
    with (
        engine.connect().execution_options(quorate_read_only=True) as connection,
        pytest.raises(exc.ProgrammingError, match="only reads"),
    ):
        connection.execute(item.insert().values(name="mug"))
    with engine.begin() as connection:
        connection.execute(item.insert().values(name="mug"))
    assert names(engine, quorate_read_only=True) == ["mug"]


def test_an_immediate_transaction_has_the_writer(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite+quorate:///{tmp_path / 'shop'}?timeout=0.05")
    metadata.create_all(engine)
    with engine.connect().execution_options(quorate_begin="immediate") as first:
        first.execute(select(item))
        with engine.connect() as second, pytest.raises(exc.ProgrammingError, match="this thread has a transaction"):
            second.execute(item.insert().values(name="jug"))
    with pytest.raises(exc.ArgumentError, match="deferred, immediate"), engine.connect() as connection:
        connection.execution_options(quorate_begin="now")
    engine.dispose()


def test_who_has_read_what_others_changed_is_told_to_begin_anew(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite+quorate:///{tmp_path / 'shop'}")
    metadata.create_all(engine)
    with engine.connect() as reader:
        reader.execute(select(item)).all()
        with engine.begin() as writer:
            writer.execute(item.insert().values(name="mug"))
        with pytest.raises(exc.OperationalError) as failed:
            reader.execute(item.insert().values(name="jug"))
    assert isinstance(failed.value.orig, quorate.SerializationFailure)
    engine.dispose()


def test_run_transaction_runs_again_what_others_were_faster_than(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite+quorate:///{tmp_path / 'shop'}")
    Base.metadata.create_all(engine)
    factory = sessionmaker(engine)
    with factory.begin() as session:
        session.add(Stock(sku="mug", n=9))
    tries: list[int] = []

    def buy(session: Session) -> int:
        stock = session.get_one(Stock, "mug")
        tries.append(stock.n)
        if len(tries) == 1:  # another is faster
            with factory.begin() as other:
                other.get_one(Stock, "mug").n = 5
        stock.n -= 1
        session.flush()
        return stock.n

    assert run_transaction(factory, buy) == 4
    assert tries == [9, 5]
    tries.clear()
    with pytest.raises(exc.OperationalError, match="others have written"):
        run_transaction(factory, buy, retries=0)
    with pytest.raises(ZeroDivisionError):
        run_transaction(factory, lambda session: 1 // 0)
    engine.dispose()


def test_the_session_of_asyncio_does_the_same(tmp_path: Path) -> None:
    async def main() -> list[str]:
        engine = create_async_engine(f"sqlite+quorate:///{tmp_path / 'shop'}")
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        factory = async_sessionmaker(engine)

        async def fill(session: Any) -> str:
            session.add(Stock(sku="mug", n=9))
            await session.flush()
            return "filled"

        assert await run_transaction_async(factory, fill) == "filled"
        async with factory() as session:  # a transaction that one task begins and others go on with
            first = await asyncio.wait_for(session.scalars(select(Stock.sku)), 5)
            await asyncio.wait_for(session.rollback(), 5)
        await engine.dispose()
        return list(first)

    assert asyncio.run(main()) == ["mug"]


# ---------------------------------------------------------------------- pools


def test_threads_share_a_database_in_memory() -> None:
    engine = create_engine("sqlite+quorate://")
    metadata.create_all(engine)
    found: list[list[str]] = []

    def work(name: str) -> None:
        with engine.begin() as connection:
            connection.execute(item.insert().values(name=name))
        found.append(names(engine))

    for name in ("mug", "jug"):
        thread = threading.Thread(target=work, args=(name,))
        thread.start()
        thread.join()
    assert found == [["mug"], ["mug", "jug"]]
    assert inspect(create_engine("sqlite+quorate://")).get_table_names() == []  # another engine has its own
    engine.dispose()


def test_a_closed_connection_is_replaced(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.connection.driver_connection.close()  # type: ignore[union-attr]
    with engine.connect() as connection:
        connection.connection.driver_connection.close()  # type: ignore[union-attr]
        with pytest.raises(exc.InterfaceError) as failed:
            connection.execute(select(item))
    assert failed.value.connection_invalidated
    assert names(engine) == []


# ---------------------------------------------------------------------- schemas


def test_keys_are_never_given_twice(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(item.insert(), [{"name": "mug"}, {"name": "jug"}])
        connection.execute(item.delete().where(item.c.id == 2))
        assert connection.execute(item.insert().values(name="cup")).inserted_primary_key == (3,)


@pytest.mark.parametrize(
    ("keys", "options", "numbered"),
    [
        ([Integer], {}, True),
        ([Integer], {"sqlite_autoincrement": False}, False),
        ([Integer], {"sqlite_with_rowid": False}, False),
        ([String], {}, False),
        ([Integer, Integer], {}, False),
    ],
)
def test_only_numbered_keys_are_autoincrement(keys: list[Any], options: Any, numbered: bool) -> None:
    engine = create_engine("sqlite+quorate://")
    tables = MetaData(naming_convention={"pk": "pk_%(table_name)s"})
    columns = [Column(f"key{place}", kind, primary_key=True) for place, kind in enumerate(keys)]
    Table("thing", tables, *columns, **options)
    tables.create_all(engine)
    with engine.connect() as connection:
        sql = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'thing'").scalar_one()
    assert ("AUTOINCREMENT" in sql) is numbered
    assert inspect(engine).get_pk_constraint("thing")["name"] == "pk_thing"
    engine.dispose()


def test_the_replicas_own_tables_are_not_reflected(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(item.insert().values(name="mug"))
    found = MetaData()
    found.reflect(engine)
    assert set(found.tables) == {"item"}


def test_regular_expressions_match_in_a_folder(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(item.insert(), [{"name": "mug"}, {"name": "jug"}])
    with engine.connect() as connection:
        assert connection.execute(select(item.c.name).where(item.c.name.regexp_match("^m"))).all() == [("mug",)]


# ---------------------------------------------------------------------- what is refused


def test_a_leaderless_database_is_refused_with_the_reason() -> None:
    for good in ("single-leader", "multi-leader"):
        check_replication(good)
    with pytest.raises(errors.NotSupportedError, match=r"leaderless.*no transactions"):
        check_replication("leaderless")


def test_it_is_asked_for_when_a_cluster_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    class Found:
        closed = 0
        read = "linearizable"

        def replication(self) -> str:
            return "leaderless"

        def close(self) -> None:
            self.closed += 1

    found = Found()
    monkeypatch.setattr("quorate.sqlalchemy.dialect.quorate.connect", lambda *_, **__: found)
    with pytest.raises(exc.NotSupportedError, match="leaderless"):
        create_engine("sqlite+quorate://a/shop").connect()
    assert found.closed == 1


def test_what_one_connection_has_seen_another_waits_for() -> None:
    """A bookmark travels through the engine to reads of a session, and is forgotten when it is lost."""

    class Inner:
        read, autocommit, in_transaction, lost = "session", False, False, False
        shown: Bookmark | None = Bookmark()

        def __init__(self, bookmark: Bookmark) -> None:
            self.bookmark: Bookmark | None = bookmark

        def execute(self, sql: str, parameters: Any = ()) -> Any:
            self.shown = self.bookmark
            if self.lost:
                raise quorate.BookmarkLost("gone")
            return quorate.connect(":memory:").execute("SELECT 1")

        def commit(self) -> None: ...

    place = Bookmark.parse(str(_bookmark()))
    seen = Seen()
    writer, reader = Inner(place), Inner(Bookmark())
    Connection(writer, lambda found: found, seen, cluster=True).commit()
    adapted = Connection(reader, lambda found: found, seen, cluster=True)
    adapted.execute("SELECT 1")
    assert reader.shown == place
    reader.lost = True
    with pytest.raises(quorate.BookmarkLost):
        adapted.execute("SELECT 1")
    assert not seen.at
    assert reader.bookmark is None


def _bookmark() -> Bookmark:
    with quorate.connect(":memory:") as db:
        db.execute("CREATE TABLE t(x)")
        return db.bookmark


def test_events_of_the_pool_see_quorates_own_connection(engine: Engine) -> None:
    seen: list[Any] = []
    event.listen(engine, "checkout", lambda dbapi, record, proxy: seen.append(record.driver_connection))
    names(engine)
    assert isinstance(seen[0], quorate.EmbeddedConnection)


def test_foreign_keys_are_on(engine: Engine) -> None:
    tables = MetaData()
    Table("parent", tables, Column("id", Integer, primary_key=True))
    child = Table("child", tables, Column("parent", ForeignKey("parent.id")))
    tables.create_all(engine)
    with pytest.raises(exc.IntegrityError), engine.begin() as connection:
        connection.execute(child.insert().values(parent=1))
