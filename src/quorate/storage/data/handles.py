"""Which data files are open. A node may hold thousands of databases, of which few are used at a time: each open
data file costs about four descriptors and 0.2 MB, a closed one nothing.

A file is opened when it is first needed and closed when others need its place, or after some time without use.
Never while a transaction is open on it, nor while another thread reads it.
"""

import threading
from collections.abc import Iterator

from quorate.core.bounds import GroupId
from quorate.core.entries import Entry, Position
from quorate.storage.data.replica import Replica


class Standing:
    """Where a data file stands that is closed.

    `written` is what the file says. `applied` may be ahead of it by entries that change no row: they are written
    when the file is next opened, and a crash before that is what an unsynced commit is.
    """

    __slots__ = ("applied", "controls", "written")

    def __init__(self, written: Position, controls: tuple[Entry, ...] = ()) -> None:
        self.written = written
        self.controls = controls
        """The control entries that the file keeps."""
        self.applied = written


class Handles:
    """The open data files, and which of them may be closed. `most`: how many may be open at once; 0: any number.

    Everything but `borrow` and `give_back` belongs to one thread.
    """

    def __init__(self, most: int = 0) -> None:
        self.most = most
        self.open: dict[GroupId, Replica] = {}
        self._used: dict[GroupId, int] = {}
        """In which period each was last used, least recently used first."""
        self._period = 0
        self._borrowed: dict[GroupId, int] = {}
        """How many uses are under way, or about to begin, on other threads."""
        self._guard = threading.Lock()

    def find(self, group: GroupId) -> Replica | None:
        """The open data file of a group, which is hereby used."""
        replica = self.open.get(group)
        if replica is not None:
            self._used.pop(group, None)
            self._used[group] = self._period
        return replica

    def add(self, group: GroupId, replica: Replica) -> None:
        self.open[group] = replica
        self._used.pop(group, None)
        self._used[group] = self._period

    def crowded(self) -> bool:
        """Whether another data file may be opened only when one is closed."""
        return 0 < self.most <= len(self.open)

    def next_period(self) -> None:
        self._period += 1

    def closable(self, unused_periods: int = 0) -> list[GroupId]:
        """Groups whose data file nobody needs now, nor needed in the last so many periods; longest unused first."""
        return list(self._closable(self._period - unused_periods))

    def _closable(self, through: int) -> Iterator[GroupId]:
        for group, period in list(self._used.items()):
            if period > through:
                return
            replica = self.open.get(group)
            if replica is None:
                del self._used[group]
            elif not replica.busy and group not in self._borrowed:
                yield group

    def take(self, group: GroupId) -> Replica | None:
        """Take a file out, to close it; None when another thread has begun to use it."""
        with self._guard:
            if group in self._borrowed:
                return None
            self._used.pop(group, None)
            return self.open.pop(group)

    def borrow(self, group: GroupId) -> Replica | None:
        """The open data file, which stays open until it was given back as often as it was borrowed."""
        with self._guard:
            replica = self.open.get(group)
            if replica is not None:
                self._borrowed[group] = self._borrowed.get(group, 0) + 1
            return replica

    def give_back(self, group: GroupId) -> None:
        """Also when nothing was borrowed."""
        with self._guard:
            left = self._borrowed.get(group, 0) - 1
            if left > 0:
                self._borrowed[group] = left
            else:
                self._borrowed.pop(group, None)
