"""What the simulator needs of whatever keeps the data of its nodes."""

import random
from collections.abc import Callable
from typing import Any, Protocol

from quorate.core.bounds import GroupId
from quorate.core.entries import LogWrite
from quorate.core.kernel import Event
from quorate.lab.sim.engine.disk import Disk
from quorate.lab.sim.engine.world import World
from quorate.lab.sim.scenarios.dials import Dials
from quorate.storage.data.handles import Handles
from quorate.storage.interface import Chaos, Store

MODEL, SQLITE, FILES = "model", "sqlite", "files"
"""Where the data of simulated nodes can be kept: in a model, or in SQLite, on a model of a disk; or as on a real node,
with SQLite on a disk that knows sectors and names (`sim.stores.files`)."""


class SimulatedStore(Store, Chaos, Protocol):
    """What the simulator needs of a store: that of any driver, crashes, and a way to compare replicas."""

    def digest(self, group: GroupId) -> str:
        """A hash of the replica's tables; equal for equal contents."""

    log: Any
    """Has `groups`, each with `base` and `last`, and `dropped`."""

    def lose_tail(self, rng: random.Random) -> None:
        """Damage the end of the log, between two lives."""

    def lost(self) -> list[tuple[GroupId, int]]:
        """Of which groups so many of the newest entries were so lost; told once, after `recover`."""

    def flip_log(self, rng: random.Random) -> GroupId | None:
        """A bit of some entry changes; of which group."""

    def flip_data(self, rng: random.Random) -> GroupId | None:
        """A bit of some data file changes; of which group."""

    def edit_data(self, rng: random.Random) -> GroupId | None:
        """Somebody else changes a row of some data file; of which group."""

    def lie(self, rng: random.Random) -> tuple[str, list[GroupId]] | None:
        """The disk shows something else than was written: what, and which groups may be hit."""

    def put_aside(self, group: GroupId) -> None:
        """Undo the open transaction and keep what was executed in it, as a write that is stopped does."""

    lied_to: set[GroupId]
    """Groups that may be hit by that, and have not been found equal since by a comparison of replicas."""

    edited: set[GroupId]
    """Groups whose data file has been so changed and not replaced since."""

    def kept(self, group: GroupId) -> set[tuple[int, int]]:
        """Index and epoch of every entry that is kept among the lost tails."""

    def held(self) -> set[GroupId]:
        """Groups of which the disk has files."""

    spoiled: set[GroupId]
    """Groups whose data file has been so changed and not replaced since."""

    handles: Handles
    """How many data files may be open is set there."""

    full: bool
    """Whatever needs room finds none while this is set."""

    def make_disk(
        self,
        world: World,
        dials: Dials,
        node: int,
        store: Callable[[tuple[LogWrite, ...]], None],
        tell: Callable[[Event], None],
        stop: Callable[[], None],
        /,
    ) -> Disk:
        """The log disk that stands before this store."""

    def landed(self) -> list[tuple[LogWrite, ...]]:
        """Log writes that a crash interrupted and that `recover` found in the log all the same; told once."""

    def stop(self) -> None:
        """The process ends in order."""

    def die_soon(self) -> bool:
        """The machine is perhaps to stop in the middle of some storage call to come; whether it is."""
