"""How stale a read of a partial quorum may be.

Bailis and others, "Probabilistically Bounded Staleness for Practical Partial Quorums", VLDB 2012.
"""

from collections.abc import Sequence
from math import comb
from random import Random

from msgspec import Struct

from quorate.core.quorums import Quorums


def stale_within(quorums: Quorums, versions: int) -> float:
    """The chance that a read misses all of the newest so many versions, when each write reaches w replicas chosen at
    random, no others, and each read asks r chosen at random (k-staleness, section 3.1)."""
    missed = comb(quorums.n - quorums.w, quorums.r) / comb(quorums.n, quorums.r)
    return float(missed**versions)


class Legs(Struct, frozen=True):
    """The latencies from which each message's is drawn, in milliseconds (WARS, section 4.1)."""

    write: Sequence[float]
    acknowledge: Sequence[float]
    read: Sequence[float]
    respond: Sequence[float]


def stale_after(quorums: Quorums, legs: Legs, after_ms: Sequence[float], trials: int, rng: Random) -> list[float]:
    """For each time between a write's acknowledgement and the start of a read: the chance that the read returns an
    older version (t-visibility). Every replica gets every write and read; the first w and r answers count."""
    stale = [0] * len(after_ms)
    replicas = range(quorums.n)
    for _ in range(trials):
        arrives = rng.choices(legs.write, k=quorums.n)
        acknowledged = sorted(map(sum, zip(arrives, rng.choices(legs.acknowledge, k=quorums.n), strict=True)))
        begins = acknowledged[quorums.w - 1]
        asks = rng.choices(legs.read, k=quorums.n)
        answers = [there + back for there, back in zip(asks, rng.choices(legs.respond, k=quorums.n), strict=True)]
        fastest = sorted(replicas, key=answers.__getitem__)[: quorums.r]
        seen_from = min(arrives[each] - asks[each] for each in fastest) - begins
        for number, after in enumerate(after_ms):
            stale[number] += after < seen_from
    return [count / trials for count in stale]
