"""What a node and its replica of a group ask of each other, whatever the group's replication.

A `Replica` is this node's part of one group: it takes the group's events, messages, timers and requests. It speaks to
the world only through its `Host`, the node. A node knows nothing else of a replication; `core.replication` lists those
that there are. A replica need not have a log, nor a leader: what only some have is false, or nothing, for the others.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from quorate.core.bookmarks import Reached
from quorate.core.bounds import GroupId, NodeId
from quorate.core.calls import Request
from quorate.core.copy_requests import OpenCopy
from quorate.core.entries import CreateGroup, LogWrite
from quorate.core.kernel import Effect, Now
from quorate.core.lives import PeerLife
from quorate.core.membership import Configuration, Wanted
from quorate.core.messages import GroupHeartbeat
from quorate.core.options import DatabaseOptions
from quorate.core.promises import Promises
from quorate.core.recovered import RecoveredGroup
from quorate.core.requests import Failover, GroupStatus, Verify
from quorate.core.row_requests import ReadRow, RunRow, WriteRow
from quorate.core.scripts import LetGo
from quorate.core.settings import Settings
from quorate.core.view_requests import OpenView

if TYPE_CHECKING:
    from quorate.core.auth.access import Access
    from quorate.core.catalog import PartitionRow
    from quorate.core.copies import Copies
    from quorate.core.read_views import ReadViews

TimerName = tuple[GroupId, str]
"""A timer of a group: the group, and the replication's own word for it."""


class Host(Protocol):
    """What a replica asks of the node it lives in."""

    me: NodeId
    boot: int
    now_us: int
    rng: Random
    settings: Settings
    disk_full: bool
    draining: bool
    removed: bool
    until_us: int
    """When the caller of the request that is being looked at ceases to wait; 0: not known."""
    log_busy_us: int
    copies: "Copies"
    views: "ReadViews"
    access: "Access"

    def emit(self, effect: Effect) -> None: ...
    def persist(self, group: GroupId, writes: tuple[LogWrite, ...]) -> int: ...
    def reply(self, id: int, body: Any) -> None: ...
    def reply_all(self, answers: list[tuple[int, Any]]) -> None: ...
    def heard(self, now: Now, peer: NodeId) -> bool: ...
    def lived_us(self, node: NodeId) -> int: ...
    def election_us(self, voters: Collection[NodeId], needed: int) -> int: ...
    def retry_us(self, peer: NodeId) -> int: ...
    def set_timer(self, name: TimerName, at_us: int) -> None: ...
    def timer_us(self, name: TimerName) -> int | None: ...
    def cancel_timer(self, name: TimerName) -> None: ...
    def make_ready(self, group: GroupId) -> None: ...
    def keep_busy(self, group: GroupId) -> None: ...
    def mention(self, group: GroupId) -> None: ...
    def resign(self, group: GroupId, epoch: int) -> None: ...
    def start_round(self, group: GroupId) -> int: ...
    def wanted_options(self, database: str) -> DatabaseOptions | None: ...
    def wanted_members(self, group: GroupId) -> Wanted | None: ...
    def wanted_schema(self, group: GroupId) -> tuple[tuple[int, str], ...]: ...
    def groups_for(self, database: str) -> "tuple[PartitionRow, ...]": ...
    def address_of(self, node: NodeId) -> str: ...
    def name_of(self, node: NodeId) -> str: ...
    def node_named(self, name: str) -> NodeId | None: ...
    def own_lives(self) -> tuple[PeerLife, ...]: ...
    def forgot(self, lives: Iterable[PeerLife]) -> bool: ...
    def highest_of(self, node: NodeId) -> int: ...
    def understands(self, node: NodeId, kind: type) -> bool: ...
    def holds_all(self, group: GroupId) -> bool: ...


