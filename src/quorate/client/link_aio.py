"""One connection to one node, shared by all tasks of an event loop. `link_sync` is the same for threads."""

import asyncio
from collections.abc import Callable
from typing import cast

from quorate.client.errors import InterfaceError
from quorate.client.links import DIAL_MAX, LinkLost, ask_frame, hello_frame, meet_node, reason_of
from quorate.client.url import split_address
from quorate.core.requests import ReplyBody, RequestBody
from quorate.wire.codec import decode_told
from quorate.wire.frames import FrameReader, WireError

Lock = asyncio.Lock
sleep = asyncio.sleep


class Pending:
    """A request that was sent and not yet answered."""

    __slots__ = ("future", "number")

    def __init__(self, number: int, future: "asyncio.Future[ReplyBody]") -> None:
        self.number = number
        self.future = future


class Link(asyncio.Protocol):
    """Frames out, answers in. Writes of one turn of the loop leave together."""

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._met: asyncio.Future[None] = self._loop.create_future()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._pending: dict[int, asyncio.Future[ReplyBody]] = {}
        self._number = 0
        self._out = bytearray()
        self._room = asyncio.Event()
        self._room.set()
        self._lost: str | None = None

    @property
    def usable(self) -> bool:
        """May a request be sent here?"""
        return self._lost is None

    async def send(self, body: RequestBody, seconds: float) -> Pending:
        """Send a request. Raises LinkLost, DataError or, on another loop than the first time, InterfaceError."""
        if asyncio.get_running_loop() is not self._loop:
            raise InterfaceError("this connection belongs to another event loop", hint="connect in each loop")
        if not self._room.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._room.wait()
            except TimeoutError:
                raise LinkLost("the node takes no more requests", sent=False) from None
        if self._lost is not None:
            raise LinkLost(self._lost, sent=False)
        self._number += 1
        data = ask_frame(self._number, body)
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out += data
        future: asyncio.Future[ReplyBody] = self._loop.create_future()
        self._pending[self._number] = future
        return Pending(self._number, future)

    async def wait(self, pending: Pending, seconds: float) -> ReplyBody | None:
        """The answer, or None when it has not come in this many seconds. Raises LinkLost."""
        if not pending.future.done():
            await asyncio.wait((pending.future,), timeout=max(0.0, seconds))
        return self.answer(pending)

    def answer(self, pending: Pending) -> ReplyBody | None:
        """The answer if it is here. Raises LinkLost."""
        if pending.future.done():
            return pending.future.result()
        return None

    def forget(self, pending: Pending) -> None:
        """Nobody waits for this answer any more."""
        self._pending.pop(pending.number, None)
        if pending.future.done() and not pending.future.cancelled():
            pending.future.exception()
        else:
            pending.future.cancel()

    async def close(self) -> None:
        """Hang up; waiting requests are lost."""
        self._end("the connection was closed here")
        if self._transport is not None:
            await self._gone

    def abandon(self) -> None:
        """Hang up for a client that was dropped; nobody will wait for it, and the loop may be gone."""
        if self._transport is not None and not self._loop.is_closed():
            self._transport.abort()

    async def meet(self) -> None:
        """Wait for the node's greeting. Raises LinkLost."""
        await self._met

    def _flush(self) -> None:
        if self._transport is not None and self._lost is None and self._out:
            self._transport.write(bytes(self._out))
        self._out.clear()

    def _end(self, reason: str) -> None:
        if self._lost is None:
            self._lost = reason
        self._room.set()
        if not self._met.done():
            self._met.set_exception(LinkLost(reason, sent=False))
            self._met.exception()  # marks it as seen: nobody may be waiting for the greeting any more
        waiting, self._pending = self._pending, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(LinkLost(reason, sent=True))
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._transport.write(hello_frame(self.cluster))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(reason_of(exc) if exc else "the connection ended")
        if not self._gone.done():
            self._gone.set_result(None)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def data_received(self, data: bytes) -> None:
        try:
            for payload in self._reader.feed(data):
                if not self._met.done():
                    self.cluster = meet_node(self.cluster, payload)
                    self._met.set_result(None)
                    continue
                told = decode_told(payload)
                future = self._pending.pop(told.id, None)
                if future is not None and not future.done():
                    future.set_result(told.body)
        except (WireError, LinkLost) as error:
            self._end(str(error))


async def dial(address: str, cluster: str, seconds: float) -> Link:
    """Connect to a node and exchange greetings. Raises LinkLost."""
    host, port = split_address(address)
    loop = asyncio.get_running_loop()
    make: Callable[[], Link] = lambda: Link(cluster)  # noqa: E731 - create_connection infers the type from it
    link: Link | None = None
    try:
        async with asyncio.timeout(min(seconds, DIAL_MAX)):
            _, link = await loop.create_connection(make, host, port)
            await link.meet()
    except TimeoutError:
        await _drop(link)
        raise LinkLost("no connection in time", sent=False, late=True) from None
    except OSError as error:
        raise LinkLost(reason_of(error), sent=False) from error
    except BaseException:
        await _drop(link)
        raise
    return link


async def _drop(link: Link | None) -> None:
    if link is not None:
        await link.close()
