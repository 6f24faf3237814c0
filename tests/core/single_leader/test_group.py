"""One claim of the protocol per test, on three nodes whose messages the test delivers by hand."""

import pytest

from quorate.core import kernel
from quorate.core.entries import NOOP, Entry, WriteEntries
from quorate.core.requests import Answer, NotLeader, Refused, Run, Unsure
from quorate.core.single_leader.messages import Append, SnapshotOffer, SnapshotWant, Vote, VoteReply
from quorate.core.statements import Statement
from tests.core.harness import Cluster, write

SECOND = 1_000_000


def started(size: int = 3) -> Cluster:
    cluster = Cluster(size)
    cluster.run(2 * SECOND)
    return cluster


def read(level: str = "linearizable") -> Run:
    return Run("main", (Statement("SELECT 1"),), level=level)


def test_a_new_cluster_founds_its_catalog_and_the_database_main() -> None:
    cluster = started()
    for machine in cluster.machines.values():
        assert set(machine.node.groups) == {0, 1}
        assert machine.node.groups[1].election.leader == cluster.leader().number


def test_one_node_alone_leads_itself() -> None:
    cluster = started(1)
    key = cluster.request(cluster.leader(), write("a"))
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)
    cluster.run(SECOND)
    assert cluster.tokens(1) == ["a"]


def test_a_write_is_answered_when_a_majority_has_it() -> None:
    cluster = started()
    leader = cluster.leader()
    others = [number for number in cluster.machines if number != leader.number]
    cluster.machines[others[0]].slow_disk = True
    key = cluster.request(leader, write("a"))
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)
    cluster.run(SECOND)
    assert cluster.tokens(others[1]) == ["a"]
    assert cluster.tokens(others[0]) == []
    cluster.machines[others[0]].finish_writing()
    cluster.machines[others[0]].slow_disk = False
    cluster.run(SECOND)
    assert cluster.tokens(others[0]) == ["a"]


def test_nothing_is_answered_before_a_majority_is_durable() -> None:
    cluster = started()
    leader = cluster.leader()
    for machine in cluster.machines.values():
        if machine is not leader:
            machine.slow_disk = True
    key = cluster.request(leader, write("a"))
    cluster.deliver()
    assert cluster.replies[key] is None
    assert leader.data[1][-1][1] == "", "nothing is visible before it is committed"
    for machine in cluster.machines.values():
        machine.finish_writing()
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)


def test_a_leader_does_not_commit_what_its_own_disk_lacks() -> None:
    cluster = started()
    leader = cluster.leader()
    leader.slow_disk = True
    key = cluster.request(leader, write("a"))
    cluster.deliver()
    group = leader.node.groups[1]
    assert group.commit.committed == group.log.last.index, "the followers made the majority"
    assert cluster.replies[key] is None
    assert cluster.tokens(leader.number) == []
    leader.finish_writing()
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)


def test_requests_that_arrive_meanwhile_become_one_batch() -> None:
    cluster = started()
    leader = cluster.leader()
    before = leader.node.groups[1].log.last.index
    keys = [cluster.request(leader, write(f"w{number}")) for number in range(50)]
    cluster.deliver()
    assert all(isinstance(cluster.replies[key], Answer) for key in keys)
    assert leader.node.groups[1].log.last.index == before + 1


def test_a_follower_sends_callers_to_the_leader() -> None:
    cluster = started()
    leader = cluster.leader()
    follower = next(machine for machine in cluster.machines.values() if machine is not leader)
    key = cluster.request(follower, write("a"))
    assert cluster.replies[key] == NotLeader(f"host:{leader.number}")


def test_nobody_is_sent_to_the_first_leader_once_that_is_gone() -> None:
    """A caller would wait for a connection to a dead host, and ask nobody else meanwhile."""
    cluster = started()
    first = cluster.leader()
    cluster.deliver()
    first.crash()
    other = next(machine for machine in cluster.machines.values() if machine is not first)
    other.feed(kernel.Unreachable(first.number))
    key = cluster.request(other, write("a"))
    assert cluster.replies[key] == NotLeader("")


