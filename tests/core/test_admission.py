"""The door of a queue, by hand: what is refused at once, when a queue stands, and who is not served any more."""

from collections.abc import Iterable

import pytest

from quorate.core import kernel
from quorate.core.admission import EXPIRED, Admission, ends_us
from quorate.core.calls import Reply, Request
from quorate.core.executing import Execute
from quorate.core.kernel import Now
from quorate.core.querying import Query
from quorate.core.read_levels import LEADER, SPELLINGS
from quorate.core.requests import Answer, Refused, Run
from quorate.core.settings import Settings
from quorate.core.statements import Statement
from tests.core.harness import Cluster, write

SECOND = 1_000_000
MILLISECOND = 1_000


def busy(each_us: int) -> Admission:
    """One whose requests take so long each, and that was empty a moment ago."""
    admission = Admission(Settings())
    now_us = SECOND
    for _ in range(50):
        admission.took(now_us, 10, 5)
        now_us += 10 * each_us
    admission.refusal(10 * SECOND, 0, 0)
    return admission


def test_what_was_measured_is_what_a_request_takes_while_others_wait() -> None:
    assert busy(1_000).each_ns == 1_000_000
    admission = Admission(Settings())
    admission.took(0, 10, 0)
    admission.took(5 * SECOND, 10, 0)
    assert admission.each_ns == 0, "nobody waited: it took its time because nobody came"


def test_a_burst_may_wait_for_a_second_and_no_longer() -> None:
    admission = busy(1_000)
    assert admission.refusal(10 * SECOND, 0, 1_000) is None
    refused = admission.refusal(10 * SECOND, 0, 1_001)
    assert isinstance(refused, Refused)
    assert (refused.error, refused.retryable) == ("Overloaded", True)
    assert refused.again_us >= SECOND
    assert admission.shed == 1


def test_a_queue_that_stands_is_kept_short() -> None:
    admission = busy(1_000)
    later = 10 * SECOND + Settings().burst_us + 1
    assert admission.refusal(later, 0, 200) is None
    assert admission.refusal(later, 0, 201) is not None
    assert admission.refusal(later, 0, 0) is None
    assert admission.refusal(later + 1, 0, 900) is None, "it was empty: what comes now is a burst again"


def test_what_was_measured_in_a_bad_moment_is_forgotten() -> None:
    """Else a queue that is kept short because it was slow once is never measured again."""
    admission = busy(90_000)
    assert admission.refusal(10 * SECOND, 0, 12) is not None
    for beat in range(40):
        admission.took(10 * SECOND + beat * 10 * MILLISECOND, 1, 0)
    assert admission.refusal(11 * SECOND, 0, 500) is None
    admission = busy(1_000)
    admission.took(10 * SECOND, 10, 5)
    admission.took(100 * SECOND, 10, 5)
    assert admission.each_ns < 2_000_000, "it was kept from running for ninety seconds: that is no measurement"


def test_nobody_is_let_in_who_would_be_gone_before_its_turn() -> None:
    admission = busy(1_000)
    until_us = 10 * SECOND + 100 * MILLISECOND
    assert admission.refusal(10 * SECOND, until_us, 100) is None
    assert admission.refusal(10 * SECOND, until_us, 101) is not None
    assert admission.refusal(10 * SECOND, until_us, 0) is None, "an empty queue takes anybody"


def test_it_is_bounded_by_number_while_nothing_is_measured() -> None:
    admission = Admission(Settings(waiting_requests_max=3))
    assert admission.refusal(SECOND, 0, 2) is None
    assert admission.refusal(SECOND, 0, 3) is not None


def test_a_node_that_is_behind_says_so() -> None:
    admission = Admission(Settings())
    assert admission.late(10 * SECOND, 10 * SECOND, 0) is None
    assert admission.late(10 * SECOND + 900 * MILLISECOND, 10 * SECOND, 0) is None
    assert admission.late(11 * SECOND + 1, 10 * SECOND, 0) is not None
    assert admission.late(12 * SECOND, 12 * SECOND - 201 * MILLISECOND, 0) is not None, "it has not been level since"
    assert admission.late(13 * SECOND, 12 * SECOND + 999_999, 13 * SECOND) is EXPIRED


def test_a_batch_keeps_the_node_from_all_else_for_a_bounded_time() -> None:
    admission = Admission(Settings(batch_us=50_000))
    assert admission.fit() > 1_000_000, "nothing is known yet"
    admission.ran(100 * MILLISECOND, 10)
    assert admission.fit() == 5
    for _ in range(100):
        admission.ran(10 * SECOND, 1)
    assert admission.fit() == 1


def test_a_write_whose_caller_is_gone_is_not_run() -> None:
    cluster = Cluster(1)
    cluster.run(2 * SECOND)
    node = cluster.machines[1].node
    now_us = cluster.now_us
    body = write("late")
    assert node.step(Now(now_us, now_us), Request(901, body, now_us, now_us + 5 * MILLISECOND)) == []
    effects = node.step(Now(now_us + 6 * MILLISECOND, now_us), kernel.Wake())
    assert [effect for effect in effects if isinstance(effect, Reply)] == [Reply(901, EXPIRED)]
    assert not [effect for effect in effects if isinstance(effect, Execute)]


