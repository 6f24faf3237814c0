"""Who a program is to a cluster: where user, password and token come from, and how long they are remembered.

They are taken from the arguments of `connect`, else from the URL, else from QUORATE_USER, QUORATE_PASSWORD and
QUORATE_TOKEN, else from the file that QUORATE_CREDENTIALS names. Only the command line asks a person. What is secret is
shown by no `repr`, and stands in no message.
"""

import os
import stat
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import toml

from quorate.client.checks import check_text
from quorate.core.auth.users import TOKEN_PREFIX, valid_user
from quorate.errors import AuthenticationError, ProgrammingError
from quorate.wire.scram import prepared, salted

Secret = str | Callable[[], str]
"""A text, or a function that is called at each login and gives one."""
SEPARATOR = "_"
ask_person: Callable[[str], str] | None = None
"""Set by the command line when somebody sits at a terminal: asks for the password of this user."""


class Credentials:
    """A user with a password, a token or a certificate, or nobody."""

    __slots__ = ("_known", "_lock", "_password", "_token", "_user", "certified")

    def __init__(
        self, user: str = "", password: Secret | None = None, token: Secret | None = None, *, certified: bool = False
    ) -> None:
        self._user = user
        self.certified = certified
        """The certificate that is shown says who it is; `user` is then whom it should be, or empty."""
        self._password = password
        self._token = token
        self._lock = threading.Lock()
        self._known: dict[tuple[bytes, int], tuple[str, bytes]] = {}
        """Salt and iterations -> the secret, and the salted one: it takes long to make."""

    def __repr__(self) -> str:
        return f"Credentials({self._user!r})" if self._user else "Credentials(...)" if self else "Credentials()"

    def __bool__(self) -> bool:
        return bool(self._user or self._token or self.certified)

    @property
    def user(self) -> str:
        """The name, if there is one."""
        return self._user

    def needs_password(self) -> bool:
        """A user is named, and no secret."""
        return bool(self._user) and self._password is None and self._token is None and not self.certified

    def with_password(self, password: str) -> "Credentials":
        """The same user."""
        return Credentials(self._user, password)

    def current(self) -> tuple[str, Callable[[bytes, int], bytes]]:
        """The name to log in with, and what makes the salted password. Raises AuthenticationError."""
        if self._token is not None:
            name, secret = split_token(_given(self._token, "token"))
        elif self._password is not None:
            name, secret = self._user, _given(self._password, "password")
        elif ask_person is not None:
            self._password = ask_person(self._user)
            name, secret = self._user, _given(self._password, "password")
        else:
            raise AuthenticationError(f"{self._user} has no password here", hint="connect with password= or token=")
        return name, lambda salt, iterations: self._salted(secret, salt, iterations)

    def _salted(self, secret: str, salt: bytes, iterations: int) -> bytes:
        with self._lock:
            known = self._known.get((salt, iterations))
        if known is not None and known[0] == secret:
            return known[1]
        made = salted(secret, salt, iterations)
        with self._lock:
            self._known = {(salt, iterations): (secret, made)}
        return made


NOBODY = Credentials()


def split_token(token: str) -> tuple[str, str]:
    """The name and the secret of a token as it was shown. Raises AuthenticationError."""
    _, _, rest = token.partition(SEPARATOR)
    name, _, secret = rest.partition(SEPARATOR)
    if not token.startswith(f"qt{SEPARATOR}") or not name or not secret:
        raise AuthenticationError("the token is not one of ours", hint="it begins with qt_; see `quorate token create`")
    return TOKEN_PREFIX + name, secret


def joined_token(name: str, secret: str) -> str:
    """A token as it is shown, once."""
    return f"qt{SEPARATOR}{name}{SEPARATOR}{secret}"


def _given(secret: Secret, what: str) -> str:
    found = secret() if callable(secret) else secret
    if not isinstance(found, str) or not found:
        raise AuthenticationError(f"the function for {what}= gave no text")
    try:
        prepared(found)
    except ValueError as error:
        raise AuthenticationError(f"the {what} cannot be used: {error}") from None
    return found


def check_login(user: str | None, password: Secret | None, token: Secret | None) -> Credentials:
    """What was given as arguments or in a URL. Raises ProgrammingError."""
    name = check_text(user, "a user") if user is not None else ""
    if name and not valid_user(name):
        raise ProgrammingError("that cannot be the name of a user", hint="letters, digits and _ - . @, 63 at most")
    for secret, what in ((password, "password"), (token, "token")):
        if secret is not None and not callable(secret) and not (isinstance(secret, str) and secret):
            raise ProgrammingError(f"{what}= is a text, or a function that gives one, not {type(secret).__name__}")
    if token is not None and (password is not None or name):
        raise ProgrammingError("a token says who one is: give either token=, or user= and password=")
    if password is not None and not name:
        raise ProgrammingError("a password without a user", hint="give user= as well")
    return Credentials(name, password, token)


def find_login(
    given: Credentials,
    in_url: Credentials,
    environment: Mapping[str, str] = os.environ,
    *,
    certified: bool = False,
) -> Credentials:
    """The first of these that names somebody; a password may come from further down. `certified`: a certificate is
    shown, and nothing else says who it is. Raises ProgrammingError for a file that others can read, or that cannot be
    read."""
    chosen = given or in_url
    if certified:
        if chosen and not chosen.needs_password():
            hint = "give either certificate=, or password= or token="
            raise ProgrammingError("a certificate says who one is, and so does a password or a token", hint=hint)
        return Credentials(chosen.user, certified=True)
    if chosen and not chosen.needs_password():
        return chosen
    token, password = environment.get("QUORATE_TOKEN"), environment.get("QUORATE_PASSWORD")
    user = chosen.user or environment.get("QUORATE_USER", "")
    if token and not user:
        return check_login(None, None, token)
    if user and password:
        return check_login(user, password, None)
    return _from_file(user, environment.get("QUORATE_CREDENTIALS", "")) or check_login(user or None, None, None)


def _from_file(user: str, place: str) -> Credentials | None:
    """`[NAME]` tables with a password or a token, in TOML; without a user's name, the first."""
    if not place:
        return None
    path = Path(place)
    try:
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ProgrammingError(f"{path} can be read by others", hint=f"chmod 600 {path}")
        tables = toml.decode(path.read_bytes(), type=dict[str, dict[str, str]])
    except OSError as error:
        raise ProgrammingError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise ProgrammingError(f"{path} is not a file of credentials", hint="[NAME] and password = ...") from None
    name = user or next(iter(tables), "")
    found = tables.get(name)
    if found is None:
        return None
    if "token" in found:
        return check_login(None, None, found["token"])
    return check_login(name, found.get("password"), None)
