"""A folder that is put back from an older copy: from a backup, or with a virtual machine's snapshot.

It is sought at the worst moment. (1) Somebody copies the folder of a node and starts it again; (2) once all others have
heard that life, one of them is cut off, so that what counts is held without it; (3) all but that one die, the node gets
its old folder, and is there before the others: with the one that was away it is a majority that lacks what counted.

Nobody can tell who has not heard the node's later lives. So (3) waits until the disks of all others name the life whose
folder is replaced: then nothing may be lost.
"""

import random
from collections.abc import Callable
from typing import Any

from quorate.lab.sim.host import Host
from quorate.lab.sim.network import Network
from quorate.lab.sim.store import BadStore
from quorate.lab.sim.world import World


class OldCopies:
    """The copy that somebody has made of one node's disk."""

    def __init__(self, world: World, network: Network, hosts: dict[int, Host]) -> None:
        self._world = world
        self._network = network
        self._hosts = hosts
        self._copy: tuple[dict[str, Any], Any] | None = None

    def strike(self, victim: int, dice: random.Random, ends: Callable[..., None], restart: Callable[..., None]) -> None:
        """The next step, if it can be taken now. `ends` calls something when the fault is over, `restart` starts a
        node again."""
        host = self._hosts[victim]
        others = [each for each in self._hosts.values() if each is not host]
        if not isinstance(host.store, BadStore) or not host.running:
            return
        if self._copy is None:
            host.crash(orderly=True)
            self._copy = host.store.copy_disk(), host.observer.copied(host)
            self._world.mark("folder copied")
            host.start()
        elif all(_knows(other, host) for other in others):
            away = dice.choice(others).number
            links = [link for each in self._hosts for link in ((each, away), (away, each)) if each != away]
            self._network.cut(links)
            ends(self._put_back, host, away, links, ends, restart)

    def _put_back(self, host: Host, away: int, links: Any, ends: Callable[..., None], restart: Any) -> None:
        self._network.mend(links)
        others = [each for each in self._hosts.values() if each is not host]
        if self._copy is None or not isinstance(host.store, BadStore) or not all(_knows(one, host) for one in others):
            return
        for each in (host, *others):
            if each.number != away:
                each.crash()
                if each is not host:
                    ends(restart, each)
        host.store.put_back(self._copy[0])
        self._world.record(host.number, "an older copy of the folder is put back", None)
        self._world.mark("folder put back")
        host.observer.put_back(host, self._copy[1])
        self._copy = None
        host.start()


def _knows(other: Host, host: Host) -> bool:
    """Whether this machine's disk names the newest life of that one."""
    assert isinstance(other.store, BadStore)
    known = other.store.lives.get((host.number, 0))
    return known is not None and known.boot == host.store.identity.boot