def test_a_read_whose_caller_is_gone_is_not_run() -> None:
    cluster = Cluster(3)
    cluster.run(2 * SECOND)
    leader = cluster.leader()
    now_us = cluster.now_us
    read = Run("main", (Statement("SELECT 1"),))
    cluster.replies[leader.number, 902] = None
    leader.feed(Request(902, read, now_us, now_us + 5 * MILLISECOND))
    cluster.now_us += 10 * MILLISECOND
    cluster.deliver()
    assert cluster.replies[leader.number, 902] is EXPIRED


def test_a_write_in_time_is_run_as_ever() -> None:
    cluster = Cluster(3)
    cluster.run(2 * SECOND)
    leader = cluster.leader()
    cluster.replies[leader.number, 903] = None
    leader.feed(Request(903, write("a"), cluster.now_us, cluster.now_us + SECOND))
    cluster.run(100 * MILLISECOND)
    assert isinstance(cluster.replies[leader.number, 903], Answer)


def test_what_a_batch_had_no_time_for_is_run_with_the_next() -> None:
    """Storage stops when the batch's time is spent: who has no outcome has not run, and keeps its place."""
    cluster = Cluster(3)
    cluster.run(2 * SECOND)
    leader = cluster.leader()
    whole = leader._execute

    def only_two(effect: Execute) -> Iterable[kernel.Event]:
        return whole(Execute(effect.group, effect.batch, effect.requests[:2], effect.timestamp_us))

    leader.PERFORM = {**leader.PERFORM, Execute: lambda _machine, effect: only_two(effect)}
    keys = []
    for name in "abcdefg":
        cluster.requests += 1
        keys.append((leader.number, cluster.requests))
        cluster.replies[keys[-1]] = None
        leader.node.step(Now(cluster.now_us, cluster.now_us), Request(cluster.requests, write(name)))
    cluster.run(2 * SECOND)
    assert all(isinstance(cluster.replies[key], Answer) for key in keys)
    assert cluster.tokens(leader.number) == list("abcdefg")


def test_those_who_came_before_anybody_knew_how_long_it_takes_are_told_as_soon_as_it_is_known() -> None:
    cluster = Cluster(1)
    cluster.run(2 * SECOND)
    node = cluster.machines[1].node
    group = node.groups[1]
    now = Now(cluster.now_us, cluster.now_us)
    for number in range(1_000, 2_000):
        node.step(now, Request(number, write(f"t{number}")))
    group.writes.admission.run_ns = 10_000_000
    effects = node.step(now, kernel.Wake())
    refused = [effect.id for effect in effects if isinstance(effect, Reply)]
    ran = [len(effect.requests) for effect in effects if isinstance(effect, Execute)]
    assert ran == [5], "as many as run in 50 ms"
    assert min(refused) >= 1_100, "the last to come are the first to be refused"
    assert len(group.writes.queue) == 100, "a second of 10 ms each"


@pytest.mark.parametrize("level", SPELLINGS)
@pytest.mark.parametrize("leads", [True, False])
def test_a_read_carries_its_callers_deadline_to_storage_whatever_way_it_takes(level: str, leads: bool) -> None:
    cluster = Cluster(3)
    cluster.run(2 * SECOND)
    leader = cluster.leader()
    machine = leader if leads else next(each for each in cluster.machines.values() if each is not leader)
    queries: list[Query] = []

    def note(_machine: object, effect: Query) -> Iterable[kernel.Event]:
        queries.append(effect)
        return ()

    machine.PERFORM = {**machine.PERFORM, Query: note}
    begun_us = cluster.now_us
    body = Run("main", (Statement("SELECT 1"),), level=level)
    machine.feed(Request(900, body, begun_us, begun_us + 4 * SECOND))
    machine.feed(Request(901, body, begun_us, 0))
    cluster.run(SECOND)
    if level == LEADER and not leads:
        assert queries == []
        return
    assert [query.id for query in queries] == [900, 901]
    assert begun_us + 3 * SECOND < queries[0].ends_us < begun_us + 4 * SECOND, "in time to tell the caller"
    assert queries[1].ends_us == 0, "nobody said"


def test_a_short_time_is_used_for_the_most_part() -> None:
    assert ends_us(0, 5 * SECOND) == 0
    assert ends_us(5 * SECOND + 80, 5 * SECOND) == 5 * SECOND + 70
    assert ends_us(9 * SECOND, 5 * SECOND) == 9 * SECOND - 200 * MILLISECOND
    assert ends_us(4 * SECOND, 5 * SECOND) == 4 * SECOND


@pytest.mark.parametrize("each_us", [1, 7, 999, 20_000, 3_000_000])
@pytest.mark.parametrize("left_us", [0, 1, 150_000, 10 * SECOND])
def test_the_length_that_is_let_in_without_reckoning_is_never_too_long(each_us: int, left_us: int) -> None:
    """What is looked at first must let in nobody whom the rule keeps out."""
    for waiting in (1, 2, 30, 28_571, 150_000, Settings().waiting_requests_max):
        admission = busy(each_us)
        now_us = 10 * SECOND + Settings().burst_us + 1  # it stands: `standing_us` is the limit
        refusal = admission.refusal(now_us, now_us + left_us if left_us else 0, waiting)
        wait_us = waiting * admission.each_ns // 1000
        limit_us = min(Settings().standing_us, left_us or SECOND)
        assert (refusal is None) == (waiting < Settings().waiting_requests_max and wait_us <= limit_us)
