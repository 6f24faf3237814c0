"""Requests to a database without a leader: no write takes effect twice, and none is said not to be done that may be."""

from random import Random

import pytest
from tests.client.fake import answer
from tests.client.test_routing import A, B, C, Scene

from quorate import errors
from quorate.client.routing import Ask, GiveUp, Wait
from quorate.client.row_calls import TURN, RowCall
from quorate.core.requests import NotLeader, Refused, ReplyBody, Unsure
from quorate.core.row_requests import Minted, RunRow, SchemaFits
from quorate.core.statements import Statement

TOLD = Minted(b"state", 1, 2)
BODY = RunRow("shop", Statement("UPDATE stock SET n = n + 1 WHERE item = 1"))
AWAY = Refused("Unavailable", "not done: 1 of 2 replicas have answered", retryable=True)


def call_of(scene: Scene, *, writes: bool = True, seconds: float = 5.0) -> RowCall:
    return RowCall(
        scene.directory, scene.budget, scene.rng, "shop", deadline=scene.now + seconds, writes=writes
    )  # fmt: skip


def given_up(scene: Scene, call: RowCall) -> errors.Error:
    step = call.next(scene.now)
    assert isinstance(step, GiveUp), step
    return step.error


def test_a_client_stays_with_a_replica_that_is_well() -> None:
    scene = Scene()
    call = call_of(scene)
    first = scene.ask(call)
    assert call.told(first, scene.now, answer(rowcount=1))
    assert {scene.ask(call_of(scene, writes=writes)) for writes in (True, False) for _ in range(9)} == {first}


def test_it_goes_to_another_that_the_asked_one_names() -> None:
    """A node that has no replica."""
    scene = Scene()
    call = call_of(scene)
    first = scene.ask(call)
    other = B if first == A else A
    assert not call.told(first, scene.now, NotLeader(other))
    assert scene.ask(call) == other
    assert call.told(other, scene.now, answer())
    assert scene.ask(call_of(scene)) == other


def test_a_write_of_which_nothing_was_told_is_sent_to_one_replica_only() -> None:
    scene = Scene()
    call = call_of(scene)
    first = scene.ask(call)
    while scene.now + 1 < call.deadline:
        scene.now += 0.5
        call.silent(first)
        step = call.next(scene.now)
        assert isinstance(step, Ask)
        assert step.address == first
    assert scene.ask(call_of(scene)) != first, "others do not wait for a silent replica"
    error = scene.end(call)
    assert isinstance(error, errors.MaybeDone)
    assert "may have happened" in str(error)


def test_a_write_of_which_nothing_was_told_is_maybe_done_when_its_node_is_lost() -> None:
    scene = Scene()
    call = call_of(scene)
    call.lost(scene.ask(call), scene.now, "reset", sent=True)
    assert isinstance(given_up(scene, call), errors.MaybeDone)


@pytest.mark.parametrize("never_sent", [True, False])
def test_a_write_that_has_certainly_not_been_done_goes_elsewhere(never_sent: bool) -> None:
    scene = Scene()
    call = call_of(scene)
    first = scene.ask(call)
    if never_sent:
        call.lost(first, scene.now, "refused", sent=False)
    else:
        assert not call.told(first, scene.now, AWAY)
    second = scene.ask(call)
    assert second != first
    assert call.outgoing(BODY) == BODY
    assert call.told(second, scene.now, answer())


@pytest.mark.parametrize("end", ["silent", "lost", "unsure", "refused", "moved"])
def test_a_write_that_was_told_its_state_is_asked_for_elsewhere_with_it(end: str) -> None:
    scene = Scene()
    call = call_of(scene)
    first = scene.ask(call)
    assert call.outgoing(BODY).minted == b""
    call.minted(TOLD)
    if end == "silent":
        call.silent(first)
    elif end == "lost":
        call.lost(first, scene.now, "reset", sent=True)
    else:
        said: dict[str, ReplyBody] = {"unsure": Unsure(), "refused": AWAY, "moved": NotLeader("")}
        assert not call.told(first, scene.now, said[end])
    assert scene.ask(call) in {A, B, C}
    assert call.outgoing(BODY).minted == b"state"
    error = scene.end(call)
    assert isinstance(error, errors.MaybeDone), "some replica may have stored it"


