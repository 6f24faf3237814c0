"""As much HTTP/2 (RFC 9113), HPACK (RFC 7541) and gRPC as a closed loop of unary calls needs. Pure, no sockets.

A general client library costs a Python program more per call than the server it measures. Here a call is two
prebuilt frames with the stream's number written into them, and an answer is recognised by its frame headers.
"""

import struct
from collections.abc import Iterable, Sequence

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
SETTINGS_ENABLE_PUSH, SETTINGS_INITIAL_WINDOW_SIZE = 2, 4
WINDOW_MAX = (1 << 31) - 1
WINDOW_FIRST = 65_535
FRAME_HEADER_BYTES = 9


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame: 24 bits of length, the type, flags, 31 bits of stream number, the payload (RFC 9113, 4.1)."""
    return struct.pack(">BHBBI", len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload


def integer(value: int, prefix_bits: int, first: int = 0) -> bytes:
    """An HPACK integer (RFC 7541, 5.1); `first` holds the bits in front of the prefix."""
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes([first | value])
    out = [first | limit]
    value -= limit
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def text(value: bytes) -> bytes:
    """An HPACK string without Huffman coding (RFC 7541, 5.2)."""
    return integer(len(value), 7) + value


def header_block(fields: Iterable[tuple[str, str]]) -> bytes:
    """Header fields as literals that are never put into a table (RFC 7541, 6.2.2), so that one block serves all
    calls of a connection."""
    return b"".join(b"\x00" + text(name.encode()) + text(value.encode()) for name, value in fields)


def opening() -> bytes:
    """What a client sends first: windows so wide that no answer ever waits for the client's leave."""
    settings = struct.pack(">HIHI", SETTINGS_ENABLE_PUSH, 0, SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_MAX)
    wider = struct.pack(">I", WINDOW_MAX - WINDOW_FIRST)
    return PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, wider)


class Method:
    """One gRPC method: makes the frames of its calls."""

    def __init__(self, authority: str, path: str) -> None:
        block = header_block(
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", path),
                (":authority", authority),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
            ]
        )
        built = frame(HEADERS, END_HEADERS, 0, block)
        self._head, self._tail = built[:5], built[9:]

    def call(self, stream: int, message: bytes) -> bytes:
        """A whole call on a new stream: HEADERS, and DATA with the length-prefixed message and END_STREAM."""
        number = stream.to_bytes(4, "big")
        length = len(message) + 5
        return b"".join(
            (
                self._head,
                number,
                self._tail,
                struct.pack(">BHBB", length >> 16, length & 0xFFFF, DATA, END_STREAM),
                number,
                struct.pack(">BI", 0, len(message)),
                message,
            )
        )


def varint(value: int) -> bytes:
    """A protobuf variable-length integer."""
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, value: bytes | int) -> bytes:
    """A protobuf field: bytes (wire type 2) or an integer (wire type 0)."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


class Ended:
    """A stream that the server ended: `good` when a message came before the end and no reset.

    gRPC sends an error as headers alone ("trailers-only"), so a message means success; the header fields, which the
    server packs with HPACK's dynamic table, need not be unpacked.
    """

    __slots__ = ("good", "stream")

    def __init__(self, stream: int, *, good: bool) -> None:
        self.stream = stream
        self.good = good


class Answers:
    """Cuts what a server sends into frames; knows which streams have ended and what must be sent back."""

    def __init__(self) -> None:
        self._rest = b""
        self._spoken: set[int] = set()
        """Streams on which a message has come."""
        self.reply = b""
        """Acknowledgements that are due; whoever sends them empties it."""
        self.going_away = False

    def feed(self, data: bytes) -> Sequence[Ended]:
        """Take what arrived; the streams that it ended."""
        if self._rest:
            data = self._rest + data
        ended: list[Ended] = []
        at, size = 0, len(data)
        while size - at >= FRAME_HEADER_BYTES:
            length = int.from_bytes(data[at : at + 3], "big")
            start = at + FRAME_HEADER_BYTES
            if start + length > size:
                break
            kind, flags = data[at + 3], data[at + 4]
            stream = int.from_bytes(data[at + 5 : at + 9], "big") & WINDOW_MAX
            if kind in (DATA, HEADERS):
                if kind == DATA and length > 5:
                    self._spoken.add(stream)
                if flags & END_STREAM:
                    ended.append(Ended(stream, good=stream in self._spoken))
                    self._spoken.discard(stream)
            elif kind == RST_STREAM:
                ended.append(Ended(stream, good=False))
                self._spoken.discard(stream)
            else:
                self._connection(kind, flags, data[start : start + length])
            at = start + length
        self._rest = data[at:]
        return ended

    def _connection(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            self.reply += frame(SETTINGS, ACK, 0)
        elif kind == PING and not flags & ACK:
            self.reply += frame(PING, ACK, 0, payload)
        elif kind == GOAWAY:
            self.going_away = True
