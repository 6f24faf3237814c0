"""Groups that were dropped, as `log.db` remembers them: each has a row in the table `dropped` for good, so that nothing
makes room for it again. Its entries leave a few at a time, as forgotten ones do."""

import apsw

from quorate.core.bounds import GroupId
from quorate.storage.log.schema import first_key

SWEEP_ENTRIES = 256
"""At most so many entries that were forgotten, or of a dropped group, leave the file in one turn."""
GONE = "dropped for good"
"""What each row says, and no row of another table does: a disk that has put another page in the place of this table
must not drop what it names."""


class Drops:
    """The table `dropped` of an open log. Everything raises apsw.Error, and `load` ValueError for another page."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.groups: set[GroupId] = set()
        self.leaving: list[GroupId] = []
        """Those of which the file still has entries."""

    def load(self) -> None:
        """Take what the file says."""
        self.groups.clear()
        for group, what in self._connection.execute("SELECT grp, what FROM dropped"):
            if what != GONE:
                raise ValueError(f"the table of dropped groups says {what!r} of group {group}")
            self.groups.add(int(group))
        self.leaving = [group for group in sorted(self.groups) if self._has_entries(group)]

    def _has_entries(self, group: GroupId) -> bool:
        sql = "SELECT 1 FROM entries WHERE key BETWEEN ? AND ? LIMIT 1"
        return bool(self._connection.execute(sql, _keys(group)).fetchall())

    def add(self, group: GroupId) -> None:
        """This one was dropped. Inside the turn's transaction."""
        self._connection.execute("INSERT INTO dropped VALUES (?, ?)", (group, GONE))
        self._connection.execute("DELETE FROM groups WHERE grp = ?", (group,))
        self.groups.add(group)
        self.leaving.append(group)

    def sweep(self) -> None:
        """Delete some entries. Inside the turn's transaction."""
        group = self.leaving[-1]
        first, last = _keys(group)
        sql = "DELETE FROM entries WHERE key IN (SELECT key FROM entries WHERE key BETWEEN ? AND ? LIMIT ?)"
        self._connection.execute(sql, (first, last, SWEEP_ENTRIES))
        if not self._has_entries(group):
            self.leaving.pop()


def _keys(group: GroupId) -> tuple[int, int]:
    return first_key(group), first_key(group + 1) - 1
