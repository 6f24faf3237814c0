"""Positions, entries, and what a log write may be: the words in which a group's log is written."""

from collections.abc import Sequence

from msgspec import Struct

from quorate.core.bounds import Epoch, GroupId, Index, NodeId, Small


class Position(Struct, frozen=True, array_like=True, order=True, gc=False):
    """A place in a group's log. Ordered by epoch, then index."""

    epoch: Epoch
    index: Index


ORIGIN = Position(0, 0)
"""Before the first entry."""


# Entry kinds. Storage executes DATA, FOREIGN and SCHEMA; all others are *control entries*, which only the replication
# understands. Storage keeps them as they are: beside the data, once they are applied.
NOOP = 0
"""Appended by a new leader: committing it commits everything before it (Raft, section 8)."""
DATA = 1
"""The payload is an encoded batch of changes with its requests' tokens and results."""
ACKS = 3
"""The payload names the ack policy that holds from this entry on (`core.ack_policy.spell`)."""
MEMBERS = 4
"""The payload names the group's members from this entry on (`core.membership`)."""
FOREIGN = 5
"""The payload is a `core.streams.Merge`: what a sibling group wrote. Storage executes it, as it does DATA."""
SCHEMA = 6
"""The payload is a change of the schema of a database without a leader (`core.row_effects.encode_change`)."""
EXECUTED = frozenset({DATA, FOREIGN, SCHEMA})


class Entry(Struct, frozen=True, array_like=True, gc=False):
    """One place of a group's log. The payload is opaque to every core."""

    index: Index
    epoch: Epoch
    kind: Small
    payload: bytes


# --------------------------------------------------------------------------------------------------
# What a log write may be. A `Persist` carries a tuple of these; all of them, for all groups of the
# node, become durable with one fsync, atomically and in order.
# --------------------------------------------------------------------------------------------------


class CreateGroup(Struct, frozen=True):
    """Make room for a replica of a group on this node. Repeating it changes nothing."""

    group: GroupId
    database: str
    partition: int
    replication: str
    """Its name in `core.replication`."""
    voters: tuple[NodeId, ...]


class WriteHardState(Struct, frozen=True):
    """The epoch this replica has reached and whom it voted for in it (0: nobody)."""

    group: GroupId
    epoch: int
    vote: NodeId


class WriteEntries(Struct, frozen=True, gc=False):
    """Replace everything from the first entry's index on by these entries."""

    group: GroupId
    entries: tuple[Entry, ...]


class ForgetVoters(Struct, frozen=True):
    """The group has had other members than those with which it began: others may have what is lost here, with however
    many voters it began. Repeating it changes nothing."""

    group: GroupId


class TrimLog(Struct, frozen=True):
    """Forget entries up to and including `through`; the data file holds them durably."""

    group: GroupId
    through: Position


class SwitchGeneration(Struct, frozen=True):
    """Make a stored, complete snapshot this replica's data file and begin its log behind it."""

    group: GroupId
    snapshot: int
    position: Position
    keep: int = 0
    """Entries behind the position up to this index stay in the log; 0: none does."""


class DropGroup(Struct, frozen=True):
    """The group's database was dropped: forget its log, and never make room for it again. Repeating it, or doing so for
    a group that was never held here, changes nothing else."""

    group: GroupId


LogWrite = CreateGroup | ForgetVoters | WriteHardState | WriteEntries | TrimLog | SwitchGeneration | DropGroup

LARGE_BYTES = 1 << 20
"""Entries of so many bytes take long to write and to send."""
SLOW_BYTES_PER_US = 16
"""What a busy disk or network carries at the least: 16 MB a second."""


def bytes_of(entries: Sequence[Entry]) -> int:
    """Of their payloads."""
    size = 0
    for entry in entries:  # one, as a rule
        size += len(entry.payload)
    return size


def takes_us(entries: Sequence[Entry]) -> int:
    """How long large entries may be on their way to a disk or another node before anything is made of it; 0 for
    others."""
    size = bytes_of(entries)
    return size // SLOW_BYTES_PER_US if size >= LARGE_BYTES else 0


def log_busy_us(writes: Sequence[LogWrite], busy_us: int, now_us: int) -> int:
    """Until when the disk may be busy with large entries, which was `busy_us` before it was given these writes too."""
    for write in writes:
        if type(write) is WriteEntries and (takes := takes_us(write.entries)):
            busy_us = max(busy_us, now_us) + takes
    return busy_us
