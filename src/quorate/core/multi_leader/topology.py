"""Who takes the writes of whom.

`all`: each from each. `ring`: each from the one before it, in the order of their groups. `star`: the first from each,
all others from the first. While one of those from whom a leader should take them is silent, it takes them from
everybody: so a ring closes around a dead node, and a star without its hub is all to all.
"""

from collections.abc import Collection, Sequence

from quorate.core.bounds import GroupId
from quorate.core.options import RING, STAR


def upstreams(
    topology: str, own: GroupId, groups: Sequence[GroupId], silent: Collection[GroupId] = ()
) -> tuple[GroupId, ...]:
    """Whose logs a group reads, of these, which are sorted and include it."""
    others = tuple([group for group in groups if group != own])
    chosen = others
    if topology == RING and len(others) > 1:
        chosen = (groups[groups.index(own) - 1],)
    elif topology == STAR and own != groups[0]:
        chosen = (groups[0],)
    return others if any(group in silent for group in chosen) else chosen


def wanted(
    chosen: Collection[GroupId], own: GroupId, groups: Sequence[GroupId], silent: Collection[GroupId]
) -> list[GroupId]:
    """Whose writes it takes from whoever has them: it does not read their logs, or cannot now."""
    return [group for group in groups if group != own and (group not in chosen or group in silent)]
