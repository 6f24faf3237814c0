"""What callers ask of a node and are told, each request under a number of the driver's own."""

from typing import Any

from msgspec import Struct

from quorate.core.auth.users import Login
from quorate.core.bounds import GroupId


class Request(Struct, frozen=True, gc=False):
    """A caller asks for something; `id` is the driver's own and comes back in `Reply`."""

    id: int
    body: Any
    since_us: int = 0
    """When it arrived, by the node's monotonic clock; 0: now."""
    until_us: int = 0
    """When its caller ceases to wait; 0: not known."""
    size: int = 0
    """Bytes that it took on its way; 0: not known."""
    long: bool = False
    """The core's own: it was stopped once, for it took long, and runs alone (`single_leader.long_writes`)."""
    login: Login | None = None
    """Who asks; None: they have not logged in."""


class Requests(Struct, frozen=True, gc=False):
    """What callers ask that has arrived together, in order."""

    requests: tuple[Request, ...]


class Reply(Struct, frozen=True, gc=False):
    """The answer to `Request(id)`; exactly one for each request."""

    id: int
    body: Any


class Replies(Struct, frozen=True, gc=False):
    """`Reply` for several requests: (id, body) of each."""

    answers: list[tuple[int, Any]]


class EndLogins(Struct, frozen=True):
    """End the connections that are logged in under these names: they may not do any more what they could."""

    names: tuple[str, ...]
    nameless: bool = False
    """Those that have not logged in, too."""


class Tell(Struct, frozen=True):
    """Word about `Request(id)` before its answer."""

    id: int
    body: Any
    group: GroupId = 0
    """The group that it is for; the catalog's when it is for none."""
