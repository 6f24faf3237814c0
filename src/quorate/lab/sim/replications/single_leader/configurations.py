"""Who belongs to each group, read from the logs themselves and not from the cores; and whether a change of members was
made as it must be: jointly, one at a time, and not before the leader's own epoch had committed anything.
"""

from typing import Any

from quorate.core.bounds import GroupId, NodeId
from quorate.core.entries import MEMBERS, Entry
from quorate.core.membership import Configuration, read_entry
from quorate.lab.sim.engine.world import Violation, World

CONFIGURATION = "configuration"
"""The judge of who is in a group."""

Place = tuple[int, int]
"""Index and epoch: they name one entry of a group."""


class Named:
    """The configurations that the logs of one group name."""

    __slots__ = ("first", "named", "newest")

    def __init__(self) -> None:
        self.named: dict[Place, Configuration] = {}
        self.newest: dict[Place, Place | None] = {}
        """For each entry: where the newest configuration at or before it stands; None: none was named by then."""
        self.first: dict[NodeId, tuple[NodeId, ...]] = {}
        """The voters with which each node's replica began."""

    def add(self, entry: Entry, previous: Place) -> None:
        place = (entry.index, entry.epoch)
        if place not in self.newest:
            if entry.kind == MEMBERS:
                self.named[place] = read_entry(entry.payload)
                self.newest[place] = place
            else:
                self.newest[place] = self.newest.get(previous)

    def at(self, place: Place, node: NodeId) -> Configuration:
        """What holds on a node whose log ends there."""
        newest = self.newest.get(place)
        return Configuration(self.first.get(node, ())) if newest is None else self.named[newest]


class Configurations:
    """All groups. Raises Violation."""

    def __init__(self, world: World, *, silent: bool) -> None:
        self.world = world
        self.silent = silent
        self.groups: dict[GroupId, Named] = {}
        self.some = False
        """Some log has named a configuration; until then there is nothing to `check`."""

    def _broken(self, message: str) -> None:
        if not self.silent:
            raise Violation(CONFIGURATION, message)

    def of(self, group: GroupId) -> Named:
        known = self.groups.get(group)
        if known is None:
            known = self.groups[group] = Named()
        return known

    def sets(self, node: NodeId, group: Any) -> tuple[tuple[NodeId, ...], ...]:
        """The sets of voters that must each hold what this replica counts, as its log says."""
        last = group.log.last
        return self.of(group.group).at((last.index, last.epoch), node).sets

    def written(self, node: NodeId, group: Any, entries: tuple[Entry, ...], previous: int | None) -> None:
        """A node's log got these entries; as a leader it made them."""
        known = self.of(group.group)
        before = (entries[0].index - 1, previous or 0)
        for entry in entries:
            if entry.kind == MEMBERS and group.leads and entry.epoch == group.election.epoch:
                self._check_made(node, group, entry, known.newest.get(before), known.at(before, node))
            self.some = self.some or entry.kind == MEMBERS
            known.add(entry, before)
            before = (entry.index, entry.epoch)

    def _check_made(self, node: NodeId, group: Any, entry: Entry, earlier: Place | None, now: Configuration) -> None:
        following = read_entry(entry.payload)
        self.world.mark("configurations: joint" if following.joint else "configurations: simple")
        where = f"node {node} appends entry {entry.index} of epoch {entry.epoch} of group {group.group}"
        old, new = {frozenset(each) for each in now.sets}, {frozenset(each) for each in following.sets}
        jointly = old == new or (now.joint != following.joint and old & new)
        if not jointly or (now.joint and frozenset(now.voters) in new):
            self._broken(f"{where}: {following} does not follow {now}")
        if earlier is not None and group.commit.committed < earlier[0]:
            self._broken(f"{where}, a change of members, while that of entry {earlier[0]} is not committed")
        if group.commit.committed < group.election.noop or not group.election.noop:
            self._broken(f"{where}, a change of members, before its epoch has committed anything")

    def check(self, node: NodeId, group: Any) -> None:
        """What a replica takes for its members is what its log names last."""
        known = self.groups.get(group.group)
        if known is None or not known.named or group.fetching.switching or group.repair.damaged:
            return
        last = group.log.last
        if (last.index, last.epoch) not in known.newest:
            return  # nothing but a copy, or not written yet
        named = known.at((last.index, last.epoch), node)
        if group.configuration != named:
            text = f"node {node} takes {group.configuration} for the members of group {group.group}, its log says"
            self._broken(f"{text} {named}")
