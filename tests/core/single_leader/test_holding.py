"""A transaction that holds the writer, hand-driven: who runs when, who waits for how long, and when it ends."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from quorate.core import kernel
from quorate.core.calls import Request, Tell
from quorate.core.executing import AT_ITS_END, TOO_LONG, Execute, Executed, Stopped
from quorate.core.kernel import Rollback
from quorate.core.requests import Answer, NotLeader, Refused
from quorate.core.scripts import Evaluated, Hold, HoldEnded, LetGo, Pin, Script, Step
from quorate.core.statements import Result, Statement, Token
from quorate.wire.answers import read_script
from tests.core.harness import SETTINGS, Cluster, Machine, write
from tests.core.single_leader.test_acks import want
from tests.core.single_leader.test_group import SECOND, started

NEW = Step(Statement("SELECT 1"))
RAN = Step(Statement("SELECT 1"), b"digest", Pin(1, 2))
IDLE_US, HOLD_US = SETTINGS.hold_idle_us, SETTINGS.hold_us


class Storage:
    """Keeps what holds the writer open, and notes what runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.executed: list[Execute] = []
        self.undone = 0
        self.fails = False
        self.slow = False
        """The next one that runs does so until `finish`."""
        self._running: tuple[Any, ...] = ()
        self.stops = ""
        """Why it stops the next one that runs."""
        self._run = Machine.PERFORM[Execute]
        monkeypatch.setitem(Machine.PERFORM, Execute, self._execute)
        monkeypatch.setitem(Machine.PERFORM, Rollback, self._rollback)

    def _execute(self, machine: Machine, effect: Execute) -> Iterable[kernel.Event]:
        self.executed.append(effect)
        if self.stops:
            why, self.stops = self.stops, ""
            return (Stopped(effect.group, effect.batch, 0, why),)
        (event,) = self._run(machine, effect)
        assert isinstance(event, Executed)
        first = effect.requests[0]
        if not isinstance(first, Script) or first.hold is None or first.commit:
            return (event,)
        assert effect.alone
        assert len(effect.requests) == 1
        ticket = "" if self.fails else first.hold.next
        found = Evaluated((Result((), [], -1),), (None,), (b"digest",), (Pin(1, 2),), ticket=ticket)
        told = (msgspec.structs.replace(event, outcomes=(msgspec.msgpack.encode(found),), ticket=ticket),)
        if not self.slow:
            return told
        self.slow, self._running = False, told
        return ()

    def finish(self, cluster: Cluster, leader: Machine) -> None:
        """What runs is done."""
        for event in self._running:
            leader.feed(event)
        self._running = ()
        cluster.deliver()

    def _rollback(self, _machine: Machine, _effect: Rollback) -> Iterable[kernel.Event]:
        self.undone += 1
        return ()

    def tokens(self) -> list[str]:
        """Of what has run, in order; a holder's statements are dots."""
        return ["." if each.token is None else each.token.id for batch in self.executed for each in batch.requests]


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Storage:
    return Storage(monkeypatch)


class Holder:
    """One caller."""

    def __init__(self, cluster: Cluster, leader: Machine, name: str = "holder") -> None:
        self.cluster, self.leader, self.name = cluster, leader, name
        self.ticket = ""

    def request(self, *, commit: str = "") -> Script:
        """Its next one."""
        token = Token(commit, 0) if commit else None
        steps = (RAN,) if commit else (NEW,)
        return Script("main", steps, commit=bool(commit), token=token, hold=Hold(self.name, self.ticket))

    def send(self, *, commit: str = "") -> tuple[int, int]:
        key = self.cluster.request(self.leader, self.request(commit=commit))
        self.cluster.deliver()
        return key

    def heard(self, key: tuple[int, int]) -> Any:
        found = self.cluster.replies[key]
        if isinstance(found, Answer):
            found = read_script(found.outcome)
            if isinstance(found, Evaluated):
                self.ticket = found.ticket
        return found

    def step(self) -> Any:
        return self.heard(self.send())


def submit(cluster: Cluster, leader: Machine, token: str) -> tuple[int, int]:
    key = cluster.request(leader, write(token))
    cluster.deliver()
    return key


