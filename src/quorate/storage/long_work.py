"""What takes too long for a node's loop, and may run on another thread.

A store says so only to a driver that can do it (`Writing.long_us`), by raising `TakesLong` instead of performing the
effect. Until `resume` has been called, the driver asks nothing of this group that needs its writer (`WRITERS`).
"""

from collections.abc import Callable, Sequence
from typing import Any, get_args

from quorate.core import kernel
from quorate.core.bounds import GroupId
from quorate.core.dropped import DropReplica
from quorate.core.entries import LARGE_BYTES, LogWrite, TrimLog, WriteEntries, WriteHardState, bytes_of
from quorate.core.executing import Execute
from quorate.core.kernel import CATALOG_GROUP, Effect, Event
from quorate.core.row_effects import RowEffect
from quorate.storage.interface import StorageError

LONG_BYTES = 1 << 18
"""Changes of so many bytes, some ten thousand small rows, are not tried on the loop first."""

WRITERS = frozenset((
    kernel.OpenReplica, Execute, kernel.Commit, kernel.Rollback, kernel.Apply, kernel.Checkpoint,
    kernel.OpenSnapshot, kernel.OpenGeneration, kernel.Condemn, DropReplica,
    *get_args(RowEffect),
))  # fmt: skip
"""Effects that need the writer of their group, or its connection, or come behind those that do."""
RECEIVERS = frozenset((kernel.StoreSnapshot,))
"""Effects that need the file in which a copy for their group arrives."""


class Work:
    """The part of an effect that takes long. `run` may be called on any thread, once."""

    __slots__ = ("effect", "holds", "run", "then")

    def __init__(
        self,
        effect: Effect,
        run: Callable[[], Any],
        then: Callable[[Any], list[Event]],
        holds: frozenset[type] = frozenset(),
    ) -> None:
        self.effect = effect
        self.run = run
        self.then = then
        """What follows, given what `run` returned or raised; called by `Writing.resume`."""
        self.holds = holds
        """Which effects of this group wait meanwhile: `WRITERS`, `RECEIVERS`, or none."""


class TakesLong(StorageError):
    """Run `work` aside, then call `resume`."""

    def __init__(self, work: Work) -> None:
        super().__init__(f"{type(work.effect).__name__} takes long")
        self.work = work


class LogTakesLong(StorageError):
    """What is to be written to the log is large: call `run` aside, then `then` with what it returned or raised."""

    def __init__(self, run: Callable[[], None], then: Callable[[Any], None]) -> None:
        super().__init__("the log is written beside the loop")
        self.run = run
        self.then = then


def is_large(writes: Sequence[LogWrite]) -> bool:
    """Whether this is to be written to the log beside the loop. Only what is added at its end is: of all else, what
    depends on it must not come late."""
    size = 0
    for write in writes:
        if type(write) is WriteEntries:
            size += bytes_of(write.entries)
    return size >= LARGE_BYTES and all(type(write) in (WriteEntries, WriteHardState, TrimLog) for write in writes)


def given(found: Any) -> Any:
    """What a piece of work returned. Raises what it raised."""
    if isinstance(found, BaseException):
        raise found
    return found


def group_of(effect: Effect) -> GroupId:
    """The group that an effect is about."""
    return getattr(effect, "group", CATALOG_GROUP)
