"""Ack policies as arithmetic: who must hold a write before it is committed, and who must vote.

`async` < `semi-sync:K` < `sync`, and `majority` beside them. A rule has two numbers for a group of n voters:
*holders*, how many of them must hold an entry durably before it is committed (the leader is one of them), and *votes*,
how many must vote for a new leader. An automatic failover loses nothing that was committed exactly when every set of
holders meets every set of voters: holders + votes > n (the intersection of quorums of Gifford 1979, split between
writing and electing as in Flexible Paxos, Howard and others 2016). Votes are never fewer than a majority, or one epoch
could have two leaders.
"""

import functools
from collections.abc import Iterable
from zlib import crc32

from msgspec import Struct, structs

from quorate.core.lives import PeerLife
from quorate.core.quorum import majority

ASYNC = "async"
SEMI_SYNC = "semi-sync"
SYNC = "sync"
MAJORITY = "majority"
KINDS = (ASYNC, SEMI_SYNC, SYNC, MAJORITY)
SPELLINGS = "async, semi-sync:K (K followers), sync, majority"
CHOICES = (ASYNC, f"{SEMI_SYNC}:K", SYNC, MAJORITY)
"""How a rule is spelt, for people."""


AUTO = "auto"
MANUAL = "manual"
ETCD = "etcd"
FAILOVERS = (AUTO, MANUAL, ETCD)
"""Who decides that another replica leads: the replicas themselves, a person, or the replicas with an etcd's permit."""


class AckPolicy(Struct, frozen=True):
    """When a write is committed, and who decides about failovers: an entry of the log names both."""

    kind: str = MAJORITY
    followers: int = 0
    """K of `semi-sync:K`: how many followers beside the leader."""
    failover: str = AUTO

    def __str__(self) -> str:
        return f"{self.kind}:{self.followers}" if self.kind == SEMI_SYNC else self.kind

    @property
    def text(self) -> str:
        """All of it, as the log and data files have it; `failover` only when it is not automatic."""
        return str(self) if self.failover == AUTO else f"{self} {self.failover}"

    def holders(self, voters: int) -> int:
        """How many voters must hold an entry durably before it is committed, the leader included."""
        if self.kind == ASYNC:
            return min(1, voters)
        if self.kind == SEMI_SYNC:
            return min(self.followers + 1, voters)
        return voters if self.kind == SYNC else majority(voters)

    def votes(self, voters: int) -> int:
        """How many voters must vote for a new leader."""
        least = majority(voters)
        return max(least, voters - self.holders(voters) + 1) if self.kind == SEMI_SYNC else least

    @property
    def traces(self) -> bool:
        """Whether it is written down who leads when: there are numbers of voters for which this rule is narrow."""
        return self.kind in (ASYNC, SEMI_SYNC)

    def is_narrow(self, voters: int) -> bool:
        """Could a leader that a mere majority elected lack what was committed?"""
        return self.holders(voters) + majority(voters) <= voters

    def intersects(self, voters: int) -> bool:
        """Does every new leader hold everything that was committed?"""
        return self.holders(voters) + self.votes(voters) > voters


DEFAULT = AckPolicy()
"""What a group has whose log says nothing of acks."""


class Leadership(Struct, frozen=True, array_like=True):
    """An epoch as a group's log has it: where it begins, and who led it (0: not said)."""

    epoch: int
    index: int
    leader: int = 0
    loses: bool = False
    """What the leader before it had committed may be missing here: it was `async`, or somebody accepted the loss."""
    mark: int = 0
    """Of the entry that began the epoch (`mark_of`); 0: it has none, or this is no such entry."""


def spell(text: str, leader: int) -> bytes:
    """The payload of an entry that names a rule."""
    return f"{text} {leader}".encode()


def read_entry(payload: bytes) -> tuple[AckPolicy, int]:
    """The rule that such an entry names, and who led when it was made."""
    text, _, leader = payload.decode().rpartition(" ")
    return read_rule(text), int(leader)


