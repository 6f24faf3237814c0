"""Planned transfers, one claim per test, on nodes whose messages the test delivers by hand."""

from collections.abc import Iterable

import msgspec
import pytest

from quorate.core import kernel
from quorate.core.kernel import Effect, Event, Note
from quorate.core.requests import Answer, Failover, FailoverReport, NotLeader, Refused
from quorate.core.single_leader.messages import TimeoutNow, Vote
from tests.core.harness import Cluster, Machine, write

SECOND = 1_000_000


def started(size: int = 3, acks: str = "majority") -> tuple[Cluster, Machine, Machine]:
    """A cluster at rest, its leader, and one follower."""
    cluster = Cluster(size, acks)
    cluster.run(2 * SECOND)
    leader = cluster.leader()
    follower = next(machine for machine in cluster.machines.values() if machine is not leader)
    return cluster, leader, follower


def report(reply: object) -> FailoverReport:
    assert isinstance(reply, Answer), reply
    return msgspec.msgpack.decode(reply.outcome, type=FailoverReport)


def drop(cluster: Cluster, kind: type) -> int:
    """Messages of this kind are lost; how many were."""
    kept = [message for message in cluster.messages if not isinstance(message[2], kind)]
    lost = len(cluster.messages) - len(kept)
    cluster.messages.clear()
    cluster.messages.extend(kept)
    return lost


def test_the_named_follower_leads_and_the_caller_is_told() -> None:
    cluster, leader, follower = started()
    key = cluster.request(leader, Failover("main", f"n{follower.number}"))
    cluster.deliver()
    assert cluster.leader() is follower
    said = report(cluster.replies[key])
    assert (said.leader, said.was) == (f"n{follower.number}", f"n{leader.number}")
    assert said.epoch == follower.node.groups[1].election.epoch
    again = cluster.request(follower, Failover("main", f"n{follower.number}"))
    assert report(cluster.replies[again]).was == f"n{follower.number}", "it is done already"


def test_where_changes_are_recorded_a_failover_is_logged_once_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, leader, follower = started()
    noted: list[Note] = []
    perform = leader.perform

    def note(effect: Effect) -> Iterable[Event]:
        noted.extend([effect] if isinstance(effect, Note) and effect.name == "audit" else [])
        return perform(effect)

    monkeypatch.setattr(leader, "perform", note)
    for secret in ("", "users were made"):
        leader.node.access.secret = secret
        refused = cluster.request(leader, Failover("main", "nobody"))
        assert not isinstance(cluster.replies[refused], Answer)
        asked = cluster.request(leader, Failover("main", f"n{leader.number}"))
        assert report(cluster.replies[asked]).leader == f"n{leader.number}"
        assert bool(noted) == bool(secret)
    key = cluster.request(leader, Failover("main", f"n{follower.number}"))
    assert len(noted) == 1, "not before it is done"
    cluster.deliver()
    assert report(cluster.replies[key]).leader == f"n{follower.number}"
    what = {"change": "failover", "database": "main", "to": f"n{follower.number}", "accept_loss": False}
    assert noted[-1].fields["what"] == what
    assert (len(noted), leader.node.failovers) == (2, {})


def test_without_a_name_the_live_follower_that_has_most_leads() -> None:
    cluster, leader, follower = started()
    cluster.isolate(follower.number)
    other = next(one for one in cluster.machines.values() if one not in (leader, follower))
    cluster.request(leader, write("a"))
    cluster.deliver()
    cluster.heal()
    key = cluster.request(leader, Failover("main"))
    cluster.deliver()
    assert cluster.leader() is other
    assert report(cluster.replies[key]).leader == f"n{other.number}"


