"""Mutants of elections that an etcd permits."""

from typing import Any

from quorate.core.bounds import NodeId
from quorate.core.kernel import Now
from quorate.core.single_leader import election, orders, permits, reads
from quorate.core.single_leader.state import Group
from quorate.lab.mutants.sabotage import Mutant, Swap
from quorate.lab.mutants.single_leader.handing import LOSES


def _wins_by_permit(original: Any) -> Any:
    """Etcd gave this epoch to nobody else, so nobody has to be asked."""

    def wins(group: Group, votes: dict[NodeId, bool]) -> bool | None:
        if group.rules.by_permit and votes.get(group.me):
            return True  # whom nobody would vote for asks for a permit too, and leads once it has it
        return original(group, votes)  # type: ignore[no-any-return]

    return wins


def _steps_down_without(original: Any) -> Any:
    """Who has the permit leads, and no majority has to be heard."""
    return lambda group: group.permit.epoch == 0 and original(group)


def _reads_by_permit(original: Any) -> Any:
    """Who has the permit leads, so it may answer for the log without asking anybody."""

    def begin_round(group: Group) -> None:
        original(group)
        if group.permit.epoch and group.reading.round:
            reads._finish_round(group)

    return begin_round


def _needs_none(_original: Any) -> Any:
    return lambda _group, _now: False


def _takes_the_next(original: Any) -> Any:
    def campaign(group: Group, now: Now, *, transfer: bool = False, epoch: int = 0) -> None:
        del epoch
        original(group, now, transfer=transfer)

    return campaign


MUTANTS = (
    Mutant(
        "permit-instead-of-votes",
        "who has etcd's permit leads without the votes, and so without the log, of the others",
        "Patroni and its like promote by the lock; they must compare log positions beside it",
        "permitted",
        (Swap(Group, "wins", _wins_by_permit),),
        (*LOSES, "election safety", "durable majority"),
    ),
    Mutant(
        "permit-taken-as-a-fence",
        "a leader that once got a permit serves on without a majority: its lease ran out, and another leads",
        "Kleppmann 2016, How to do distributed locking: a lease is no fence; a node that paused cannot know",
        "permitted",
        (Swap(orders, "steps_down_for_others", _steps_down_without), Swap(reads, "begin_round", _reads_by_permit)),
        ("linearizability", "true answer"),
    ),
    Mutant(
        "stands-without-a-permit",
        "replicas of a database with failover = etcd stand though etcd has not permitted it",
        "no case known as a bug; what `etcd` forbids",
        "permitted",
        (Swap(permits, "needed", _needs_none),),
        ("leads by permit",),
    ),
    Mutant(
        "epoch-not-from-the-permit",
        "who has a permit stands for the next epoch, not for the one that the permit is for",
        "no case known as a bug; a lock service's sequencer that nobody checks (Burrows 2006, section 2.4)",
        "permitted",
        (Swap(election, "campaign", _takes_the_next),),
        ("leads by permit", "node"),
    ),
)
