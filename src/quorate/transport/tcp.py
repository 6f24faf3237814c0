"""TCP: one listening port for peers and clients, and one outgoing link to each peer.

A node sends to a peer only on the link that it dialled itself, and hears the peer on the link that the peer
dialled. Everything that becomes ready in one turn of the loop leaves with one write for each connection.
"""

import asyncio
import logging
import random
from collections.abc import Collection
from typing import Final

import msgspec

from quorate.core.auth.shares import Shares
from quorate.core.bounds import NodeId
from quorate.core.certificates import Protect
from quorate.core.limits import FRAME_BYTES_MAX
from quorate.core.messages import Message
from quorate.transport.accepted import Accepted
from quorate.transport.addresses import format_address
from quorate.transport.crowd import FrameStalled, GaveUpItsPlace, TooMuchUnfinished, Unfinished, idle_longest
from quorate.transport.entry import Door, Guesses, OpenDoor
from quorate.transport.handshakes import Handshakes
from quorate.transport.interface import Handler
from quorate.transport.links import PeerLink
from quorate.transport.security import Security
from quorate.wire.frames import WireError
from quorate.wire.handshake import Hello

log = logging.getLogger("quorate.transport")

AT_ONCE = 16
"""Idle connections beyond the one that is needed that give up their places together: looking for them takes time."""
LOOK_AGAIN_S = 0.1
"""When none was idle."""


class Limits(msgspec.Struct, frozen=True):
    """Bounds on what connections may hold in memory. Bytes, counts and seconds."""

    connections: int = 4096
    """Accepted connections; one more client takes an idle one's place or is refused, a peer never is."""
    user_connections: int = 1024
    """Of one user; one more takes the place of an idle one of theirs, or is refused."""
    user_requests: int = 8192
    """Unanswered requests of one user, on all connections; one more is refused."""
    user_request_bytes: int = 256 * 1024 * 1024
    """Their bytes; a request of somebody who has nothing else under way may have more."""
    client_requests: int = 1024
    """Unanswered requests of one connection before reading from it stops."""
    client_request_bytes: int = 16 * 1024 * 1024
    """Unanswered bytes of one connection before reading from it stops."""
    write_buffer: int = 1024 * 1024
    """Bytes the operating system has not taken yet before a connection counts as slow."""
    unfinished_bytes: int = 2 * FRAME_BYTES_MAX
    """Of all clients' frames whose end has not arrived, together."""
    stalled_s: float = 5.0
    """How long such a frame may be no longer than it was."""
    idle_s: float = 10.0
    """How long a client has asked nothing that gives up its place when others wait."""
    peer_queue: int = 32 * 1024 * 1024
    """Bytes kept for a slow peer before the oldest messages are dropped."""
    greeting_s: float = 5.0
    """How long a new connection may take to say who it is."""
    dial_s: float = 2.0
    redial_first_s: float = 0.05
    redial_last_s: float = 1.0
    vanished_peer_s: float = 5.0
    vanished_client_s: float = 30.0
    """How long a client may read nothing while there is something to read."""
    linger_s: float = 1.0
    """How long a refused connection may take to read why."""


