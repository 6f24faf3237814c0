"""One claim of joint consensus per test, on nodes whose messages the test delivers by hand."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core import kernel, roster
from quorate.core.entries import MEMBERS, Entry
from quorate.core.kernel import CATALOG_DATABASE, Now
from quorate.core.membership import (
    Configuration,
    Membership,
    Wanted,
    next_step,
    reached,
    read_entry,
    spell,
)
from quorate.core.requests import AddMember, Answer, Failover, NotLeader, Outcome, Refused, RemoveMember
from quorate.core.single_leader import commit
from quorate.core.single_leader.state import Group
from quorate.core.statements import Token
from tests.core.harness import Cluster, Machine, write

SECOND = 1_000_000


def started(size: int = 3, spares: int = 0, acks: str = "majority") -> Cluster:
    cluster = Cluster(size, acks, spares)
    cluster.run(2 * SECOND)
    for machine in list(cluster.machines.values())[:size]:
        assert machine.node.groups[1].configuration.voters == tuple(range(1, size + 1))
    return cluster


def configuration(machine: Machine, group: int = 1) -> Configuration:
    return machine.node.groups[group].configuration


def step(cluster: Cluster) -> None:
    """A thousandth of a second, or one message."""
    cluster.now_us += 1_000
    if not cluster._wake_due() and cluster.messages:
        sender, to, message = cluster.messages.popleft()
        machine = cluster.machines[to]
        if machine.alive and (sender, to) not in cluster.cut:
            machine.feed(kernel.Deliver(sender, message))


def step_until_joint(cluster: Cluster) -> Machine:
    """The leader, just when its newest entry is a joint configuration."""
    for _ in range(2_000):
        leader = cluster.leader()
        if configuration(leader).joint:
            return leader
        step(cluster)
    raise AssertionError("it never became joint")


def leading(cluster: Cluster) -> bool:
    groups = [machine.node.groups.get(1) for machine in cluster.machines.values()]
    return any(group is not None and group.election.role == "leader" for group in groups)


# ---- the plan --------------------------------------------------------------------------------------------

nodes = st.integers(1, 6)
voters = st.lists(nodes, min_size=1, max_size=4, unique=True).map(tuple)


def majorities(configuration: Configuration) -> list[set[int]]:
    """Every set of voters that can decide."""
    electors = configuration.electors
    subsets = (set(some) for size in range(len(electors) + 1) for some in combinations(electors, size))
    return [some for some in subsets if configuration.majority_of(some)]


@given(voters, voters, st.lists(nodes, unique=True, max_size=2))
def test_each_step_shares_a_voter_of_every_majority_with_the_next_and_the_plan_ends(
    now: tuple[int, ...], wanted: tuple[int, ...], watching: list[int]
) -> None:
    everybody = range(1, 7)
    current = Configuration(now)
    target = Wanted(wanted, tuple(node for node in watching if node not in wanted), change=1)
    for _ in range(6):
        following = next_step(current, target, everybody, everybody)
        if following is None:
            break
        for some in majorities(current):
            assert all(some & others for others in majorities(following)), (current, following)
        assert not (current.joint and following.joint)
        current = following
    assert reached(current, target)
    assert sorted(current.voters) == sorted(wanted)


def test_nobody_votes_who_is_not_caught_up_and_nothing_begins_without_a_living_majority() -> None:
    now = Configuration((1, 2, 3), (4,))
    wanted = Wanted((1, 2, 4))
    assert next_step(now, wanted, caught_up=(), alive=(1, 2, 3, 4)) is None
    assert next_step(now, wanted, caught_up=(4,), alive=(1, 3)) is None
    joint = next_step(now, wanted, caught_up=(4,), alive=(1, 4))
    assert joint == Configuration((1, 2, 3), (), (1, 2, 4))


def test_a_joint_change_is_ended_whatever_is_wanted_meanwhile() -> None:
    joint = Configuration((1, 2, 3), (), (1, 2, 4), change=3)
    assert next_step(joint, Wanted((1, 2, 3), change=4), (), ()) == Configuration((1, 2, 4), change=3)


def test_an_older_wish_than_the_log_has_is_no_wish() -> None:
    assert next_step(Configuration((1, 2, 4), change=5), Wanted((1, 2, 3), change=4), (3,), (1, 2, 3)) is None


def test_a_majority_is_needed_of_both_sets_and_nobody_is_no_majority() -> None:
    joint = Configuration((1, 2, 3), (), (3, 4, 5))
    assert not joint.majority_of((1, 2))
    assert not joint.majority_of((3, 4, 5))
    assert joint.majority_of((2, 3, 4))
    assert not Configuration().majority_of((1, 2, 3))


def test_what_is_truncated_is_rolled_back_and_what_is_committed_stays() -> None:
    membership = Membership((1, 2, 3))
    one, two = Configuration((1, 2, 3), (4,)), Configuration((1, 2, 3), (), (1, 2, 4))
    membership.appended((Entry(5, 1, MEMBERS, spell(one)), Entry(7, 1, MEMBERS, spell(two))))
    assert (membership.newest, membership.newest_at) == (two, 7)
    membership.truncated(7)
    assert membership.newest == one
    assert membership.counts(6)
    membership.truncated(6)
    assert membership.newest == one
    membership.replaced((Entry(9, 1, MEMBERS, spell(two)),))
    assert (membership.newest, membership.newest_at) == (two, 9)
    assert read_entry(spell(two)) == two


# ---- on nodes --------------------------------------------------------------------------------------------


def test_a_node_comes_as_a_learner_and_votes_when_it_has_the_log() -> None:
    cluster = started(3, spares=1)
    for token in "abc":
        cluster.request(cluster.leader(), write(token))
    cluster.run(SECOND)
    cluster.isolate(4)
    cluster.want_members(1, 2, 3, 4)
    cluster.run(SECOND)
    for machine in list(cluster.machines.values())[:3]:
        assert configuration(machine) == Configuration((1, 2, 3), (4,), change=1)
    key = cluster.request(cluster.leader(), write("d"))
    cluster.run(SECOND)
    assert isinstance(cluster.replies[key], Answer), "a learner holds nothing up"
    cluster.heal()
    cluster.run(2 * SECOND)
    for machine in cluster.machines.values():
        assert sorted(configuration(machine).voters) == [1, 2, 3, 4]
        assert not configuration(machine).joint
        assert cluster.tokens(machine.number) == ["a", "b", "c", "d"]


def test_while_joint_a_majority_of_each_set_is_needed() -> None:
    cluster = started(3, spares=3)
    leader = cluster.leader()
    cluster.want_members(leader.number, 4, 5)
    leader = step_until_joint(cluster)
    cluster.isolate(4)
    cluster.isolate(5)
    cluster.deliver()
    assert configuration(leader).joint
    key = cluster.request(leader, write("a"))
    cluster.deliver()
    assert cluster.replies[key] is None, "all three old voters hold it, and one of the new"
    cluster.heal()
    cluster.run(2 * SECOND)
    assert isinstance(cluster.replies[key], Answer)
    assert sorted(configuration(cluster.leader()).voters) == sorted((leader.number, 4, 5))


def test_a_configuration_holds_when_it_is_appended_and_goes_with_a_truncation() -> None:
    cluster = started(3, spares=1)
    leader = cluster.leader()
    old = leader.number
    first, second = (number for number in (1, 2, 3) if number != old)
    cluster.cut |= {(old, second), (second, old)}
    for number in (old, second):
        cluster.machines[number].slow_disk = number == old
    cluster.cut |= {(first, old)}  # the follower gets it, and its answer is lost
    cluster.want_members(1, 2, 3, 4)
    cluster.deliver()
    assert configuration(cluster.machines[first]).learners == (4,), "appended, and not committed anywhere"
    assert not cluster.machines[first].node.groups[1].membership.since
    leader.crash()
    cluster.machines[first].crash()
    cluster.changes = 0
    cluster.placed = (1, 2, 3)
    cluster.joined = cluster.members
    cluster.cut.clear()
    leader.slow_disk = False
    leader.start()
    cluster.run(3 * SECOND)
    new = cluster.leader()
    assert new.number in (old, second)
    assert configuration(new).learners == ()
    cluster.machines[first].start()
    assert configuration(cluster.machines[first]).learners == (4,), "it is in its log still"
    cluster.run(3 * SECOND)
    assert configuration(cluster.machines[first]) == configuration(cluster.leader())


def test_a_leader_that_is_changed_out_leads_until_that_counts_and_goes() -> None:
    cluster = started(3, spares=1)
    leader = cluster.leader()
    rest = tuple(number for number in (1, 2, 3, 4) if number != leader.number)
    cluster.want_members(*rest)
    cluster.run(4 * SECOND)
    assert leader.node.groups[1].election.role == "follower"
    assert leader.node.groups[1].left_out
    new = cluster.leader()
    assert new.number in rest
    assert sorted(configuration(new).voters) == sorted(rest)
    key = cluster.request(new, write("a"))
    cluster.run(SECOND)
    assert isinstance(cluster.replies[key], Answer)
    epoch = new.node.groups[1].election.epoch
    cluster.run(5 * SECOND)
    assert cluster.leader().node.groups[1].election.epoch == epoch, "who is out disturbs nobody"


def test_nothing_changes_before_the_no_op_of_the_leader_is_applied() -> None:
    cluster = started(3, spares=1)
    cluster.leader().crash()
    cluster.run(2 * SECOND)
    leader = cluster.leader()
    group = leader.node.groups[1]
    group.apply.applied = group.log.position_at(group.election.noop - 1)
    cluster.want_members(1, 2, 3, 4)
    from quorate.core.single_leader import members

    assert members.wants_others(group)
    assert not members.may_change(group)


def test_a_dead_follower_of_a_sync_database_can_be_taken_out() -> None:
    cluster = started(3, acks="sync")
    dead = next(number for number in (1, 2, 3) if number != cluster.leader().number)
    cluster.machines[dead].crash()
    cluster.run(SECOND)
    key = cluster.request(cluster.leader(), write("a"))
    cluster.run(SECOND)
    assert cluster.replies[key] is None
    cluster.want_members(*(number for number in (1, 2, 3) if number != dead))
    cluster.run(2 * SECOND)
    assert isinstance(cluster.replies[key], Answer), "members change by majority, and then two disks are all"


@pytest.mark.parametrize("acks", ["sync", "sync manual"])
def test_a_sync_database_is_not_left_to_a_dead_replica(acks: str) -> None:
    cluster = started(4, acks=acks)
    leading = (cluster.leader().number, cluster.leader(0).number)
    dead, goes = [number for number in (1, 2, 3, 4) if number not in leading][:2]
    cluster.machines[dead].crash()
    cluster.run(SECOND)
    key = cluster.request(cluster.leader(0), RemoveMember(goes, Token("t", 0)))
    cluster.deliver()
    refused = cluster.replies[key]
    assert isinstance(refused, Refused)
    assert f"n{dead} would hold up its writes" in refused.message


def test_a_dead_node_that_comes_back_hears_that_it_is_out_and_says_so() -> None:
    cluster = started(3, spares=1)
    dead = next(number for number in (1, 2, 3) if number != cluster.leader().number)
    machine = cluster.machines[dead]
    machine.crash()
    rest = tuple(number for number in (1, 2, 3, 4) if number != dead)
    cluster.want_members(*rest)
    cluster.run(3 * SECOND)
    assert sorted(configuration(cluster.leader()).voters) == sorted(rest)
    epoch = cluster.leader().node.groups[1].election.epoch
    machine.start()
    cluster.run(5 * SECOND)
    assert machine.node.removed
    assert machine.node.groups[1].left_out
    assert cluster.leader().node.groups[1].election.epoch == epoch
    key = cluster.request(machine, write("a"))
    cluster.deliver()
    refused = cluster.replies[key]
    assert isinstance(refused, Refused)
    assert (refused.error, refused.retryable) == ("NodeRemoved", True)
    assert machine.node.status().removed


def test_a_majority_is_exchanged_while_writes_go_on() -> None:
    cluster = started(3, spares=5)
    acknowledged: list[str] = []
    for target in ((1, 4, 5), (4, 5, 6), (6, 7, 8)):
        cluster.want_members(*target)
        for number in range(60):
            cluster.run(50_000)
            if leading(cluster):
                token = f"{target}-{number}"
                key = cluster.request(cluster.leader(), write(token))
                cluster.run(50_000)
                if isinstance(cluster.replies[key], Answer):
                    acknowledged.append(token)
                else:
                    assert isinstance(cluster.replies[key], NotLeader | Refused) or cluster.replies[key] is None
        assert sorted(configuration(cluster.leader()).voters) == sorted(target)
    assert len(acknowledged) > 100
    cluster.run(2 * SECOND)
    held = cluster.tokens(cluster.leader().number)
    assert [token for token in held if token in acknowledged] == acknowledged


def test_a_node_that_was_away_while_everybody_was_replaced_hears_the_leader_and_catches_up() -> None:
    """It knows nobody who is there any more: (1) node 3 dies; (2) 4 and 5 take the places of 1 and 2, which are
    switched off; (3) node 3 comes back with the catalog as it was. Only the new ones can tell it who they are."""
    cluster = started(3, spares=2)
    away, as_it_was = cluster.machines[3], cluster.catalog()
    if cluster.leader().number == 3:
        cluster.request(cluster.leader(), Failover("main", "n1"))
        cluster.run(SECOND)
    away.crash()
    cluster.run(2 * SECOND)
    cluster.want_members(1, 3, 4, 5)
    cluster.run(3 * SECOND)
    cluster.want_members(3, 4, 5)
    cluster.run(4 * SECOND)
    for gone in (1, 2):
        cluster.machines[gone].crash()
    cluster.run(2 * SECOND)
    key = cluster.request(cluster.leader(), write("a"))
    cluster.run(SECOND)
    assert isinstance(cluster.replies[key], Answer)
    away.knows = as_it_was
    away.start()
    cluster.run(3 * SECOND)
    leader = cluster.leader()
    assert leader.node.groups[1].progress[3].matched == leader.node.groups[1].log.last.index
    assert away.node.groups[1].leader_is_alive(Now(cluster.now_us, 0))
    assert cluster.tokens(3) == ["a"]


def test_a_learner_that_is_taken_out_before_the_log_named_it_asks_those_that_are_wanted() -> None:
    cluster = started(3, spares=1)
    cluster.isolate(4)
    cluster.want_members(1, 2, 3, 4)
    cluster.run(SECOND)
    assert configuration(cluster.leader()).learners == (4,)
    group = cluster.machines[4].node.groups[1]
    assert not group.voters, "nobody has told it anything"
    cluster.want_members(1, 2, 3)
    cluster.run(SECOND)
    assert configuration(cluster.leader()).learners == ()
    cluster.heal()
    cluster.run(3 * SECOND)
    assert group.left_out


@pytest.mark.parametrize("acks", ["majority", "majority manual"])
def test_a_leader_that_has_left_hears_who_took_over(acks: str) -> None:
    """Nobody sends it the log any more: it would lead on, and keep the writes that it holds, until it gives up; under
    `manual` for ever."""
    cluster = started(3, spares=1, acks=acks)
    leader = cluster.leader()
    group = leader.node.groups[1]
    group.leaving.handed_us = cluster.now_us + 60 * SECOND  # it changes itself out
    cluster.want_members(*(number for number in (1, 2, 3, 4) if number != leader.number))
    for _ in range(2_000):
        if group.handover.to or group.election.role != "leader":
            break
        step(cluster)
    assert group.handover.to, "told to stand"
    assert group.left_out
    cluster.run(100_000)
    new = cluster.leader()
    assert new is not leader
    assert (group.election.role, group.election.leader) == ("follower", new.number)


def test_while_nobody_leads_a_change_that_nobody_saw_end_counts_as_under_way() -> None:
    """Under `manual` nobody takes the place of the leader that dies in the midst of it."""
    cluster = started(3, spares=1, acks="majority manual")
    leader = cluster.leader()
    cluster.want_members(1, 2, 3, 4)
    assert step_until_joint(cluster) is leader
    leader.crash()
    cluster.run(3 * SECOND)
    rest = [machine.node for machine in cluster.machines.values() if machine is not leader]
    catalog = cluster.leader(0)
    assert "leader" not in [node.groups[1].election.role for node in rest]
    assert [node.liveness.settled for node in rest] == [-1, -1, -1]
    assert roster.members_change(catalog.node)
    key = cluster.request(catalog, AddMember(9, "n9", "host:9", Token("t", 0)))
    cluster.deliver()
    refused = cluster.replies[key]
    assert isinstance(refused, Refused)
    assert refused.error == "ChangeUnderWay"
    leader.start()
    cluster.run(SECOND)
    cluster.request(leader, Failover("main", f"n{leader.number}"))
    cluster.run(3 * SECOND)
    assert sorted(configuration(cluster.leader()).voters) == [1, 2, 3, 4]
    assert [machine.node.liveness.settled for machine in cluster.machines.values()] == [cluster.changes] * 4
    assert not roster.members_change(cluster.leader(0).node)


def test_a_removed_node_that_speaks_once_more_and_dies_is_forgotten() -> None:
    cluster = started(3)
    gone = next(number for number in (1, 2, 3) if number not in (cluster.leader().number, cluster.leader(0).number))
    machine, rest = cluster.machines[gone], [number for number in (1, 2, 3) if number != gone]
    cluster.want_members(*rest)
    cluster.run(3 * SECOND)
    machine.crash()
    machine.start()
    cluster.run(SECOND)
    assert machine.node.removed
    assert any(gone in cluster.machines[number].links for number in rest), "it was told"
    machine.crash()
    cluster.run(3 * SECOND)
    for number in rest:
        assert gone not in cluster.machines[number].node.liveness.peers
        assert gone not in cluster.machines[number].links


@pytest.mark.parametrize("which", ["rules", "members"])
def test_a_change_that_is_committed_already_keeps_nobody(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = started(3)
    group = cluster.leader().node.groups[1]
    counts: list[int] = []
    count = commit.commit_to

    def at_most_ten(group: Group, index: int) -> None:
        counts.append(index)
        assert len(counts) <= 10, "it does not end"
        count(group, index)

    monkeypatch.setattr(commit, "commit_to", at_most_ten)
    if which == "rules":
        group.rules.coming.insert(0, (1, group.rules.committed))
    else:
        group.membership.coming.insert(0, (1, group.configuration))
    assert 0 < group.turns_at <= group.commit.committed
    commit.advance(group)
    assert not group.turns_at
    key = cluster.request(cluster.leader(), write("a"))
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)


def test_the_outcome_of_a_change_of_members_is_not_said_to_be_never() -> None:
    cluster = started(3)
    catalog = cluster.leader(0)
    last = catalog.node.groups[0].log.last
    key = cluster.request(catalog, Outcome(CATALOG_DATABASE, Token("t", 0)))
    cluster.deliver()
    refused = cluster.replies[key]
    assert isinstance(refused, Refused)
    assert refused.error == "NotSupportedError"
    assert "quorate member list" in refused.hint
    assert catalog.node.groups[0].log.last == last, "and nothing was cancelled"
