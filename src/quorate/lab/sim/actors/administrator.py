"""Somebody who makes users, gives them roles, takes them away, changes passwords and deletes users, one change after
the other, while those users try what they may and what they may not (`visiting_users`).

The judge *users* also asks that connections end which nobody could open any more, and that the record of changes has
each change of this administrator once, in order, and nothing else by that name.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from quorate.core.auth.roles import CLUSTER, DATABASE_ROLES
from quorate.core.auth.users import AUDIT_QUERY, CreateUser, DeleteUser, GrantRole, RevokeRole, SetPassword
from quorate.core.kernel import CATALOG_DATABASE
from quorate.core.options import SINGLE_LEADER
from quorate.core.read_levels import LINEARIZABLE
from quorate.core.requests import Answer, CreateDatabase, Done, Refused, Run, WriteOutcome
from quorate.core.statements import Statement, Token
from quorate.lab.judges.roles import State
from quorate.lab.sim.actors.actor import SimCluster
from quorate.lab.sim.actors.asking import Asker
from quorate.lab.sim.actors.visiting_users import GIVEN, USERS, VAULTS, Office, VisitingUser
from quorate.lab.sim.engine.logins import EVERYBODY, Badge, origin_of
from quorate.lab.sim.engine.world import Violation
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND
from quorate.lab.sim.workloads import operations

NUMBER = -1_020
CALLERS = -1_100
"""The address of the first visiting user; the others are below it."""
PATIENCE_US = 400 * MILLISECOND
LOOK_US = 100 * MILLISECOND
BOSS = "boss"
MOST_USERS = 4
DRIFT = 1.05
"""How much longer a node's time may be."""
_RETIRED_US = 4 * SECOND
"""So long after a password has ended somebody still tries it."""

_outcome = msgspec.msgpack.Decoder(WriteOutcome)