class Replica(Protocol):
    """This node's replica of one group."""

    @property
    def group(self) -> GroupId: ...
    @property
    def replication(self) -> str:
        """Its name in `core.replication`."""
        ...

    @property
    def database(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def others(self) -> tuple[NodeId, ...]:
        """Every other member, as far as is known here."""
        ...

    @property
    def leads(self) -> bool:
        """It answers for the group as no other does now: it begins what one replica must begin for all."""
        ...

    @property
    def left_out(self) -> bool:
        """Its group has other members by now: it learns nothing new, and must answer nobody."""
        ...

    @property
    def unwanted(self) -> bool:
        """The catalog wants it no more, and its group may not have changed its members yet."""
        ...

    @property
    def damaged(self) -> str:
        """Why what it holds cannot be trusted; empty when it can."""
        ...

    @property
    def log_damaged(self) -> bool:
        """Nor can what it has promised."""
        ...

    @property
    def unwritten(self) -> bool:
        """Something that it handed to the disk is not durable yet."""
        ...

    # ---- what happens to it ------------------------------------------------------------------------------

    def begin(self, now: Now, opening: list[Effect], created: CreateGroup | None) -> None:
        """The node holds it from now on: have it opened. `created`: the log does not know of it yet, and must first."""
        ...

    def on_event(self, now: Now, event: Any) -> None:
        """Storage, or the disk, has done something for it."""
        ...

    def on_message(self, now: Now, sender: NodeId, message: Any) -> None: ...
    def on_timer(self, now: Now, name: str) -> None: ...

    def on_ready(self, now: Now) -> None:
        """It called `make_ready`, and everything that was there at the time has been fed."""
        ...

    def on_tick(self, now: Now, alive: dict[NodeId, bool]) -> bool:
        """A heartbeat's worth of time has passed; asked only after `keep_busy`. True: again at the next."""
        ...

    def on_catalog(self) -> None:
        """The catalog was read: see whether it wants anything else of this group."""
        ...

    def is_settled(self, now: Now) -> bool:
        """Whether nothing is left to do, as far as it can tell, for the members that the catalog wants."""
        ...

    def on_disk_full(self, now: Now) -> None: ...
    def on_disk_room(self, now: Now) -> None: ...

    def on_stalled(self, stall_us: int) -> None:
        """The node did not run for so long: that was no delay of the disk."""
        ...

    def distrust(self, now: Now, reason: str) -> None:
        """The folder has forgotten what this replica held and promised: promise nothing more until it is whole."""
        ...

    def drain(self, now: Now, alive: dict[NodeId, bool]) -> bool:
        """The node is about to stop: leave to others what they can do; True when nothing is left."""
        ...

    def close(self, now: Now) -> None:
        """Its database was dropped: send everybody away who waits."""
        ...

    def compare(self) -> None:
        """Have the members compared, if it `leads`."""
        ...

    def assert_invariants(self) -> None: ...

    # ---- its peers, and its line in the node's heartbeats ------------------------------------------------

    @property
    def confirming(self) -> bool:
        """Something waits until the peers have answered a heartbeat that names this group (`Host.start_round`)."""
        ...

    def mention_to(self, peer: NodeId) -> GroupHeartbeat | None:
        """What this peer should hear with the node's heartbeat; None: nothing."""
        ...

    def on_mention(self, now: Now, sender: NodeId, mention: GroupHeartbeat) -> GroupHeartbeat | None:
        """A peer's heartbeat says this. What is answered; None: nothing, and it will be said again."""
        ...

    def on_mention_answered(self, now: Now, peer: NodeId, sequence: int, mention: GroupHeartbeat) -> bool:
        """A peer answered heartbeat `sequence`; whether it has heard everything that is to be said."""
        ...

    def on_resigned(self, now: Now, sender: NodeId, epoch: int) -> None:
        """A peer says that it no longer leads (`Host.resign`)."""
        ...

    def on_answered_until(self, now: Now, fresh: Mapping[NodeId, int]) -> None:
        """Some peer has not answered lately. For each: until when its newest answer tells that it lives."""
        ...

    def on_peer_lost(self, now: Now, peer: NodeId) -> None:
        """It fell silent, or was restarted."""
        ...

    def on_peer_back(self, peer: NodeId) -> None:
        """It was silent, and is heard again."""
        ...

    def on_peer_restarted(self, peer: NodeId) -> bool:
        """It may have lost what it had not acknowledged as durable; whether it should hear of us with the next
        heartbeat."""
        ...

    # ---- callers -----------------------------------------------------------------------------------------

    def takes_writes(self) -> bool:
        """Whether any write may `join`, as far as nothing but the number of those that wait speaks against it."""
        ...

    def submit(self, now: Now, request: Request) -> bool:
        """A write: whether it waits for its turn now. `joined` is called once all have come that came with it."""
        ...

    def join(self, now: Now, request: Request) -> bool:
        """The same, where `takes_writes` is known."""
        ...

    def joined(self) -> None: ...
    def submit_read(
        self, now: Now, id: int, statements: tuple[Any, ...], level: str, after: tuple[Reached, ...] = ()
    ) -> None: ...
    def submit_copy(self, now: Now, id: int, body: OpenCopy) -> None: ...
    def submit_view(self, now: Now, id: int, body: OpenView) -> None: ...

    def on_request(self, now: Now, id: int, body: Verify | Failover | LetGo | RunRow | WriteRow | ReadRow) -> None:
        """What one asks of a group beside reads and writes."""
        ...

    # ---- what people are shown ---------------------------------------------------------------------------

    def status(self) -> GroupStatus: ...

    def lacks_room(self) -> bool:
        """It found no room for its data lately."""
        ...

    def keeps(self, index: int, epoch: int) -> bool:
        """Whether what was at this place of its log is there, and committed."""
        ...

    def unknown_losses(self) -> list[tuple[int, int, NodeId]]:
        """Of which earlier leaders nobody knows what they acknowledged: for each its epoch, the index from which on,
        and who it was."""
        ...


class CatalogReplica(Replica, Protocol):
    """A replica of the catalog. That has a leader, whatever the databases have."""

    @property
    def leads_ready(self) -> bool:
        """It leads, and has applied everything of earlier leaders."""
        ...

    @property
    def at_rest(self) -> bool:
        """Nothing waits, runs or is under way, and everything is applied."""
        ...

    @property
    def configuration(self) -> Configuration: ...

    def leader_address(self) -> str:
        """Where a caller should go; empty when nobody knows."""
        ...

    def known(self, now: Now) -> tuple[int, int, int] | None:
        """When the leader, perhaps itself, led for certain, by this node's monotonic clock; up to where it is
        committed, as far as it has said; and up to where it is applied here. None: nobody is heard who leads, or has
        committed anything in its epoch."""
        ...


class Replication(Struct, frozen=True):
    """One way to replicate a database, as it is registered in `core.replication`."""

    name: str
    """What users write, and what the catalog and the disk say."""
    make: Callable[[Host, RecoveredGroup], Replica]
    """A replica as it was found on this node's disk; does nothing before `begin`."""
    events: frozenset[type]
    """What it takes with `on_event`."""
    messages: frozenset[type]
    """What it takes with `on_message`. Each names its `group`."""
    options: type[DatabaseOptions]
    """What one may choose of a database that is replicated so."""
    promises: Promises
    """What such a database promises."""
