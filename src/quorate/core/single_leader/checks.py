"""What a replica knows of a comparison of its content with that of others (`verification`)."""

from msgspec import Struct

from quorate.core.kernel import NodeId, Position
from quorate.core.single_leader.messages import VerifyReply


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
