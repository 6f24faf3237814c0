"""What the transport asks of a node's core about users."""

from collections.abc import Callable

from quorate.core.auth.access import Access
from quorate.core.auth.users import Login
from quorate.core.auth.verifiers import Verifier, mock, read_verifier
from quorate.core.kernel import Now


class CatalogDoor:
    """Keeps `transport.entry.Door` by the catalog as this node knows it."""

    def __init__(self, access: Access, clock: Callable[[], Now]) -> None:
        self._access = access
        self._clock = clock

    def logins(self) -> str:
        """See `Door`."""
        return self._access.mode

    def must_log_in(self) -> bool:
        """See `Door`."""
        return self._access.asks_for_login

    def certified(self, name: str, serial: str, until_us: int) -> Login | None:
        """See `Door`."""
        return self._access.certified(name, serial, until_us)

    def find(self, name: str) -> tuple[Verifier, Login | None]:
        """See `Door`."""
        instead = mock(self._access.secret, name).text()  # made in any case: it takes as long
        text, login = self._access.verifier(name, self._clock()) or (instead, None)
        return read_verifier(text), login
