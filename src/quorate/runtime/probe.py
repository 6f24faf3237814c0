"""One question to one node over a connection of its own, without an event loop: for tools that watch nodes.

Nothing here follows leaders or retries; that is the client library's work.
"""

import socket
import time
from collections.abc import Callable

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


def ask(address: str, body: RequestBody, timeout: float, secure: Secure = in_plain) -> ReplyBody:
    """Ask and wait for the answer, at most `timeout` seconds in all. Raises OSError (TimeoutError among them) or
    WireError."""
    deadline = time.monotonic() + timeout
    me = Hello(CLIENT, name="probe")
    reader = FrameReader()
    greeted = False
    host, port = parse_address(address)
    tls = secure(host)
    with socket.create_connection((host, port), timeout) as connection:
        first = greeting(me) + frame(encode(Ask(1, body)))
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
            for payload in reader.feed(data):
                if not greeted:
                    meet(me, payload)
                    greeted = True
                elif not isinstance(said := decode_told(payload).body, Running):
                    return said


def status(address: str, timeout: float = 1.0, secure: Secure = in_plain) -> StatusReport | None:
    """What the node says of itself; None when it does not answer."""
    try:
        found = ask(address, Status(), timeout, secure)
    except (OSError, WireError):
        return None
    return found if isinstance(found, StatusReport) else None
