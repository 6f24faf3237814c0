"""What one group of a database with several leaders takes from another, as its log and its data file have it.

Each leader's group reads the logs of its siblings. What it has read becomes an entry of its own log (`FOREIGN`), whose
payload is a `Merge`. Storage merges it in the transaction in which it notes how far each log was read, so a new leader
of the group goes on where the data file stands.
"""

from msgspec import Struct, msgpack

from quorate.core.bounds import GroupId
from quorate.core.entries import Position

Flat = tuple[int, ...]
"""Up to where of each origin: origin, stamp, origin, stamp ... (`core.versions.dots.flat`)."""


class Cursor(Struct, frozen=True, array_like=True, gc=False):
    """What the data file says of a sibling group."""

    group: GroupId
    merged: Position
    """All that it wrote itself up to here is merged, whoever it came from."""
    read: Position
    """Its log was read up to here: all that was committed there before this has been merged too."""


class Streams(Struct, frozen=True):
    """What a versioned data file says of the writes of all leaders."""

    cursors: tuple[Cursor, ...]
    """How far the log of each sibling is merged."""
    seen: Flat = ()
    """All of these are merged."""
    floor: Flat = ()
    """All of these are settled: what only older writes could need is forgotten."""


class Merge(Struct, frozen=True, array_like=True):
    """Merge what a sibling wrote: alone in its batch, as a whole or not at all. The outcome is `Done(())`, or `Failed`
    where it cannot be merged yet. It can come again, and may hold what is merged already."""

    origin: GroupId
    """Who wrote the payloads."""
    merged: Position
    """The cursor of `origin` afterwards, if that is not further already (`Cursor.merged`)."""
    upstream: GroupId
    """Whose log they were read in; that of `origin`, if nobody handed them on."""
    read: Position
    """The cursor of `upstream` afterwards, if that is not further already (`Cursor.read`)."""
    payloads: tuple[bytes, ...] = ()
    """Of the entries of kind `DATA`, in the order of the origin's log. May be empty: only the cursors move."""
    whole: tuple[Cursor, ...] | None = None
    """Not None: the payloads are parts of everything that the upstream held at `read`, as `WholeRead` had them, the
    last ones of it if there are cursors: those are taken, as far as they are further."""
    floor: Flat = ()
    """Not empty: every leader has merged these writes, and what was written without having seen them is merged here, so
    they can be settled. Such a merge is this group's own, and brings nothing else."""


_encode = msgpack.Encoder().encode
_decoder = msgpack.Decoder(Merge)


def encode_merge(merge: Merge) -> bytes:
    """The payload of an entry of kind `FOREIGN`."""
    return _encode(merge)


def decode_merge(payload: bytes) -> Merge:
    """Raises msgspec.MsgspecError when it is none."""
    return _decoder.decode(payload)


class ReadWhole(Struct, frozen=True):
    """Read everything that the versioned tables hold, as it is committed, in parts of about so many bytes
    -> `WholeRead`."""

    group: GroupId
    id: int
    bytes_max: int


class WholeRead(Struct, frozen=True):
    """Everything, as it stood at `position`; or, where it failed, nothing."""

    group: GroupId
    id: int
    position: Position
    parts: tuple[bytes, ...] = ()
    cursors: tuple[Cursor, ...] = ()
    failed: str = ""