def test_writes_under_way_are_answered_and_later_ones_are_held_and_sent_on() -> None:
    cluster, leader, follower = started()
    before = cluster.request(leader, write("before"))
    leader.feed(kernel.Wake())
    key = cluster.request(leader, Failover("main", f"n{follower.number}"))
    held = [cluster.request(leader, write(f"held{number}")) for number in range(3)]
    assert all(cluster.replies[one] is None for one in held)
    cluster.deliver()
    assert isinstance(cluster.replies[before], Answer)
    assert isinstance(cluster.replies[key], Answer)
    assert [cluster.replies[one] for one in held] == [NotLeader(f"host:{follower.number}")] * 3
    there = cluster.request(follower, write("held0"))
    cluster.run(SECOND)
    assert isinstance(cluster.replies[there], Answer)
    assert cluster.tokens(leader.number) == ["before", "held0"]


def test_a_follower_that_lags_is_brought_up_to_date_first() -> None:
    cluster, leader, follower = started()
    follower.slow_disk = True
    written = cluster.request(leader, write("a"))
    cluster.deliver()
    assert isinstance(cluster.replies[written], Answer), "the other follower's disk is enough"
    key = cluster.request(leader, Failover("main", f"n{follower.number}"))
    cluster.deliver()
    assert cluster.replies[key] is None
    assert cluster.leader() is leader, "its disk does not hold what was acknowledged"
    follower.slow_disk = False
    follower.finish_writing()
    cluster.deliver()
    assert cluster.leader() is follower
    assert isinstance(cluster.replies[key], Answer)


def test_the_old_leader_goes_on_when_the_other_does_not_stand() -> None:
    cluster, leader, follower = started()
    key = cluster.request(leader, Failover("main", f"n{follower.number}"))
    held = cluster.request(leader, write("held"))
    assert drop(cluster, TimeoutNow) == 1
    cluster.run(SECOND)
    assert cluster.leader() is leader
    refused = cluster.replies[key]
    assert isinstance(refused, Refused)
    assert "did not take over in time; n1 goes on leading" in refused.message.replace(f"n{leader.number}", "n1")
    assert not refused.retryable
    assert isinstance(cluster.replies[held], Answer), "what was held is run here"
    assert cluster.tokens(follower.number) == ["held"]


def test_nobody_is_told_that_it_is_not_done_while_the_word_to_stand_may_still_arrive() -> None:
    cluster, leader, follower = started()
    key = cluster.request(leader, Failover("main", f"n{follower.number}"))
    late = [message for message in cluster.messages if isinstance(message[2], TimeoutNow)]
    assert drop(cluster, TimeoutNow) == len(late) == 1
    cluster.run(SECOND)
    refused = cluster.replies[key]
    assert isinstance(refused, Refused)
    assert (refused.error, refused.retryable) == ("MaybeDone", False)
    assert f"n{follower.number} may still take over" in refused.message
    cluster.messages.extend(late)
    cluster.run(SECOND)
    assert cluster.leader() is follower


def test_it_is_not_done_when_the_other_was_never_told_to_stand() -> None:
    cluster, leader, follower = started()
    follower.slow_disk = True
    cluster.request(leader, write("a"))
    cluster.deliver()
    key = cluster.request(leader, Failover("main", f"n{follower.number}"))
    follower.crash()
    cluster.run(2 * SECOND)
    refused = cluster.replies[key]
    assert isinstance(refused, Refused)
    assert refused.error == "OperationalError"
    assert "not done" in refused.message


def test_a_candidate_that_loses_leaves_no_held_write_unanswered() -> None:
    cluster, leader, follower = started()
    key = cluster.request(leader, Failover("main", f"n{follower.number}"))
    held = cluster.request(leader, write("held"))
    while not any(isinstance(message, Vote) for _, _, message in cluster.messages):
        sender, to, message = cluster.messages.popleft()
        cluster.machines[to].feed(kernel.Deliver(sender, message))
    follower.crash()
    cluster.run(2 * SECOND)
    assert cluster.leader() is not follower
    assert cluster.replies[key] is not None
    answer = cluster.replies[held]
    assert isinstance(answer, NotLeader | Answer)


