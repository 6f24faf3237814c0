"""A database of several leaders in the catalog: a group for each, none with a node of another."""

from types import SimpleNamespace
from typing import Any

import pytest

from quorate.core.catalog import PartitionRow
from quorate.core.directory import NEW_GROUP, NEW_REPLICA, _new_database
from quorate.core.options import MULTI_LEADER, MultiLeaderOptions, Unfit
from quorate.core.requests import NotLeader
from quorate.core.routes import elsewhere
from quorate.core.statements import Token


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


@pytest.mark.parametrize(
    ("group", "answer"),
    [
        (12, None),
        (0, NotLeader("", 12)),
        (11, NotLeader("a:1", 11)),
        (13, NotLeader("c:1", 13)),
        (99, NotLeader("", 12)),
    ],
)
def test_a_write_is_run_by_the_leader_that_its_token_names(group: int, answer: NotLeader | None) -> None:
    rows = tuple(PartitionRow(10 + node, "wiki", 0, (node,), leader=node) for node in (1, 2, 3))
    directory = SimpleNamespace(groups_for=lambda database: rows if database == "wiki" else rows[:1])
    addresses = {1: "a:1", 2: "b:1", 3: "c:1"}
    node: Any = SimpleNamespace(directory=directory, me=2, address_of=addresses.get)
    here: Any = SimpleNamespace(group=12, database="wiki")
    assert elsewhere(node, here, Token("t", 5, group)) == answer
    alone: Any = SimpleNamespace(group=12, database="shop")
    assert elsewhere(node, alone, Token("t", 5, group)) is None
    assert elsewhere(node, here, None) is None
