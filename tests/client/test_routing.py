"""The client's decisions, without a socket: whom to ask, when again, and what is true at the deadline."""

from random import Random

import pytest
from tests.client.fake import answer

from quorate import errors
from quorate.client import routing
from quorate.client.directory import SHUNNED, Directory
from quorate.client.routing import REFUSED_FOR, Ask, Call, GiveUp, Step, Wait
from quorate.core.read_levels import EVENTUAL, LEADER
from quorate.core.repeats import Budget
from quorate.core.requests import Answer, NotLeader, Refused, StatusReport, Unsure
from quorate.core.statements import Token

A, B, C = "a:1", "b:1", "c:1"
TOKEN = Token("t:1", 5)


class Scene:
    """One directory, one budget, and calls on a clock that the test moves."""

    def __init__(self, seed: int = 1, *, budget: int = 100) -> None:
        self.rng = Random(seed)
        self.directory = Directory([A, B, C], self.rng)
        self.budget = Budget(first=budget, per_second=0, percent=10)
        self.now = 100.0

    def call(
        self, *, level: str = LEADER, token: Token | None = None, seconds: float = 5.0, shown_by: str = ""
    ) -> Call:
        deadline = self.now + seconds
        return Call(
            self.directory, self.budget, self.rng, "shop",
            level=level, token=token, deadline=deadline, shown_by=shown_by,
        )  # fmt: skip

    def ask(self, call: Call) -> str:
        """Go on until the call asks a node; the node."""
        for _ in range(1000):
            step = call.next(self.now)
            if isinstance(step, Ask):
                call.sent(step.address)
                return step.address
            assert isinstance(step, Wait)
            assert step.seconds >= 0
            self.now += step.seconds + 1e-6
        raise AssertionError("it only waits")

    def end(self, call: Call) -> errors.Error:
        """Go on to the deadline, with nobody answering."""
        self.now += 3600
        step = call.next(self.now)
        assert isinstance(step, GiveUp)
        return step.error


def test_the_leader_is_remembered_for_each_database() -> None:
    scene = Scene()
    call = scene.call()
    first = scene.ask(call)
    assert call.told(first, scene.now, answer((1,)))
    for _ in range(5):
        assert scene.ask(scene.call()) == first
    other = Call(scene.directory, scene.budget, scene.rng, "other", level=LEADER, token=None, deadline=scene.now + 5)
    assert {scene.directory.choose("other", LEADER, (), scene.now) for _ in range(50)} == {A, B, C}
    assert other.clean


def test_a_hint_is_followed_at_once_and_costs_nothing() -> None:
    scene = Scene(budget=0)
    call = scene.call(token=TOKEN)
    first = scene.ask(call)
    before = scene.now
    assert not call.told(first, scene.now, NotLeader("d:1"))
    assert scene.ask(call) == "d:1"
    assert scene.now == before
    assert call.told("d:1", scene.now, answer())
    assert "d:1" in scene.directory.addresses
    assert scene.ask(scene.call()) == "d:1"


def test_members_are_learned_and_those_that_went_are_forgotten_but_for_the_named() -> None:
    directory = Scene().directory
    directory.leads("shop", "gone:1")
    directory.members(["d:1", A, ""], 4)
    assert directory.addresses == [A, B, C, "d:1"]
    directory.members(["old:1"], 3)  # somebody is behind
    directory.members([], 9)  # and somebody knows nothing
    assert directory.addresses == [A, B, C, "d:1"]
    directory.members(["e:1", "d:1"], 4)
    assert directory.addresses == [A, B, C, "e:1", "d:1"]


def test_nodes_that_name_each_other_do_not_spin_the_client() -> None:
    scene = Scene()
    call = scene.call(seconds=1e9)
    address = scene.ask(call)
    asked = 0
    while scene.now < 110:
        asked += 1
        call.told(address, scene.now, NotLeader(B if address == A else A))
        address = scene.ask(call)
    assert asked < 400, "it waits now and then"


def test_waiting_grows_and_is_jittered() -> None:
    scene = Scene()
    call = scene.call(seconds=1e9)
    waits = []
    for _ in range(60):
        address = scene.ask(call)
        before = scene.now
        call.told(address, scene.now, NotLeader(""))
        scene.ask(call)
        waits.append(scene.now - before)
    assert max(waits[:2]) <= routing.BACKOFF_BASE * 2 + 1e-3
    assert max(waits) <= routing.BACKOFF_CAP + 1e-3
    assert max(waits[20:]) > routing.BACKOFF_CAP / 2
    assert min(waits[20:]) < routing.BACKOFF_CAP / 4, "anywhere between nothing and the cap"