def test_a_second_caller_joins_and_another_target_waits() -> None:
    cluster, leader, follower = started()
    other = next(one for one in cluster.machines.values() if one not in (leader, follower))
    follower.slow_disk = True
    cluster.request(leader, write("a"))
    first = cluster.request(leader, Failover("main", f"n{follower.number}"))
    second = cluster.request(leader, Failover("main", f"n{follower.number}"))
    third = cluster.request(leader, Failover("main", f"n{other.number}"))
    refused = cluster.replies[third]
    assert isinstance(refused, Refused)
    assert refused.retryable
    follower.slow_disk = False
    follower.finish_writing()
    cluster.deliver()
    assert report(cluster.replies[first]) == report(cluster.replies[second])


def test_who_has_not_heard_of_a_new_member_sends_the_caller_to_who_has() -> None:
    cluster, leader, _ = started()
    informed = cluster.leader(0)
    assert leader is not informed
    newcomer = next(one for one in cluster.machines.values() if one not in (leader, informed))
    known = leader.node.directory.catalog
    others = tuple(member for member in known.members if member.node != newcomer.number)
    leader.feed(kernel.CatalogRead(msgspec.structs.replace(known, members=others)))
    question = Failover("main", f"n{newcomer.number}")
    assert cluster.replies[cluster.request(leader, question)] == NotLeader(f"host:{informed.number}")
    assert cluster.replies[cluster.request(informed, question)] == NotLeader(f"host:{leader.number}")
    leader.feed(kernel.CatalogRead(known))
    key = cluster.request(leader, question)
    cluster.deliver()
    assert report(cluster.replies[key]).leader == question.to


def test_without_a_leader_of_the_catalog_no_name_is_wrong_for_good() -> None:
    cluster, leader, follower = started()
    leader.crash()
    cluster.isolate(follower.number)
    cluster.run(SECOND)
    key = cluster.request(follower, Failover("main", "n9"))
    refused = cluster.replies[key]
    assert isinstance(refused, Refused)
    assert (refused.error, refused.retryable) == ("Unavailable", True)
    assert "the catalog has no leader" in refused.message


@pytest.mark.parametrize(
    ("to", "says", "error"),
    [("n9", "no member is called 'n9'", "UnknownNode"), ("away", "is away", "OperationalError")],
)
def test_what_cannot_be_is_refused_with_a_hint(to: str, says: str, error: str) -> None:
    cluster, leader, follower = started()
    if to == "away":
        follower.crash()
        cluster.run(SECOND)
        to = f"n{follower.number}"
    key = cluster.request(leader if to != "n9" else cluster.leader(0), Failover("main", to))
    refused = cluster.replies[key]
    assert isinstance(refused, Refused)
    assert says in refused.message
    assert (refused.error, refused.retryable) == (error, False)
    assert refused.hint
    written = cluster.request(leader, write("a"))
    cluster.deliver()
    assert isinstance(cluster.replies[written], Answer), "nothing is held for it"


def test_a_follower_says_where_to_ask() -> None:
    cluster, leader, follower = started()
    key = cluster.request(follower, Failover("main", f"n{follower.number}"))
    assert cluster.replies[key] == NotLeader(f"host:{leader.number}")


def test_a_follower_that_falls_silent_meanwhile_is_given_up() -> None:
    cluster, leader, follower = started()
    follower.slow_disk = True
    cluster.request(leader, write("a"))
    key = cluster.request(leader, Failover("main", f"n{follower.number}"))
    held = cluster.request(leader, write("b"))
    follower.crash()
    cluster.run(SECOND)
    refused = cluster.replies[key]
    assert isinstance(refused, Refused)
    assert isinstance(cluster.replies[held], Answer)
    assert cluster.leader() is leader


def test_the_catalog_can_be_handed_over_too() -> None:
    cluster, _, _ = started()
    leader = cluster.leader(0)
    key = cluster.request(leader, Failover("quorate"))
    cluster.deliver()
    assert cluster.leader(0) is not leader
    assert isinstance(cluster.replies[key], Answer)
