"""`quorate_resolvers`: how columns are told what to do with concurrent values, before their table is there or later."""

from collections.abc import Iterator

import pytest

from quorate.core.scripts import Evaluated
from tests.storage.versions.groups import Group, exchange, script

CHOOSE = "INSERT INTO quorate_resolvers VALUES (?, ?, ?)"
LIST = "SELECT * FROM quorate_resolvers"


@pytest.fixture
def pair() -> Iterator[tuple[Group, Group]]:
    made = Group(1), Group(2)
    yield made
    for each in made:
        each.close()


def agree(pair: tuple[Group, Group], sql: str) -> bool:
    shown = {str(each.rows(sql, replica)) for each in pair for replica in (each.leader, *each.followers)}
    return len(shown) == 1 and all(len(each.digests()) == 1 for each in pair)


def test_chosen_before_the_table_is_there(pair: tuple[Group, Group]) -> None:
    one, other = pair
    one.run(CHOOSE, "pages", "body", "merge:concat")
    one.run(CHOOSE, "pages", "n", "merge:counter")
    one.run("CREATE TABLE pages(id INTEGER PRIMARY KEY, body TEXT, n INT NOT NULL DEFAULT 0)")
    one.run("INSERT INTO pages VALUES (1, '', 10)")
    exchange(pair)
    other.now_us += 50_000
    for each in pair:
        each.run("UPDATE pages SET body = ?, n = n + 1", f"by {each.number}")
    exchange(pair)
    assert one.rows("SELECT body, n FROM pages") == [("by 1\nby 2", 12)]
    assert other.rows(LIST) == [("pages", "body", "merge:concat"), ("pages", "n", "merge:counter")]
    assert agree(pair, "SELECT * FROM pages")


def test_chosen_later(pair: tuple[Group, Group]) -> None:
    one, other = pair
    one.run("CREATE TABLE pages(id INTEGER PRIMARY KEY, body TEXT)")
    one.run("INSERT INTO pages VALUES (1, '')")
    exchange(pair)
    one.run("UPDATE pages SET body = 'by one'")
    other.now_us += 50_000
    other.run("UPDATE pages SET body = 'by the other'")
    exchange(pair)
    assert one.rows("SELECT body FROM pages") == [("by the other",)]
    one.run(CHOOSE, "pages", "body", "priority")
    exchange(pair)
    assert other.rows("SELECT body FROM pages") == [("by one",)]
    one.run("ALTER TABLE pages RENAME TO texts")
    one.run("ALTER TABLE texts RENAME COLUMN body TO said")
    exchange(pair)
    assert other.rows(LIST) == [("texts", "said", "priority")]
    assert agree(pair, "SELECT * FROM texts")
    one.run("DELETE FROM quorate_resolvers")
    exchange(pair)
    assert agree(pair, "SELECT * FROM texts")
    assert other.rows("SELECT said FROM texts") == [("by the other",)]


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        (("pages", "body", "newest"), "no resolver"),
        (("pages", "text", "keep"), "no column text"),
        (("pages", "id", "keep"), "no column id"),
        (("pages", "body", "merge:counter"), "merge:counter"),
        (("pages", "body", "custom:merges:longest"), "longest"),
    ],
)
def test_what_is_refused(pair: tuple[Group, Group], choice: tuple[str, str, str], why: str) -> None:
    one, _ = pair
    one.run("CREATE TABLE pages(id INTEGER PRIMARY KEY, body TEXT)")
    before = one.leader.digest()
    failed = one.refuses(f"INSERT INTO quorate_resolvers VALUES {choice}")
    assert why in failed.message
    assert one.leader.digest() == before
    (found,) = one.execute(script("INSERT INTO quorate_resolvers VALUES ('pages', 'body', 'keep')"))
    assert isinstance(found, Evaluated)
    assert one.leader.digest() == before


def test_what_goes_with_its_table(pair: tuple[Group, Group]) -> None:
    one, other = pair
    one.run("CREATE TABLE pages(id INTEGER PRIMARY KEY, body TEXT, more TEXT)")
    one.run("INSERT INTO quorate_resolvers VALUES ('pages', 'body', 'keep'), ('pages', 'more', 'keep')")
    one.run("ALTER TABLE pages DROP COLUMN body")
    exchange(pair)
    assert other.rows(LIST) == [("pages", "more", "keep")]
    one.run("DROP TABLE pages")
    exchange(pair)
    assert other.rows(LIST) == []
