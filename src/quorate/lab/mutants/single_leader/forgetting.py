"""Mutants of what is done where a folder was put back from an older copy and nobody could tell."""

from typing import Any

from quorate.core.kernel import LostSaved, Now
from quorate.core.single_leader import rewinding, snapshots
from quorate.core.single_leader.state import Group
from quorate.core.superseding import Lives
from quorate.lab.mutants.sabotage import Mutant, Swap


def _keeps_nothing(_original: Any) -> Any:
    def save(group: Group, now: Now, first: int, _snapshot: int = 0) -> None:
        snapshots.on_lost_saved(group, now, LostSaved(group.group, first, 0))

    return save


def _sees_none(_original: Any) -> Any:
    return lambda _lives, _named: False


MUTANTS = (
    Mutant(
        "contradicted-tail-dropped",
        "a replica lets the leader's log take the place of a tail that was committed, and keeps nothing of it",
        "no case known as a bug; what Raft prescribes, which does not reckon with old copies of a disk",
        "forgotten",
        (Swap(rewinding, "save", _keeps_nothing),),
        ("lost tail",),
    ),
    Mutant(
        "forgotten-lives-unseen",
        "nobody looks which lives the nodes knew that elected a leader",
        "no case known as a bug; what a node committed last and was not told of is then dropped as if it never had",
        "forgotten",
        (Swap(Lives, "forgot", _sees_none),),
        ("lost tail", "election safety"),
    ),
)
