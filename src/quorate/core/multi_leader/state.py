"""What a replica keeps of its sibling groups. Only a leader's is used; another begins with what the data file says."""

from collections import deque

from msgspec import Struct

from quorate.core.bounds import GroupId, NodeId
from quorate.core.entries import ORIGIN, Position
from quorate.core.multi_leader.messages import Ack, Fetch
from quorate.core.single_leader.state import Group
from quorate.core.streams import Cursor, Merge, Streams

MERGES = -(1 << 62)
"""Merges are requests with numbers from here downwards."""


class Upstream(Struct):
    """A sibling group whose log is read."""

    group: GroupId
    nodes: tuple[NodeId, ...]
    asked: NodeId
    """Who leads it, as far as is known."""
    heard_us: int
    """When it last answered."""
    read: Position = ORIGIN
    """How far it was read; what was found may still wait to be merged."""
    number: int = 0
    """Of the question that is not answered; 0: there is none."""
    asked_us: int = 0
    at_once: bool = False
    waits: GroupId = 0
    """Its next entry is of this origin, whose writes have to come from there first, up to `until`."""
    until: Position = ORIGIN
    wanted: tuple[GroupId, ...] = ()
    """Whose writes it was asked for besides its own."""
    asks_as: tuple[NodeId, int] = (0, 0)
    """Which node, in which of its lives, has asked us for this sibling last."""
    part: int = 0
    """Everything is taken from it, and this part is next; 0: its log is read."""

    @property
    def lacks(self) -> bool:
        """What it waits for is not in its log, though it was asked for that."""
        return self.waits in self.wanted


BOOT_BITS = 32
"""The numbers of a life's questions are those of its boot, followed by so many bits."""


class Pulling(Struct):
    """What is taken from the siblings. Owner: `pulling`."""

    numbers: int
    queue: deque[Merge]
    """What waits to be merged, in order: each may build upon those before it. The first may be running."""
    cursors: dict[GroupId, Cursor] = {}
    """What the data file holds."""
    epoch: int = 0
    """The epoch as leader of which the rest was begun; 0: it was not."""
    upstreams: dict[GroupId, Upstream] = {}
    merged: dict[GroupId, Position] = {}
    """What each sibling wrote is here up to there, or in the queue."""
    running: int = 0
    """The request that merges it; 0: none does."""
    again_us: int = 0
    """It failed: try again then."""


class Doubt(Struct):
    """Whether this leader has forgotten what it wrote. Owner: `doubting`."""

    asks: bool = False
    """Its siblings have not all said yet what they have of it."""
    until_us: int = 0
    """They are not waited for any longer; 0: it has not begun to ask."""
    told: set[GroupId] = set()
    leapt: bool = False
    """This life has an epoch of its own."""
    beyond: Position = ORIGIN
    """A sibling has what was written up to here, and this log does not. ORIGIN: nothing is known to be forgotten."""
    keeper: GroupId = 0
    """That one."""
    again_us: int = 0
    """Everything is taken from it again then, if that is still needed."""


class Kept(Struct):
    """A question that is not answered yet."""

    node: NodeId
    fetch: Fetch
    through: Position
    """There is nothing in our log for it up to here."""
    reading: bool = False
    """Entries are being read back for it, or everything."""


class Whole(Struct):
    """Everything that one data file held, while a sibling takes it."""

    position: Position
    parts: tuple[bytes, ...]
    cursors: tuple[Cursor, ...]


class Serving(Struct):
    """What the siblings take from us. Owner: `serving`."""

    kept: dict[GroupId, Kept] = {}
    wholes: dict[GroupId, Whole] = {}
    stored: dict[GroupId, Position] = {}
    """How far each sibling has our log durably."""


class Told(Struct, frozen=True):
    """What the leaders had merged, as it is told."""

    at: Position
    """Of the log of who tells it: where that is merged, it counts."""
    acks: tuple[Ack, ...]


class Stability(Struct):
    """What all leaders have merged. Owner: `stability`."""

    data: Streams = Streams(())
    """What the data file says."""
    epoch: int = 0
    """The epoch as leader of which the rest was begun; 0: it was not."""
    since_us: int = 0
    """When that was."""
    beat: int = 0
    acks: dict[GroupId, Ack] = {}
    """What each leader is known to have merged."""
    heard_us: dict[GroupId, int] = {}
    """When something new was heard of it."""
    coming: dict[GroupId, Told] = {}
    """What each sibling has told, as long as its log is not merged up to there."""
    telling: Told | None = None
    """It is told when a majority holds the log up to there."""
    told: Told | None = None
    told_to: set[GroupId] = set()


class LeaderGroup(Group):
    """A replica's state, with what it has to do with its siblings."""

    pulling: Pulling
    serving: Serving
    doubt: Doubt
    stability: Stability
