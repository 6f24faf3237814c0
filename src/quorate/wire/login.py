"""A login on a connection: the messages of SCRAM in frames, after the greetings and before anything else.

A client that has to log in says who it is, is asked to prove it, and proves it; the node then proves itself. Whoever
cannot go on sends a `Refusal`, as in the greeting.
"""

import msgspec
from msgspec import Struct

from quorate.wire.frames import UNREADABLE, FrameCorrupt, WireError, frame
from quorate.wire.handshake import MAGIC, Refusal, RefusedByPeer

LOGIN, WAIT = "login", "login_wait"
"""Codes of a `Refusal`: the client is not who it says; it has to wait before it may try again."""


class LoginText(Struct, frozen=True, array_like=True, tag=MAGIC + "-login"):
    """One message of SCRAM (`wire.scram`)."""

    text: str

    def __repr__(self) -> str:
        return "LoginText(...)"


class LoginRefused(WireError):
    """The client has not logged in and has to, or is not who it says."""

    code = LOGIN


class LoginLater(WireError):
    """Too many wrong logins came from that address."""

    code = WAIT


_encode = msgspec.msgpack.Encoder().encode
_decode_asked = msgspec.msgpack.Decoder(LoginText).decode
_decode_told: msgspec.msgpack.Decoder[LoginText | Refusal] = msgspec.msgpack.Decoder(LoginText | Refusal)


def login_frame(text: str) -> bytes:
    """One message as bytes."""
    return frame(_encode(LoginText(text)))


def read_asked(payload: bytes) -> str:
    """What a client says who has to log in. Raises LoginRefused for anything else."""
    try:
        return _decode_asked(payload).text
    except UNREADABLE:
        raise LoginRefused("this cluster asks for a login before anything else") from None


def read_told(payload: bytes) -> str:
    """What a node answers. Raises RefusedByPeer or FrameCorrupt."""
    try:
        told = _decode_told.decode(payload)
    except UNREADABLE as error:
        raise FrameCorrupt(f"an answer to a login cannot be decoded: {error}") from error
    if isinstance(told, Refusal):
        raise RefusedByPeer(told)
    return told.text
