"""What the groups of one database tell each other. Within a group its members speak as those of a single leader do."""

from msgspec import Struct

from quorate.core.bounds import Count, Epoch, GroupId, NodeId, Stamped
from quorate.core.entries import ORIGIN, Position
from quorate.core.messages import GroupMessage
from quorate.core.streams import Cursor


class Fetch(GroupMessage, frozen=True, array_like=True, tag=40):
    """A group's leader to a node of another group: what does your log have after this? Answered by that group's leader
    when there is something, or at once."""

    asker: GroupId
    number: Count
    """Of the question; the answer has it."""
    after: Position
    """Your log is read up to here."""
    stored: Position
    """The same, as my group has it durably: you may forget it."""
    merged: tuple[tuple[GroupId, Position], ...]
    """Up to where I have what each other group wrote."""
    wants: tuple[GroupId, ...] = ()
    """Whose writes I need from you: I do not hear those groups myself."""
    at_once: bool = False
    """Answer, also if there is nothing."""
    part: Count = 0
    """Not 0: this part of everything that you hold, instead of entries; they are counted from 1."""


class Ack(Struct, frozen=True, array_like=True):
    """What one leader had merged."""

    group: GroupId
    epoch: Epoch
    beat: Count
    """Of this epoch; a higher one is newer."""
    seen: tuple[Stamped, ...]


class Part(Struct, frozen=True, array_like=True):
    """Writes of one origin, in a row, as one log has them."""

    origin: GroupId
    merged: Position
    """Whoever has these and all before them has what the origin wrote up to here."""
    read: Position
    """Where they end in the log that they were read from."""
    payloads: tuple[bytes, ...]


class Fetched(GroupMessage, frozen=True, array_like=True, tag=41):
    """The answer to the `Fetch` of this number. `group` is the asker's."""

    upstream: GroupId
    number: Count
    state: Count
    """One of those below."""
    leader: NodeId = 0
    """ELSEWHERE: ask this one; 0: I know nobody."""
    through: Position = ORIGIN
    """READ: the log is read up to here."""
    parts: tuple[Part, ...] = ()
    waits: GroupId = 0
    """READ: what comes next is of this origin, and you should have it from there up to `until`."""
    until: Position = ORIGIN
    known: Position = ORIGIN
    """I have what the asker's group wrote up to here."""
    cursors: tuple[Cursor, ...] = ()
    """WHOLE: not empty with the last part."""
    at: Position = ORIGIN
    acks: tuple[Ack, ...] = ()
    """Whoever has merged my log up to `at` has everything that these leaders wrote before they had merged so much."""


READ, ELSEWHERE, PARTED, WHOLE = range(4)
"""`Fetched.state`: read; I do not lead, or cannot tell now; there is no way on from there in my log, take everything;
a part of everything, as it was at `through`."""