def test_a_node_that_failed_is_asked_last() -> None:
    scene = Scene()
    scene.directory.failed(A, scene.now)
    assert {scene.directory.choose("shop", LEADER, (), scene.now) for _ in range(50)} == {B, C}
    scene.directory.failed(B, scene.now)
    scene.directory.failed(C, scene.now + 0.1)
    assert scene.directory.choose("shop", LEADER, (), scene.now) == A, "when all did, the one that failed longest ago"
    later = scene.now + 10 * SHUNNED
    assert {scene.directory.choose("shop", LEADER, (), later) for _ in range(50)} == {A, B, C}


def test_a_leader_that_failed_is_forgotten() -> None:
    scene = Scene()
    scene.directory.leads("shop", B)
    call = scene.call(token=TOKEN)
    assert scene.ask(call) == B
    call.lost(B, scene.now, "refused", sent=False)
    assert scene.directory.leaders == {}
    assert scene.ask(call) != B


def test_eventual_reads_stay_with_a_node_until_it_fails() -> None:
    scene = Scene()
    homes = []
    for _ in range(5):
        call = scene.call(level=EVENTUAL)
        homes.append(scene.ask(call))
        assert call.told(homes[-1], scene.now, answer((1,)))
    assert len(set(homes)) == 1
    call = scene.call(level=EVENTUAL)
    home = scene.ask(call)
    call.lost(home, scene.now, "gone", sent=True)
    assert scene.ask(call) != home
    assert scene.directory.leaders == {}, "who answers an eventual read need not lead"
    assert {Directory([A, B, C], Random(seed)).choose("shop", EVENTUAL, (), 0.0) for seed in range(50)} == {A, B, C}


def test_a_silent_node_keeps_the_request_and_another_is_asked_too() -> None:
    scene = Scene()
    scene.directory.leads("shop", A)
    call = scene.call(token=TOKEN)
    step = call.next(scene.now)
    assert step == Ask(A, routing.PATIENCE_FIRST)
    call.sent(A)
    scene.now += step.patience
    call.silent(A)
    other = scene.ask(call)
    assert other != A
    assert not call.clean
    call.told(other, scene.now, NotLeader(A))  # it is the leader after all
    again = call.next(scene.now)
    assert again == Ask(A, 2 * routing.PATIENCE_FIRST)


def test_a_single_silent_node_is_waited_for_to_the_end() -> None:
    scene = Scene()
    scene.directory = Directory([A], scene.rng)
    call = scene.call(token=TOKEN)
    patience = []
    for _ in range(3):
        step = call.next(scene.now)
        assert isinstance(step, Ask)
        patience.append(step.patience)
        call.sent(A)
        scene.now += step.patience
        call.silent(A)
    assert patience == sorted(patience)
    error = scene.end(call)
    assert isinstance(error, errors.MaybeDone)
    assert (error.token, error.seen) == ("t:1", 5)


@pytest.mark.parametrize("unsure", [True, False], ids=["unsure", "lost"])
def test_a_write_that_may_have_happened_is_maybe_done(unsure: bool) -> None:
    scene = Scene()
    call = scene.call(token=TOKEN)
    address = scene.ask(call)
    if unsure:
        call.told(address, scene.now, Unsure(""))
    else:
        call.lost(address, scene.now, "the connection ended", sent=True)
    address = scene.ask(call)
    call.told(address, scene.now, NotLeader(""))
    error = scene.end(call)
    assert isinstance(error, errors.MaybeDone)
    assert not error.retryable


@pytest.mark.parametrize("token", [None, TOKEN], ids=["failover", "change"])
def test_a_change_of_the_cluster_that_may_have_happened_is_maybe_done_and_names_no_token(token: Token | None) -> None:
    scene = Scene()
    call = scene.call(token=token, shown_by="look")
    call.lost(scene.ask(call), scene.now, "the connection ended", sent=True)
    error = scene.end(call)
    assert isinstance(error, errors.MaybeDone)
    assert (error.token, error.hint) == ("", "look")
    untouched = scene.end(scene.call(token=token, shown_by="look"))
    assert isinstance(untouched, errors.Unavailable)


def test_a_write_that_was_refused_everywhere_did_not_happen() -> None:
    scene = Scene()
    call = scene.call(token=TOKEN)
    for _ in range(3):
        address = scene.ask(call)
        call.told(address, scene.now, NotLeader(""))
    address = scene.ask(call)
    call.lost(address, scene.now, "refused", sent=False)
    error = scene.end(call)
    assert type(error) is errors.Unavailable
    assert "not done" in str(error)


