"""Nodes' transports on loopback, and a client that speaks byte by byte. Nothing waits for time to pass."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from quorate.core.requests import Answer, Ask, Done, ReplyBody, RequestBody, Status
from quorate.runtime.loop import loop_factory
from quorate.transport.addresses import parse_address
from quorate.transport.interface import Caller
from quorate.transport.security import Security
from quorate.transport.tcp import Limits, TcpTransport
from quorate.wire.codec import encode
from quorate.wire.frames import FrameReader, frame
from quorate.wire.handshake import CLIENT, NODE, Hello, greeting

ANSWER = Answer(msgspec.Raw(msgspec.msgpack.encode(Done(()))), 1)
PATIENCE_S = 60.0


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on the loop that servers use."""

    async def limited() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test()

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(limited())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody tells of."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


class RecordingHandler:
    """Keeps `transport.interface.Handler`; answers at once unless `hold`."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, Any]] = []
        self.asks: list[tuple[Caller, int, RequestBody, int]] = []
        self.leavers: list[tuple[Caller, int | None]] = []
        self.peers: list[tuple[str, int]] = []
        self.places: dict[int, str] = {}
        self.certified: dict[int, bool] = {}
        self.hold = False
        self.reply: ReplyBody = ANSWER
        self._changed = asyncio.Event()

    def delivered(self, sender: int, message: Any) -> None:
        self.messages.append((sender, message))
        self._changed.set()

    def asked(self, caller: Caller, ask: int, body: RequestBody, size: int, waits_us: int = 0) -> None:
        self.asks.append((caller, ask, body, size))
        if not self.hold:
            caller.tell(ask, self.reply, size)
        self._changed.set()

    def left(self, caller: Caller, ask: int | None = None) -> None:
        self.leavers.append((caller, ask))
        self._changed.set()

    def reachable(self, peer: int) -> None:
        self.peers.append(("reachable", peer))
        self._changed.set()

    def unreachable(self, peer: int) -> None:
        self.peers.append(("unreachable", peer))
        self._changed.set()

    def located(self, peer: int, address: str, *, certified: bool = False) -> None:
        self.places[peer] = address
        self.certified[peer] = certified
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that the handler was told makes this true."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()


class RigNode:
    """One node's transport and what it told."""

    def __init__(
        self, number: int, limits: Limits | None = None, security: Security | None = None, **hello: Any
    ) -> None:
        fields = {"cluster": "c1", "node": number, "name": f"n{number}", "boot": 1, **hello}
        self.number = number
        self.handler = RecordingHandler()
        self.transport = TcpTransport(Hello(NODE, **fields), self.handler, random.Random(number), limits, security)
        self.address = ""

    async def listen(self, port: int = 0) -> "RigNode":
        self.address = await self.transport.listen("127.0.0.1", port)
        return self

    def flush_always(self) -> None:
        """Flush after each turn, as a driver does."""

        def again() -> None:
            self.transport.flush()
            if not self.transport.closing:
                self.transport.loop.call_later(0.001, again)

        again()


@asynccontextmanager
async def nodes(count: int, limits: Limits | None = None) -> AsyncIterator[list[RigNode]]:
    """Listening transports 1..count, not connected to each other."""
    made = [await RigNode(number, limits).listen() for number in range(1, count + 1)]
    try:
        yield made
    finally:
        for node in made:
            await node.transport.close()


class RawClient:
    """A client's side of a connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.frames = FrameReader()
        self.payloads: list[bytes] = []

    async def payload(self) -> bytes:
        """The next payload that arrives. Raises EOFError at the end of the stream."""
        while not self.payloads:
            data = await self.reader.read(65536)
            if not data:
                raise EOFError
            self.payloads += self.frames.feed(data)
        return self.payloads.pop(0)

    def ask(self, *ids: int, body: RequestBody = Status()) -> None:  # noqa: B008 - frozen
        self.writer.write(b"".join(frame(encode(Ask(each, body))) for each in ids))

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            return


@asynccontextmanager
async def raw(address: str, first: bytes | None = None) -> AsyncIterator[RawClient]:
    """Connect; send these first bytes, by default a client's greeting, and take the node's greeting."""
    host, port = parse_address(address)
    client = RawClient(*await asyncio.open_connection(host, port))
    try:
        client.writer.write(greeting(Hello(CLIENT)) if first is None else first)
        await client.payload()
        yield client
    finally:
        await client.close()
