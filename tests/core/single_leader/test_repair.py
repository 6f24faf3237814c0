"""What a replica may still do whose data file is damaged and whose log is not, one claim per test."""

from collections.abc import Callable, Iterable
from typing import Any

from quorate.core import kernel
from quorate.core.entries import ORIGIN
from quorate.core.read_levels import LINEARIZABLE
from quorate.core.requests import Answer, Refused, Run
from quorate.core.statements import Statement
from tests.core.harness import Cluster, Machine, write

SECOND = 1_000_000
MINUTE = 60 * SECOND


def started(size: int = 3) -> Cluster:
    cluster = Cluster(size)
    cluster.gives_copies = True
    cluster.run(2 * SECOND)
    done(cluster, "a")
    return cluster


def done(cluster: Cluster, token: str) -> None:
    key = cluster.request(cluster.leader(), write(token))
    cluster.run(SECOND // 2)
    assert isinstance(cluster.replies[key], Answer), cluster.replies[key]


def followers(cluster: Cluster) -> list[Machine]:
    leader = cluster.leader()
    return [machine for machine in cluster.machines.values() if machine is not leader]


def spoil(machine: Machine) -> None:
    """Somebody finds that its data file is damaged."""
    machine.feed(kernel.ApplyFailed(1, full=False, reason="spoiled", log_intact=True))


def unfit(machine: Machine, is_unfit: Callable[[kernel.Apply], bool]) -> None:
    """It cannot apply such entries."""
    perform = machine.perform

    def failing(effect: kernel.Effect) -> Iterable[kernel.Event]:
        if isinstance(effect, kernel.Apply) and effect.group == 1 and is_unfit(effect):
            return (kernel.ApplyFailed(1, full=False, reason="cannot be applied", log_intact=True),)
        return perform(effect)

    machine.perform = failing  # type: ignore[method-assign]


def without_copies(cluster: Cluster) -> None:
    """No copy ever comes."""
    for machine in cluster.machines.values():
        perform = machine.perform

        def no_copy(effect: kernel.Effect, perform: Any = perform) -> Iterable[kernel.Event]:
            if isinstance(effect, kernel.OpenSnapshot):
                return (kernel.SnapshotOpened(effect.group, effect.to, 0, ORIGIN, 0, failed="not now"),)
            events: Iterable[kernel.Event] = perform(effect)
            return events

        machine.perform = no_copy  # type: ignore[method-assign]


def damaged(cluster: Cluster) -> list[int]:
    return [number for number, machine in cluster.machines.items() if machine.node.groups[1].damaged]


def rows(machine: Machine) -> list[str]:
    return [token for _, token in machine.data[1] if token]


def test_a_majority_of_damaged_data_files_takes_writes_and_confirms_reads() -> None:
    cluster = started()
    without_copies(cluster)
    for machine in followers(cluster):
        spoil(machine)
    done(cluster, "b")
    key = cluster.request(cluster.leader(), Run("main", (Statement("SELECT 1"),), LINEARIZABLE))
    cluster.run(SECOND)
    assert cluster.replies[key] == ["a", "b"]
    assert len(damaged(cluster)) == 2


def test_the_whole_replica_is_elected_by_damaged_ones_and_heals_them() -> None:
    cluster = started()
    whole = cluster.leader()
    without_copies(cluster)
    for machine in followers(cluster):
        spoil(machine)
    done(cluster, "b")
    for machine in cluster.machines.values():
        del machine.perform
    whole.crash()
    cluster.run(SECOND // 2)
    whole.start()
    cluster.run(4 * SECOND)
    assert cluster.leader() is whole
    assert damaged(cluster) == []
    done(cluster, "c")
    cluster.run(SECOND)
    assert [rows(machine) for machine in cluster.machines.values()] == [["a", "b", "c"]] * 3


def test_a_copy_beside_the_log_keeps_what_was_acknowledged() -> None:
    cluster = started()
    ill = followers(cluster)[0]
    last = ill.node.groups[1].log.last
    without_copies(cluster)
    spoil(ill)
    done(cluster, "b")
    held: list[kernel.Effect] = []
    del ill.perform
    perform = ill.perform

    def hold(effect: kernel.Effect) -> Iterable[kernel.Event]:
        if isinstance(effect, kernel.StoreSnapshot):
            held.append(effect)
            return ()
        return perform(effect)

    ill.perform = hold  # type: ignore[method-assign]
    for machine in cluster.machines.values():
        if machine is not ill:
            del machine.perform
    cluster.run(SECOND)
    done(cluster, "c")
    group = ill.node.groups[1]
    assert group.log.last.index > last.index + 1, "its log goes on while the copy is on its way"
    before = group.log.last
    for event in perform(held[0]):
        ill.feed(event)
    assert group.log.last == before, "a copy in the place of the log would drop what was acknowledged"
    cluster.run(SECOND)
    assert not group.damaged
    assert rows(ill) == ["a", "b", "c"]


def test_a_copy_holds_the_entry_that_could_not_be_applied() -> None:
    cluster = started()
    ill = followers(cluster)[0]
    unfit(ill, lambda effect: any(b"bad" in entry.payload for entry in effect.entries))
    done(cluster, "bad")
    done(cluster, "good")
    cluster.run(SECOND)
    assert damaged(cluster) == []
    assert rows(ill) == ["a", "bad", "good"]
    assert len(cluster.copies) == 1


def test_copies_that_do_not_help_are_fetched_ever_more_slowly() -> None:
    cluster = started()
    ill = followers(cluster)[0]
    unfit(ill, lambda _effect: True)
    for number in range(240):
        done(cluster, f"w{number}")
    assert 3 <= len(cluster.copies) <= 8, "in two minutes"
    assert ill.node.groups[1].damaged == "cannot be applied"


def test_a_damaged_replica_with_the_newest_entries_leads_until_a_whole_one_has_them() -> None:
    cluster = started()
    first, whole = cluster.leader(), followers(cluster)[0]
    without_copies(cluster)
    cluster.cut |= {(whole.number, other) for other in cluster.machines} | {
        (other, whole.number) for other in cluster.machines
    }
    done(cluster, "b")
    for machine in cluster.machines.values():
        if machine is not whole:
            spoil(machine)
            del machine.perform
    del whole.perform
    assert first.node.groups[1].election.role == "follower"
    cluster.cut.clear()
    cluster.run(10 * SECOND)
    assert cluster.leader() is whole
    assert rows(whole) == ["a", "b"]
    assert damaged(cluster) == []


def test_when_no_replica_is_whole_callers_are_told_that() -> None:
    cluster = started()
    for machine in cluster.machines.values():
        spoil(machine)
    cluster.run(10 * SECOND)
    key = cluster.request(cluster.leader(), write("b"))
    answer = cluster.replies[key]
    assert isinstance(answer, Refused)
    assert answer.error == "DataDamaged"
    assert answer.retryable
    assert cluster.copies == []


def test_nobody_hands_over_to_a_damaged_replica() -> None:
    cluster = started()
    without_copies(cluster)
    leader = cluster.leader()
    for machine in followers(cluster):
        spoil(machine)
    cluster.run(SECOND)
    leader.feed(kernel.Drain())
    cluster.run(SECOND)
    assert all(
        machine.node.groups[1].election.role != "leader" or machine is leader for machine in cluster.machines.values()
    )