def test_a_read_is_never_maybe_done() -> None:
    scene = Scene()
    call = scene.call()
    call.lost(scene.ask(call), scene.now, "the connection ended", sent=True)
    assert type(scene.end(call)) is errors.Unavailable


def test_a_refusal_is_raised_at_once_unless_an_earlier_send_is_unsettled() -> None:
    refused = Refused("UnknownDatabase", "no such database")
    scene = Scene()
    call = scene.call(token=TOKEN)
    address = scene.ask(call)
    with pytest.raises(errors.UnknownDatabase):
        call.told(address, scene.now, refused)
    call = scene.call(token=TOKEN)
    call.lost(scene.ask(call), scene.now, "the connection ended", sent=True)
    address = scene.ask(call)
    with pytest.raises(errors.MaybeDone) as caught:
        call.told(address, scene.now, refused)
    assert isinstance(caught.value.__cause__, errors.UnknownDatabase)


@pytest.mark.parametrize(("refusal", "stays"), [("DiskFull", False), ("Unavailable", False), ("Overloaded", True)])
def test_who_cannot_write_is_left_for_others_and_who_is_busy_is_not(refusal: str, *, stays: bool) -> None:
    """A leader whose disk is full leads no more, and the others may still name it for a moment."""
    scene = Scene()
    call = scene.call(token=TOKEN)
    address = scene.ask(call)
    scene.directory.leads("shop", address)
    call.told(address, scene.now, Refused(refusal, "not now", retryable=True))
    assert (scene.ask(call) == address) is stays


def test_what_is_certainly_not_done_is_not_sent_again_in_the_last_moment() -> None:
    scene = Scene()
    call = scene.call(token=TOKEN, seconds=1.0)
    call.told(scene.ask(call), scene.now, NotLeader(""))
    scene.now += 1.0 - routing.LAST_SEND / 2
    step = call.next(scene.now)
    assert isinstance(step, GiveUp)
    assert type(step.error) is errors.Unavailable, "not MaybeDone: an answer to one more send would come too late"


def test_overload_is_raised_by_its_name_at_the_deadline() -> None:
    scene = Scene()
    call = scene.call(token=TOKEN)
    call.told(scene.ask(call), scene.now, Refused("Overloaded", "too much is waiting", retryable=True))
    assert type(scene.end(call)) is errors.Overloaded


def test_repetitions_are_paid_for_from_a_budget() -> None:
    """A tenth of the successes: with nothing saved, 100 of them pay for 10 repetitions, and who comes then is told
    at once."""
    scene = Scene(budget=0)
    for _ in range(100):
        call = scene.call(token=TOKEN)
        assert call.told(scene.ask(call), scene.now, answer())
    repeated, told = 0, 0
    for _ in range(30):
        call = scene.call(token=TOKEN)
        call.told(scene.ask(call), scene.now, Refused("Overloaded", "busy", retryable=True))
        scene.now += routing.BACKOFF_CAP
        step = call.next(scene.now)
        repeated += isinstance(step, Ask)
        if isinstance(step, GiveUp):
            told += 1
            assert type(step.error) is errors.Overloaded
    assert (repeated, told) == (10, 20)


def test_the_first_repetition_after_a_lost_node_is_free() -> None:
    """A change of leaders costs no caller an error, however many there are; what goes on failing does."""
    scene = Scene(budget=0)
    for _ in range(50):
        call = scene.call(token=TOKEN)
        call.lost(scene.ask(call), scene.now, "the connection ended", sent=True)
        scene.now += routing.BACKOFF_CAP
        second = call.next(scene.now)
        assert isinstance(second, Ask)
        call.sent(second.address)
        call.told(second.address, scene.now, Unsure(""))
        scene.now += routing.BACKOFF_CAP
        step = call.next(scene.now)
        assert isinstance(step, GiveUp)
        assert type(step.error) is errors.MaybeDone


def test_without_a_budget_a_silent_node_is_waited_for() -> None:
    scene = Scene(budget=0)
    scene.directory.leads("shop", A)
    call = scene.call(token=TOKEN)
    call.next(scene.now)
    call.sent(A)
    scene.now += routing.PATIENCE_FIRST
    call.silent(A)
    step = call.next(scene.now)
    assert isinstance(step, Ask)
    assert step.address == A


