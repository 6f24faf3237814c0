"""One connection to one node, shared by all tasks of an event loop. `link_sync` is the same for threads."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from quorate.client.credentials import NOBODY, Credentials
from quorate.client.links import (
    BEFORE,
    Greeting,
    LinkLost,
    ask_frame,
    hello_frame,
    is_unread,
    left_frame,
    reason_of,
)
from quorate.client.protection import Protection
from quorate.client.url import split_address
from quorate.core.requests import ReplyBody, RequestBody
from quorate.core.row_requests import Minted
from quorate.errors import InterfaceError, ProgrammingError
from quorate.tls.layer import Tls
from quorate.wire.codec import decode_told
from quorate.wire.frames import FrameReader, WireError

Lock = asyncio.Lock
current_task = asyncio.current_task
sleep = asyncio.sleep
FOREIGN_LOOP = "this connection belongs to another event loop"


def commit_at_once(commit: Callable[[], object]) -> None:
    """Setting an attribute cannot be awaited. Raises ProgrammingError."""
    del commit
    raise ProgrammingError("a transaction is open, and setting autocommit commits it", hint="await db.commit() first")


class Pending:
    """A request that was sent and not yet answered."""

    __slots__ = ("body", "lost", "minted", "number", "running", "unread", "waiter")

    def __init__(self, number: int) -> None:
        self.number = number
        self.body: ReplyBody | None = None
        self.lost: str | None = None
        self.running = False
        """The node has said that it takes long, and runs."""
        self.minted: Minted | None = None
        """The node has said which version the write has."""
        self.unread = False
        """See `LinkLost`; when it is lost."""
        self.waiter: asyncio.Future[None] | None = None
        """Done when the answer is here or the time is up; None: no task waits."""

    def note(self, told: ReplyBody) -> None:
        """The node has said something before its answer."""
        if isinstance(told, Minted):
            self.minted = told
        else:
            self.running = True

    def wake(self) -> None:
        """Let the task that waits look again."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class Link(asyncio.Protocol):
    """Frames out, answers in. Writes of one turn of the loop leave together."""

    def __init__(self, cluster: str, tls: Tls | None, credentials: Credentials) -> None:
        self.cluster = cluster
        self._tls = tls
        self._greeting = Greeting(cluster, credentials)
        self.members: Pending | None = None
        """The question who the members are, while its answer was not looked at."""
        self.members_at = 0.0
        """When it is to be asked next."""
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._met: asyncio.Future[None] = self._loop.create_future()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._pending: dict[int, Pending] = {}
        self._number = 0
        self._out = bytearray()
        self._room = asyncio.Event()
        self._room.set()
        self._lost: str | None = None

    @property
    def usable(self) -> bool:
        """May a request be sent here?"""
        return self._lost is None

    async def send(self, body: RequestBody, seconds: float, waits_us: int = 0) -> Pending:
        """Send a request whose caller waits so much longer (0: not said). Raises LinkLost, DataError or, on another
        loop than the first time, InterfaceError."""
        if asyncio.get_running_loop() is not self._loop:
            raise InterfaceError(FOREIGN_LOOP, hint="connect in each loop")
        if not self._room.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._room.wait()
            except TimeoutError:
                raise LinkLost("the node takes no more requests", sent=False) from None
        if self._lost is not None:
            raise LinkLost(self._lost, sent=False)
        self._number += 1
        pending = Pending(self._number)
        data = ask_frame(pending.number, body, waits_us)
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out += data
        self._pending[pending.number] = pending
        return pending

    async def wait(self, pending: Pending, seconds: float) -> ReplyBody | None:
        """The answer, or None when it has not come in this many seconds. Raises LinkLost."""
        if pending.body is None and pending.lost is None:
            pending.waiter = waiter = self._loop.create_future()
            timer = self._loop.call_later(max(0.0, seconds), pending.wake)
            try:
                await waiter
            finally:
                pending.waiter = None
                timer.cancel()
        return self.answer(pending)

    def answer(self, pending: Pending) -> ReplyBody | None:
        """The answer if it is here. Raises LinkLost."""
        if pending.body is None and pending.lost is not None:
            raise LinkLost(pending.lost, sent=not pending.unread, unread=pending.unread)
        return pending.body

    def forget(self, pending: Pending, *, tell: bool = False) -> None:
        """Nobody waits for this answer any more; `tell` the node, which may be at work for it."""
        unanswered = self._pending.pop(pending.number, None) is not None
        if unanswered and tell and self._lost is None and not self._loop.is_closed():
            if not self._out:
                self._loop.call_soon(self._flush)
            self._out += left_frame(pending.number)

    def wake(self, pending: Pending) -> None:
        """Let whoever waits for this answer look again. Any thread may call it."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(pending.wake)

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
            self._write(bytes(self._out))
        self._out.clear()

    def _write(self, data: bytes) -> None:
        """Send plain text, encrypted if the link is."""
        if self._transport is not None:
            self._transport.write(data if self._tls is None else self._tls.protect(data))

    def _decrypted(self, tls: Tls, data: bytes) -> bytes:
        """What has arrived, as plain text. Raises TlsFailed."""
        try:
            return tls.feed(data)
        finally:
            if tls.speaks and self._transport is not None:
                self._transport.write(tls.outgoing())

    def _end(self, reason: str, *, unread: bool = False, why: LinkLost | None = None) -> None:
        if self._lost is None:
            self._lost = reason
        self._room.set()
        if not self._met.done():
            self._met.set_exception(why or LinkLost(reason, sent=False))
            self._met.exception()  # marks it as seen: nobody may be waiting for the greeting any more
        waiting, self._pending = self._pending, {}
        for pending in waiting.values():
            pending.lost, pending.unread = reason, unread
            pending.wake()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        if self._tls is not None:
            self._decrypted(self._tls, b"")
        self._write(hello_frame(self.cluster))

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
            if self._tls is not None:
                data = self._decrypted(self._tls, data)
            for payload in self._reader.feed(data):
                if not self._met.done():
                    answer = self._greeting.take(payload)
                    self.cluster = self._greeting.cluster
                    if answer:
                        self._write(answer)
                    if self._greeting.done:
                        self._met.set_result(None)
                    continue
                told = decode_told(payload)
                if type(told.body) in BEFORE:
                    if told.id in self._pending:
                        self._pending[told.id].note(told.body)
                    continue
                pending = self._pending.pop(told.id, None)
                if pending is not None:
                    pending.body = told.body
                    pending.wake()
        except (WireError, LinkLost) as error:
            self._end(str(error), unread=is_unread(error), why=error if isinstance(error, LinkLost) else None)


async def dial(
    address: str,
    cluster: str,
    seconds: float,
    protection: Protection = Protection(),  # noqa: B008 - frozen
    credentials: Credentials = NOBODY,
) -> Link:
    """Connect to a node, exchange greetings and log in. Raises LinkLost, and OperationalError when there are no
    certificates to verify with."""
    host, port = split_address(address)
    tls = protection.tls_for(host)
    loop = asyncio.get_running_loop()
    make: Callable[[], Link] = lambda: Link(cluster, tls, credentials)  # noqa: E731 - its type is inferred from this
    link: Link | None = None
    try:
        async with asyncio.timeout(seconds):
            _, link = await loop.create_connection(make, host, port)
            await link.meet()
    except TimeoutError:
        await _drop(link)
        raise LinkLost("no connection in time", sent=False, late=True) from None
    except (OSError, ValueError) as error:  # what is no host's name
        await _drop(link)
        raise LinkLost(reason_of(error), sent=False) from error
    except BaseException:
        await _drop(link)
        raise
    return link


async def _drop(link: Link | None) -> None:
    if link is not None:
        await link.close()
