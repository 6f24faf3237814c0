"""What a request costs a server between its frame and the frame of its answer, sockets left out.

One node that is alone, its real driver, core and store; bytes are put into connections and taken out of them by
hand. CPU time is steadier than any rate on a shared machine: this is the instrument for changes of the path itself.

    python -m bench.path read --connections 64 --requests 50000 --folder /dev/shm
"""

import argparse
import asyncio
import gc
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, cast

from quorate.core.node import Node
from quorate.core.recovered import Identity, Member
from quorate.core.requests import Ask, Run
from quorate.core.statements import Statement, Token
from quorate.runtime.driver import Driver, monotonic_us
from quorate.storage.folder import open_store
from quorate.transport.accepted import Accepted
from quorate.transport.tcp import TcpTransport
from quorate.wire.codec import encode
from quorate.wire.frames import frame
from quorate.wire.handshake import CLIENT, NODE, Hello, greeting

ROWS = 10_000
FIRST_TOKEN = "path"
READ, UPDATE = "SELECT v FROM kv WHERE k = ?", "UPDATE kv SET v = ? WHERE k = ?"


class NoTimer:
    def cancel(self) -> None: ...


class NoPiece:
    def drop(self) -> bool:
        return False


class Turns:
    """Keeps `scheduler.Scheduler`; a turn of the loop is run by hand."""

    def __init__(self) -> None:
        self._soon: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._soon.append(callback)

    def call_later(self, _delay: float, _callback: Callable[[], None]) -> NoTimer:
        return NoTimer()

    def run_aside(self, work: Callable[[], Any], done: Callable[[Any], None], *_: Any, **__: Any) -> NoPiece:
        done(work())
        return NoPiece()

    def run(self) -> None:
        while self._soon:
            callbacks, self._soon = self._soon, []
            for callback in callbacks:
                callback()


class NoSocket:
    """What a connection writes to."""

    def __init__(self) -> None:
        self.written = 0

    def write(self, data: bytes) -> None:
        self.written += len(data)

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, _name: str) -> None: ...

    def set_write_buffer_limits(self, _high: int) -> None: ...


class Bench:
    """A node, its connections, and requests for it."""

    def __init__(self, folder: Path, connections: int) -> None:
        identity = Identity("path", 1, "n1", 0, (Member(1, "n1", ""),))
        self.store = open_store(folder / "node", identity, clock=monotonic_us)
        self.turns = Turns()
        self.node = Node(self.store.recover(), Random(1))
        driver = Driver(self.node, self.store, self.turns, sys.exit)
        driver.transport = owner = TcpTransport(Hello(NODE, cluster="path", node=1), driver, Random(1))
        driver.start()
        while not (1 in self.node.groups and self.node.groups[1].takes_writes()):
            self.turns.run()
            time.sleep(0.005)
            driver.start()
        self.connections = [Accepted(owner) for _ in range(connections)]
        for connection in self.connections:
            connection.connection_made(cast(asyncio.Transport, NoSocket()))
            connection.data_received(greeting(Hello(CLIENT)))
        self.rng = random.Random(3)
        self.number = 0
        self._write("CREATE TABLE kv(k INTEGER PRIMARY KEY, v TEXT)", ((),))
        self._write("INSERT INTO kv VALUES (?, ?)", tuple((key, "x" * 100) for key in range(ROWS)), many=True)

    def _write(self, sql: str, sets: tuple[Any, ...], *, many: bool = False) -> None:
        self.connections[0].data_received(self.ask(Statement(sql, sets, many)))
        self.turns.run()

    def ask(self, statement: Statement, level: str = "linearizable") -> bytes:
        self.number += 1
        token = Token(f"{FIRST_TOKEN}-{self.number}", 0)
        return frame(encode(Ask(self.number, Run("main", (statement,), level, token))))

    def request(self, kind: str) -> bytes:
        key = self.rng.randrange(ROWS)
        if kind == "read":
            return self.ask(Statement(READ, ((key,),)), "eventual")
        return self.ask(Statement(UPDATE, ((f"{self.number}{'v' * 100}"[:100], key),)))

    def spend(self, kind: str, requests: int) -> float:
        """CPU time of this many requests, one for each connection in each turn; microseconds a request."""
        spent, turns = 0, max(1, requests // len(self.connections))
        for _ in range(turns):
            frames = [self.request(kind) for _ in self.connections]
            began = time.thread_time_ns()
            for connection, data in zip(self.connections, frames, strict=True):
                connection.data_received(data)
            self.turns.run()
            spent += time.thread_time_ns() - began
        return spent / turns / len(self.connections) / 1000


async def measure(kind: str, folder: Path, connections: int, requests: int) -> list[float]:
    bench = Bench(folder, connections)
    bench.spend(kind, requests // 5)
    gc.collect()
    gc.freeze()
    found = [bench.spend(kind, requests // 5) for _ in range(5)]
    bench.store.close()
    return sorted(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("read", "update"))
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--folder", type=Path, help="where to put the node: a tmpfs leaves the disk out, too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        found = asyncio.run(measure(args.kind, Path(folder), args.connections, args.requests))
    print(f"{args.kind}, {args.connections} connections: {found[2]:.1f} us of CPU a request (best {found[0]:.1f})")


if __name__ == "__main__":
    main()
