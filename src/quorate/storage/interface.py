"""What storage offers to the drivers, and the errors it raises. Two implementations keep it: SQLite
files (`storage.folder`) and the in-memory fake (`storage.memory`); one contract suite tests both.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from quorate.core.bounds import GroupId
from quorate.core.entries import Entry, LogWrite, Position
from quorate.core.kernel import Effect, Event
from quorate.core.querying import BROKE, DAMAGED, NO_ROOM, Query, QueryFailed
from quorate.core.recovered import Identity, Recovered
from quorate.core.statements import Failed, Statement
from quorate.storage.execution.ending import Ending

OPEN_REPLICAS = 128
"""Data files that are open at once, when nothing else is said. Each has up to seven descriptors (a writer and two
readers; more while several threads read it), and systems give a process 1,024 when nobody asks for more."""


class StorageError(Exception):
    """Base of what storage raises to its driver; never shown to a user as it is."""


class DiskIsFull(StorageError):
    """There was no room; nothing of the call took effect; the same call may be repeated later."""


class NoDescriptors(DiskIsFull):
    """The process or the system has no file descriptor left. As with a disk that has no room, nothing of the call
    took effect, and it may be repeated later."""


class Lacking(DiskIsFull):
    """This node lacks the file of a resolver that the others have. As with a disk that has no room, nothing of the call
    took effect, and it may be repeated later."""


class Broken(StorageError):
    """The disk failed in a way that cannot be survived (a failed fsync above all): stop the node."""


class NoCopy(Broken):
    """No copy can be made where the caller wants it. All else goes on."""


class Divergent(StorageError):
    """A data file is damaged, or does not hold what its position says: rebuild it from a peer."""


class OverBudget(StorageError):
    """It took longer than it may where it runs: nothing of it took effect; run it again where it holds up nobody."""


class StatementFailed(StorageError):
    """A statement of a held transaction failed; the transaction is still open unless `held` says not."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


def why_not(error: BaseException) -> str:
    """Why a read has found nothing that has raised this, if the node goes on (`QueryFailed.why`)."""
    return DAMAGED if isinstance(error, Divergent) else NO_ROOM if isinstance(error, DiskIsFull) else BROKE


def query_failed(query: Query, error: BaseException) -> QueryFailed:
    """What a driver tells its core when `Store.query` has raised this, and the node goes on."""
    return QueryFailed(query.group, query.id, why_not(error), str(error))


class Log(Protocol):
    """The node's one log: entries and hard state of all groups, one fsync a commit."""

    def commit(self, writes: Sequence[LogWrite]) -> None:
        """Make these writes durable, atomically, in order. Raises DiskIsFull or Broken."""

    def read(self, group: GroupId, first: int, last: int, bytes_max: int) -> tuple[Entry, ...]:
        """Entries from `first`, at most `last`, at least one, stopping near `bytes_max`; verified
        against their hash chain. Fewer or none when the log no longer has them."""

    def close(self) -> None: ...


class Examination(Protocol):
    """One pinned state of a data file."""

    position: Position

    def step(self, pieces: int) -> str | None:
        """Do so many pieces of the work, callable from one other thread at a time: the digest once all is done, until
        then None. Raises Divergent, saying what is damaged, or Broken."""

    def close(self) -> None: ...


class Viewer(Protocol):
    """One state of a data file that is read for longer than one answer."""

    @property
    def position(self) -> Position:
        """Where it stands."""
        ...

    def read(self, statement: Statement | None, bytes_max: int, ending: Ending | None = None) -> bytes:
        """Run a statement, or go on with the last one; an encoded `Piece` with about so many bytes of rows (0: all of
        them), or a Failed. Raises OverBudget when it was ended, Broken or Divergent."""
        ...

    def close(self) -> None:
        """Pin it no more."""
        ...


class Store(Protocol):
    """Everything one node keeps. `perform` does every storage effect except `Persist` and `Query`."""

    identity: Identity

    def recover(self) -> Recovered:
        """What is on disk: call once, before anything else."""

    def persist(self, writes: Sequence[LogWrite]) -> None:
        """Make log writes durable now (`Log.commit`), updating the durable mark. One that lends raises
        LogTakesLong for what is large."""

    def perform(self, effect: Effect) -> list[Event]:
        """Do one storage effect and return the events that tell of it, in order.

        Which effects those are, `BaseStore.PERFORM` says. Never raises for what a user or a full disk can cause;
        raises Broken when the node must stop.
        """

    def query(self, group: GroupId, statements: Sequence[Statement], budget_us: int = 0) -> tuple[bytes, Position]:
        """Run reads on committed state; an encoded outcome (`Done` or `Failed`) and where it stood.

        Raises OverBudget when it takes longer than `budget_us` (0: take as long as it needs)."""

    def query_aside(
        self, group: GroupId, statements: Sequence[Statement], ending: Ending | None = None
    ) -> tuple[bytes, Position]:
        """The same without a budget, callable from any number of threads beside all other calls, once after `query`
        has raised OverBudget. Raises OverBudget when it was ended."""

    def leave(self, group: GroupId) -> None:
        """Instead of `query_aside`: nobody wants that read any more."""

    def examine(self, group: GroupId) -> Examination:
        """Pin what is committed now, for a digest that is taken piece by piece (`Digest` does it all at once).
        Raises Divergent when the file is damaged."""

    def view(self, group: GroupId) -> Callable[[], Viewer]:
        """What pins what is committed, and is to be called once, on any thread. Raises Divergent, or DiskIsFull when
        the file cannot be opened now; and so does what it gives."""

    def checkpoint_aside(self, group: GroupId) -> None:
        """Most of the work of the next `Checkpoint`, callable from one other thread at a time beside other calls."""

    def close(self) -> None: ...


class Lending(Store, Protocol):
    """A store that may hand back what takes long (`storage.long_work`), for a driver that has other things to do."""

    long_us: int

    def resume(self, work: Any, found: Any) -> list[Event]:
        """Go on with an effect of which `perform` has said that it takes long (`storage.long_work`)."""

    def is_open(self, group: GroupId) -> bool:
        """Whether a read needs nothing but a data file that is open."""

    def interrupt(self, group: GroupId) -> None:
        """End soon what is done aside with this group's writer. Any thread may call it."""


class Chaos(Protocol):
    """What the simulator can do to the in-memory fake and no disk should do to anybody."""

    def crash(self, rng: Any, lose_unsynced: bool) -> None:
        """The process dies. `lose_unsynced`: so does the machine, and with it what no fsync covered:
        data files fall back to some state between their last checkpoint and now."""
