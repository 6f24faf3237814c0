"""Changes of users, decided by the catalog's leader on what it has read."""

from types import SimpleNamespace
from typing import Any

import pytest

from quorate.core.auth import changes
from quorate.core.auth.record import INSERT, described, recorded
from quorate.core.auth.users import (
    CreateToken,
    CreateUser,
    DeleteToken,
    DeleteUser,
    GrantRole,
    GrantRow,
    Login,
    RevokeRole,
    SetPassword,
    TokenRow,
    UserRow,
    Users,
)
from quorate.core.changes import write_for
from quorate.core.directory import CHANGE_UNDER_WAY
from quorate.core.kernel import Now
from quorate.core.requests import DropDatabase, Refused, Run
from quorate.core.statements import Token
from quorate.wire.scram import make_verifier

NOW = Now(0, 1_000)
TOKEN = Token("t", 0)
TEXT = make_verifier("one", bytes(16), 1).text()
OTHER = make_verifier("two", bytes(16), 1).text()
ANN = Users((UserRow("ann", 5_000, TEXT),), (), (GrantRow("ann", "", "admin"),), "secret")


def decided(users: Users, body: Any, *, current: bool = True) -> Any:
    """What the leader of a catalog with these users, and a database `main`, makes of it."""
    catalog = SimpleNamespace(users=users, databases=[SimpleNamespace(name="main")])
    directory = SimpleNamespace(catalog=catalog, groups_for=lambda name: name == "main")
    node = SimpleNamespace(directory=directory, catalog=SimpleNamespace(at_rest=current), proposals={}, catalog_reads=0)
    return changes.write_for(node, NOW, body)  # type: ignore[arg-type]


def error(users: Users, body: Any) -> str:
    found = decided(users, body)
    assert isinstance(found, Refused), found
    return found.error


def texts(found: Any) -> list[tuple[str, Any]]:
    assert isinstance(found, Run)
    return [(each.sql.split("(")[0], each.sets) for each in found.statements]


def test_the_first_user_is_an_admin_and_makes_the_tables() -> None:
    assert error(Users(), CreateUser("ann", TEXT, TOKEN)) == "ProgrammingError"
    found = decided(Users(), CreateUser("ann", TEXT, TOKEN, admin=True))
    assert [sql for sql, _ in texts(found)][:5] == [
        "CREATE TABLE users", "CREATE TABLE user_tokens", "CREATE TABLE grants", "CREATE TABLE login_secret",
        "CREATE TABLE audit",
    ]  # fmt: skip
    assert texts(found)[-1] == ("INSERT INTO grants VALUES ", (("ann", "", "admin"),))


def test_a_second_request_for_the_same_user_is_done_or_told() -> None:
    assert decided(ANN, CreateUser("ann", TEXT, TOKEN)) is None
    assert error(ANN, CreateUser("ann", OTHER, TOKEN)) == "UserExists"


def test_while_another_change_is_on_its_way_nothing_is_decided() -> None:
    assert decided(ANN, DeleteUser("ann", TOKEN), current=False) == CHANGE_UNDER_WAY


@pytest.mark.parametrize("name", ["", "-x", "a b", "token:x", "x" * 64, "ä", "a/b", "a,b", "a=b"])
def test_not_every_text_is_a_name(name: str) -> None:
    assert error(ANN, CreateUser(name, TEXT, TOKEN)) == "ProgrammingError"


def test_a_new_password_has_a_later_stamp_whatever_the_clock_says() -> None:
    found = decided(ANN, SetPassword("ann", OTHER, TOKEN))
    assert texts(found)[-1][1] == (("ann", 5_001, OTHER),)
    assert decided(ANN, SetPassword("ann", TEXT, TOKEN)) is None


def test_only_verifiers_are_kept() -> None:
    for body in (
        CreateUser("bob", "pencil", TOKEN),
        SetPassword("ann", "pencil", TOKEN),
        CreateToken("ann", "abc", "pencil", 2_000, TOKEN),
    ):
        assert error(ANN, body) == "ProgrammingError"


@pytest.mark.parametrize("body", [DeleteUser("ann", TOKEN), RevokeRole("ann", "", "admin", TOKEN)], ids=repr)
def test_the_last_admin_stays(body: Any) -> None:
    assert error(ANN, body) == "ProgrammingError"
    two = Users((*ANN.users, UserRow("bob", 1, TEXT)), (), (*ANN.grants, GrantRow("bob", "", "admin")), "secret")
    assert isinstance(decided(two, body), Run)


