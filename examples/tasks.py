"""One connection, many asyncio tasks: `python examples/tasks.py URL`."""

import asyncio
import sys

import quorate.aio


async def main(url: str) -> None:
    async with quorate.aio.connect(url, timeout=10.0) as db:
        await db.execute("CREATE TABLE IF NOT EXISTS measured(sensor INTEGER, value REAL)")
        writes = (db.execute("INSERT INTO measured VALUES (?, ?)", (n, n / 10)) for n in range(50))
        await asyncio.gather(*writes)  # they share batches: far fewer than 50 fsyncs
        cursor = await db.execute("SELECT count(*) FROM measured", read="leader")
        print(cursor.fetchone())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
