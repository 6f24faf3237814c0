"""What the core asks of storage for read views (`core.read_views`), and what it hears."""

from msgspec import Struct

from quorate.core.bounds import GroupId
from quorate.core.entries import ORIGIN, Position
from quorate.core.statements import Statement


class PinView(Struct, frozen=True):
    """Pin what is committed now, under this number, and run a statement on it -> `ViewRead`. Where nothing was found
    (`ViewRead.why`), nothing stays pinned."""

    group: GroupId
    view: int
    statement: Statement
    bytes: int
    """As `OpenView.bytes`."""
    ends_us: int = 0
    """As `Query.ends_us`."""


class FetchView(Struct, frozen=True):
    """Run another statement on it, or go on with the last one -> `ViewRead`."""

    group: GroupId
    view: int
    statement: Statement | None
    bytes: int
    ends_us: int = 0


class LetViewGo(Struct, frozen=True):
    """Pin it no more, and end what runs on it. Nothing is told of that."""

    group: GroupId
    view: int


class ViewRead(Struct, frozen=True):
    """What a view has given."""

    group: GroupId
    view: int
    outcome: bytes = b""
    """An encoded `Piece` or Failed."""
    position: Position = ORIGIN
    """Where the view stands."""
    why: str = ""
    """Nothing was found: as `QueryFailed.why`."""
    reason: str = ""
