"""Who may do what: each request is decided by what the node knows of its user."""

from typing import Any, get_args

import pytest

from quorate.core.auth.access import OFF, ON, UNKNOWN, Access
from quorate.core.auth.needs import ADMIN_ONLY, need_of, rank_of
from quorate.core.auth.record import described
from quorate.core.auth.roles import OWNER, READ, SCHEMA, WRITE, rights_of
from quorate.core.auth.users import CreateToken, CreateUser, GrantRow, Login, SetPassword, TokenRow, UserRow, Users
from quorate.core.calls import EndLogins
from quorate.core.catalog import DATABASES_QUERY
from quorate.core.copy_requests import OpenCopy
from quorate.core.kernel import Now
from quorate.core.requests import DropDatabase, Failover, LostAsk, Outcome, RequestBody, Run, Status
from quorate.core.scripts import Script, Step
from quorate.core.statements import Statement, Token

SECOND = 1_000_000
NOW = Now(10 * SECOND, 1_000 * SECOND)
ANN, BOB = UserRow("ann", 1, "v-ann"), UserRow("bob", 2, "v-bob")
ADMIN = GrantRow("ann", "", "admin")
AS_ANN, AS_BOB = Login("ann", 1), Login("bob", 2)


def access(*grants: GrantRow, tokens: tuple[TokenRow, ...] = (), trusted: bool = False) -> tuple[Access, list[Any]]:
    """One that knows ann, an admin, and bob with these; and its effects from here on."""
    effects: list[Any] = []
    found = Access(effects.append, 300 * SECOND, trusted=trusted)
    found.load(Users((ANN, BOB), tokens, (ADMIN, *grants), "secret"))
    found.heard_leader(NOW.mono_us, 1, 1)
    effects.clear()
    return found, effects


SAMPLES: dict[str, Any] = {
    "statements": (),
    "statement": Statement("SELECT 1"),
    "steps": (),
    "commit": False,
    "load": False,
    "members_only": False,
}
"""What fields of requests must have for their needs to be told; the others may have anything."""


def run(sql: str, database: str = "main") -> Run:
    return Run(database, (Statement(sql),), token=Token("t", 0))


def refused(found: Access, login: Login | None, body: Any, now: Now = NOW) -> str:
    """The error's name; empty: it may be done."""
    refusal = found.refusal(login, body, now)
    return refusal.error if refusal is not None else ""


SELECT, INSERT, CREATE = run("SELECT 1"), run("INSERT INTO t VALUES (1)"), run("CREATE TABLE u(x)")
DROP = DropDatabase("main", Token("t", 0))
LADDER = [SELECT, INSERT, CREATE, DROP]


@pytest.mark.parametrize(("role", "may"), [("read", 1), ("write", 2), ("schema", 3), ("owner", 4)])
def test_a_role_of_a_database_includes_those_before_it(role: str, may: int) -> None:
    found, _ = access(GrantRow("bob", "main", role))
    assert [refused(found, AS_BOB, body) for body in LADDER] == [""] * may + ["PermissionDenied"] * (4 - may)
    assert refused(found, AS_BOB, run("SELECT 1", "other")) == "PermissionDenied"


def test_an_admin_may_do_everything() -> None:
    found, _ = access()
    for body in [*LADDER, run("SELECT * FROM users", "quorate"), Status(), LostAsk("main", 1, 1, 1)]:
        assert not refused(found, AS_ANN, body)


@pytest.mark.parametrize(
    ("role", "body"),
    [
        ("monitor", Status()),
        ("monitor", run(DATABASES_QUERY, "quorate")),
        ("backup", OpenCopy("main", "linearizable")),
        ("operator", Failover("main")),
        ("operator", Status()),
    ],
    ids=repr,
)
def test_a_role_of_the_cluster_permits_its_part(role: str, body: Any) -> None:
    found, _ = access(GrantRow("bob", "", role))
    assert not refused(found, AS_BOB, body)
    assert refused(access()[0], AS_BOB, body) == "PermissionDenied"
    assert refused(found, AS_BOB, SELECT) == "PermissionDenied"
    assert refused(found, AS_BOB, run("SELECT verifier FROM users", "quorate")) == "PermissionDenied"
    assert refused(found, AS_BOB, OpenCopy("quorate", "linearizable")) == "PermissionDenied"


