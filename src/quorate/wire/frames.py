"""Bytes to frames and back, without input or output.

A frame is a 4-byte big-endian payload length, the payload's CRC-32 (4 bytes, big-endian), and the payload.
TCP's own checksum is 16 bits wide and is taken off by the hardware before memory and disks can do harm, so
frames carry their own. The first frame of a stream is a short greeting: a stranger that speaks some other
protocol is found out by its first bytes, before its "length" makes anybody wait or allocate.
"""

import struct
from zlib import crc32

import msgspec

from quorate.core.limits import FRAME_BYTES_MAX

HEADER = struct.Struct(">II")
HEADER_BYTES = HEADER.size
_pack, _unpack = HEADER.pack, HEADER.unpack_from

GREETING_BYTES_MAX = 4096
"""No first payload of a stream is longer."""


class WireError(Exception):
    """What arrived cannot be used; the connection it arrived on is of no further use."""

    code = "wire"
    """Travels in a `Refusal` so that the other side can tell what was wrong."""


class FrameTooLong(WireError):
    """A frame announces, or a message would need, more than `FRAME_BYTES_MAX`."""

    code = "frame_too_long"


class FrameCorrupt(WireError):
    """A checksum does not match, or a payload inside a sound frame cannot be decoded."""

    code = "frame_corrupt"


class NotOurProtocol(WireError):
    """The stream does not begin with our greeting: an HTTP request, TLS, a port scan."""

    code = "not_our_protocol"


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding a payload raises, whoever has sent it. RecursionError: of arrays inside arrays, even where nobody looks
at them, as in the fields of a newer version."""


def frame(payload: bytes) -> bytes:
    """One frame as bytes. Raises FrameTooLong."""
    length = len(payload)
    if length > FRAME_BYTES_MAX:
        raise _too_long(length)
    return _pack(length, crc32(payload)) + payload


def add_frame(out: bytearray, payload: bytes) -> None:
    """Append one frame. Raises FrameTooLong and leaves `out` as it was."""
    length = len(payload)
    if length > FRAME_BYTES_MAX:
        raise _too_long(length)
    out += _pack(length, crc32(payload))
    out += payload


class FrameReader:
    """Cuts a stream of bytes, in chunks of any size, into payloads.

    Holds at most one unfinished frame. After it has raised, the stream is lost: there is no way to find
    the next frame's beginning.
    """

    def __init__(self, limit: int = FRAME_BYTES_MAX, *, one_by_one: bool = False) -> None:
        self.limit = limit
        """Of the frames that are to come. Whoever is not known yet sends short ones."""
        self.one_by_one = one_by_one
        """`feed` gives one payload at a time, because it decides what the limit of the next is; `feed(b"")` goes on."""
        self._first = True
        self._between = False
        """The next byte begins a frame, and not the first one."""
        self.rest = bytearray()
        """The beginning of a frame whose end has not arrived."""
        self._wanted = HEADER_BYTES
        """How long `rest` must be before there is anything to do; spares a look at every chunk."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take a chunk; return the payloads that it completes. Raises FrameTooLong, FrameCorrupt, NotOurProtocol."""
        size = len(data)
        if self._between and size >= HEADER_BYTES:
            length, checksum = _unpack(data)
            if length == size - HEADER_BYTES <= self.limit:  # one whole frame, as most often
                payload = data[HEADER_BYTES:]
                if crc32(payload) != checksum:
                    raise self._corrupt(length)
                return [payload]
        rest = self.rest
        source: bytes | bytearray = data
        if rest:
            rest += data
            if len(rest) < self._wanted:
                return []
            source = rest
        payloads, used = self._cut(source)
        if source is rest:
            del rest[:used]
        elif used < size:
            rest += data[used:]
        self._between = not rest and not self._first
        return payloads

    def _cut(self, source: bytes | bytearray) -> tuple[list[bytes], int]:
        """Whole frames at the beginning of `source`, and how many bytes they took."""
        payloads: list[bytes] = []
        at, size = 0, len(source)
        while size - at >= HEADER_BYTES:
            length, checksum = _unpack(source, at)
            if length > self.limit or self._first:
                self._check_length(length)
            end = at + HEADER_BYTES + length
            if end > size:
                self._wanted = HEADER_BYTES + length
                return payloads, at
            payload = bytes(source[at + HEADER_BYTES : end])
            if crc32(payload) != checksum:
                raise self._corrupt(length)
            self._first = False
            payloads.append(payload)
            at = end
            if self.one_by_one:
                break
        self._wanted = HEADER_BYTES
        return payloads, at

    def _check_length(self, length: int) -> None:
        if self._first and length > GREETING_BYTES_MAX:
            raise NotOurProtocol("the stream does not begin with a greeting of this protocol")
        if length > self.limit:
            raise FrameTooLong(f"a frame of {length} bytes is announced; at most {self.limit} are taken")

    def _corrupt(self, length: int) -> WireError:
        if self._first:
            return NotOurProtocol("the stream does not begin with a greeting of this protocol")
        return FrameCorrupt(f"the checksum of a frame of {length} bytes does not match")


def _too_long(length: int) -> FrameTooLong:
    return FrameTooLong(f"a message of {length} bytes does not fit into a frame of {FRAME_BYTES_MAX}")
