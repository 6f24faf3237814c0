"""Plays what strangers send to the part of a node that takes connections, without sockets: a million in minutes.

Whatever they send, the node refuses it with a type, holds little of it, answers little, and asks its core nothing.
"""

import logging
from collections import Counter
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from msgspec import Struct

from quorate.core.auth.access import ON
from quorate.core.auth.shares import Shares
from quorate.core.auth.users import Login
from quorate.core.auth.verifiers import Verifier, mock
from quorate.lab.handshake.inputs import VERIFIER, draw
from quorate.transport.accepted import Accepted
from quorate.transport.entry import ADDRESSES_MAX, ENTRY_BYTES_MAX, Guesses
from quorate.transport.security import Security
from quorate.transport.tcp import Limits
from quorate.wire.frames import HEADER_BYTES, FrameReader, WireError
from quorate.wire.handshake import NODE, Hello, read_refusal

ANSWER_BYTES_MAX = 4096
"""What a node says to a stranger at the most."""


class Broken(Exception):
    """A stranger has got something that nobody may have, or the node has broken."""


class Tally(Struct):
    """What became of all that was sent."""

    inputs: int = 0
    sent_bytes: int = 0
    refused: Counter[str] = Counter()
    """By the code of the refusal; `open`: the connection waits for more, and would be closed when its time is over."""


class _Door:
    def logins(self) -> str:
        return ON

    def must_log_in(self) -> bool:
        return True

    def certified(self, name: str, serial: str, until_us: int) -> Login | None:  # noqa: ARG002 - the interface
        return None

    def find(self, name: str) -> tuple[Verifier, Login | None]:
        return (VERIFIER, Login("ann")) if name == "ann" else (mock("secret", name), None)


class _Wire:
    """What the event loop gives a connection."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.said = bytearray()
        self.aborted = False

    def get_extra_info(self, name: str) -> Any:
        return (self._address, 1) if name == "peername" else None

    def write(self, data: bytes) -> None:
        self.said += data

    def set_write_buffer_limits(self, _high: int) -> None: ...

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True

    close = pause_reading = resume_reading = abort


class _Owner:
    """What a connection asks of its node's transport; clocks and timers stand still unless they are moved."""

    def __init__(self) -> None:
        self.me = Hello(NODE, cluster="c1", node=1, name="n1", boot=1)
        self.limits = Limits()
        self.security = Security(plaintext=_everywhere())
        self.door = _Door()
        self.guesses = Guesses()
        self.shares = Shares(self.limits.user_requests, self.limits.user_request_bytes)
        self.now_s = 0.0
        timer = SimpleNamespace(cancel=lambda: None)
        self.loop = SimpleNamespace(time=lambda: self.now_s, call_later=lambda *_: timer, call_soon=lambda *_: timer)
        self.accepted: set[Accepted] = set()
        self.dirty: set[Accepted] = set()
        self.incoming: dict[int, Accepted] = {}
        self.leaving = 0
        self.closing = False
        self.asked_count = 0
        self.handler = SimpleNamespace(
            asked=self._asked, delivered=lambda *_: None, left=lambda *_: None, located=lambda *_, **__: None
        )

    def _asked(self, *_: Any) -> None:
        self.asked_count += 1

    def crowded(self, _reserved: int = 0) -> bool:
        return False

    def crowded_by(self, _user: str, _newcomer: Accepted) -> bool:
        return False

    def hold(self, *_: Any, paused: bool) -> None: ...

    def gained(self, *_: Any) -> None: ...

    lost = gained


def _everywhere() -> Any:
    from ipaddress import ip_network

    return (ip_network("10.0.0.0/8"),)


def play(inputs: int, seed: int) -> Tally:
    """So many connections. Raises Broken, which names the one."""
    logging.getLogger("quorate").setLevel(logging.CRITICAL)
    owner, tally = _Owner(), Tally(refused=Counter())
    for number in range(inputs):
        rng = Random(f"{seed} {number}")
        try:
            _one(owner, tally, rng)
        except Exception as error:
            raise Broken(f"seed {seed}, input {number}: {error!r}") from error
        owner.now_s += 1.0
    return tally


def _one(owner: _Owner, tally: Tally, rng: Random) -> None:
    wire = _Wire(f"10.0.{rng.randrange(4)}.{rng.randrange(200)}")
    connection = Accepted(cast(Any, owner))
    connection.connection_made(cast(Any, wire))
    greeted = len(wire.said)
    for piece in draw(rng):
        connection.data_received(piece)
        tally.sent_bytes += len(piece)
        held = len(connection._reader.rest)  # noqa: SLF001 - what is held is the question
        if held > ENTRY_BYTES_MAX + HEADER_BYTES and connection._entering:  # noqa: SLF001
            raise Broken(f"{held} bytes are held for a stranger")
    if owner.asked_count or connection.login is not None:
        raise Broken("a stranger has got in")
    if len(wire.said) - greeted > ANSWER_BYTES_MAX or len(owner.guesses) > ADDRESSES_MAX:
        raise Broken("a stranger makes the node keep or say too much")
    tally.inputs += 1
    tally.refused[_end_of(bytes(wire.said))] += 1
    connection.connection_lost(None)
    if owner.accepted or owner.incoming or owner.leaving:
        raise Broken("a connection that is over is remembered")


def _end_of(said: bytes) -> str:
    """The code of the refusal that the connection ended with."""
    payloads = FrameReader().feed(said)
    try:
        return read_refusal(payloads[-1]).reason if len(payloads) > 1 else "open"
    except WireError:
        return "open"
