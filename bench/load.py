"""A load generator for Quorate: closed loops over raw frames, one process of its own.

It speaks the wire protocol itself instead of using the client library, so that it costs as little as a
generator in Python can; its own CPU time is part of every result, which is how one sees that it was not
the bottleneck. Run as `python -m bench.load SPEC` with a JSON object; prints a JSON object.
"""

import asyncio
import json
import os
import random
import sys
import time
from typing import Any, cast

import msgspec

from quorate.core.requests import Answer, Ask, Done, Run, Statement, Told, Token, WriteOutcome
from quorate.wire.codec import decode_told
from quorate.wire.frames import FrameReader, frame
from quorate.wire.handshake import CLIENT, Hello, greeting

_encode = msgspec.msgpack.Encoder().encode
_outcome = msgspec.msgpack.Decoder(WriteOutcome)
CHECK_EVERY = 64
"""One answer in so many is decoded whole; the others are only looked at."""


class Spec(msgspec.Struct, frozen=True):
    address: str
    database: str
    kind: str
    """update, select or read-update (what an ORM does, as two requests)"""
    level: str = "linearizable"
    connections: int = 1
    in_flight: int = 1
    """Requests under way on each connection."""
    seconds: float = 5.0
    warm_up: float = 1.0
    rows: int = 10_000
    value_bytes: int = 100
    seed: int = 1


class Load:
    """Counts and times what its connections do."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.dice = random.Random(spec.seed)
        self.value = "v" * spec.value_bytes
        self.latencies: list[float] = []
        self.measuring = False
        self.stopping = False
        self.failures: dict[str, int] = {}
        self.token = 0
        self.prefix = f"load-{os.getpid()}-{spec.seed}-"

    def request(self, number: int) -> bytes:
        """The next request as a frame."""
        spec = self.spec
        key = self.dice.randrange(spec.rows)
        if spec.kind == "update":
            self.token += 1
            body = Run(
                spec.database,
                (Statement("UPDATE kv SET v = ? WHERE k = ?", ((f"{self.token}{self.value}"[: spec.value_bytes], key),)),),
                token=Token(f"{self.prefix}{self.token}", 0),
            )
        else:
            body = Run(spec.database, (Statement("SELECT v FROM kv WHERE k = ?", ((key,),)),), level=spec.level)
        return frame(_encode(Ask(number, body)))


class Caller(asyncio.Protocol):
    """One connection with a fixed number of requests under way."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.reader = FrameReader()
        self.greeted = False
        self.started: dict[int, float] = {}
        self.number = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(greeting(Hello(CLIENT)))

    def data_received(self, data: bytes) -> None:
        payloads = self.reader.feed(data)
        if not self.greeted and payloads:
            self.greeted = True
            payloads.pop(0)
            self.transport.write(b"".join(self.ask() for _ in range(self.load.spec.in_flight)))
        if not payloads:
            return
        now = time.perf_counter()
        out = []
        for payload in payloads:
            self.answered(payload, now)
            if not self.load.stopping:
                out.append(self.ask())
        if out:
            self.transport.write(b"".join(out))
        elif not self.started and not self.done.done():
            self.done.set_result(None)

    def ask(self) -> bytes:
        self.number += 1
        self.started[self.number] = time.perf_counter()
        return self.load.request(self.number)

    def answered(self, payload: bytes, now: float) -> None:
        load = self.load
        if self.load.spec.in_flight == 1 and self.number % CHECK_EVERY:
            began = self.started.pop(self.number)
            if b"answer" not in payload[:24]:
                load.failures["not an answer"] = load.failures.get("not an answer", 0) + 1
        else:
            told: Told = decode_told(payload)
            began = self.started.pop(told.id)
            self.check(told.body)
        if load.measuring:
            load.latencies.append(now - began)

    def check(self, body: Any) -> None:
        name = type(body).__name__
        if isinstance(body, Answer):
            outcome = _outcome.decode(body.outcome)
            if isinstance(outcome, Done):
                return
            name = repr(outcome)
        self.load.failures[name] = self.load.failures.get(name, 0) + 1

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def run(spec: Spec) -> dict[str, Any]:
    load = Load(spec)
    loop = asyncio.get_running_loop()
    host, port = spec.address.rsplit(":", 1)
    callers = []
    for _ in range(spec.connections):
        _, caller = await loop.create_connection(lambda: Caller(load), host, int(port))
        callers.append(caller)
    await asyncio.sleep(spec.warm_up)
    cpu, began = time.process_time(), time.perf_counter()
    load.measuring = True
    await asyncio.sleep(spec.seconds)
    load.measuring = False
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    load.stopping = True
    await asyncio.wait([caller.done for caller in callers], timeout=10)
    for caller in callers:
        caller.transport.close()
    return summary(load.latencies, seconds, cpu, load.failures)


def summary(latencies: list[float], seconds: float, cpu: float, failures: dict[str, int]) -> dict[str, Any]:
    ordered = sorted(latencies)
    count = len(ordered)

    def quantile(share: float) -> float:
        return round(ordered[min(count - 1, int(count * share))] * 1e3, 3) if count else 0.0

    return {
        "per_s": round(count / seconds, 1),
        "p50_ms": quantile(0.50),
        "p99_ms": quantile(0.99),
        "load_cpu_s_per_s": round(cpu / seconds, 3),
        "failures": failures,
    }


def main() -> None:
    spec = msgspec.json.decode(sys.argv[1], type=Spec)
    import uvloop

    print(json.dumps(uvloop.run(run(spec))))


if __name__ == "__main__":
    main()
