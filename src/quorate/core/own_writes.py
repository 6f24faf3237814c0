"""The ways in which a connection reads what it has written itself, though a replica that is behind may answer. Each is
declared here, once: what `connect(read_your_writes=)` accepts, and the table in docs/promises.md."""

import re

from msgspec import Struct

LEADER, BOOKMARK, OWN, STICKY = "leader", "bookmark", "own", "sticky"


class Way(Struct, frozen=True):
    """One way, in words."""

    name: str
    spelling: str
    says: str
    """What it promises."""
    limits: str
    """Where it does not hold."""
    cost: str


WAYS = {
    way.name: way
    for way in (
        Way(
            LEADER,
            "leader:10s",
            "for so long after a write, the connection's reads go to the leader",
            "on other connections; on replicas that are further behind than this time; under a leader that was deposed"
            " unawares",
            "reads of those who write go to one node",
        ),
        Way(
            BOOKMARK,
            "bookmark",
            "the connection's reads are at `session`: any replica answers that has reached its bookmark",
            "on other connections, unless they are given the bookmark",
            "none, where the replica is not behind",
        ),
        Way(
            OWN,
            "own:profile,settings",
            "reads that name one of these tables, which only their user changes, go to the leader, whoever asks",
            "for what reads these tables through a view or trigger and does not name them; under a leader that was"
            " deposed unawares",
            "reads of these tables go to one node",
        ),
        Way(
            STICKY,
            "sticky:user-17",
            "connections with the same key and the same addresses read from the same replica, so that none sees an"
            " older state than another has seen",
            "when that replica fails, and others are read; its own writes may be missing until they have come there",
            "replicas are not chosen by their load",
        ),
    )
}

_TIME = re.compile(r"([0-9]{1,6})(ms|s|m)")
_UNITS_US = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000}


class NoSuchWay(ValueError):
    """Nothing is spelt like this; the text says what is wrong."""


class Chosen(Struct, frozen=True):
    """A way, as a connection has it."""

    name: str
    time_us: int = 0
    """How long after a write its connection reads from the leader."""
    tables: tuple[str, ...] = ()
    """In small letters."""
    key: str = ""


def parse(text: str) -> Chosen:
    """What this chooses. Raises NoSuchWay."""
    name, _, rest = text.partition(":")
    way = WAYS.get(name)
    if way is None:
        known = ", ".join(each.spelling for each in WAYS.values())
        raise NoSuchWay(f"{text!r:.80} is no way to read one's own writes: {known}")
    time = _TIME.fullmatch(rest)
    tables = tuple(table.strip().lower() for table in rest.split(","))
    fits = {LEADER: bool(time), BOOKMARK: text == BOOKMARK, OWN: all(tables), STICKY: bool(rest)}
    if not fits[name]:
        raise NoSuchWay(f"read_your_writes={text!r:.80} does not say how to read: it is spelt as in {way.spelling}")
    if name == LEADER and time:
        return Chosen(name, time_us=int(time[1]) * _UNITS_US[time[2]])
    return Chosen(name, tables=tables if name == OWN else (), key=rest if name == STICKY else "")
