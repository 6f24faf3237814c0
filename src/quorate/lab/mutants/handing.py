"""Mutants of failovers that somebody asks for."""

from typing import Any

import msgspec

from quorate.core.kernel import NodeId, Now
from quorate.core.single_leader import election, reads, transfer
from quorate.core.single_leader.messages import Vote
from quorate.core.single_leader.state import Group
from quorate.lab.mutants.sabotage import Mutant, Swap

LOSES = (
    "leader completeness", "state machine safety", "counted entries stay", "acknowledged write lost", "linearizability",
    "exactly once", "node", "lost tail", "replicas equal",
)  # fmt: skip


def _stands_without_all(_original: Any) -> Any:
    def stand(group: Group, now: Now) -> bool:
        assert group.transfer is not None
        transfer.tell(group, now, group.transfer.to)
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
        if group.transfer is not None:
            group.transfer.waiting.clear()
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
        if group.transfer_to and group.reading.round:
            reads._finish_round(group)

    return begin_round


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
)
