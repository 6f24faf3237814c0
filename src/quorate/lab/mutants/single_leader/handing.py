"""Mutants of failovers that somebody asks for."""

from typing import Any

import msgspec

from quorate.core.bounds import NodeId
from quorate.core.kernel import LostSaved, Now
from quorate.core.quorum import majority
from quorate.core.single_leader import election, orders, reads, transfer
from quorate.core.single_leader.messages import Vote
from quorate.core.single_leader.state import Group
from quorate.lab.mutants.sabotage import Mutant, Swap
from quorate.storage.store import BaseStore

LOSES = (
    "leader completeness", "state machine safety", "committed entries stay", "acknowledged write lost",
    "linearizability", "exactly once", "node", "lost tail", "replicas equal",
)  # fmt: skip


def _stands_without_all(_original: Any) -> Any:
    def stand(group: Group, now: Now) -> bool:
        assert group.handover.transfer is not None
        transfer.tell(group, now, group.handover.transfer.to)
        return True

    return stand


def _believes_the_leader(original: Any) -> Any:
    """The leader itself named this candidate, so it must have everything."""

    def on_vote(group: Group, now: Now, sender: NodeId, message: Vote) -> None:
        if message.transfer:
            message = msgspec.structs.replace(message, last=max(message.last, group.log.last))
        original(group, now, sender, message)

    return on_vote


def _forgets(original: Any) -> Any:
    def conclude(group: Group) -> None:
        if group.handover.transfer is not None:
            group.handover.transfer.waiting.clear()
        original(group)

    return conclude


def _answers_twice(original: Any) -> Any:
    def hold(group: Group, requests: list[Any]) -> bool:
        original(group, requests)
        return False

    return hold


def _holds_nothing(_original: Any) -> Any:
    return lambda _group: False


def _trusts_the_heir(original: Any) -> Any:
    """Nobody else can lead before it does, so who handed over may go on answering until it hears of it."""

    def begin_round(group: Group) -> None:
        original(group)
        if group.handover.to and group.reading.round:
            reads._finish_round(group)

    return begin_round


def _stands_unasked(_original: Any) -> Any:
    return lambda _group, _now: True


def _less_than_half(original: Any) -> Any:
    """Who accepts a loss is content with every vote less than a majority."""

    def wins(group: Group, votes: dict[NodeId, bool]) -> bool | None:
        if group.order is not None and group.order.is_loose and sum(votes.values()) >= majority(len(group.voters)) - 1:
            return True
        return original(group, votes)  # type: ignore[no-any-return]

    return wins


def _says_nothing(_original: Any) -> Any:
    return lambda _group: False


def _saves_nothing(_original: Any) -> Any:
    return lambda _store, effect: [LostSaved(effect.group, effect.first, 0)]


MUTANTS = (
    Mutant(
        "handed-to-one-that-lacks-entries",
        "leadership is handed to a follower that lacks entries, and voters take the old leader's word for it",
        "any promotion of a replica that lags; what section 3.10, step 2, of the thesis prevents",
        "planned",
        (Swap(transfer, "_stand_when_ready", _stands_without_all), Swap(election, "on_vote", _believes_the_leader)),
        LOSES,
    ),
    Mutant(
        "held-writes-forgotten",
        "writes that were held while leadership was handed over are never answered",
        "no case known; the duty of whoever holds a request",
        "planned",
        (Swap(transfer, "conclude", _forgets),),
        ("liveness",),
    ),
    Mutant(
        "held-writes-answered-twice",
        "writes that were held are refused by who steps down, and answered again when it is known who leads",
        "no case known; the duty of whoever holds a request",
        "planned",
        (Swap(transfer, "hold", _answers_twice),),
        ("one reply",),
    ),
    Mutant(
        "writes-go-on-while-handing-over",
        "new batches are begun though another was told to stand",
        "no case known as a bug; the thesis, section 3.10, step 1, asks that the old leader stop",
        "smooth",
        (Swap(Group, "holds_writes", _holds_nothing),),
        ("no failed request",),
    ),
    Mutant(
        "old-leader-serves-after-transfer",
        "who has handed over goes on answering linearizable reads without asking anybody",
        "no case known as a bug; what a lease without a check would be",
        "heirs",
        (Swap(reads, "begin_round", _trusts_the_heir),),
        ("linearizability", "true answer"),
    ),
    Mutant(
        "manual-elects-itself",
        "replicas of a database with failover = manual stand when their leader falls silent",
        "no case known as a bug; what `manual` forbids",
        "by_hand",
        (Swap(orders, "may_by_itself", _stands_unasked),),
        ("leads by order",),
    ),
    Mutant(
        "loss-accepted-by-less-than-a-majority",
        "who accepts a loss is elected by less than a majority, so that one epoch may have two leaders",
        "Elasticsearch before 7.0 with minimum_master_nodes set too low",
        "accepted",
        (Swap(Group, "wins", _less_than_half),),
        ("election safety", "node", "durable majority"),
    ),
    Mutant(
        "loss-accepted-silently",
        "an epoch that began without enough votes does not say so: those who come back do not know what was given up",
        "Kafka's unclean leader election: followers truncate what was acknowledged",
        "accepted",
        (Swap(orders, "loss_is_accepted", _says_nothing),),
        LOSES,
    ),
    Mutant(
        "given-up-tail-not-saved",
        "a node that comes back after a loss was accepted drops what it alone had",
        "Kafka's unclean leader election",
        "accepted",
        (Swap(BaseStore, "_on_save_lost", _saves_nothing),),
        ("lost tail",),
    ),
)
