"""How many requests per second the server itself carries: sockets, frames, codec and driver, with a core that answers
at once. One client process, one connection, a fixed number of requests in flight."""

import asyncio
import multiprocessing
import random
import sys
import time
from multiprocessing.connection import Connection

from tests.runtime.stand_ins import EchoCore, FakeStore

from quorate.core.requests import Ask, Run
from quorate.core.statements import Statement
from quorate.runtime.config import Config
from quorate.runtime.loop import Server, loop_factory
from quorate.wire.codec import encode
from quorate.wire.frames import FrameReader, frame
from quorate.wire.handshake import CLIENT, Hello, greeting

SECONDS = 3.0


def serve(pipe: Connection) -> None:
    async def main() -> None:
        server = Server(EchoCore(), FakeStore(), Config(listen="127.0.0.1:0"))
        await server.run(pipe.send, signals=False)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main())


class Client(asyncio.Protocol):
    """Keeps `in_flight` requests under way."""

    def __init__(self, in_flight: int) -> None:
        self.reader = FrameReader()
        self.answered = -1  # the greeting
        run = Run("main", (Statement("SELECT n FROM stock WHERE sku = ?", ((random.randrange(1000),),)),))
        self.request = frame(encode(Ask(1, run)))
        self.in_flight = in_flight
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment]
        assert self.transport is not None
        self.transport.write(greeting(Hello(CLIENT)) + self.request * self.in_flight)

    def data_received(self, data: bytes) -> None:
        count = len(self.reader.feed(data))
        more = count - (self.answered < 0)
        self.answered += count
        if self.transport is not None:
            self.transport.write(self.request * more)


async def measure(address: str, in_flight: int, connections: int) -> float:
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(connections):
        transport, client = await loop.create_connection(lambda: Client(in_flight), host, int(port))
        clients.append((transport, client))
    await asyncio.sleep(0.3)
    before, start = sum(client.answered for _, client in clients), time.perf_counter()
    await asyncio.sleep(SECONDS)
    rate = (sum(client.answered for _, client in clients) - before) / (time.perf_counter() - start)
    for transport, _ in clients:
        transport.abort()
    await asyncio.sleep(0)
    return rate


def main() -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    address = ours.recv()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        for in_flight, connections in ((1, 1), (64, 1), (512, 1), (1, 64)):
            rate = runner.run(measure(address, in_flight, connections))
            sys.stdout.write(f"{connections:4d} connections x {in_flight:4d} in flight: {rate:9,.0f} requests/s\n")
    process.terminate()
    process.join()


if __name__ == "__main__":
    main()
