"""Who decides who leads, one claim per test, on nodes whose messages the test delivers by hand."""

import msgspec
import pytest

from quorate.core import kernel
from quorate.core.ack_policy import read_noop
from quorate.core.entries import NOOP
from quorate.core.executing import Execute
from quorate.core.requests import Answer, Failover, FailoverReport, NotLeader, Refused
from quorate.core.single_leader import rewinding
from quorate.core.single_leader.messages import TimeoutNow, Vote
from quorate.core.single_leader.state import Group
from tests.core.harness import Cluster, Machine, write

SECOND = 1_000_000


def started(size: int = 3, acks: str = "majority manual") -> tuple[Cluster, Machine, list[Machine]]:
    """A cluster at rest, its leader, and the others."""
    cluster = Cluster(size, acks)
    cluster.run(2 * SECOND)
    leader = cluster.leader()
    assert leader.node.groups[1].rules.committed.text == acks
    return cluster, leader, [machine for machine in cluster.machines.values() if machine is not leader]


def leaders(cluster: Cluster) -> list[int]:
    return [
        each.number
        for each in cluster.machines.values()
        if each.alive and each.node.groups[1].election.role == "leader"
    ]


def last_noop(group: Group) -> tuple[int, bool]:
    entries = group.log.slice(group.log.base.index + 1, group.log.last.index)
    assert entries
    return read_noop(next(entry.payload for entry in reversed(entries) if entry.kind == NOOP))


def order(cluster: Cluster, machine: Machine, *, accept_loss: bool = False) -> tuple[int, int]:
    return cluster.request(machine, Failover("main", f"n{machine.number}", accept_loss))


def test_a_manual_database_has_a_first_leader_without_being_asked() -> None:
    cluster, leader, _ = started()
    assert leaders(cluster) == [leader.number]
    key = cluster.request(leader, write("a"))
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)


def test_nobody_stands_by_himself_when_the_leader_is_dead_and_one_does_when_told() -> None:
    cluster, leader, (other, third) = started()
    leader.crash()
    cluster.run(5 * SECOND)
    assert leaders(cluster) == []
    key = order(cluster, other)
    cluster.deliver()
    reply = cluster.replies[key]
    assert isinstance(reply, Answer)
    report = msgspec.msgpack.decode(reply.outcome, type=FailoverReport)
    assert (report.leader, report.was) == (f"n{other.number}", "")
    assert leaders(cluster) == [other.number]
    leader.start()
    cluster.run(3 * SECOND)
    assert leaders(cluster) == [other.number]
    assert third.node.groups[1].election.leader == other.number


def test_a_leader_that_was_restarted_waits_to_be_told_too() -> None:
    cluster, leader, _ = started()
    leader.crash()
    leader.start()
    cluster.run(3 * SECOND)
    assert leaders(cluster) == []
    key = order(cluster, leader)
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)


def test_an_isolated_leader_goes_on_leading_and_counts_nothing() -> None:
    cluster, leader, _ = started()
    cluster.isolate(leader.number)
    key = cluster.request(leader, write("a"))
    cluster.run(3 * SECOND)
    assert leaders(cluster) == [leader.number]
    assert cluster.replies[key] is None
    cluster.heal()
    cluster.run(SECOND)
    assert isinstance(cluster.replies[key], Answer)


def test_an_isolated_leader_follows_whom_a_person_has_chosen() -> None:
    cluster, leader, (other, _) = started()
    cluster.isolate(leader.number)
    cluster.run(2 * SECOND)
    key = order(cluster, other)
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)
    assert sorted(leaders(cluster)) == sorted([leader.number, other.number]), "in two epochs"
    cluster.heal()
    cluster.run(SECOND)
    assert leaders(cluster) == [other.number]


def test_a_full_disk_deposes_nobody_where_nobody_else_would_lead() -> None:
    cluster, leader, _ = started()
    leader.feed(kernel.DiskFull())
    cluster.run(2 * SECOND)
    assert leaders(cluster) == [leader.number]
    key = cluster.request(leader, write("a"))
    refused = cluster.replies[key]
    assert isinstance(refused, Refused)
    assert refused.error == "DiskFull"
    leader.feed(kernel.DiskRoom())
    cluster.run(SECOND)
    key = cluster.request(leader, write("b"))
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)


