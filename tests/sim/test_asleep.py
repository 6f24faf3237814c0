"""A client that falls asleep in a transaction holds nothing back: the WAL stays as small as without it."""

from functools import partial
from typing import Any

import pytest

from quorate.core.node import Node
from quorate.core.settings import Settings
from quorate.lab.sim.run import Plan, Run
from quorate.lab.sim.scenarios.dials import SECOND, Dials
from quorate.lab.sim.stores.files import FileStore
from quorate.lab.sim.workloads.transactors import Transactor

HOUR_US = 3_600 * SECOND
SETTINGS = Settings(
    heartbeat_us=5 * SECOND, suspect_us=30 * SECOND, suspect_max_us=30 * SECOND, election_us=SECOND,
    checkpoint_entries=100, log_keep_entries=100,
)  # fmt: skip
DIALS = Dials(clients=1, transactors=1, safety_us=HOUR_US, think_us=3 * SECOND, hints=1.0, reads=1, settings=SETTINGS)


def largest_wals(run: Run, largest: list[int]) -> None:
    """Look once a second, and note the largest WAL of any file of any node in each ten minutes."""
    turn = min(run.world.now_us * len(largest) // HOUR_US, len(largest) - 1)
    for host in run.hosts.values():
        store: Any = host.store
        names = [name for name in store.device.names(store.folder) if name.endswith("-wal")]
        largest[turn] = max(largest[turn], *(store.device.size(store.folder / name) for name in names), 0)
    run.world.after(SECOND, largest_wals, run, largest)


def test_the_wal_is_bounded_while_a_client_sleeps_in_a_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    choose, asleep = Transactor._choose, 0

    def dozing(client: Transactor) -> Any:
        nonlocal asleep
        if client._tx is None or not client._tx.keeper.writes:
            return choose(client)
        asleep += 1
        return None, None, None

    monkeypatch.setattr(Transactor, "_choose", dozing)
    run = Run(1, DIALS, Plan("asleep", Node, partial(FileStore, seed="asleep"), storage="files"))
    largest = [0] * 6
    run.world.after(SECOND, largest_wals, run, largest)
    report = run.execute()
    assert report.ok, "\n".join(report.lines())
    assert asleep, "nobody slept"
    assert report.marks["note: committed"] > 2_000, report.marks
    assert 1 << 20 < max(largest) < 6 << 20
    assert largest[5] <= max(largest[:4]) + (64 << 10), largest
