"""What all leaders have merged is settled: conflicts become final, and deletes are forgotten, without coming back."""

import random
from collections.abc import Sequence

import pytest

from quorate.core.entries import ORIGIN
from quorate.core.requests import Done
from quorate.core.statements import Failed
from quorate.core.streams import Merge
from quorate.core.versions.dots import flat, floor_of, unflat
from quorate.core.versions.resolvers import ByGroup
from quorate.storage.versions.base import Base
from quorate.storage.versions.merging import Merging
from quorate.storage.versions.within import Versions
from tests.storage.versions.groups import Group, exchange
from tests.storage.versions.test_whole import take_whole

STATES = "SELECT class, state, lost FROM quorate_conflicts ORDER BY 1, 3"


def seen_by(*groups: Group) -> tuple[int, ...]:
    """What these have merged."""
    known = [each.leader.streams for each in groups]
    return flat(floor_of([unflat(each.seen) for each in known if each is not None]))


def settle(group: Group, floor: tuple[int, ...]) -> object:
    (outcome,) = group.execute(Merge(group.number, ORIGIN, group.number, ORIGIN, floor=floor))
    return outcome


def kept(group: Group) -> int:
    """How many rows the base store holds."""
    with group.leader.pinned() as (connection, _):
        base = Base(connection, create=False)
        return sum([len(list(base.all_rows(number))) for number, *_ in base.versioned()])


def are_alike(groups: Sequence[Group]) -> bool:
    """Whether the base stores hold the same, byte by byte, and the tables too; and each group's replicas."""
    digests: set[str] = set()
    for each in groups:
        with each.leader.pinned() as (connection, _):
            digests.add(Versions(connection, 0, ByGroup(), base=Base(connection, create=False)).digest())
    return len(digests) == 1 and all(len(each.digests()) == 1 for each in groups)


@pytest.fixture
def three() -> tuple[Group, Group, Group]:
    groups = Group(1), Group(2), Group(3)
    groups[0].run("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT)")
    groups[0].run("INSERT INTO t VALUES (1, 'x'), (2, 'x'), (3, 'x')")
    exchange(groups)
    return groups


def test_a_conflict_becomes_final_and_a_delete_is_forgotten(three: tuple[Group, Group, Group]) -> None:
    one, other, _ = three
    one.run("UPDATE t SET a = 'one' WHERE id = 1")
    other.run("UPDATE t SET a = 'other' WHERE id = 1")
    one.run("DELETE FROM t WHERE id = 2")
    exchange(three)
    (conflict,) = one.rows(STATES)
    assert conflict[1] == "provisional"
    assert kept(one) == 3, "who deleted it has to be known"
    floor = seen_by(*three)
    for each in three:
        assert settle(each, floor) == Done(())
    assert [each.rows(STATES) for each in three] == [[("update/update", "final", conflict[2])]] * 3
    assert [kept(each) for each in three] == [2] * 3
    assert are_alike(three)
    assert one.leader.streams is not None
    assert one.leader.streams.floor == floor


def test_what_was_not_merged_here_is_not_settled(three: tuple[Group, Group, Group]) -> None:
    one, other, _ = three
    one.run("DELETE FROM t WHERE id = 2")
    outcome = settle(other, seen_by(one))
    assert isinstance(outcome, Failed), outcome


def _away(three: tuple[Group, Group, Group]) -> None:
    """The third leader hears nothing, and is not waited for."""
    one, other, third = three
    one.run("DELETE FROM t WHERE id = 2")
    other.run("DELETE FROM t WHERE id = 3")
    exchange((one, other))
    for each in (one, other):
        settle(each, seen_by(one, other))
    assert kept(one) == 1, "nothing tells any more that there were other rows"
    third.run("UPDATE t SET a = 'changed while away' WHERE id = 2")
    third.run("INSERT INTO t VALUES (4, 'made while away')")


def _came_back(three: tuple[Group, Group, Group]) -> None:
    for each in three:
        assert each.rows("SELECT * FROM t ORDER BY id") == [(1, "x"), (4, "made while away")]
        assert [conflict for conflict, *_ in each.rows(STATES)] == ["missing row"]
    for each in three:
        settle(each, seen_by(*three))
    assert [state for _, state, _ in three[0].rows(STATES)] == ["final"]
    assert are_alike(three)


def test_who_was_away_for_too_long_brings_nothing_back(three: tuple[Group, Group, Group]) -> None:
    _away(three)
    one, other, third = three
    assert take_whole(third, one, bytes_max=20) > 1
    for each in (one, other):
        each.pull(third)
    _came_back(three)


def test_a_resurrected_row_is_seen(three: tuple[Group, Group, Group], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Merging, "forget_rest", lambda *_: None)
    with pytest.raises(AssertionError):
        test_who_was_away_for_too_long_brings_nothing_back(three)


@pytest.mark.parametrize("resolver", ["last-write-wins", "keep", "merge:concat"])
@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_writes_and_absences(seed: int, resolver: str) -> None:
    rng = random.Random(seed)
    groups = [Group(each, followers=0) for each in (1, 2, 3)]
    groups[0].run("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT)")
    groups[0].run("INSERT INTO quorate_resolvers VALUES ('t', 'a', ?)", resolver)
    exchange(groups)
    for number in range(60):
        group = rng.choice(groups)
        key, chance = rng.randrange(4), rng.random()
        if chance < 0.3:
            group.run("INSERT INTO t VALUES (?, ?) ON CONFLICT DO UPDATE SET a = excluded.a", key, f"{number}")
        elif chance < 0.5:
            group.run("UPDATE t SET a = ? WHERE id = ?", f"{number}", key)
        elif chance < 0.7:
            group.run("DELETE FROM t WHERE id = ?", key)
        elif chance < 0.9:
            there = rng.sample(groups, 2)
            exchange(there)
        else:  # the third was away, and comes back
            one, other, third = rng.sample(groups, 3)
            exchange((one, other, one))
            for each in (one, other):
                settle(each, seen_by(one, other))
            take_whole(third, rng.choice((one, other)))
    exchange(groups)
    exchange(groups)
    for each in groups:
        settle(each, seen_by(*groups))
    assert len({tuple(each.rows("SELECT * FROM t ORDER BY id")) for each in groups}) == 1
    assert are_alike(groups)
