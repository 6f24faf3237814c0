"""Reads and writes that come after a bookmark, and reads that may lag behind by so much and no more."""

from typing import Any

import pytest
from msgspec import structs

from quorate.core import kernel
from quorate.core.bookmarks import Bookmark, Reached, digest_of
from quorate.core.catalog import DroppedRow
from quorate.core.kernel import CatalogRead
from quorate.core.requests import Answer, NotLeader, Refused, Run
from quorate.core.single_leader.messages import ReadIndexAsk
from quorate.core.statements import Statement, Token
from tests.core.harness import Cluster, Machine, write

SECOND = 1_000_000
ELSEWHERE = digest_of("another cluster")


class Session:
    """A caller who shows what it has seen."""

    def __init__(self, acks: str = "majority", replicas: int = 3) -> None:
        self.cluster = Cluster(replicas, acks)
        self.cluster.run(2 * SECOND)
        self.digest = digest_of(self.cluster.machines[1].node.identity.cluster)
        self.after = Bookmark()

    def write(self, token: str, machine: Machine | None = None, run_us: int = SECOND // 10) -> Any:
        body = Run("main", (Statement("INSERT INTO t VALUES (1)"),), token=Token(token, 0), after=self.after or None)
        key = self.cluster.request(machine or self.cluster.leader(), body)
        self.cluster.run(run_us)
        answer = self.cluster.replies[key]
        if isinstance(answer, Answer):
            self.after = self.after.moved(self.after, self.digest, answer.place)
        return answer

    def begin(self, machine: Machine, level: str = "session", after: Bookmark | None = None) -> tuple[int, int]:
        body = Run("main", (Statement("SELECT 1"),), level=level, after=self.after if after is None else after)
        return self.cluster.request(machine, body)

    def read(self, machine: Machine, level: str = "session", after: Bookmark | None = None) -> Any:
        """At once: what a replica answers without hearing from anybody."""
        return self.cluster.replies[self.begin(machine, level, after)]

    @property
    def follower(self) -> Machine:
        leader = self.cluster.leader()
        return next(each for each in self.cluster.machines.values() if each is not leader)

    def lose(self) -> tuple[Machine, Machine]:
        """The leader acknowledges a write that nobody else gets, and another is elected."""
        old = self.cluster.leader()
        self.cluster.isolate(old.number)
        assert isinstance(self.write("lost", old, 50_000), Answer)
        old.crash()
        self.cluster.heal()
        self.cluster.run(3 * SECOND)
        return old, self.cluster.leader()


def test_a_replica_that_has_reached_the_bookmark_answers_at_once() -> None:
    session = Session()
    answer = session.write("a")
    assert answer.place == Reached(1, session.cluster.leader().node.groups[1].election.epoch, answer.index)
    session.cluster.run(SECOND)
    for machine in session.cluster.machines.values():
        assert session.read(machine) == ["a"]


def test_a_lone_leader_reads_what_it_has_committed_and_not_applied_yet() -> None:
    session = Session(replicas=1)
    (alone,) = session.cluster.machines.values()
    session.write("a", run_us=0)
    assert session.after, "it was acknowledged"
    assert alone.node.groups[1].apply.applied.index < session.after.places[0].index
    assert session.read(alone) == ["a"]


def test_one_that_has_not_waits_until_it_has() -> None:
    session = Session()
    follower = session.follower
    session.cluster.isolate(follower.number)
    session.write("a")
    key = session.begin(follower)
    assert session.read(follower, "eventual", Bookmark()) == []
    assert session.cluster.replies[key] is None
    session.cluster.heal()
    session.cluster.run(SECOND)
    assert session.cluster.replies[key] == ["a"]


def test_its_own_write_is_there_before_the_next_heartbeat() -> None:
    session = Session()
    session.cluster.run(2 * SECOND)
    session.write("a", run_us=0)
    session.cluster.deliver()
    assert session.after
    key = session.begin(session.follower)
    session.cluster.deliver()
    assert session.cluster.replies[key] == ["a"], "without any time having passed"


def test_a_follower_gathers_no_entries_while_a_session_waits_for_them() -> None:
    session = Session()
    session.write("a", run_us=0)
    session.cluster.deliver()
    key = session.begin(session.follower)
    session.cluster.request(session.cluster.leader(), write("b"))
    session.cluster.deliver()  # with it comes that "a" is counted
    assert session.cluster.replies[key] == ["a"]


def test_a_session_waits_for_its_own_write_on_its_leader_too() -> None:
    session = Session()
    session.write("a", run_us=0)
    session.cluster.deliver()
    key = session.begin(session.cluster.leader())
    session.cluster.deliver()
    assert session.cluster.replies[key] == ["a"], "the open transaction is committed for it"


def test_one_that_cannot_reach_it_says_so_in_the_end() -> None:
    session = Session()
    follower = session.follower
    session.cluster.isolate(follower.number)
    session.write("a")
    key = session.begin(follower)
    session.cluster.run(10 * SECOND)
    assert session.cluster.replies[key].error == "Unavailable"
    assert session.cluster.replies[key].retryable


@pytest.mark.parametrize("level", ["session", "bounded:2s", "leader"])
def test_what_a_failover_has_lost_is_said_and_not_passed_over(level: str) -> None:
    session = Session("async")
    session.write("a")
    before = session.after
    old, new = session.lose()
    told = session.read(new, level)
    assert isinstance(told, Refused)
    assert told.error == "BookmarkLost"
    assert not told.retryable
    told = session.write("next")
    assert told.error == "BookmarkLost", "a write would come after what is not there"
    assert "next" not in session.cluster.tokens(new.number)
    session.after = before
    assert session.read(new) == ["a"]
    assert isinstance(session.write("next"), Answer)
    old.start()
    session.cluster.run(5 * SECOND)
    assert session.read(old) == ["a", "next"]


def test_a_loss_is_seen_however_long_the_new_log_has_become() -> None:
    session = Session("async")
    session.write("a")
    _old, new = session.lose()
    lost, session.after = session.after, Bookmark()
    for number in range(40):
        session.write(f"w{number}", run_us=20_000)
    session.cluster.run(SECOND)
    for machine in (new, session.follower):
        if machine.alive:
            log = machine.node.groups[1].log
            log.trim(log.position_at(20))
            assert log.epoch_at(lost.places[0].index) is None
            assert session.read(machine, after=lost).error == "BookmarkLost"
    both = lost | session.after
    assert session.read(new, after=both).error == "BookmarkLost", "a newer place does not hide it"


def test_a_reader_of_the_lost_branch_waits_where_the_other_one_is() -> None:
    """The old leader, that does not know that it was deposed, has an entry at that index, and it is another."""
    session = Session("async")
    session.write("a")
    old = session.cluster.leader()
    session.cluster.isolate(old.number)
    for token in ("lost1", "lost2", "lost3"):
        session.cluster.request(old, write(token))
        session.cluster.run(10_000)
    session.cluster.run(2 * SECOND)
    new = session.cluster.leader()
    assert new is not old
    session.write("b", new)
    key = session.begin(old)
    session.cluster.run(50_000)
    assert not isinstance(session.cluster.replies[key], list)


def test_a_bookmark_of_something_else_is_refused_by_name() -> None:
    session = Session()
    leader = session.cluster.leader()
    place = Reached(1, 1, 1)
    told = session.read(leader, after=Bookmark(ELSEWHERE, (place,)))
    assert (told.error, "another cluster" in told.message) == ("ProgrammingError", True)
    told = session.read(leader, after=Bookmark(session.digest, (place, Reached(7, 1, 1))))
    assert "group 7" in told.message
    told = session.read(leader, after=Bookmark(session.digest, (Reached(0, 1, 1),)))
    assert "group 0" in told.message
    catalog = session.cluster.catalog()
    leader.feed(CatalogRead(structs.replace(catalog, dropped=(DroppedRow(9, "stock", (1, 2, 3)),))))
    told = session.read(leader, after=Bookmark(session.digest, (Reached(9, 1, 1),)))
    assert "'stock', which was dropped, not of 'main'" in told.message
    session.after = Bookmark(ELSEWHERE, (place,))
    assert session.write("a").error == "ProgrammingError"
    assert session.cluster.tokens(leader.number) == []


def test_an_epoch_that_is_not_known_here_is_waited_for_and_taken_to_a_later_leader() -> None:
    session = Session()
    session.write("a")
    leader = session.cluster.leader()
    group = leader.node.groups[1]
    later = Bookmark(session.digest, (Reached(1, group.election.epoch + 1, group.log.last.index + 1),))
    key = session.begin(session.follower, after=later)
    session.cluster.run(SECOND)
    assert session.cluster.replies[key] is None
    session.after = later
    assert session.write("b") == NotLeader("")


def test_a_bounded_read_asks_once_within_its_bound() -> None:
    session = Session()
    session.write("a")
    follower = session.follower
    asks: list[Any] = []
    send = follower.PERFORM

    def note(machine: Machine, effect: Any) -> Any:
        if type(effect.message) is ReadIndexAsk:
            asks.append(effect)
        return Machine._send(machine, effect)

    follower.PERFORM = {**send, kernel.Send: note}
    key = session.begin(follower, "bounded:2s", Bookmark())
    session.cluster.run(SECOND)
    assert session.cluster.replies[key] == ["a"]
    assert len(asks) == 1
    session.cluster.isolate(follower.number)
    assert session.read(follower, "bounded:2s", Bookmark()) == ["a"], "it heard a second ago"
    assert session.cluster.replies[session.begin(follower, "bounded:500ms", Bookmark())] is None
    session.cluster.run(2 * SECOND)
    answered = session.read(follower, "bounded:2s", Bookmark())
    assert isinstance(answered, NotLeader | None), "it heard three seconds ago"
    assert len(asks) >= 2


def test_a_bounded_read_is_as_old_as_the_question_and_not_as_its_answer() -> None:
    session = Session()
    follower = session.follower
    key = session.begin(follower, "bounded:2s", Bookmark())
    held = [each for each in session.cluster.messages if type(each[2]) is ReadIndexAsk]
    session.cluster.messages.clear()
    asked_us = session.cluster.now_us
    session.cluster.run(90_000)  # the question is on its way
    session.cluster.messages.extend(held)
    session.cluster.run(SECOND // 10)
    assert session.cluster.replies[key] == []
    assert follower.node.groups[1].reading.told_us == asked_us


def test_a_leader_that_was_cut_off_answers_bounded_reads_no_longer_than_the_bound() -> None:
    session = Session()
    leader = session.cluster.leader()
    key = session.begin(leader, "bounded:300ms", Bookmark())
    session.cluster.run(SECOND // 5)
    assert session.cluster.replies[key] == []
    session.cluster.isolate(leader.number)
    assert session.read(leader, "bounded:300ms", Bookmark()) == []
    session.cluster.run(SECOND // 5)
    assert not isinstance(session.read(leader, "bounded:300ms", Bookmark()), list)
