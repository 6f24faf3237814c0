"""Logins on a simulated machine: a caller's address is its connection, and logs in with its first request.

What the transport of a real node does (`transport.entry`, `transport.accepted`), without the proof: a caller shows what
the catalog keeps of its password. Without badges nobody logs in.
"""

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from quorate.core.auth.users import Login
from quorate.core.calls import EndLogins
from quorate.core.requests import Refused

if TYPE_CHECKING:
    from quorate.lab.sim.engine.host import Host

EVERYBODY = 0
"""The address whose badge is that of all callers who have none of their own."""
WRONG = Refused("AuthenticationError", "the user or the password is wrong")
LATER = Refused("Unavailable", "this node cannot know who may log in", retryable=True)


class Badge(Struct, frozen=True):
    """What a caller logs in with."""

    name: str
    verifier: str
    """Of its password, as the catalog keeps it."""


def origin_of(source: int) -> str:
    """The address of a caller, as the record of changes has it."""
    return f"caller {source}"


class Logins:
    """Of one host, in its present life."""

    def __init__(self, host: "Host") -> None:
        self._host = host
        self.open: dict[int, tuple[Badge, Login]] = {}
        """Connections that have logged in: the caller's address -> with what, and as whom."""

    def crash(self) -> None:
        """The process dies."""
        self.open.clear()

    def login(self, source: int) -> Login | Refused | None:
        """Who asks; None: nobody has to log in."""
        badges = self._host.network.badges
        badge = badges.get(source) or badges.get(EVERYBODY)
        if badge is None:
            return None
        found = self.open.get(source)
        if found is not None:
            return found[1]
        core: Any = self._host.core
        if not core.access.asks_for_login:
            return None
        now = self._host.clock.read(self._host.world.now_us)
        known = core.access.verifier(badge.name, now)
        if known is None or known[0] != badge.verifier:
            self._host.world.mark("login: refused")
            return LATER if core.access.stale(now.mono_us) else WRONG
        self._host.world.mark("login")
        login = Login(known[1].name, known[1].stamp, known[1].token, origin_of(source))
        self.open[source] = (badge, login)
        return login

    def end(self, effect: EndLogins) -> set[int]:
        """Close what is logged in under these names; the addresses."""
        ended = {source for source, (_, login) in self.open.items() if login.name in effect.names}
        for source in ended:
            self._host.world.mark("login ended")
            del self.open[source]
        return ended
