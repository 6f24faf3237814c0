"""One connection to one node, shared by all tasks of an event loop. `link_sync` is the same for threads."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from quorate.client.conversation import CLOSED_HERE, ENDED, NO_ROOM, NOT_IN_TIME, Conversation, PendingAnswer
from quorate.client.credentials import NOBODY, Credentials
from quorate.client.links import LinkLost, is_unread, reason_of
from quorate.client.protection import Protection
from quorate.client.url import split_address
from quorate.core.requests import ReplyBody, RequestBody
from quorate.errors import InterfaceError, ProgrammingError
from quorate.tls.layer import Tls
from quorate.wire.frames import WireError

Lock = asyncio.Lock
current_task = asyncio.current_task
sleep = asyncio.sleep
FOREIGN_LOOP = "this connection belongs to another event loop"


def commit_at_once(commit: Callable[[], object]) -> None:
    """Setting an attribute cannot be awaited. Raises ProgrammingError."""
    del commit
    raise ProgrammingError("a transaction is open, and setting autocommit commits it", hint="await db.commit() first")


class Pending(PendingAnswer):
    """A request that was sent and not yet answered."""

    __slots__ = ("waiter",)

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.waiter: asyncio.Future[None] | None = None
        """Done when the answer is here or the time is up; None: no task waits."""

    def wake(self) -> None:
        """Let the task that waits look again."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class Link(Conversation[Pending], asyncio.Protocol):
    """Frames out, answers in. Writes of one turn of the loop leave together."""

    def __init__(self, cluster: str, tls: Tls | None, credentials: Credentials) -> None:
        super().__init__(cluster, tls, credentials, Pending)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._met: asyncio.Future[None] = self._loop.create_future()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._out = bytearray()
        self._room = asyncio.Event()
        self._room.set()

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
                raise LinkLost(NO_ROOM, sent=False) from None
        pending, frame = self._prepare(body, waits_us)
        self._expect(pending)
        self._soon(frame)
        return pending

    async def wait(self, pending: Pending, seconds: float) -> ReplyBody | None:
        """The answer, or None when it has not come in this many seconds. Raises LinkLost."""
        if not pending.settled:
            pending.waiter = waiter = self._loop.create_future()
            timer = self._loop.call_later(max(0.0, seconds), pending.wake)
            try:
                await waiter
            finally:
                pending.waiter = None
                timer.cancel()
        return pending.answer()

    def answer(self, pending: Pending) -> ReplyBody | None:
        """The answer if it is here. Raises LinkLost."""
        return pending.answer()

    def forget(self, pending: Pending, *, tell: bool = False) -> None:
        """Nobody waits for this answer any more; `tell` the node, which may be at work for it."""
        frame = self._left(pending, tell=tell)
        if frame and not self._loop.is_closed():
            self._soon(frame)

    def wake(self, pending: Pending) -> None:
        """Let whoever waits for this answer look again. Any thread may call it."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(pending.wake)

    async def close(self) -> None:
        """Hang up; waiting requests are lost."""
        self._end(CLOSED_HERE)
        if self._transport is not None:
            await self._gone

    def abandon(self) -> None:
        """Hang up for a client that was dropped; nobody will wait for it, and the loop may be gone."""
        if self._transport is not None and not self._loop.is_closed():
            self._transport.abort()

    async def meet(self) -> None:
        """Wait for the node's greeting. Raises LinkLost."""
        await self._met

    def _soon(self, frame: bytes) -> None:
        """Send it with the others of this turn."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out += frame

    def _flush(self) -> None:
        if self._transport is not None and self._lost is None and self._out:
            self._write(bytes(self._out))
        self._out.clear()

    def _write(self, data: bytes) -> None:
        """Send plain text, encrypted if the link is."""
        if self._transport is not None:
            self._transport.write(self._protected(data))

    def _decrypted(self, tls: Tls, data: bytes) -> bytes:
        """What has arrived, as plain text. Raises TlsFailed."""
        try:
            return tls.feed(data)
        finally:
            if tls.speaks and self._transport is not None:
                self._transport.write(tls.outgoing())

    def _end(self, reason: str, *, unread: bool = False, why: LinkLost | None = None) -> None:
        self._lose(reason, unread=unread)
        self._room.set()
        if not self._met.done():
            self._met.set_exception(why or LinkLost(reason, sent=False))
            self._met.exception()  # marks it as seen: nobody may be waiting for the greeting any more
        if self._transport is not None:
            self._transport.abort()

    def _number(self) -> int:
        connected = self._transport.get_extra_info("socket") if self._transport is not None else None
        return connected.fileno() if connected is not None else -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._transport.write(self._opening())

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(reason_of(exc) if exc else ENDED)
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
            payloads = self._frames.feed(data)
            while payloads and not self._greeting.done:
                if answer := self._greeting.take(payloads.pop(0)):
                    self._write(answer)
                if self._greeting.done and not self._met.done():
                    self._met.set_result(None)
            self._hand_out(payloads)
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
        raise LinkLost(NOT_IN_TIME, sent=False, late=True) from None
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
