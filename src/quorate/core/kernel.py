"""The one interface every protocol has: events in, effects out.

A core is a pure state machine. It is handed the time, reads no clock, draws no random numbers of its own and does
no input or output; `step(now, event)` returns, in order, what it asks of the world. The real node
(`quorate.runtime`) and the simulator (`quorate.lab.sim`) perform the same effects for the same cores.

Ordering is data: a core that must not speak before it has written emits `Persist` and keeps its messages
until it hears `Persisted`. Nothing unsafe is ever handed to a driver, so a driver cannot get it wrong.

A driver's duties, all of them:
1. Perform effects in the order they were returned, and feed back the events they produce, one at a time
   (`step` is never re-entered).
2. Feed `Wake` when `deadline_us` is reached. A deadline that is already past means "as soon as you have
   fed everything that is ready", which is how a core gathers a batch.
3. Feed `Persisted(sequence)` only when every write of every `Persist` up to that sequence is on disk.
4. Stop the node on `Halt`, and when `step` raises: a core that failed an assertion is not to be trusted.

Sources: sans-I/O protocol libraries; etcd's raft, and for persistence as data its AsyncStorageWrites interface.
"""

from typing import Any, Protocol

from msgspec import Struct

from quorate.core.bounds import GroupId, NodeId
from quorate.core.calls import EndLogins, Replies, Reply, Request, Requests, Tell
from quorate.core.certificates import CertificateRead, Protect
from quorate.core.dropped import DropReplica, ReplicaDropped
from quorate.core.entries import Entry, LogWrite, Position
from quorate.core.executing import CallerLeft, Execute, Executed, Stopped
from quorate.core.lives import RaiseBoot, RememberLife
from quorate.core.permits import AskPermit, Denied, DropPermit, Permitted, PermitUnavailable
from quorate.core.querying import Query, QueryFailed
from quorate.core.row_effects import RowEffect, RowEvent
from quorate.core.streams import ReadWhole, Streams, WholeRead
from quorate.core.viewing import FetchView, LetViewGo, PinView, ViewRead

CATALOG_GROUP: GroupId = 0
"""The group that holds the members, the databases and their desired placement."""

CATALOG_DATABASE = "quorate"
"""The reserved name under which the catalog can be read like any other database."""


class Now(Struct, frozen=True, gc=False):
    """The time, as one node sees it. Integers in microseconds: exact, comparable, replayable."""

    mono_us: int
    """Monotonic; protocols measure time-outs with it."""
    wall_us: int = 0
    """The node's own, possibly wrong, wall clock; only hybrid clocks and timestamps read it."""


# --------------------------------------------------------------------------------------------------
# Events: what the world tells a core.
# --------------------------------------------------------------------------------------------------


class Deliver(Struct, frozen=True):
    """A message from another node arrived. It may be late, repeated or out of order."""

    sender: NodeId
    message: Any


class Wake(Struct, frozen=True):
    """`deadline_us` has come."""


class Persisted(Struct, frozen=True):
    """Every `Persist` up to this sequence is durable."""

    sequence: int


class DiskFull(Struct, frozen=True):
    """A write found no room. The driver keeps what it was given and tries again until `DiskRoom`."""


class DiskRoom(Struct, frozen=True):
    """There is room again; everything kept has been written."""


class Applied(Struct, frozen=True):
    """The replica's data file now stands at this position.

    `unsynced` is about how many bytes of its changes only a checkpoint would make durable in the file itself.
    """

    group: GroupId
    position: Position
    unsynced: int = 0
    controls: tuple[Entry, ...] | None = None
    """The control entries that the data file keeps; only when it has just become another (`OpenGeneration`)."""
    streams: Streams | None = None
    """Of a versioned data file. None: as the last time; always given when it was opened, or has become another."""


class ApplyFailed(Struct, frozen=True):
    """The data file could not be brought forward. `full`: for want of room, else it is damaged. `lacking`: what was
    wanting is not room but a file that the others have; `reason` says which.

    `log_intact`: only the data file is; what the log holds can be trusted.
    """

    group: GroupId
    full: bool
    reason: str
    log_intact: bool = False
    lacking: bool = False


class LogRead(Struct, frozen=True):
    """Entries read back from the log for a follower that is behind."""

    group: GroupId
    to: NodeId
    entries: tuple[Entry, ...]


class Checkpointed(Struct, frozen=True):
    """Everything up to this position is durable in the data file itself."""

    group: GroupId
    position: Position


