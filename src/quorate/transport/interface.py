"""What a node's driver and its transport know of each other. `tcp` and the in-memory fake keep it."""

from collections.abc import Callable, Collection
from typing import Protocol

from quorate.core.auth.users import Login
from quorate.core.bounds import NodeId
from quorate.core.certificates import Protect
from quorate.core.messages import Message
from quorate.core.permits import AskPermit, DropPermit, PermitUnavailable
from quorate.core.requests import ReplyBody, RequestBody


class Caller(Protocol):
    """A client's connection, for as long as requests of it are unanswered."""

    @property
    def login(self) -> Login | None:
        """Who it is; None: it has not logged in."""

    def tell(self, ask: int, body: ReplyBody, size: int) -> None:
        """Answer the client's `ask`; `size` is what `asked` was given for it. Nothing happens if it is gone."""

    def waits_for(self, ask: int) -> bool:
        """Whether it is there, and has not said that it does not want this answer any more."""

    def mention(self, ask: int, body: ReplyBody) -> None:
        """Say something about the client's `ask` before its answer. Nothing happens if it is gone."""


class Handler(Protocol):
    """What the transport tells its owner, always from the loop's own thread, never from inside a call to it."""

    def delivered(self, sender: NodeId, message: Message) -> None: ...

    def asked(self, caller: Caller, ask: int, body: RequestBody, size: int, waits_us: int = 0) -> None:
        """A client asks, and waits for so much longer (0: nobody knows); exactly one `caller.tell(ask, ..., size)` is
        owed."""

    def left(self, caller: Caller, ask: int | None = None) -> None:
        """A client does not wait for this answer any more; None: it is gone. What is owed stays owed."""

    def reachable(self, peer: NodeId) -> None: ...

    def unreachable(self, peer: NodeId) -> None: ...

    def located(self, peer: NodeId, address: str, *, certified: bool = False) -> None:
        """A peer has connected here, and says where it listens, and whether it has a certificate."""


class Transport(Protocol):
    """Connections to every other node and from every client of one node."""

    def connect(self, peer: NodeId, address: str) -> None:
        """Keep a connection to this peer from now on. Repeating it changes nothing; a new address replaces. Without an
        address, the one that the peer gave when it connected here is meant; if it has not, nothing happens."""

    def disconnect(self, peer: NodeId) -> None:
        """Keep no connection to this peer any more. Repeating it changes nothing."""

    def send(self, to: NodeId, message: Message) -> None:
        """Queue a message; it leaves with the next `flush`, or never: a peer that is away loses it."""

    def end_logins(self, names: Collection[str], *, nameless: bool) -> None:
        """Close the connections of clients that are logged in under these names, or, if asked so, under none."""

    def protect(self, how: Protect) -> None:
        """Protect connections so from now on, and close those that are not."""

    def flush(self) -> None:
        """Hand everything queued to the operating system, one write for each connection."""


class Permits(Protocol):
    """Where a node asks for permits to stand (`core.permits` says what each effect asks for)."""

    def ask(self, effect: AskPermit) -> None: ...

    def drop(self, effect: DropPermit) -> None: ...


class NoPermits:
    """A node that was told of no etcd: it has nobody to ask."""

    def __init__(self, feed: Callable[[PermitUnavailable], None]) -> None:
        self._feed = feed

    def ask(self, effect: AskPermit) -> None:
        self._feed(PermitUnavailable(effect.group, effect.number, "no etcd is configured on this node"))

    def drop(self, effect: DropPermit) -> None:
        """There is none to give back."""
