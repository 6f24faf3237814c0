"""A load generator for interactive transactions through Python drivers: Quorate's own, and psycopg 3 for PostgreSQL.
The same program on both, on asyncio's own event loop, each client with a connection of its own.

Run as `python -m bench.load_transactions SPEC` with a JSON object; prints a JSON object with the fields of
`bench.load`'s, and `retries`.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

import quorate.aio
from bench import procs
from bench.loop import Tally, summary

DIFFERENT, ONE, INSERT, PAGE = "different rows", "one row", "insert, then its child", "a page of 20 SELECTs"
KINDS = (DIFFERENT, ONE, INSERT, PAGE)
POINTS = 18
"""Of the 20 SELECTs of a page; the others are an aggregate and one of `LISTED` rows."""
LISTED = 1_000
ENOUGH = 1_000
"""Retries. Whoever gives up earlier has measured something else."""


class Spec(msgspec.Struct, frozen=True):
    system: str
    url: str
    kind: str
    clients: int
    rows: int
    seconds: float
    warm_up: float
    watch: tuple[int, ...]
    sleeper: bool = False
    """One more client begins a transaction, reads and writes in it, and then does nothing."""
    begin: str = "deferred"
    seed: int = 1


class Running(Protocol):
    """A transaction that is open."""

    async def rows(self, sql: str, *values: Any) -> list[Any]: ...


Function = Callable[[Running], Awaitable[None]]


class Quorate:
    """A connection to a cluster. Parameters are written `?`."""

    mark = "?"
    locks = ""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._db: Any = quorate.aio.connect(spec.url, timeout=60.0)

    async def close(self) -> None:
        await self._db.close()

    async def run(self, function: Function) -> None:
        async def inner(tx: Any) -> None:
            await function(QuorateRunning(tx))

        await self._db.run_transaction(inner, retries=ENOUGH, begin=self._spec.begin)

    async def sleep(self, function: Function, woken: asyncio.Event) -> None:
        """Stay in one until somebody wakes it. Nothing is committed."""
        try:
            async with self._db.transaction() as tx:
                await function(QuorateRunning(tx))
                await woken.wait()
                raise _UndoneError
        except (_UndoneError, quorate.Error):
            return


class _UndoneError(Exception):
    pass


class QuorateRunning:
    def __init__(self, tx: Any) -> None:
        self._tx = tx

    async def rows(self, sql: str, *values: Any) -> list[Any]:
        cursor = await self._tx.execute(sql, values)
        return list(cursor.fetchall()) if cursor.description else []


class Psycopg:
    """A connection to PostgreSQL. Parameters are written `%s`; a row that others change too is locked when it is read,
    as PostgreSQL's default isolation asks for."""

    mark = "%s"
    locks = " FOR UPDATE"

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._db: Any = None

    async def close(self) -> None:
        if self._db is not None:
            await self._db.close()

    async def _connected(self) -> Any:
        if self._db is None:
            import psycopg

            self._db = await psycopg.AsyncConnection.connect(self._spec.url, autocommit=True)
        return self._db

    async def run(self, function: Function) -> None:
        db = await self._connected()
        async with db.transaction():
            await function(PsycopgRunning(db))

    async def sleep(self, function: Function, woken: asyncio.Event) -> None:
        db = await self._connected()
        async with db.transaction(force_rollback=True):
            await function(PsycopgRunning(db))
            await woken.wait()


class PsycopgRunning:
    def __init__(self, db: Any) -> None:
        self._db = db

    async def rows(self, sql: str, *values: Any) -> list[Any]:
        cursor = await self._db.execute(sql, values)
        return list(await cursor.fetchall()) if cursor.description else []


SYSTEMS: dict[str, type[Quorate] | type[Psycopg]] = {"quorate": Quorate, "postgresql": Psycopg}


class Caller:
    """One client, closed loop."""

    def __init__(self, spec: Spec, number: int) -> None:
        self._spec = spec
        self._number = number
        self._rng = random.Random(f"{spec.seed}/{number}")
        self.system = SYSTEMS[spec.system](spec)
        self._done = 0
        self._runs = 0
        """How often the transaction that is under way was run."""
        self.retries = 0
        """Of those that ended while it was measured."""

    def _own_key(self) -> int:
        """A row that no other client uses."""
        share = self._spec.rows // (self._spec.clients + 1)
        return self._number * share + self._rng.randrange(share)

    async def transaction(self, tx: Running) -> None:
        """What `kind` says, once."""
        self._runs += 1
        kind, mark = self._spec.kind, self.system.mark
        self._done += 1
        if kind == INSERT:
            ((number,),) = await tx.rows(f"INSERT INTO parents(v) VALUES ({mark}) RETURNING id", f"v{self._done}")
            await tx.rows(f"INSERT INTO children(parent, v) VALUES ({mark}, {mark})", number, "child")
            return
        key = 0 if kind == ONE else self._own_key()
        if kind == PAGE:
            for _ in range(POINTS):
                await tx.rows(f"SELECT v FROM kv WHERE k = {mark}", self._own_key())
            await tx.rows(f"SELECT count(*), max(k) FROM pages WHERE k < {mark}", LISTED)
            await tx.rows(f"SELECT k, v FROM pages WHERE k < {mark} ORDER BY k", LISTED)
        else:
            locks = self.system.locks if kind == ONE else ""
            await tx.rows(f"SELECT v FROM kv WHERE k = {mark}{locks}", key)
        await tx.rows(f"UPDATE kv SET v = {mark} WHERE k = {mark}", f"{self._number}/{self._done}", key)

    async def work(self, tally: Tally) -> None:
        """One transaction after another."""
        while not tally.stopping:
            began, self._runs = time.perf_counter(), 0
            try:
                await self.system.run(self.transaction)
            except Exception as error:  # noqa: BLE001 - whatever either driver raises is a figure of its own
                tally.fail(type(error).__name__)
                await asyncio.sleep(0.01)
                continue
            if tally.measuring:
                tally.latencies.append(time.perf_counter() - began)
                self.retries += self._runs - 1


async def run(spec: Spec) -> dict[str, Any]:
    tally, woken = Tally(), asyncio.Event()
    callers = [Caller(spec, number) for number in range(spec.clients)]
    tasks = [asyncio.create_task(caller.work(tally)) for caller in callers]
    sleeper = Caller(spec, spec.clients)
    asleep = asyncio.create_task(sleeper.system.sleep(sleeper.transaction, woken)) if spec.sleeper else None
    await asyncio.sleep(spec.warm_up)
    servers, cpu, began = procs.cpu_s(spec.watch), time.process_time(), time.perf_counter()
    tally.measuring = True
    await asyncio.sleep(spec.seconds)
    tally.measuring = False
    ended = time.perf_counter()
    cpu, servers = time.process_time() - cpu, procs.cpu_s(spec.watch) - servers
    memory = procs.memory_mb(spec.watch)
    tally.stopping = True
    woken.set()
    await asyncio.gather(*tasks)
    if asleep is not None:
        await asleep
    for caller in (*callers, sleeper):
        await caller.system.close()
    retries = sum(caller.retries for caller in callers) / max(1, len(tally.latencies))
    return {**summary(tally, ended - began, cpu, servers, memory), "retries": round(retries, 3)}


def main() -> None:
    print(json.dumps(asyncio.run(run(msgspec.json.decode(sys.argv[1], type=Spec)))))


if __name__ == "__main__":
    main()