def test_with_a_user_go_roles_and_tokens() -> None:
    bob = (GrantRow("bob", "main", "read"),)
    users = Users((*ANN.users, UserRow("bob", 1, TEXT)), (TokenRow("abc", "bob", TEXT, 9),), (*ANN.grants, *bob), "s")
    assert texts(decided(users, DeleteUser("bob", TOKEN))) == [
        ("DELETE FROM users WHERE name = ?", (("bob",),)),
        ("DELETE FROM grants WHERE name = ? AND database = ? AND role = ?", (("bob", "main", "read"),)),
        ("DELETE FROM user_tokens WHERE id = ?", (("abc",),)),
    ]


def test_roles_are_checked() -> None:
    assert error(ANN, GrantRole("bob", "main", "read", TOKEN)) == "UnknownUser"
    assert error(ANN, GrantRole("ann", "main", "monitor", TOKEN)) == "ProgrammingError"
    assert error(ANN, GrantRole("ann", "", "read", TOKEN)) == "ProgrammingError"
    assert error(ANN, GrantRole("ann", "else", "read", TOKEN)) == "UnknownDatabase"
    assert error(ANN, RevokeRole("ann", "else", "read", TOKEN)) == "UnknownDatabase"
    assert decided(ANN, GrantRole("ann", "", "admin", TOKEN)) is None
    assert decided(ANN, RevokeRole("ann", "main", "read", TOKEN)) is None


def test_with_a_database_go_the_roles_that_were_granted_of_it() -> None:
    users = Users(ANN.users, (), (*ANN.grants, GrantRow("ann", "main", "read")), "s")
    catalog = SimpleNamespace(users=users, changes=0, schemas=())
    node: Any = SimpleNamespace(directory=SimpleNamespace(catalog=catalog), proposals={})
    found = texts(write_for(node, NOW, DropDatabase("main", TOKEN)))
    assert found[0][1] == (("ann", "main", "read"),)
    assert found[-1] == ("DELETE FROM databases WHERE name = ?", (("main",),))


def test_tokens_are_checked() -> None:
    users = Users(ANN.users, (TokenRow("abc", "ann", TEXT, 9_000),), ANN.grants, "s")
    assert error(users, CreateToken("bob", "new", TEXT, 2_000, TOKEN)) == "UnknownUser"
    assert error(users, CreateToken("ann", "new", TEXT, 1_000, TOKEN)) == "ProgrammingError"
    assert error(users, CreateToken("ann", "abc", OTHER, 2_000, TOKEN)) == "UserExists"
    assert decided(users, CreateToken("ann", "abc", TEXT, 2_000, TOKEN)) is None
    assert error(users, DeleteToken("new", TOKEN)) == "UnknownUser"
    assert isinstance(decided(users, DeleteToken("abc", TOKEN)), Run)


def test_a_change_is_recorded_in_the_write_that_makes_it() -> None:
    body = GrantRole("ann", "main", "read", TOKEN)
    write = decided(ANN, body)
    found = recorded(write, Login("ann", 5_000, origin="10.0.0.9"), body, NOW)
    assert found.statements[-1] == write.statements[-1]
    assert found.statements[-2].sql == INSERT
    assert found.statements[-2].sets == (
        (1_000, "ann", "10.0.0.9", '{"change":"grant_role","name":"ann","database":"main","role":"read"}'),
    )
    assert found.token == write.token


CERTIFICATE = "certificate$" + "ab" * 16


def test_a_user_may_log_in_by_a_certificate_but_one_admin_keeps_a_password() -> None:
    assert error(Users(), CreateUser("ann", CERTIFICATE, TOKEN, admin=True)) == "ProgrammingError"
    assert error(ANN, SetPassword("ann", CERTIFICATE, TOKEN)) == "ProgrammingError"
    made = texts(decided(ANN, CreateUser("bob", CERTIFICATE, TOKEN, admin=True)))
    assert made[0][1][0][2] == CERTIFICATE
    both = Users((*ANN.users, UserRow("bob", 6_000, CERTIFICATE)), (), (*ANN.grants, GrantRow("bob", "", "admin")), "s")
    assert error(both, DeleteUser("ann", TOKEN)) == "ProgrammingError"
    assert isinstance(decided(both, DeleteUser("bob", TOKEN)), Run)
    assert decided(both, CreateUser("bob", CERTIFICATE, TOKEN)) is None, "this request came twice"
    assert error(both, CreateUser("bob", "certificate$" + "cd" * 16, TOKEN)) == "UserExists", "somebody else's"
    assert error(both, SetPassword("bob", "certificate$x", TOKEN)) == "ProgrammingError"
    assert '"login":"certificate"' in described(SetPassword("bob", CERTIFICATE, TOKEN))
    assert CERTIFICATE not in described(SetPassword("bob", CERTIFICATE, TOKEN))
