"""A connection that somebody opened to this node: a client that asks, or a peer that speaks."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Collection
from math import inf
from typing import TYPE_CHECKING, Any, cast

from msgspec import structs

from quorate.core.auth.shares import Share
from quorate.core.auth.users import Login
from quorate.core.bounds import NodeId
from quorate.core.limits import FRAME_BYTES_MAX
from quorate.core.requests import Left, ReplyBody, Told
from quorate.tls.layer import HANDSHAKE, Tls
from quorate.transport.entry import ENTRY_BYTES_MAX, Entry, certified
from quorate.transport.oversize import shortened
from quorate.transport.security import PlaintextRefused
from quorate.wire.codec import decode_asked, decode_message, encode
from quorate.wire.frames import FrameReader, FrameTooLong, NotOurProtocol, WireError, add_frame
from quorate.wire.handshake import NODE, Hello, greeting, meet, refusal
from quorate.wire.login import LoginRefused

if TYPE_CHECKING:
    from quorate.transport.tcp import TcpTransport

log = logging.getLogger("quorate.transport")


ENTERS_S = 1.0
"""How long a connection may be without a greeting and a login before it gives up its place when others wait."""
HANDSHAKE_BYTES_MAX = 64 * 1024
RESERVED = 64
"""Connections beyond the limit that may greet: clients, however many, must not keep peers out."""


class TooManyConnections(WireError):
    """The node has as many connections as it takes."""

    code = "busy"


def tune(transport: asyncio.Transport, vanished_s: float) -> None:
    """No waiting for full packets; give up after `vanished_s` seconds in which the other machine took nothing
    (the operating system would try for many minutes)."""
    found = transport.get_extra_info("socket")
    if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(vanished_s * 1000))


class Accepted(asyncio.Protocol):
    """One accepted connection, from its greeting to its end.

    Reading stops while the client has too many unanswered requests or does not read its answers; the
    kernel's window then holds it back, so that no client can make the node keep more than the limits say.
    """

    def __init__(self, owner: TcpTransport) -> None:
        self._owner = owner
        self._limits = owner.limits
        self._asked = owner.handler.asked
        self._reader = FrameReader(ENTRY_BYTES_MAX, one_by_one=True)
        self._peeks = owner.security.credentials is not None
        """The first byte, which has not come, tells whether TLS is spoken."""
        self._guarded = self._peeks
        """TLS is spoken, or may be."""
        self._shakes = False
        """It is its turn to shake hands."""
        self.tls: Tls | None = None
        """None: in plain text."""
        self._shaking = bytearray()
        """Of its handshake; it waits for its turn."""
        self._out = bytearray()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._them: Hello | None = None
        self._entry: Entry | None = None
        """A client that has greeted and has to log in."""
        self._entering = True
        """It has not greeted yet, or not logged in."""
        self.login: Login | None = None
        """See `interface.Caller`."""
        self._share: Share | None = None
        """What its user has under way."""
        self._made_s = 0.0
        self._peer: NodeId = 0
        self._held: deque[bytes] = deque()
        """Requests that arrived while the client had too much waiting; looked at when there is room."""
        self._left: set[int] = set()
        """Unanswered requests that the client has ceased to wait for."""
        self._waiting = 0
        self._waiting_bytes = 0
        self._slow = False
        """The other side does not read what we wrote."""
        self._paused = False
        self._refused = False
        self._where = "?"
        self._used_s = 0.0
        """When something was asked or answered last."""
        self._unfinished = 0
        """Bytes of a frame whose end has not arrived, as far as they count."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = made = cast(asyncio.Transport, transport)
        tune(made, self._limits.vanished_client_s)
        made.set_write_buffer_limits(self._limits.write_buffer)
        self._where = _where(made.get_extra_info("peername"))
        owner = self._owner
        owner.accepted.add(self)
        if owner.closing:  # it was on its way when listening ended
            made.abort()
            return
        self._made_s = owner.loop.time()
        self._timer = owner.loop.call_later(self._limits.greeting_s, self._greeting_late)
        if not self._peeks:
            self._begin_plain()
        if owner.crowded(RESERVED):
            self.refuse(TooManyConnections(f"this node takes {self._limits.connections} connections"))

    def _begin_plain(self) -> None:
        """Nothing is encrypted here, if that may be."""
        assert self._transport is not None
        try:
            self._owner.security.check_plain(self._transport.get_extra_info("peername"))
        except WireError as error:
            self.refuse(error)
        else:
            self._transport.write(self._greeting())

    def _decrypted(self, data: bytes) -> bytes:
        """What arrived, as plain text. Raises TlsFailed."""
        tls, transport = self.tls, self._transport
        assert tls is not None
        assert transport is not None
        try:
            plain = tls.feed(data)
        finally:
            if out := tls.outgoing():
                transport.write(out)
        if tls.ended:
            transport.close()
        return plain

    def _write(self, data: bytes | bytearray) -> None:
        """Send plain text, encrypted where the connection is."""
        if self._transport is not None:
            self._transport.write(data if self.tls is None else self.tls.protect(data))

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._guarded and self._must_wait(data):
            return
        try:
            if self.tls is not None:
                data = self._decrypted(data)
            payloads = self._reader.feed(data)
            while self._entering and payloads:
                self._enter(payloads[0])
                payloads = self._reader.feed(b"")
            if self._reader.rest or self._unfinished:
                self._note_unfinished()
            if self._peer:
                for payload in payloads:
                    self._owner.handler.delivered(self._peer, decode_message(payload))
            elif self._paused or self._held:
                self._held.extend(payloads)
                self._take_held()
            else:
                self._take(payloads)
        except WireError as error:
            self.refuse(error)

    def _must_wait(self, data: bytes) -> bool:
        """Where TLS is, or may be, spoken: whether this must not be looked at, not now or not at all."""
        if self._peeks:
            self._peeks = False
            if data[0] != HANDSHAKE:
                self._guarded = False
                self._begin_plain()
                return self._refused
            self.tls = self._owner.security.accepting()
        if self._shakes or self.tls is None or self.tls.ready:
            return False
        self._shaking += data  # a handshake takes a thousand times as long as a frame
        if len(self._shaking) > HANDSHAKE_BYTES_MAX:
            self.refuse(NotOurProtocol("a TLS handshake that does not end"))
        elif len(self._shaking) == len(data):
            self._owner.handshakes.wait(self)
        return True

    def shake(self) -> None:
        """Its turn has come: go on with the handshake, if the other side is still there."""
        data, self._shaking = bytes(self._shaking), bytearray()
        if self._transport is not None and not self._transport.is_closing():
            self._shakes = True
            self.data_received(data)
            self._shakes = False

    def _note_unfinished(self) -> None:
        """The frame whose end has not arrived has changed its size. Those of peers do not count."""
        size = 0 if self._peer else len(self._reader.rest)
        if size or self._unfinished:
            self._unfinished = size
            self._owner.hold(self, size, paused=self._paused)

    @property
    def idle_since(self) -> float:
        """See `crowd.Connection`."""
        busy = self._waiting or self._held or self._out or self._unfinished or self._slow
        if self._entering and not self._refused:  # who says nothing of worth soon gives way
            return self._made_s + ENTERS_S - self._limits.idle_s
        return inf if busy or self._peer or self._refused else self._used_s

    @property
    def user(self) -> str:
        """Whose it is; empty: nobody's, or it is being closed."""
        return self.login.name if self.login is not None and not self._refused else ""

    @property
    def address(self) -> str:
        """Where the other side says that it listens; empty: nowhere, or it has not said who it is."""
        return self._them.address if self._them is not None else ""

    def _take(self, payloads: list[bytes]) -> None:
        """Hand over what has arrived, as far as the limits allow; what is left is held, and no more is read."""
        left = iter(payloads)
        for payload in left:
            ask = decode_asked(payload)
            if isinstance(ask, Left):
                self._has_left(ask.id)
                continue
            size = len(payload)
            if self._share is not None and (refused := self._share.take(size)) is not None:
                self.mention(ask.id, refused)
                continue
            self._waiting += 1
            self._waiting_bytes += size
            self._asked(self, ask.id, ask.body, size, ask.waits_us)
            if self._full():
                self._held.extend(left)
                self._pause()
                return

    def _has_left(self, ask: int) -> None:
        """The client does not wait for this answer any more, if it has not been told already."""
        if self._waiting:
            if len(self._left) >= self._limits.client_requests:  # most were answered while word of it was on its way
                self._left.clear()
            self._left.add(ask)
            self._owner.handler.left(self, ask)

    def _take_held(self) -> None:
        """Hand over what is held, as far as the limits allow; read on only when all of it was handed over."""
        if self._refused or self._transport is None or self._transport.is_closing():
            return
        held = self._held
        while held and not self._full():
            self._take([held.popleft()])
        if held or self._full():
            self._pause()
        elif self._paused:
            self._paused = False
            self._transport.resume_reading()
            if self._unfinished:
                self._note_unfinished()

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
            if self._unfinished:
                self._note_unfinished()

    def _full(self) -> bool:
        """Whether the client has as much waiting, or unread, as it may have."""
        limits = self._limits
        return (
            self._slow
            or self._waiting >= limits.client_requests
            or self._waiting_bytes >= limits.client_request_bytes
            or len(self._out) >= limits.write_buffer
        )

    def _resume(self) -> None:
        """There may be room again."""
        try:
            self._take_held()
        except WireError as error:
            self.refuse(error)

    def _greeting(self) -> bytes:
        return greeting(structs.replace(self._owner.me, logins=self._owner.door.logins(), user=self.user))

    def _enter(self, payload: bytes) -> None:
        """The greeting, or a message of a login."""
        owner = self._owner
        if self._entry is not None:
            answer = self._entry.take(payload, owner.loop.time())
            self._write(answer)
            self.login = self._entry.login
            if self.login is not None and self._them is not None:
                self._entered(self._them)
            return
        them = meet(owner.me, payload)
        if them.role == NODE and not them.node:  # what it says next would be taken for a client's
            raise NotOurProtocol("a node without an id")
        if them.role != NODE:
            owner.security.check_revoked(self.tls)
        origin = self._where.rpartition(":")[0]
        if them.role == NODE or not owner.door.must_log_in():
            self._entered(them)
        elif (login := certified(owner.door, *owner.security.user(self.tls), origin)) is not None:
            self.login = login
            self._entered(them)
        else:
            self._them = them
            self._entry = Entry(owner.door, owner.guesses, origin)
        if self.tls is not None:  # who has not greeted learns nothing of this node
            self._write(self._greeting())

    def _entered(self, them: Hello) -> None:
        owner = self._owner
        if them.role == NODE:
            owner.security.check_peer(self.tls, them.node)
        else:
            if owner.crowded():
                raise TooManyConnections(f"this node takes {self._limits.connections} connections")
            if self.user and owner.crowded_by(self.user, self):
                most = self._limits.user_connections
                raise TooManyConnections(f"{self.user} has {most} connections to this node, as many as one user may")
            self._share = owner.shares.of(self.user) if self.user else None
            self._used_s = owner.loop.time()
        self._them = them
        self._entering = False
        self._reader.limit, self._reader.one_by_one = FRAME_BYTES_MAX, False
        if self._timer is not None:
            self._timer.cancel()
        log.debug("%s is %s %s", self._where, them.role, them.name or them.node)
        if them.role == NODE:
            earlier = owner.incoming.get(them.node)
            self._peer = them.node
            owner.incoming[them.node] = self
            if earlier is not None:
                earlier.close()
            owner.gained(them.node)
            owner.handler.located(them.node, them.address, certified=them.certified)
            if self.tls is not None:
                owner.certify(them.node)

    def tell(self, ask: int, body: ReplyBody, size: int | None) -> None:
        """See `interface.Caller`. Without a size the answer is still owed."""
        if size is not None:
            self._waiting -= 1
            self._waiting_bytes -= size
            if self._share is not None:
                self._share.give_back(size)
            if self._left:
                self._left.discard(ask)
        out = self._out
        if not out:
            self._owner.dirty.add(self)
        try:
            add_frame(out, encode(Told(ask, body)))
        except FrameTooLong:
            add_frame(out, encode(Told(ask, shortened(body))))

    def mention(self, ask: int, body: ReplyBody) -> None:
        self.tell(ask, body, None)

    def waits_for(self, ask: int) -> bool:
        return self._transport is not None and not self._refused and ask not in self._left

    def flush(self, now_s: float) -> None:
        """Write everything told since the last flush; if the other side is still there."""
        out, self._out = self._out, bytearray()
        transport = self._transport
        if out and transport is not None and not self._refused:
            self._used_s = now_s
            transport.write(out if self.tls is None else self.tls.protect(out))
            if self._paused:
                self._owner.loop.call_soon(self._resume)

    def pause_writing(self) -> None:
        self._slow = True
        self._pause()

    def resume_writing(self) -> None:
        self._slow = False
        if self._paused:
            self._resume()

    def _greeting_late(self) -> None:
        late = "no greeting arrived in time" if self._them is None else "no login arrived in time"
        self.refuse(NotOurProtocol(late))

    def end_login(self, names: Collection[str], *, nameless: bool) -> None:
        """Close the connection if it is a client's that is logged in under one of these names, or under none."""
        if self._entering or self._peer:
            return
        if self.login.name in names if self.login is not None else nameless:
            self.refuse(LoginRefused("what this login may do has changed: log in again"))

    def review(self) -> None:
        """End it if a connection like this would not be accepted any more."""
        security = self._owner.security
        if self._peeks or self._refused or (self.tls is not None and not self.tls.ready):
            return  # its own turn comes
        try:
            if self.tls is None and security.required:
                raise PlaintextRefused("this cluster speaks TLS only")
            security.check_revoked(self.tls)
        except WireError as error:
            self.refuse(error)

    def refuse(self, error: WireError) -> None:
        """Say why, then close. What still arrives is read and dropped for a moment: closing over unread
        data would reset the connection and destroy the refusal on its way."""
        transport = self._transport
        if transport is None or self._refused:
            return
        log.warning("closed the connection from %s: %s", self._where, error)
        self.flush(self._used_s)
        self._let_go()
        self._refused = True
        self._owner.leaving += 1
        if self._timer is not None:
            self._timer.cancel()
        if self._paused:
            transport.resume_reading()
        if self._peeks or (self.tls is not None and not self.tls.ready):
            transport.abort()  # there is no language yet in which to say why
            return
        self._write(refusal(error))
        if transport.can_write_eof():
            transport.write_eof()
        self._timer = self._owner.loop.call_later(self._limits.linger_s, transport.abort)

    def _let_go(self) -> None:
        """Of the frame whose end will not be waited for."""
        self._reader = FrameReader()
        if self._unfinished:
            self._note_unfinished()

    def eof_received(self) -> bool:
        """Let the transport close; answers that are not ready will find the connection gone."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._out.clear()
        self._held.clear()
        owner = self._owner
        self._let_go()
        owner.leaving -= self._refused
        owner.accepted.discard(self)
        owner.dirty.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        log.debug("the connection from %s ended: %s", self._where, exc or "closed")
        if self._peer and owner.incoming.get(self._peer) is self:
            del owner.incoming[self._peer]
            owner.lost(self._peer)
        if self._waiting:
            owner.handler.left(self)

    def close(self) -> None:
        """Write what is left and close."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _where(peername: Any) -> str:
    return f"{peername[0]}:{peername[1]}" if isinstance(peername, tuple) and len(peername) >= 2 else "a stranger"
