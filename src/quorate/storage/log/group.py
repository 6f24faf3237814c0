"""What every log knows of one group's part of it, whether it is a file or the in-memory fake."""

from collections.abc import Sequence
from hashlib import blake2b
from struct import Struct as Layout
from typing import Protocol

import msgspec

from quorate.core.bounds import GroupId, NodeId
from quorate.core.entries import ORIGIN, Entry, LogWrite, Position

NO_HASH = bytes(16)
PLACE = Layout("<qqq")


def chained(previous: bytes, entry: Entry) -> bytes:
    """The hash of an entry, given that of the one before it: 16 bytes of BLAKE2b."""
    digest = blake2b(previous + PLACE.pack(entry.index, entry.epoch, entry.kind), digest_size=16)
    digest.update(entry.payload)
    return digest.digest()


class LogDamaged(Exception):
    """Entries of one group cannot be trusted; the message says which and why."""


class GroupLog(msgspec.Struct):
    """What is kept in memory of one group's part of the log."""

    group: GroupId
    database: str
    partition: int
    replication: str
    """Its name in `core.replication`."""
    voters: tuple[NodeId, ...]
    epoch: int = 0
    vote: NodeId = 0
    base: Position = ORIGIN
    base_hash: bytes = NO_HASH
    generation: int = 0
    snapshot: int = 0
    """The received snapshot that this generation was made of; 0 when it was not."""
    last: Position = ORIGIN
    last_hash: bytes = NO_HASH
    forgotten: int = 0
    """Entries from this index to the base's may still be in the file; 0 when there are none."""


class NodeLog(Protocol):
    """What a store needs of its log."""

    groups: dict[GroupId, GroupLog]
    dropped: set[GroupId]
    """Groups that were dropped, which are none of these."""

    def commit(self, writes: Sequence[LogWrite]) -> None:
        """Make these writes durable, atomically and in order. Raises DiskIsFull or Broken."""

    def read(self, group: GroupId, first: int, last: int, bytes_max: int) -> tuple[Entry, ...]:
        """Entries from `first`, at most `last`, at least one, stopping near `bytes_max`; fewer or none when
        the log has no more. Raises LogDamaged when they cannot be trusted."""

    def epoch_at(self, group: GroupId, index: int) -> int | None:
        """The epoch of the entry at this index, or None when the log does not have it."""

    def epochs(self, group: GroupId) -> tuple[Position, ...]:
        """For each run of entries of one epoch: that epoch and the run's first index."""

    def tail_start(self, group: GroupId, entries_max: int, bytes_max: int) -> int:
        """The first index of the newest entries that are together within these bounds, at least one."""

    def close(self) -> None: ...
