"""The greeting that begins every connection, and what it refuses.

Each side sends a `Hello` as its first frame without waiting for the other's, and looks at nothing before it
has seen the other's. Whoever cannot go on sends a `Refusal` that says why and closes.
"""

import msgspec
from msgspec import Struct

from quorate.core.bounds import Boot, NodeId, Small
from quorate.core.formats import HERE, RELEASE, release_of
from quorate.wire.frames import UNREADABLE, FrameCorrupt, NotOurProtocol, WireError, frame

MAGIC = "quorate"
VERSION = HERE.highest
"""The newest protocol this build speaks."""
OLDEST = HERE.lowest
"""The oldest protocol this build speaks."""

NODE = "node"
CLIENT = "client"

IDLE = "idle"
"""The code of a `Refusal` that closes a connection on which nothing is asked, because others wait for its place."""


class Hello(Struct, frozen=True, array_like=True, tag=MAGIC):
    """Who I am, and whom I mean to talk to. The tag is the protocol's magic."""

    role: str
    """`NODE` or `CLIENT`."""
    version: Small = VERSION
    oldest: Small = OLDEST
    cluster: str = ""
    """Empty when a client does not know it yet."""
    node: NodeId = 0
    name: str = ""
    boot: Boot = 0
    wanted: NodeId = 0
    """The node I dialled; 0: whichever answers."""
    address: str = ""
    """Where I listen, or empty."""
    release: str = ""
    """Which release I am, for messages to people."""
    logins: str = ""
    """A node: whether clients have to log in (`core.auth.access`: on, off, or not known yet)."""
    certified: bool = False
    """A node: it has a certificate, and can be dialled by TLS."""
    user: str = ""
    """A node, to a client: the user that your certificate logs in; empty: none."""


class Refusal(Struct, frozen=True, array_like=True, tag=MAGIC + "-refusal"):
    """I am closing this connection, and this is why. May come at any time, instead of what was expected."""

    code: str
    """The `code` of a `WireError`."""
    message: str


class VersionRefused(WireError):
    """There is no version that both sides speak."""

    code = "version"


class ClusterRefused(WireError):
    """The other side belongs to another cluster."""

    code = "cluster"


class NodeRefused(WireError):
    """Another node answers at this address than the one that was dialled."""

    code = "node"


class RefusedByPeer(WireError):
    """The other side sent a `Refusal`; `reason` is its code."""

    code = "refused_by_peer"

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.reason = refusal.code


_encoder = msgspec.msgpack.Encoder()
_greeting_decoder: msgspec.msgpack.Decoder[Hello | Refusal] = msgspec.msgpack.Decoder(Hello | Refusal)


def greeting(hello: Hello) -> bytes:
    """The frame that begins a connection."""
    return frame(_encoder.encode(hello))


def refusal(error: WireError) -> bytes:
    """The last frame of a connection that is closed for this error."""
    return frame(_encoder.encode(Refusal(error.code, str(error))))


def meet(mine: Hello, payload: bytes) -> Hello:
    """Look at the other side's first payload; return its greeting if we can go on.

    Raises NotOurProtocol, VersionRefused, ClusterRefused, NodeRefused, or RefusedByPeer.
    """
    try:
        theirs = _greeting_decoder.decode(payload)
    except UNREADABLE as error:
        raise NotOurProtocol("the stream does not begin with a greeting of this protocol") from error
    if isinstance(theirs, Refusal):
        raise RefusedByPeer(theirs)
    if theirs.role not in (NODE, CLIENT):
        raise NotOurProtocol(f"{theirs.role!r} is not a role in this protocol")
    if min(mine.version, theirs.version) < max(mine.oldest, theirs.oldest):
        raise VersionRefused(_no_common_version(mine, theirs))
    if mine.cluster != theirs.cluster and mine.cluster and theirs.cluster:
        raise ClusterRefused(f"this side belongs to cluster {mine.cluster}, the other to {theirs.cluster}")
    if mine.wanted and mine.wanted != theirs.node:
        raise NodeRefused(f"node {mine.wanted} was dialled and node {theirs.node} ({theirs.name}) answered")
    if theirs.wanted and theirs.wanted != mine.node:
        raise NodeRefused(f"node {theirs.wanted} was dialled and this is node {mine.node} ({mine.name})")
    return theirs


def _no_common_version(mine: Hello, theirs: Hello) -> str:
    """Which side has to be started with which release."""
    newer = max(mine, theirs, key=lambda hello: hello.version)
    who = "the other side" if newer is mine else f"this side (release {RELEASE})"
    there = f" (release {theirs.release})" if theirs.release else ""
    return (
        f"this side speaks versions {mine.oldest} to {mine.version}, the other{there} {theirs.oldest} to"
        f" {theirs.version}: start {who} with {release_of(newer.oldest)} or later"
    )


def spoken(mine: Hello, theirs: Hello) -> int:
    """The version that both sides use after `meet`: the newest that both speak."""
    return min(mine.version, theirs.version)


def read_refusal(payload: bytes) -> RefusedByPeer:
    """A payload where nothing but a `Refusal` may come. Raises FrameCorrupt."""
    try:
        found = _greeting_decoder.decode(payload)
    except UNREADABLE as error:
        raise FrameCorrupt(f"a message cannot be decoded: {error}") from error
    if isinstance(found, Hello):
        raise FrameCorrupt("a second greeting on one connection")
    return RefusedByPeer(found)
