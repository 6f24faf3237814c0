"""Elections that an etcd permits, one claim per test; the test is the etcd."""

from quorate.core.kernel import CatalogRead, Effect, Event
from quorate.core.permits import AskPermit, Denied, DropPermit, Permitted, PermitUnavailable
from quorate.core.requests import AlterDatabase, Answer, Failover, Refused
from quorate.core.statements import Token
from tests.core.harness import Cluster, Machine, write

SECOND = 1_000_000


class Etcd:
    """Answers every question for a permit as the test says, and remembers what was asked and given back."""

    def __init__(self, cluster: Cluster) -> None:
        self.asked: list[tuple[int, AskPermit]] = []
        self.dropped: list[tuple[int, int]] = []
        self.revision = 100
        self.holder = 0
        self.away = False
        self.silent = False
        for machine in cluster.machines.values():
            self.join(machine)

    def join(self, machine: Machine) -> None:
        perform = machine.perform

        def with_permits(effect: Effect) -> object:
            if isinstance(effect, AskPermit):
                self.asked.append((machine.number, effect))
                return () if self.silent else (self.answer(machine.number, effect),)
            if isinstance(effect, DropPermit):
                self.dropped.append((machine.number, effect.epoch))
                return ()
            return perform(effect)

        machine.perform = with_permits  # type: ignore[method-assign,assignment]

    def answer(self, node: int, effect: AskPermit) -> Event:
        if self.away:
            return PermitUnavailable(effect.group, effect.number, "no answer")
        if self.holder not in (0, node):
            return Denied(effect.group, effect.number, self.holder)
        self.revision += 1
        return Permitted(effect.group, effect.number, self.revision)


def started(acks: str = "majority etcd") -> tuple[Cluster, Etcd, Machine, list[Machine]]:
    """A cluster at rest, its etcd, its leader (the first, who needs no permit), and the others."""
    cluster = Cluster(3, acks)
    etcd = Etcd(cluster)
    cluster.run(2 * SECOND)
    leader = cluster.leader()
    assert leader.node.groups[1].rules.committed.text == acks
    assert etcd.asked == []
    return cluster, etcd, leader, [machine for machine in cluster.machines.values() if machine is not leader]


def leaders(cluster: Cluster) -> list[int]:
    return [
        each.number
        for each in cluster.machines.values()
        if each.alive and each.node.groups[1].election.role == "leader"
    ]


def epoch(machine: Machine) -> int:
    return machine.node.groups[1].election.epoch


def why(machine: Machine) -> str:
    return next(group.permit for group in machine.node.status().groups if group.group == 1)


def test_the_next_leader_has_a_permit_and_leads_the_epoch_that_it_is_for() -> None:
    cluster, etcd, leader, _ = started()
    leader.crash()
    cluster.run(3 * SECOND)
    (elected,) = leaders(cluster)
    assert etcd.asked[-1][0] == elected
    assert epoch(cluster.machines[elected]) == etcd.revision
    key = cluster.request(cluster.machines[elected], write("a"))
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)


def test_nobody_stands_while_etcd_is_away_and_somebody_does_when_it_is_back() -> None:
    cluster, etcd, leader, others = started()
    etcd.away = True
    leader.crash()
    cluster.run(4 * SECOND)
    assert leaders(cluster) == []
    assert any(why(each) == "etcd gives no permit: no answer" for each in others)
    etcd.away = False
    cluster.run(2 * SECOND)
    (elected,) = leaders(cluster)
    assert why(cluster.machines[elected]) == ""


def test_a_leader_goes_on_while_etcd_is_away() -> None:
    cluster, etcd, leader, _ = started()
    etcd.away = True
    cluster.run(4 * SECOND)
    key = cluster.request(leader, write("a"))
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)
    assert leaders(cluster) == [leader.number]


def test_who_is_denied_asks_again_and_says_who_has_the_permit() -> None:
    cluster, etcd, leader, others = started()
    etcd.holder = leader.number
    leader.crash()
    cluster.run(3 * SECOND)
    assert leaders(cluster) == []
    assert len(etcd.asked) > 1
    assert any(why(each) == f"n{leader.number} has the permit still" for each in others)
    etcd.holder = 0
    cluster.run(2 * SECOND)
    assert len(leaders(cluster)) == 1


def test_nobody_asks_for_a_permit_whom_a_majority_would_not_vote_for() -> None:
    cluster, etcd, leader, (other, third) = started()
    leader.crash()
    third.crash()
    cluster.run(4 * SECOND)
    assert other.alive
    assert etcd.asked == []


