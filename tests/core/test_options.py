"""What can be chosen of a database, and how what cannot be is refused."""

import sqlite3
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Raw, structs

from quorate.core.catalog import SCHEMA, Catalog, DatabaseRow, PartitionRow
from quorate.core.directory import Directory
from quorate.core.options import (
    DatabaseOptions,
    Known,
    Option,
    SingleLeaderOptions,
    Unfit,
    check,
    check_change,
    describe,
)
from quorate.core.proposals import Proposal
from quorate.core.recovered import Identity, Member
from quorate.core.requests import AlterDatabase, Answer, CreateDatabase, Done, Refused, Run
from quorate.core.statements import Failed, Result, Token


class NoLeaderOptions(DatabaseOptions, frozen=True, kw_only=True):
    merge: Annotated[str, Option("How two values become one.", ("newest", "both"), lambda text, _: text, "x.md")] = (
        "both"
    )


KNOWN: Known = {"single-leader": SingleLeaderOptions, "no-leader": NoLeaderOptions}
MEMBERS = tuple(Member(number, f"n{number}", f"h:{number}") for number in (1, 2, 3))
TOKEN = Token("t", 0)


def directory(options: str = '{"acks":"majority","failover":"auto"}') -> Directory:
    known = Directory(Identity("c", 1, "n1", 0, MEMBERS, 3))
    row = DatabaseRow("shop", "single-leader", options)
    known.load(Catalog(MEMBERS, (row,), (PartitionRow(1, "shop", 0, (1, 2, 3)),)))
    return known


def test_what_is_not_given_has_its_default_or_stays() -> None:
    assert check(KNOWN, "single-leader", {}, 1) == SingleLeaderOptions()
    before = SingleLeaderOptions(acks="sync", failover="manual")
    assert check(KNOWN, "single-leader", {"acks": "async"}, 3, before) == structs.replace(before, acks="async")
    assert describe({"acks": "sync", "failover": "manual"}) == "acks sync, failover manual"


@pytest.mark.parametrize(
    ("replication", "given", "replicas", "message", "hint", "error"),
    [
        ("chain", {}, 3, "there is no replication 'chain'", "there are: single-leader, no-leader", "NotSupportedError"),
        ("single-leader", {"akcs": "sync"}, 3, "there is no option 'akcs'", "there are: acks, failover", ""),
        ("single-leader", {"merge": "both"}, 3, "single-leader has no option 'merge'", "it is for no-leader", ""),
        ("single-leader", {"acks": "two"}, 3, "unknown acks 'two'", "semi-sync:K", ""),
        ("single-leader", {"acks": 2}, 3, "acks is a text, not 2", "semi-sync:K", ""),
        ("single-leader", {"acks": "semi-sync:3"}, 3, "3 replicas have 2 followers", "semi-sync:2 is the most", ""),
        ("single-leader", {"failover": "me"}, 3, "unknown failover 'me'", "there are: auto, manual, etcd", ""),
    ],
)
def test_what_no_database_can_be_is_refused_with_what_there_is(
    replication: str, given: dict[str, Any], replicas: int, message: str, hint: str, error: str
) -> None:
    with pytest.raises(Unfit) as caught:
        check(KNOWN, replication, given, replicas)
    assert message in str(caught.value)
    assert hint in caught.value.hint
    assert caught.value.error == (error or "ProgrammingError")


def test_a_change_is_looked_at_before_the_replication_is_known() -> None:
    assert check_change(KNOWN, {"merge": "newest"}) == {"merge": "newest"}
    for wrong, message in (({}, "nothing is to be changed"), ({"akcs": "x"}, "there is no option 'akcs'")):
        with pytest.raises(Unfit, match=message) as caught:
            check_change(KNOWN, wrong)
        assert {"acks", "failover", "merge"} <= set(caught.value.hint.removeprefix("there are: ").split(", "))


def test_the_catalogs_leader_refuses_what_a_client_did_not_look_at() -> None:
    known = directory()
    refused = known.creation(CreateDatabase("x", "chain", {}, 1, TOKEN))
    assert isinstance(refused, Refused)
    assert (refused.error, refused.message) == ("NotSupportedError", "there is no replication 'chain'")
    refused = known.alteration(AlterDatabase("shop", {"acks": "semi-sync:3"}, TOKEN))
    assert isinstance(refused, Refused)
    assert (refused.error, refused.hint) == ("ProgrammingError", "semi-sync:2 is the most")


def test_an_alteration_keeps_what_it_does_not_name() -> None:
    write = directory('{"acks":"sync","failover":"manual"}').alteration(AlterDatabase("shop", {"acks": "async"}, TOKEN))
    assert isinstance(write, Run)
    before, after, name = write.statements[0].sets[0]
    assert (before, name) == ('{"acks":"sync","failover":"manual"}', "shop")
    assert after == SingleLeaderOptions(acks="async", failover="manual").encode()


def test_of_two_alterations_at_once_the_second_is_told() -> None:
    """Both are decided on the same state, and each writes all options: the second would undo the first."""
    data = sqlite3.connect(":memory:")
    for sql in SCHEMA[:2]:
        data.execute(sql)
    data.execute(
        'INSERT INTO databases VALUES (\'shop\', \'single-leader\', \'{"acks":"majority","failover":"auto"}\')'
    )
    known = directory()
    first, second = (AlterDatabase("shop", each, TOKEN) for each in ({"acks": "sync"}, {"failover": "manual"}))
    for request in (first, second):
        write = known.alteration(request)
        assert isinstance(write, Run)
        (statement,) = write.statements
        if request is first:
            assert data.execute(statement.sql, statement.sets[0]).rowcount == 1
        else:
            with pytest.raises(sqlite3.IntegrityError, match="NOT NULL constraint failed"):
                data.execute(statement.sql, statement.sets[0])
    failed = Answer(Raw(msgspec.msgpack.encode(Failed("IntegrityError", "NOT NULL constraint failed"))))
    told = Proposal(1, second).answer(failed, "main, shop")
    assert (told.error, told.retryable) == ("ChangeUnderWay", False)
    nothing = Answer(Raw(msgspec.msgpack.encode(Done((Result((), [], 0),)))))
    assert Proposal(1, second).answer(nothing, "main").error == "UnknownDatabase", "it was dropped meanwhile"
