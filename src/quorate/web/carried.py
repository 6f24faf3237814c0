"""The bookmarks that one request brings and takes along, one for each database.

A middleware sets them for the time of a request (`carrying`). Connections of SQLAlchemy's dialect and of Django's
backend look here: the first statement of a transaction comes after what the request brought (`through`), and what a
connection has seen is added (`give`).
"""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self, TypeVar
from urllib.parse import quote, unquote

from quorate import errors
from quorate.core.bookmarks import Bookmark, fitting, reduced
from quorate.core.read_levels import SESSION

T = TypeVar("T")
TEXT_MAX = 2048
"""Characters; a longer text is not read, and none is written."""
_NOTHING = Bookmark()
_REFUSED = re.compile("the bookmark is of|bookmarks are of two clusters|one bookmark holds at most")
_log = logging.getLogger("quorate.web")


class Carried:
    """The bookmarks of one request, by the databases' names. Any number of threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at: dict[str, Bookmark] = {}
        """Whose bookmark moved last comes last."""
        self._before = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """From what `text` gave; what cannot be read is left out."""
        carried = cls()
        for part in text.split("|") if text and len(text) <= TEXT_MAX else ():
            name, _, mark = part.partition(":")
            try:
                bookmark = Bookmark.parse(mark)
            except errors.ProgrammingError:
                continue
            if bookmark:
                carried._at[unquote(name)] = bookmark
        carried._before = text
        return carried

    def text(self) -> str:
        """All of them, in letters that a cookie may have; without those that moved longest ago where it gets too
        long."""
        with self._lock:
            newest_first = [f"{quote(name, safe='')}:{mark}" for name, mark in reversed(self._at.items())]
        parts: list[str] = []
        for part in newest_first:
            if sum(map(len, parts)) + len(parts) + len(part) <= TEXT_MAX:
                parts.append(part)
        return "|".join(reversed(parts))

    @property
    def moved(self) -> bool:
        """Whether `text` is another than the request brought."""
        return self.text() != self._before

    def of(self, database: str) -> Bookmark:
        """What a read of this database is to come after."""
        with self._lock:
            return self._at.get(database, _NOTHING)

    def add(self, database: str, bookmark: Bookmark) -> None:
        """A connection to this database has got so far."""
        with self._lock:
            before = self._at.get(database, _NOTHING)
            after = joined(before, bookmark)
            if after != before:
                self._at.pop(database, None)
                self._at[database] = after

    def drop(self, database: str) -> None:
        """A new session with this database begins."""
        with self._lock:
            self._at.pop(database, None)


_current: ContextVar[Carried | None] = ContextVar("quorate.web.carried", default=None)


def carry(carried: Carried) -> None:
    """In this context, and those copied from it, these are the bookmarks."""
    _current.set(carried)


@contextmanager
def carrying(carried: Carried) -> Iterator[None]:
    """For what runs in this block, and in tasks and threads that take its context along, these are the bookmarks."""
    token = _current.set(carried)
    try:
        yield
    finally:
        _current.reset(token)


def through(inner: Any, level: str, attempt: Callable[[], T], begin_anew: Callable[[], object]) -> T:
    """Run the first statement of a transaction on a connection to a cluster. At the level `session` it comes after what
    the request brought.

    Where that is refused, because a failover has lost it or because it is of another database, nothing was done:
    `begin_anew` is called, and the statement runs once more, in a new session. Otherwise a browser that keeps such a
    cookie would get an error for every request.
    """
    carried = _current.get()
    if carried is None or level != SESSION:
        return attempt()
    own, brought = inner.bookmark, carried.of(inner.database)
    if own and brought and own.cluster != brought.cluster:
        carried.drop(inner.database)
    elif brought:
        _assign(inner, joined(own, brought))
    try:
        return attempt()
    except errors.Error as error:
        if not _is_refusal(error):
            _assign(inner, own)  # nobody has said that what was brought is of this database
            raise
        _log.warning("a new session with the database %r begins: %s", inner.database, error)
    carried.drop(inner.database)
    inner.bookmark = None
    begin_anew()
    return attempt()


def give(inner: Any) -> None:
    """Add what a connection to a cluster has seen to what the request takes along."""
    carried = _current.get()
    if carried is not None and inner.bookmark:
        carried.add(inner.database, inner.bookmark)


def joined(before: Bookmark, after: Bookmark) -> Bookmark:
    """Both, as far as one bookmark holds them; the second where they are of two clusters."""
    if not after or (before and before.cluster == after.cluster):
        places = reduced((*before.places, *after.places))
        return fitting(before.cluster, places)
    return after


def _assign(inner: Any, bookmark: Bookmark) -> None:
    inner.bookmark = None
    if bookmark:
        inner.bookmark = bookmark


def _is_refusal(error: errors.Error) -> bool:
    if isinstance(error, errors.ProgrammingError):
        return _REFUSED.search(str(error)) is not None
    return isinstance(error, errors.BookmarkLost)