def test_the_rest_elects_a_leader_when_the_leader_dies() -> None:
    cluster = started()
    old = cluster.leader()
    key = cluster.request(old, write("a"))
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)
    old.crash()
    cluster.run(2 * SECOND)
    new = cluster.leader()
    assert new is not old
    key = cluster.request(new, write("b"))
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)
    old.start()
    cluster.run(2 * SECOND)
    assert cluster.tokens(old.number) == ["a", "b"]


def test_a_broken_connection_is_enough_to_elect_without_waiting() -> None:
    cluster = started()
    old = cluster.leader()
    old.crash()
    for machine in cluster.machines.values():
        machine.feed(kernel.Unreachable(old.number))
    cluster.run(350_000)
    assert cluster.leader() is not old


def test_an_isolated_leader_steps_down_and_says_that_it_is_unsure() -> None:
    cluster = started()
    old = cluster.leader()
    cluster.isolate(old.number)
    key = cluster.request(old, write("lost"))
    cluster.run(2 * SECOND)
    assert old.node.groups[1].election.role != "leader"
    assert isinstance(cluster.replies[key], Unsure)
    new = cluster.leader()
    key = cluster.request(new, write("kept"))
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)
    cluster.heal()
    cluster.run(2 * SECOND)
    for number in cluster.machines:
        assert cluster.tokens(number) == ["kept"]


def test_an_isolated_follower_does_not_disturb_when_it_returns() -> None:
    cluster = started()
    leader = cluster.leader()
    epoch = leader.node.groups[1].election.epoch
    follower = next(number for number in cluster.machines if number != leader.number)
    cluster.isolate(follower)
    cluster.run(5 * SECOND)
    cluster.heal()
    cluster.run(2 * SECOND)
    assert cluster.leader() is leader
    assert leader.node.groups[1].election.epoch == epoch, "pre-vote kept the epoch where it was"


def test_a_linearizable_read_on_an_isolated_leader_is_not_answered_with_old_data() -> None:
    cluster = started()
    old = cluster.leader()
    cluster.isolate(old.number)
    key = cluster.request(old, read())
    cluster.run(2 * SECOND)
    assert cluster.replies[key] == NotLeader("")


@pytest.mark.parametrize("level", ["linearizable", "leader", "eventual"])
def test_the_leader_reads_what_was_written(level: str) -> None:
    cluster = started()
    cluster.request(cluster.leader(), write("a"))
    cluster.deliver()
    key = cluster.request(cluster.leader(), read(level))
    cluster.deliver()
    assert cluster.replies[key] == ["a"]


def test_a_follower_serves_linearizable_reads_by_asking_the_leader() -> None:
    cluster = started()
    leader = cluster.leader()
    follower = next(machine for machine in cluster.machines.values() if machine is not leader)
    cluster.request(leader, write("a"))
    cluster.deliver()
    key = cluster.request(follower, read())
    cluster.run(SECOND)
    assert cluster.replies[key] == ["a"]


def test_votes_are_durable_before_anyone_hears_of_them() -> None:
    cluster = started()
    voter = next(machine for machine in cluster.machines.values() if machine is not cluster.leader())
    cluster.leader().crash()
    voter.node.step(kernel.Now(cluster.now_us), kernel.Unreachable(voter.node.groups[1].election.leader))
    voter.slow_disk = True
    group = voter.node.groups[1]
    candidate = next(number for number in cluster.machines if number not in (voter.number, group.election.leader))
    cluster.messages.clear()
    voter.feed(kernel.Deliver(candidate, Vote(1, group.election.epoch + 1, group.log.last)))
    assert not [message for _, _, message in cluster.messages if isinstance(message, VoteReply)]
    voter.finish_writing()
    replies = [message for _, _, message in cluster.messages if isinstance(message, VoteReply)]
    assert replies
    assert replies[-1].granted


