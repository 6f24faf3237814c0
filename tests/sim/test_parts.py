"""The pieces of the simulator, each alone."""

import random
from typing import Any

import pytest

from quorate.core.entries import LogWrite, WriteHardState
from quorate.core.kernel import DiskFull, DiskRoom, Event, Persist, Persisted
from quorate.core.node import Node
from quorate.lab.sim.engine.clocks import Clock
from quorate.lab.sim.engine.disk import Disk
from quorate.lab.sim.engine.network import Network
from quorate.lab.sim.engine.world import World
from quorate.lab.sim.run import LIVENESS
from quorate.lab.sim.scenarios.dials import SECOND, Dials
from quorate.lab.sim.scenarios.named import SCENARIOS, dials_of, simulate


def test_what_is_due_at_the_same_time_happens_in_the_order_it_was_asked_for() -> None:
    world = World("order")
    seen: list[str] = []
    world.at(20, seen.append, "late")
    world.at(10, seen.append, "first")
    world.at(10, seen.append, "second")
    world.run(15)
    assert (seen, world.now_us) == (["first", "second"], 15)
    world.run(30)
    assert seen[-1] == "late"


def test_dice_depend_on_seed_and_purpose_only() -> None:
    one, other = World("a"), World("a")
    one.rng("network").random()
    assert one.rng("disk").random() == other.rng("disk").random()
    assert one.rng("disk").random() != World("b").rng("disk").random()


def test_a_drifting_clock_never_wakes_a_node_early() -> None:
    for seed in range(50):
        rng = random.Random(seed)
        clock = Clock(rng, 50_000, SECOND)
        moment = rng.randrange(10 * SECOND)
        deadline = clock.read(moment).mono_us + rng.randrange(SECOND)
        when = clock.when(deadline)
        assert clock.read(when).mono_us >= deadline
        assert clock.read(when - 1).mono_us < deadline or when <= moment


class Wire:
    """A network of three and what arrived."""

    def __init__(self, dials: Dials) -> None:
        self.world = World("wire")
        self.network = Network(self.world, dials)
        self.got: list[tuple[int, int, bytes]] = []
        for number in (1, 2, 3, -1):
            self.network.join(number, self._receiver(number))

    def _receiver(self, number: int) -> Any:
        def receive(source: int, payload: bytes) -> None:
            self.got.append((source, number, payload))

        return receive

    def send_all(self, times: int) -> None:
        for number in range(times):
            self.network.send(1, 2, b"%d" % number)
        self.world.run(self.world.now_us + 10 * SECOND)


def test_the_network_loses_repeats_and_reorders() -> None:
    wire = Wire(Dials(loss=0.2, duplicate=0.2, late=0.5, tail_us=50_000))
    wire.send_all(500)
    payloads = [payload for _, _, payload in wire.got]
    assert 300 < len(set(payloads)) < 480
    assert len(payloads) > len(set(payloads)) + 30
    assert payloads != sorted(payloads, key=int)


