"""A faulty TCP proxy in front of every node: the links between nodes run through it and can be harmed one way.

Each node listens on its real address and is known to all by its proxy's. Who dials is read off the first frame
of a connection, the greeting; a node speaks only on connections that it dialled itself, so harming a connection
harms one direction of one pair. Clients pass unharmed. One thread serves every connection.
"""

import contextlib
import random
import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec import Struct

from quorate.wire.frames import FrameReader, WireError
from quorate.wire.handshake import NODE, Hello

Link = tuple[str, str]
"""(who sends, who hears), by the nodes' names."""

CHUNK = 65_536
QUEUE_BYTES_MAX = 4 * 1024 * 1024
"""Bytes that wait in one direction of one connection before the proxy stops reading from its sender."""
LINGER_RESET = struct.pack("ii", 1, 0)
IDLE_S = 0.5
FAR = float("inf")

_hello = msgspec.msgpack.Decoder(Hello)


class Harm(Struct, frozen=True):
    """What one direction of a pair suffers. All zero: nothing."""

    name: str
    hold: bool = False
    """Nothing passes; what was sent waits, and comes late when the link is mended."""
    refuse: bool = False
    """Connections break, and new ones break at once."""
    delay_s: float = 0.0
    jitter_s: float = 0.0
    bytes_per_s: float = 0.0
    """0: as fast as it goes."""
    break_chance: float = 0.0
    """For each piece that passes: the chance that it is lost, and its connection with it."""


class _Way:
    """One direction of one connection: what was read and is not yet written."""

    __slots__ = ("connection", "finished", "free_at", "queue", "queued", "source", "target")

    def __init__(self, connection: "_Connection", source: socket.socket, target: socket.socket) -> None:
        self.connection = connection
        self.source = source
        self.target = target
        self.queue: deque[tuple[float, bytes]] = deque()
        """(not before this moment, bytes)"""
        self.queued = 0
        self.free_at = 0.0
        """When the link, where it is slow, has let through what came before."""
        self.finished = False
        """The sender has closed."""


class _Connection:
    """A caller and a node, joined."""

    def __init__(self, caller: socket.socket, node: socket.socket, target: str) -> None:
        self.caller = caller
        self.node = node
        self.target = target
        self.link: Link | None = None
        """Known once the caller has greeted as a node."""
        self.reader: FrameReader | None = FrameReader()
        self.there = _Way(self, caller, node)
        self.back = _Way(self, node, caller)
        self.closed = False


