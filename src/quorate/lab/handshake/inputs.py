"""Draws what a stranger sends: sound frames, bent ones, and noise, in any order and any pieces."""

from collections.abc import Sequence
from itertools import pairwise
from random import Random

from quorate.core.requests import Ask, Status
from quorate.wire.codec import encode
from quorate.wire.frames import HEADER_BYTES, frame
from quorate.wire.handshake import CLIENT, NODE, Hello, greeting
from quorate.wire.login import login_frame
from quorate.wire.scram import ClientLogin, make_verifier, salted

PASSWORD = "pencil"  # noqa: S105 - of a user that exists nowhere else
VERIFIER = make_verifier(PASSWORD, bytes(16), 4096)
_SALTED = salted(PASSWORD, bytes(16), 4096)
NOISE_MAX = 6000
DEPTH_MAX = 3000
"""Arrays in arrays; decoders give up at a thousand or so."""
_PIECES_MAX = 6


def _client(nonce: bytes) -> ClientLogin:
    return ClientLogin("ann", nonce, lambda _salt, _iterations: _SALTED)


def recorded() -> tuple[str, str]:
    """Both messages of a login that was right, once, against another number of the node's."""
    one = _client(b"c" * 18)
    first = one.first()
    bare = first.split("r=")[1]
    challenge = f"r={bare}{'s' * 24},s=AAAAAAAAAAAAAAAAAAAAAA==,i=4096"
    return first, one.final(challenge)


FIRST, FINAL = recorded()
SOUND = (
    greeting(Hello(CLIENT)),
    greeting(Hello(CLIENT, cluster="c1")),
    greeting(Hello(NODE, cluster="c1", node=2, name="n2", boot=1)),
    greeting(Hello(NODE, cluster="c1")),
    greeting(Hello(CLIENT, cluster="other")),
    login_frame(FIRST),
    login_frame(FINAL),
    login_frame("n,,n=token:abc,r=x"),
    frame(encode(Ask(1, Status()))),
)


def draw(rng: Random) -> list[bytes]:
    """All that one connection sends, in the pieces in which it arrives."""
    frames = [SOUND[0]] if rng.random() < 0.7 else []
    if rng.random() < 0.4:
        frames.append(login_frame(FIRST))
    frames += [_one(rng) for _ in range(rng.randrange(1, 4))]
    if rng.random() < 0.1:
        rng.shuffle(frames)
    return _pieces(rng, b"".join(frames))


def _one(rng: Random) -> bytes:
    """A frame, or what is nearly one."""
    kind = rng.randrange(7)
    sound = rng.choice(SOUND)
    if kind == 0:
        return sound
    if kind == 1:  # its checksum is right
        return frame(_bent(rng, sound[HEADER_BYTES:]))
    if kind == 2:
        return _bent(rng, sound)
    if kind == 3:
        return sound[: rng.randrange(len(sound))]
    if kind == 4:
        return login_frame(_bent_text(rng, rng.choice((FIRST, FINAL))))
    if kind == 5:
        return _deepened(rng, sound)
    return rng.randbytes(rng.randrange(NOISE_MAX) if rng.random() < 0.1 else rng.randrange(64))


def _deepened(rng: Random, sound: bytes) -> bytes:
    """With one field more, as of a newer version, which has arrays in arrays."""
    payload = sound[HEADER_BYTES:]
    return frame(bytes([payload[0] + 1]) + payload[1:] + b"\x91" * rng.randrange(DEPTH_MAX) + b"\x00")


def _bent(rng: Random, data: bytes) -> bytes:
    bent = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(bent) + 1)
        what = rng.randrange(3)
        if what == 0 and bent:
            bent[at % len(bent)] ^= 1 << rng.randrange(8)
        elif what == 1:
            bent[at:at] = rng.randbytes(rng.randrange(1, 5))
        else:
            del bent[at : at + rng.randrange(1, 5)]
    return bytes(bent)


def _bent_text(rng: Random, text: str) -> str:
    signs = list(text)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(signs) + 1)
        signs[at : at + rng.randrange(2)] = rng.choice(("", ",", "=", "n=", "r=", "\0", "\u00e4", "p=" * 400))
    return "".join(signs)


def _pieces(rng: Random, data: bytes) -> list[bytes]:
    cuts: Sequence[int] = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(_PIECES_MAX)))
    bounds = [0, *cuts, len(data)]
    return [data[a:b] for a, b in pairwise(bounds) if a < b]