def test_others_wait_until_it_is_committed(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    tx = Holder(cluster, leader)
    assert tx.step().ticket
    waiting = submit(cluster, leader, "other")
    assert cluster.replies[waiting] is None
    assert tx.step().ticket == tx.ticket
    commit = tx.send(commit="tx")
    cluster.run(SECOND)
    assert isinstance(cluster.replies[commit], Answer)
    assert isinstance(cluster.replies[waiting], Answer)
    assert storage.tokens()[-4:] == [".", ".", "tx", "other"]
    assert cluster.tokens(leader.number)[-2:] == ["tx", "other"]


def test_what_is_open_is_committed_first(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    tx = Holder(cluster, leader)
    submit(cluster, leader, "before")
    key = tx.send()
    cluster.run(SECOND // 10)
    assert isinstance(tx.heard(key), Evaluated)
    group = leader.node.groups[1]
    assert group.holding.name
    assert not group.settling.stack
    assert cluster.tokens(leader.number)[-1] == "before"


def test_it_ends_when_it_is_idle_and_others_wait(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    tx = Holder(cluster, leader)
    tx.step()
    cluster.run(10 * HOLD_US)
    assert leader.node.groups[1].holding.name, "nobody waits"
    waiting = submit(cluster, leader, "other")
    cluster.run(2 * SETTINGS.heartbeat_us)
    assert isinstance(cluster.replies[waiting], Answer)
    assert storage.undone == 1
    assert tx.step() == HoldEnded()


def test_it_ends_when_it_has_lasted_for_too_long_and_others_wait(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    tx = Holder(cluster, leader)
    tx.step()
    waiting = submit(cluster, leader, "other")
    began_us = cluster.now_us
    while cluster.replies[waiting] is None:
        cluster.run(IDLE_US // 4)
        tx.step()
        assert cluster.now_us - began_us < 2 * HOLD_US
    assert cluster.now_us - began_us > HOLD_US // 2
    assert isinstance(cluster.replies[waiting], Answer)


def test_those_who_waited_go_first_and_for_as_long(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    first, second = Holder(cluster, leader), Holder(cluster, leader, "second")
    first.step()
    asked = second.send()
    submit(cluster, leader, "a")
    cluster.run(IDLE_US // 2)
    first.send(commit="first")
    number = 0
    began_us = cluster.now_us
    while cluster.replies[asked] is None:
        number += 1
        submit(cluster, leader, f"w{number}")
        submit(cluster, leader, f"v{number}")
        cluster.now_us += 1_000
        assert cluster.now_us - began_us < 2 * IDLE_US
    done = [token for token in storage.tokens() if token != "."]
    assert done[-2 * number - 2 :][:2] == ["first", "a"]


def test_a_second_one_waits_for_nothing_else_when_nobody_waits(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    first, second = Holder(cluster, leader), Holder(cluster, leader, "second")
    first.step()
    asked = second.send()
    assert cluster.replies[asked] is None
    first.send(commit="first")
    cluster.run(SETTINGS.heartbeat_us)
    assert isinstance(second.heard(asked), Evaluated)
    assert second.ticket


def test_whoever_is_rolled_back_lets_others_write_at_once(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    tx = Holder(cluster, leader)
    tx.step()
    waiting = submit(cluster, leader, "other")
    for name in ("somebody else's", "holder", "holder"):
        key = cluster.request(leader, LetGo("main", name))
        cluster.deliver()
        assert isinstance(cluster.replies[key], Answer)
        assert (cluster.replies[waiting] is None) == (name != "holder")
    assert storage.undone == 1


def test_what_was_not_begun_of_one_that_is_rolled_back_never_runs(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    first, second = Holder(cluster, leader), Holder(cluster, leader, "second")
    first.step()
    asked = second.send()
    cluster.request(leader, LetGo("main", "second"))
    assert isinstance(cluster.replies[asked], Refused)
    assert first.step().ticket


def test_a_request_that_is_sent_twice_does_not_run_on_what_its_caller_has_not_seen(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    tx = Holder(cluster, leader)
    tx.step()
    again = tx.request()
    assert tx.step().ticket
    ran = len(storage.executed)
    key = cluster.request(leader, again)
    cluster.deliver()
    assert tx.heard(key) == HoldEnded()
    assert len(storage.executed) == ran
    assert tx.step().ticket, "it goes on"


def test_whoever_asks_again_begins_anew(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    tx = Holder(cluster, leader)
    tx.step()
    old, tx.ticket = tx.ticket, ""
    assert tx.step().ticket != old


def test_a_commit_whose_hold_is_over_runs_with_all_its_statements(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    tx = Holder(cluster, leader)
    tx.step()
    cluster.request(leader, LetGo("main", "holder"))
    commit = tx.send(commit="tx")
    cluster.run(SECOND // 10)
    assert isinstance(cluster.replies[commit], Answer)
    (script,) = storage.executed[-1].requests
    assert isinstance(script, Script)
    assert script.hold is None


def test_what_fails_holds_nothing(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    storage.fails = True
    assert not Holder(cluster, leader).step().ticket
    assert isinstance(cluster.replies[submit(cluster, leader, "other")], Answer)


@pytest.mark.parametrize("why", [AT_ITS_END, TOO_LONG])
def test_one_whose_statement_was_stopped_is_not_counted_on_as_held(storage: Storage, why: str) -> None:
    """Storage undoes all that was open when it stops a statement; nobody may wait for that, nor go on with it."""
    cluster = started()
    leader = cluster.leader()
    tx = Holder(cluster, leader)
    tx.step()
    storage.stops = why
    key = tx.send()
    assert isinstance(tx.heard(key), Refused if why == AT_ITS_END else Answer | HoldEnded)
    assert not leader.node.groups[1].holding.name
    assert isinstance(cluster.replies[submit(cluster, leader, "other")], Answer), "at once"
    assert tx.step() == HoldEnded()


def test_a_leader_that_steps_down_holds_nothing(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    tx = Holder(cluster, leader)
    tx.step()
    cluster.isolate(leader.number)
    waiting = tx.send()
    cluster.run(2 * SECOND)
    assert isinstance(cluster.replies[waiting], NotLeader)
    assert not leader.node.groups[1].holding.name
    assert storage.undone >= 1
    cluster.heal()
    cluster.run(2 * SECOND)
    assert Holder(cluster, cluster.leader()).step().ticket


def test_an_entry_that_must_be_applied_ends_it(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    tx = Holder(cluster, leader)
    tx.step()
    want(cluster, "sync")
    cluster.run(SECOND)
    assert leader.node.groups[1].rules.newest.text == "sync", "an entry of the leader's own"
    assert tx.step() == HoldEnded()


def test_a_transfer_of_leadership_ends_it(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    Holder(cluster, leader).step()
    leader.feed(kernel.Drain())
    cluster.run(3 * SECOND)
    assert cluster.leader().number != leader.number
    assert not leader.node.groups[1].holding.name


def test_those_whose_time_is_over_while_they_wait_are_told(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    Holder(cluster, leader).step()
    until_us = cluster.now_us + 3 * SETTINGS.heartbeat_us
    cluster.replies[leader.number, 777] = None
    leader.feed(Request(777, write("late"), until_us=until_us))
    cluster.run(2 * SETTINGS.heartbeat_us)
    assert isinstance(cluster.replies[leader.number, 777], Refused)


def test_a_limit_holds_for_one_whose_statements_follow_each_other_at_once(storage: Storage) -> None:
    """(1) Its statements are slow, and each follows the one before at once, (2) so that one of them runs whenever the
    clock is looked at, and (3) others wait for ever."""
    cluster = started()
    leader = cluster.leader()
    tx = Holder(cluster, leader)
    tx.step()
    waiting = submit(cluster, leader, "other")
    began_us = cluster.now_us
    while cluster.replies[waiting] is None:
        storage.slow = True
        key = tx.send()
        cluster.run(HOLD_US // 4)
        storage.finish(cluster, leader)
        tx.heard(key)
        assert cluster.now_us - began_us < 2 * HOLD_US


def test_one_that_has_held_for_long_while_nobody_waited_does_not_keep_the_next_from_it(storage: Storage) -> None:
    cluster = started()
    leader = cluster.leader()
    Holder(cluster, leader).step()
    cluster.run(30 * HOLD_US)
    submit(cluster, leader, "a")
    cluster.run(2 * SETTINGS.heartbeat_us)
    holding = leader.node.groups[1].holding
    assert not holding.name
    assert holding.rests_until_us <= cluster.now_us, "others have not waited for longer"


def test_a_commit_is_sent_elsewhere_when_its_leader_is_lost(storage: Storage) -> None:
    """Its client is not told that it runs: such a write is sent nowhere else, and would be in doubt at once."""
    cluster = started()
    leader = cluster.leader()
    told: list[int] = []
    perform = leader.perform

    def note(effect: Any) -> Iterable[kernel.Event]:
        told.extend([effect.id] if isinstance(effect, Tell) else [])
        return perform(effect)

    leader.perform = note  # type: ignore[method-assign]
    tx = Holder(cluster, leader)
    tx.step()
    assert len(told) == 1
    tx.send(commit="tx")
    assert len(told) == 1
