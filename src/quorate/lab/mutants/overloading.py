"""Mutants of patience and overload: who is taken for dead because somebody is slow, and what too much work does."""

from collections import deque
from typing import Any

from msgspec import structs

from quorate.core import callers, timeouts
from quorate.core.admission import Admission
from quorate.core.calls import Request
from quorate.core.kernel import Now
from quorate.core.liveness import Liveness
from quorate.core.node import Node
from quorate.core.repeats import Budget
from quorate.core.timeouts import Timing
from quorate.lab.mutants.sabotage import Mutant, Swap
from quorate.lab.sim.engine.processor import BusyHost


def _nothing(_original: Any) -> Any:
    return lambda *_arguments: None


def _floor(_original: Any) -> Any:
    return lambda settings, *_arguments: settings.election_us


def _always(_original: Any) -> Any:
    return lambda *_arguments: True


def _however_late(original: Any) -> Any:
    def take(node: Node, now: Now, requests: tuple[Request, ...]) -> None:
        original(node, now, tuple([structs.replace(request, until_us=0) for request in requests]))

    return take


def _asked_first(original: Any) -> Any:
    def choose(host: BusyHost) -> Any:
        told, host._first = host._first, deque() if host._asked else host._first
        event = original(host)
        host._first = told
        return event

    return choose


COLLAPSE = ("goodput", "recovery")

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
    Mutant(
        "queue-without-bound",
        "whatever comes is queued, for however long",
        "the standing queues of Nichols and Jacobson 2012; Amazon's outage of 2011 (Bronson and others, 2021)",
        "spike",
        (Swap(Admission, "refusal", _nothing), Swap(Admission, "late", _nothing)),
        COLLAPSE,
    ),
    Mutant(
        "repeats-without-budget",
        "callers ask again for as long as they like",
        "retry storms: Bronson and others, HotOS 2021, section 2.1",
        "storm",
        (Swap(Budget, "spend", _always),),
        COLLAPSE,
    ),
    Mutant(
        "heartbeats-in-line",
        "what peers say waits behind what clients ask for",
        "etcd's followers that campaign because the leader is busy (its tuning guide: give heartbeats priority)",
        "spike",
        (Swap(BusyHost, "_choose", _asked_first),),
        ("heartbeats first", "no needless election", *COLLAPSE),
    ),
    Mutant(
        "works-for-nobody",
        "requests are run although their callers have ceased to wait",
        "Maurer, 'Fail at scale', 2015: servers that work on what has timed out",
        "storm",
        (Swap(callers, "_take", _however_late),),
        ("work for nobody",),
    ),
)
