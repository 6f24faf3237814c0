"""One connection to one node, shared by all threads of a process. `link_aio` is the same for tasks.

There is no background thread. Threads that wait for answers take turns at reading the socket: whoever
finds nobody reading becomes the reader, hands out what arrives, and when its own answer has come passes
the turn to one of the others.
"""

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable

from quorate.client.conversation import CLOSED_HERE, ENDED, NO_ROOM, NOT_IN_TIME, Conversation, PendingAnswer
from quorate.client.credentials import NOBODY, Credentials
from quorate.client.links import LinkLost, is_unread, reason_of
from quorate.client.protection import Protection
from quorate.client.url import split_address
from quorate.core.requests import ReplyBody, RequestBody
from quorate.tls.layer import Tls
from quorate.wire.frames import WireError

Lock = threading.Lock


def current_task() -> object:
    """The same in all threads: they share what a connection is in, and take turns."""
    return None


def commit_at_once(commit: Callable[[], object]) -> None:
    """Commit, because autocommit is switched on."""
    commit()


sleep = time.sleep

_CHUNK = 256 * 1024
_LOOK = 0.1
"""Seconds after which a thread that reads looks whether it is to go on waiting."""
_WORD = 0.1
"""Seconds in which a node may take a few bytes that nobody waits for."""


class Pending(PendingAnswer):
    """A request that was sent and not yet answered."""

    __slots__ = ("turn", "woken")

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.woken = False
        """Whoever waits for it is to look again."""
        self.turn: threading.Event | None = None
        """Set when the answer is here or when it is this thread's turn to read; None: nobody sleeps on it."""

    def wake(self) -> None:
        """Let the thread that waits look again."""
        if self.turn is not None:
            self.turn.set()


