"""Looking at one pinned state of a data file: is the file sound, and what is the digest of its content?

The work is cut into pieces, so that whoever does it can do other things in between. SQLite itself checks the
pages and that every index agrees with its table (`PRAGMA integrity_check`, one table at a time), because a
damaged inner page or index can lead searches astray and leave a scan, and so the digest, as it was.
"""

from collections.abc import Generator, Iterator
from contextlib import suppress

import apsw

from quorate.core.entries import Position
from quorate.sql.tokens import quoted
from quorate.storage.data.digest import digest_pieces
from quorate.storage.data.order import ABOUT_CONTENT
from quorate.storage.data.reader import Reader
from quorate.storage.failures import raise_if_fatal
from quorate.storage.interface import Broken, Divergent


class Examination:
    """One state, pinned at `position` until `close`. Not safe for two threads at once.

    Give either a reader of its own, or the connection of a database in memory and where it stands.
    """

    def __init__(self, source: Reader | apsw.Connection, position: Position | None = None) -> None:
        self._reader = source if isinstance(source, Reader) else None
        self._connection = source if isinstance(source, apsw.Connection) else source.connection
        self.position = position or self._pin()
        self._pieces = self._examine()

    def _pin(self) -> Position:
        assert self._reader is not None, "a database in memory is not pinned"
        try:
            return self._reader.begin()
        except apsw.Error as error:
            self.close()
            raise _translated(error) from error

    def step(self, pieces: int) -> str | None:
        """Do so many pieces of the work (about a millisecond each, but for the check of a large table). The digest
        once all is done, until then None. Raises Divergent, saying what is damaged, or Broken."""
        try:
            for _ in range(pieces):
                next(self._pieces)
        except StopIteration as end:
            return str(end.value)
        except apsw.Error as error:
            raise _translated(error) from error
        return None

    def run(self) -> str:
        """All of the work at once. Raises Divergent or Broken."""
        while True:
            found = self.step(1 << 30)
            if found is not None:
                return found

    def _examine(self) -> Generator[None, None, str]:
        yield from self._check_pages()
        return (yield from digest_pieces(self._connection))

    def _check_pages(self) -> Iterator[None]:
        sql = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name"
        tables = [str(name) for (name,) in self._connection.execute(sql, can_cache=False)]
        for table in ("sqlite_schema", *tables):
            yield
            with suppress(apsw.SQLError):  # an index on a function that only the caller's program has
                rows = self._connection.execute(f"PRAGMA main.integrity_check({quoted(table)})", can_cache=False)
                for (finding,) in rows.fetchall():
                    if finding != "ok" and not ABOUT_CONTENT.match(str(finding)):
                        raise Divergent(f"the data file is damaged at {table}: {finding}")

    def close(self) -> None:
        """Let go of the pinned state."""
        if self._reader is not None:
            reader, self._reader = self._reader, None
            with suppress(apsw.Error):
                reader.end()
            reader.close()


def _translated(error: apsw.Error) -> Exception:
    try:
        raise_if_fatal(error)
    except (Divergent, Broken) as known:
        return known
    return Broken(f"{type(error).__name__}: {error}")
