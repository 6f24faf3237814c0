"""What both kinds of link share: how a link fails, and how a client greets."""

import os

from quorate.core.limits import REQUEST_BYTES_MAX
from quorate.core.requests import Ask, Left, RequestBody, too_large
from quorate.errors import OperationalError, ProgrammingError, TooLarge
from quorate.wire.codec import encode
from quorate.wire.frames import FrameTooLong, WireError, frame
from quorate.wire.handshake import CLIENT, IDLE, ClusterRefused, Hello, RefusedByPeer, greeting, meet

DIAL_MAX = 1.0
"""Seconds to connect and to exchange greetings, at most."""


class LinkLost(Exception):
    """There is no connection to a node, or it ended. `sent`: the request may have arrived there. `late`: it may
    only have been too little time. `unread`: the node closed a connection that was not used, and looked at nothing
    that was sent there afterwards. `foreign`: a node of another cluster answered."""

    def __init__(
        self, reason: str, *, sent: bool, late: bool = False, unread: bool = False, foreign: bool = False
    ) -> None:
        super().__init__(reason)
        self.sent = sent
        self.late = late
        self.unread = unread
        self.foreign = foreign


def foreign_node(address: str, reason: str) -> OperationalError:
    """What is to be said of an address that a user named, and at which a node of another cluster answered."""
    return OperationalError(
        f"not done: the node at {address} is of another cluster than is meant here, or than answered before: {reason}",
        hint="name nodes of one cluster only",
    )


def is_unread(error: BaseException) -> bool:
    """Whether a node says with this that it has closed a connection on which nothing was asked."""
    return isinstance(error, RefusedByPeer) and error.reason == IDLE


def reason_of(error: BaseException) -> str:
    """Why there is no connection (any more), in the operating system's words."""
    number = getattr(error, "errno", None)
    if isinstance(error, TimeoutError):
        return str(error) or "no connection in time"
    if isinstance(number, int) and number > 0:
        return os.strerror(number)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def hello(cluster: str) -> Hello:
    """Who we are; `cluster` is empty as long as no node has told us which one it belongs to."""
    return Hello(role=CLIENT, cluster=cluster)


def hello_frame(cluster: str) -> bytes:
    """The first bytes of every link."""
    return greeting(hello(cluster))


def meet_node(cluster: str, payload: bytes) -> str:
    """Look at a node's greeting; the id of its cluster. Raises LinkLost when we cannot go on with it."""
    try:
        return meet(hello(cluster), payload).cluster
    except ClusterRefused as error:
        raise LinkLost(str(error), sent=False, foreign=True) from error
    except WireError as error:
        foreign = isinstance(error, RefusedByPeer) and error.reason == ClusterRefused.code
        raise LinkLost(str(error), sent=False, foreign=foreign) from error


def ask_frame(number: int, body: RequestBody, waits_us: int = 0) -> bytes:
    """A request as bytes, and how much longer its caller waits (0: not said). Raises TooLarge, and
    ProgrammingError for an argument that nothing has looked at before."""
    try:
        payload = encode(Ask(number, body, waits_us))
    except (TypeError, ValueError, OverflowError) as error:
        raise ProgrammingError(f"the request cannot be sent: {error}") from error
    if len(payload) > REQUEST_BYTES_MAX and (refused := too_large(body, len(payload))):
        raise TooLarge(refused.message, hint=refused.hint)
    try:
        return frame(payload)
    except FrameTooLong as error:
        raise TooLarge(f"the request is too large: {error}", hint="send it in several parts") from None


def left_frame(number: int) -> bytes:
    """Word that nobody waits for an answer any more."""
    return frame(encode(Left(number)))
