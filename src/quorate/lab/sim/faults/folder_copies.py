"""Copying a machine's disk, and putting the copy back, whichever store keeps its data."""

from typing import Any

from quorate.core.bounds import NodeId
from quorate.lab.sim.stores.files import FileStore
from quorate.lab.sim.stores.keeps import SimulatedStore
from quorate.lab.sim.stores.store import BadStore


def copy_disk(store: SimulatedStore) -> Any:
    """All that lies on this machine's disk, between two lives."""
    if isinstance(store, FileStore):
        return store.device.copy(), store.identity, store._turn, store._noted  # noqa: SLF001 - one machine, two files
    assert isinstance(store, BadStore), "there are two kinds of stores"
    return store.copy_disk()


def put_back(store: SimulatedStore, copied: Any) -> None:
    """That copy is all there is, from now on. Between two lives."""
    if isinstance(store, FileStore):
        image, store.identity, store._turn, store._noted = copied  # noqa: SLF001
        store.device.put_back(image)
        store._doubt, store._ends = (), {}  # noqa: SLF001
        store.spoiled.clear()
    else:
        assert isinstance(store, BadStore), "there are two kinds of stores"
        store.put_back(copied)


def lives(store: SimulatedStore) -> set[tuple[NodeId, int]]:
    """Node and boot of every life that this machine's disk names."""
    if isinstance(store, FileStore):
        if not store.log.groups:
            return set()  # the machine is down
        with store.device.calm():
            return {(life.node, life.boot) for life in store.opened._node.lives()}  # noqa: SLF001
    assert isinstance(store, BadStore), "there are two kinds of stores"
    return set(store.lives)
