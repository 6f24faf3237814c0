"""A load generator for Quorate: closed loops over raw frames, one process of its own.

It speaks the wire protocol itself instead of using the client library, so that it costs as little as a
generator in Python can; its own CPU time is part of every result, which is how one sees that it was not
the bottleneck. Run as `python -m bench.load SPEC` with a JSON object; prints a JSON object.
"""

import json
import os
import random
import sys
import time
from typing import Any

import msgspec

from bench.loop import Engine, Line, Tally
from quorate.core.requests import Answer, Ask, Cancelled, Done, Expired, Run
from quorate.core.statements import Failed, Statement, Token
from quorate.wire.codec import decode_told
from quorate.wire.frames import FrameReader, frame
from quorate.wire.handshake import CLIENT, Hello, greeting

_encode = msgspec.msgpack.Encoder().encode
_outcome_decoder: msgspec.msgpack.Decoder[Done | Failed | Cancelled | Expired] = msgspec.msgpack.Decoder(
    Done | Failed | Cancelled | Expired
)
UPDATE = "UPDATE kv SET v = ? WHERE k = ?"
SELECT = "SELECT v FROM kv WHERE k = ?"


class Spec(msgspec.Struct, frozen=True):
    address: str
    database: str
    kind: str
    """update, select, or read-update (what an ORM does: read a row, then write it)"""
    level: str = "linearizable"
    connections: int = 1
    in_flight: int = 1
    """Requests under way on each connection."""
    seconds: float = 5.0
    warm_up: float = 1.0
    rows: int = 10_000
    value_bytes: int = 100
    seed: int = 1
    targets: tuple[tuple[str, str], ...] = ()
    """Address and database of more than one place: connections are dealt out to the addresses in turn, and each
    request goes to any of its address's databases."""
    watch: tuple[int, ...] = ()
    """The servers' processes, whose CPU time is read when measuring begins and ends."""
    checked: bool = True
    """Are answers looked into? Not those of a stand-in for a server, which has no rows."""


class Caller:
    """One connection with a fixed number of requests under way."""

    def __init__(self, spec: Spec, tally: Tally, databases: list[str], number: int) -> None:
        self.spec = spec
        self.tally = tally
        self.databases = databases
        self.rng = random.Random(f"{spec.seed}/{number}")
        self.prefix = f"load-{os.getpid()}-{time.time_ns():x}-{number}-"
        self.owed = 0
        self.reader = FrameReader()
        self.greeted = False
        self.number = 0
        self.under_way: dict[int, tuple[float, str, int, bool]] = {}
        """By request: when the operation began, on which database and key, and whether it is the write of one."""
        self.blind: set[int] = set()
        """Writes under way whose tokens carry no index, for none was known yet."""
        self.seen: dict[str, int] = {}
        """By database: the highest index heard of, which tokens carry."""
        self.filler = "v" * spec.value_bytes

    def hello(self) -> bytes:
        return greeting(Hello(CLIENT))

    def received(self, data: bytes, now: float) -> bytes:
        payloads = self.reader.feed(data)
        out = []
        if not self.greeted and payloads:
            self.greeted = True
            payloads.pop(0)
            out = [self.begin(now) for _ in range(self.spec.in_flight)]
        for payload in payloads:
            out.append(self.answered(payload, now))
        return b"".join(out)

    def begin(self, now: float) -> bytes:
        """The first request of an operation."""
        key = int(self.rng.random() * self.spec.rows)
        database = self.databases[0] if len(self.databases) == 1 else self.rng.choice(self.databases)
        return self.ask(now, database, key, writes=self.spec.kind == "update")

    def ask(self, began: float, database: str, key: int, *, writes: bool) -> bytes:
        self.number = number = self.number + 1
        self.owed += 1
        self.under_way[number] = (began, database, key, writes)
        if writes:
            value = f"{number}{self.filler}"[: self.spec.value_bytes]
            token = Token(f"{self.prefix}{number}", self.seen.get(database, 0))
            if not token.seen:
                self.blind.add(number)
            body = Run(database, (Statement(UPDATE, ((value, key),)),), token=token)
        else:
            body = Run(database, (Statement(SELECT, ((key,),)),), level=self.spec.level)
        return frame(_encode(Ask(number, body)))

    def answered(self, payload: bytes, now: float) -> bytes:
        """Count it; the request that follows, as bytes."""
        told = decode_told(payload)
        began, database, key, wrote = self.under_way.pop(told.id)
        self.owed -= 1
        tally = self.tally
        if type(told.body) is Answer:
            index = told.body.index
            if index > self.seen.get(database, 0):
                self.seen[database] = index
            blind = bool(self.blind) and told.id in self.blind
            if blind:
                self.blind.remove(told.id)
            if self.spec.checked:
                self.check(bytes(told.body.outcome), blind=blind)
        else:
            tally.fail(repr(told.body))
        if self.spec.kind == "read-update" and not wrote:
            return self.ask(began, database, key, writes=True)
        if tally.measuring:
            tally.latencies.append(now - began)
        return b"" if tally.stopping else self.begin(now)

    def check(self, outcome: bytes, *, blind: bool) -> None:
        """One answer in 64 is decoded whole; of the others only the kind is looked at."""
        if self.number % 64 and b"\xa4done" in outcome[:16]:
            return
        body = _outcome_decoder.decode(outcome)
        if isinstance(body, Done):
            result = body.results[0]
            if result.rowcount != 1 and len(result.rows) != 1:
                self.tally.fail("no row")
        elif not (blind and isinstance(body, Expired)):  # the client asks again with the index that it heard
            self.tally.fail(repr(body))


def lines(spec: Spec, tally: Tally) -> list[Line]:
    """The connections, all open."""
    places: dict[str, list[str]] = {}
    for address, database in spec.targets or ((spec.address, spec.database),):
        places.setdefault(address, []).append(database)
    addresses = list(places)
    dealt = [addresses[number % len(addresses)] for number in range(spec.connections)]
    return [Line(Caller(spec, tally, places[where], number), where) for number, where in enumerate(dealt)]


def run(spec: Spec) -> dict[str, Any]:
    tally = Tally()
    return Engine(tally, lines(spec, tally)).run(spec.warm_up, spec.seconds, spec.watch)


def main() -> None:
    print(json.dumps(run(msgspec.json.decode(sys.argv[1], type=Spec))))


if __name__ == "__main__":
    main()
