"""What the members of a group tell each other. Every message carries the group and the epoch.

Names follow the Raft papers where they have one (Ongaro 2014; "Log" is what they call the log, "epoch"
what they call a term, "committed" what they call committed).
"""

from quorate.core.bounds import Count, Epoch, Index, IndexOrNone, Small
from quorate.core.entries import Entry, Position
from quorate.core.lives import PeerLife
from quorate.core.messages import GroupMessage


class PreVote(GroupMessage, frozen=True, array_like=True, tag=1):
    """Would you vote for me in `epoch`? Asks without disturbing anyone (thesis, section 9.6)."""

    epoch: Epoch
    last: Position


class PreVoteReply(GroupMessage, frozen=True, array_like=True, tag=2):
    """`epoch` is the one that was asked about when granted, else the answerer's own."""

    epoch: Epoch
    granted: bool
    outside: Index = 0
    """Index of a committed configuration in which the asker is no member; 0: it is one, as far as is known here."""


class Vote(GroupMessage, frozen=True, array_like=True, tag=3):
    """Vote for me in `epoch`. `transfer`: the leader itself asked me to stand (thesis, 3.10)."""

    epoch: Epoch
    last: Position
    transfer: bool = False
    lives: tuple[PeerLife, ...] = ()
    """The last lives of this node that its folder knows (`core.superseding`)."""


class VoteReply(GroupMessage, frozen=True, array_like=True, tag=4):
    """As `PreVoteReply`, to a `Vote`."""

    epoch: Epoch
    granted: bool
    lives: tuple[PeerLife, ...] = ()
    """With a vote: as in `Vote`."""


class Append(GroupMessage, frozen=True, array_like=True, tag=5):
    """These entries follow `previous`; what is committed so far. Without entries it is a probe."""

    epoch: Epoch
    previous: Position
    entries: tuple[Entry, ...]
    committed: Index
    agreed: Index = 0
    """What a majority holds: it stays, whatever the acks are."""
    mark: Count = 0
    """Of the epoch of `previous` (`ack_policy.mark_of`), where it is not known yet whether the logs agree there."""


NEEDS_SNAPSHOT = -1
"""`AppendReply.matched` of a damaged replica: nothing of mine can be built upon."""


class AppendReply(GroupMessage, frozen=True, array_like=True, tag=6):
    """`matched`: my log is durably equal to yours up to here. Refused: `conflict` is where to look
    next (my last position at or below what you asked for, in an epoch not above the one asked)."""

    epoch: Epoch
    accepted: bool
    matched: IndexOrNone
    conflict: Position
    voter: bool = True
    """False: I was damaged and may have forgotten what I promised; do not count me yet."""
    life: Count = 0
    """Rises with each start of this replica and each damage found in it: what it acknowledged in an earlier one may be
    lost, and is not to be counted any more."""
    whole: bool = True
    """False: my data file is damaged. With `voter`, my log is not: count it, send me more of it, and a copy."""


class SnapshotOffer(GroupMessage, frozen=True, array_like=True, tag=7):
    """You are too far behind my log; fetch this copy, which stands at `position`."""

    epoch: Epoch
    snapshot: Count
    position: Position
    size: Count


class SnapshotWant(GroupMessage, frozen=True, array_like=True, tag=8):
    """Send me the chunk at this offset."""

    epoch: Epoch
    snapshot: Count
    offset: Count


class SnapshotChunk(GroupMessage, frozen=True, array_like=True, tag=9):
    """The part of a snapshot that begins at `offset`."""

    epoch: Epoch
    snapshot: Count
    offset: Count
    data: bytes
    end: bool
    position: Position


class SnapshotGone(GroupMessage, frozen=True, array_like=True, tag=10):
    """That copy no longer exists here; begin again with the next offer."""

    epoch: Epoch
    snapshot: Count


class SnapshotDone(GroupMessage, frozen=True, array_like=True, tag=11):
    """The copy is installed; the follower's log now begins at `position`."""

    epoch: Epoch
    snapshot: Count
    position: Position


class TimeoutNow(GroupMessage, frozen=True, array_like=True, tag=12):
    """You have all of my log: become leader at once (Raft's TimeoutNow)."""

    epoch: Epoch


class ReadIndexAsk(GroupMessage, frozen=True, array_like=True, tag=13):
    """A follower that serves a linearizable read asks how far it must have applied."""

    epoch: Epoch
    read: Count
    life: Count = 0
    """As in `AppendReply`: what is counted from here on is not counted upon an earlier one."""


class ReadIndexReply(GroupMessage, frozen=True, array_like=True, tag=14):
    """`index` -1: I am not the leader."""

    epoch: Epoch
    read: Count
    index: IndexOrNone


WORKING, EXAMINED, PASSED, DAMAGED = range(4)


class VerifyAsk(GroupMessage, frozen=True, array_like=True, tag=30):
    """Stop at this position and take the digest of what you hold there."""

    epoch: Epoch
    number: Count
    position: Position


class VerifyReply(GroupMessage, frozen=True, array_like=True, tag=31):
    """`state` is one of WORKING (asked, not finished), EXAMINED (`digest` is of exactly `position`), PASSED (I have
    applied more already and cannot go back) and DAMAGED (`reason` says why)."""

    epoch: Epoch
    number: Count
    state: Small
    position: Position
    digest: str = ""
    reason: str = ""


class VerifyVerdict(GroupMessage, frozen=True, array_like=True, tag=32):
    """A majority of the voters holds `digest` at `position`: whoever found another there is wrong."""

    epoch: Epoch
    number: Count
    position: Position
    digest: str
