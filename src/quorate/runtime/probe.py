"""One question to one node over a connection of its own, without an event loop: for tools that watch nodes.

Nothing here follows leaders or retries; that is the client library's work.
"""

import socket
import time
from collections.abc import Callable, Iterator

from quorate.core.requests import Ask, ReplyBody, RequestBody, Running, Status, StatusReport
from quorate.tls.layer import Tls, verifying
from quorate.transport.addresses import parse_address
from quorate.wire.codec import decode_told, encode
from quorate.wire.frames import FrameReader, WireError, frame
from quorate.wire.handshake import CLIENT, Hello, greeting, meet

Secure = Callable[[str], Tls | None]
"""TLS for a connection to a host; None: in plain text."""


def in_plain(_host: str) -> None:
    """Nothing is encrypted."""


def believing(ca: str) -> Secure:
    """TLS with nodes that have a certificate of this authority; when none is named, plain text."""
    return (lambda host: Tls(verifying(ca), host=host)) if ca else in_plain


def _talk(address: str, first: bytes, timeout: float, secure: Secure) -> Iterator[bytes]:
    """Say this, and give each payload that comes, in at most so many seconds in all. Raises OSError or WireError."""
    deadline = time.monotonic() + timeout
    reader = FrameReader()
    host, port = parse_address(address)
    tls = secure(host)
    with socket.create_connection((host, port), timeout) as connection:
        if tls is not None:
            tls.feed(b"")
            first = tls.protect(first)
        connection.sendall(first)
        while True:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            data = connection.recv(65536)
            if not data:
                raise ConnectionResetError(f"{address} closed the connection")
            if tls is not None:
                data = tls.feed(data)
                connection.sendall(tls.outgoing())
            yield from reader.feed(data)


def ask(address: str, body: RequestBody, timeout: float, secure: Secure = in_plain) -> ReplyBody:
    """Ask and wait for the answer, at most `timeout` seconds in all. Raises OSError (TimeoutError among them) or
    WireError."""
    me = Hello(CLIENT, name="probe")
    said = _talk(address, greeting(me) + frame(encode(Ask(1, body))), timeout, secure)
    meet(me, next(said))
    for payload in said:
        if not isinstance(answer := decode_told(payload).body, Running):
            return answer
    raise AssertionError("it does not end without an answer or an error")


def meet_node(address: str, timeout: float = 1.0, secure: Secure = in_plain) -> Hello | None:
    """A node's greeting; None when it does not answer. It says whether clients have to log in before they may ask."""
    me = Hello(CLIENT, name="probe")
    try:
        return meet(me, next(_talk(address, greeting(me), timeout, secure)))
    except (OSError, WireError):
        return None


def status(address: str, timeout: float = 1.0, secure: Secure = in_plain) -> StatusReport | None:
    """What the node says of itself; None when it does not answer."""
    try:
        found = ask(address, Status(), timeout, secure)
    except (OSError, WireError):
        return None
    return found if isinstance(found, StatusReport) else None
