"""Grow-only sets beside an ordinary database, in the simulator."""

from typing import Any

import pytest

from quorate.core.node import Node
from quorate.lab.sim.campaigns.report import Report
from quorate.lab.sim.run import Plan, run
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND, Dials
from quorate.lab.sim.scenarios.named import STORES
from quorate.lab.sim.stores.keeps import MODEL
from tests.toy.laboratory import SET
from tests.toy.replica import GrowOnlySet, Writing

FAULTS: dict[str, Any] = {
    "loss": 0.02, "duplicate": 0.05, "late": 0.02, "crash_us": 700 * MILLISECOND, "pause_us": 2 * SECOND,
    "partition_us": SECOND, "full_disk_us": 2 * SECOND, "drain_us": 2 * SECOND, "fault_lasts_us": 400 * MILLISECOND,
    "lose_unsynced": 0.8,
}  # fmt: skip


def simulate(seed: int, **own: Any) -> Report:
    dials = Dials(**{"nodes": 4, "clients": 4, "safety_us": 5 * SECOND, "repeat": 0.0, **own})
    return run(seed, dials, Plan("sets", Node, STORES[MODEL]))


def test_every_member_takes_writes_and_all_come_to_hold_the_same() -> None:
    """Created by the catalog on three of four nodes, and found from any."""
    report = simulate(1, think_us=50 * MILLISECOND)
    assert report.ok, report.message
    assert report.marks["set: judged"] == 3
    assert report.marks["set add: ok"] > 50
    assert report.marks["not leader"] > 0, "the fourth node says where to go"


@pytest.mark.parametrize("seed", range(3))
def test_whatever_strikes_nothing_that_was_acknowledged_is_missing(seed: int) -> None:
    report = simulate(seed, **FAULTS)
    assert report.ok, report.message
    assert report.marks["set: judged"] == 3
    assert report.marks["set: restarted"] > 0
    assert report.marks["crash"] > 0


@pytest.mark.parametrize("seed", range(2))
def test_a_newcomer_gets_all_of_it(seed: int) -> None:
    report = simulate(
        seed, members_us=500 * MILLISECOND, spares=2, clients=2, think_us=100 * MILLISECOND, leave_dead=0.0
    )
    assert report.ok, report.message
    assert report.marks["set: judged on a newcomer"] > 0
    assert report.marks["set: judged"] >= 3


def test_a_set_that_answers_too_early_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge, proven: a peer hears "kept" of what is not durable, and then the machine loses power."""
    whole = GrowOnlySet._add

    def early(self: GrowOnlySet, elements: Any, callers: list[int], senders: list[tuple[int, int]]) -> None:
        whole(self, elements, callers, [])
        self._confirm(Writing(0, [], senders))

    monkeypatch.setattr(GrowOnlySet, "_add", early)
    judges = [simulate(seed, **FAULTS | {"fsync_us": 20 * MILLISECOND}).judge for seed in range(4)]
    assert SET in judges
