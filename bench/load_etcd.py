"""A load generator for etcd: closed loops of Put and Range over raw HTTP/2, one process of its own.

Run as `python -m bench.load_etcd SPEC` with a JSON object; prints a JSON object with the fields of `bench.load`'s.
"""

import json
import random
import sys
from typing import Any

import msgspec

from bench.http2 import Answers, Method, field, opening
from bench.loop import Engine, Line, Tally

PUT = "/etcdserverpb.KV/Put"
RANGE = "/etcdserverpb.KV/Range"


class Spec(msgspec.Struct, frozen=True):
    addresses: tuple[str, ...]
    """Connections are dealt out to them in turn."""
    kind: str
    """update, select, or fill (every key once, in order, then the end)"""
    serializable: bool = False
    """Range without asking the others: what Quorate calls eventual."""
    connections: int = 1
    seconds: float = 5.0
    warm_up: float = 1.0
    rows: int = 10_000
    value_bytes: int = 100
    seed: int = 1
    watch: tuple[int, ...] = ()


def key_of(number: int) -> bytes:
    """All keys have one length."""
    return b"kv/%08d" % number


class Caller:
    """One connection with one call under way."""

    def __init__(self, spec: Spec, tally: Tally, address: str, number: int) -> None:
        self.spec = spec
        self.tally = tally
        self.writes = spec.kind != "select"
        self.method = Method(address, PUT if self.writes else RANGE)
        self.rng = random.Random(f"{spec.seed}/{number}")
        self.filler = b"v" * spec.value_bytes
        self.answers = Answers()
        self.stream = -1
        self.began = 0.0
        self.owed = 0
        self.keys = iter(range(number, spec.rows, spec.connections)) if spec.kind == "fill" else None

    def hello(self) -> bytes:
        return opening()

    def received(self, data: bytes, now: float) -> bytes:
        ended = self.answers.feed(data)
        out, self.answers.reply = self.answers.reply, b""
        if self.answers.going_away:
            self.tally.fail("GOAWAY")
        if self.stream < 0:  # the server's SETTINGS have come
            return out + self.ask(now)
        for each in ended:
            self.owed -= 1
            if not each.good:
                self.tally.fail("not an answer")
            if self.tally.measuring:
                self.tally.latencies.append(now - self.began)
            if not self.tally.stopping:
                out += self.ask(now)
        return out

    def ask(self, now: float) -> bytes:
        if self.keys is None:
            key = int(self.rng.random() * self.spec.rows)
        else:
            following = next(self.keys, None)
            if following is None:
                self.stream += 2
                return b""
            key = following
        self.stream += 2
        self.owed += 1
        self.began = now
        message = field(1, key_of(key))
        if self.writes:
            message += field(2, (b"%d" % self.stream + self.filler)[: self.spec.value_bytes])
        elif self.spec.serializable:
            message += field(7, 1)
        return self.method.call(self.stream, message)


def run(spec: Spec) -> dict[str, Any]:
    tally = Tally()
    addresses = [spec.addresses[number % len(spec.addresses)] for number in range(spec.connections)]
    lines = [Line(Caller(spec, tally, where, number), where) for number, where in enumerate(addresses)]
    engine = Engine(tally, lines)
    if spec.kind == "fill":
        return engine.run_out()
    return engine.run(spec.warm_up, spec.seconds, spec.watch)


def main() -> None:
    print(json.dumps(run(msgspec.json.decode(sys.argv[1], type=Spec))))


if __name__ == "__main__":
    main()
