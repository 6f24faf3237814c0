"""For each class of conflict and each resolver one outcome, the same on both replicas."""

from collections.abc import Callable
from typing import Any

import pytest

from quorate.core.versions.conflicts import Conflict, Record, discards, is_final, records
from quorate.core.versions.custom import Custom
from quorate.core.versions.dots import floor_of
from quorate.core.versions.outcomes import outcome
from quorate.core.versions.resolvers import Resolver, Spec, members_of, resolver_named
from quorate.core.versions.row import MISSING, Row, deaths_of, empty, is_live, lives_of, merge, shown, trimmed, update
from tests.core.versions.replicas import Replica, meet

KEY = 0
OLD, ONE, TWO = 10, 13, 21
"""What a scenario begins with, and what its two replicas write."""


def value(resolver: Resolver, number: int) -> Any:
    if resolver is Resolver.SET:
        return {OLD: "[1]", ONE: "[1,2]", TWO: "[3]"}[number]
    return str(number) if resolver is Resolver.CONCAT else number


def pair(resolver: Resolver) -> tuple[Replica, Replica]:
    """Of two replicas, the second has the later clock, and the better rank is the first's."""
    spec = Spec((resolver,), {1: 0, 2: 1})
    return Replica(spec, 1), Replica(spec, 2, skew_ms=5_000)


def begin(resolver: Resolver) -> tuple[Replica, Replica]:
    one, two = pair(resolver)
    one.write(KEY, "insert", {0: value(resolver, OLD)})
    two.receive_all(one)
    return one, two


def insert_insert(resolver: Resolver) -> tuple[Replica, Replica]:
    one, two = pair(resolver)
    one.write(KEY, "insert", {0: value(resolver, ONE)})
    two.write(KEY, "insert", {0: value(resolver, TWO)})
    return one, two


def update_update(resolver: Resolver) -> tuple[Replica, Replica]:
    one, two = begin(resolver)
    one.write(KEY, "update", {0: value(resolver, ONE)})
    two.write(KEY, "update", {0: value(resolver, TWO)})
    return one, two


def update_delete(resolver: Resolver) -> tuple[Replica, Replica]:
    one, two = begin(resolver)
    one.write(KEY, "update", {0: value(resolver, ONE)})
    two.write(KEY, "delete", {})
    return one, two


def delete_update(resolver: Resolver) -> tuple[Replica, Replica]:
    one, two = begin(resolver)
    one.write(KEY, "delete", {})
    two.write(KEY, "update", {0: value(resolver, TWO)})
    return one, two


def delete_delete(resolver: Resolver) -> tuple[Replica, Replica]:
    one, two = begin(resolver)
    one.write(KEY, "delete", {})
    two.write(KEY, "delete", {})
    return one, two


def insert_tombstone(resolver: Resolver) -> tuple[Replica, Replica]:
    """One deletes its own row; the other, which had not heard of it, inserts the same key."""
    one, two = pair(resolver)
    one.write(KEY, "insert", {0: value(resolver, OLD)})
    one.write(KEY, "delete", {})
    two.write(KEY, "insert", {0: value(resolver, TWO)})
    return one, two


def exchange(one: Replica, two: Replica) -> tuple[Row, list[Record]]:
    one.receive_all(two)
    two.receive_all(one)
    assert one.content() == two.content()
    row = one.rows[KEY]
    return row, records(row, one.spec)


SHOWN = {
    Resolver.LAST_WRITE_WINS: TWO,
    Resolver.PRIORITY: ONE,
    Resolver.KEEP: TWO,
    Resolver.CONCAT: "13\n21",
    Resolver.MAX: TWO,
    Resolver.MIN: ONE,
}
CHOSEN = [Resolver.LAST_WRITE_WINS, Resolver.PRIORITY, Resolver.KEEP]


@pytest.mark.parametrize("resolver", Resolver)
@pytest.mark.parametrize("scenario", [insert_insert, update_update])
def test_two_values(scenario: Callable[[Resolver], tuple[Replica, Replica]], resolver: Resolver) -> None:
    row, listed = exchange(*scenario(resolver))
    inserts = scenario is insert_insert
    expected = SHOWN | {Resolver.COUNTER: ONE + TWO - (0 if inserts else OLD)}
    expected |= {Resolver.SET: "[1,2,3]" if inserts else "[2,3]"}
    assert shown(row, Spec((resolver,), {1: 0, 2: 1})) == [expected[resolver]]
    assert [each.conflict for each in listed] == (
        [Conflict.INSERT_INSERT if inserts else Conflict.UPDATE_UPDATE] if resolver in CHOSEN else []
    )
    for each in listed:
        assert each.cells == ((0, ONE if expected[resolver] == TWO else TWO, expected[resolver]),)
        assert each.is_discard == (resolver is not Resolver.KEEP)
    told = outcome(Conflict.INSERT_INSERT if inserts else Conflict.UPDATE_UPDATE, resolver)
    assert ("listed" in told) == (resolver in CHOSEN)


