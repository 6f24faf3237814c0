"""How callers read from one state of a database for longer than one answer (`core.read_views`), and what they are told.

A caller opens a read view with the first statement, and fetches from the same node. Each request to a view has a
number: the one that was asked last is answered once more when it comes again, and no other is. So nothing is skipped
or given twice when an answer is lost.
"""

from msgspec import Raw, Struct

from quorate.core.bookmarks import Bookmark
from quorate.core.bounds import Count
from quorate.core.statements import Failed, Statement, Value


class OpenView(Struct, frozen=True, tag="open_view"):
    """Pin the state that a read would see now, and run a first statement on it. The outcome is a `Piece`, or a
    Failed."""

    database: str
    statement: Statement
    level: str
    strongest: bool = False
    after: Bookmark | None = None
    """As `Run.after`."""
    bytes: Count = 0
    """About how many bytes of rows the answer is to carry at the most; 0: all of them."""


class ReadView(Struct, frozen=True, tag="read_view"):
    """More from a view, from the node that keeps it. The outcome is a `Piece`, or a Failed."""

    view: Count
    number: Count
    """One more than that of the last request to this view; the first is 1."""
    statement: Statement | None = None
    """What to run; None: go on with what runs."""
    bytes: Count = 0
    """As `OpenView.bytes`."""


class CloseView(Struct, frozen=True, tag="close_view"):
    """Nobody reads from it any more. The outcome is Done, also where there is no such view."""

    view: Count


class Piece(Struct, frozen=True, tag="piece", gc=False):
    """Some rows of a statement, in order."""

    columns: tuple[tuple[str, str | None], ...]
    """Name and declared type of each."""
    rows: list[tuple[Value, ...]]
    more: bool
    """There may be others behind them."""


class Viewed(Struct, frozen=True):
    """The outcome of the `Answer` to `OpenView` and `ReadView`."""

    view: Count
    outcome: Raw
    """An encoded `Piece`, or a Failed."""


ViewOutcome = Piece | Failed
