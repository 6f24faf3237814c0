"""Writes that take long, hand-driven: in which order things run, who is told what, and when a write ends."""

from collections.abc import Iterable

import pytest

from quorate.core import kernel
from quorate.core.calls import Request, Tell
from quorate.core.executing import AT_ITS_END, INTERRUPTED, TOO_LONG, CallerLeft, Execute, Stopped
from quorate.core.kernel import Rollback
from quorate.core.requests import Answer, NotLeader, Refused, Run, Running
from quorate.core.statements import Statement, Token
from tests.core.harness import Cluster, Machine, write
from tests.core.single_leader.test_group import SECOND, read, started

LONG = "INSERT INTO t SELECT * FROM large"


def long(token: str) -> Run:
    return Run("main", (Statement(LONG),), token=Token(token, 0))


class Storage:
    """Runs what is quick, stops what is not, and keeps what runs alone until the test lets it end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.executed: list[Execute] = []
        self.alone: list[Execute] = []
        self.told: list[int] = []
        self.undone = 0
        self._run = Machine.PERFORM[Execute]
        monkeypatch.setitem(Machine.PERFORM, Execute, self._execute)
        monkeypatch.setitem(Machine.PERFORM, Tell, self._tell)
        monkeypatch.setitem(Machine.PERFORM, Rollback, self._rollback)

    def _execute(self, machine: Machine, effect: Execute) -> Iterable[kernel.Event]:
        self.executed.append(effect)
        if effect.alone:
            self.alone.append(effect)
            return ()
        for position, request in enumerate(effect.requests):
            if isinstance(request, Run) and request.statements[0].sql == LONG:
                return (Stopped(effect.group, effect.batch, position, TOO_LONG),)
        return self._run(machine, effect)

    def _tell(self, _machine: Machine, effect: Tell) -> Iterable[kernel.Event]:
        assert effect.body == Running()
        self.told.append(effect.id)
        return ()

    def _rollback(self, _machine: Machine, _effect: Rollback) -> Iterable[kernel.Event]:
        self.undone += 1
        return ()

    def finish(self, cluster: Cluster, leader: Machine) -> None:
        for event in self._run(leader, self.alone.pop()):
            leader.feed(event)
        cluster.deliver()


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Storage:
    return Storage(monkeypatch)


def tokens(effect: Execute) -> list[str]:
    return [request.token.id for request in effect.requests]


def test_what_takes_long_runs_alone_behind_the_others_of_its_batch(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    before = len(storage.executed)
    with_it = [
        cluster.request(leader, write("a")),
        cluster.request(leader, long("l")),
        cluster.request(leader, write("b")),
    ]
    cluster.deliver()
    cluster.run(SECOND // 2)
    assert [tokens(effect) for effect in storage.executed[before:]][-2:] == [["a", "b"], ["l"]]
    assert [effect.alone for effect in storage.executed[-2:]] == [False, True]
    assert storage.told == [with_it[1][1]]
    assert isinstance(cluster.replies[with_it[0]], Answer)
    assert cluster.replies[with_it[1]] is None
    assert cluster.tokens(leader.number) == ["a", "b"], "what was executed before is committed first"
    seen = cluster.request(leader, read())
    later = cluster.request(leader, write("c"))
    cluster.deliver()
    cluster.run(SECOND // 2)
    assert cluster.replies[seen] == ["a", "b"], "reads do not wait for it"
    assert cluster.replies[later] is None, "the other writes of its database do"
    storage.finish(cluster, leader)
    cluster.run(SECOND // 2)
    assert isinstance(cluster.replies[with_it[1]], Answer)
    assert isinstance(cluster.replies[later], Answer)


def test_what_runs_for_a_caller_that_has_left_is_undone_and_the_next_begins(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    gone, other = cluster.request(leader, long("gone")), cluster.request(leader, write("other"))
    cluster.deliver()
    cluster.run(SECOND // 10)
    undone = storage.undone
    leader.feed(CallerLeft(1, other[1]))
    assert storage.undone == undone, "that one does not run beside anything"
    leader.feed(CallerLeft(1, gone[1]))
    cluster.run(SECOND // 10)
    assert storage.undone == undone + 1
    assert isinstance(cluster.replies[other], Answer)
    assert isinstance(cluster.replies[gone], Refused)
    for event in storage._run(leader, storage.alone.pop()):  # it was done before it heard that it is undone
        leader.feed(event)
    leader.feed(CallerLeft(1, gone[1]))
    cluster.run(SECOND)
    assert "gone" not in cluster.tokens(leader.number)


def test_what_is_logged_is_done_though_its_caller_has_left(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    key = cluster.request(leader, long("l"))
    cluster.deliver()
    cluster.run(SECOND // 10)
    for event in storage._run(leader, storage.alone.pop()):
        leader.feed(event)
    undone = storage.undone
    leader.feed(CallerLeft(1, key[1]))
    cluster.run(SECOND)
    assert storage.undone == undone
    assert cluster.tokens(leader.number) == ["l"]


def test_who_waits_behind_one_is_told_in_time_that_nothing_of_his_has_begun(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    cluster.request(leader, long("endless"))
    cluster.deliver()
    cluster.run(SECOND // 10)
    cluster.requests += 1
    key = (leader.number, cluster.requests)
    cluster.replies[key] = None
    now_us = cluster.now_us
    leader.feed(Request(key[1], write("behind"), now_us, now_us + 2 * SECOND))
    patient = cluster.request(leader, write("patient"))
    cluster.run(SECOND * 3 // 2)
    assert cluster.replies[key] is None
    cluster.run(SECOND * 2 // 5)
    refused = cluster.replies[key]
    assert isinstance(refused, Refused)
    assert (refused.error, refused.retryable) == ("StatementTimeout", False)
    assert "behind" not in [request.token.id for effect in storage.executed for request in effect.requests]
    storage.finish(cluster, leader)
    cluster.run(SECOND)
    assert isinstance(cluster.replies[patient], Answer)
    assert cluster.tokens(leader.number) == ["endless", "patient"], "and it never begins"


def test_a_text_that_took_long_is_not_tried_again_until_it_is_quick(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    cluster.request(leader, long("l"))
    cluster.deliver()
    cluster.run(SECOND // 10)
    storage.finish(cluster, leader)
    cluster.request(leader, long("m"))
    cluster.deliver()
    cluster.run(SECOND // 2)
    assert [effect.alone for effect in storage.executed if tokens(effect) == ["m"]] == [True]
    leader.node.groups[1].long_texts.clear()
    storage.finish(cluster, leader)
    cluster.request(leader, long("n"))
    cluster.deliver()
    cluster.run(SECOND // 2)
    assert [effect.alone for effect in storage.executed if tokens(effect) == ["n"]] == [False, True]


def test_a_write_that_is_ended_is_refused_and_the_next_one_runs(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    ended = cluster.request(leader, long("l"))
    cluster.deliver()
    cluster.run(SECOND // 2)
    effect = storage.alone.pop()
    assert 0 < effect.ends_us <= cluster.now_us + leader.node.settings.write_limit_us
    leader.feed(Stopped(effect.group, effect.batch, 0, AT_ITS_END))
    refusal = cluster.replies[ended]
    assert isinstance(refusal, Refused)
    assert (refusal.error, refusal.retryable) == ("StatementTimeout", False)
    after = cluster.request(leader, write("a"))
    cluster.deliver()
    assert isinstance(cluster.replies[after], Answer)


def test_nothing_is_put_on_top_of_what_took_long(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    cluster.request(leader, long("l"))
    cluster.deliver()
    cluster.run(SECOND // 10)
    for machine in cluster.machines.values():
        machine.slow_disk = machine is not leader
    storage.finish(cluster, leader)
    cluster.request(leader, write("a"))
    cluster.deliver()
    assert tokens(storage.executed[-1]) == ["l"], "stopping what is on top would undo it, too"
    for machine in cluster.machines.values():
        machine.slow_disk = False
        machine.finish_writing()
    cluster.run(SECOND // 10)
    assert tokens(storage.executed[-1]) == ["a"]
    assert cluster.tokens(leader.number)[:1] == ["l"]


def test_it_ends_a_little_before_its_callers_time_is_over(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    for number, seconds in ((900, 8), (901, 1)):
        until_us = cluster.now_us + seconds * SECOND
        leader.feed(Request(number, long(f"l{number}"), cluster.now_us, until_us))
        cluster.deliver()
        while not storage.alone:
            cluster.run(SECOND // 100)
        assert until_us - 200_000 <= storage.alone[0].ends_us < until_us
        assert cluster.now_us < storage.alone[0].ends_us
        storage.finish(cluster, leader)


def test_a_node_that_is_to_stop_ends_it_and_sends_its_caller_elsewhere(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    sent = cluster.request(leader, long("l"))
    cluster.deliver()
    cluster.run(SECOND // 2)
    undone = storage.undone
    leader.feed(kernel.Drain())
    assert storage.undone == undone + 1
    assert isinstance(cluster.replies[sent], NotLeader)
    late = storage.alone.pop()
    leader.feed(Stopped(late.group, late.batch, 0, INTERRUPTED))
    cluster.run(2 * SECOND)
    assert cluster.leader() is not leader
