"""Callers who have logged in as a user and try all sorts of things, permitted or not, wherever somebody answers.

The judge is called *users*. Nothing is done that no state of the users permitted which may have been in force since the
request, and what all of them permitted is not refused as forbidden.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from quorate.core.auth.roles import ADMIN, BACKUP, CLUSTER, MONITOR, OPERATOR
from quorate.core.auth.users import AUDIT_QUERY, AUTH_QUERIES, GrantRole
from quorate.core.kernel import CATALOG_DATABASE
from quorate.core.read_levels import EVENTUAL, LINEARIZABLE
from quorate.core.requests import Answer, Failover, Refused, Run
from quorate.core.scripts import Script, Step
from quorate.core.statements import Statement, Token
from quorate.lab.judges.roles import Needed, Timeline
from quorate.lab.sim.actors.actor import SimCluster
from quorate.lab.sim.actors.asking import Asker
from quorate.lab.sim.engine.logins import Badge
from quorate.lab.sim.engine.world import Violation, World
from quorate.lab.sim.scenarios.dials import MILLISECOND
from quorate.lab.sim.workloads import operations

USERS = "users"
VAULTS = ("shop", "bank")
"""The databases that there are roles of."""
PATIENCE_US = 200 * MILLISECOND
THINK_US = 30 * MILLISECOND
ATTEMPTS = 6
INSERT = "INSERT INTO registers VALUES (?, 0)"
FORBIDDEN = ("PermissionDenied", "AuthenticationError")


class Tried(Struct):
    """Something that somebody asked for."""

    badge: Badge
    what: str
    needed: Needed
    sent_us: int
    done: bool = False


class Office:
    """What all of them share: the users as they were, and what was tried."""

    def __init__(self, world: World, in_force_us: int) -> None:
        self.world = world
        self.timeline = Timeline()
        self.in_force_us = in_force_us
        """Within how long a change is in force on every node that serves."""
        self.tags: dict[str, Tried] = {}
        """Who wrote a row, by its key."""
        self._numbers = 0

    def number(self) -> int:
        """Another one each time."""
        self._numbers += 1
        return self._numbers

    def permitted(self, tried: Tried, until_us: int) -> list[bool]:
        """What each state says of it that may have been in force until then."""
        states = self.timeline.between(tried.sent_us - self.in_force_us, until_us)
        return [state.permits(tried.badge.name, tried.badge.verifier, tried.needed) for state in states]

    def judge_done(self, tried: Tried) -> None:
        """It was done by now. Raises Violation."""
        if not any(self.permitted(tried, self.world.now_us)):
            raise Violation(USERS, f"{self._said(tried)} is done, and was not permitted at any time since")

    def judge_refused(self, tried: Tried, error: str) -> None:
        """It was refused as forbidden. Raises Violation."""
        if all(self.permitted(tried, self.world.now_us)):
            raise Violation(USERS, f"{self._said(tried)} is refused ({error}), and was permitted all the time")

    def is_out(self, badge: Badge) -> bool:
        """Whether this has logged nobody in for so long that every node that serves knows it."""
        now_us = self.world.now_us
        states = self.timeline.between(now_us - self.in_force_us, now_us)
        return not any(state.lets_in(badge.name, badge.verifier) for state in states)

    def _said(self, tried: Tried) -> str:
        return (
            f"{tried.what!r} of {tried.badge.name}, asked at {tried.sent_us} of a database {tried.needed.database!r},"
        )


class VisitingUser(Asker):
    """One who knows one password of one user, for as long as it is any good, and a little longer."""

    def __init__(self, cluster: SimCluster, number: int, badge: Badge, office: Office) -> None:
        super().__init__(cluster, number, f"user/{number}", PATIENCE_US)
        self.badge = badge
        self.closing = self._retired = False
        self._office = office
        self._attempts = 0
        self._tried: Tried | None = None
        cluster.network.badges[number] = badge

    @property
    def idle(self) -> bool:
        """Nothing is asked."""
        return self._body is None

    def begin(self) -> None:
        """Try things, from now on."""
        self._soon()

    def retire(self) -> None:
        """Try nothing more."""
        self._retired = True

    def _soon(self) -> None:
        self._world.after(self._rng.randint(1, 2 * THINK_US), self._try)

    def _try(self) -> None:
        if self.closing or self._retired:
            return
        vault = self._rng.choice(VAULTS)
        make = self._rng.choice(WAYS)
        key = f"{self.badge.name}-{self._office.number()}"
        body, needed = make(vault, key, self.badge.name)
        what = make.__name__.strip("_")
        self._tried = Tried(self.badge, what, needed, self._world.now_us)
        self._office.tags[key] = self._tried
        self._attempts = 0
        if self._rng.random() < 0.5:
            self._target = self._somebody()
        self._ask(body)

    def _is_tired(self) -> bool:
        self._attempts += 1
        if self._attempts < ATTEMPTS:
            return False
        self._soon()
        return True

    def _is_over(self, refused: Refused) -> bool:
        self._world.mark(f"users: {refused.error}")
        if refused.error not in FORBIDDEN:
            return False
        assert self._tried is not None
        self._office.judge_refused(self._tried, refused.error)
        self._soon()
        return True

    def _answered(self, body: Any, answer: Answer) -> None:
        del body, answer
        assert self._tried is not None
        self._tried.done = True
        self._world.mark(f"users: {self._tried.what} done")
        self._office.judge_done(self._tried)
        self._soon()


# ---- what they try -----------------------------------------------------------------------------------------------

Way = Callable[[str, str, str], tuple[Any, Needed]]


def _insert(key: str) -> Statement:
    return Statement(INSERT, ((key,),))


def _look(key: str) -> Statement:
    return Statement(operations.READ, ((key,),))


def _read(vault: str, key: str, _name: str) -> tuple[Any, Needed]:
    return Run(vault, (_look(key),), LINEARIZABLE), Needed(vault, "read")


def _read_anywhere(vault: str, key: str, _name: str) -> tuple[Any, Needed]:
    return Run(vault, (_look(key),), EVENTUAL), Needed(vault, "read")


def _write(vault: str, key: str, _name: str) -> tuple[Any, Needed]:
    return Run(vault, (_insert(key),), token=Token(f"u-{key}", 0)), Needed(vault, "write")


def _batch(vault: str, key: str, _name: str) -> tuple[Any, Needed]:
    return Run(vault, (_look(key), _insert(key)), token=Token(f"u-{key}", 0)), Needed(vault, "write")


def _evaluate(vault: str, key: str, _name: str) -> tuple[Any, Needed]:
    return Script(vault, (Step(_look(key)), Step(_insert(key)))), Needed(vault, "write")


def _schema(vault: str, key: str, _name: str) -> tuple[Any, Needed]:
    sql = f"CREATE TABLE t{key.rpartition('-')[2]}(a TEXT, b INTEGER, PRIMARY KEY(a, b)) WITHOUT ROWID"
    return Run(vault, (Statement(sql),), token=Token(f"u-{key}", 0)), Needed(vault, "schema")


def _hand_over(vault: str, _key: str, _name: str) -> tuple[Any, Needed]:
    return Failover(vault), Needed(vault, "owner", (OPERATOR,))


def _record(_vault: str, _key: str, _name: str) -> tuple[Any, Needed]:
    return Run(CATALOG_DATABASE, (Statement(AUDIT_QUERY, ((0,),)),), LINEARIZABLE), Needed(
        roles=(MONITOR,), owners=True
    )


def _verifiers(_vault: str, _key: str, _name: str) -> tuple[Any, Needed]:
    return Run(CATALOG_DATABASE, (Statement(AUTH_QUERIES[0]),), EVENTUAL), Needed()


def _promote(_vault: str, key: str, name: str) -> tuple[Any, Needed]:
    return GrantRole(name, CLUSTER, ADMIN, Token(f"u-{key}", 0)), Needed()


WAYS: tuple[Way, ...] = (
    _read, _read_anywhere, _read_anywhere, _write, _write, _batch, _batch, _evaluate, _schema, _hand_over, _record,
    _verifiers, _promote,
)  # fmt: skip
GIVEN = (MONITOR, BACKUP, OPERATOR)
"""Roles of the cluster that users get. None of them is an admin, or they would change what the judge knows."""
