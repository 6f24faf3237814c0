"""Whether a replica has what a session has seen (`core.bookmarks`).

Where the log has an entry of another epoch, the one that was seen is gone; so it is where an entry of a later epoch was
committed before its place, for that stays. What was acknowledged is lost so with `async`, where somebody accepts a
loss, or where a node's folder was put back. `Rules.leaderships` knows the epoch of a place for long.
"""

from collections.abc import Iterable

from quorate.core.bookmarks import Reached
from quorate.core.requests import Refused
from quorate.core.single_leader.roles import LEADER
from quorate.core.single_leader.state import Group

HAS, NOT_YET, LOST = range(3)


def data_file_has(group: Group, places: Iterable[Reached]) -> int:
    """Whether what reads see here includes all of these: HAS, NOT_YET, or LOST where it never will, nor anywhere."""
    return max([_standing(group, place, group.apply.applied.index) for place in places], default=HAS)


def log_has(group: Group, places: Iterable[Reached]) -> int:
    """As a leader: the same of what a write comes after."""
    return max([_standing(group, place, group.log.last.index) for place in places], default=HAS)


def _standing(group: Group, place: Reached, end: int) -> int:
    if place.group != group.group:
        return HAS if group.has_of_another(place) else NOT_YET
    settled = group.election.role == LEADER and group.commit.committed >= group.election.noop > 0
    """Its log becomes no other as long as it leads."""
    unless_elsewhere = LOST if settled and not group.others else NOT_YET
    if place.index > group.commit.committed and (group.epoch_at(group.commit.committed) or 0) > place.epoch:
        return LOST
    if place.index <= group.log.last.index:
        epoch = group.epoch_at(place.index)
        if epoch is None:  # of a time when nobody could lose anything, or nobody knows
            return LOST if any(each.loses and each.epoch > place.epoch for each in group.rules.leaderships) else HAS
        if epoch == place.epoch:
            return HAS if place.index <= end else NOT_YET
        return LOST if epoch > place.epoch and (settled or place.index <= group.commit.committed) else unless_elsewhere
    return LOST if settled and place.epoch <= group.election.epoch else unless_elsewhere


def lost(group: Group) -> Refused:
    """What the session is told."""
    return Refused(
        "BookmarkLost",
        f"not done: a failover of {group.database!r} has lost writes that this session had seen or made",
        "look at what is there (`quorate lost list` shows what was kept), then go on with bookmark = None",
    )
