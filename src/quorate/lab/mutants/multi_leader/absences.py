"""Mutants of leaders that come back after they were not waited for any more."""

from typing import Any

from quorate.core.bounds import GroupId
from quorate.core.kernel import Now
from quorate.core.multi_leader import pulling, serving
from quorate.core.multi_leader.messages import Fetch
from quorate.core.multi_leader.state import Kept, LeaderGroup
from quorate.core.streams import Merge
from quorate.core.versions import row
from quorate.lab.mutants.sabotage import Mutant, Swap
from quorate.lab.sim.replications.multi_leader.notes import GONE
from quorate.storage.versions.merging import Merging

BACK = (GONE, "replicas equal", "acknowledged write lost", "causal order")


def _deletes_forgotten(original: Any) -> Any:
    """Whether all have seen them or not."""

    def trimmed(state: row.Row, spec: Any, floor: Any) -> row.Row | None:
        return original(state, spec, floor) if row.is_live(state) else None

    return trimmed


def _goes_on_from_what_is_left(original: Any) -> Any:
    """Of a log that does not reach back any more."""

    def serve(group: LeaderGroup, kept: Kept) -> None:
        if kept.through.index < group.log.base.index:
            kept.through = group.log.base
        original(group, kept)

    return serve


def _takes_nothing_away(_original: Any) -> Any:
    def forget_rest(*_arguments: Any) -> None:
        return None

    return forget_rest


def _takes_everything(_original: Any) -> Any:
    """Instead of reading for a while the log of who wrote what is lacking."""

    def besides(group: LeaderGroup, _now: Now, chosen: tuple[GroupId, ...]) -> list[GroupId]:
        for each in chosen:
            one = group.pulling.upstreams[each]
            if one.lacks and not one.number:
                one.part = 1
        return []

    return besides


def _parts_are_passed(original: Any) -> Any:
    """As if nothing were in them."""

    def missing(group: LeaderGroup, fetch: Fetch, merge: Merge) -> Merge | None:
        return original(group, fetch, merge) if merge.whole else None

    return missing


MUTANTS = (
    Mutant(
        "resurrected-rows",
        "deletes are forgotten at once, without regard to who has merged them",
        "Cassandra with gc_grace_seconds = 0, or a node that is away for longer",
        "absences",
        (Swap(row, "trimmed", _deletes_forgotten),),
        BACK,
    ),
    Mutant(
        "returns-without-a-copy",
        "a leader that was away for too long goes on with what is left of the others' logs",
        "MySQL replicas that were told to go on at the first binary log that had not been purged",
        "absences",
        (Swap(serving, "_serve", _goes_on_from_what_is_left),),
        (*BACK, "liveness"),
    ),
    Mutant(
        "copy-takes-nothing-away",
        "who takes everything from another keeps the rows that were deleted and forgotten there",
        "Cassandra: a node that is repaired after gc_grace_seconds gives deleted rows back",
        "absences",
        (Swap(Merging, "forget_rest", _takes_nothing_away),),
        BACK,
    ),
    Mutant(
        "everything-around-a-ring",
        "where a log lacks what its leader has taken as a whole, everything is taken from that leader, too",
        "our own: three leaders in a ring took everything from each other for ever",
        "absences",
        (Swap(pulling, "_besides", _takes_everything),),
        ("liveness",),
    ),
    Mutant(
        "written-upon-a-part",
        "what a leader writes while it takes everything from another is given to who lacks that",
        "our own: the last part alone said what was in all of them",
        "absences",
        (Swap(serving, "_missing", _parts_are_passed),),
        ("causal order",),
    ),
)
