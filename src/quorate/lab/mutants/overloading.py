"""Mutants of patience: who is taken for dead because somebody is slow."""

from typing import Any

from quorate.core import timeouts
from quorate.core.liveness import Liveness
from quorate.core.timeouts import Timing
from quorate.lab.mutants.sabotage import Mutant, Swap


def _nothing(_original: Any) -> Any:
    return lambda *_arguments: None


def _floor(_original: Any) -> Any:
    return lambda settings, *_arguments: settings.election_us


MUTANTS = (
    Mutant(
        "own-stall-blamed",
        "a node that did not run for a while takes the others, whom it could not hear, for dead",
        "Consul's members that were starved of processor time and accused healthy ones (Lifeguard, 2018)",
        "patient",
        (Swap(Liveness, "stalled", _nothing),),
        ("stability", "progress"),
    ),
    Mutant(
        "suspicion-below-round-trip",
        "times stay as configured where a round trip takes longer",
        "etcd's tuning guide warns of it: election time-outs are to be ten round trips",
        "patient",
        (Swap(Timing, "_derive", _nothing), Swap(timeouts, "election_us", _floor)),
        ("stability", "progress", "liveness"),
    ),
)
