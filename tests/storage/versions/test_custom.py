"""Resolvers of programs in the data files of groups: chosen, pinned to a file, and missing on a node."""

import json
from collections.abc import Iterator

import pytest

from quorate.core.statements import Failed
from quorate.core.versions.custom import Custom
from quorate.storage.data.replica import Replica
from quorate.storage.interface import Lacking
from quorate.storage.versions.among import Among
from tests.storage.versions.groups import Group, exchange

CHOOSE = "INSERT INTO quorate_resolvers VALUES (?, ?, ?)"
TABLE = "CREATE TABLE pages(id INTEGER PRIMARY KEY, tags TEXT NOT NULL)"
UNION = Custom("merges:union", "aa", lambda one, other: json.dumps(sorted({*json.loads(one), *json.loads(other)})))
CHANGED = Custom("merges:union", "bb", UNION.function)


@pytest.fixture
def pair() -> Iterator[tuple[Group, Group]]:
    made = Group(1, custom=(UNION,)), Group(2, custom=(UNION,))
    yield made
    for each in made:
        each.close()


def write_apart(one: Group, other: Group) -> None:
    one.run(TABLE)
    one.run("INSERT INTO pages VALUES (1, '[]')")
    exchange([one, other])
    one.run("UPDATE pages SET tags = '[1]'")
    other.run("UPDATE pages SET tags = '[2]'")


def test_all_replicas_show_what_the_function_makes_of_the_values(pair: tuple[Group, Group]) -> None:
    one, other = pair
    one.run(CHOOSE, "pages", "tags", "custom:merges:union")
    write_apart(one, other)
    exchange(pair)
    for group in pair:
        for replica in (group.leader, *group.followers):
            assert group.rows("SELECT tags FROM pages", replica) == [("[1, 2]",)]
            listed = group.rows("SELECT resolver FROM quorate_conflicts", replica)
            assert set(listed) == {("custom:merges:union#aa",)}
    assert other.rows("SELECT resolver FROM quorate_resolvers") == [("custom:merges:union#aa",)]


def test_files_of_replicas_list_conflicts_too(tmp_path: object) -> None:
    pair = Group(1, tmp_path, custom=(UNION,)), Group(2, tmp_path, custom=(UNION,))  # type: ignore[arg-type]
    pair[0].run(CHOOSE, "pages", "tags", "custom:merges:union")
    write_apart(*pair)
    exchange(pair)
    for group in pair:
        assert group.rows("SELECT count(*) > 0 FROM quorate_conflicts") == [(1,)]
        group.close()


@pytest.mark.parametrize("name", ["custom:merges:other", "custom:union", "custom:merges:union#bb"])
def test_what_the_configuration_does_not_list_is_refused(pair: tuple[Group, Group], name: str) -> None:
    one, _ = pair
    one.run(TABLE)
    for table in ("pages", "later"):
        failed = one.refuses(f"INSERT INTO quorate_resolvers VALUES ('{table}', 'tags', '{name}')")
        assert failed.error == "OperationalError"
        assert "resolvers" in failed.hint
    assert one.rows("SELECT * FROM quorate_resolvers") == []


@pytest.mark.parametrize("lists", [(), (CHANGED,)], ids=["no file", "another file"])
def test_a_leader_that_lacks_the_file_takes_nothing(lists: tuple[Custom, ...]) -> None:
    one, other = Group(1, custom=(UNION,)), Group(2, followers=0, custom=lists)
    one.run(TABLE)
    one.run("INSERT INTO pages VALUES (1, '[]')")
    exchange([one, other])
    one.run(CHOOSE, "pages", "tags", "custom:merges:union")
    failed = other.pull(one)
    assert isinstance(failed, Failed)
    assert "custom:merges:union#aa" in failed.message
    assert other.rows("SELECT * FROM quorate_resolvers") == []
    other.run("UPDATE pages SET tags = '[2]'")  # it is not in force here
    other.custom = other.leader._writer.versions._custom = (UNION,)  # type: ignore[union-attr]
    exchange([one, other])
    assert one.rows("SELECT tags FROM pages") == other.rows("SELECT tags FROM pages") == [("[2]",)]
    for each in (one, other):
        each.close()


@pytest.mark.parametrize("lists", [(), (CHANGED,)], ids=["no file", "another file"])
def test_a_follower_that_lacks_the_file_stands_still(pair: tuple[Group, Group], lists: tuple[Custom, ...]) -> None:
    one, _ = pair
    one.run(TABLE)
    follower = Replica(":memory:", versioned=Among(1, lists))
    one.catch_up(follower)
    stood = follower.applied
    one.run(CHOOSE, "pages", "tags", "custom:merges:union")
    one.run("INSERT INTO pages VALUES (1, '[]')")
    for _ in range(2):
        with pytest.raises(Lacking, match="custom:merges:union#aa"):
            one.catch_up(follower)
        assert follower.applied == stood
    follower.close()


def test_a_leader_that_has_lost_the_file_refuses_writes(tmp_path: object) -> None:
    one = Group(1, tmp_path, followers=0, custom=(UNION,))  # type: ignore[arg-type]
    one.run(TABLE)
    one.run(CHOOSE, "pages", "tags", "custom:merges:union")
    one.leader.close()
    one.custom = (CHANGED,)
    one.leader = one._open("leader")
    assert one.rows("SELECT * FROM pages") == []
    with pytest.raises(AssertionError, match=r"Failed.*union#aa"):
        one.rows("SELECT * FROM quorate_conflicts")
    failed = one.refuses("INSERT INTO pages VALUES (1, '[]')")
    assert (failed.error, "custom:merges:union#aa" in failed.message) == ("OperationalError", True)
    one.leader.close()
    one.custom = (UNION,)
    one.leader = one._open("leader")
    one.run("INSERT INTO pages VALUES (1, '[]')")
    one.close()
