"""Batches on top of batches: what is answered, what is visible, and what becomes of them when something goes wrong."""

from quorate.core import kernel
from quorate.core.requests import Answer, Unsure
from tests.core.harness import Cluster, Machine, write
from tests.core.single_leader.test_group import SECOND, read, started


def slow(cluster: Cluster, but: Machine | None = None) -> None:
    for machine in cluster.machines.values():
        machine.slow_disk = machine is not but


def finish(cluster: Cluster, *machines: Machine) -> None:
    for machine in machines or tuple(cluster.machines.values()):
        machine.slow_disk = False
        machine.finish_writing()
    cluster.deliver()


def test_the_next_batch_runs_while_the_first_is_being_replicated() -> None:
    cluster = started()
    leader = cluster.leader()
    slow(cluster, leader)
    first = cluster.request(leader, write("a"))
    cluster.deliver()
    second = cluster.request(leader, write("b"))
    cluster.deliver()
    group = leader.node.groups[1]
    assert [len(group.writes.flight), len(group.settling.stack)] == [2, 2]
    third = cluster.request(leader, write("c"))
    cluster.deliver()
    assert len(group.writes.queue) == 1, "two at a time"
    assert [cluster.replies[key] for key in (first, second, third)] == [None] * 3
    finish(cluster)
    assert all(isinstance(cluster.replies[key], Answer) for key in (first, second, third))
    assert [cluster.replies[key].index for key in (second, third)] == [
        cluster.replies[first].index + 1,
        cluster.replies[first].index + 2,
    ]


def test_answered_and_committed_together_later() -> None:
    cluster = started()
    leader = cluster.leader()
    for token in "abc":
        key = cluster.request(leader, write(token))
        cluster.deliver()
        assert isinstance(cluster.replies[key], Answer)
    assert cluster.tokens(leader.number) == []
    cluster.run(SECOND // 4)
    assert cluster.tokens(leader.number) == ["a", "b", "c"]
    assert not leader.node.groups[1].settling.stack


def test_a_read_waits_for_what_is_committed_and_not_for_what_comes_after() -> None:
    cluster = started()
    leader = cluster.leader()
    cluster.request(leader, write("a"))
    cluster.deliver()
    slow(cluster, leader)
    cluster.request(leader, write("b"))
    cluster.deliver()
    key = cluster.request(leader, read("leader"))
    waiting = cluster.request(leader, write("c"))
    cluster.deliver()
    assert cluster.replies[key] is None, "what is executed cannot be committed in part"
    assert len(leader.node.groups[1].writes.flight) == 1, "nothing more is put on top while a read waits"
    cluster.run(SECOND // 2)
    assert cluster.replies[key] == ["a"], "it was undone, and what was committed applied from the log"
    finish(cluster)
    assert isinstance(cluster.replies[waiting], Answer)
    cluster.run(SECOND)
    assert cluster.tokens(leader.number) == ["a", "b", "c"]


def test_where_reads_wait_each_batch_is_committed_at_once() -> None:
    cluster = started()
    leader = cluster.leader()
    cluster.request(leader, write("a"))
    cluster.deliver()
    cluster.request(leader, read())
    cluster.deliver()
    cluster.request(leader, write("b"))
    cluster.deliver()
    assert cluster.tokens(leader.number) == ["a", "b"]


def test_a_deposed_leader_undoes_the_stack_and_is_unsure_of_what_is_not_committed() -> None:
    cluster = started()
    old = cluster.leader()
    done = cluster.request(old, write("done"))
    cluster.deliver()
    cluster.isolate(old.number)
    lost = [cluster.request(old, write("x"))]
    cluster.deliver()
    lost.append(cluster.request(old, write("y")))
    cluster.deliver()
    cluster.run(3 * SECOND)
    assert isinstance(cluster.replies[done], Answer)
    assert [type(cluster.replies[key]) for key in lost] == [Unsure, Unsure]
    cluster.heal()
    cluster.run(2 * SECOND)
    for number in cluster.machines:
        assert cluster.tokens(number) == ["done"]


def test_a_node_that_drains_commits_before_it_hands_over() -> None:
    cluster = started()
    old = cluster.leader()
    cluster.request(old, write("a"))
    cluster.deliver()
    assert cluster.tokens(old.number) == []
    old.feed(kernel.Drain())
    cluster.run(2 * SECOND)
    assert cluster.tokens(old.number) == ["a"]
    assert cluster.leader() is not old