def test_one_epoch_one_vote_even_after_a_restart() -> None:
    cluster = started()
    leader = cluster.leader()
    leader.crash()
    voter, first, second = cluster.machines[leader.number % 3 + 1], leader.number, (leader.number + 1) % 3 + 1
    voter.feed(kernel.Unreachable(leader.number))
    group = voter.node.groups[1]
    epoch = group.election.epoch + 5
    cluster.messages.clear()
    voter.feed(kernel.Deliver(first, Vote(1, epoch, group.log.last)))
    voter.crash()
    voter.start()
    voter.feed(kernel.Deliver(second, Vote(1, epoch, group.log.last)))
    granted = [message.granted for _, _, message in cluster.messages if isinstance(message, VoteReply)]
    assert granted == [True, False]


def test_a_late_disk_does_not_vouch_for_what_was_overwritten() -> None:
    """A is written at an index, B replaces it, and only then the disk says that A is durable."""
    cluster = started()
    follower = next(machine for machine in cluster.machines.values() if machine is not cluster.leader())
    group = follower.node.groups[1]
    last = group.log.last
    follower.slow_disk = True
    one, two = (number for number in cluster.machines if number != follower.number)
    a = Entry(last.index + 1, last.epoch + 1, NOOP, b"")
    b = Entry(last.index + 1, last.epoch + 2, NOOP, b"")
    follower.feed(kernel.Deliver(one, Append(1, a.epoch, last, (a,), last.index)))
    follower.feed(kernel.Deliver(two, Append(1, b.epoch, last, (b,), last.index)))
    while not any(isinstance(each, WriteEntries) for each in follower.unwritten[0].writes):
        effect = follower.unwritten.popleft()
        follower.feed(kernel.Persisted(effect.sequence))
    follower.feed(kernel.Persisted(follower.unwritten.popleft().sequence))
    assert group.commit.persisted == last.index
    follower.finish_writing()
    assert group.commit.persisted == last.index + 1


def test_a_full_disk_hands_leadership_on_and_reads_go_on() -> None:
    cluster = started()
    old = cluster.leader()
    old.slow_disk = True
    old.feed(kernel.DiskFull())
    key = cluster.request(old, write("a"))
    assert isinstance(cluster.replies[key], Refused)
    cluster.run(2 * SECOND)
    new = cluster.leader()
    assert new is not old
    key = cluster.request(old, read("eventual"))
    assert cluster.replies[key] == []
    cluster.request(new, write("b"))
    cluster.deliver()
    old.finish_writing()
    old.slow_disk = False
    old.feed(kernel.DiskRoom())
    cluster.run(2 * SECOND)
    assert cluster.tokens(old.number) == ["b"]


def test_drain_hands_leadership_to_a_follower_at_once() -> None:
    cluster = started()
    old = cluster.leader()
    old.feed(kernel.Drain())
    cluster.run(400_000)
    assert cluster.leader() is not old
    assert cluster.leader(0) is not old


def test_five_nodes_survive_two() -> None:
    cluster = started(5)
    for _ in range(2):
        cluster.leader().crash()
        cluster.run(3 * SECOND)
    key = cluster.request(cluster.leader(), write("a"))
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)


def test_idle_nodes_send_one_heartbeat_per_pair_however_many_groups() -> None:
    cluster = started()
    cluster.run(SECOND)
    cluster.messages.clear()
    sent = 0
    for _ in range(100):
        cluster.now_us += 10_000
        for machine in cluster.machines.values():
            machine.feed(kernel.Wake())
        sent += len(cluster.messages)
        assert all(not getattr(message, "led", ()) for _, _, message in cluster.messages)
        cluster.deliver()
    assert sent == 10 * 6


def test_a_copy_that_cannot_be_opened_is_fetched_again() -> None:
    """Installing a copy fails after the log has switched to it: the replica must not wait for it for ever."""
    cluster = started()
    leader = cluster.leader()
    follower = next(machine for machine in cluster.machines.values() if machine is not leader)
    group = follower.node.groups[1]
    group.fetching.switching = True
    follower.feed(kernel.ApplyFailed(1, full=False, reason="a torn page"))
    assert group.needs_snapshot()
    cluster.messages.clear()
    follower.feed(kernel.Deliver(leader.number, SnapshotOffer(1, group.election.epoch, 9, group.log.last, 100)))
    assert any(isinstance(message, SnapshotWant) for _, _, message in cluster.messages)
