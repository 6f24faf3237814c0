"""What a replica writes down of things that are under way: requests, batches, reads, copies, comparisons."""

from typing import Any

from msgspec import Struct

from quorate.core.bookmarks import Reached
from quorate.core.bounds import NodeId
from quorate.core.calls import Request
from quorate.core.entries import DATA, FOREIGN, ORIGIN, Position
from quorate.core.single_leader.messages import VerifyReply
from quorate.core.streams import Merge
from quorate.core.view_requests import OpenView

NOBODY: NodeId = 0


class Batch(Struct):
    """Writes under way together: executing, then replicating, then committing."""

    number: int
    requests: list[Request]
    outcomes: tuple[bytes, ...] = ()
    since_us: int = 0
    position: Position = ORIGIN
    """Its entry, or the one before when it needed none; ORIGIN while it is executing."""
    alone: bool = False
    """Its one request takes long, and runs beside all else (`long_writes`)."""
    told: bool = False
    """Its callers have waited too long and were told so."""

    @property
    def kind(self) -> int:
        """Of its entry."""
        return FOREIGN if type(self.requests[0].body) is Merge else DATA


class Known(Struct, frozen=True):
    """In place of statements: they have run already, and gave this (`evaluating`)."""

    outcome: bytes


class EntireCopy(Struct, frozen=True):
    """In place of statements: what is read is everything, as a copy (`core.copies`)."""


Subject = tuple[Any, ...] | OpenView | EntireCopy | Known
"""What is read: with statements, or otherwise."""


class Read(Struct):
    """A linearizable read that waits for a confirmation and then for an applied index."""

    id: int
    what: Subject
    since_us: int
    asker: NodeId = NOBODY
    """Another replica that asked how far to apply, instead of a caller of this node."""
    index: int = -1
    until_us: int = 0
    after: tuple[Reached, ...] = ()
    """What its session has seen."""
    bound_us: int = 0


class Reading(Struct):
    """The reads of one replica that are not answered yet, by what they wait for."""

    waiting: list[Read] = []
    """For a round to begin."""
    round: int = 0
    """The heartbeat sequence that a majority must answer; 0 while no round is under way."""
    index: int = -1
    """What was committed when the round began."""
    round_us: int = 0
    """When that was."""
    confirming: list[Read] = []
    """For that round."""
    confirmed: dict[NodeId, int] = {}
    """The highest heartbeat that each voter answered from within our epoch."""
    applying: list[Read] = []
    """Confirmed; for their index to be applied."""
    asked: dict[int, Read] = {}
    """On a follower: for the leader to say how far to apply."""
    numbers: int = 0
    """Counts on from the boot, so that a late answer to an earlier life answers nothing in this one."""
    told_us: int = -(1 << 62)
    """When the newest round that has succeeded was asked for."""
    told_index: int = -1
    """What it said; -1: there was none in this life."""

    def next_number(self) -> int:
        """For the next question to the leader."""
        self.numbers += 1
        return self.numbers


class Incoming(Struct):
    """A snapshot that this replica is fetching."""

    leader: NodeId
    theirs: int
    """The sender's number for it."""
    ours: int
    position: Position
    offset: int = 0
    storing: bool = False
    complete: bool = False
    """All of it is here, and verified."""


class Transfer(Struct):
    """Leadership that is being handed over because somebody asked for it."""

    to: NodeId
    callers: list[int]
    since_us: int
    holds: bool = False
    """New writes wait."""
    held_us: int = 0
    """Since when they do."""
    waiting: list[Request] = []
    """Once this replica no longer leads: writes that nobody has run, until it is known who leads."""


class Order(Struct):
    """Somebody wants this replica to lead, now that nobody does."""

    callers: list[int]
    until_us: int
    """When they are told that it was in vain."""
    accept_loss: bool
    """A majority of the voters is enough, whatever the ack policy asks for."""
    rounds: int = 0
    """How often it has asked for votes. The first time it asks for all that the ack policy wants."""
    refused: dict[NodeId, None] = {}
    """Who would not vote for it."""

    @property
    def is_loose(self) -> bool:
        """From now on a majority is enough."""
        return self.accept_loss and self.rounds > 1


class Check(Struct):
    """A digest that this replica was asked for, until a newer one is wanted."""

    leader: NodeId
    epoch: int
    number: int
    position: Position
    begun: bool = False
    """The data file has come to stand at the position."""
    passed: bool = False
    """The data file stood beyond the position when it was asked."""
    digest: str = ""
    failed: str = ""


class Verification(Struct):
    """One comparison of all replicas, as their leader conducts it."""

    number: int
    position: Position
    callers: list[int] = []
    asked: tuple[NodeId, ...] = ()
    """Every other member, as of when the position was named."""
    attempt: int = 1
    heard_us: dict[NodeId, int] = {}
    """When each replica last said that it is at work (at first: when it was asked)."""
    asked_us: int = 0
    answers: dict[NodeId, VerifyReply] = {}
    """The final word of each replica, or ours about one that is away."""


class Verifying(Struct):
    """What one replica knows of the comparison of its content with that of others."""

    numbers: int = 0
    check: Check | None = None
    running: Verification | None = None
    """As leader."""
    wanted: bool = False
    """As leader: to name a position and ask for it as soon as no batch is being executed."""
    callers: list[int] = []
    """Who waits for the next comparison."""
    equal_at: int = 0
    """The newest index at which a majority was found to hold what this replica held; 0: none in this life."""

    def limit(self, epoch: int, leader: NodeId, applied: int) -> int | None:
        """The index beyond which nothing may be applied before it has been pinned, if there is one."""
        check = self.check
        if check is None or check.begun or check.passed:
            return None
        if check.epoch != epoch or check.leader != leader:
            self.check = None  # its leader is gone; what it named may never be
            return None
        return check.position.index if applied < check.position.index else None


class Permit(Struct):
    """What one replica knows of the permit to stand (`permits`)."""

    numbers: int = 0
    asked: int = 0
    """The number of the question that is not answered yet; 0: there is none."""
    epoch: int = 0
    """The epoch that the permit is for which this replica has; 0: it has none."""
    why: str = ""
    """Why the last question got none."""


class Leaving(Struct):
    """A replica that is to leave its group, or has left it."""

    since_us: int = 0
    """As leader: since when a committed configuration has left it out; 0: none does."""
    handed_us: int = -(1 << 62)
    """When it last began to hand over because it is to go."""
    asked_us: int = -(1 << 62)
    """When it last asked whether it is a member still."""

    def stay(self) -> None:
        """This replica leads no more."""
        self.since_us = 0
