"""A load generator that uses the real client library, as a program would: each client reads a row and then writes
it with a batch, over a connection of its own, on asyncio's own event loop.

Run as `python -m bench.load_client SPEC` with a JSON object; prints a JSON object with the fields of `bench.load`'s.
"""

import asyncio
import json
import random
import sys
import time
from typing import Any

import msgspec

import quorate.aio
from bench import procs
from bench.loop import Tally, summary
from quorate.errors import Error


class Spec(msgspec.Struct, frozen=True):
    url: str
    clients: int
    rows: int
    value_bytes: int
    seconds: float
    warm_up: float
    watch: tuple[int, ...]
    seed: int = 1


async def client(spec: Spec, tally: Tally, number: int) -> None:
    rng = random.Random(f"{spec.seed}/{number}")
    filler = "v" * spec.value_bytes
    done = 0
    async with quorate.aio.connect(spec.url, timeout=20.0, read="leader") as db:
        while not tally.stopping:
            key = int(rng.random() * spec.rows)
            began = time.perf_counter()
            done += 1
            try:
                row = (await db.execute("SELECT v FROM kv WHERE k = ?", (key,))).fetchone()
                value = f"{done}{filler}"[: spec.value_bytes]
                await db.batch([("UPDATE kv SET v = ? WHERE k = ?", (value, key))])
            except Error as error:
                tally.fail(repr(error))
                continue
            if row is None:
                tally.fail("no row")
            if tally.measuring:
                tally.latencies.append(time.perf_counter() - began)


async def run(spec: Spec) -> dict[str, Any]:
    tally = Tally()
    tasks = [asyncio.create_task(client(spec, tally, number)) for number in range(spec.clients)]
    await asyncio.sleep(spec.warm_up)
    servers, cpu, began = procs.cpu_s(spec.watch), time.process_time(), time.perf_counter()
    tally.measuring = True
    await asyncio.sleep(spec.seconds)
    tally.measuring = False
    ended = time.perf_counter()
    cpu, servers = time.process_time() - cpu, procs.cpu_s(spec.watch) - servers
    memory = procs.memory_mb(spec.watch)
    tally.stopping = True
    await asyncio.gather(*tasks)
    return summary(tally, ended - began, cpu, servers, memory)


def main() -> None:
    print(json.dumps(asyncio.run(run(msgspec.json.decode(sys.argv[1], type=Spec)))))


if __name__ == "__main__":
    main()
