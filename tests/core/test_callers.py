"""Requests that arrive together: each gets what it would get alone, and the writes among them become one batch."""

from typing import Any

from quorate.core.calls import Request, Requests
from quorate.core.executing import Execute
from quorate.core.requests import Answer, Failover, NotLeader, Outcome, Refused, Run, Status, StatusReport
from quorate.core.row_requests import INSERT, ReadRow, WriteRow
from quorate.core.statements import Statement, Token
from tests.core.harness import Cluster, Machine, write

SECOND = 1_000_000
READ = Run("main", (Statement("SELECT 1"),))
BARE = Run("main", (Statement("INSERT INTO t VALUES (1)"),))
"""A write without a token."""


def started(nodes: int = 3) -> tuple[Cluster, Machine]:
    cluster = Cluster(nodes)
    cluster.run(2 * SECOND)
    return cluster, cluster.leader()


def together(cluster: Cluster, machine: Machine, *bodies: Any, **times: Any) -> list[tuple[int, int]]:
    """Hand these over as one event; where their answers will be."""
    requests = []
    for body in bodies:
        cluster.requests += 1
        cluster.replies[machine.number, cluster.requests] = None
        requests.append(Request(cluster.requests, body, **times))
    machine.feed(Requests(tuple(requests)))
    return [(machine.number, request.id) for request in requests]


def executed(machine: Machine) -> list[int]:
    """From now on: how many requests each batch has."""
    sizes: list[int] = []
    perform = machine.PERFORM[Execute]

    def note(host: Machine, effect: Execute) -> Any:
        sizes.append(len(effect.requests))
        return perform(host, effect)

    machine.PERFORM = {**machine.PERFORM, Execute: note}
    return sizes


def test_writes_that_arrive_together_are_one_batch_in_their_order() -> None:
    cluster, leader = started()
    sizes = executed(leader)
    keys = together(cluster, leader, *(write(f"t{number}") for number in range(20)))
    cluster.run(SECOND)
    assert sizes == [20]
    assert all(isinstance(cluster.replies[key], Answer) for key in keys)
    assert cluster.tokens(leader.number) == [f"t{number}" for number in range(20)]


def test_each_of_a_mixture_gets_what_it_gets_alone() -> None:
    cluster, leader = started()
    catalog = Run("quorate", (Statement("DELETE FROM members"),), token=Token("c", 0))
    mixture = (
        write("a"),
        READ,
        BARE,
        Run("nowhere", READ.statements),
        catalog,
        Status(),
        write("b"),
        Outcome("main", Token("x", 0)),
    )
    answers = [cluster.replies[key] for key in _settled(cluster, together(cluster, leader, *mixture))]
    kinds = [type(answer) for answer in answers]
    assert kinds[:1] + kinds[2:] == [Answer, Refused, kinds[3], Refused, StatusReport, Answer, Answer]
    assert kinds[3] in (NotLeader, Refused)
    assert answers[1] is not None
    assert [answers[2].error, answers[4].error] == ["InterfaceError", "NotSupportedError"]
    alone = [cluster.replies[_settled(cluster, [cluster.request(leader, body)])[0]] for body in mixture]
    assert [type(answer) for answer in alone] == kinds


def _settled(cluster: Cluster, keys: list[tuple[int, int]]) -> list[tuple[int, int]]:
    cluster.run(SECOND)
    return keys


def test_those_that_have_waited_for_too_long_are_refused_and_the_others_are_not() -> None:
    cluster, leader = started()
    late = together(cluster, leader, write("late"), READ, since_us=cluster.now_us - 3 * SECOND // 2)
    fresh = together(cluster, leader, write("fresh"))
    cluster.run(SECOND)
    for key in late:
        assert isinstance(cluster.replies[key], Refused)
        assert "behind with its requests" in cluster.replies[key].message
    assert isinstance(cluster.replies[fresh[0]], Answer)
    assert cluster.tokens(leader.number) == ["fresh"]


def test_a_follower_sends_every_one_to_the_leader() -> None:
    cluster, leader = started()
    follower = next(each for each in cluster.machines.values() if each is not leader)
    keys = together(cluster, follower, write("a"), write("b"))
    assert all(isinstance(cluster.replies[key], NotLeader) for key in keys)


def test_writes_around_a_failover_that_arrives_with_them_are_told_the_truth() -> None:
    cluster, leader = started()
    other = next(each for each in cluster.machines.values() if each is not leader)
    name = cluster.everybody[other.number].name
    keys = together(cluster, leader, write("a"), Failover("main", name), write("b"))
    cluster.run(3 * SECOND)
    assert cluster.leader() is other
    assert all(cluster.replies[key] is not None for key in keys)
    answers = [cluster.replies[key] for key in (keys[0], keys[2])]
    assert all(isinstance(answer, Answer | NotLeader) for answer in answers)
    done = [name for name, answer in zip("ab", answers, strict=True) if isinstance(answer, Answer)]
    assert cluster.tokens(other.number) == done


def test_what_has_no_time_of_arrival_says_nothing_of_how_long_others_wait() -> None:
    """A node that is behind asks itself for its status, and would take that for an empty queue."""
    _, leader = started()
    before = leader.node.admission.empty_us
    leader.feed(Request(1_000, Status()))
    assert leader.node.admission.empty_us == before


def test_single_rows_by_their_keys_are_for_databases_without_a_leader() -> None:
    cluster, leader = started()
    rows = (WriteRow("main", "t", b"k", INSERT, ((0, 1),)), ReadRow("main", "t", b"k"), ReadRow("quorate", "t", b"k"))
    for key in together(cluster, leader, *rows):
        refused = cluster.replies[key]
        assert isinstance(refused, Refused)
        assert refused.error == "NotSupportedError"