class SnapshotOpened(Struct, frozen=True):
    """A consistent copy of the data file, at exactly this position, can be read in chunks; or there is none."""

    group: GroupId
    to: NodeId
    snapshot: int
    position: Position
    size: int
    id: int = 0
    """As in `OpenSnapshot`."""
    failed: str = ""
    """Why there is none."""


class SnapshotRead(Struct, frozen=True):
    group: GroupId
    to: NodeId
    snapshot: int
    offset: int
    data: bytes
    end: bool
    id: int = 0


class SnapshotStored(Struct, frozen=True):
    """A chunk is on disk. `complete`: the whole file is, synced and verified; `failed` says why not."""

    group: GroupId
    snapshot: int
    offset: int
    complete: bool
    failed: str = ""


class Digested(Struct, frozen=True):
    """What the data file holds was hashed, exactly as it was at `position`; `failed` says why it could not be, or
    what is wrong inside the file."""

    group: GroupId
    number: int
    position: Position
    digest: str
    failed: str = ""


class LostSaved(Struct, frozen=True):
    """What this node's log has from `first` on is kept; it may be dropped from the log."""

    group: GroupId
    first: int
    entries: int
    """How many entries with changes were kept."""
    failed: str = ""
    """Why they were not: the log must stay as it is."""


class LostRead(Struct, frozen=True):
    """What this node keeps of lost tails; the answer for request `id`."""

    id: int
    report: Any


class CatalogRead(Struct, frozen=True):
    """What the catalog's data file holds now (a `core.catalog.Catalog`)."""

    catalog: Any


class Unreachable(Struct, frozen=True):
    """The transport lost its connection to a peer. A hint, not a verdict."""

    peer: NodeId


class Reachable(Struct, frozen=True):
    """The transport (re)gained a connection to a peer."""

    peer: NodeId


class Located(Struct, frozen=True):
    """A node, which may be this one, says at which address it can be reached."""

    peer: NodeId
    address: str
    certified: bool = False
    """It has a certificate, and can be dialled by TLS."""


class Drain(Struct, frozen=True):
    """Finish what is under way, take nothing new, and hand leadership over."""


# --------------------------------------------------------------------------------------------------
# Effects: what a core asks of the world, in order.
# --------------------------------------------------------------------------------------------------


class Send(Struct, frozen=True):
    to: NodeId
    message: Any


class Persist(Struct, frozen=True):
    """Make these writes durable, atomically, after every earlier `Persist` -> `Persisted`."""

    sequence: int
    writes: tuple[LogWrite, ...]


class OpenReplica(Struct, frozen=True):
    """Open (or create) the data file of a group that this node holds -> `Applied`."""

    group: GroupId


class Commit(Struct, frozen=True):
    """Commit the open transaction as this position -> `Applied` or `ApplyFailed`."""

    group: GroupId
    position: Position
    batches: tuple[int, ...] = ()
    """The index of each batch that it holds, oldest first; empty: there is one, and this is its position."""


class Rollback(Struct, frozen=True):
    """Undo the open transaction, stopping what runs in it; its batches, if logged, may still come back as `Apply`."""

    group: GroupId


class Apply(Struct, frozen=True):
    """Bring the data file forward to `through` -> `Applied` or `ApplyFailed`.

    `entries` are exactly those after the applied position; empty means "read them from the log".
    """

    group: GroupId
    through: Position
    entries: tuple[Entry, ...]


class ReadLog(Struct, frozen=True):
    """Read entries first..last, at most about `bytes_max` (at least one) -> `LogRead`."""

    group: GroupId
    to: NodeId
    first: int
    last: int
    bytes_max: int


class Checkpoint(Struct, frozen=True):
    """Make the data file itself durable up to where it stands -> `Checkpointed`."""

    group: GroupId


class OpenSnapshot(Struct, frozen=True):
    """Take a consistent copy for a follower, or for request `id` -> `SnapshotOpened`."""

    group: GroupId
    to: NodeId
    id: int = 0


class ReadSnapshot(Struct, frozen=True):
    """-> `SnapshotRead`"""

    group: GroupId
    to: NodeId
    snapshot: int
    offset: int
    bytes_max: int
    id: int = 0


class CloseSnapshot(Struct, frozen=True):
    """The copy is no longer wanted."""

    group: GroupId
    snapshot: int


