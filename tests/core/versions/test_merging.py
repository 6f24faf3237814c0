"""Whatever arrives when, how often and in which order: replicas that have seen the same hold the same."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.core.versions import row as row_module
from quorate.core.versions.conflicts import records
from quorate.core.versions.custom import Custom
from quorate.core.versions.dots import covers
from quorate.core.versions.encoding import calm_of, decode_row, encode_row, encode_updated, looks_back
from quorate.core.versions.resolvers import AnyResolver, Resolver, Spec
from quorate.core.versions.row import Row, empty, insert, is_live, merge, trimmed, update
from tests.core.versions.replicas import Replica, meet

SPECS = {each.value: Spec((each, Resolver.LAST_WRITE_WINS), {1: 2, 2: 0, 3: 1}) for each in Resolver}
LONGEST = Custom("texts:longest", "0", lambda one, other: max(one, other, key=lambda each: (len(str(each)), str(each))))
SPECS["custom"] = Spec((LONGEST, Resolver.LAST_WRITE_WINS))
SPECS["mixed"] = Spec(tuple(Resolver), {1: 2, 2: 0, 3: 1})
SPECS["by row"] = Spec((Resolver.LAST_WRITE_WINS, Resolver.PRIORITY), {2: 0}, by_row=True)


def value_of(resolver: AnyResolver, number: int) -> Any:
    if resolver is Resolver.COUNTER:
        return number - 10
    if resolver is Resolver.SET:
        return str([each for each in range(5) if number & 1 << each])
    return [None, f"text {number}", number, f"{number}".encode(), number / 7][number % 5]


def write(replica: Replica, rng: Random) -> None:
    columns = list(enumerate(replica.spec.columns))
    some = rng.sample(columns, rng.randint(1, len(columns)))
    values = {column: value_of(resolver, rng.randrange(32)) for column, resolver in some}
    replica.write(rng.randrange(2), rng.choice(["upsert", "upsert", "upsert", "delete"]), values)


def live_through(spec: Spec, seed: int, steps: int = 30, *, floors: bool = False) -> list[Replica]:
    """Three replicas with wrong clocks write, restart, are wiped and hear of each other, now and then."""
    rng = Random(seed)
    replicas = [Replica(spec, origin, rng.randrange(-300_000, 300_000)) for origin in (1, 2, 3)]
    minted = 3
    for _ in range(steps):
        one, other = rng.sample(replicas, 2)
        what = rng.random()
        if what < 0.6:
            write(one, rng)
        elif what < 0.85:
            one.receive_all(other)
        elif what < 0.93 and floors:
            meet(replicas)
        elif what < 0.93 and other.sent:
            one.receive(*rng.choice(other.sent), other.floor)
        elif what < 0.97:  # a wiped disk is another origin
            minted += 1
            fresh = Replica(spec, minted, one.skew_ms)
            fresh.receive_all(other)
            if not floors:  # and what it alone had is gone
                replicas[replicas.index(one)] = fresh
    return replicas


@pytest.mark.parametrize("name", SPECS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_merging_is_a_lattice(name: str, seed: int) -> None:
    replicas = live_through(SPECS[name], seed)
    states: list[Row] = [decode_row(state) for each in replicas for key, state in each.sent if key == 0][-12:]
    rng = Random(seed)
    if not states:
        return
    whole = empty()
    for state in states:
        whole = merge(whole, state)
    for _ in range(3):
        again = [*states, *rng.choices(states, k=4)]
        rng.shuffle(again)
        half = rng.randrange(len(again))
        left, right = empty(), empty()
        for state in again[:half]:
            left = merge(left, state)
        for state in again[half:]:
            right = merge(state, right)
        assert encode_row(merge(left, right)) == encode_row(whole)
        assert encode_row(merge(whole, right)) == encode_row(whole)


@pytest.mark.parametrize("name", SPECS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1 << 32), floors=st.booleans())
def test_replicas_converge(name: str, seed: int, floors: bool) -> None:
    replicas = live_through(SPECS[name], seed, floors=floors)
    meet(replicas)
    contents = [each.content() for each in replicas]
    assert contents[0] == contents[1] == contents[2]
    for row in replicas[0].rows.values():  # with nothing on its way no tombstone is left
        assert is_live(row)


@pytest.mark.parametrize("name", SPECS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_what_was_forgotten_does_not_come_back(name: str, seed: int) -> None:
    """States from before the floor, of hints or of a disk long away, change nothing."""
    replicas = live_through(SPECS[name], seed, floors=True)
    meet(replicas)
    before = replicas[0].content()
    for key, state in [sent for each in replicas for sent in each.sent]:
        replicas[0].receive(key, state, {})
    assert replicas[0].content() == before


@pytest.mark.parametrize("name", SPECS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_a_write_is_shown_at_once_where_it_was_made(name: str, seed: int) -> None:
    spec, rng = SPECS[name], Random(seed)
    replicas = live_through(spec, seed)
    for one in replicas:
        for column, resolver in enumerate(spec.columns):
            value = value_of(resolver, rng.randrange(32))
            one.write(0, "upsert", {column: value})
            found = one.visible()[0][column]
            assert found == (value if resolver is not Resolver.SET else value.replace(" ", ""))


@pytest.mark.parametrize("name", ["last-write-wins", "priority"])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_one_that_chooses_leaves_no_losers_behind(name: str, seed: int) -> None:
    replicas = live_through(SPECS[name], seed, floors=True)
    meet(replicas)
    for row in replicas[0].rows.values():
        assert records(row, SPECS[name]) == []
        assert all(column < 0 or covers(replicas[0].floor, (stamp, origin)) for column, stamp, origin, _ in row.entries)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_no_increment_and_no_member_is_lost(seed: int) -> None:
    rng = Random(seed)
    spec = Spec((Resolver.COUNTER, Resolver.SET))
    replicas = [Replica(spec, origin, rng.randrange(-9_000, 9_000)) for origin in (1, 2, 3)]
    replicas[0].write(0, "insert", {0: 20, 1: "[]"})
    meet(replicas)
    total, members = 20, set()
    for number in range(rng.randrange(25)):
        one = rng.choice(replicas)
        amount = rng.randrange(-5, 6)
        count, held = one.visible()[0]
        member = f'"{number}"'
        inside = held.strip("[]").split(",") if held != "[]" else []
        one.write(0, "update", {0: count + amount, 1: "[" + ",".join([*inside, member]) + "]"})
        total += amount
        members.add(member)
        if rng.random() < 0.4:
            one.receive_all(rng.choice(replicas))
    meet(replicas)
    for each in replicas:
        assert each.visible()[0] == [total, "[" + ",".join(sorted(members)) + "]"]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_the_short_way_writes_the_same_bytes(seed: int) -> None:
    """For a row in which nothing is concurrent there is a way around looking at each entry."""
    rng = Random(seed)
    spec = Spec((Resolver.LAST_WRITE_WINS, Resolver.CONCAT, Resolver.MAX, Resolver.KEEP))
    stamps = [0, 0, 0, 0]
    row = insert(empty(), spec, (1, 1), [None, "a", 2, 0.5])
    floor: dict[int, int] = {}
    for step in range(2, 9):
        origin = rng.randint(1, 3)
        stamps[origin] = step
        dot = step, origin
        changed = {column: rng.choice([1, "x", None]) for column in rng.sample(range(4), rng.randint(1, 4))}
        calm = calm_of(encode_row(row))
        assert calm is not None
        after = trimmed(update(row, spec, dot, changed), spec, floor)
        assert after is not None
        assert encode_updated(calm, dot, changed, floor) == (encode_row(after), looks_back(after))
        row = decode_row(encode_row(after))
        if rng.random() < 0.3:
            floor = {each: stamps[each] for each in (1, 2, 3) if stamps[each]} | {1: max(1, stamps[1])}
            row = trimmed(row, spec, floor) or row


def always(*_: Any, **__: Any) -> bool:
    return True


def never(*_: Any, **__: Any) -> bool:
    return False


@pytest.mark.parametrize(
    ("what", "wrong"),
    [("_seen", never), ("_seen", always), ("_replace", never), ("covers", always), ("includes", always)],
)
def test_sabotage_is_seen(what: str, wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_module, what, wrong)
    assert not all(converges("last-write-wins", seed) for seed in range(12))


def converges(name: str, seed: int) -> bool:
    try:
        replicas = live_through(SPECS[name], seed, floors=True)
        meet(replicas)
        before = replicas[0].content()
        for key, state in [sent for each in replicas for sent in each.sent]:
            replicas[0].receive(key, state, {})
        assert before == replicas[0].content() == replicas[1].content() == replicas[2].content()
        assert all(is_live(row) for row in replicas[0].rows.values())
        assert all(records(row, SPECS[name]) == [] for row in replicas[0].rows.values())
        replicas[1].write(0, "upsert", {0: "new"})
        replicas[1].write(0, "upsert", {0: "newer"})  # of writes that are not concurrent none is listed
        assert records(replicas[1].rows[0], SPECS[name]) == []
        meet(replicas)
        assert [each.visible()[0][0] for each in replicas] == ["newer"] * 3
    except (AssertionError, KeyError, ValueError):
        return False
    return True


def test_it_converges_without_sabotage() -> None:
    assert all(converges("last-write-wins", seed) for seed in range(12))
