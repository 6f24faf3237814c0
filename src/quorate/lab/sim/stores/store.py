"""The model disk of one node: the in-memory store, and what a bad disk does to what lies on it."""

import random
from collections.abc import Sequence
from typing import Any

from quorate.core.bounds import GroupId
from quorate.core.entries import Entry, LogWrite, SwitchGeneration, TrimLog, WriteEntries
from quorate.core.recovered import Identity
from quorate.lab.sim.engine.disk import Disk
from quorate.lab.sim.engine.world import World
from quorate.lab.sim.scenarios.dials import Dials
from quorate.storage.data.replica import Replica
from quorate.storage.interface import Broken, Divergent
from quorate.storage.log.group import GroupLog, LogDamaged
from quorate.storage.memory import MemoryLog, MemoryStore

EDITS = (
    "UPDATE marks SET note = 'edited' WHERE id = (SELECT max(id) FROM marks)",
    "DELETE FROM marks WHERE id = (SELECT min(id) FROM marks WHERE id > 0)",
    "INSERT INTO marks SELECT -max(id), 'invented' FROM marks HAVING max(id) > 0",
)


class UnknownToModel(Exception):
    """A statement that the model of SQLite has not learnt: teach `model_tables`, or run the seed with SQLite."""


class BadLog(MemoryLog):
    """A log in which some entries no longer match their hash, and that may fail to be read."""

    def __init__(self) -> None:
        super().__init__()
        self.flipped: set[tuple[GroupId, int]] = set()
        self.read_error = False
        """The next read of the disk gives an error, once."""
        self.world: World | None = None

    def check_read(self) -> None:
        """Raises Broken when the disk is to fail now."""
        if self.read_error:
            self.read_error = False
            if self.world is not None:
                self.world.mark("read error")
            raise Broken("the disk could not be read: input/output error")

    def read(self, group: GroupId, first: int, last: int, bytes_max: int) -> tuple[Entry, ...]:
        self.check_read()
        found = super().read(group, first, last, bytes_max)
        if self.flipped:
            for entry in found:
                if (group, entry.index) in self.flipped:
                    raise LogDamaged(f"entry {entry.index} of group {group} does not match its hash")
        return found


