"""Events and effects about lost tails (`core.single_leader.rewinding`); `core.kernel` gives them on."""

from typing import Any

from msgspec import Struct

from quorate.core.entries import GroupId


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
