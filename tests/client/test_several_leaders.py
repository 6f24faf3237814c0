"""A database of several leaders: a connection stays with one, and no write is ever run by two."""

from functools import partial
from random import Random
from typing import Any

import pytest
from tests.client.fake import HANG_UP, FakeCluster, answer
from tests.client.fake import outcome as encoded
from tests.client.test_routing import A, B, C, Scene

from quorate import errors
from quorate.client.directory import Directory
from quorate.client.homes import packed, unpacked
from quorate.client.routing import Call, GiveUp, Wait
from quorate.core.bounds import INDEX_BITS
from quorate.core.read_levels import LEADER, SESSION
from quorate.core.requests import Answer, Cancelled, Leaders, NotLeader, Outcome
from quorate.core.statements import Token

GROUPS = {A: 11, B: 12, C: 13}
ADDRESSES = {group: address for address, group in GROUPS.items()}
TOKEN = Token("t:1", 5)


def told_by(call: Call, address: str, now: float) -> bool:
    """What a node of a database of three leaders says of this write; whether it has run it."""
    named = call.home.group
    if named == GROUPS[address]:
        return call.told(address, now, answer((1,)))
    home = ADDRESSES.get(named)
    call.told(address, now, NotLeader(home or "", named if home else GROUPS[address]))
    return False


def test_the_first_write_chooses_the_leader_that_it_reaches() -> None:
    scene = Scene()
    call = scene.call(token=TOKEN)
    first = scene.ask(call)
    assert not told_by(call, first, scene.now)
    assert scene.ask(call) == first
    assert call.token == Token("t:1", 0, GROUPS[first])
    assert told_by(call, first, scene.now)
    again = scene.call(token=Token("t:2", 7, GROUPS[first]))
    assert scene.ask(again) == first


def test_a_write_that_may_have_happened_goes_to_no_other_leader() -> None:
    """Whatever the others are asked: they send it home, until its time is over."""
    scene = Scene()
    scene.directory.homes["shop"] = GROUPS[A]
    scene.directory.leads("shop", A)
    call = scene.call(token=TOKEN)
    assert scene.ask(call) == A
    call.lost(A, scene.now, "reset", sent=True)
    for _ in range(20):
        address = scene.ask(call)
        if address == A:
            call.lost(A, scene.now, "refused", sent=False)
        else:
            assert not told_by(call, address, scene.now)
        assert call.home.group == GROUPS[A]
    error = scene.end(call)
    assert isinstance(error, errors.MaybeDone)
    assert unpacked("t:1", error.seen) == Token("t:1", 0, GROUPS[A])
    assert "outcome" in error.hint


def test_a_write_that_has_not_happened_goes_to_another_leader_when_its_own_is_lost() -> None:
    scene = Scene()
    scene.directory.homes["shop"] = GROUPS[A]
    scene.directory.leads("shop", A)
    call = scene.call(token=TOKEN)
    assert scene.ask(call) == A
    call.lost(A, scene.now, "refused", sent=False)
    other = scene.ask(call)
    assert other != A
    assert not told_by(call, other, scene.now)  # it belongs to A, which is lost
    assert scene.ask(call) == other
    assert not told_by(call, other, scene.now)  # this leader is to be named
    assert scene.ask(call) == other
    assert told_by(call, other, scene.now)
    assert scene.directory.homes["shop"] == GROUPS[other]


def test_it_stays_with_a_leader_that_is_only_slow() -> None:
    """It may still run what it was sent."""
    scene = Scene()
    scene.directory.homes["shop"] = GROUPS[A]
    scene.directory.leads("shop", A)
    call = scene.call(token=TOKEN)
    assert scene.ask(call) == A
    call.silent(A)
    other = scene.ask(call)
    assert not told_by(call, other, scene.now)
    assert scene.ask(call) == A
    assert told_by(call, A, scene.now)


def test_a_change_of_the_schema_visits_the_leader_that_orders_them() -> None:
    scene = Scene()
    scene.directory.homes["shop"] = GROUPS[B]
    scene.directory.leads("shop", B)
    call = scene.call(token=TOKEN)
    assert scene.ask(call) == B
    call.told(B, scene.now, NotLeader(A, GROUPS[A]))
    assert scene.ask(call) == A
    assert told_by(call, A, scene.now)
    assert scene.directory.homes["shop"] == GROUPS[B]
    assert scene.ask(scene.call(token=Token("t:2", 0, GROUPS[B]))) == B


