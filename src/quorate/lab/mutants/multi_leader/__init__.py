"""Mutants of databases with several leaders: what one of them takes from another, and whose a token is."""

from typing import Any

from quorate.core import routes
from quorate.core.multi_leader import pulling, serving, stability
from quorate.core.multi_leader.messages import Fetch, Part
from quorate.core.multi_leader.state import LeaderGroup
from quorate.core.streams import Merge
from quorate.lab.mutants.multi_leader import absences
from quorate.lab.mutants.sabotage import Mutant, Swap

DIFFER = ("replicas equal", "acknowledged write lost", "causal order", "true answer", "liveness")


def _own_are_news(_original: Any) -> Any:
    def has(fetch: Fetch, merge: Merge) -> bool:
        return any(origin == merge.origin and through >= merge.merged for origin, through in fetch.merged)

    return has


def _never_known(_original: Any) -> Any:
    def is_known(group: LeaderGroup, part: Part) -> bool:
        return part.origin != group.group and part.merged <= pulling.merged_of(group, part.origin)

    return is_known


def _skips_foreign(original: Any) -> Any:
    """What the asker reads elsewhere is left out, whether it has it or not."""

    def has(fetch: Fetch, merge: Merge) -> bool:
        return original(fetch, merge) or merge.origin not in fetch.wants

    return has


def _all_of_it(_original: Any) -> Any:
    def stable(group: LeaderGroup) -> int:
        return group.log.last.index

    return stable


def _anywhere(_original: Any) -> Any:
    def elsewhere(*_arguments: Any) -> None:
        return None

    return elsewhere


def _goes_on(_original: Any) -> Any:
    """What failed is left out, and what was read after it is merged."""

    def failed(group: LeaderGroup, _why: Any) -> None:
        if group.pulling.queue:
            group.pulling.queue.popleft()

    return failed


def _waits_for_most(original: Any) -> Any:
    """The last sibling is left out."""

    def waited_for(group: LeaderGroup) -> list[int]:
        groups: list[int] = original(group)
        others = [each for each in groups if each != group.group]
        return [each for each in groups if each != max(others, default=0)]

    return waited_for


MUTANTS = (
    Mutant(
        "streams-in-a-loop",
        "a leader takes its own writes back from others, and gives them on again, for ever",
        "circular replication in MySQL without server ids, or with one whose server is gone (bug 25998)",
        "leaders",
        (Swap(serving, "_has", _own_are_news), Swap(pulling, "_is_known", _never_known)),
        ("liveness",),
    ),
    Mutant(
        "effect-before-its-cause",
        "a log is read past a foreign write that the reader is to get elsewhere, and has not got yet",
        "the textbook's update that overtakes its insert (Kleppmann 2017, figure 5-9)",
        "leaders",
        (Swap(serving, "_has", _skips_foreign),),
        ("causal order",),
    ),
    Mutant(
        "streamed-before-a-majority",
        "a leader gives what its own group may lose to the others",
        "logical replication from a PostgreSQL primary whose standby takes over without it (failover slots)",
        "leaders",
        (Swap(serving, "_stable", _all_of_it),),
        DIFFER,
    ),
    Mutant(
        "token-of-any-leader",
        "a write that is sent again runs at whichever leader it comes to",
        "retries at another primary of a multi-primary cluster; no issue known",
        "leaders",
        (Swap(routes, "elsewhere", _anywhere),),
        ("exactly once", "same answer", "true answer"),
    ),
    Mutant(
        "failed-merge-left-out",
        "a merge that failed is left out, and the next one made",
        "sql_replica_skip_counter and replica_skip_errors of MySQL",
        "leaders",
        (Swap(pulling, "_failed", _goes_on),),
        DIFFER,
    ),
    Mutant(
        "floor-without-one-leader",
        "a leader calls conflicts final that one of the others has not seen yet",
        "min_seen vectors of causal stability with a member left out (Baquero and others 2014)",
        "leaders",
        (Swap(stability, "waited_for", _waits_for_most),),
        DIFFER,
    ),
    *absences.MUTANTS,
)