class TcpTransport:
    """Keeps `transport.interface.Transport` over TCP. Belongs to one running event loop."""

    def __init__(
        self,
        me: Hello,
        handler: Handler,
        rng: random.Random,
        limits: Limits | None = None,
        security: Security | None = None,
    ) -> None:
        self.me: Final = me
        self.handler: Final = handler
        self.rng: Final = rng
        self.limits: Final = limits or Limits()
        self.security: Final = security or Security()
        self.loop: Final = asyncio.get_running_loop()
        self.dirty: set[Accepted] = set()
        """Client connections that have something to flush."""
        self.accepted: set[Accepted] = set()
        self.incoming: dict[NodeId, Accepted] = {}
        """The connection on which each peer is heard."""
        self.closing = False
        self.leaving = 0
        """Accepted connections that were told why they are closed, and are still there."""
        self._look_again_s = 0.0
        self._unfinished: Unfinished[Accepted] = Unfinished(self.limits.unfinished_bytes, self.limits.stalled_s)
        self._stalls: asyncio.TimerHandle | None = None
        """Looks for frames that do not grow, while there are any."""
        self._links: dict[NodeId, PeerLink] = {}
        self._announced: set[NodeId] = set()
        """Peers of which the handler last heard that they are reachable."""
        self._server: asyncio.Server | None = None
        self.door: Door = OpenDoor()
        """Who has to log in; set before `listen`."""
        self.guesses: Final = Guesses()
        self.shares: Final = Shares(self.limits.user_requests, self.limits.user_request_bytes)
        self.handshakes: Final = Handshakes(self.loop)

    async def listen(self, host: str, port: int) -> str:
        """Begin to accept connections; port 0 picks a free one. Returns the address. Raises OSError."""
        self._server = await self.loop.create_server(lambda: Accepted(self), host, port, backlog=1024)
        found = self._server.sockets[0].getsockname()
        return format_address(found[0], found[1])

    def connect(self, peer: NodeId, address: str) -> None:
        link = self._links.get(peer)
        if not address and link is None and peer in self.incoming:
            address = self.incoming[peer].address
        if peer == self.me.node or not address or self.closing:
            return
        if link is not None and link.address == address:
            return
        if link is not None:
            link.close()
        self._links[peer] = link = PeerLink(self, peer, address)
        link.dial()

    def disconnect(self, peer: NodeId) -> None:
        link = self._links.pop(peer, None)
        if link is not None:
            link.close()
            self._announced.discard(peer)

    def send(self, to: NodeId, message: Message) -> None:
        link = self._links.get(to)
        if link is None:
            return
        try:
            link.send(message)
        except WireError:
            log.exception("a %s to node %d cannot be sent", type(message).__name__, to)

    def end_logins(self, names: Collection[str], *, nameless: bool) -> None:
        for connection in list(self.accepted):
            connection.end_login(names, nameless=nameless)

    def protect(self, how: Protect) -> None:
        security = self.security
        security.required, security.revoked = how.required, frozenset(how.revoked)
        security.certified.update(how.certified)
        self.review_connections()

    def review_connections(self) -> None:
        """What is asked of connections has changed: end those that would not be made so any more."""
        for connection in list(self.accepted):
            connection.review()
        for link in self._links.values():
            link.review()

    def certify(self, peer: NodeId) -> None:
        """A peer has shown its certificate: it is not dialled in plain text any more."""
        self.security.certified.add(peer)
        if peer in self._links:
            self._links[peer].review()

    def flush(self) -> None:
        for link in self._links.values():
            link.flush()
        if self.dirty:
            now_s = self.loop.time()
            for connection in self.dirty:
                connection.flush(now_s)
            self.dirty.clear()

    def crowded(self, reserved: int = 0) -> bool:
        """Whether there are more connections than this node takes, and so many beyond; none that is idle has to be
        among them."""
        over = len(self.accepted) - self.leaving - self.limits.connections - reserved
        now = self.loop.time()
        if over > 0 and now >= self._look_again_s:
            idle = idle_longest(self.accepted, now - self.limits.idle_s, over + AT_ONCE)
            for connection in idle:
                connection.refuse(GaveUpItsPlace("the connection was not used, and others wait for its place"))
            over -= len(idle)
            self._look_again_s = now if idle else now + LOOK_AGAIN_S
        return over > 0

    def crowded_by(self, user: str, newcomer: Accepted) -> bool:
        """Whether this user has as many other connections as one may have, none of them idle."""
        theirs = [each for each in self.accepted if each.user == user and each is not newcomer]
        over = len(theirs) + 1 - self.limits.user_connections
        if over <= 0:
            return False
        idle = idle_longest(theirs, self.loop.time() - self.limits.idle_s, over)
        for connection in idle:
            connection.refuse(GaveUpItsPlace("the connection was not used, and its user has made another"))
        return len(idle) < over

    def hold(self, connection: Accepted, size: int, *, paused: bool) -> None:
        """A client has so much of a frame here whose end has not arrived."""
        most = self._unfinished.hold(connection, size, self.loop.time(), paused=paused)
        if self._unfinished and self._stalls is None and not self.closing:
            self._look_for_stalls()
        if most is not None:
            text = (
                f"this node keeps at most {self.limits.unfinished_bytes} bytes of requests that have not arrived whole"
            )
            most.refuse(TooMuchUnfinished(text))

    def _look_for_stalls(self) -> None:
        """In a while; and again as long as there are unfinished frames."""
        after_s = self.limits.stalled_s / 2
        due = self.loop.time() + after_s

        def look() -> None:
            self._stalls = None
            self.end_stalled(self.loop.time(), late_s=self.loop.time() - due)
            if self._unfinished and not self.closing:
                self._look_for_stalls()

        self._stalls = self.loop.call_later(after_s, look)

    def end_stalled(self, now: float, late_s: float = 0.0) -> None:
        """End the connections whose frames have not grown for too long; but none when this look comes so late that it
        was this process that did not run."""
        if late_s > self.limits.stalled_s / 2:
            self._unfinished.forgive(now)
        for connection in self._unfinished.stalled(now):
            connection.refuse(
                FrameStalled(f"a request has not arrived whole, nor more of it for {self.limits.stalled_s:g} s")
            )

    def gained(self, peer: NodeId) -> None:
        """One of the two links with a peer came up."""
        link = self._links.get(peer)
        if link is None:
            return
        if not link.up:
            link.hurry()
        elif peer not in self._announced:
            self._announced.add(peer)
            log.info("node %d is reachable at %s", peer, link.address)
            self.handler.reachable(peer)

    def lost(self, peer: NodeId) -> None:
        """One of the two links with a peer went down: its process may be gone."""
        if peer in self._announced and not self.closing:
            self._announced.discard(peer)
            log.info("node %d is unreachable", peer)
            self.handler.unreachable(peer)

    def stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()

    async def close(self, *, orderly: bool = True) -> None:
        """Close every connection; `orderly`: after everything queued has been written."""
        if orderly:
            self.flush()
        self.closing = True
        if self._stalls is not None:
            self._stalls.cancel()
        self.stop_listening()
        for link in self._links.values():
            link.close()
        for connection in list(self.accepted):
            connection.close() if orderly else connection.abort()
        for _ in range(50):
            if not self.accepted and not any(link.busy for link in self._links.values()):
                break
            await asyncio.sleep(0.01)
        for connection in list(self.accepted):
            connection.abort()
        for link in self._links.values():
            link.abort()
        await asyncio.sleep(0)  # the loop tells a connection in its next turn that it is gone
        if self._server is not None:
            await self._server.wait_closed()
