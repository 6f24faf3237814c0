"""The decision about each request: whether whoever asks may have it. Every node decides by the catalog that it knows.

While there is no user everybody may do everything, as on a cluster for oneself. Until the catalog was read nobody knows
whether there is one: then nothing is answered that the catalog or a file would give away.
"""

from collections.abc import Callable, Collection
from typing import Any

from quorate.core.auth.needs import Need, need_of
from quorate.core.auth.roles import OWNER, Rights, rights_of, role_of_rank
from quorate.core.auth.users import TOKEN_PREFIX, Login, TokenRow, UserRow, Users
from quorate.core.auth.verifiers import by_certificate
from quorate.core.bounds import Index
from quorate.core.calls import EndLogins, Request
from quorate.core.copy_requests import OpenCopy
from quorate.core.kernel import CATALOG_DATABASE, Effect, Note, Now
from quorate.core.requests import LostAsk, Refused, Run, Status
from quorate.core.scripts import Script

UNKNOWN, OFF, ON = "", "off", "on"
"""Whether clients have to log in."""

LOG_IN = Refused("AuthenticationError", "this cluster asks for a login", "connect with user= and password=, or token=")
NOT_READ = Refused(
    "Unavailable", "this node has not read the catalog yet", "try again, or another node", retryable=True
)
NO_RIGHTS = rights_of(())