def test_the_words_are_the_same_on_every_node() -> None:
    one, _ = access(GrantRow("bob", "main", "read"))
    other, _ = access(GrantRow("bob", "main", "read"))
    assert one.refusal(AS_BOB, INSERT, NOW) == other.refusal(AS_BOB, INSERT, Now(NOW.mono_us + 5, 7))


def test_a_transaction_needs_what_its_statements_need() -> None:
    steps = (Step(Statement("SELECT 1")), Step(Statement("UPDATE t SET x = 1")))
    assert need_of(Script("main", steps[:1])).rank == READ
    assert need_of(Script("main", steps[:1], commit=True)).rank == WRITE
    assert need_of(Script("main", steps)).rank == WRITE
    assert need_of(Outcome("main", Token("t", 0))).rank == WRITE


@pytest.mark.parametrize(
    ("sql", "rank"),
    [
        ("SELECT 1", READ),
        ("EXPLAIN DELETE FROM t", READ),
        ("", READ),
        ("WITH replace(x) AS (SELECT 1) INSERT INTO t SELECT x FROM replace", WRITE),
        ("DELETE FROM t RETURNING *", WRITE),
        ("/* x */ CREATE TABLE u AS SELECT 1", SCHEMA),
        ("DROP TABLE t", SCHEMA),
        ("ALTER TABLE t ADD COLUMN y", SCHEMA),
        ("PRAGMA user_version = 5", SCHEMA),
        ("ANALYZE", SCHEMA),
        ("REINDEX", SCHEMA),
        ("PRAGMA user_version", READ),
    ],
)
def test_the_rank_is_told_from_the_text(sql: str, rank: int) -> None:
    assert rank_of((Statement(sql),)) == rank


def test_imports_switch_triggers_off_and_need_the_schema() -> None:
    assert need_of(Run("main", (Statement("INSERT INTO t VALUES (1)"),), load=True)).rank == SCHEMA


def test_a_kind_of_request_that_nobody_thought_of_is_for_admins() -> None:
    known = {kind.__name__ for kind in get_args(RequestBody)}
    admins = {"CreateUser", "SetPassword", "DeleteUser", "GrantRole", "RevokeRole", "CreateToken", "DeleteToken"}
    admins |= {"SetTls", "RevokeCertificate"}
    for_others = {"Run", "Outcome", "CreateDatabase", "AlterDatabase", "LostAsk", "Replay", "Status", "Verify"}
    for_others |= {"Upgrade", "AddMember", "RemoveMember", "ReplaceMember", "Failover", "OpenCopy", "ReadCopy"}
    for_others |= {"OpenView", "ReadView", "CloseView"}
    for_others |= {"DropDatabase", "Script", "BeginAttempt", "LetGo", "WriteRow", "ReadRow", "RunRow", "ChangeSchema"}
    assert known == admins | for_others
    for kind in get_args(RequestBody):
        values = {name: SAMPLES.get(name, "") for name in kind.__struct_fields__}
        assert (need_of(kind(**values)) == ADMIN_ONLY) == (kind.__name__ in admins), kind
    assert need_of(object()) == ADMIN_ONLY


def test_while_there_is_no_user_everybody_may_do_everything() -> None:
    found = Access(lambda _effect: None, 300 * SECOND, trusted=False)
    assert found.mode == UNKNOWN
    assert refused(found, None, run("SELECT * FROM users", "quorate")) == "Unavailable"
    found.load(Users())
    assert found.mode == OFF
    assert not found.guards
    assert not refused(found, None, INSERT)


def test_the_first_user_ends_what_has_no_name() -> None:
    effects: list[Any] = []
    found = Access(effects.append, 300 * SECOND, trusted=False)
    found.load(Users())
    found.load(Users((ANN,), (), (ADMIN,), "secret"))
    assert EndLogins((), nameless=True) in effects
    assert found.mode == ON
    assert refused(found, None, SELECT) == "AuthenticationError"


def test_who_has_the_folder_needs_no_login() -> None:
    found, _ = access(trusted=True)
    assert not found.guards
    assert not refused(found, None, INSERT)


@pytest.mark.parametrize(
    "after",
    [
        Users((ANN,), (), (ADMIN,), "secret"),
        Users((ANN, UserRow("bob", 3, "v")), (), (ADMIN, GrantRow("bob", "main", "write")), "secret"),
        Users((ANN, BOB), (), (ADMIN, GrantRow("bob", "main", "read")), "secret"),
    ],
    ids=["deleted", "new password", "role revoked"],
)
def test_what_is_taken_away_ends_the_connections_of_that_user(after: Users) -> None:
    found, effects = access(GrantRow("bob", "main", "write"))
    found.load(after)
    assert effects == [EndLogins(("bob",))]
    assert refused(found, AS_BOB, INSERT)