class Administrator(Asker):
    """One change after the other, each asked for until it is answered."""

    def __init__(self, cluster: SimCluster) -> None:
        super().__init__(cluster, NUMBER, "administrator", PATIENCE_US)
        self._cluster = cluster
        settings = self._dials.settings
        stale_us = int(settings.auth_stale_us * DRIFT) + 4 * settings.suspect_max_us + 2 * settings.heartbeat_us
        self._office = Office(self._world, self._dials.in_force_us or stale_us)
        self._visitors: dict[str, list[VisitingUser]] = {}
        """Who knows a password of this user: the newest last."""
        self._expected: list[Any] = []
        """What the record is to have of these changes."""
        self._then: Callable[[], None] = self._found
        """What comes of the change that is asked for."""
        self._tokens = 0
        self._left: list[str] | None = None
        """At the end: the databases that are still to be looked at, and the record (the catalog)."""
        self._busy = False

    def begin(self) -> None:
        """Change users from now on, if this run does that."""
        if self._dials.users_us:
            self._busy = True
            self._make_vault(0)
            self._world.after(LOOK_US, self._look_at_connections)

    def end(self) -> None:
        """Nobody tries anything new."""
        for visitor in self._all_visitors():
            visitor.closing = True

    def done(self, dead: int) -> bool:
        """In the liveness phase: the last change is made, and everything was looked at. Raises Violation."""
        del dead
        if not self._dials.users_us:
            return True
        if self._busy or not all(visitor.idle for visitor in self._all_visitors()):
            return False
        if self._left is None:
            self._left = [CATALOG_DATABASE, *VAULTS]
            self._look_at_the_end()
        return not self._left

    def unfinished(self) -> str | None:
        """What is still to be done; None when nothing is."""
        if not self._dials.users_us or self._left == []:
            return None
        return f"users: {self._body} is asked"

    def _all_visitors(self) -> list[VisitingUser]:
        return [visitor for some in self._visitors.values() for visitor in some]

    def _token(self) -> Token:
        self._tokens += 1
        return Token(f"admin-{self._tokens}", 0)

    def _verifier(self) -> str:
        salt, stored, server = (self._rng.randbytes(size).hex() for size in (16, 32, 32))
        return f"SCRAM-SHA-256$1:{salt}${stored}:{server}"

    # ---- before there are users ------------------------------------------------------------------------------

    def _make_vault(self, number: int) -> None:
        name = VAULTS[number]

        def made() -> None:
            self._then = set_up
            statements = (Statement(operations.SETUP[0]),)
            self._ask(Run(name, statements, token=self._token()))

        def set_up() -> None:
            if number + 1 < len(VAULTS):
                self._make_vault(number + 1)
            else:
                self._found()

        self._then = made
        self._ask(CreateDatabase(name, SINGLE_LEADER, {}, min(3, len(self._hosts)), self._token(), exists_ok=True))

    def _found(self) -> None:
        """The first user."""
        badge = Badge(BOSS, self._verifier())
        self._network.badges[EVERYBODY] = badge
        state = State({BOSS: badge.verifier}, frozenset({(BOSS, CLUSTER, "admin")}))
        self._change(CreateUser(BOSS, badge.verifier, self._token(), admin=True), state)

    # ---- changes ---------------------------------------------------------------------------------------------

    def _change(self, body: Any, state: State, then: Callable[[], None] = lambda: None) -> None:
        self._busy = True
        office = self._office
        office.timeline.sends(self._world.now_us, state)

        def changed() -> None:
            self._world.mark("users: changed")
            office.timeline.acknowledged(self._world.now_us)
            self._busy = False
            then()
            self._world.after(self._rng.randint(1, 2 * self._dials.users_us), self._go_on)

        self._expected.append(body)
        self._then = changed
        self._ask(body)

    def _go_on(self) -> None:
        if self._left is not None or any(visitor.closing for visitor in self._all_visitors()):
            return
        state = self._office.timeline.newest
        names = sorted(set(state.passwords) - {BOSS})
        ways: list[Callable[[State, list[str]], None]] = []
        if len(names) < MOST_USERS:
            ways += [self._create] * 2
        if names:
            ways += [self._grant] * 5 + [self._set_password, self._delete]
        if len(state.grants) > 1:
            ways += [self._revoke] * 3
        self._rng.choice(ways)(state, names)

    def _create(self, state: State, names: list[str]) -> None:
        name = self._rng.choice([name for name in ("ann", "bob", "cay", "dan") if name not in names])
        verifier = self._verifier()
        after = State({**state.passwords, name: verifier}, state.grants)
        self._change(CreateUser(name, verifier, self._token()), after, lambda: self._visit(name, verifier))

    def _visit(self, name: str, verifier: str) -> None:
        """Somebody has this password from now on."""
        number = CALLERS - self._office.number()
        visitor = VisitingUser(self._cluster, number, Badge(name, verifier), self._office)
        self._visitors.setdefault(name, []).append(visitor)
        visitor.begin()

    def _ends(self, name: str) -> None:
        """Whoever knows its password goes on for a while."""
        for visitor in self._visitors.get(name, ()):
            self._world.after(_RETIRED_US, visitor.retire)

    def _grant(self, state: State, names: list[str]) -> None:
        name, database = self._rng.choice(names), self._rng.choice((*VAULTS, *VAULTS, CLUSTER))
        role = self._rng.choice(GIVEN if database == CLUSTER else list(DATABASE_ROLES))
        if (name, database, role) in state.grants:
            self._revoke(state, names)
            return
        after = State(state.passwords, state.grants | {(name, database, role)})
        self._change(GrantRole(name, database, role, self._token()), after)

    def _revoke(self, state: State, _names: list[str]) -> None:
        grant = self._rng.choice(sorted(grant for grant in state.grants if grant[0] != BOSS))
        self._change(RevokeRole(*grant, self._token()), State(state.passwords, state.grants - {grant}))

    def _set_password(self, state: State, names: list[str]) -> None:
        name, verifier = self._rng.choice(names), self._verifier()

        def changed() -> None:
            self._ends(name)
            self._visit(name, verifier)

        after = State({**state.passwords, name: verifier}, state.grants)
        self._change(SetPassword(name, verifier, self._token()), after, changed)

    def _delete(self, state: State, names: list[str]) -> None:
        name = self._rng.choice(names)
        passwords = {each: verifier for each, verifier in state.passwords.items() if each != name}
        after = State(passwords, frozenset(grant for grant in state.grants if grant[0] != name))
        self._change(DeleteUser(name, self._token()), after, lambda: self._ends(name))

    # ---- answers ---------------------------------------------------------------------------------------------

    def _answered(self, body: Any, answer: Answer) -> None:
        if self._left is None:
            self._then()
            return
        outcome = _outcome.decode(answer.outcome)
        if not isinstance(outcome, Done):
            raise Violation(USERS, f"{body} ends with {outcome}")
        if body.database == CATALOG_DATABASE:
            self._judge_record(outcome.results[0].rows)
        else:
            self._judge_rows(body.database, outcome.results[0].rows)
        self._left.remove(body.database)
        self._look_at_the_end()

    def _is_over(self, refused: Refused) -> bool:
        self._world.mark(f"administrator: {refused.error}")
        if isinstance(self._body, DeleteUser) and refused.error == "UnknownUser":  # an answer was lost
            self._world.after(0, self._then)
            return True
        return False

    # ---- what is looked at -----------------------------------------------------------------------------------

    def _look_at_connections(self) -> None:
        """Nobody is logged in any more who could not log in."""
        self._world.after(LOOK_US, self._look_at_connections)
        now_us, in_force_us = self._world.now_us, self._office.in_force_us
        for host in self._hosts.values():
            core: Any = host.core
            if not host.running or now_us - host.resumed_us < in_force_us:
                continue
            if core.access.stale(host.clock.read(now_us).mono_us):
                continue
            for source, (badge, _) in host.callers.logins.open.items():
                if self._office.is_out(badge):
                    text = f"node {host.number} keeps the connection of caller {source}, who logged in as {badge.name}"
                    raise Violation(USERS, f"{text} with what is not valid any more")

    def _look_at_the_end(self) -> None:
        if not self._left:
            return
        name = self._left[0]
        record = Statement(AUDIT_QUERY, ((0,),))
        statement = record if name == CATALOG_DATABASE else Statement(operations.DUMP[0][1])
        self._ask(Run(name, (statement,), LINEARIZABLE))

    def _judge_record(self, rows: Any) -> None:
        """Each change once, in order, with who made it and from where."""
        mine = [row for row in rows if row[2] == BOSS and row[3] == origin_of(NUMBER)]
        first = [row for row in rows if not row[2]]  # nobody had to log in yet
        said = [msgspec.json.decode(row[4]) for row in (*first[-1:], *mine)]
        expected = [_as_recorded(body) for body in self._expected]
        if said != expected:
            raise Violation(USERS, f"the record of changes has {said}, and not {expected}")
        self._world.mark("users: record judged")

    def _judge_rows(self, name: str, rows: Any) -> None:
        """Every row was written by somebody who was permitted to."""
        for key, _ in rows:
            self._office.judge_done(self._office.tags[key])
        missing = {key for key, tried in self._office.tags.items() if tried.done and tried.what in ("write", "batch")}
        missing = {key for key in missing if self._office.tags[key].needed.database == name}
        if lost := sorted(missing - {key for key, _ in rows}):
            raise Violation(USERS, f"{name} lacks {lost[:5]}, which were acknowledged")
        self._world.mark("users: rows judged")


def _as_recorded(body: Any) -> Any:
    """What the record has of a change: all that is no secret."""
    fields = {name: getattr(body, name) for name in ("name", "admin", "database", "role") if hasattr(body, name)}
    return {"change": body.__struct_config__.tag, **fields}
