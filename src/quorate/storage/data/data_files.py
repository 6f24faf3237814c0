"""The data files of a store: opened when they are first needed, closed when others need their place or nobody
needs them, brought forward from the log.
"""

from abc import ABC, abstractmethod

from quorate.core.bounds import GroupId
from quorate.core.entries import ORIGIN, Entry, Position
from quorate.core.options import LEADERLESS
from quorate.core.versions.custom import Custom
from quorate.storage.data.handles import Handles, Standing
from quorate.storage.data.replica import Replica
from quorate.storage.execution.callbacks import Callbacks
from quorate.storage.interface import DiskIsFull, Divergent, NoDescriptors
from quorate.storage.log.group import GroupLog, LogDamaged, NodeLog
from quorate.storage.versions.among import Among

MULTI_LEADER = "multi-leader"
CLOSED_AT_ONCE = 2
"""Idle data files that are closed together, each at the price of two or three fsyncs."""
APPLY_BYTES = 4 << 20
"""How much of the log is read at once to bring a data file forward."""


class DataFiles(ABC):
    """The part of a store that opens, closes and brings forward data files. At most `open_replicas` are open at a
    time (0: any number), unless all of them are in use."""

    log: NodeLog

    def __init__(self, open_replicas: int = 0) -> None:
        self.handles = Handles(open_replicas)
        self.replicas = self.handles.open
        """The data files that are open."""
        self._standing: dict[GroupId, Standing] = {}
        """Where the others stand, as far as that is known."""
        self.damaged: dict[GroupId, str] = {}
        """Groups whose log or data file cannot be trusted, and why; their data files stay closed."""
        self.log_damaged: set[GroupId] = set()
        """Those whose log cannot, nor what they promised, until they are whole again."""
        self._checkpointed: dict[GroupId, Position] = {}
        self.callbacks = Callbacks()
        """What the program has defined for its statements."""
        self.custom: tuple[Custom, ...] = ()
        """Resolvers of programs, for databases with several leaders. To be given before a data file is opened."""

    @abstractmethod
    def _open_replica(self, group: GroupLog) -> Replica:
        """Open or create the data file of this generation. Raises Divergent, DiskIsFull or Broken."""

    @abstractmethod
    def _close_replica(self, group: GroupId, replica: Replica, /) -> None:
        """Make everything in a data file durable and close it. Raises DiskIsFull (it is still open) or Broken."""

    @abstractmethod
    def _written(self, group: GroupLog) -> tuple[Position, tuple[Entry, ...]]:
        """Where the existing data file of this generation stands, and the control entries it keeps. Raises Divergent,
        DiskIsFull or Broken."""

    @abstractmethod
    def _has_data(self, group: GroupLog) -> bool:
        """Whether a data file of this generation exists."""

    def _check_usable(self) -> None:
        """Raise when this store must not be used here (after a fork) or any more (closed, broken)."""
        return

    def _check_room(self) -> None:
        """Raise DiskIsFull when the disk is known to have no room; the fake's way to simulate that."""
        return

    def _found_damage(self, group: GroupId, reason: str, *, log: bool = False) -> None:
        """This replica is damaged; stores remember it, and whether its log is, until they are told to forget it."""
        self.damaged[group] = reason
        if log:
            self.log_damaged.add(group)

    def _forget_damage(self, group: GroupId) -> None:
        """It is whole again."""
        self.damaged.pop(group, None)
        self.log_damaged.discard(group)

    def _assert_logged(self, group: GroupId, position: Position) -> None:
        """A data file never holds what this node's own log does not hold durably."""
        last = self.log.groups[group].last
        assert position.index <= last.index, f"group {group} would apply {position}, its log ends at {last}"

    def _versioned(self, group: GroupLog) -> Among | None:
        """For `Replica`: if the group has siblings that write too."""
        return Among(group.group, self.custom) if group.replication == MULTI_LEADER else None

    def _kind(self, group: GroupLog) -> type[Replica]:
        """What its data file is read and written with."""
        if group.replication != LEADERLESS:
            return Replica
        from quorate.storage.data.keyed import KeyedReplica  # which no other database needs

        return KeyedReplica

    def _stands_at(self, group: GroupLog) -> Position:
        """The applied position of a group, without opening its data file for that. Raises Divergent."""
        number = group.group
        replica = self.replicas.get(number)
        if replica is not None:
            return replica.applied
        standing = self._standing.get(number)
        if standing is None:
            if self._has_data(group):
                standing = Standing(*self._written(group))
            elif group.base == ORIGIN:
                standing = Standing(ORIGIN)
            else:
                raise Divergent(f"the data file of group {number} is missing, and the log begins behind {group.base}")
            self._standing[number] = standing
        return standing.applied

    def _controls_at(self, group: GroupId) -> tuple[Entry, ...]:
        """The control entries that a data file keeps, once it is known where it stands."""
        replica = self.replicas.get(group)
        return replica.controls if replica is not None else self._standing[group].controls

    def _replica(self, group: GroupId) -> Replica:
        """The open data file of a group, opening it when it is not. Raises what opening raises."""
        replica = self.handles.find(group)
        if replica is None:
            if group in self.damaged:
                raise Divergent(self.damaged[group])
            if self.handles.crowded():
                self._close_some()
            replica = self._open(self.log.groups[group])
            self.handles.add(group, replica)
        return replica

    def _open(self, group: GroupLog) -> Replica:
        """Open a data file, and write to it what was applied while it was closed."""
        standing = self._standing.get(group.group)
        try:
            replica = self._open_replica(group)
        except NoDescriptors:
            if not self._close_some():
                raise
            replica = self._open_replica(group)
        try:
            if standing is not None:
                if replica.applied != standing.written:
                    raise Divergent(
                        f"the data file of group {group.group} stands at {replica.applied}, "
                        f"but at {standing.written} when it was closed"
                    )
                self._apply_from_log(replica, group.group, standing.applied.index)
        except LogDamaged as error:
            replica.close()
            self._found_damage(group.group, str(error), log=True)
            raise Divergent(str(error)) from error
        except BaseException:
            replica.close()
            raise
        self._standing.pop(group.group, None)
        if self.callbacks.version:
            replica.install(self.callbacks)
        return replica

    def _close_some(self, unused_periods: int = 0, count: int = 1) -> int:
        """Close up to so many data files that nobody needs, those first that were not used for longest; how many
        were. Raises Broken."""
        closed = 0
        for group in self.handles.closable(unused_periods):
            if closed == count:
                break
            replica = self.handles.take(group)
            if replica is None:
                continue
            try:
                self._close_replica(group, replica)
            except DiskIsFull:
                self.handles.add(group, replica)
                continue
            except Divergent:  # whoever needs it next finds that again, and can say which group it is about
                replica.close()
            self._checkpointed[group] = replica.applied
            self._standing[group] = Standing(replica.applied, replica.controls)
            closed += 1
        return closed

    def close_idle(self, unused_periods: int) -> None:
        """Another period is over: close a few files that were not used for so many. Raises Broken."""
        self.handles.next_period()
        self._close_some(unused_periods, CLOSED_AT_ONCE)

    def file_of(self, group: GroupId) -> str:
        """The path of a data file, which holds everything that is applied; empty for one in memory."""
        self._check_usable()
        return self._replica(group).file

    def put_aside(self, group: GroupId) -> None:
        """Undo the open transaction and keep what was executed in it, as a write that is stopped does."""
        replica = self.replicas.get(group)
        if replica is not None:
            replica.put_aside()

    def copy_to(self, group: GroupId, path: str) -> Position:
        """See `Replica.copy_to`."""
        self._check_usable()
        return self._replica(group).copy_to(path)

    def _apply_from_log(self, replica: Replica, group: GroupId, through: int) -> None:
        while replica.applied.index < through:
            replica.apply(self._to_apply(replica, group, through))

    def _to_apply(self, replica: Replica, group: GroupId, through: int) -> tuple[Entry, ...]:
        """The next entries for this data file."""
        first = replica.applied.index + 1
        entries = self.log.read(group, first, through, APPLY_BYTES)
        if not entries and first > self.log.groups[group].base.index:
            raise LogDamaged(f"entry {first} of group {group}, which is to be applied, is not in the log")
        if not entries:
            raise Divergent(f"entry {first} of group {group}, which is to be applied, is not in the log any more")
        return entries