def left_alone_asking() -> tuple[Cluster, Etcd, Machine, AskPermit]:
    """The leader is dead; another has asked for the permit, and whoever would have voted for it dies too: the cluster,
    its etcd, who asked, and what."""
    cluster, etcd, leader, (other, third) = started()
    etcd.silent = True
    leader.crash()
    cluster.run(1_500_000)
    number, asked = etcd.asked[-1]
    candidate = cluster.machines[number]
    (other if candidate is third else third).crash()
    return cluster, etcd, candidate, asked


def test_a_permit_does_not_replace_votes() -> None:
    cluster, etcd, candidate, asked = left_alone_asking()
    etcd.revision += 1
    candidate.feed(Permitted(asked.group, asked.number, etcd.revision))
    cluster.run(SECOND // 10)
    assert leaders(cluster) == []


def test_who_has_a_permit_and_is_not_elected_gives_it_back() -> None:
    cluster, etcd, candidate, asked = left_alone_asking()
    candidate.feed(Permitted(asked.group, asked.number, 500))
    cluster.deliver()
    assert etcd.dropped == [], "it stands"
    cluster.run(SECOND)
    assert etcd.dropped == [(candidate.number, 500)], "it may never win, and others must be able to stand"


def test_a_permit_for_an_epoch_that_has_passed_is_asked_for_anew() -> None:
    cluster, etcd, leader, _ = started()
    etcd.revision = epoch(leader) - 2
    leader.crash()
    cluster.run(3 * SECOND)
    (elected,) = leaders(cluster)
    asked = [number for number, _ in etcd.asked]
    assert asked[:3] == [asked[0]] * 3, "the first two were too low"
    assert epoch(cluster.machines[elected]) == etcd.revision > epoch(leader)


def test_a_permit_that_comes_too_late_is_given_back() -> None:
    cluster, etcd, leader, _ = started()
    etcd.silent = True
    leader.crash()
    cluster.run(1_500_000)
    number, asked = etcd.asked[-1]
    candidate = cluster.machines[number]
    other = next(each for each in cluster.machines.values() if each.alive and each is not candidate)
    cluster.request(other, Failover("main", f"n{other.number}"))
    cluster.run(SECOND)
    (elected,) = leaders(cluster)
    assert elected == other.number
    candidate.feed(Permitted(asked.group, asked.number, 5_000))
    assert etcd.dropped[-1] == (number, 5_000)
    assert leaders(cluster) == [elected]


def test_a_deposed_leader_gives_its_permit_back_and_follows() -> None:
    cluster, etcd, leader, _ = started()
    leader.crash()
    cluster.run(3 * SECOND)
    (elected,) = leaders(cluster)
    old = epoch(cluster.machines[elected])
    cluster.isolate(elected)
    leader.start()
    cluster.run(4 * SECOND)
    assert (elected, old) in etcd.dropped, "a majority was silent"
    (newer,) = leaders(cluster)
    assert newer != elected
    assert epoch(cluster.machines[newer]) > old


def test_who_is_told_to_lead_needs_no_permit() -> None:
    cluster, etcd, leader, (other, third) = started()
    etcd.away = True
    key = cluster.request(leader, Failover("main", f"n{other.number}"))
    cluster.run(SECOND)
    assert isinstance(cluster.replies[key], Answer)
    assert leaders(cluster) == [other.number]
    other.crash()
    cluster.run(3 * SECOND)
    assert leaders(cluster) == []
    key = cluster.request(third, Failover("main", f"n{third.number}"))
    cluster.deliver()
    assert isinstance(cluster.replies[key], Answer)
    assert leaders(cluster) == [third.number]


def test_while_a_change_to_etcd_is_not_committed_a_permit_is_needed() -> None:
    cluster, etcd, leader, others = started("majority")
    cluster.acks = "majority etcd"
    for each in others:
        cluster.isolate(each.number)
    leader.feed(CatalogRead(cluster.catalog()))
    cluster.run(SECOND // 5)
    assert leader.node.groups[1].rules.by_permit
    assert etcd.asked == []


def test_a_cluster_whose_nodes_know_no_etcd_refuses_it() -> None:
    cluster, _, _, _ = started("majority")
    catalog = next(each for each in cluster.machines.values() if each.node.groups[0].election.role == "leader")
    key = cluster.request(catalog, AlterDatabase("main", {"failover": "etcd"}, Token("alter", 0)))
    refused = cluster.replies[key]
    assert isinstance(refused, Refused)
    assert refused.message == "failover etcd needs an etcd, and none is configured"
    assert 'etcd = "HOST:PORT"' in refused.hint
