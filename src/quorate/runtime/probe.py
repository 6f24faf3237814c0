"""One question to one node over a connection of its own, without an event loop: for tools that watch nodes.

Nothing here follows leaders or retries; that is the client library's work.
"""

import socket
import time

from quorate.core.requests import Ask, ReplyBody, RequestBody, Running, Status, StatusReport
from quorate.transport.addresses import parse_address
from quorate.wire.codec import decode_told, encode
from quorate.wire.frames import FrameReader, WireError, frame
from quorate.wire.handshake import CLIENT, Hello, greeting, meet


def ask(address: str, body: RequestBody, timeout: float) -> ReplyBody:
    """Ask and wait for the answer, at most `timeout` seconds in all. Raises OSError (TimeoutError among them) or
    WireError."""
    deadline = time.monotonic() + timeout
    me = Hello(CLIENT, name="probe")
    reader = FrameReader()
    greeted = False
    with socket.create_connection(parse_address(address), timeout) as connection:
        connection.sendall(greeting(me) + frame(encode(Ask(1, body))))
        while True:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            data = connection.recv(65536)
            if not data:
                raise ConnectionResetError(f"{address} closed the connection")
            for payload in reader.feed(data):
                if not greeted:
                    meet(me, payload)
                    greeted = True
                elif not isinstance(said := decode_told(payload).body, Running):
                    return said


def status(address: str, timeout: float = 1.0) -> StatusReport | None:
    """What the node says of itself; None when it does not answer."""
    try:
        found = ask(address, Status(), timeout)
    except (OSError, WireError):
        return None
    return found if isinstance(found, StatusReport) else None