def test_random_faults_never_let_two_leaders_run_one_write() -> None:
    moved = 0
    for seed in range(300):
        rng, scene = Random(seed), Scene(seed)
        scene.directory.homes["shop"] = GROUPS[A]
        call = scene.call(token=TOKEN, seconds=3.0)
        ran: set[str] = set()
        waits: set[str] = set()
        """Where it was sent, and may run yet."""
        done = False
        while not done and not isinstance(step := call.next(scene.now), GiveUp):
            if isinstance(step, Wait):
                scene.now += step.seconds + 1e-6
                continue
            address = step.address
            call.sent(address)
            what = rng.random()
            if what < 0.3 and address not in waits:
                call.lost(address, scene.now, "refused", sent=False)
                continue
            waits.discard(address)
            if call.home.group == GROUPS[address]:
                ran.add(address)  # also if nobody hears of it
            if what < 0.4:
                call.lost(address, scene.now, "reset", sent=True)
            elif what < 0.5:
                call.silent(address)
                waits.add(address)
                scene.now += 0.3
            else:
                done = told_by(call, address, scene.now)
        assert len(ran) <= 1, seed
        moved += len(scene.directory.homes) and scene.directory.homes["shop"] not in (GROUPS[A], 0)
    assert moved


def test_the_place_of_a_write_fits_into_one_number() -> None:
    token = Token("t", (1 << INDEX_BITS) - 1, 77)
    assert unpacked("t", packed(token)) == token
    assert packed(Token("t", 9)) == 9


class ThreeLeaders:
    """Fake nodes that each lead. `ran`: the tokens that each has run."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.ran: dict[int, list[str]] = {}
        self.lose: set[int] = set()
        groups = tuple([Leaders(10 + each.number, (each.address,)) for each in cluster.nodes])
        cluster.leaders = groups
        for node in cluster.nodes:
            node.script = partial(self.said, node.number)

    def said(self, number: int, body: Any) -> Any:
        token, group = getattr(body, "token", None), 10 + number
        if token is not None and token.group != group:
            home = [each for each in self.cluster.leaders if each.group == token.group]
            return NotLeader(home[0].addresses[0], home[0].group) if home else NotLeader("", group)
        if isinstance(body, Outcome):
            done = body.token.name in self.ran.get(number, [])
            return answer(rowcount=1) if done else Answer(encoded(Cancelled()), 7)
        if token is not None:
            self.ran.setdefault(number, []).append(token.name)
            if number in self.lose:
                return HANG_UP
        return Answer(answer((number,), rowcount=1).outcome, 7, 1, group)


def test_outcome_finds_the_leader(cluster: FakeCluster, face: Any) -> None:
    """The token says which leader, also in another process; a name alone is looked for at all of them."""
    three = ThreeLeaders(cluster)
    with face.connect(cluster.url, timeout=1.0) as connection:
        connection.execute("INSERT INTO t VALUES (1)")
        (home,) = three.ran
        three.lose.add(home)
        with pytest.raises(errors.MaybeDone) as caught:
            connection.execute("INSERT INTO t VALUES (2)", token="two", timeout=0.5)
        assert list(three.ran) == [home]
        three.lose.clear()
    with face.connect(cluster.url, timeout=2.0) as another:
        assert another.outcome("two", seen=caught.value.seen)[0].rowcount == 1
        assert another.outcome("two")[0].rowcount == 1
        with pytest.raises(errors.Cancelled):
            another.outcome("three")


def test_reads_and_writes_stay_with_one_leader_that_the_user_named() -> None:
    scene = Scene()
    scene.directory.several.add("shop")
    scene.directory.members([A, B, C, "127.0.0.1:9"], 1)
    home = scene.ask(scene.call(level=SESSION))
    assert {scene.ask(scene.call(level=SESSION)) for _ in range(20)} == {home}
    assert home == scene.ask(scene.call(token=TOKEN)) == scene.ask(scene.call(level=LEADER))
    scene.directory.leads("shop", C)
    assert scene.ask(scene.call(level=SESSION)) == C, "reads follow the leader that writes go to"
    scene.directory.failed(C, scene.now)
    scene.directory.failed(home, scene.now)
    assert scene.ask(scene.call(level=SESSION)) in {A, B, C} - {home}, "of those that were named"


def test_who_reads_by_a_key_stays_with_the_leader_of_that_key() -> None:
    for leading in (A, B, C):
        scene = Scene()
        directory = Directory([A, B, C], scene.rng, "somebody")
        directory.several.add("shop")
        first = directory.choose("shop", SESSION, (), scene.now)
        assert first == directory.choose("shop", LEADER, (), scene.now)
        directory.failed(leading, scene.now)
        assert (directory.choose("shop", SESSION, (), scene.now) == first) == (leading != first)