class Link(Conversation[Pending]):
    """Frames out, answers in."""

    def __init__(
        self, connected: socket.socket, cluster: str, tls: Tls | None, credentials: Credentials = NOBODY
    ) -> None:
        super().__init__(cluster, tls, credentials, Pending)
        connected.settimeout(0.0)
        self._socket = connected
        self._process = os.getpid()
        self._sending = threading.Lock()
        self._state = threading.Lock()
        """Guards what is pending and the turn."""
        self._turn_of: Pending | None = None
        """Whose thread is the reader, or has just been made it."""

    def send(self, body: RequestBody, seconds: float, waits_us: int = 0) -> Pending:
        """Send a request whose caller waits so much longer (0: not said). Raises LinkLost or DataError."""
        pending, frame = self._prepare(body, waits_us)
        with self._state:
            self._expect(pending)
        try:
            self._write(frame, time.monotonic() + seconds)
        except OSError as error:
            # A part of the frame may have left: the stream is of no further use.
            self._end(reason_of(error))
            raise LinkLost(reason_of(error), sent=True) from error
        return pending

    def wait(self, pending: Pending, seconds: float) -> ReplyBody | None:
        """The answer, or None when it has not come in this many seconds. Raises LinkLost."""
        until = time.monotonic() + seconds
        late = False
        while True:
            with self._state:
                if pending.settled:
                    return pending.answer()
                if late or pending.woken:
                    return None
                turn = None
                if self._turn_of is None:
                    self._turn_of = pending
                else:
                    pending.turn = turn = threading.Event()
            if turn is None or self._given_turn(pending, turn, until):
                self._read(pending, until)
            late = time.monotonic() >= until

    def answer(self, pending: Pending) -> ReplyBody | None:
        """The answer if it is here. Raises LinkLost."""
        return self.wait(pending, 0.0)

    def forget(self, pending: Pending, *, tell: bool = False) -> None:
        """Nobody waits for this answer any more; `tell` the node, which may be at work for it."""
        with self._state:
            frame = self._left(pending, tell=tell)
        if frame:
            try:
                self._write(frame, time.monotonic() + _WORD)
            except OSError as error:
                self._end(reason_of(error))

    def wake(self, pending: Pending) -> None:
        """Let whoever waits for this answer look again. Any thread may call it."""
        with self._state:
            pending.woken = True
            pending.wake()

    def close(self) -> None:
        """Hang up; waiting requests are lost."""
        self._end(CLOSED_HERE)

    def abandon(self) -> None:
        """Hang up for a client that was dropped."""
        self.close()

    def meet(self, until: float) -> None:
        """Exchange greetings and log in, before the link is shared. Raises LinkLost."""
        try:
            with self._sending:
                self._send_all(self._opening(), until)
            payloads: list[bytes] = []
            while not self._greeting.done:
                while not payloads:
                    if time.monotonic() >= until:
                        raise LinkLost(NOT_IN_TIME, sent=False, late=True)
                    payloads = self._receive(until)
                if answer := self._greeting.take(payloads.pop(0)):
                    self._write(answer, until)
            with self._state:
                self._hand_out(payloads)
        except (OSError, WireError, EOFError) as error:
            raise LinkLost(reason_of(error), sent=False) from error

    def _given_turn(self, pending: Pending, turn: threading.Event, until: float) -> bool:
        """Sleep until the answer is here, time is up, or this thread is made the reader (True)."""
        turn.wait(max(0.0, until - time.monotonic()))
        with self._state:
            pending.turn = None
            return self._turn_of is pending

    def _read(self, pending: Pending, until: float) -> None:
        """Read until this thread's answer is here or its time is up, then pass the turn on."""
        try:
            while not pending.settled:
                payloads = self._receive(min(until, time.monotonic() + _LOOK))
                if payloads:
                    with self._state:
                        self._hand_out(payloads)
                if pending.woken or time.monotonic() >= until:
                    break
        except (OSError, WireError, EOFError) as error:
            self._end(reason_of(error), unread=is_unread(error))
        finally:
            self._pass_on()

    def _write(self, data: bytes, until: float) -> None:
        """Send all of it. Raises OSError; TimeoutError when the node does not take it in time."""
        with self._sending:
            self._send_all(self._protected(data), until)

    def _send_all(self, data: bytes, until: float) -> None:
        """The same with bytes as they travel; the caller holds `_sending`."""
        view = memoryview(data)
        while True:
            try:
                view = view[self._socket.send(view) :]
                if not view:
                    return
            except (BlockingIOError, InterruptedError):
                if not _ready(self._socket, until, write=True):
                    raise TimeoutError(NO_ROOM) from None

    def _receive(self, until: float) -> list[bytes]:
        """Whole payloads; none when time ran out first. Raises OSError, EOFError or WireError."""
        try:
            data = self._socket.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            _ready(self._socket, until, write=False)
            return []
        if not data:
            raise EOFError(ENDED)
        return self._frames.feed(data if self._tls is None else self._decrypted(self._tls, data, until))

    def _decrypted(self, tls: Tls, data: bytes, until: float) -> bytes:
        """What has arrived, as plain text. Raises OSError or TlsFailed."""
        try:
            return tls.feed(data)
        finally:
            if tls.speaks:
                with self._sending:
                    self._send_all(tls.outgoing(), until)

    def _pass_on(self) -> None:
        """Make one sleeping thread the reader; nobody reads when nobody sleeps."""
        with self._state:
            for waiting in self._pending.values():
                if waiting.turn is not None and not waiting.turn.is_set():
                    self._turn_of = waiting
                    waiting.turn.set()
                    return
            self._turn_of = None
            over = self._lost is not None
        if over:
            self._close_socket()

    def _end(self, reason: str, *, unread: bool = False) -> None:
        """The link is over. A thread that is reading closes the socket itself when it is done: the number
        of a closed descriptor may be given to another file while it is being waited for."""
        with self._state:
            self._lose(reason, unread=unread)
            reading = self._turn_of is not None
        if os.getpid() != self._process:
            self._socket.close()  # a fork: the connection itself belongs to the parent
            return
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if not reading:
            self._close_socket()

    def _number(self) -> int:
        return self._socket.fileno()

    def _close_socket(self) -> None:
        with self._sending:
            self._socket.close()


def _ready(connected: socket.socket, until: float, *, write: bool) -> bool:
    """Wait until the socket can be read (or written); False when time ran out first."""
    seconds = max(0.0, until - time.monotonic())
    number = connected.fileno()
    if number < 0:
        raise OSError(CLOSED_HERE)
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(number, select.POLLOUT if write else select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    readable, writable, _ = select.select([] if write else [number], [number] if write else [], [], seconds)
    return bool(readable or writable)


def dial(
    address: str,
    cluster: str,
    seconds: float,
    protection: Protection = Protection(),  # noqa: B008 - frozen
    credentials: Credentials = NOBODY,
) -> Link:
    """Connect to a node, exchange greetings and log in. Raises LinkLost, and OperationalError when there are no
    certificates to verify with."""
    tls = protection.tls_for(split_address(address)[0])
    seconds = max(0.001, seconds)
    until = time.monotonic() + seconds
    try:
        connected = socket.create_connection(split_address(address), seconds)
    except (OSError, ValueError) as error:  # what is no host's name
        raise LinkLost(reason_of(error), sent=False, late=isinstance(error, TimeoutError)) from error
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    link = Link(connected, cluster, tls, credentials)
    try:
        link.meet(until)
    except BaseException:
        link.close()
        raise
    return link