@pytest.mark.parametrize("resolver", Resolver)
@pytest.mark.parametrize(("scenario", "conflict"), [(update_delete, "UPDATE_DELETE"), (delete_update, "DELETE_UPDATE")])
def test_a_delete_wins_over_what_it_had_not_seen(
    scenario: Callable[[Resolver], tuple[Replica, Replica]], conflict: str, resolver: Resolver
) -> None:
    one, two = scenario(resolver)
    row, listed = exchange(one, two)
    assert not is_live(row)
    assert [each.conflict for each in listed] == [Conflict[conflict]]
    assert listed[0].winner == deaths_of(row)[0]
    assert discards(listed) == 1
    meet([one, two])
    assert one.rows == {}


@pytest.mark.parametrize("resolver", Resolver)
def test_two_deletes_lose_nothing(resolver: Resolver) -> None:
    row, listed = exchange(*delete_delete(resolver))
    assert not is_live(row)
    assert [each.conflict for each in listed] == [Conflict.DELETE_DELETE]
    assert discards(listed) == 0


@pytest.mark.parametrize("resolver", Resolver)
def test_an_insert_stays_that_a_delete_had_not_seen(resolver: Resolver) -> None:
    row, listed = exchange(*insert_tombstone(resolver))
    assert shown(row, Spec((resolver,), {})) == [value(resolver, TWO)]
    assert [each.conflict for each in listed] == [Conflict.INSERT_TOMBSTONE]
    assert listed[0].winner == lives_of(row)[0]


@pytest.mark.parametrize("resolver", Resolver)
def test_an_update_of_a_forgotten_row_is_listed(resolver: Resolver) -> None:
    """Whoever writes so has not kept to the floor; the row does not come back."""
    one, two = begin(resolver)
    two.write(KEY, "update", {0: value(resolver, TWO)})
    one.write(KEY, "delete", {})
    floor = floor_of([one.seen])
    one.advance(floor)
    assert one.rows == {}
    one.receive(KEY, two.sent[-1][1], {})
    assert not is_live(one.rows[KEY])
    assert [each.conflict for each in records(one.rows[KEY], one.spec)] == [Conflict.MISSING_ROW]


@pytest.mark.parametrize("resolver", Resolver)
def test_a_value_of_a_newer_schema_waits_for_its_column(resolver: Resolver) -> None:
    wide, narrow = Spec((Resolver.KEEP, resolver)), Spec((Resolver.KEEP,))
    one = Replica(wide, 1)
    one.write(KEY, "insert", {0: "a", 1: value(resolver, TWO)})
    two = Replica(narrow, 2)
    two.receive_all(one)
    assert two.visible() == {KEY: ["a"]}
    assert Conflict.SCHEMA in [each.conflict for each in records(two.rows[KEY], narrow)]
    assert shown(two.rows[KEY], wide) == ["a", value(resolver, TWO)]


def test_a_column_that_came_later_shows_its_default() -> None:
    one = Replica(Spec((Resolver.KEEP,)), 1)
    one.write(KEY, "insert", {0: "a"})
    assert shown(one.rows[KEY], Spec((Resolver.KEEP, Resolver.KEEP))) == ["a", MISSING]


def test_a_loser_that_its_author_replaced_is_withdrawn() -> None:
    one, two = update_update(Resolver.LAST_WRITE_WINS)
    early = two.sent[-1]
    one.receive(*early, {})
    two_had = records(one.rows[KEY], one.spec)
    assert len(two_had) == 1
    one.receive_all(two)
    two.write(KEY, "update", {0: 30})  # two has not seen what one wrote, and goes over its own value
    row, listed = exchange(one, two)
    assert [each.loser[1] for each in listed] == [1]
    assert len(shown(row, one.spec)) == 1


def test_a_loser_stays_listed_when_the_winner_is_replaced() -> None:
    """It does not come back either: with `priority` it would go over a later write."""
    for resolver in (Resolver.LAST_WRITE_WINS, Resolver.PRIORITY):
        one, two = update_update(resolver)
        three = Replica(one.spec, 3, skew_ms=9_000)
        three.receive_all(one)
        three.receive_all(two)
        three.write(KEY, "update", {0: 99})
        row, listed = exchange(one, three)
        assert shown(row, one.spec) == [99]
        assert [each.conflict for each in listed] == [Conflict.UPDATE_UPDATE]


