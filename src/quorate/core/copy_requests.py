"""How callers ask for a copy of a database (`core.copies`), and what they are told."""

from msgspec import Struct

from quorate.core.bookmarks import Bookmark
from quorate.core.bounds import Count


class OpenCopy(Struct, frozen=True, tag="open_copy"):
    """Keep a copy of a database's state, to be fetched with `ReadCopy`: the state that a read would see now."""

    database: str
    level: str
    strongest: bool = False
    after: Bookmark | None = None
    """As `Run.after`."""


class ReadCopy(Struct, frozen=True, tag="read_copy"):
    """A part of a copy, from the node that keeps it."""

    copy: Count
    offset: Count
    """In bytes; the copy's size: everything was read, and the node may let go of it."""


class CopyReport(Struct, frozen=True):
    """The outcome of the `Answer` to `OpenCopy`, whose index says where the copy stands."""

    copy: Count
    size: Count
    """In bytes, as a database file."""


class CopyPart(Struct, frozen=True, array_like=True):
    """The outcome of the `Answer` to `ReadCopy`."""

    data: bytes
    """From that offset on, as much as the node gives at once."""