class Proxies:
    """One listening proxy for each node. `harm` and `mend` may be called from any thread."""

    def __init__(self, routes: Mapping[str, tuple[tuple[str, int], tuple[str, int]]], seed: int = 0) -> None:
        """`routes`: a node's name -> (where its proxy listens, where the node does). Raises OSError."""
        self._routes = dict(routes)
        self._rng = random.Random(f"{seed}/proxies")
        self._lock = threading.Lock()
        self._harms: dict[Link, Harm] = {}
        self.felt: dict[str, int] = {}
        """For each harm's name, how many pieces or connections felt it: evidence that it struck."""
        self._to_reset: set[Link] = set()
        self._connections: set[_Connection] = set()
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._wake_in, self._wake_out = socket.socketpair()
        for end in (self._wake_in, self._wake_out):
            end.settimeout(0)
        self._selector.register(self._wake_out, selectors.EVENT_READ, self._woken)
        self._listeners: list[socket.socket] = []
        for name, (listen, _) in self._routes.items():
            self._listen(name, listen)
        self._thread = threading.Thread(target=self._run, name="proxies", daemon=True)
        self._thread.start()

    def _listen(self, name: str, address: tuple[str, int]) -> None:
        listener = socket.create_server(address, backlog=256)
        listener.settimeout(0)
        self._listeners.append(listener)
        self._selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener, name))

    # ---- for the campaign ------------------------------------------------------------------------------

    def harm(self, links: Iterable[Link], harm: Harm) -> None:
        """These links suffer this from now on, instead of anything before."""
        with self._lock:
            for link in links:
                self._harms[link] = harm
        self._wake()

    def mend(self, *, reset: bool = False) -> None:
        """All links are sound again. What was held comes late, or (`reset`) is lost with its connection."""
        with self._lock:
            held = {link for link, harm in self._harms.items() if harm.hold}
            self._harms.clear()
            self._to_reset = held if reset else set()
        self._wake()

    def stop(self) -> None:
        """Close everything and wait for the thread."""
        self._stopping = True
        self._wake()
        self._thread.join()
        for end in (self._wake_in, self._wake_out):  # not by the thread: it may have ended before it was woken
            end.close()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_in.send(b"x")

    # ---- the loop --------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            wait = self._next_due() - time.monotonic()
            for key, _ in self._selector.select(min(IDLE_S, max(0.0, wait))):
                key.data()
            self._serve()
        for connection in list(self._connections):
            self._close(connection)
        for one in self._listeners:
            one.close()
        self._selector.close()

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake_out.recv(CHUNK):
                pass

    def _next_due(self) -> float:
        """When the next delayed piece may go on. One that is due and does not fit waits for its socket instead."""
        now = time.monotonic()
        moments = [
            due
            for connection in self._connections
            for way in (connection.there, connection.back)
            if (due := self._due(way)) > now
        ]
        return min(moments, default=now + IDLE_S)

    def _due(self, way: _Way) -> float:
        """Not before when the first waiting piece may go; 0 when at once. A mended link owes no more delay."""
        harm = self._harm_of(way.connection)
        if not way.queue or harm.hold:
            return FAR
        return way.queue[0][0] if harm is not SOUND else 0.0

    def _serve(self) -> None:
        """Break what is to break, and move what may move."""
        with self._lock:
            reset, self._to_reset = self._to_reset, set()
        now = time.monotonic()
        for connection in list(self._connections):
            harm = self._harm_of(connection)
            if harm.refuse:
                self._feel(harm)
                self._close(connection, reset=True)
            elif connection.link in reset:
                self._close(connection, reset=True)
            else:
                for way in (connection.there, connection.back):
                    self._push(way, now)
            if not connection.closed:
                self._watch(connection)

    def _harm_of(self, connection: _Connection) -> Harm:
        return SOUND if connection.link is None else self._harms.get(connection.link, SOUND)

    def _feel(self, harm: Harm) -> None:
        self.felt[harm.name] = self.felt.get(harm.name, 0) + 1

    # ---- connections -----------------------------------------------------------------------------------

    def _accept(self, listener: socket.socket, name: str) -> None:
        with contextlib.suppress(BlockingIOError):
            caller, _ = listener.accept()
            try:
                node = socket.create_connection(self._routes[name][1], timeout=1.0)
            except OSError:
                _reset(caller)
                return
            connection = _Connection(caller, node, name)
            for one in (caller, node):
                one.settimeout(0)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.add(connection)
            self._watch(connection)

    def _watch(self, connection: _Connection) -> None:
        """Ask the operating system for what this connection can use now."""
        for one, reading, writing in (
            (connection.caller, connection.there, connection.back),
            (connection.node, connection.back, connection.there),
        ):
            events = 0
            if not reading.finished and reading.queued < QUEUE_BYTES_MAX:
                events |= selectors.EVENT_READ
            if self._due(writing) <= time.monotonic():
                events |= selectors.EVENT_WRITE
            self._ask(one, events, self._reader(reading))

    def _ask(self, one: socket.socket, events: int, action: Callable[[], None]) -> None:
        known = self._selector.get_map().get(one)
        if known is None and events:
            self._selector.register(one, events, action)
        elif known is not None and not events:
            self._selector.unregister(one)
        elif known is not None and known.events != events:
            self._selector.modify(one, events, known.data)

    def _reader(self, way: _Way) -> Callable[[], None]:
        return lambda: self._read(way)

    def _read(self, way: _Way) -> None:
        connection = way.connection
        if connection.closed:
            return
        try:
            data = way.source.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self._close(connection, reset=True)
            return
        if not data:
            way.finished = True
            return
        if way is connection.there and connection.reader is not None:
            self._recognise(connection, data)
        harm = self._harm_of(connection)
        now = time.monotonic()
        due = now
        if harm is SOUND:
            way.free_at = 0.0
        else:
            breaks = harm.break_chance and self._rng.random() < harm.break_chance
            if breaks or not harm.break_chance:
                self._feel(harm)
            if breaks:
                self._close(connection, reset=True)
                return
            due += harm.delay_s + self._rng.uniform(-1.0, 1.0) * harm.jitter_s
            if harm.bytes_per_s:
                way.free_at = max(way.free_at, now) + len(data) / harm.bytes_per_s
                due = max(due, way.free_at)
        if way.queue:
            due = max(due, way.queue[-1][0])  # a stream keeps its order
        way.queue.append((due, data))
        way.queued += len(data)

    def _recognise(self, connection: _Connection, data: bytes) -> None:
        """Whose connection is it? Its first frame says so."""
        assert connection.reader is not None
        try:
            frames = connection.reader.feed(data)
            if not frames:
                return
            hello = _hello.decode(frames[0])
            if hello.role == NODE:
                connection.link = (hello.name, connection.target)
        except (WireError, msgspec.MsgspecError):
            pass  # no node of ours
        connection.reader = None

    def _push(self, way: _Way, now: float) -> None:
        """Write what is due."""
        try:
            while self._due(way) <= now:
                due, data = way.queue[0]
                sent = way.target.send(data)
                way.queued -= sent
                if sent < len(data):
                    way.queue[0] = (due, data[sent:])
                    return
                way.queue.popleft()
            if way.finished and not way.queue and not way.connection.closed:
                self._close(way.connection)
        except BlockingIOError:
            pass
        except OSError:
            self._close(way.connection, reset=True)

    def _close(self, connection: _Connection, *, reset: bool = False) -> None:
        if connection.closed:
            return
        connection.closed = True
        self._connections.discard(connection)
        for one in (connection.caller, connection.node):
            if self._selector.get_map().get(one) is not None:
                self._selector.unregister(one)
            _reset(one) if reset else one.close()


SOUND = Harm("")


def _reset(one: socket.socket) -> None:
    """Close so that the other side notices at once (RST)."""
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    one.close()
