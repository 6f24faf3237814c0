"""A batch waits for half of those who wrote at a time lately, for a moment, and a lone writer for nobody."""

from quorate.core.requests import Answer
from tests.core.harness import Cluster, Machine, write
from tests.core.single_leader.test_ahead import finish, slow
from tests.core.single_leader.test_group import started

CROWD = 8


def crowded() -> tuple[Cluster, Machine]:
    """So many have just been answered together."""
    cluster = started()
    leader = cluster.leader()
    keys = [cluster.request(leader, write(f"crowd{number}")) for number in range(CROWD)]
    cluster.deliver()
    assert all(isinstance(cluster.replies[key], Answer) for key in keys)
    assert leader.node.groups[1].writes.crowd == CROWD
    return cluster, leader


def test_the_first_of_a_crowd_to_come_back_waits_for_half_of_it() -> None:
    cluster, leader = crowded()
    before = leader.node.groups[1].writes.batches
    keys = []
    for number in range(CROWD // 2):
        assert leader.node.groups[1].writes.batches == before, f"{number} are not half of a crowd of {CROWD}"
        keys.append(cluster.request(leader, write(f"again{number}")))
        cluster.deliver()
    assert leader.node.groups[1].writes.batches == before + 1
    assert all(isinstance(cluster.replies[key], Answer) for key in keys)


def test_one_half_gathers_while_the_other_is_replicated() -> None:
    cluster, leader = crowded()
    slow(cluster, leader)
    keys = []
    for number in range(CROWD):
        keys.append(cluster.request(leader, write(f"again{number}")))
        cluster.deliver()
    assert [len(batch.requests) for batch in leader.node.groups[1].writes.flight] == [CROWD // 2, CROWD // 2 - 1]
    finish(cluster)
    cluster.run(leader.node.settings.gather_us)
    assert all(isinstance(cluster.replies[key], Answer) for key in keys)


def test_who_waits_in_vain_for_a_crowd_waits_for_a_moment_and_only_once() -> None:
    cluster, leader = crowded()
    key = cluster.request(leader, write("alone"))
    cluster.deliver()
    assert cluster.replies[key] is None
    cluster.run(leader.node.settings.gather_us)
    assert isinstance(cluster.replies[key], Answer)
    key = cluster.request(leader, write("alone again"))
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer), "the crowd is gone, and this is known"


def test_a_crowd_that_comes_slowly_is_waited_for_with_less_and_less_hope() -> None:
    cluster, leader = crowded()
    gather_us = leader.node.settings.gather_us
    first = cluster.request(leader, write("first"))
    cluster.now_us += gather_us // 2
    cluster.deliver()
    second = cluster.request(leader, write("second"))
    cluster.deliver()
    assert [cluster.replies[key] for key in (first, second)] == [None, None]
    cluster.now_us += gather_us
    cluster.deliver()
    assert all(isinstance(cluster.replies[key], Answer) for key in (first, second)), "two are half of what is left"


def test_a_crowd_that_has_gone_is_forgotten_batch_by_batch() -> None:
    cluster, leader = crowded()
    for number in range(CROWD):
        for half in range(CROWD // 2):
            cluster.request(leader, write(f"{number}/{half}"))
        cluster.deliver()
    assert leader.node.groups[1].writes.crowd <= CROWD // 2 + 1
