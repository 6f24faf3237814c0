"""What verify claims, one claim per test: same position, majority, and nobody condemned without one."""

import msgspec
import pytest

from quorate.core import kernel
from quorate.core.entries import Position
from quorate.core.requests import Answer, NotLeader, Verify
from quorate.core.single_leader.messages import PASSED, VerifyAsk, VerifyReply, VerifyVerdict
from quorate.core.single_leader.verification import SILENT
from quorate.core.verdicts import AWAY, DIFFERS, EQUAL, UNDECIDED, VerifyReport
from tests.core.harness import Cluster, Machine, write

SECOND = 1_000_000


def started(size: int = 3) -> Cluster:
    cluster = Cluster(size)
    cluster.run(2 * SECOND)
    cluster.request(cluster.leader(), write("a"))
    cluster.run(SECOND)
    return cluster


def followers(cluster: Cluster) -> list[Machine]:
    leader = cluster.leader()
    return [machine for machine in cluster.machines.values() if machine is not leader]


def verified(cluster: Cluster, microseconds: int = SECOND) -> VerifyReport:
    key = cluster.request(cluster.leader(), Verify("main"))
    cluster.run(microseconds)
    answer = cluster.replies[key]
    assert isinstance(answer, Answer), answer
    return msgspec.msgpack.decode(answer.outcome, type=VerifyReport)


def edit(machine: Machine) -> None:
    position, _ = machine.data[1][-1]
    machine.data[1][-1] = (position, "edited")


def verdicts(report: VerifyReport) -> dict[int, str]:
    return {each.node: each.verdict for each in report.replicas}


def damaged(cluster: Cluster) -> list[int]:
    return [number for number, machine in cluster.machines.items() if machine.node.groups[1].damaged]


def test_equal_replicas_are_found_equal_at_the_end_of_the_log() -> None:
    cluster = started()
    report = verified(cluster)
    assert report.verdict == EQUAL
    assert report.index == cluster.leader().node.groups[1].log.last.index
    assert {each.digest for each in report.replicas} != {""}
    assert damaged(cluster) == []
    for machine in cluster.machines.values():
        assert machine.node.status().groups[1].verified == report.index


def test_of_a_node_that_was_never_heard_nobody_says_that_it_is_too_old() -> None:
    cluster = started()
    away = followers(cluster)[0]
    away.crash()
    cluster.run(SECOND)
    del cluster.leader().node.versions.others[away.number]
    report = verified(cluster, 2 * SECOND)
    assert verdicts(report)[away.number] == AWAY
    assert {each.reason for each in report.replicas if each.node == away.number} == {SILENT}


def test_a_follower_that_differs_from_two_others_is_condemned_and_says_why() -> None:
    cluster = started()
    wrong = followers(cluster)[0]
    edit(wrong)
    report = verified(cluster)
    assert verdicts(report)[wrong.number] == DIFFERS
    assert [each.node for each in report.replicas if each.rebuilt] == [wrong.number]
    assert damaged(cluster) == [wrong.number]
    assert "verify: at index" in wrong.node.status().groups[1].damage


def test_a_leader_that_differs_from_two_others_hands_over_and_is_condemned() -> None:
    cluster = started()
    wrong = cluster.leader()
    edit(wrong)
    report = verified(cluster)
    assert verdicts(report)[wrong.number] == DIFFERS
    assert cluster.leader() is not wrong
    assert damaged(cluster) == [wrong.number]


def test_without_a_majority_nothing_is_touched() -> None:
    cluster = started(2)
    edit(followers(cluster)[0])
    report = verified(cluster)
    assert set(verdicts(report).values()) == {UNDECIDED}
    assert not any(each.rebuilt for each in report.replicas)
    assert damaged(cluster) == []


