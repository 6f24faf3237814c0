"""What a node finds on its own disk when it starts. `core.kernel` gives all of it on."""

from msgspec import Struct

from quorate.core.bounds import GroupId, NodeId
from quorate.core.entries import Entry, Position
from quorate.core.formats import FIRST
from quorate.core.lives import PeerLife


class Member(Struct, frozen=True, array_like=True):
    node: NodeId
    name: str
    address: str


class Identity(Struct, frozen=True):
    """Who this node is. Minted when its folder was made; a wiped disk is a new node."""

    cluster: str
    node: NodeId
    name: str
    boot: int
    """How many times this folder was opened; a higher boot is a later life of the same node."""
    founders: tuple[Member, ...]
    """The members that were named when the cluster was founded; they hold the catalog. In the folder of a node that
    came later: those who were members then."""
    format: int = FIRST
    """The number of the folder's format (`core.formats`)."""
    admin: tuple[str, str] | None = None
    """The first user of the cluster, with the verifier: its founding makes them. None: it begins without users."""


class RecoveredGroup(Struct, frozen=True):
    """One replica as its log and data file describe it."""

    group: GroupId
    database: str
    partition: int
    replication: str
    """Its name in `core.replication`."""
    voters: tuple[NodeId, ...]
    epoch: int
    vote: NodeId
    base: Position
    """The position just before the first entry that the log still has."""
    epochs: tuple[Position, ...]
    """For each run of entries of one epoch: that epoch and the run's first index."""
    last: int
    """Index of the last entry (`base.index` when there is none)."""
    tail: tuple[Entry, ...]
    """The newest entries, contiguous and ending at `last`; may be fewer than the log holds."""
    applied: Position
    """Where the data file stands; ORIGIN when there is none yet."""
    damaged: str = ""
    """Why this replica's log or data cannot be trusted, or empty."""
    controls: tuple[Entry, ...] = ()
    """The control entries that the data file, at `applied`, keeps: all but the empty ones before the first that is
    not."""
    controls_coming: tuple[Entry, ...] = ()
    """Those behind `applied`."""
    log_intact: bool = False
    """Damaged is only its data file: the log and the vote are what they were."""


class Recovered(Struct, frozen=True):
    identity: Identity
    groups: tuple[RecoveredGroup, ...]
    lives: tuple[PeerLife, ...] = ()
    """The newest life of every other node that was heard."""
    dropped: tuple[GroupId, ...] = ()
    """Groups of dropped databases: this node never holds them again."""