def test_a_record_is_final_when_all_have_seen_it() -> None:
    one, two = update_update(Resolver.LAST_WRITE_WINS)
    row, listed = exchange(one, two)
    assert not is_final(listed[0], {1: one.last})
    floor = floor_of([one.seen, two.seen])
    assert is_final(listed[0], floor)
    settled = trimmed(row, one.spec, floor)
    assert settled is not None
    assert records(settled, one.spec) == []


def test_resolving_replaces_all_values() -> None:
    one, two = update_update(Resolver.KEEP)
    row, listed = exchange(one, two)
    assert len(listed) == 1
    resolved = update(row, one.spec, one.dot(), {0: 34}, all_siblings=True)
    assert shown(resolved, one.spec) == [34]
    assert records(merge(row, resolved), one.spec) == []


def test_a_counter_is_not_reset_by_its_row_coming_back() -> None:
    """An increment that a delete had not seen is lost to it, and does not count in the row's next life."""
    one, two = begin(Resolver.COUNTER)
    two.write(KEY, "update", {0: OLD + 1})
    one.write(KEY, "delete", {})
    one.write(KEY, "insert", {0: 5})
    row, listed = exchange(one, two)
    assert shown(row, one.spec) == [5]
    assert [each.conflict for each in listed] == [Conflict.UPDATE_DELETE]


SUM = Custom("numbers:union", "0", lambda one, other: one | other)


@pytest.mark.parametrize("inserts", [True, False])
def test_a_resolver_of_ones_own_shows_what_it_makes_of_all(inserts: bool) -> None:
    spec = Spec((SUM,))
    one, two = Replica(spec, 1), Replica(spec, 2, skew_ms=5_000)
    if not inserts:
        one.write(KEY, "insert", {0: OLD})
        two.receive_all(one)
    one.write(KEY, "insert", {0: ONE})
    two.write(KEY, "insert", {0: TWO})
    row, listed = exchange(one, two)
    assert shown(row, spec) == [ONE | TWO]
    assert [each.conflict for each in listed] == [Conflict.INSERT_INSERT if inserts else Conflict.UPDATE_UPDATE]
    assert listed[0].cells == ((0, ONE, ONE | TWO),)
    assert discards(listed) == 0
    assert outcome(listed[0].conflict, SUM).startswith("what the function makes of both is shown")
    one.write(KEY, "update", {0: 1})
    two.receive_all(one)
    assert (two.visible(), records(two.rows[KEY], spec)) == ({KEY: [1]}, [])


def test_where_a_resolver_of_ones_own_fails_the_newest_is_shown() -> None:
    spec = Spec((Custom("numbers:fails", "0", lambda one, other: one / 0),))
    one, two = Replica(spec, 1), Replica(spec, 2, skew_ms=5_000)
    one.write(KEY, "insert", {0: ONE})
    two.write(KEY, "insert", {0: TWO})
    assert shown(exchange(one, two)[0], spec) == [TWO]


def test_a_resolver_of_ones_own_is_bound_to_its_file() -> None:
    assert resolver_named("custom:numbers:union", [SUM]) is SUM
    assert resolver_named(SUM.value, [SUM]) is SUM
    with pytest.raises(ValueError, match="another file of it"):
        resolver_named("custom:numbers:union#1", [SUM])
    with pytest.raises(ValueError, match="does not list numbers:max; it lists: numbers:union"):
        resolver_named("custom:numbers:max", [SUM])


def test_the_textbooks_stock() -> None:
    """Stock 20: one leader sells 1 while the other orders 20."""
    one, two = pair(Resolver.COUNTER)
    one.write(KEY, "insert", {0: 20})
    two.receive_all(one)
    one.write(KEY, "update", {0: 19})
    two.write(KEY, "update", {0: 40})
    row, _ = exchange(one, two)
    assert shown(row, one.spec) == [39]


def test_values_that_do_not_suit_a_resolver() -> None:
    with pytest.raises(ValueError, match="JSON array"):
        members_of("{}")
    with pytest.raises(ValueError, match="integer"):
        update(begin(Resolver.COUNTER)[0].rows[KEY], Spec((Resolver.COUNTER,)), (1 << 60, 1), {0: "x"})
    with pytest.raises(ValueError, match="merge:concat"):
        resolver_named("merge:sum")
    assert resolver_named("merge:max") is Resolver.MAX
    assert not is_live(empty())


def test_every_class_has_an_outcome_under_every_resolver() -> None:
    assert len(Conflict) == 12
    assert all(outcome(conflict, resolver) for conflict in Conflict for resolver in Resolver)
