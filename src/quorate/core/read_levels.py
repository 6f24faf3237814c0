"""The read levels: each is declared here, once.

From this come what callers may ask for (`parse`), where a client sends a read, the rows of the promises table
(`single_leader.promises`), and what `quorate explain` says. How a replica comes to answer at a level is in the table
of `single_leader.reads`.
"""

import functools
import re

from msgspec import Struct

from quorate.core.ack_policy import ASYNC

LINEARIZABLE = "linearizable"
LEADER = "leader"
BOUNDED = "bounded"
SESSION = "session"
EVENTUAL = "eventual"
STRONGEST = "strongest"
"""What callers mean who name no level. It travels as LINEARIZABLE with `Run.strongest`."""


class Level(Struct, frozen=True):
    """One read level, in words; its promise is what its judge is asked about."""

    name: str
    says: str
    """What a read at this level sees."""
    judge: str
    """Who finds that broken in the laboratory."""
    served: str
    cost: str
    anywhere: bool = False
    """A client stays with one node for it, whoever leads."""
    led: bool = True
    """No replica can answer for long where nobody leads."""
    bound: bool = False
    """It is named with a time: `bounded:2s`."""
    refused: tuple[str, ...] = ()
    """With which kinds of acks it is not there."""
    lossless: bool = False
    """With `async` its promise is held only to what a failover has not lost, and no judge can tell."""

    @property
    def spelling(self) -> str:
        return f"{self.name}:2s" if self.bound else self.name


LEVELS: dict[str, Level] = {
    level.name: level
    for level in (
        Level(
            LINEARIZABLE,
            "a read sees every write that was acknowledged before the read began",
            "linearizability",
            "any replica, once a majority has confirmed who leads",
            "a round trip, shared by many reads",
            refused=(ASYNC,),
        ),
        Level(
            LEADER,
            "a read sees what the node that answers had committed as leader; one that was deposed unawares may answer"
            " old data",
            "true answer",
            "the node that leads, or believes that it does",
            "none",
        ),
        Level(
            BOUNDED,
            "a read misses no write that was acknowledged more than the bound before it began, unless a failover has"
            " lost that write (`async`)",
            "bounded staleness",
            "any replica that has heard within the bound how far the leader was, whom a majority had confirmed",
            "that round trip, at most once in the bound for each replica",
            anywhere=True,
            bound=True,
            lossless=True,
        ),
        Level(
            SESSION,
            "a read sees the session's own writes, and never an earlier state than the session has seen before; where a"
            " failover has lost what it had seen, it fails with BookmarkLost",
            "session",
            "any replica that has reached the session's bookmark; one that has not waits until it has",
            "none, where the replica is not behind",
            anywhere=True,
            led=False,
        ),
        Level(
            EVENTUAL,
            "a read sees some earlier state of the database, and never what nobody wrote",
            "true answer",
            "any replica, at once",
            "none",
            anywhere=True,
            led=False,
        ),
    )
}
"""The strongest first."""

READ_LEVELS = tuple(LEVELS)
SPELLINGS = tuple([level.spelling for level in LEVELS.values()])

_UNITS_US = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000}
_BOUND = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,3}))?(ms|s|m)")


class NoSuchLevel(ValueError):
    """No read level is spelt like this; the text says what is wrong."""


@functools.lru_cache(256)
def parse(text: str) -> tuple[Level, int]:
    """The level that this names, and its bound in microseconds (0: it has none). Raises NoSuchLevel."""
    name, colon, bound = text.partition(":")
    level = LEVELS.get(name)
    if level is None or (colon and not level.bound):
        raise NoSuchLevel(f"unknown read level {text!r:.80}")
    if not level.bound:
        return level, 0
    found = _BOUND.fullmatch(bound)
    thousandths = int(found[1] + (found[2] or "").ljust(3, "0")) if found else 0
    bound_us = thousandths * _UNITS_US[found[3]] // 1_000 if found else 0
    if not bound_us:
        raise NoSuchLevel(f"the read level {text!r:.80} needs a time with a unit (ms, s or m), as in {level.spelling}")
    return level, bound_us


def offered(acks: str, read: str) -> bool:
    """Whether a database with this kind of acks serves reads of this level: `linearizable` needs that every new leader
    holds all that was acknowledged."""
    return acks not in LEVELS[read].refused
