"""What both kinds of link share: how a link fails, and how a client greets."""

from quorate.client.errors import DataError
from quorate.core.requests import Ask, RequestBody
from quorate.wire.codec import encode
from quorate.wire.frames import FrameTooLong, WireError, frame
from quorate.wire.handshake import CLIENT, Hello, greeting, meet

DIAL_MAX = 1.0
"""Seconds to connect and to exchange greetings, at most."""


class LinkLost(Exception):
    """There is no connection to a node, or it ended. `sent`: the request may have arrived there."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


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
    except WireError as error:
        raise LinkLost(str(error), sent=False) from error


def ask_frame(number: int, body: RequestBody) -> bytes:
    """A request as bytes. Raises DataError when it is longer than a frame may be."""
    try:
        return frame(encode(Ask(number, body)))
    except FrameTooLong as error:
        raise DataError(f"the request is too large: {error}", hint="send it in several parts") from None
