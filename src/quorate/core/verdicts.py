"""What a comparison of replicas (`Verify`) found."""

from msgspec import Struct

from quorate.core.bounds import Epoch, GroupId, Index, NodeId

EQUAL = "equal"
DIFFERS = "differs"
DAMAGED = "damaged"
UNDECIDED = "undecided"
AWAY = "away"


class ReplicaVerdict(Struct, frozen=True):
    """What verify found of one replica.

    `equal`: it holds what a majority holds, or what all hold that answered. `differs`: a majority holds something
    else. `damaged`: its file is. `undecided`: replicas differ, and there is no majority. `away`: it could not answer.
    """

    node: NodeId
    name: str
    verdict: str
    digest: str = ""
    reason: str = ""
    rebuilt: bool = False
    """It was told to fetch a copy from the others."""


class VerifyReport(Struct, frozen=True):
    """What verify found of one database, at one position of its log; the outcome of the `Answer` to `Verify`.
    `verdict` is the worst of the replicas'."""

    database: str
    group: GroupId
    epoch: Epoch
    index: Index
    verdict: str
    replicas: tuple[ReplicaVerdict, ...]