def test_where_nobody_leads_for_want_of_room_callers_and_status_hear_it() -> None:
    """A log may have room that the data file lacks: then nobody stands, and "nobody leads" would not be the reason."""
    cluster, leader, (other, _) = started()
    leader.crash()
    cluster.run(5 * SECOND)
    other.feed(kernel.ApplyFailed(1, full=True, reason="no room"))
    refused = cluster.replies[cluster.request(other, write("a"))]
    assert isinstance(refused, Refused)
    assert (refused.error, refused.retryable) == ("DiskFull", True)
    assert other.node.status().disk_full
    cluster.run(5 * SECOND)
    assert not other.node.status().disk_full, "it has room again, as far as it can tell"
    assert isinstance(cluster.replies[cluster.request(other, write("b"))], NotLeader)


def test_who_lacks_a_file_says_so_and_not_that_its_disk_is_full() -> None:
    cluster, leader, (other, third) = started()
    leader.crash()
    cluster.run(5 * SECOND)
    third.crash()
    other.feed(kernel.ApplyFailed(1, full=True, reason="no custom:merges:union here", lacking=True))
    refused = cluster.replies[cluster.request(other, write("a"))]
    assert isinstance(refused, Refused)
    assert (refused.error, refused.retryable) == ("Unavailable", True)
    assert "no custom:merges:union here" in refused.message
    assert "node.toml" in refused.hint
    assert not other.node.status().disk_full
    key = order(cluster, other)
    cluster.deliver()
    answer = cluster.replies[key]
    assert isinstance(answer, Refused)
    assert "lacks something: no custom:merges:union here" in answer.message
    other.feed(kernel.ApplyFailed(1, full=True, reason="no room"))
    assert other.node.status().disk_full


def test_a_data_file_without_room_costs_the_batch_and_not_the_lead() -> None:
    cluster, leader, _ = started()
    run = leader.PERFORM[Execute]
    leader.PERFORM = leader.PERFORM | {Execute: lambda _machine, _effect: [kernel.ApplyFailed(1, True, "full")]}
    key = cluster.request(leader, write("a"))
    cluster.deliver()
    refused = cluster.replies[key]
    assert isinstance(refused, Refused)
    assert (refused.error, refused.retryable) == ("DiskFull", True)
    assert leaders(cluster) == [leader.number]
    leader.PERFORM = leader.PERFORM | {Execute: run}
    key = cluster.request(leader, write("b"))
    cluster.run(SECOND)
    assert isinstance(cluster.replies[key], Answer)
    assert cluster.tokens(leader.number) == ["b"]


def test_leadership_is_handed_over_in_a_manual_database_and_taken_back_when_the_heir_dies() -> None:
    cluster, leader, (other, _) = started()
    cluster.request(leader, Failover("main", f"n{other.number}"))
    assert any(isinstance(message, TimeoutNow) for _, _, message in cluster.messages)
    while not any(isinstance(message, Vote) for _, _, message in cluster.messages):
        sender, to, message = cluster.messages.popleft()
        cluster.machines[to].feed(kernel.Deliver(sender, message))
    other.crash()
    cluster.run(3 * SECOND)
    assert leaders(cluster) == [leader.number], "it was told to hand over, and nobody took over"


def test_who_is_ordered_while_others_hear_the_leader_is_refused_and_disturbs_nobody() -> None:
    cluster, leader, (other, third) = started()
    epoch = leader.node.groups[1].election.epoch
    cluster.cut |= {(leader.number, other.number), (other.number, leader.number)}
    cluster.run(2 * SECOND)
    key = order(cluster, other)
    cluster.run(8 * SECOND)
    refused = cluster.replies[key]
    assert isinstance(refused, Refused)
    assert f"n{third.number} refused" in refused.message
    assert leaders(cluster) == [leader.number]
    assert leader.node.groups[1].election.epoch == epoch


def test_a_follower_sends_the_caller_to_the_node_that_is_meant() -> None:
    cluster, leader, (other, third) = started()
    leader.crash()
    cluster.run(2 * SECOND)
    key = cluster.request(third, Failover("main", f"n{other.number}"))
    assert cluster.replies[key] == NotLeader(f"host:{other.number}")
    away = cluster.request(third, Failover("main", f"n{leader.number}"))
    unnamed = cluster.request(third, Failover("main"))
    for each, says in ((away, "is away"), (unnamed, "must be named")):
        refused = cluster.replies[each]
        assert isinstance(refused, Refused)
        assert says in refused.message
        assert refused.hint


def test_a_replica_that_does_not_know_whether_the_change_counts_does_not_stand() -> None:
    cluster, leader, (other, third) = started(acks="majority")
    for each in (other, third):
        each.slow_disk = True
    cluster.acks = "majority manual"
    leader.feed(next(iter(leader._catalog(kernel.ReadCatalog()))))
    cluster.deliver()
    assert leader.node.groups[1].rules.coming
    assert other.node.groups[1].rules.by_hand, "its log names it, and it may count"
    leader.crash()
    for each in (other, third):
        each.slow_disk = False
        each.finish_writing()
    cluster.run(5 * SECOND)
    assert leaders(cluster) == []