def test_who_is_taken_out_while_it_works_is_not_waited_for() -> None:
    cluster = started(4)
    slow = followers(cluster)[0]
    perform = slow.perform
    slow.perform = lambda effect: () if isinstance(effect, kernel.Digest) else perform(effect)  # type: ignore[method-assign]
    key = cluster.request(cluster.leader(), Verify("main"))
    cluster.run(SECOND // 2)
    assert cluster.replies[key] is None, "it says that it works on it"
    cluster.want_members(*(number for number in cluster.machines if number != slow.number))
    cluster.run(2 * SECOND)
    answer = cluster.replies[key]
    assert isinstance(answer, Answer), answer
    report = msgspec.msgpack.decode(answer.outcome, type=VerifyReport)
    assert slow.number not in verdicts(report)
    assert report.verdict == EQUAL


def test_two_that_differ_while_the_third_is_away_are_left_alone() -> None:
    cluster = started()
    wrong, away = followers(cluster)
    edit(wrong)
    away.crash()
    report = verified(cluster, 3 * SECOND)
    assert verdicts(report) == {cluster.leader().number: UNDECIDED, wrong.number: UNDECIDED, away.number: AWAY}
    assert damaged(cluster) == []


def test_two_of_five_that_are_away_do_not_stand_in_the_way_of_a_majority() -> None:
    cluster = started(5)
    wrong, *others = (machine for machine in followers(cluster) if 1 in machine.node.groups)
    edit(wrong)
    others[-1].crash()
    cluster.run(2 * SECOND)
    report = verified(cluster, 3 * SECOND)
    holders = [machine.number for machine in cluster.machines.values() if 1 in machine.node.groups]
    assert len(holders) == len(report.replicas)
    assert verdicts(report)[wrong.number] == (DIFFERS if len(holders) == 5 else UNDECIDED)


def test_a_follower_stops_at_the_position_and_then_goes_on() -> None:
    """It takes the digest of what it held there, although more was committed meanwhile."""
    cluster = started()
    leader, follower = cluster.leader(), followers(cluster)[0]
    group = follower.node.groups[1]
    ahead = Position(group.election.epoch, group.log.last.index + 1)
    follower.feed(kernel.Deliver(leader.number, VerifyAsk(1, group.election.epoch, 77, ahead)))
    cluster.messages.clear()
    for token in ("b", "c", "d"):
        cluster.request(leader, write(token))
        cluster.run(200_000)
    assert group.verifying.check is not None
    assert group.verifying.check.digest == ",a,b"
    assert cluster.tokens(follower.number) == ["a", "b", "c", "d"]


def test_a_follower_that_is_beyond_the_position_says_so() -> None:
    cluster = started()
    leader, follower = cluster.leader(), followers(cluster)[0]
    group = follower.node.groups[1]
    behind = Position(group.election.epoch, group.apply.applied.index - 1)
    cluster.messages.clear()
    follower.feed(kernel.Deliver(leader.number, VerifyAsk(1, group.election.epoch, 77, behind)))
    replies = [message for _, _, message in cluster.messages if isinstance(message, VerifyReply)]
    assert [reply.state for reply in replies] == [PASSED]


def test_a_leader_names_another_position_when_one_was_passed() -> None:
    cluster = started()
    leader, follower = cluster.leader(), followers(cluster)[0]
    key = cluster.request(leader, Verify("main"))
    leader.feed(kernel.Wake())
    running = leader.node.groups[1].verifying.running
    assert running is not None
    number = running.number
    passed = VerifyReply(1, leader.node.groups[1].election.epoch, number, PASSED, running.position)
    leader.feed(kernel.Deliver(follower.number, passed))
    leader.feed(kernel.Wake())
    assert running.number == number + 1
    cluster.run(SECOND)
    assert isinstance(cluster.replies[key], Answer)


def test_a_verdict_of_another_epoch_or_position_condemns_nobody() -> None:
    cluster = started()
    verified(cluster)
    leader, follower = cluster.leader(), followers(cluster)[0]
    group = follower.node.groups[1]
    follower.feed(kernel.Deliver(leader.number, VerifyAsk(1, group.election.epoch, 77, group.apply.applied)))
    stale = Position(group.election.epoch, group.apply.applied.index - 1)
    for verdict in (
        VerifyVerdict(1, group.election.epoch, 76, group.apply.applied, "other"),
        VerifyVerdict(1, group.election.epoch, 77, stale, "other"),
        VerifyVerdict(1, group.election.epoch - 1, 77, group.apply.applied, "other"),
    ):
        follower.feed(kernel.Deliver(leader.number, verdict))
    follower.feed(
        kernel.Deliver(
            followers(cluster)[1].number, VerifyVerdict(1, group.election.epoch, 77, group.apply.applied, "x")
        )
    )
    assert damaged(cluster) == []


def test_who_asks_while_replicas_are_compared_gets_a_comparison_of_later() -> None:
    cluster = started()
    leader = cluster.leader()
    first = cluster.request(leader, Verify("main"))
    leader.feed(kernel.Wake())
    second = cluster.request(leader, Verify("main"))
    cluster.run(SECOND)
    assert isinstance(cluster.replies[first], Answer)
    assert isinstance(cluster.replies[second], Answer)
    assert leader.node.groups[1].verifying.numbers & 0xFFFF == 2


def test_only_the_leader_compares_and_a_caller_is_sent_to_it() -> None:
    cluster = started()
    key = cluster.request(followers(cluster)[0], Verify("main"))
    cluster.deliver()
    assert cluster.replies[key] == NotLeader(f"host:{cluster.leader().number}")


def test_a_leader_that_steps_down_sends_its_callers_elsewhere() -> None:
    cluster = started()
    leader = cluster.leader()
    key = cluster.request(leader, Verify("main"))
    cluster.isolate(leader.number)
    cluster.messages.clear()
    cluster.run(2 * SECOND)
    assert isinstance(cluster.replies[key], NotLeader | Answer)


@pytest.mark.parametrize("size", [1, 3])
def test_groups_are_compared_in_the_background_when_an_interval_is_set(size: int) -> None:
    cluster = started(size)
    for machine in cluster.machines.values():
        machine.node.settings = msgspec.structs.replace(machine.node.settings, verify_us=SECOND)
        machine.node._timers.set("verify", cluster.now_us)
    cluster.run(3 * SECOND)
    assert all(
        group.verifying.equal_at for machine in cluster.machines.values() for group in machine.node.groups.values()
    )