def test_too_few_acknowledgements_are_maybe_done() -> None:
    """The coordinator ends it a little before the caller does."""
    scene = Scene()
    call = call_of(scene)
    first = scene.ask(call)
    call.minted(TOLD)
    scene.now = call.deadline - 0.001
    assert not call.told(first, scene.now, Unsure())
    error = scene.end(call)
    assert isinstance(error, errors.MaybeDone)
    assert "too few replicas" in str(error)
    assert "read the row" in error.hint


def test_a_refusal_of_a_repetition_does_not_say_that_nothing_was_done() -> None:
    scene = Scene()
    call = call_of(scene)
    first = scene.ask(call)
    call.minted(TOLD)
    call.lost(first, scene.now, "reset", sent=True)
    again = scene.ask(call)
    with pytest.raises(errors.MaybeDone, match="no such table"):
        call.told(again, scene.now, Refused("ProgrammingError", "no such table"))


def test_a_read_is_asked_again_wherever_it_likes() -> None:
    scene = Scene()
    call = call_of(scene, writes=False)
    first = scene.ask(call)
    call.silent(first)
    second = scene.ask(call)
    assert second != first
    call.lost(second, scene.now, "reset", sent=True)
    third = scene.ask(call)
    assert call.told(third, scene.now, answer((1,)))
    error = scene.end(call_of(scene, writes=False))
    assert isinstance(error, errors.Unavailable)


def test_a_coordinator_that_reaches_nobody_is_not_waited_for_to_the_end() -> None:
    """It is told that its caller waits for a part of the time only, and can still say that nothing was done."""
    scene = Scene()
    call = call_of(scene, seconds=10.0)
    scene.ask(call)
    assert call.left_us(scene.now) == TURN * 1e6
    call.told(A, scene.now, AWAY)
    scene.ask(call)
    assert call.left_us(scene.now) == 2 * TURN * 1e6
    assert call.left_us(call.deadline - 0.5) == pytest.approx(5e5)


def test_a_change_of_the_schema_is_tried_first() -> None:
    scene = Scene()
    call = call_of(scene, writes=False)
    first = scene.ask(call)
    assert call.told(first, scene.now, SchemaFits(3))


def test_random_faults_never_mint_two_versions_of_one_write() -> None:
    """Whatever is silent, lost or refuses: of all sends without a state at most one may have taken effect, and an error
    that means *not done* is raised only if none has."""
    ends = {"done": 0, "maybe": 0, "not": 0}
    for seed in range(400):
        rng, scene = Random(seed), Scene(seed)
        call = call_of(scene, seconds=rng.choice((0.03, 3.0)))
        minted = waiting = 0
        while True:
            step = call.next(scene.now)
            if isinstance(step, GiveUp):
                maybe = isinstance(step.error, errors.MaybeDone)
                assert maybe or not minted, seed
                ends["maybe" if maybe else "not"] += 1
                break
            if isinstance(step, Wait):
                scene.now += step.seconds + 1e-6
                continue
            address, fresh = step.address, call.outgoing(BODY).minted == b""
            call.sent(address)
            what = rng.random()
            if what < 0.2 and not waiting:
                call.lost(address, scene.now, "refused", sent=False)
                continue
            if what < 0.4 and fresh and not waiting:
                call.told(address, scene.now, AWAY)
                continue
            if fresh and not waiting:
                minted += 1
                waiting = 1
                if rng.random() < 0.6:
                    call.minted(TOLD)
            if what < 0.6:
                call.lost(address, scene.now, "reset", sent=True)
            elif what < 0.8:
                call.silent(address)
                scene.now += 0.3
            elif what < 0.9:
                call.told(address, scene.now, Unsure())
            else:
                assert call.told(address, scene.now, answer(rowcount=1))
                ends["done"] += 1
                break
        assert minted <= 1, seed
    assert all(ends.values()), ends
