"""A leader that may have forgotten what it wrote: its folder was put back from an older copy, or is new.

Nobody in its group can tell it, if it has no followers; its siblings can. So a leader without followers

- begins each life in an epoch that is a random number above the last one that it knows of: no position that this folder
  may have forgotten is used for another write;
- takes no writes before all siblings have said what they have of it, or have been silent for a while;
- where one has more than its own log holds (it may turn out at any time, of any leader): serves and takes writes no
  more, goes to an epoch above that one's, and takes everything from it (`Merge.whole`). In the log this is an entry
  of its own (`heals`). Whoever reads the log comes to it, or stands where the log was forgotten, and takes everything
  too: so what was written in either branch comes to all.

What it has taken back is in the data file as a cursor of its own group.
"""

from quorate.core.bounds import GroupId
from quorate.core.entries import ORIGIN, Position
from quorate.core.kernel import Now
from quorate.core.multi_leader.state import LeaderGroup
from quorate.core.requests import Refused
from quorate.core.single_leader import election
from quorate.core.single_leader.roles import LEADER
from quorate.core.streams import Merge

LEAP = 1 << 20
"""A life begins up to so many epochs higher."""
SILENT = 2
"""So many times `suspect` a sibling that says nothing is waited for."""


def begin(group: LeaderGroup) -> None:
    """This life is new, or was told to have forgotten an earlier one: ask all siblings."""
    doubt = group.doubt
    doubt.asks = not group.others
    doubt.told.clear()
    doubt.until_us = 0


def next_epoch(group: LeaderGroup) -> int:
    """The epoch to stand in."""
    doubt = group.doubt
    leap = group.host.rng.randint(0, LEAP) if not doubt.leapt and not group.others else 0
    doubt.leapt = True
    return group.election.epoch + 1 + leap


def is_sure(group: LeaderGroup) -> bool:
    """Whether nothing seems to be forgotten: may take writes, and may be read."""
    return not group.doubt.asks and group.doubt.beyond == ORIGIN


def refusal(group: LeaderGroup) -> Refused:
    """Why a write is not taken now."""
    if group.doubt.beyond == ORIGIN:
        said = "this leader has started, and asks the others first what they have of it"
        return Refused("Unavailable", said, "repeat it", retryable=True)
    nodes = " or ".join(group.host.name_of(each) for each in _keeper_nodes(group))
    said = "this leader's folder is older than what others have of it: it takes back from them what it has forgotten"
    return Refused("Unavailable", said, f"it needs {nodes} for that; use another leader meanwhile", retryable=True)


def _keeper_nodes(group: LeaderGroup) -> tuple[int, ...]:
    rows = group.host.groups_for(group.database)
    return next((row.nodes for row in rows if row.group == group.doubt.keeper), ())


def heard(group: LeaderGroup, now: Now, sibling: GroupId, known: Position, *, leads: bool) -> None:
    """A sibling says up to where it has what this group wrote. `leads`: it was its leader, who knows all."""
    doubt = group.doubt
    if group.election.role != LEADER:
        return
    if leads:
        doubt.told.add(sibling)
    if known > doubt.beyond and not _is_ours(group, known):
        group.note("forgotten", known=known, by=sibling, last=group.log.last)
        doubt.beyond, doubt.keeper = known, sibling
        _go_above(group, now)


def _is_ours(group: LeaderGroup, known: Position) -> bool:
    """Whether that position is in this log, or was taken back."""
    taken = group.pulling.cursors.get(group.group)
    if taken is not None and known <= taken.merged:
        return True
    base = group.log.base
    if known.index < base.index:
        return known.epoch <= base.epoch
    return group.log.epoch_at(known.index) == known.epoch


def _go_above(group: LeaderGroup, now: Now) -> bool:
    """Lead no more in an epoch in which a write may have been forgotten. Whether it did."""
    if group.election.role != LEADER or group.election.epoch > group.doubt.beyond.epoch:
        return False
    if group.election.epoch < group.doubt.beyond.epoch:
        election.adopt_epoch(group, now, group.doubt.beyond.epoch, 0)
    else:
        election.become_follower(group, now)
    return True


def proceed(group: LeaderGroup, now: Now) -> bool:
    """As a leader: whether it still leads, and may go on to read the others."""
    doubt = group.doubt
    if doubt.beyond != ORIGIN:
        if _is_ours(group, doubt.beyond):
            group.note("taken_back", through=doubt.beyond)
            doubt.beyond, doubt.keeper = ORIGIN, 0
        elif _go_above(group, now):
            return False
    if doubt.asks:
        siblings = {row.group for row in group.host.groups_for(group.database)} - {group.group}
        doubt.until_us = doubt.until_us or now.mono_us + SILENT * group.settings.suspect_us
        if siblings <= doubt.told or now.mono_us >= doubt.until_us:
            doubt.asks = False
            group.host.make_ready(group.group)
    return True


def takes_back(group: LeaderGroup, now: Now, sibling: GroupId) -> bool:
    """Whether everything is to be taken from this one now."""
    doubt = group.doubt
    if doubt.keeper != sibling or now.mono_us < doubt.again_us:
        return False
    doubt.again_us = now.mono_us + group.settings.suspect_us  # what it has may wait there to be merged
    return group.pulling.merged.get(group.group, ORIGIN) < doubt.beyond


def heals(group: LeaderGroup, merge: Merge) -> bool:
    """Whether this is an entry with which this group took back what it had forgotten."""
    return merge.whole is not None and merge.origin == group.group