class BadStore(MemoryStore):
    """A store whose disk flips bits, in the log and in data files, and fails to be read now and then."""

    log: BadLog

    def __init__(self, identity: Identity) -> None:
        super().__init__(identity)
        self.log = BadLog()
        self._told: list[tuple[GroupId, int]] = []
        self.lied_to: set[GroupId] = set()
        self.spoiled: set[GroupId] = set()
        """Groups whose data file has a page that SQLite will find damaged when it next looks."""
        self.sends_no_copies = False
        """Nothing is edited that may be sent to a newcomer: of that edit, nobody could say who is wrong."""
        self.edited: set[GroupId] = set()
        """Groups whose data file was changed by somebody else than the node."""

    def persist(self, writes: Sequence[LogWrite]) -> None:
        super().persist(writes)
        if not self.log.flipped and not self.spoiled and not self.edited:
            return
        for write in writes:
            if isinstance(write, SwitchGeneration):
                self.spoiled.discard(write.group)
                self.edited.discard(write.group)
                self._forget(write.group, 0, write.position.index)
                self._forget(write.group, max(write.keep, write.position.index) + 1, 1 << 62)
            elif isinstance(write, TrimLog):
                self._forget(write.group, 0, write.through.index)
            elif isinstance(write, WriteEntries):
                self._forget(write.group, write.entries[0].index, 1 << 62)

    def _forget(self, group: GroupId, first: int, last: int) -> None:
        """These entries are gone, or written anew."""
        self.log.flipped = {each for each in self.log.flipped if each[0] != group or not first <= each[1] <= last}

    def lose_tail(self, rng: random.Random) -> None:
        """The newest entries of some group are gone, although they were reported durable."""
        groups = sorted(number for number, log in self.log.groups.items() if log.last.index > log.base.index)
        if groups:
            group, count = rng.choice(groups), rng.randint(1, 3)
            self.truncate_log_tail(group, count)
            self._told.append((group, count))

    def lost(self) -> list[tuple[GroupId, int]]:
        """What `lose_tail` did, told once."""
        told, self._told = self._told, []
        return told

    def copy_disk(self) -> dict[str, Any]:
        """All that lies on this disk, between two lives."""
        return {
            "identity": self.identity, "log": self.log.copy(), "lives": self.lives.copy(), "lost": self._lost.copy(),
            "log_damaged": self.log_damaged.copy(), "notes": self._notes.copy(),
            "survivors": self._survivors.copy(), "images": self._images.copy(), "grown": self.grown.copy(),
        }  # fmt: skip

    def put_back(self, copied: dict[str, Any]) -> None:
        """That copy is all there is, from now on. Between two lives."""
        self.log.put_back(copied["log"])
        self.identity, self.lives, self.grown = copied["identity"], copied["lives"], copied["grown"]
        self._lost, self._survivors, self._images = copied["lost"], copied["survivors"], copied["images"]
        self.log_damaged, self._notes = copied["log_damaged"], copied["notes"]
        self.shelf.received.clear()
        self._checkpointed.clear()

    def flip_log(self, rng: random.Random) -> GroupId | None:
        """A bit of some entry changes where it lies. Returns the group, or None when there is no entry."""
        groups = [number for number, log in sorted(self.log.groups.items()) if log.last.index > log.base.index]
        if not groups:
            return None
        group = rng.choice(groups)
        known = self.log.groups[group]
        self.log.flipped.add((group, rng.randint(known.base.index + 1, known.last.index)))
        return group

    def flip_data(self, rng: random.Random) -> GroupId | None:
        """A bit of some data file changes, where SQLite notices."""
        if not self.log.groups:
            return None
        group = rng.choice(sorted(self.log.groups))
        self.spoiled.add(group)
        return group

    def edit_data(self, rng: random.Random) -> GroupId | None:
        """A row of some data file changes, by hand, while the node runs: a row that no client looks at before the
        end. Returns the group, or None when there is none to edit now."""
        groups = sorted(number for number, replica in self.replicas.items() if not replica.busy)
        if self.sends_no_copies:
            groups = [number for number in groups if not self.log.groups[number].base.index]
        rng.shuffle(groups)
        for group in groups:
            replica = self.replicas[group]
            if group not in self.spoiled and self._edit(replica, rng.randrange(len(EDITS))):
                self.edited.add(group)
                self._images[group] = self._image_of(group, replica)
                return group
        return None

    def lie(self, _rng: random.Random) -> tuple[str, list[GroupId]] | None:
        """The model disk has no places."""
        return None

    def _edit(self, replica: Replica, number: int) -> bool:
        return replica.edit(EDITS[number])

    def _replica(self, group: GroupId) -> Replica:
        self.log.check_read()
        if group in self.spoiled:
            raise Divergent(f"the data file of group {group} has a damaged page")
        return super()._replica(group)

    def digest(self, group: GroupId) -> str:
        """As for any store; but whoever compares replicas from outside meets no fault meant for the node."""
        read_error, self.log.read_error = self.log.read_error, False
        try:
            return super().digest(group)
        finally:
            self.log.read_error = read_error

    def make_disk(self, world: World, dials: Dials, node: int, *driver: Any) -> Disk:
        """The model disk."""
        self.log.world = world
        return Disk(world, dials, node, *driver)

    def landed(self) -> list[tuple[LogWrite, ...]]:
        """The model disk says what it keeps."""
        return []

    def stop(self) -> None:
        """As a crash that loses nothing."""
        self.crash(None, False)  # noqa: FBT003

    def die_soon(self) -> bool:
        """The calls of this store are never interrupted."""
        return False

    def _found_damage(self, group: GroupId, reason: str, *, log: bool = False) -> None:
        super()._found_damage(group, reason, log=log)
        self._lost[group] = reason  # a file store remembers it through restarts

    def _install(self, group: GroupLog) -> None:
        self.spoiled.discard(group.group)
        super()._install(group)


__all__ = ["BadStore", "UnknownToModel"]