def test_what_is_given_ends_nothing() -> None:
    found, effects = access(GrantRow("bob", "main", "read"))
    found.load(Users((ANN, BOB), (), (ADMIN, GrantRow("bob", "main", "owner")), "secret"))
    assert effects == []


def test_a_token_is_its_user_until_it_expires() -> None:
    token = TokenRow("abc", "bob", "v-token", NOW.wall_us + SECOND)
    found, effects = access(GrantRow("bob", "main", "read"), tokens=(token,))
    login = Login("bob", 2, "abc")
    assert found.verifier("token:abc", NOW) == ("v-token", login)
    assert not refused(found, login, SELECT)
    later = Now(NOW.mono_us, token.expires_us)
    assert found.verifier("token:abc", later) is None
    assert refused(found, login, SELECT, later) == "AuthenticationError"
    found.load(Users((ANN, BOB), (), (ADMIN, GrantRow("bob", "main", "read")), "secret"))
    assert effects == [EndLogins(("bob",))]
    assert refused(found, login, SELECT) == "AuthenticationError"
    assert not refused(found, AS_BOB, SELECT)


def test_a_name_that_does_not_exist_has_no_verifier() -> None:
    found, _ = access()
    assert found.verifier("carl", NOW) is None
    assert found.verifier("token:carl", NOW) is None
    assert found.verifier("bob", NOW) == ("v-bob", AS_BOB)


def test_a_node_that_is_cut_off_for_long_refuses_clients() -> None:
    found, _ = access(GrantRow("bob", "main", "read"), GrantRow("bob", "", "monitor"))
    late = Now(NOW.mono_us + 300 * SECOND + 1, NOW.wall_us)
    assert not refused(found, AS_BOB, SELECT, Now(late.mono_us - 1, NOW.wall_us))
    refusal = found.refusal(AS_BOB, SELECT, late)
    assert refusal is not None
    assert refusal.error == "Unavailable"
    assert refusal.retryable
    assert not refused(found, AS_BOB, Status(), late)
    found.heard_leader(late.mono_us, 1, 1)
    assert not refused(found, AS_BOB, SELECT, late)


def test_a_node_that_hears_the_leader_and_has_not_applied_what_is_committed_is_as_old_as_what_it_has_applied() -> None:
    found, _ = access(GrantRow("bob", "main", "read"))
    late = NOW.mono_us + 300 * SECOND + 1
    found.heard_leader(NOW.mono_us + SECOND, 7, 1)
    assert found.fresh_us == NOW.mono_us, "what was committed by then is applied, and no more"
    found.heard_leader(late, 9, 6)
    assert found.stale(late + SECOND)
    found.heard_leader(late + SECOND, 9, 7)
    assert found.fresh_us == NOW.mono_us + SECOND
    found.heard_leader(late + 2 * SECOND, 10, 10)
    assert not found.stale(late + 2 * SECOND)


def test_a_node_that_has_just_started_has_heard_nobody() -> None:
    found = Access(lambda _effect: None, 300 * SECOND, trusted=False)
    found.load(Users((ANN,), (), (ADMIN,), "secret"))
    assert found.stale(0), "a machine that has just started counts from 0"


def test_rights_cover_what_is_less() -> None:
    much = rights_of([("main", "owner"), ("", "operator")])
    assert much.covers(rights_of([("main", "read"), ("", "monitor")]))
    assert not much.covers(rights_of([("other", "read")]))
    assert not much.covers(rights_of([("", "backup")]))
    assert rights_of([("", "admin")]).covers(rights_of([("any", "owner")]))
    assert much.databases == {"main": OWNER}


def test_the_record_has_no_secrets() -> None:
    token = Token("t", 0)
    for body in (
        CreateUser("bob", "hidden", token),
        SetPassword("bob", "hidden", token),
        CreateToken("bob", "abc", "hidden", 5, token),
    ):
        assert "hidden" not in described(body) + repr(body)
        assert '"bob"' in described(body)
    assert "hidden" not in repr(UserRow("bob", 1, "hidden")) + repr(TokenRow("abc", "bob", "hidden", 1))
