"""A database of several leaders in the catalog: a group for each, none with a node of another."""

from typing import Any

import pytest

from quorate.core.directory import NEW_GROUP, NEW_REPLICA, _new_database
from quorate.core.options import MULTI_LEADER, MultiLeaderOptions, Unfit


def rows_of(statements: list[Any], sql: str) -> list[Any]:
    return [row for each in statements if each.sql == sql for row in each.sets]


@pytest.mark.parametrize(
    ("leaders", "groups"),
    [
        ("all", ((1,), (2,), (3,), (4,))),
        ("2", ((1, 3), (2, 4))),
        ("1", ((1, 2, 3, 4),)),
        ("4", ((1,), (2,), (3,), (4,))),
    ],
)
def test_each_leader_has_a_group_of_its_own(leaders: str, groups: tuple[tuple[int, ...], ...]) -> None:
    options = MultiLeaderOptions(leaders=leaders)
    assert tuple(tuple(group) for group in options.placed((1, 2, 3, 4))) == groups
    written = _new_database("wiki", MULTI_LEADER, options, options.placed((1, 2, 3, 4)))
    assert rows_of(written, NEW_GROUP) == [("wiki", number) for number in range(1, len(groups) + 1)]
    assert rows_of(written, NEW_REPLICA) == [
        ("wiki", number, node) for number, nodes in enumerate(groups, 1) for node in nodes
    ]


@pytest.mark.parametrize("text", ["0", "5", "-1", "two", "", "1.0", "\u0661"])
def test_more_leaders_than_replicas_are_refused(text: str) -> None:
    with pytest.raises(Unfit):
        MultiLeaderOptions(leaders=text).check_replicas(4)


def test_the_number_of_leaders_does_not_change() -> None:
    with pytest.raises(Unfit, match="chosen when it is created"):
        MultiLeaderOptions(leaders="2").check_change(MultiLeaderOptions())
    MultiLeaderOptions(topology="ring").check_change(MultiLeaderOptions())
