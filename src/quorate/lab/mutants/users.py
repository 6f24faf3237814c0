"""Mutants of users and roles: what is not checked, not applied, or not ended."""

from typing import Any

from quorate.core.auth import needs, record, roles
from quorate.core.auth.access import Access
from quorate.core.auth.roles import DATABASE_ROLES, Rights
from quorate.core.auth.users import Login, Users
from quorate.core.calls import EndLogins
from quorate.core.kernel import Now
from quorate.core.node import Node
from quorate.core.requests import Refused
from quorate.lab.mutants.sabotage import Mutant, Swap


def _only_adds(original: Any) -> Any:
    def load(access: Access, users: Users, revoked: Any = ()) -> None:
        kept = vars(access).setdefault("kept", {})
        kept.update(dict.fromkeys(users.grants))
        original(access, Users(users.users, users.tokens, tuple(kept), users.secret), revoked)

    return load


def _keeps_connections(original: Any) -> Any:
    def load(access: Access, users: Users, revoked: Any = ()) -> None:
        emit = access._emit
        access._emit = lambda effect: None if isinstance(effect, EndLogins) and not effect.nameless else emit(effect)
        original(access, users, revoked)
        access._emit = emit

    return load


def _first_alone(original: Any) -> Any:
    return lambda statements: original(statements[:1])


def _last_grant(_original: Any) -> Any:
    def rights_of(grants: Any) -> Rights:
        rows = list(grants)
        cluster = frozenset(role for database, role in rows if not database)
        return Rights({database: DATABASE_ROLES[role] for database, role in rows if database}, cluster)

    return rights_of


def _never(_original: Any) -> Any:
    return lambda _access, _now_us: False


def _not_by_leaders(original: Any) -> Any:
    def refusal(access: Access, login: Login | None, body: Any, now: Now) -> Refused | None:
        leads = vars(access).get("leads", set())
        return None if getattr(body, "database", "") in leads else original(access, login, body, now)

    return refusal


def _remembers_leading(original: Any) -> Any:
    def step(node: Node, now: Now, event: Any) -> Any:
        led = {group.database for group in node.groups.values() if group.leads and group.group}
        vars(node.access)["leads"] = led
        return original(node, now, event)

    return step


def _not_recorded(_original: Any) -> Any:
    return lambda write, _login, _body, _now: write


MUTANTS = (
    Mutant(
        "revocation-not-applied",
        "a node adds what was granted to what it knows, and takes nothing away",
        "caches of permissions that only grow; no case known of a database",
        "users",
        (Swap(Access, "load", _only_adds),),
        ("users",),
    ),
    Mutant(
        "dropped-user-stays",
        "the connections of a user who is deleted, or has another password, stay open",
        "PostgreSQL and MySQL: DROP USER ends no session that is open",
        "users",
        (Swap(Access, "load", _keeps_connections),),
        ("users",),
    ),
    Mutant(
        "batch-judged-by-its-first",
        "the role that a batch needs is told from its first statement",
        "proxies that route by the first word of what is sent; no case known of a database",
        "users",
        (Swap(needs, "rank_of", _first_alone),),
        ("users",),
    ),
    Mutant(
        "last-grant-counts",
        "of several roles in one database the last one counts, and not the highest",
        "no case known",
        "users",
        (Swap(roles, "rights_of", _last_grant),),
        ("users",),
    ),
    Mutant(
        "never-stale",
        "a node that is cut off goes by the users that it knows, for however long",
        "Kerberos tickets and signed tokens without an end: what was revoked is believed where nobody hears of it",
        "users",
        (Swap(Access, "stale", _never),),
        ("users",),
    ),
    Mutant(
        "role-not-checked-after-failover",
        "the node that leads a database does not ask what its callers may",
        "no case known; a check that is made where requests used to come in",
        "users",
        (Swap(Node, "step", _remembers_leading), Swap(Access, "refusal", _not_by_leaders)),
        ("users",),
    ),
    Mutant(
        "change-not-recorded",
        "a change of users is made and not recorded",
        "audit logs that are written beside what they tell of, and not with it",
        "users",
        (Swap(record, "recorded", _not_recorded),),
        ("users",),
    ),
)