# ---- with fewer votes than the acks ask for -----------------------------------------------------------------


def lost_two(cluster: Cluster, leader: Machine, others: list[Machine]) -> list[Machine]:
    """Two of five acknowledge a write, and die. Who is left."""
    near, *far = others
    for each in far:
        cluster.cut |= {(leader.number, each.number), (each.number, leader.number)}
    key = cluster.request(leader, write("a"))
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer), "two disks are enough"
    leader.crash()
    near.crash()
    cluster.heal()
    cluster.run(3 * SECOND)
    assert leaders(cluster) == []
    return far


@pytest.mark.parametrize("acks", ["semi-sync:1", "semi-sync:1 manual"])
def test_accepting_the_loss_elects_by_majority_and_says_whose_writes_are_unknown(acks: str) -> None:
    cluster, leader, others = started(5, acks)
    far = lost_two(cluster, leader, others)
    key = order(cluster, far[0])
    cluster.run(8 * SECOND)
    refused = cluster.replies[key]
    assert isinstance(refused, Refused)
    assert "got 3 of the 4 votes that it needs" in refused.message
    assert "--accept-loss" in refused.hint
    key = order(cluster, far[0], accept_loss=True)
    cluster.run(SECOND)
    assert isinstance(cluster.replies[key], Answer)
    group = far[0].node.groups[1]
    assert last_noop(group) == (far[0].number, True)
    assert [who for _, _, who in rewinding.unknown(group)] == [leader.number]


def test_an_old_leader_that_comes_back_keeps_what_was_given_up_and_is_rewound() -> None:
    cluster, leader, others = started(5, "semi-sync:1")
    far = lost_two(cluster, leader, others)
    order(cluster, far[0], accept_loss=True)
    cluster.run(SECOND)
    written = cluster.request(far[0], write("b"))
    cluster.run(SECOND)
    assert isinstance(cluster.replies[written], Answer)
    others[0].start()
    cluster.run(3 * SECOND)
    assert [saved.group for saved in others[0].kept] == [1], "it had the write, and keeps it"
    assert others[0].node.groups[1].rewinding.first or cluster.tokens(others[0].number) == ["b"]
    assert cluster.tokens(far[1].number) == ["b"]


def test_less_than_a_majority_elects_nobody_whatever_is_accepted() -> None:
    cluster, leader, others = started(5, "semi-sync:1")
    far = lost_two(cluster, leader, others)
    far[2].crash()
    key = order(cluster, far[0], accept_loss=True)
    cluster.run(8 * SECOND)
    refused = cluster.replies[key]
    assert isinstance(refused, Refused)
    assert "got 2 of the 3 votes" in refused.message
    assert leaders(cluster) == []


def test_enough_votes_are_no_loss_though_one_was_accepted() -> None:
    cluster, leader, others = started(5, "semi-sync:1 manual")
    leader.crash()
    cluster.run(2 * SECOND)
    key = order(cluster, others[0], accept_loss=True)
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)
    assert last_noop(others[0].node.groups[1]) == (others[0].number, False)
    assert rewinding.unknown(others[0].node.groups[1]) == []


def test_a_vote_that_comes_after_the_order_has_ended_makes_nobody_leader() -> None:
    """(1) A node is told to stand, and does; (2) the vote that it needs is slow; (3) its own disk has no room any more,
    and the order ends as not done; (4) the vote comes."""
    cluster, leader, (other, third) = started()
    leader.crash()
    cluster.run(SECOND)
    third.slow_disk = True
    key = order(cluster, other)
    cluster.deliver()
    group = other.node.groups[1]
    assert group.election.role == "candidate"
    group.apply.no_room_until_us = cluster.now_us + 60 * SECOND
    while cluster.replies[key] is None:
        cluster.run(SECOND)
    assert isinstance(cluster.replies[key], Refused)
    third.slow_disk = False
    third.finish_writing()
    cluster.deliver()
    assert leaders(cluster) == []


def test_a_learner_says_that_it_has_no_vote() -> None:
    cluster = Cluster(3, spares=1)
    cluster.run(2 * SECOND)
    cluster.isolate(4)
    cluster.want_members(1, 2, 3, 4)
    cluster.run(SECOND)
    key = cluster.request(cluster.machines[4], Failover("main", "n4"))
    cluster.deliver()
    refused = cluster.replies[key]
    assert isinstance(refused, Refused)
    assert "its replica has no vote yet" in refused.message
