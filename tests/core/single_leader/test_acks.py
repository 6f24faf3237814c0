"""One claim about ack policies for each test, on nodes whose messages the test delivers by hand."""

import pytest

from quorate.core import kernel
from quorate.core.requests import Answer, Refused, Run, Unsure
from quorate.core.statements import Statement
from tests.core.harness import Cluster, Machine, write

SECOND = 1_000_000


def started(acks: str, size: int = 3) -> Cluster:
    cluster = Cluster(size, acks)
    cluster.run(2 * SECOND)
    for machine in cluster.machines.values():
        assert str(machine.node.groups[1].rules.committed) == acks
    return cluster


def others_of(cluster: Cluster, leader: Machine) -> list[Machine]:
    return [machine for machine in cluster.machines.values() if machine is not leader]


def want(cluster: Cluster, acks: str) -> None:
    """The catalog says something else from now on."""
    cluster.acks = acks
    for machine in cluster.machines.values():
        if machine.alive:
            machine.feed(kernel.CatalogRead(cluster.catalog()))


def test_the_first_write_of_a_new_database_counts_by_its_rule() -> None:
    cluster = started("sync")
    leader = cluster.leader()
    slow = others_of(cluster, leader)[0]
    slow.slow_disk = True
    key = cluster.request(leader, write("a"))
    cluster.deliver()
    assert cluster.replies[key] is None, "one of three disks does not hold it"
    slow.finish_writing()
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)


def test_async_is_answered_by_the_leaders_disk_and_not_before() -> None:
    cluster = started("async")
    leader = cluster.leader()
    cluster.isolate(leader.number)
    leader.slow_disk = True
    key = cluster.request(leader, write("a"))
    cluster.deliver()
    assert cluster.replies[key] is None
    leader.slow_disk = False
    leader.finish_writing()
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)


def test_semi_sync_of_five_elects_with_four_votes_only() -> None:
    cluster = started("semi-sync:1", 5)
    leader = cluster.leader()
    first, second, *_ = others_of(cluster, leader)
    leader.crash()
    first.crash()
    cluster.run(5 * SECOND)
    leading = [
        each for each in cluster.machines.values() if each.alive and each.node.groups[1].election.role == "leader"
    ]
    assert not leading, "three of five cannot know what the other two had acknowledged"
    first.start()
    cluster.run(5 * SECOND)
    assert cluster.leader().number != leader.number
    assert second.alive


def test_sync_with_a_dead_follower_leads_reads_and_refuses_writes_until_it_is_weakened() -> None:
    cluster = started("sync")
    old = cluster.leader()
    old.crash()
    cluster.run(3 * SECOND)
    leader = cluster.leader()
    read = cluster.request(leader, Run("main", (Statement("SELECT 1"),), level="linearizable"))
    cluster.run(SECOND)
    assert isinstance(cluster.replies[read], list), "the no-op counts by majority"
    waiting = cluster.request(leader, write("a"))
    cluster.run(SECOND)
    assert cluster.replies[waiting] is None
    cluster.run(5 * SECOND)
    assert isinstance(cluster.replies[waiting], Unsure)
    refused = cluster.request(leader, write("b"))
    cluster.deliver()
    answer = cluster.replies[refused]
    assert isinstance(answer, Refused)
    assert answer.retryable
    assert str(leader.node.groups[1].rules.newest) == "sync", "nothing weakens it but a person"
    want(cluster, "majority")
    cluster.run(SECOND)
    assert str(leader.node.groups[1].rules.committed) == "majority"
    assert cluster.tokens(leader.number) == ["a"], "what waited is done under the new rule"
    key = cluster.request(leader, write("c"))
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)


def test_while_a_change_is_not_committed_the_stricter_rule_holds() -> None:
    cluster = started("sync")
    leader = cluster.leader()
    for other in others_of(cluster, leader):
        other.slow_disk = True
    want(cluster, "async")
    cluster.deliver()
    group = leader.node.groups[1]
    assert [str(rule) for rule in group.rules.all] == ["sync", "async"]
    assert group.rules.holders(3) == 3
    key = cluster.request(leader, write("a"))
    cluster.deliver()
    assert cluster.replies[key] is None
    for other in others_of(cluster, leader):
        other.slow_disk = False
        other.finish_writing()
    cluster.run(SECOND)
    assert isinstance(cluster.replies[key], Answer)
    assert [str(rule) for rule in group.rules.all] == ["async"]


def lose_a_tail(cluster: Cluster) -> tuple[Machine, Machine]:
    """The old leader, which acknowledged what nobody else has, and the new one."""
    old = cluster.leader()
    cluster.isolate(old.number)
    keys = [cluster.request(old, write(token)) for token in ("lost-1", "lost-2")]
    cluster.run(200_000)
    assert all(isinstance(cluster.replies[key], Answer) for key in keys)
    old.crash()
    cluster.heal()
    cluster.run(3 * SECOND)
    return old, cluster.leader()


def test_an_old_leader_whose_data_file_has_a_lost_tail_asks_for_a_copy_and_drops_nothing_before() -> None:
    cluster = started("async")
    old, new = lose_a_tail(cluster)
    last = old.node.groups[1].log.last
    old.start()
    cluster.run(SECOND)
    group = old.node.groups[1]
    assert group.election.leader == new.number
    assert group.rewinding.first == new.node.groups[1].election.noop, "where its log and the new leader's part"
    assert group.log.last == last
    assert new.node.groups[1].progress[old.number].state == "snapshot"
    assert cluster.tokens(new.number) == []


def test_what_was_on_a_leader_that_is_away_is_unknown() -> None:
    from quorate.core.single_leader import rewinding

    cluster = started("async")
    old, new = lose_a_tail(cluster)
    unknown = rewinding.unknown(new.node.groups[1])
    assert [node for _, _, node in unknown] == [old.number]


@pytest.mark.parametrize(("acks", "offered"), [("async", False), ("semi-sync:1", True), ("sync", True)])
def test_linearizable_reads_are_refused_where_a_leader_may_lack_a_write(acks: str, offered: bool) -> None:
    cluster = started(acks)
    leader = cluster.leader()
    named = cluster.request(leader, Run("main", (Statement("SELECT 1"),), level="linearizable"))
    strongest = cluster.request(leader, Run("main", (Statement("SELECT 1"),), level="linearizable", strongest=True))
    cluster.run(SECOND)
    assert isinstance(cluster.replies[named], list) == offered
    if not offered:
        assert cluster.replies[named].error == "NotSupportedError"
    assert isinstance(cluster.replies[strongest], list)
