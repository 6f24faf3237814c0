"""Where the log of each group ended when `log.db` was last folded: what a disk that loses a write cannot hide.

A write-ahead log vouches for itself: the checksum of each frame covers those before it, and the mark in `node.db` says
where it must end. What was folded out of it lies in pages without checksums. A disk that acknowledged such a page and
did not write it shows an older one, and the entries in that are sound:

1. A replica acknowledges entry 10. Its page is folded into the file, and the disk does not write it.
2. The replica votes. That is the newest turn, and lies in another page: log and mark agree.
3. It starts again, finds that its log ends at 9, and votes for one that lacks entry 10, which was committed.

So before each fold the newest index and hash of every group are written to a page of their own, the table `ends`. A log
that ends earlier, or has another entry there, is damaged. A truncation lowers them in the same transaction.

A release that does not know the table does not keep it. So it holds only if it was written in the life before this one:
each start counts up the number of lives in `node.db`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import apsw

from quorate.core.bounds import GroupId
from quorate.storage.log.group import GroupLog

LIFE: GroupId = -1
"""The row that says in which life the others were written."""

NOTE = "INSERT OR REPLACE INTO ends VALUES (?, ?, ?)"

End = tuple[int, bytes]
"""Index and hash of an entry."""


class Ends:
    """The table `ends` of an open log."""

    def __init__(self, connection: apsw.Connection, life: int) -> None:
        self._connection = connection
        self._life = life
        self._noted: dict[GroupId, End] = {}

    def load(self) -> None:
        """Take what the file says. Raises apsw.Error."""
        rows: Iterable[Any] = self._connection.execute("SELECT grp, idx, hash FROM ends")
        self._noted = {group: (index, bytes(hash_)) for group, index, hash_ in rows}

    def missing(
        self, groups: Mapping[GroupId, GroupLog], hash_at: Callable[[GroupId, int], bytes | None]
    ) -> dict[GroupId, str]:
        """Of which groups the log is not what it was when it was folded, and why."""
        lived = self._noted.get(LIFE)
        if lived is None and self._noted:  # another page lies where these were
            return dict.fromkeys(groups, "log.db has lost its notes of where each log ended")
        if lived is None or lived[0] != self._life - 1:
            return {}
        found: dict[GroupId, str] = {}
        for group, (index, hash_) in self._noted.items():
            known = groups.get(group)
            if known is None or index <= known.base.index:
                continue
            if known.last.index < index:
                found[group] = f"the log of group {group} ends at {known.last.index}, and once reached {index}"
            elif hash_at(group, index) != hash_:
                found[group] = f"entry {index} of group {group} is not the one that was written"
        return found

    def note(self, groups: Iterable[GroupLog]) -> None:
        """Write down where these end, durably. Raises apsw.Error, having changed nothing."""
        ends = {known.group: (known.last.index, known.last_hash) for known in groups}
        ends[LIFE] = (self._life, b"")
        changed = {group: end for group, end in ends.items() if self._noted.get(group) != end}
        if not changed:
            return
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(NOTE, [(group, *end) for group, end in changed.items()])
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        self._noted.update(changed)

    def truncated(self, group: GroupId, index: int, hash_: bytes) -> None:
        """This group's log ends here now, for the moment. Inside the turn's transaction."""
        if group in self._noted and self._noted[group][0] > index:
            self._connection.execute(NOTE, (group, index, hash_))
            self._noted[group] = (index, hash_)

    def replaced(self, group: GroupId) -> None:
        """This group's log begins anew. Inside the turn's transaction."""
        if self._noted.pop(group, None) is not None:
            self._connection.execute("DELETE FROM ends WHERE grp = ?", (group,))
