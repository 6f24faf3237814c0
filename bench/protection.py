"""`python -m bench.protection`: what TLS costs, and how many can log in. All in one run, in turns, so that the ratios
hold on a machine that does other things as well."""

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click

from quorate import aio
from quorate.runtime.cluster import LocalCluster

CLIENTS = (1, 64, 256)
TIMEOUT_S = 60.0
PASSWORD = "a password of twenty letters"
UPDATE, READ = "UPDATE t SET v = v + 1 WHERE id = ?", "SELECT v FROM t WHERE id = ?"


async def _rate(url: str, clients: int, sql: str, seconds: float) -> float:
    """Statements a second, of so many connections that each ask one after the other."""
    count = 0

    async def one(number: int, until: list[float]) -> None:
        nonlocal count
        async with AsyncExitStack() as held:
            async with few:
                db: Any = await held.enter_async_context(aio.connect(url, timeout=TIMEOUT_S))
                await db.execute(READ, (number,))
            connected.append(number)
            if len(connected) == clients:
                until[0] = time.monotonic() + seconds
                start.set()
            await start.wait()
            while time.monotonic() < until[0]:
                await db.execute(sql, (number,))
                count += 1

    connected: list[int] = []
    start, until, few = asyncio.Event(), [0.0], asyncio.Semaphore(8)
    async with asyncio.TaskGroup() as tasks:
        for number in range(clients):
            tasks.create_task(one(number, until))
    return count / seconds


async def _logins(url: str, seconds: float) -> float:
    """Connections with a password a second, one after the other, of one program."""
    count, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        async with aio.connect(url, timeout=TIMEOUT_S, user="ann", password=PASSWORD) as db:
            await db.execute(READ, (0,))
        count += 1
    return count / seconds


async def _fill(url: str) -> None:
    async with aio.connect(url, timeout=TIMEOUT_S) as db:
        await db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER)")
        await db.executemany("INSERT INTO t VALUES (?, 0)", [(number,) for number in range(max(CLIENTS))])


async def _first_user(url: str) -> None:
    async with aio.Cluster(url, timeout=TIMEOUT_S) as cluster:
        await cluster.users.create("ann", PASSWORD, admin=True)


async def _measure(places: dict[str, str], seconds: float, rounds: int) -> None:
    for url in places.values():
        await _fill(url)
    for what, sql in (("updates", UPDATE), ("reads", READ)):
        for clients in CLIENTS:
            found: dict[str, list[float]] = {name: [] for name in places}
            for _ in range(rounds):
                for name, url in places.items():
                    found[name].append(await _rate(url, clients, sql, seconds))
            off, on = (sorted(rates)[rounds // 2] for rates in found.values())
            click.echo(f"{what:8} {clients:4} clients: {off:8.0f}/s off {on:8.0f}/s on   ratio {on / off:.2f}")
    for name, url in places.items():
        await _first_user(url.rpartition("/")[0] + ("?" + url.partition("?")[2] if "?" in url else ""))
        click.echo(f"logins, TLS {name}: {await _logins(url, seconds):.0f}/s")


@click.command()
@click.option("--seconds", type=float, default=2.0, show_default=True, help="How long one round measures.")
@click.option("--rounds", type=int, default=3, show_default=True, help="How many, in turns; the middle one counts.")
def main(seconds: float, rounds: int) -> None:
    """Updates and reads with TLS off and on, at 1, 64 and 256 clients, on three nodes; then logins."""
    with tempfile.TemporaryDirectory() as folder:
        off = LocalCluster.start(3, Path(folder) / "off")
        on = LocalCluster.start(3, Path(folder) / "on", tls=True)
        with off, on:
            asyncio.run(_measure({"off": off.url_to("main"), "on": on.url_to("main")}, seconds, rounds))


if __name__ == "__main__":
    main()
