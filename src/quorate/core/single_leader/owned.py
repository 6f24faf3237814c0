"""The records that the state of a replica (`Group`) consists of. Each has an owner: the file of this folder in which
alone its fields are set. `tests/house/test_owners.py` has the table, and holds it."""

from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from quorate.core.admission import Admission
from quorate.core.bounds import NodeId
from quorate.core.calls import Request
from quorate.core.entries import Position
from quorate.core.lives import PeerLife
from quorate.core.single_leader.records import Batch, Incoming, Transfer
from quorate.core.single_leader.roles import AFTER, FOLLOWER

NOBODY: NodeId = 0
NEVER_US = -(1 << 62)


class Election(Struct):
    """Who leads, and what this replica is in that. Owner: `election`."""

    epoch: int
    vote: NodeId
    role: str = FOLLOWER
    leader: NodeId = NOBODY
    first: NodeId = NOBODY
    """Who is to lead a new group first; NOBODY in one that has been led."""
    eager: bool = False
    """Stands at once when its data file is open: alone, or first in a new group."""
    outside: int = 0
    """Index of a committed configuration, newer than any in our log, of which somebody says that this replica is not
    in it; 0: nobody does."""
    votes: dict[NodeId, bool] = {}
    votes_of: dict[NodeId, tuple[PeerLife, ...]] = {}
    """The lives that voters told with their vote."""
    led_since_us: int = 0
    noop: int = 0
    """Index of the no-op of the epoch that this replica leads."""
    handed_by: NodeId = NOBODY
    """Who handed over to us, until we lead."""

    def become(self, role: str) -> None:
        """The one place where a role changes."""
        before = self.role
        assert role in AFTER[before] or role == before == FOLLOWER, f"a {before} becomes a {role}"
        self.role = role

    def let_in(self) -> None:
        """The log names a configuration that has this replica."""
        self.outside = 0


class Committed(Struct):
    """How far the log is durable, and committed. Owner: `commit`."""

    persisted: int
    committed: int
    held: int = 0
    """As leader: the highest index that is held as the ack policies ask; what is committed may be ahead of it, by the
    no-op or the like, but nobody is told that a write is done before it is held."""
    agreed: int = 0
    """The highest index known to be held by a majority, in its leader's epoch: it stays whatever the acks are."""

    def cut(self, last: int) -> None:
        """The log ends here now."""
        self.persisted = min(self.persisted, last)


class Applying(Struct):
    """How far the data file is. Owner: `apply`."""

    applied: Position
    checkpointed: int
    opened: bool = False
    """The data file is open and `applied` is what it says."""
    applying: int = 0
    """The index an `Apply` or `Commit` under way leads to; 0 when none is."""
    blocked: bool = False
    """Applying failed for want of room; it is tried again at the next tick."""
    no_room_until_us: int = 0
    """The data file found no room: do not stand for a while."""
    lacks: str = ""
    """It was not room that was wanting then, but this."""
    checkpointing: bool = False
    bytes_since_checkpoint: int = 0
    unsynced: int = 0


class Writes(Struct):
    """The writes of a leader that are not answered yet. Owner: `writes`."""

    admission: Admission
    queue: deque[Request]
    flight: deque[Batch]
    """Those that are logged and not committed, or not durable here, oldest first."""
    batch: Batch | None = None
    """The one that is executing."""
    batches: int = 0
    crowd: int = 0
    """How many requests were under way at a time lately."""
    gathering: int = 0
    """How many waited when the next batch began to wait for more; 0 when none does."""
    alone: int = 0
    """How many of the next requests run in a batch of their own."""

    def end_batch(self) -> None:
        """Nothing is executing any more."""
        self.batch = None

    def put_first(self, requests: Iterable[Request]) -> None:
        """These are the next to run."""
        self.queue.extendleft(reversed(list(requests)))

    def take_out(self, request: Request) -> None:
        """This one waits no more."""
        self.queue.remove(request)


class Holding(Struct):
    """The caller's transaction that holds the writer. Owner: `holding`."""

    name: str = ""
    """Whose it is; empty: nobody holds."""
    ticket: str = ""
    since_us: int = 0
    used_us: int = 0
    """When it was last heard of."""
    asked: bool = False
    """A request of one that holds, or would, may be among those that wait."""
    owed: bool = False
    """Others were waiting when the last one ended: a batch of theirs comes first."""
    waited_for_us: int = 0
    """Since when others have been waiting for this one; 0: nobody has."""
    rests_until_us: int = 0
    """As long as they have waited, they go first."""

    def end(self, now_us: int) -> None:
        """Nothing is held any more, whatever its holder thinks."""
        if self.name:
            waited_for_us, self.waited_for_us = self.waited_for_us, 0
            self.owed, self.rests_until_us = waited_for_us > 0, 2 * now_us - waited_for_us if waited_for_us else 0
            self.name = self.ticket = ""


class Settling(Struct):
    """The open transaction of a leader. Owner: `settling`."""

    stack: list[int] = []
    """The entries of the batches that the open transaction holds; empty when none is open."""
    bytes: int = 0
    covered: int = 0
    """The index that the data file will stand at when the open transaction is committed."""
    due: bool = False
    """Somebody waits for the data file: nothing more is put on top before the stack is committed."""
    read_us: int = NEVER_US
    """When a read last waited for the data file."""


class Repair(Struct):
    """A damaged replica's way back. Owner: `repair`, which decides what it may do until then."""

    damaged: str = ""
    """Why this replica is damaged; empty when it is not."""
    mended: str = ""
    """Why this replica was damaged before it was rebuilt in this life; empty when it was not."""
    damages: int = 0
    """How often this life's log was found damaged."""
    log_intact: bool = False
    """Only the data file is damaged: the log and the vote are what they were."""
    rebuilt: bool = False
    """A copy was installed since this replica was found damaged."""
    beside: bool = False
    """The copy that is being installed takes the place of the data file alone."""
    whole_at: int = -1
    """How far a leader, confirmed by a majority of others, said that a rebuilt replica must be; -1: not yet."""
    heal_read: int = 0
    """The first number under which that was asked since the rebuild; any later one is as good."""
    least: int = 0
    """A copy must stand here or later: the entries up to here could not be applied."""
    copies: int = 0
    """How many were fetched in a row, or failed."""
    copied_us: int = 0
    """When the last of them was."""
    deferred: int = 0
    """Elections in a row that it has left to others."""


class Fetching(Struct):
    """A copy that this replica fetches. Owner: `snapshots`."""

    incoming: Incoming | None = None
    switching: bool = False
    """A fetched copy is becoming the data file."""


class Rewinding(Struct):
    """A log that is not the leader's. Owner: `rewinding`."""

    first: int = 0
    """The log differs from the leader's from this index on, and the data file has it: a copy is on its way."""
    loss_at: int = 0
    """Where the leader's log has the entry of an epoch that began with an accepted loss, and ours another; 0: no
    such place is known."""
    saving: bool = False
    saved: int = 0
    """The log from this index on is kept among the lost tails, and may be dropped."""


class HandOver(Struct):
    """Leadership that is handed over on purpose. Owner: `transfer`."""

    transfer: Transfer | None = None
    to: NodeId = NOBODY
    """Who was told to stand."""
    again_us: int = 0
    tries: int = 0
    resumes_until_us: int = 0
    """It has handed over lately: if nobody takes over, it may stand though nobody does by himself."""