ACCEPTED = "accepted"


def spell_noop(leader: int, *, accepted: bool, electors: Iterable[PeerLife] = ()) -> bytes:
    """The payload of the entry that begins an epoch: who leads, whether somebody accepted that what others had
    committed may be lost, and which lives of theirs the leader and those who voted for it know."""
    lives = [f"{each.node}:{each.boot}:{each.begun_us}" for each in electors]
    return " ".join([str(leader), *([ACCEPTED] if accepted else []), *lives]).encode()


def read_noop(payload: bytes) -> tuple[int, bool]:
    """Who leads (0: not said), and whether a loss was accepted."""
    leader, *rest = payload.decode().split(" ")
    return int(leader or 0), ACCEPTED in rest


def read_electors(payload: bytes) -> tuple[PeerLife, ...]:
    """Which lives of theirs the leader of an epoch, and those who voted for it, knew."""
    words = [word.split(":") for word in payload.decode().split(" ")]
    return tuple(PeerLife(int(word[0]), int(word[1]), int(word[2])) for word in words if len(word) == 3)


def mark_of(payload: bytes) -> int:
    """Tells two epochs with the same number apart, which there are where a folder was put back from an older copy."""
    return crc32(payload) if b":" in payload else 0


@functools.lru_cache(maxsize=64)
def read_rule(text: str) -> AckPolicy:
    """A rule from its `AckPolicy.text`."""
    acks, _, failover = text.partition(" ")
    return rule_of(acks, failover or AUTO)


@functools.lru_cache(maxsize=64)
def rule_of(acks: str, failover: str) -> AckPolicy:
    """The rule of a database with these options. Raises NoSuchAcks."""
    return structs.replace(parse(acks), failover=failover)


class NoSuchAcks(ValueError):
    """This is no rule, or not one for so many replicas. `hint` says what would be."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def parse(text: object) -> AckPolicy:
    """Read a rule as it is spelt everywhere. Raises NoSuchAcks."""
    if not isinstance(text, str):
        raise NoSuchAcks(f"unknown acks {text!r}", f"there are: {SPELLINGS}")
    return _parse(text)


@functools.lru_cache(maxsize=64)
def _parse(text: str) -> AckPolicy:
    kind, colon, rest = text.partition(":")
    if kind == SEMI_SYNC:
        if not colon:
            raise NoSuchAcks("acks 'semi-sync' does not say how many followers", "for example semi-sync:1")
        if not (rest.isascii() and rest.isdecimal()) or not 0 < int(rest) < 1000:
            raise NoSuchAcks(f"{rest!r} is not a number of followers (in acks {text!r})", "for example semi-sync:1")
        return AckPolicy(SEMI_SYNC, int(rest))
    if kind in KINDS and not colon:
        return AckPolicy(kind)
    raise NoSuchAcks(f"unknown acks {text!r}", f"there are: {SPELLINGS}")


def parse_for(text: object, replicas: int) -> AckPolicy:
    """Read a rule for a database of so many replicas. Raises NoSuchAcks when they can never meet it."""
    rule = parse(text)
    if rule.kind == SEMI_SYNC and rule.followers >= replicas:
        most = replicas - 1
        have = "no follower" if most == 0 else "one follower" if most == 1 else f"{most} followers"
        hint = f"semi-sync:{most} is the most" if most else "one replica has no followers: use majority"
        raise NoSuchAcks(f"acks {rule} asks for {rule.followers} followers, but {replicas} replicas have {have}", hint)
    return rule


def strictest_holders(rules: Iterable[AckPolicy], voters: int) -> int:
    """While a change of the rule is under way all of these hold."""
    return max(rule.holders(voters) for rule in rules)


def strictest_votes(rules: Iterable[AckPolicy], voters: int) -> int:
    """While a change of the rule is under way all of these hold."""
    return max(rule.votes(voters) for rule in rules)
