"""What one replica keeps: states of rows, first in the group's log, then merged into its data file.

The log is the replica's own: every member has another order, and the same rows in the end. What came together is one
entry. A state is acknowledged once its entry is durable and its `Apply` was asked for: every read of the data file that
is asked for later sees it. While the data file cannot be brought forward no read is answered here.
"""

from collections import deque
from collections.abc import Callable, Iterable

from msgspec import Struct

from quorate.core.entries import DATA, SCHEMA, CreateGroup, Entry, Position, TrimLog, WriteEntries
from quorate.core.kernel import Applied, Apply, ApplyFailed, Checkpoint, Checkpointed
from quorate.core.recovered import RecoveredGroup
from quorate.core.replica import Host
from quorate.core.row_effects import RowEffect, RowState, encode_change, encode_rows

EPOCH = 1
"""Of every entry: nobody else ever writes to this log."""
Then = Callable[[], None]


def read(host: Host, effect: RowEffect) -> None:
    """Ask the data file."""
    host.emit(effect)


class Writing(Struct):
    """An entry on its way to the disk, and what follows when it is there."""

    sequence: int
    entry: Entry | None
    thens: list[Then]


class Keeper:
    """The log and the data file of one replica."""

    def __init__(self, host: Host, found: RecoveredGroup) -> None:
        self._host = host
        self._group = found.group
        self.last = found.last
        self.applied = found.applied.index
        self.asked = found.applied.index
        """How far the data file was asked to be brought."""
        self.durable = found.last
        self.opened = False
        self.blocked = False
        """The data file found no room: it stands before what was acknowledged."""
        self.damaged = found.damaged
        self._base = found.base.index
        self._gathered: list[RowState] = []
        self._thens: list[Then] = []
        self._writing: deque[Writing] = deque()
        self._checkpointed = found.base.index
        self._checkpointing = False

    @property
    def readable(self) -> bool:
        """Whether what is read from the data file is all that was acknowledged."""
        return self.opened and not self.blocked and not self.damaged

    @property
    def unwritten(self) -> bool:
        """Something was handed to the disk and is not durable yet."""
        return bool(self._writing)

    @property
    def at_rest(self) -> bool:
        """Nothing is under way, and all of the log is in the data file."""
        return not (self._writing or self._thens) and self.applied == self.last

    def create(self, created: CreateGroup, then: Then) -> None:
        """The log does not know of the group yet."""
        self._writing.append(Writing(self._host.persist(self._group, (created,)), None, [then]))

    def keep(self, rows: Iterable[RowState], then: Then) -> None:
        """Make these durable together with what else came, once the node has been fed what is there."""
        self._gathered += rows
        self._thens.append(then)
        self._host.make_ready(self._group)

    def flush(self) -> None:
        """One entry of all that came."""
        if not self._thens or not self.opened or self.damaged:
            return
        rows, self._gathered = self._gathered, []
        thens, self._thens = self._thens, []
        if rows:
            self._write(DATA, encode_rows(rows), thens)
        elif self._writing:
            self._writing[-1].thens += thens
        else:
            for then in thens:
                then()

    def change(self, number: int, sql: str, then: Then) -> None:
        """Make a change of the schema durable, and carry it out."""
        self._write(SCHEMA, encode_change(number, sql), [then])

    def _write(self, kind: int, payload: bytes, thens: list[Then]) -> None:
        self.last += 1
        entry = Entry(self.last, EPOCH, kind, payload)
        sequence = self._host.persist(self._group, (WriteEntries(self._group, (entry,)),))
        self._writing.append(Writing(sequence, entry, thens))

    def on_persisted(self, sequence: int) -> None:
        """Everything up to this sequence is durable."""
        thens: list[Then] = []
        entries: list[Entry] = []
        while self._writing and self._writing[0].sequence <= sequence:
            written = self._writing.popleft()
            thens += written.thens
            if written.entry is not None:
                entries.append(written.entry)
        if entries:
            self.durable = entries[-1].index
            self._apply(tuple(entries) if self.applied == self.asked == entries[0].index - 1 else ())
        for then in thens:
            then()

    def _apply(self, entries: tuple[Entry, ...] = ()) -> None:
        """Behind an earlier one that may fail, the entries are read back from the log."""
        if self.readable and self.durable > self.asked:
            self.asked = self.durable
            self._host.emit(Apply(self._group, Position(EPOCH, self.durable), entries))

    def on_applied(self, event: Applied) -> None:
        """The data file stands there."""
        self.applied = event.position.index
        if not self.opened:
            self.opened = True
            self.asked = self.applied
            self._host.make_ready(self._group)
        elif self.applied >= self.asked:
            self.blocked = False
        self._apply()
        settings = self._host.settings
        if self.applied - self._checkpointed >= settings.checkpoint_entries and not self._checkpointing:
            self._checkpointing = True
            self._host.emit(Checkpoint(self._group))

    def on_failed(self, event: ApplyFailed) -> None:
        """It cannot be brought forward."""
        if event.full:
            self.blocked = True
        else:
            self.damaged = event.reason

    def try_again(self) -> None:
        """There may be room now."""
        if self.blocked and self.opened and not self.damaged:
            self.asked = self.durable
            self._host.emit(Apply(self._group, Position(EPOCH, self.durable), ()))

    def on_checkpointed(self, event: Checkpointed) -> None:
        """What the data file holds by itself the log may forget."""
        self._checkpointing = False
        self._checkpointed = max(self._checkpointed, event.position.index)
        through = min(self._checkpointed, self.applied) - self._host.settings.log_keep_entries
        if through > self._base:
            self._base = through
            self._host.persist(self._group, (TrimLog(self._group, Position(EPOCH, through)),))

    def assert_invariants(self) -> None:
        """The data file holds nothing that is not durable in the log."""
        assert self.applied <= self.durable <= self.last, f"applied {self.applied}, durable {self.durable}"
        assert self.asked <= self.durable