def test_a_node_that_names_a_time_is_not_asked_before() -> None:
    scene = Scene()
    call = scene.call(token=TOKEN)
    call.told(scene.ask(call), scene.now, Refused("Overloaded", "busy", retryable=True, again_us=300_000))
    before = scene.now
    scene.ask(call)
    assert 0.3 <= scene.now - before <= 0.3 + routing.BACKOFF_BASE + 1e-3


def test_a_call_says_how_long_it_waits() -> None:
    scene = Scene()
    call = scene.call(seconds=2.0)
    assert call.left_us(scene.now + 0.5) == 1_500_000
    assert call.left_us(scene.now + 9) == 1, "0 would mean that nobody knows"


def test_the_budget_fills_with_time_and_never_overflows() -> None:
    budget = Budget(percent=0, per_second=2, first=0, most=3)
    assert not budget.spend(10_000_000)
    assert not budget.spend(10_499_999)
    assert budget.spend(10_500_000)
    assert [budget.spend(1_000_000_000) for _ in range(4)] == [True, True, True, False]


def test_answers_end_a_call() -> None:
    scene = Scene()
    call = scene.call()
    report = StatusReport("c", 1, "n1", 1, (), ())
    assert call.told(scene.ask(call), scene.now, report)
    assert isinstance(answer((1,)), Answer)


def test_what_runs_long_is_sent_nowhere_else_and_its_caller_hears_at_once_that_its_node_is_lost() -> None:
    scene = Scene()
    call = scene.call(token=TOKEN, seconds=60.0)
    node = scene.ask(call)
    call.runs(node)
    call.silent(node)
    step = call.next(scene.now)
    assert isinstance(step, Ask)
    assert step.address == node, "no other node is asked"
    assert step.patience == pytest.approx(60.0), "for as long as the caller waits"
    call.lost(node, scene.now, "the connection ended", sent=True)
    given_up = call.next(scene.now)
    assert isinstance(given_up, GiveUp)
    assert isinstance(given_up.error, errors.MaybeDone)
    assert given_up.error.token == TOKEN.id
    assert "was lost that ran it" in str(given_up.error)


def test_a_node_that_ends_what_ran_long_has_said_that_it_is_not_done() -> None:
    scene = Scene()
    call = scene.call(token=TOKEN)
    node = scene.ask(call)
    call.runs(node)
    other = B if node != B else C
    assert not call.told(node, scene.now, NotLeader(other))
    assert scene.ask(call) == other


def test_who_wants_everything_repeated_has_what_runs_long_repeated_too() -> None:
    scene = Scene()
    call = Call(
        scene.directory, scene.budget, scene.rng, "shop",
        level=LEADER, token=TOKEN, deadline=scene.now + 60.0, always=True,
    )  # fmt: skip
    node = scene.ask(call)
    call.runs(node)
    call.lost(node, scene.now, "the connection ended", sent=True)
    assert scene.ask(call) != node


def refused_by_all(scene: Scene, call: Call, *, but: str = "") -> Step:
    """Go on while every address refuses a connection (but one, which is silent); the last step."""
    while not isinstance(step := call.next(scene.now), GiveUp):
        if isinstance(step, Wait):
            scene.now += step.seconds + 1e-6
            continue
        call.sent(step.address)
        scene.now += 0.001
        if step.address == but:
            call.lost(step.address, scene.now, "no connection in time", sent=False, late=True)
        else:
            call.lost(step.address, scene.now, "connection refused", sent=False)
    return step


@pytest.mark.parametrize("token", [None, TOKEN])
def test_ports_that_all_refuse_end_a_first_call_soon(token: Token | None) -> None:
    scene = Scene()
    began = scene.now
    step = refused_by_all(scene, scene.call(token=token, seconds=60))
    assert isinstance(step, GiveUp)
    assert type(step.error) is errors.Unavailable
    assert "every address has refused a connection" in str(step.error)
    assert "are they right?" in step.error.hint
    assert REFUSED_FOR <= scene.now - began < 2.5


def test_an_address_that_does_not_refuse_is_waited_for() -> None:
    scene = Scene()
    began = scene.now
    refused_by_all(scene, scene.call(seconds=60), but=B)
    assert scene.now - began >= 60


def test_a_cluster_that_has_answered_is_waited_for_though_all_refuse() -> None:
    scene = Scene()
    call = scene.call(seconds=60)
    began = scene.now
    call.told(scene.ask(call), scene.now, NotLeader(""))
    refused_by_all(scene, call)
    assert scene.now - began >= 60
