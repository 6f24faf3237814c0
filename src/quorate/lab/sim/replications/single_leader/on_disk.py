"""What a node's disk holds of its log, as its writes were reported durable, and what was seen of its replicas: what the
invariants hold it to."""

from typing import Any

from quorate.core.bounds import GroupId, NodeId
from quorate.core.entries import LogWrite, SwitchGeneration, TrimLog, WriteEntries, WriteHardState
from quorate.core.kernel import CATALOG_GROUP
from quorate.core.single_leader.messages import AppendReply, PreVoteReply, Vote, VoteReply
from quorate.core.superseding import IN_DOUBT


class Harmed(set[tuple[NodeId, GroupId]]):
    """The replicas whose log or data file was harmed."""

    def explain(self, node: NodeId, group: GroupId, reason: str) -> bool:
        """Whether this one may be found damaged: also where it may have been forgotten with the catalog."""
        return (node, group) in self or (reason == IN_DOUBT and (node, CATALOG_GROUP) in self)


class OnDisk:
    """What one node's disk holds of one group's log."""

    __slots__ = ("base", "entries", "epoch", "lost", "vote")

    def __init__(self) -> None:
        self.base = 0
        self.entries: dict[int, int] = {}
        """Index -> epoch."""
        self.lost: dict[int, int] = {}
        """Entries that were damaged: an acknowledgement sent before that is still true of the past, and the
        replica does not vote before it is whole again."""
        self.epoch = 0
        self.vote: NodeId = 0

    def write(self, write: LogWrite) -> dict[int, int]:
        """The entries that gave way, but for those that were trimmed."""
        gone: dict[int, int] = {}
        if isinstance(write, WriteEntries):
            index = write.entries[0].index
            while (epoch := self.entries.pop(index, None)) is not None:
                gone[index] = epoch
                index += 1
            self.entries.update((entry.index, entry.epoch) for entry in write.entries)
        elif isinstance(write, WriteHardState):
            self.epoch, self.vote = write.epoch, write.vote
        elif isinstance(write, TrimLog):
            self._forget(write.through.index)
        elif isinstance(write, SwitchGeneration):
            kept = {index: epoch for index, epoch in self.entries.items() if index <= write.keep}
            gone, self.entries = self.entries, kept
            self.lost.clear()
            self._forget(write.position.index)
        return gone

    def _forget(self, through: int) -> None:
        self.base = max(self.base, through)
        while self.entries.pop(through, None) is not None:
            through -= 1

    def cut(self, count: int) -> None:
        """The newest entries cannot be read any more."""
        for index in sorted(self.entries)[-count:]:
            self.lost[index] = self.entries.pop(index)

    def holds(self, index: int, epoch: int) -> bool:
        return index <= self.base or epoch in (self.entries.get(index), self.lost.get(index))


class Seen:
    """What was last seen of one replica in this life."""

    __slots__ = ("committed", "epoch", "persisted", "role")

    def __init__(self, group: Any) -> None:
        self.epoch = 0
        self.role = ""
        self.committed = group.commit.committed
        self.persisted = group.commit.persisted


class Committed:
    """An entry that some replica counts: its epoch, and the earliest epoch in which it was committed."""

    __slots__ = ("by", "epoch", "within")

    def __init__(self, epoch: int, within: int, by: NodeId) -> None:
        self.epoch = epoch
        self.within = within
        self.by = by


def speaks_for_its_log(message: Any) -> bool:
    """A vote, or an acknowledgement that a leader may count."""
    kind = type(message)
    if kind is VoteReply or kind is PreVoteReply:
        return bool(message.granted)
    return kind is Vote or (kind is AppendReply and message.accepted and message.voter)
