"""Where a connection reads, so that it meets what it has written itself (`connect(read_your_writes=)`)."""

from collections.abc import Iterable

from quorate.client.checks import check_text
from quorate.core.own_writes import BOOKMARK, LEADER, OWN, Chosen, NoSuchWay, parse
from quorate.core.read_levels import EVENTUAL, SESSION
from quorate.core.read_levels import LEADER as AT_LEADER
from quorate.core.statements import Statement
from quorate.errors import ProgrammingError


class OwnWrites:
    """One connection's way. Any number of threads may use it."""

    __slots__ = ("_chosen", "_until")

    def __init__(self, chosen: Chosen | None = None) -> None:
        self._chosen = chosen
        self._until = 0.0
        """Until then reads go to the leader."""

    @property
    def chosen(self) -> bool:
        """Somebody has said how."""
        return self._chosen is not None

    @property
    def by_bookmark(self) -> bool:
        """Reads come after the connection's bookmark."""
        return self._chosen is not None and self._chosen.name == BOOKMARK

    @property
    def key(self) -> str:
        """Connections with the same one read from the same replica; empty: none is preferred."""
        return "" if self._chosen is None else self._chosen.key

    def wrote(self, now: float) -> None:
        """A write has been sent, and has ended, or may still end."""
        if self._chosen is not None:
            self._until = now + self._chosen.time_us / 1e6

    def level(self, level: str, statements: Iterable[Statement] | None, now: float) -> str:
        """At which level to send reads that were to be sent at this one (None: they are not known yet)."""
        chosen = self._chosen
        if chosen is None or level != EVENTUAL:
            return level
        if chosen.name == BOOKMARK:
            return SESSION
        recent = chosen.name == LEADER and now < self._until
        if recent or (chosen.name == OWN and (statements is None or _names(statements, chosen.tables))):
            return AT_LEADER
        return level


def _names(statements: Iterable[Statement], tables: Iterable[str]) -> bool:
    """Whether one of these tables is named, or something in whose name it is."""
    return any(table in statement.sql.lower() for statement in statements for table in tables)


def check_own_writes(text: object) -> Chosen | None:
    """What `read_your_writes` chooses. Raises ProgrammingError."""
    if text is None:
        return None
    try:
        return parse(check_text(text, "read_your_writes"))
    except NoSuchWay as error:
        raise ProgrammingError(str(error), hint="see docs/sessions.md") from None