class Access:
    """What one node knows of users, and decides by it."""

    def __init__(self, emit: Callable[[Effect], None], stale_us: int, *, trusted: bool) -> None:
        self._emit = emit
        self._stale_us = stale_us
        self._trusted = trusted
        """Whoever asks has the node's folder, and with it everything."""
        self.mode = UNKNOWN
        self.guards = not trusted
        """Whether any request is to be looked at."""
        self.users: dict[str, UserRow] = {}
        self.tokens: dict[str, TokenRow] = {}
        self.rights: dict[str, Rights] = {}
        self.distrusted: Collection[str] = ()
        """Numbers of certificates that are believed no more."""
        self.secret = ""
        self.fresh_us = -stale_us - 1
        """As of when all that was committed in the catalog is known here, by the monotonic clock; a node that
        starts has heard nobody."""
        self._awaited: tuple[Index, int] = (0, self.fresh_us)
        """What is to be applied before all is known that was committed at this time."""

    def load(self, users: Users, revoked: Collection[str] = ()) -> None:
        """The catalog was read, and has members. End what was logged in and may not do any more what it could."""
        self.distrusted = revoked
        before, rights_before, tokens_before = self.users, self.rights, self.tokens
        grants: dict[str, list[tuple[str, str]]] = {}
        for row in users.grants:
            grants.setdefault(row.name, []).append((row.database, row.role))
        self.users = {row.name: row for row in users.users}
        self.tokens = {row.id: row for row in users.tokens}
        self.rights = {name: rights_of(rows) for name, rows in grants.items()}
        self.secret = users.secret
        began = self.mode != ON and bool(users.users)
        self.mode = ON if users.users else OFF
        self.guards = self.mode == ON and not self._trusted
        if began:
            self._emit(Note("logins", {"users": len(self.users)}))
        ended = [
            name
            for name, row in before.items()
            if name not in self.users
            or self.users[name].stamp != row.stamp
            or not self.rights.get(name, NO_RIGHTS).covers(rights_before.get(name, NO_RIGHTS))
        ]
        ended += [row.name for each, row in tokens_before.items() if each not in self.tokens]
        if began or ended:
            self._emit(EndLogins(tuple(dict.fromkeys(ended)), nameless=began))

    @property
    def asks_for_login(self) -> bool:
        """Whether a client has to log in before it may ask anything."""
        return self.guards and self.mode == ON

    @property
    def keeps_record(self) -> bool:
        """Whether the catalog has the table in which changes of the cluster are recorded."""
        return bool(self.secret)

    def heard_leader(self, at_us: int, committed: Index, applied: Index) -> None:
        """The catalog's leader led at this time for certain, and had committed so much; so much is known here."""
        index, awaited_us = self._awaited
        if applied >= committed:
            self.fresh_us = max(self.fresh_us, at_us)
        elif applied >= index:
            self.fresh_us = max(self.fresh_us, awaited_us)
        else:
            return
        self._awaited = committed, at_us

    def stale(self, now_us: int) -> bool:
        """Whether users may have been taken away for long without this node knowing it."""
        return self.guards and self.mode == ON and now_us - self.fresh_us > self._stale_us

    def verifier(self, name: str, now: Now) -> tuple[str, Login] | None:
        """What proves that somebody is who this name says, and who that is. A name is a user's or, with TOKEN_PREFIX,
        the id of a token. None: there is no such user."""
        if name.startswith(TOKEN_PREFIX):
            token = self.tokens.get(name.removeprefix(TOKEN_PREFIX))
            user = self.users.get(token.name) if token is not None else None
            if token is None or user is None or token.expires_us <= now.wall_us:
                return None
            return token.verifier, Login(user.name, user.stamp, token.id)
        user = self.users.get(name)
        if user is None or by_certificate(user.verifier):
            return None
        return user.verifier, Login(user.name, user.stamp)

    def certified(self, name: str, serial: str, until_us: int) -> Login | None:
        """Who has shown a certificate for this name, which was verified; None: nobody who logs in so."""
        user = self.users.get(name)
        if user is None or not by_certificate(user.verifier) or serial in self.distrusted:
            return None
        return Login(user.name, user.stamp, certificate=serial, until_us=until_us)

    def refusal(self, login: Login | None, body: Any, now: Now) -> Refused | None:
        """Why this is not done for them; None: it may be."""
        if not self.guards:
            return None
        if self.mode == UNKNOWN:
            asks = type(body) in (Run, Script, OpenCopy) and body.database == CATALOG_DATABASE
            return NOT_READ if asks or type(body) is LostAsk else None
        if login is None:
            return LOG_IN
        if type(body) is not Status and self.stale(now.mono_us):  # nor can it know who may not
            seconds = (now.mono_us - self.fresh_us) // 1_000_000
            message = f"this node has not heard from the catalog's leader for {seconds} s, and cannot know who may ask"
            return Refused("Unavailable", message, "another node may; see `quorate status`", retryable=True)
        user = self.users.get(login.name)
        token = self.tokens.get(login.token)
        if user is None or user.stamp != login.stamp or (login.token and token is None):
            return _ended(login)
        if token is not None and token.expires_us <= now.wall_us:
            return _ended(login)
        if login.certificate and (login.until_us <= now.wall_us or login.certificate in self.distrusted):
            return _ended(login)
        need = need_of(body)
        if not self._may(login.name, need):
            return denied(login.name, need, body)
        return None

    def revoked(self, request: Request, now: Now) -> Refused | None:
        """The same for a request that has waited for its turn. What a node asks itself has a number below 0."""
        return self.refusal(request.login, request.body, now) if self.guards and request.id >= 0 else None

    def _may(self, name: str, need: Need) -> bool:
        rights = self.rights.get(name, NO_RIGHTS)
        if need.anybody or rights.has(need.database, need.rank, need.roles):
            return True
        return need.owners and any(rank == OWNER for rank in rights.databases.values())


def denied(name: str, need: Need, body: Any) -> Refused:
    """The same words on every node."""
    what = type(body).__name__
    if need.rank:
        role = role_of_rank(need.rank)
        message = f"{name} may not do this: {what} needs the role {role} of the database {need.database!r}"
        hint = f"an admin can: quorate user grant {name} {role} --database {need.database}"
    else:
        role = need.roles[0] if need.roles else "admin"
        message = f"{name} may not do this: {what} needs the role {role} of the cluster"
        hint = f"an admin can: quorate user grant {name} {role}"
    return Refused("PermissionDenied", message, hint)


def _ended(login: Login) -> Refused:
    message = f"the login of {login.name} has ended: its user, token, certificate or password is not valid any more"
    return Refused("AuthenticationError", message, "log in again")
