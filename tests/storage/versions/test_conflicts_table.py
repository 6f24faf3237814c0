"""`quorate_conflicts`: what it lists, and how a conflict is undone or resolved in it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.core.requests import Done
from quorate.core.scripts import Evaluated
from tests.storage.versions.groups import Group, exchange, script

LIST = 'SELECT id, "table", class, key, lost, shown, lost_by, shown_by, resolver, state FROM quorate_conflicts'


@pytest.fixture(params=["memory", "files"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Group, Group]]:
    folder = tmp_path if request.param == "files" else None
    made = Group(1, folder), Group(2, folder)
    made[0].run("CREATE TABLE pages(id TEXT NOT NULL PRIMARY KEY, body TEXT, n INT, mail TEXT UNIQUE)")
    made[0].run("INSERT INTO pages VALUES ('home', 'old', 1, NULL)")
    exchange(made)
    yield made
    for each in made:
        each.close()


def edit(pair: tuple[Group, Group]) -> None:
    """Both edit the same page; the second one's edit is the later."""
    one, other = pair
    one.run("UPDATE pages SET body = 'by one', n = 5")
    other.now_us += 100_000
    other.run("UPDATE pages SET body = 'by the other'")
    exchange(pair)


def test_what_it_lists(pair: tuple[Group, Group]) -> None:
    edit(pair)
    for each in pair:
        for replica in (each.leader, *each.followers):
            ((_, *told),) = each.rows(LIST, replica)
            assert told == [
                "pages", "update/update", '["home"]', '{"body":"by one"}', '{"body":"by the other"}', 1, 2,
                "last-write-wins", "provisional",
            ]  # fmt: skip
    (row,) = pair[0].rows("SELECT row, against, shown_at - lost_at > 0 FROM quorate_conflicts")
    assert (json.loads(row[0]), row[1:]) == ({"id": "home", "body": "by the other", "n": 5, "mail": None}, (None, 1))
    assert pair[0].rows(LIST) == pair[1].rows(LIST)


def test_undo(pair: tuple[Group, Group]) -> None:
    edit(pair)
    one, other = pair
    ((name, *_),) = one.rows(LIST)
    assert one.run("UPDATE quorate_conflicts SET shown = lost WHERE id = ?", name, token="undo").rowcount == 1
    exchange(pair)
    assert other.rows("SELECT body, n FROM pages") == [("by one", 5)]
    assert [each.rows(LIST) for each in pair] == [[], []]
    assert all(len(each.digests()) == 1 for each in pair)


def test_resolving_with_what_is_shown_already(pair: tuple[Group, Group]) -> None:
    edit(pair)
    one, other = pair
    one.run("UPDATE quorate_conflicts SET shown = shown")
    exchange(pair)
    assert other.rows("SELECT body FROM pages") == [("by the other",)]
    assert [each.rows(LIST) for each in pair] == [[], []]
    assert all(len(each.digests()) == 1 for each in pair)


def test_resolving_with_another_value_in_a_transaction(pair: tuple[Group, Group]) -> None:
    edit(pair)
    one, other = pair
    resolve = "UPDATE quorate_conflicts SET shown = json_object('body', shown ->> 'body' || '; ' || (lost ->> 'body'))"
    (found,) = one.execute(script(resolve))
    assert isinstance(found, Evaluated)
    assert len(one.rows(LIST)) == 1, "what was undone has resolved a conflict"
    one.run("UPDATE pages SET n = 6")
    assert len(one.rows(LIST)) == 1, "what was undone has resolved a conflict"
    one.run(resolve)
    exchange(pair)
    assert other.rows("SELECT body, n FROM pages") == [("by the other; by one", 6)]
    assert [each.rows(LIST) for each in pair] == [[], []]


def test_a_conflict_that_is_not_of_cells(pair: tuple[Group, Group]) -> None:
    one, other = pair
    one.run("INSERT INTO pages(id, mail) VALUES ('a', 'm')")
    other.now_us += 100_000
    other.run("INSERT INTO pages(id, mail) VALUES ('b', 'm')")
    exchange(pair)
    assert one.rows("SELECT class, key, against, row FROM quorate_conflicts") == [("unique", '["b"]', '[["a"]]', None)]
    assert "not of cells" in one.refuses("UPDATE quorate_conflicts SET shown = lost").message


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("DELETE FROM quorate_conflicts", "a write replaces all values"),
        ("INSERT INTO quorate_conflicts(id) VALUES (1)", "come by themselves"),
        ("UPDATE quorate_conflicts SET shown = 'x'", "a JSON object"),
        ("UPDATE quorate_conflicts SET shown = json_object('id', 1)", "no column id"),
    ],
)
def test_what_is_refused(pair: tuple[Group, Group], sql: str, why: str) -> None:
    edit(pair)
    assert why in pair[0].refuses(sql).message
    assert len(pair[1].rows(LIST)) == 1


def test_a_row_that_is_gone(pair: tuple[Group, Group]) -> None:
    one, other = pair
    one.run("UPDATE pages SET body = 'by one'")
    other.now_us += 100_000
    other.run("DELETE FROM pages")
    exchange(pair)
    ((_, *told),) = one.rows(LIST)
    assert told[1] == "update/delete"
    assert "shows no such row" in one.refuses("UPDATE quorate_conflicts SET shown = lost").message
    (done,) = one.execute(script("SELECT 1"))
    assert not isinstance(done, Done)
