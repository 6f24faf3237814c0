"""The fake is not a second opinion: the same writes leave both stores with the same state."""

import random
from pathlib import Path

import pytest

from quorate.core.entries import DATA, CreateGroup, Entry, LogWrite, Position, TrimLog, WriteEntries, WriteHardState
from quorate.core.options import SINGLE_LEADER
from quorate.core.recovered import Recovered
from tests.contracts.stores import Disk

GROUPS = (1, 2, 7)


class Plan:
    """Draws log writes that a correct core could ask for."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.epoch = 1
        self.base = dict.fromkeys(GROUPS, 0)
        self.epochs: dict[int, list[int]] = {group: [] for group in GROUPS}
        """Each group's epochs of all entries it ever had, by index - 1."""

    def turn(self) -> tuple[LogWrite, ...]:
        return tuple(self.write() for _ in range(self.rng.randint(1, 4)))

    def write(self) -> LogWrite:
        group = self.rng.choice(GROUPS)
        kind = self.rng.random()
        if kind < 0.15:
            self.epoch += 1
            return WriteHardState(group, self.epoch, self.rng.choice((0, 11, 12)))
        if kind < 0.3 and len(self.epochs[group]) > self.base[group]:
            self.base[group] = self.rng.randint(self.base[group] + 1, len(self.epochs[group]))
            return TrimLog(group, self.at(group, self.base[group]))
        return self.entries(group)

    def entries(self, group: int) -> WriteEntries:
        epochs = self.epochs[group]
        first = len(epochs) + 1
        if self.rng.random() < 0.2:
            first = self.rng.randint(self.base[group] + 1, first)
        del epochs[first - 1 :]
        made = []
        for index in range(first, first + self.rng.randint(1, 5)):
            epochs.append(self.epoch)
            made.append(Entry(index, self.epoch, DATA, self.rng.randbytes(self.rng.choice((0, 10, 3000)))))
        return WriteEntries(group, tuple(made))

    def at(self, group: int, index: int) -> Position:
        return Position(self.epochs[group][index - 1], index)


def without_damage(recovered: Recovered) -> list[object]:
    """Trimmed groups have no data file here, which is damage to both, in the same words."""
    return [
        (each.group, each.epoch, each.vote, each.base, each.epochs, each.last, each.tail, each.applied, each.damaged)
        for each in recovered.groups
    ]


@pytest.mark.parametrize("seed", range(6))
def test_random_turns_leave_the_same_log(seed: int, tmp_path: Path) -> None:
    both = (Disk(tmp_path / "node"), Disk(None))
    plan = Plan(seed)
    for disk in both:
        disk.start()
        disk.store.persist([CreateGroup(group, f"d{group}", 0, SINGLE_LEADER, (11,)) for group in GROUPS])
    for turn in range(60):
        writes = plan.turn()
        for disk in both:
            disk.store.persist(writes)
        for group in GROUPS:
            last = len(plan.epochs[group])
            first = plan.rng.randint(1, last + 1)
            read = [disk.store.log.read(group, first, last, 5000) for disk in both]
            assert read[0] == read[1]
            assert [disk.store.log.groups[group].last.index for disk in both] == [last, last]
        if turn % 20 == 19:
            for disk in both:
                disk.crash()
            files, memory = (disk.start() for disk in both)
            assert without_damage(files) == without_damage(memory)
            assert files.identity == memory.identity
    for disk in both:
        disk.stop()
