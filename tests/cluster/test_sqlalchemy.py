"""SQLAlchemy on three nodes: threads and asyncio, reads of a session, and a leader that dies."""

import asyncio

from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, select
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import sessionmaker
from tests.cluster.conftest import Started

from quorate.sqlalchemy import run_transaction

metadata = MetaData()
item = Table("item", metadata, Column("id", Integer, primary_key=True), Column("name", String))


def test_an_engine_goes_on_when_the_leader_dies(start: Started) -> None:
    cluster = start(3)
    url = f"sqlite+quorate:///main?{'&'.join(f'host={each}' for each in cluster.addresses)}&timeout=30"
    engine = create_engine(url)
    metadata.create_all(engine)
    with engine.begin() as connection:
        assert connection.execute(item.insert().values(name="mug")).inserted_primary_key == (1,)
    leader = cluster.leader()
    assert leader is not None
    cluster.kill(leader)
    factory = sessionmaker(engine)
    assert run_transaction(factory, lambda session: session.execute(item.insert().values(name="jug")).rowcount) == 1
    with engine.connect().execution_options(quorate_read="session") as connection:
        assert connection.execute(select(item.c.name).order_by(item.c.id)).all() == [("mug",), ("jug",)]
    engine.dispose()

    async def main() -> int:
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.execute(item.insert().values(name="cup"))
        async with engine.connect() as connection:
            found = len((await connection.execute(select(item))).all())
        await engine.dispose()
        return found

    assert asyncio.run(main()) == 3
