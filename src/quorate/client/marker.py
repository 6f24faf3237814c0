"""What a connection has seen, so that the next node that it asks has seen it, too."""

import threading
from typing import Any

from quorate.core.bookmarks import Bookmark, digest_of
from quorate.core.read_levels import EVENTUAL, SESSION
from quorate.core.requests import Answer
from quorate.errors import ProgrammingError

NOTHING = Bookmark()


class Marker:
    """How far one connection has got. Any number of threads may use it."""

    __slots__ = ("_at", "_lock", "_shown")

    def __init__(self, read: str = "", bookmark: Bookmark = NOTHING) -> None:
        self._lock = threading.Lock()
        self._at = bookmark
        self._shown = read == SESSION or bool(bookmark)
        """Whether every request shows it: to a connection that asks for no session, a loss is not an error."""

    @property
    def at(self) -> Bookmark:
        return self._at

    def assign(self, bookmark: Bookmark | str | None) -> None:
        """What a program gives to `Connection.bookmark`. Raises ProgrammingError."""
        given = check_bookmark(bookmark)
        with self._lock:
            self._at = self._at | given if given else NOTHING
            self._shown = self._shown or bool(given)

    def shown(self, level: str, *, always: bool = False) -> Bookmark | None:
        """What a request at this level is to come after. `always`: the next answer may come from another leader."""
        shows = level == SESSION or ((self._shown or always) and level != EVENTUAL)
        return self._at if shows and self._at.places else None

    def heard(self, answer: Answer, shown: Bookmark | None, cluster: str) -> None:
        """A node has answered that had seen what it was shown."""
        if not answer.epoch:
            return
        with self._lock:
            digest = self._at.cluster or digest_of(cluster)
            self._at = self._at.moved(shown or NOTHING, digest, answer.place)


def check_bookmark(bookmark: object) -> Bookmark:
    """A bookmark, or its text. Raises ProgrammingError."""
    if bookmark is None:
        return NOTHING
    if isinstance(bookmark, str):
        return Bookmark.parse(bookmark)
    if not isinstance(bookmark, Bookmark):
        raise ProgrammingError(
            f"a bookmark is a quorate.Bookmark or its text, not {type(bookmark).__name__}",
            hint="pass connection.bookmark, or str() of it",
        )
    return bookmark


class WithBookmark:
    """A connection to a cluster, as far as its bookmark is concerned."""

    __slots__ = ()

    _marker: Marker
    _client: Any

    @property
    def bookmark(self) -> Bookmark:
        """How far this connection has got: every answer moves it. `str` of it, at most 64 characters, goes anywhere,
        and another connection goes on from there. What is assigned, a bookmark or its text, is merged with it; with
        None a new session begins. See docs/sessions.md."""
        self._client.check_led("bookmark")
        return self._marker.at

    @bookmark.setter
    def bookmark(self, bookmark: Bookmark | str | None) -> None:
        if bookmark:
            self._client.check_led("bookmark")
        self._marker.assign(bookmark)
