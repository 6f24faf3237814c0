"""The arithmetic of majorities, simple and joint.

A joint configuration is two sets of voters that must both agree (Ongaro 2014, section 4.3); an empty
second set is a simple configuration. An empty set agrees with everything, as it must for the joint
rule to work out.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

NodeId = int
EVERYTHING = 1 << 62
"""What an empty configuration has counted."""


def majority(voters: int) -> int:
    """The smallest number of voters of which any two sets intersect."""
    return voters // 2 + 1


def committed_index(voters: Iterable[NodeId], matched: Mapping[NodeId, int], holders: int = 0) -> int:
    """The highest index that a majority of voters hold durably, or so many of them (0 for one not heard of)."""
    indexes = sorted(matched.get(voter, 0) for voter in voters)
    if not indexes:
        return EVERYTHING
    return indexes[len(indexes) - (holders or majority(len(indexes)))]


def joint_committed_index(
    old: Collection[NodeId],
    new: Collection[NodeId],
    matched: Mapping[NodeId, int],
    holders: Callable[[int], int] = majority,
) -> int:
    """The highest index held by a majority of both sets, or by so many of each (`holders` of its size)."""
    index = committed_index(old, matched, holders(len(old)))
    return min(index, committed_index(new, matched, holders(len(new)))) if new else index


def vote_won(voters: Iterable[NodeId], votes: Mapping[NodeId, bool], needed: int = 0) -> bool | None:
    """True when a majority (or so many) said yes, False when they no longer can, None while it is open."""
    members = list(voters)
    if not members:
        return True
    yes = sum(1 for voter in members if votes.get(voter) is True)
    open_ = sum(1 for voter in members if voter not in votes)
    needed = needed or majority(len(members))
    if yes >= needed:
        return True
    return None if yes + open_ >= needed else False


def joint_vote_won(
    old: Collection[NodeId],
    new: Collection[NodeId],
    votes: Mapping[NodeId, bool],
    needed: Callable[[int], int] = majority,
) -> bool | None:
    """Both sets must be won; one lost set loses the vote. `needed`: how many votes of so many voters."""
    results = (vote_won(old, votes, needed(len(old))), vote_won(new, votes, needed(len(new))))
    if False in results:
        return False
    return True if results == (True, True) else None
