"""Who a client is: what happens on a connection between the greetings and the first request."""

import logging
import os
from collections import OrderedDict
from typing import Protocol

from msgspec import structs

from quorate.core.auth.users import Login
from quorate.core.auth.verifiers import Verifier
from quorate.wire.login import LoginLater, LoginRefused, login_frame, read_asked
from quorate.wire.scram import NONCE_BYTES, LoginFailed, ServerLogin

log = logging.getLogger("quorate.audit")

ENTRY_BYTES_MAX = 4096
"""No frame of a client that has not logged in is longer."""
FREE_GUESSES = 5
"""Wrong logins from one address before it has to wait."""
WAIT_FIRST_S, WAIT_LAST_S = 1.0, 60.0
FORGOTTEN_S = 600.0
"""After so long without a wrong login an address may guess anew."""
ADDRESSES_MAX = 10_000


class Door(Protocol):
    """What a node knows of users."""

    def logins(self) -> str:
        """Whether clients have to log in, for the greeting."""

    def must_log_in(self) -> bool: ...

    def certified(self, name: str, serial: str, until_us: int) -> Login | None:
        """Who has shown a certificate for this name, with this number, which runs out then; None: nobody who may."""

    def find(self, name: str) -> tuple[Verifier, Login | None]:
        """What somebody has to know who says that this is their name, and who they are then. For a name that does not
        exist: something that nobody knows, and nobody."""


class OpenDoor:
    """Everybody may enter, without a name."""

    def logins(self) -> str:
        """See `Door`."""
        return ""

    def must_log_in(self) -> bool:
        """See `Door`."""
        return False

    def certified(self, name: str, serial: str, until_us: int) -> Login | None:  # noqa: ARG002 - the interface
        """See `Door`."""
        return None

    def find(self, name: str) -> tuple[Verifier, Login | None]:
        """See `Door`."""
        raise LoginRefused(f"nobody has to log in here, {name!r:.80} neither")


class Guesses:
    """How many wrong logins came from each address, and how long it has to wait. Seconds of the loop's clock."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """Address -> how many, and when the last one was."""

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._wrong)

    def wait_s(self, address: str, now: float) -> float:
        """How much longer this address has to wait; 0: not at all."""
        count, last = self._wrong.get(address, (0, 0.0))
        if count < FREE_GUESSES:
            return 0.0
        wait_s = min(WAIT_LAST_S, WAIT_FIRST_S * 2.0 ** min(count - FREE_GUESSES, 16))
        return max(0.0, last + wait_s - now)

    def wrong(self, address: str, now: float) -> None:
        """One more."""
        count, last = self._wrong.pop(address, (0, now))
        self._wrong[address] = (1 if now - last > FORGOTTEN_S else count + 1), now
        while len(self._wrong) > ADDRESSES_MAX:
            self._wrong.popitem(last=False)

    def right(self, address: str) -> None:
        """Somebody there knows a password."""
        self._wrong.pop(address, None)


class Entry:
    """One client that has to log in."""

    def __init__(self, door: Door, guesses: Guesses, address: str) -> None:
        self._door = door
        self._guesses = guesses
        self._address = address
        self._server: ServerLogin | None = None
        self._found: Login | None = None
        self._taken = 0
        self.login: Login | None = None
        """Who it is, once it has shown that."""

    def take(self, payload: bytes, now: float) -> bytes:
        """What to answer to its next frame. Raises LoginRefused or LoginLater: then the connection ends."""
        text = read_asked(payload)
        self._taken += 1
        if self._server is None:
            return self._begin(text, now)
        if self._taken > 2:
            raise LoginRefused("a login has two messages")
        return self._end(self._server, text, now)

    def _begin(self, text: str, now: float) -> bytes:
        wait_s = self._guesses.wait_s(self._address, now)
        if wait_s:
            raise LoginLater(f"too many wrong logins came from this address; try again in {wait_s:.0f} s")
        try:
            self._server = ServerLogin(text, os.urandom(NONCE_BYTES))
        except LoginFailed as error:
            raise LoginRefused(str(error)) from None
        verifier, self._found = self._door.find(self._server.name)
        return login_frame(self._server.challenge(verifier))

    def _end(self, server: ServerLogin, text: str, now: float) -> bytes:
        try:
            outcome = server.outcome(text)
            if self._found is None:
                raise LoginFailed("the user or the password is wrong")
        except LoginFailed as error:
            self._guesses.wrong(self._address, now)
            log.warning("a login as %.80r from %s failed", server.name, self._address)
            raise LoginRefused(str(error)) from None
        self._guesses.right(self._address)
        self.login = structs.replace(self._found, origin=self._address)
        return login_frame(outcome)


def certified(door: Door, name: str, serial: str, until_us: int, address: str) -> Login | None:
    """Who has shown a certificate for this name (empty: for nobody), if it logs them in."""
    login = door.certified(name, serial, until_us) if name else None
    if login is None and name:
        log.warning("the certificate of %.80r from %s logs nobody in", name, address)
    return structs.replace(login, origin=address) if login is not None else None