class StoreSnapshot(Struct, frozen=True):
    """Keep a chunk of a snapshot that is being received -> `SnapshotStored`.

    `offset` 0 begins anew. With `end` the file is synced and verified to stand at `position`.
    """

    group: GroupId
    snapshot: int
    offset: int
    data: bytes
    end: bool
    position: Position


class OpenGeneration(Struct, frozen=True):
    """The switch to a stored snapshot is durable: use it, drop the old file -> `Applied`."""

    group: GroupId
    snapshot: int


class ForgetDamage(Struct, frozen=True):
    """This replica, whose damage storage remembers from life to life, is whole again."""

    group: GroupId


class Digest(Struct, frozen=True):
    """Pin what is committed now, check the file, and hash its content aside -> `Digested`. A later one for the same
    group takes the place of one that is not finished, which is then never answered."""

    group: GroupId
    number: int


class Condemn(Struct, frozen=True):
    """This replica does not hold what it should: remember that it is damaged until a snapshot has replaced it
    -> `ApplyFailed`."""

    group: GroupId
    reason: str
    log: bool = False
    """Not only its data file is wrong: its log lacks what it has promised."""


class RaiseFormat(Struct, frozen=True):
    """The cluster's number was raised: from now on write what it allows, and note it in the folder, durably, with the
    release that brought it. Repeating it changes nothing."""

    format: int
    release: str


class SaveLost(Struct, frozen=True):
    """Keep the entries that are about to be dropped from the log, durably, outside it -> `LostSaved`.

    They begin at `first`; 0: where they cease to be those of the received `snapshot`, whose data file knows. Keeping an
    entry again changes nothing.
    """

    group: GroupId
    first: int
    snapshot: int = 0
    wall_us: int = 0


class ReadLost(Struct, frozen=True):
    """Answer a caller's question about lost tails, or note what became of one -> `LostRead`."""

    id: int
    question: Any


class ReadCatalog(Struct, frozen=True):
    """Read the catalog's tables from its data file -> `CatalogRead`."""


class CloseIdle(Struct, frozen=True):
    """Another period is over: close a few data files that nothing used for so many periods. They are opened again
    when something needs them."""

    unused_periods: int


class Connect(Struct, frozen=True):
    """Keep a connection to this member at this address; empty: where it says that it listens, having connected here."""

    peer: NodeId
    address: str


class Disconnect(Struct, frozen=True):
    """Keep no connection to this node any more: it is no member."""

    peer: NodeId


class Note(Struct, frozen=True):
    """Something worth knowing happened: for logs, metrics, invariants and judges."""

    name: str
    fields: dict[str, Any]


class Drained(Struct, frozen=True):
    """Answer to `Drain`: this node leads nothing any more and may stop."""


class Halt(Struct, frozen=True):
    """This node must stop now; going on would break a promise."""

    reason: str


Event = (
    Deliver | Wake | Request | Requests | Persisted | DiskFull | DiskRoom | Executed | Stopped | Applied | ApplyFailed
    | LogRead | Checkpointed | SnapshotOpened | SnapshotRead | SnapshotStored | Digested | LostSaved | LostRead
    | CatalogRead | Unreachable | Reachable | Located | Drain | Permitted | Denied | PermitUnavailable
    | ReplicaDropped | CallerLeft | QueryFailed | CertificateRead | WholeRead | ViewRead | RowEvent
)  # fmt: skip

Effect = (
    Send | Persist | Reply | Replies | Tell | OpenReplica | Execute | Commit | Rollback | Apply | Query | ReadLog
    | Checkpoint | OpenSnapshot | ReadSnapshot | CloseSnapshot | StoreSnapshot | OpenGeneration | ForgetDamage | Digest
    | Condemn | RaiseFormat | SaveLost | ReadLost | ReadCatalog | CloseIdle | Connect | Disconnect | Note | Drained
    | Halt | AskPermit | DropPermit | RememberLife | RaiseBoot | DropReplica | EndLogins | Protect
    | ReadWhole | PinView | FetchView | LetViewGo | RowEffect
)  # fmt: skip


class Core(Protocol):
    """What the drivers and the simulator know of a protocol."""

    @property
    def deadline_us(self) -> int | None:
        """The earliest moment (monotonic) at which a `Wake` is wanted; None: none is."""

    def step(self, now: Now, event: Event) -> list[Effect]:
        """Take one event; return what is asked of the world, in order."""

    def assert_invariants(self) -> None:
        """Assert what must be true of the whole state, in the words of the protocol's paper."""
