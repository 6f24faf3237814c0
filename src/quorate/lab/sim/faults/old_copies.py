"""A folder that is put back from an older copy: from a backup, or with a virtual machine's snapshot.

It is sought at the worst moment. (1) Somebody copies the folder of a node and starts it again; (2) once all others have
heard that life, one of them is cut off, so that what is committed is held without it; (3) all but that one die, the
node gets its old folder, and is there before the others: with the one that was away it is a majority that lacks what
was committed.

Nobody can tell who has not heard the node's later lives. So (3) waits until the disks of all others name the life whose
folder is replaced: then nothing may be lost.
"""

import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from quorate.lab.sim.campaigns.rows import Row
from quorate.lab.sim.engine.host import Host
from quorate.lab.sim.engine.network import Network
from quorate.lab.sim.engine.world import World
from quorate.lab.sim.faults.fault import Dial, Fault
from quorate.lab.sim.faults.folder_copies import copy_disk, lives, put_back
from quorate.lab.sim.scenarios.dials import SECOND

if TYPE_CHECKING:
    from quorate.lab.sim.faults.injector import Faults

EARLIEST_US = 2 * SECOND
"""By then the tables are there: what made them is not to be lost."""


class OldCopies:
    """The copy that somebody has made of one node's disk."""

    def __init__(self, world: World, network: Network, hosts: dict[int, Host]) -> None:
        self._world = world
        self._network = network
        self._hosts = hosts
        self._copy: tuple[Any, Any] | None = None

    def strike(self, victim: int, rng: random.Random, ends: Callable[..., None], restart: Callable[..., None]) -> None:
        """The next step, if it can be taken now. `ends` calls something when the fault is over, `restart` starts a
        node again."""
        host = self._hosts[victim]
        others = [each for each in self._hosts.values() if each is not host]
        if not host.running:
            return
        if self._copy is None:
            host.crash(orderly=True)
            self._copy = copy_disk(host.store), host.observer.copied(host)
            self._world.mark("folder copied")
            host.start()
        elif all(_knows(other, host) for other in others):
            away = rng.choice(others).number
            links = [link for each in self._hosts for link in ((each, away), (away, each)) if each != away]
            self._network.cut(links)
            ends(self._put_back, host, away, links, ends, restart)

    def _put_back(self, host: Host, away: int, links: Any, ends: Callable[..., None], restart: Any) -> None:
        self._network.mend(links)
        others = [each for each in self._hosts.values() if each is not host]
        if self._copy is None or not all(_knows(one, host) for one in others):
            return
        for each in (host, *others):
            if each.number != away:
                each.crash()
                if each is not host:
                    ends(restart, each)
        put_back(host.store, self._copy[0])
        self._world.record(host.number, "an older copy of the folder is put back", None)
        self._world.mark("folder put back")
        host.observer.put_back(host, self._copy[1], unseen=False)
        self._copy = None
        host.start()


class UnseenCopies:
    """The same where nobody who is there can tell: the one that was away was away before the copy was made.

    (1) One node is cut off; somebody copies the folder of another, and starts it again. (2) What counts from now on is
    held without the one that is away. (3) All others die, the node gets its old folder, and finds the one that was
    away: a majority that lacks what was committed. (4) Those who know come back, and find another log.

    The one that is away must have heard of the newest epochs: two epochs with the same number would confuse the
    judges. `tests/core` has that.
    """

    def __init__(self, world: World, network: Network, hosts: dict[int, Host]) -> None:
        self._world = world
        self._network = network
        self._hosts = hosts
        self._copy: tuple[Any, Any] | None = None
        self._away = 0
        self._links: list[tuple[int, int]] = []

    def strike(self, victim: int, rng: random.Random, ends: Callable[..., None], restart: Callable[..., None]) -> None:
        """The next step, if it can be taken now."""
        host = self._hosts[victim]
        others = [each for each in self._hosts.values() if each is not host]
        if not host.running:
            return
        if self._copy is None:
            damaged = host.core is None or any(group.repair.damaged for group in host.core.groups.values())
            if damaged or self._world.now_us < EARLIEST_US:
                return
            self._away = rng.choice(others).number
            self._links = [link for each in self._hosts for link in ((each, self._away), (self._away, each))]
            self._links = [link for link in self._links if link[0] != link[1]]
            self._network.cut(self._links)
            host.crash(orderly=True)
            self._copy = copy_disk(host.store), host.observer.copied(host)
            self._world.mark("folder copied")
            host.start()
            return
        away = self._hosts[self._away]
        rest = [each for each in others if each is not away]
        self._network.mend(self._links)
        if _has_newest_epochs(away, self._hosts.values()) and all(_knows(each, host) for each in rest):
            for each in (host, *rest):
                each.crash()
                if each is not host:
                    ends(restart, each)
            put_back(host.store, self._copy[0])
            self._world.record(host.number, "an older copy of the folder is put back, unseen", None)
            self._world.mark("folder put back")
            host.observer.put_back(host, self._copy[1], unseen=True)
            host.start()
        self._copy = None


def _has_newest_epochs(away: Host, hosts: Iterable[Host]) -> bool:
    """Whether no node knows of a later epoch of a group than this one."""
    if away.core is None:
        return False
    groups = [each.core.groups for each in hosts if each.core is not None]
    return all(
        number in some and mine.election.epoch >= some[number].election.epoch
        for number, mine in away.core.groups.items()
        for some in groups
    )


def _knows(other: Host, host: Host) -> bool:
    """Whether this machine's disk names the newest life of that one."""
    return (host.number, host.store.identity.boot) in lives(other.store)


def old_copy(faults: "Faults") -> None:
    """The next step of it."""
    if faults.victim:
        faults.copies.strike(faults.victim, faults.rng, faults.ends, faults.restart)


OLD_COPY = Fault(
    dials=(Dial("old_copy_us"), Dial("old_copy_unseen", quiet=(False,))),
    mark="folder copied",
    strike=old_copy,
    one_node=True,
    rows=(
        Row(
            "a folder put back from an older copy (one node)",
            "folder put back",
            {"old_copy_us": SECOND // 2},
            stored=False,
        ),
    ),
)