def test_a_link_of_little_bandwidth_carries_one_thing_after_the_other() -> None:
    wire = Wire(Dials(bandwidth=10, delay_us=0, tail_us=0))
    wire.network.send(1, 2, b"12345")
    wire.network.send(1, 2, b"67890")
    wire.network.send(2, 1, b"back")
    wire.world.run(SECOND // 2)
    assert [payload for _, _, payload in wire.got] == [b"back", b"12345"]
    assert wire.world.marks["queued"] == 1
    wire.world.run(SECOND - 1)
    assert len(wire.got) == 2
    wire.world.run(SECOND)
    assert wire.got[-1] == (1, 2, b"67890")


def test_what_a_node_sent_last_arrives_once_more_lost_or_not() -> None:
    wire = Wire(Dials(echo=1.0))
    wire.network.cut([(1, 2)])
    wire.send_all(10)
    assert not wire.got
    wire.network.echo(1)
    wire.world.run(wire.world.now_us + SECOND)
    assert sorted(payload for _, _, payload in wire.got) == [b"%d" % number for number in range(4, 10)]


def test_a_cut_is_one_way_and_mended_as_often_as_it_was_made() -> None:
    wire = Wire(Dials())
    wire.network.cut([(1, 2)])
    wire.network.cut([(1, 2)])
    wire.network.mend([(1, 2)])
    wire.network.send(1, 2, b"no")
    wire.network.send(2, 1, b"yes")
    wire.network.mend([(1, 2)])
    wire.send_all(1)
    assert [(source, target) for source, target, _ in wire.got] == [(2, 1), (1, 2)]


def test_a_clogged_link_holds_and_then_delivers() -> None:
    wire = Wire(Dials())
    wire.network.clog((1, 2))
    wire.send_all(3)
    assert not wire.got
    wire.network.unclog((1, 2))
    wire.world.run(wire.world.now_us + SECOND)
    assert len(wire.got) == 3


class OneDisk:
    """A disk, what became durable, and what its node was told."""

    def __init__(self, dials: Dials) -> None:
        self.world = World("disk")
        self.durable: list[int] = []
        self.told: list[Event] = []
        self.stopped = 0
        self.disk = Disk(self.world, dials, 1, self._store, self.told.append, self._stop)

    def _store(self, writes: tuple[LogWrite, ...]) -> None:
        self.durable.extend(write.epoch for write in writes if isinstance(write, WriteHardState))

    def _stop(self) -> None:
        self.stopped += 1
        self.disk.crash()

    def persist(self, first: int, last: int) -> None:
        for number in range(first, last + 1):
            self.disk.persist(Persist(number, (WriteHardState(0, number, 0),)))


def test_writes_become_durable_in_order_and_share_an_fsync() -> None:
    one = OneDisk(Dials())
    one.persist(1, 5)
    assert not one.durable
    one.world.run(SECOND)
    assert one.durable == [1, 2, 3, 4, 5]
    assert one.told == [Persisted(1), Persisted(5)]


def test_a_crash_keeps_some_beginning_of_what_was_not_finished() -> None:
    kept: set[int] = set()
    for seed in range(40):
        one = OneDisk(Dials(keep_pending=0.7))
        one.disk._rng = random.Random(seed)
        one.persist(1, 5)
        one.disk.crash()
        assert one.durable == list(range(1, len(one.durable) + 1))
        kept.add(len(one.durable))
        one.world.run(SECOND)
        assert not one.told, "a life that ended is told nothing"
    assert {0, 2, 5} <= kept


def test_an_fsync_that_fails_stops_the_node_and_what_it_covered_is_gone() -> None:
    one = OneDisk(Dials(keep_pending=0.0))
    one.disk.fail_next_fsync()
    one.persist(1, 3)
    one.world.run(SECOND)
    assert (one.stopped, one.durable, one.told) == (1, [], [])


def test_a_full_disk_keeps_what_it_was_given_until_there_is_room() -> None:
    one = OneDisk(Dials())
    one.disk.fill(full=True)
    one.persist(1, 3)
    one.world.run(SECOND)
    assert (one.durable, one.told) == ([], [DiskFull()])
    one.disk.fill(full=False)
    one.world.run(2 * SECOND)
    assert one.durable == [1, 2, 3]
    assert one.told[-1] == DiskRoom()
    assert Persisted(3) in one.told


def test_every_scenario_draws_the_same_dials_for_the_same_seed() -> None:
    for scenario in SCENARIOS:
        assert dials_of(scenario, 7) == dials_of(scenario, 7)
        assert len({str(dials_of(scenario, seed)) for seed in range(12)}) > 1


def test_dials_are_zero_now_and_then() -> None:
    drawn = [dials_of("mixed", seed) for seed in range(60)]
    for name in ("loss", "duplicate", "crash_us", "pause_us", "partition_us", "drift_ppm", "repeat"):
        zeros = sum(1 for dials in drawn if not getattr(dials, name))
        assert 5 < zeros < 55, name


class DeafNode(Node):
    """Never hears a vote: no group will ever have a leader."""

    def step(self, now: Any, event: Any) -> Any:
        effects = super().step(now, event)
        return [effect for effect in effects if "Vote" not in type(getattr(effect, "message", None)).__name__]


def test_a_cluster_that_does_not_come_right_is_a_failure_that_names_who_waits() -> None:
    seed = next(seed for seed in range(50) if dials_of("calm", seed).nodes == 3)
    report = simulate(seed, "calm", DeafNode)
    assert report.judge == LIVENESS
    assert "nobody leads the catalog" in report.message
    assert "group 0 on node 3: " in report.message
    assert "waits for setup on main" in report.message


def picture(group: Any) -> tuple[Any, ...]:
    """Whatever invariants look at."""
    progress = {peer: (each.matched, each.next, each.state) for peer, each in group.progress.items()}
    election, apply = group.election, group.apply
    return (
        election.role, election.epoch, election.vote, election.leader, group.commit.persisted, group.commit.committed,
        apply.applied, apply.applying, group.log.base, group.log.last, apply.opened, group.repair.damaged,
        group.fetching.switching, len(group.writes.queue), tuple(group.settling.stack), len(group.writes.flight),
        group.writes.batch is None, progress,
    )  # fmt: skip


class WatchedNode(Node):
    """Notices a step that changes a group and does not say so."""

    untouched = 0

    def step(self, now: Any, event: Any) -> Any:
        before = {number: picture(group) for number, group in self.groups.items()}
        effects = super().step(now, event)
        touched = {group.group for group in self.touched}
        for number, group in self.groups.items():
            if number not in touched:
                WatchedNode.untouched += 1
                assert before.get(number) == picture(group), f"{event} touched group {number} in secret"
        return effects


@pytest.mark.parametrize("scenario", ["mixed", "votes", "snapshots", "damage", "disks"])
def test_a_step_says_which_groups_it_touched(scenario: str) -> None:
    WatchedNode.untouched = 0
    seeds = [seed for seed in range(30) if dials_of(scenario, seed).databases > 1 or scenario == "disks"][:3]
    for seed in seeds:
        report = simulate(seed, scenario, WatchedNode)
        assert report.ok, "\n".join(report.lines())
    assert WatchedNode.untouched > 1_000


class BrokenNode(Node):
    """Fails an assertion now and then."""

    def assert_invariants(self) -> None:
        assert len(self.groups) < 2, "no room for two"


def test_an_assertion_that_fails_inside_a_core_ends_the_run_with_its_words() -> None:
    report = simulate(0, "calm", BrokenNode)
    assert report.judge == "node"
    assert "no room for two" in report.message


@pytest.mark.parametrize("nodes", [1, 3])
def test_time_is_virtual(nodes: int) -> None:
    seed = next(seed for seed in range(50) if dials_of("calm", seed).nodes == nodes)
    report = simulate(seed, "calm")
    assert report.ok
    assert report.virtual_us >= 5 * SECOND
