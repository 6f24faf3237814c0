"""Whole nodes that are wrong in one way. They differ from the real one only in what goes in or comes out."""

from dataclasses import dataclass

import msgspec

from quorate.core.kernel import Effect, Event, Now, Persist, Request, WriteHardState
from quorate.core.node import Node
from quorate.core.requests import LEADER, LINEARIZABLE, Run
from quorate.core.single_leader.state import NOBODY


class VoteNotPersisted(Node):
    """Votes, and forgets by the next restart for whom; it still knows the epoch."""

    def step(self, now: Now, event: Event) -> list[Effect]:
        effects = super().step(now, event)
        return [_without_vote(effect) if isinstance(effect, Persist) else effect for effect in effects]


def _without_vote(effect: Persist) -> Persist:
    writes = tuple(
        WriteHardState(write.group, write.epoch, NOBODY) if isinstance(write, WriteHardState) else write
        for write in effect.writes
    )
    return Persist(effect.sequence, writes)


class AcknowledgedBeforeFsync(Node):
    """As follower, tells the leader that it has the entries while its disk is still writing them."""

    def step(self, now: Now, event: Event) -> list[Effect]:
        effects = super().step(now, event)
        for group in self.groups.values():
            group.send_after_persist = group.send  # type: ignore[method-assign]
        return effects


class UnconfirmedReads(Node):
    """Answers linearizable reads as soon as it believes to lead, without asking whether it still does."""

    def step(self, now: Now, event: Event) -> list[Effect]:
        if isinstance(event, Request) and isinstance(event.body, Run) and event.body.level == LINEARIZABLE:
            event = Request(event.id, msgspec.structs.replace(event.body, level=LEADER))
        return super().step(now, event)


@dataclass(frozen=True)
class Mutant:
    """A sabotaged core, the scenario that shows it, and the judges that should be the ones to notice."""

    name: str
    core: type[Node]
    scenario: str
    inner: tuple[str, ...]
    """Judges that look inside and notice at once; silenced, the outer ones must still notice."""
    outer: tuple[str, ...]


MUTANTS = (
    Mutant(
        "vote-not-persisted",
        VoteNotPersisted,
        "votes",
        inner=("durable vote",),
        outer=("election safety", "node", "log matching", "leader completeness", "state machine safety"),
    ),
    Mutant(
        "acknowledged-before-fsync",
        AcknowledgedBeforeFsync,
        "power",
        inner=("durable vote", "durable majority"),
        outer=(
            "acknowledged write lost",
            "exactly once",
            "linearizability",
            "leader completeness",
            "state machine safety",
            "log matching",
            "election safety",
            "node",
        ),
    ),
    Mutant("unconfirmed-reads", UnconfirmedReads, "deposed", inner=(), outer=("linearizability",)),
)
