"""Payloads to typed messages and back: what nodes tell each other, what clients ask and are told.

Messages are msgpack arrays that begin with their tag. Decoding checks types; a payload that does not fit is
`FrameCorrupt`. New fields go last and have defaults, so that old and new versions understand each other.
"""

import functools
from collections.abc import Callable
from typing import Union

import msgspec

from quorate.core.messages import Message
from quorate.core.requests import Ask, Left, Told
from quorate.wire.frames import UNREADABLE, FrameCorrupt, add_frame
from quorate.wire.handshake import Refusal, RefusedByPeer

_encode = msgspec.msgpack.Encoder().encode
_asked_decoder: msgspec.msgpack.Decoder[Ask | Left] = msgspec.msgpack.Decoder(Ask | Left)
_decode_asked = _asked_decoder.decode
_told_decoder: msgspec.msgpack.Decoder[Told | Refusal] = msgspec.msgpack.Decoder(Told | Refusal)
_decode_told = _told_decoder.decode

encode: Callable[[Message | Ask | Left | Told], bytes] = _encode
"""The payload of one message. Raises OverflowError for an integer beyond 64 bits."""


def add_message(out: bytearray, message: Message | Ask | Left | Told) -> None:
    """Append one message as a frame. Raises FrameTooLong and leaves `out` as it was."""
    add_frame(out, _encode(message))


@functools.cache
def _message_decoder() -> msgspec.msgpack.Decoder[Message]:
    """Of every replication's messages, which only nodes have to know."""
    from quorate.core.replication import message_kinds

    return msgspec.msgpack.Decoder(Union[message_kinds()])  # noqa: UP007 - known only now


def decode_message(payload: bytes) -> Message:
    """What another node says. Raises FrameCorrupt."""
    try:
        return _message_decoder().decode(payload)
    except UNREADABLE as error:
        raise FrameCorrupt(f"a node's message cannot be decoded: {error}") from error


def decode_asked(payload: bytes) -> Ask | Left:
    """What a client says. Raises FrameCorrupt."""
    try:
        return _decode_asked(payload)
    except UNREADABLE as error:
        raise FrameCorrupt(f"a request cannot be decoded: {error}") from error


def decode_ask(payload: bytes) -> Ask:
    """The same where nobody leaves. Raises FrameCorrupt."""
    asked = decode_asked(payload)
    if isinstance(asked, Left):
        raise FrameCorrupt("nobody leaves here")
    return asked


def decode_told(payload: bytes) -> Told:
    """What a node answers. Raises RefusedByPeer when it is closing the connection instead, or FrameCorrupt."""
    try:
        told = _decode_told(payload)
    except UNREADABLE as error:
        raise FrameCorrupt(f"an answer cannot be decoded: {error}") from error
    if isinstance(told, Refusal):
        raise RefusedByPeer(told)
    return told
