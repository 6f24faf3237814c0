"""Who belongs to a group: the configuration that its log names last, and how one becomes another.

A configuration is an entry of the log (`MEMBERS`). It holds from the moment a replica appends it, committed or not, and
ceases to hold when that entry is truncated (Ongaro 2014, section 4.1). Voters are exchanged by *joint consensus*
(section 4.3): while an entry with `following` is the newest, whatever needs a majority, or as many holders and votes as
the ack policy asks, needs them among the old voters and among the new ones, each by itself. Any number of voters can be
exchanged at once, and at no moment can two majorities decide without each other. Nodes come in as *learners*, which
receive the log and are asked nothing, until they have almost all of it (section 4.2.1).

Entries that name members count by majority whatever the acks are (of both sets while joint): or `sync` with a dead
follower could never be rid of it.

`next_step` is the whole plan. A leader follows it one entry at a time, each only when the one before it is committed
and its own no-op is applied (Ongaro's correction of 2015: without it two leaders could each have a change under way).
"""

from collections.abc import Collection, Iterable

from msgspec import Struct, msgpack

from quorate.core.bounds import NodeId
from quorate.core.entries import MEMBERS, Entry
from quorate.core.quorum import majority


class Configuration(Struct, frozen=True, array_like=True):
    """The members of a group, as an entry says them."""

    voters: tuple[NodeId, ...] = ()
    learners: tuple[NodeId, ...] = ()
    following: tuple[NodeId, ...] = ()
    """While joint: the voters that are to take the place of `voters`. Empty otherwise."""
    change: int = 0
    """The number of the change of the catalog that wanted this: a leader whose copy of the catalog is older leaves it
    alone."""

    @property
    def joint(self) -> bool:
        return bool(self.following)

    @property
    def electors(self) -> tuple[NodeId, ...]:
        """Everybody who votes now, in either set."""
        return tuple(dict.fromkeys((*self.voters, *self.following)))

    @property
    def members(self) -> tuple[NodeId, ...]:
        """Everybody to whom the log is sent."""
        return tuple(dict.fromkeys((*self.voters, *self.following, *self.learners)))

    def includes(self, node: NodeId) -> bool:
        """Whether the log is sent to this node."""
        return node in self.voters or node in self.following or node in self.learners

    @property
    def sets(self) -> tuple[tuple[NodeId, ...], ...]:
        """The sets of voters that must each agree."""
        return (self.voters, self.following) if self.following else (self.voters,)

    def majority_of(self, nodes: Collection[NodeId]) -> bool:
        """Whether these nodes are a majority of the voters: of both sets while joint. Of nobody, nobody is."""
        return all(sum(1 for voter in each if voter in nodes) >= majority(len(each)) for each in self.sets)


class Wanted(Struct, frozen=True):
    """What the catalog wants of a group."""

    voters: tuple[NodeId, ...]
    learners: tuple[NodeId, ...] = ()
    """Members that are to receive the log without ever voting."""
    change: int = 0


_encode = msgpack.Encoder().encode
_decoder = msgpack.Decoder(Configuration)


def spell(configuration: Configuration) -> bytes:
    """The payload of an entry that names it."""
    return _encode(configuration)


def read_entry(payload: bytes) -> Configuration:
    """The configuration that such an entry names."""
    return _decoder.decode(payload)


def next_step(
    now: Configuration, wanted: Wanted, caught_up: Collection[NodeId], alive: Collection[NodeId]
) -> Configuration | None:
    """The configuration to append next on the way to what is wanted; None when there is nothing to do, or not yet.

    `caught_up`: learners that have almost all of the log. `alive`: nodes that are heard now. Everything earlier must be
    committed. A joint change that was begun is always ended, whatever is wanted meanwhile.
    """
    if now.joint:
        return Configuration(now.following, now.learners, change=now.change)
    if wanted.change < now.change or not wanted.voters or not now.voters:
        return None
    fresh = tuple(node for node in wanted.voters if node not in now.voters)
    learners = (*fresh, *(node for node in wanted.learners if node not in now.voters and node not in fresh))
    if sorted(learners) != sorted(now.learners):
        return Configuration(now.voters, learners, change=wanted.change)
    if sorted(now.voters) == sorted(wanted.voters):
        return None
    ready = all(node in caught_up for node in fresh)
    if not ready or not Configuration(wanted.voters).majority_of(alive):
        return None
    left = tuple(node for node in learners if node not in fresh)
    return Configuration(now.voters, left, wanted.voters, wanted.change)


def reached(now: Configuration, wanted: Wanted) -> bool:
    """Whether there is nothing left to do."""
    same = sorted(now.voters) == sorted(wanted.voters) and sorted(now.learners) == sorted(wanted.learners)
    return not now.joint and (same or wanted.change < now.change)


class Membership:
    """The configuration that is committed, and those that lie behind it in the log; the last of them holds."""

    def __init__(self, first: tuple[NodeId, ...], controls: Iterable[Entry] = (), coming: Iterable[Entry] = ()) -> None:
        """`controls`: the control entries that the data file keeps; `coming`: those behind it."""
        self.first = Configuration(first)
        """The voters with which the group began; empty on a node that came to it later."""
        self.coming: list[tuple[int, Configuration]] = []
        self.replaced(controls)
        self.appended(coming)

    def replaced(self, controls: Iterable[Entry]) -> None:
        """The data file is another's, which keeps these; what is left of the log follows it."""
        named = [entry for entry in controls if entry.kind == MEMBERS]
        self.since = named[-1].index if named else 0
        """Index of the entry that named the committed configuration; 0 when the log never named any."""
        self.coming = [each for each in self.coming if each[0] > self.since]
        self.committed = read_entry(named[-1].payload) if named else self.first

    def appended(self, entries: Iterable[Entry]) -> None:
        """These entries were added to the log."""
        for entry in entries:
            if entry.kind == MEMBERS:
                self.coming.append((entry.index, read_entry(entry.payload)))

    def truncated(self, first: int) -> None:
        """Everything from this index on is gone from the log."""
        self.coming = [each for each in self.coming if each[0] < first]

    def counts(self, index: int) -> bool:
        """The log is committed up to here; whether a configuration was committed by that."""
        committed = False
        while self.coming and self.coming[0][0] <= index:
            self.since, self.committed = self.coming.pop(0)
            committed = True
        return committed

    @property
    def newest(self) -> Configuration:
        """The one that holds: what the log says last."""
        return self.coming[-1][1] if self.coming else self.committed

    def member_since(self, node: NodeId) -> int:
        """Index of the newest entry that names this node as a member; that of the committed configuration if none does.
        A committed configuration that lies behind it is news to a node."""
        return max((index for index, each in self.coming if each.includes(node)), default=self.since)

    @property
    def newest_at(self) -> int:
        """Index of the entry that named it."""
        return self.coming[-1][0] if self.coming else self.since
