"""The outgoing link to one peer: dials, greets, sends, and dials again."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, cast

import msgspec

from quorate.core.bounds import NodeId
from quorate.core.messages import SINCE, Message
from quorate.tls.layer import Tls
from quorate.transport.accepted import tune
from quorate.transport.addresses import parse_address
from quorate.transport.security import PlaintextRefused
from quorate.wire.codec import encode
from quorate.wire.frames import FrameReader, WireError, frame
from quorate.wire.handshake import VERSION, greeting, meet, read_refusal, spoken

if TYPE_CHECKING:
    from quorate.transport.tcp import TcpTransport

log = logging.getLogger("quorate.transport")


class PeerLink:
    """Keeps one connection to a peer for as long as it is not closed.

    Messages are only queued while the link is up: what was meant for a peer that is away is stale when it
    returns, and every protocol here survives loss. A peer that is too slow loses its oldest messages.
    """

    def __init__(self, owner: TcpTransport, peer: NodeId, address: str) -> None:
        self.peer = peer
        self.address = address
        self.up = False
        self.dropped = 0
        """Messages dropped because the peer was slow."""
        self._owner = owner
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._slow = False
        self._version = VERSION
        """What both sides speak on the connection that is up."""
        self._failures = 0
        self._closed = False
        self._dialled: Dialled | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._complaint = ""

    @property
    def busy(self) -> bool:
        """Whether a connection or an attempt at one is still there."""
        return self._dialled is not None or self._dialling is not None

    def dial(self) -> None:
        """Try now."""
        self._timer = None
        if self._closed or self.busy:
            return
        self._dialling = self._owner.loop.create_task(self._try())

    async def _try(self) -> None:
        try:
            host, port = parse_address(self.address)
            async with asyncio.timeout(self._owner.limits.dial_s):
                await self._owner.loop.create_connection(lambda: Dialled(self, self._owner), host, port)
        except (OSError, ValueError, TimeoutError) as error:
            self.complain(str(error) or "no answer")
            self._again()
        finally:
            self._dialling = None

    def _again(self) -> None:
        """Dial later: exponential back-off with jitter, so that restarted nodes do not knock in step."""
        if self._closed or self._timer is not None:
            return
        limits = self._owner.limits
        wait = min(limits.redial_last_s, limits.redial_first_s * 2 ** min(self._failures, 16))
        self._failures += 1
        self._timer = self._owner.loop.call_later(wait * self._owner.rng.uniform(0.5, 1.0), self.dial)

    def hurry(self) -> None:
        """The peer has just dialled us, so it is there: do not wait for the back-off to end."""
        self._failures = 0
        if self._timer is not None:
            self._timer.cancel()
            self.dial()

    def complain(self, reason: str) -> None:
        """Log why there is no connection, once for each reason."""
        level = logging.DEBUG if reason == self._complaint else logging.INFO
        log.log(level, "no connection to node %d at %s: %s", self.peer, self.address, reason)
        self._complaint = reason

    def made(self, dialled: Dialled) -> None:
        """The socket is connected; the greeting is under way."""
        self._dialled = dialled
        if self._closed:
            dialled.abort()

    def greeted(self, version: int) -> None:
        """The peer has said who it is; both speak this version."""
        self.up = True
        self._version = version
        self._failures = 0
        self._complaint = ""
        self._owner.gained(self.peer)

    def ended(self) -> None:
        """The connection is gone."""
        self._dialled = None
        was_up, self.up, self._slow = self.up, False, False
        self._queue.clear()
        self._queued = 0
        if self._closed:
            return
        self._again()
        if was_up:
            self._owner.lost(self.peer)

    def send(self, message: Message) -> None:
        """Queue one message. Raises FrameTooLong."""
        if not self.up or (SINCE and SINCE.get(type(message), 0) > self._version):
            return  # it is of an older release and could not read this
        data = frame(encode(message))
        self._queue.append(data)
        self._queued += len(data)
        if self._slow:
            while self._queued > self._owner.limits.peer_queue and len(self._queue) > 1:
                self._queued -= len(self._queue.popleft())
                self.dropped += 1

    def flush(self) -> None:
        if self._queued and not self._slow and self._dialled is not None:
            queue = self._queue
            self._dialled.write(queue[0] if len(queue) == 1 else b"".join(queue))
            queue.clear()
            self._queued = 0

    def review(self) -> None:
        """Hang up if the connection would not be made so any more; it is dialled again."""
        dialled, security = self._dialled, self._owner.security
        if dialled is None:
            return
        try:
            if dialled.tls is None and security.dials_by_tls(self.peer):
                raise PlaintextRefused("the peer is dialled by TLS from now on")
            security.check_revoked(dialled.tls if dialled.tls is not None and dialled.tls.ready else None)
        except WireError as error:
            self.complain(str(error))
            dialled.abort()

    def set_slow(self, slow: bool) -> None:
        """Whether the operating system has enough of ours to write."""
        self._slow = slow
        if not slow:
            self.flush()

    def close(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._dialling is not None:
            self._dialling.cancel()
        if self._dialled is not None:
            self._dialled.close()

    def abort(self) -> None:
        """After `close`: wait for nothing any more."""
        if self._dialled is not None:
            self._dialled.abort()


class Dialled(asyncio.Protocol):
    """The connection of a `PeerLink`. Nothing but a greeting or a refusal comes back on it."""

    def __init__(self, link: PeerLink, owner: TcpTransport) -> None:
        self._link = link
        self._owner = owner
        self._me = msgspec.structs.replace(owner.me, wanted=link.peer)
        self._reader = FrameReader()
        self.tls = owner.security.dialling(link.peer)
        """None: in plain text."""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._greeted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = made = cast(asyncio.Transport, transport)
        tune(made, self._owner.limits.vanished_peer_s)
        made.set_write_buffer_limits(self._owner.limits.write_buffer)
        self._timer = self._owner.loop.call_later(self._owner.limits.greeting_s, self._late)
        self._link.made(self)
        if self.tls is not None:
            self.tls.feed(b"")
            made.write(self.tls.outgoing())
            return
        try:
            self._owner.security.check_plain(made.get_extra_info("peername"))
        except WireError as error:
            self._link.complain(str(error))
            made.abort()
            return
        made.write(greeting(self._me))

    def _decrypted(self, tls: Tls, data: bytes) -> bytes:
        """What arrived, as plain text; greets when the other side has proved who it is. Raises WireError."""
        begins = not tls.ready
        try:
            plain = tls.feed(data)
            if begins and tls.ready:
                self._owner.security.check_peer(tls, self._link.peer)
                self.write(greeting(self._me))
        finally:
            if self._transport is not None and (out := tls.outgoing()):
                self._transport.write(out)
        if tls.ended:
            self.close()
        return plain

    def data_received(self, data: bytes) -> None:
        try:
            if self.tls is not None:
                data = self._decrypted(self.tls, data)
            for payload in self._reader.feed(data):
                if self._greeted:
                    raise read_refusal(payload)
                version = spoken(self._me, meet(self._me, payload))
                self._greeted = True
                if self._timer is not None:
                    self._timer.cancel()
                self._link.greeted(version)
        except WireError as error:
            self._link.complain(str(error))
            self.abort()

    def _late(self) -> None:
        self._link.complain("no greeting arrived in time")
        self.abort()

    def pause_writing(self) -> None:
        self._link.set_slow(True)

    def resume_writing(self) -> None:
        self._link.set_slow(False)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._transport = None
        if exc is not None:
            log.debug("the connection to node %d broke: %s", self._link.peer, exc)
        self._link.ended()

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data if self.tls is None else self.tls.protect(data))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
