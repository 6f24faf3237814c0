"""When the caller of a transaction's statement hears what it gave."""

from typing import Any

import pytest

from quorate.core.requests import Answer, NotLeader, Refused
from quorate.core.scripts import Pin, Script, Step
from quorate.core.statements import Statement, Token
from tests.core.harness import Cluster, Machine, write
from tests.core.single_leader import test_acks
from tests.core.single_leader.test_ahead import finish, slow
from tests.core.single_leader.test_group import SECOND, started

CHANGE = Step(Statement("UPDATE t SET a = 1"))
SEEN = Step(Statement("UPDATE t SET a = 1"), b"digest", Pin(1, 2))
READ = Step(Statement("SELECT a FROM t"))


def evaluation(*steps: Step) -> Script:
    return Script("main", steps or (CHANGE,))


def answers(cluster: Cluster, leader: Machine, *bodies: Any) -> list[Any]:
    keys = [cluster.request(leader, body) for body in bodies]
    cluster.deliver()
    return [cluster.replies[key] for key in keys]


def test_a_node_that_is_cut_off_answers_nobody() -> None:
    cluster = started()
    leader = cluster.leader()
    cluster.isolate(leader.number)
    key = cluster.request(leader, evaluation())
    cluster.deliver()
    assert cluster.replies[key] is None, "another may lead by now, and have counted writes"
    cluster.run(2 * SECOND)
    assert isinstance(cluster.replies[key], NotLeader)


def test_an_evaluation_appends_nothing() -> None:
    cluster = started()
    leader = cluster.leader()
    before = leader.node.groups[1].log.last
    (answer,) = answers(cluster, leader, evaluation())
    assert isinstance(answer, Answer)
    assert leader.node.groups[1].log.last == before


def test_what_it_ran_on_is_counted_and_applied_first() -> None:
    cluster = started()
    leader = cluster.leader()
    slow(cluster, leader)
    first = cluster.request(leader, write("a"))
    cluster.deliver()
    second = cluster.request(leader, evaluation())
    cluster.deliver()
    assert leader.node.groups[1].writes.batch is None, "both have run"
    assert [cluster.replies[key] for key in (first, second)] == [None, None]
    finish(cluster)
    answer = cluster.replies[second]
    assert isinstance(answer, Answer)
    assert answer.index >= cluster.replies[first].index
    assert "a" in cluster.tokens(leader.number)


def test_what_it_ran_on_is_lost_with_its_leader() -> None:
    cluster = started()
    leader = cluster.leader()
    cluster.isolate(leader.number)
    cluster.request(leader, write("a"))
    key = cluster.request(leader, evaluation())
    cluster.run(2 * SECOND)
    cluster.heal()
    cluster.run(SECOND)
    assert isinstance(cluster.replies[key], NotLeader)


def test_it_shares_a_batch_with_writes() -> None:
    cluster = started()
    leader = cluster.leader()
    slow(cluster, leader)
    group = leader.node.groups[1]
    for token in "ab":  # as many as may be under way
        cluster.request(leader, write(token))
        cluster.deliver()
    batches = group.writes.batches
    keys = [cluster.request(leader, body) for body in (evaluation(), write("c"), evaluation())]
    finish(cluster)
    cluster.run(SECOND)
    assert group.writes.batches == batches + 1
    assert all(isinstance(cluster.replies[key], Answer) for key in keys)


def test_without_linearizable_reads_no_round_is_waited_for() -> None:
    cluster = test_acks.started("async")
    leader = cluster.leader()
    cluster.isolate(leader.number)
    (answer,) = answers(cluster, leader, evaluation())
    assert isinstance(answer, Answer)


def test_one_that_only_reads_runs_where_reads_do() -> None:
    cluster = started()
    follower = next(each for each in cluster.machines.values() if each is not cluster.leader())
    key = cluster.request(follower, evaluation(READ, Step(Statement('SAVEPOINT "a"'))))
    cluster.deliver()
    assert cluster.replies[key] == []
    key = cluster.request(follower, evaluation(READ, CHANGE))
    cluster.deliver()
    assert isinstance(cluster.replies[key], NotLeader)


@pytest.mark.parametrize(
    "script",
    [
        Script("main", ()),
        Script("main", (SEEN, CHANGE), commit=True, token=Token("t", 0)),
        Script("main", (SEEN,), commit=True),
        Script("quorate", (CHANGE,)),
    ],
)
def test_refused(script: Script) -> None:
    cluster = started()
    leader = cluster.leader(0)
    (answer,) = answers(cluster, leader, script)
    assert isinstance(answer, Refused), answer


def test_a_commit_is_a_write_like_any_other() -> None:
    cluster = started()
    leader = cluster.leader()
    (answer,) = answers(cluster, leader, Script("main", (SEEN,), commit=True, token=Token("t", 0)))
    assert isinstance(answer, Answer)
    cluster.run(SECOND)
    assert cluster.tokens(leader.number) == ["t"]
