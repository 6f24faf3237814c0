"""What is said on one connection to a node: frames out, answers in. No socket, no waiting, no lock.

`link_aio` and `link_sync` are built on it. They carry the bytes and let their callers wait: the one for tasks, the
other for threads, which holds a lock of its own whenever it looks at what is pending.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from quorate.client.credentials import Credentials
from quorate.client.links import (
    BEFORE,
    RESTED,
    Greeting,
    LinkLost,
    ask_frame,
    has_ended,
    hello_frame,
    left_frame,
)
from quorate.core.requests import ReplyBody, RequestBody
from quorate.core.row_requests import Minted
from quorate.tls.layer import Tls
from quorate.wire.codec import decode_told
from quorate.wire.frames import FrameReader

CLOSED_HERE = "the connection was closed here"
ENDED = "the connection ended"
NOT_IN_TIME = "no connection in time"
NO_ROOM = "the node takes no more requests"


class PendingAnswer:
    """A request that was sent and not yet answered."""

    __slots__ = ("body", "lost", "minted", "number", "running", "unread")

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

    @property
    def settled(self) -> bool:
        """The answer is here, or none will come."""
        return self.body is not None or self.lost is not None

    def answer(self) -> ReplyBody | None:
        """The answer if it is here. Raises LinkLost."""
        if self.body is None and self.lost is not None:
            raise LinkLost(self.lost, sent=not self.unread, unread=self.unread)
        return self.body

    def note(self, told: ReplyBody) -> None:
        """The node has said something before its answer."""
        if isinstance(told, Minted):
            self.minted = told
        else:
            self.running = True

    def wake(self) -> None:
        """Let whoever waits for it look again."""
        raise NotImplementedError


P = TypeVar("P", bound=PendingAnswer)


class Conversation(Generic[P]):
    """One connection from its first byte to its end. `make` gives a request its number."""

    def __init__(self, cluster: str, tls: Tls | None, credentials: Credentials, make: Callable[[int], P]) -> None:
        self.members: P | None = None
        """The question who the members are, while its answer was not looked at."""
        self.members_at = 0.0
        """When it is to be asked next."""
        self._used_at = 0.0
        """When something was last asked here."""
        self._tls = tls
        self._greeting = Greeting(cluster, credentials)
        self._frames = FrameReader()
        self._make = make
        self._numbers = itertools.count(1)
        self._pending: dict[int, P] = {}
        self._lost: str | None = None
        """Why it is over."""

    @property
    def cluster(self) -> str:
        """Which cluster it is; empty: whichever answers."""
        return self._greeting.cluster

    @property
    def usable(self) -> bool:
        """May a request be sent here?"""
        return self._lost is None

    def hung_up(self, now: float) -> bool:
        """Look whether the node has closed a connection on which nothing was asked for a while: what is sent there
        afterwards may have arrived, as far as anybody could tell."""
        rested, self._used_at = now - self._used_at > RESTED, now
        if not rested or any(each is not self.members for each in tuple(self._pending.values())):
            return False  # whoever waits for an answer reads, and sees the end
        if not has_ended(self._number()):
            return False
        self._end(ENDED)
        return True

    def _number(self) -> int:
        """The socket's file descriptor."""
        raise NotImplementedError

    def _end(self, reason: str, *, unread: bool = False) -> None:
        """The link is over."""
        raise NotImplementedError

    # ---- what is to be sent, as bytes that travel --------------------------------------------------------------

    def _protected(self, data: bytes) -> bytes:
        return data if self._tls is None else self._tls.protect(data)

    def _opening(self) -> bytes:
        """What comes first. Raises TlsFailed."""
        if self._tls is not None:
            self._tls.feed(b"")
        return self._protected(hello_frame(self.cluster))

    # ---- requests and answers; frames are in plain text ---------------------------------------------------------

    def _prepare(self, body: RequestBody, waits_us: int) -> tuple[P, bytes]:
        """A request, and its frame. Raises DataError."""
        pending = self._make(next(self._numbers))
        return pending, ask_frame(pending.number, body, waits_us)

    def _expect(self, pending: P) -> None:
        """It is about to be sent. Raises LinkLost."""
        if self._lost is not None:
            raise LinkLost(self._lost, sent=False)
        self._pending[pending.number] = pending

    def _left(self, pending: P, *, tell: bool) -> bytes:
        """Nobody waits for its answer any more: the frame that says so to a node that is to hear it, or nothing."""
        unanswered = self._pending.pop(pending.number, None) is not None
        return left_frame(pending.number) if unanswered and tell and self._lost is None else b""

    def _hand_out(self, payloads: Iterable[bytes]) -> None:
        """Answers have come. Raises WireError."""
        for payload in payloads:
            told = decode_told(payload)
            if type(told.body) in BEFORE:
                if told.id in self._pending:
                    self._pending[told.id].note(told.body)
                continue
            pending = self._pending.pop(told.id, None)
            if pending is not None:
                pending.body = told.body
                pending.wake()

    def _lose(self, reason: str, *, unread: bool) -> None:
        """It is over, if it was not before: no more answers come."""
        if self._lost is None:
            self._lost = reason
        waiting, self._pending = self._pending, {}
        for pending in waiting.values():
            pending.lost, pending.unread = self._lost, unread
            pending.wake()
