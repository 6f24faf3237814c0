"""How far the sessions of an embedded connection have got."""

import threading

from msgspec import Raw

from quorate.client.marker import Marker
from quorate.core.bookmarks import Bookmark
from quorate.core.bounds import GroupId
from quorate.core.read_levels import SESSION
from quorate.core.requests import Answer, Run
from quorate.core.statements import Statement
from quorate.runtime.embedded.inline import InlineNode


class Marked:
    """A connection with a bookmark. Every read sees the newest state, so it is where the database is."""

    __slots__ = ()

    database: str
    group: GroupId
    node: InlineNode
    _marker: Marker

    @property
    def bookmark(self) -> Bookmark:
        """How far the database has got, and so all who read it here (docs/sessions.md). What is assigned, a bookmark or
        its text, must be within that: raises BookmarkLost, or ProgrammingError for one of another database."""
        self._catch_up()
        return self._marker.at

    @bookmark.setter
    def bookmark(self, bookmark: Bookmark | str | None) -> None:
        self._marker.assign(bookmark)
        self._catch_up()

    def mark(self) -> Bookmark:
        """As `bookmark`, and waits for nobody: while another thread writes, it is where the log is."""
        if self.node.owner != threading.get_ident() and self.node.writing.acquire(blocking=False):
            try:
                self._look()
            finally:
                self.node.writing.release()
        else:
            last = self.node.store.log.groups[self.group].last
            self._marker.heard(Answer(Raw(), last.index, self.group, last.epoch), None, self.node.cluster)
        return self._marker.at

    def close(self) -> None:
        """As `Connection.close`."""
        raise NotImplementedError

    def _begin_marked(self) -> None:
        """The connection was opened with a bookmark. Raises as `bookmark` does, and leaves nothing open."""
        try:
            self._catch_up()
        except BaseException:
            self.close()
            raise

    def _catch_up(self) -> None:
        """Look where the database is, and whether the session has seen more than there is."""
        if self.node.owner == threading.get_ident():
            return  # it has the writer, and will be asked again
        with self.node.writing:
            self._look()

    def _look(self) -> None:
        after = self._marker.shown(SESSION)
        answer = self.node.request(Run(self.database, (Statement("SELECT 1"),), after=after))
        self._marker.heard(answer, after, self.node.cluster)
