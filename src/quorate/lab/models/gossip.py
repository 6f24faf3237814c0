"""How many rounds it takes until every replica has heard what one knew.

Rounds are synchronous, as in the analysis of Demers and others ("Epidemic Algorithms for Replicated Database
Maintenance", PODC 1987) and of Pittel ("On Spreading a Rumor", 1987: push takes log2 N + ln N rounds). In each, a
replica contacts others that it chooses at random, never itself; a contact is lost with a given chance, as a whole.
"""

import math
from collections.abc import Iterator
from enum import StrEnum
from random import Random

from msgspec import Struct

ROUNDS_MAX = 10_000


class Exchange(StrEnum):
    """Who tells whom at a contact."""

    PUSH = "push"
    """Whoever knows tells whom it contacts."""
    PULL = "pull"
    """Whoever does not know asks whom it contacts."""
    PUSH_PULL = "push-pull"
    """Everybody contacts somebody, and afterwards both know."""


class Variant(Struct, frozen=True):
    """A way to gossip."""

    exchange: Exchange
    fan_out: int = 1
    """How many others each replica contacts in a round."""
    loss: float = 0.0
    """The chance that a contact comes to nothing."""

    @property
    def name(self) -> str:
        """As a person calls it: "push, fan-out 2, 20 % lost"."""
        fan_out = f", fan-out {self.fan_out}" if self.fan_out > 1 else ""
        return f"{self.exchange}{fan_out}" + (f", {100 * self.loss:.0f} % lost" if self.loss else "")


class Spread(Struct, frozen=True):
    """One rumour, from its first round to its last."""

    informed: tuple[int, ...]
    """How many replicas knew before the first round, and after each."""
    contacts: int
    """How many were made by those who had something to tell or to ask."""

    @property
    def rounds(self) -> int:
        """Until all knew."""
        return len(self.informed) - 1


def spread(replicas: int, variant: Variant, rng: Random) -> Spread:
    """Let one replica of so many know, and go on until all do. Raises ValueError for fewer than two replicas, and when
    nothing ever arrives."""
    if replicas < 2:
        raise ValueError("a rumour needs at least two replicas")
    if not 0 <= variant.loss < 1 or variant.fan_out < 1:
        raise ValueError("the loss must be at least 0 and below 1, the fan-out at least 1")
    knows = bytearray(replicas)
    knows[0] = 1
    informed, contacts = [1], 0
    while informed[-1] < replicas:
        if len(informed) > ROUNDS_MAX:
            raise ValueError(f"after {ROUNDS_MAX} rounds not all have heard: the loss is too high")
        before = bytes(knows)
        for _ in range(variant.fan_out):
            contacts += _round(variant, before, knows, rng)
        informed.append(knows.count(1))
    return Spread(tuple(informed), contacts)


def _round(variant: Variant, before: bytes, knows: bytearray, rng: Random) -> int:
    """One contact of each replica that makes any; who knows afterwards is marked. Returns how many were made."""
    made = 0
    for caller, called in _contacts(variant.exchange, before, rng):
        made += 1
        if before[caller] != before[called] and not (variant.loss and rng.random() < variant.loss):
            knows[caller] = knows[called] = 1
    return made


def _contacts(exchange: Exchange, before: bytes, rng: Random) -> Iterator[tuple[int, int]]:
    """Who contacts whom: another one, each as likely as any. Only those who would make a difference at all."""
    count = len(before)
    if exchange is Exchange.PUSH:
        callers = [number for number in range(count) if before[number]]
    elif exchange is Exchange.PULL:
        callers = [number for number in range(count) if not before[number]]
    else:
        callers = list(range(count))
    for caller, step in zip(callers, rng.choices(range(1, count), k=len(callers)), strict=True):
        yield caller, (caller + step) % count


def doubling(replicas: int) -> int:
    """Rounds if no contact were wasted: log2 N, the textbook's figure. Each replica that knows would have to tell one
    that does not, in every round."""
    return math.ceil(math.log2(replicas))


def pittel(replicas: int) -> float:
    """Rounds of push with fan-out 1, as N grows: log2 N + ln N (Pittel 1987)."""
    return math.log2(replicas) + math.log(replicas)
