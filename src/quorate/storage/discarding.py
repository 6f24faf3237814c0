"""Deleting all that a store keeps of a group that was dropped."""

from abc import abstractmethod

from quorate.core.bounds import GroupId
from quorate.core.dropped import DropReplica, ReplicaDropped
from quorate.core.kernel import Event
from quorate.storage.interface import DiskIsFull
from quorate.storage.log.lost import LostTails
from quorate.storage.writing import Writing


class Discarding(Writing):
    """The part of a store that does so."""

    @abstractmethod
    def _lost_tails(self) -> LostTails:
        """What is kept of lost tails, made when it is first wanted. Raises DiskIsFull or Broken."""

    @abstractmethod
    def _has_lost(self) -> bool:
        """Whether anything was ever kept."""

    def on_drop_replica(self, effect: DropReplica) -> list[Event]:
        """Not while another thread uses the file, and not for want of room."""
        group = effect.group
        assert group in self.log.dropped, f"group {group} would be deleted, and nothing says that it was dropped"
        if group in self.replicas:
            replica = self.handles.take(group)
            if replica is None:
                return [ReplicaDropped(group, gone=False)]
            replica.abandon()
        for kept in (self.damaged, self._standing, self._checkpointed):
            kept.pop(group, None)
        self.log_damaged.discard(group)
        try:
            self.shelf.forget(group)
            self._delete(group)
            if self._has_lost():
                self._lost_tails().forget(group)
        except DiskIsFull:
            return [ReplicaDropped(group, gone=False)]
        return [ReplicaDropped(group, gone=True)]

    @abstractmethod
    def _delete(self, group: GroupId) -> None:
        """Delete the data file of a dropped group. Raises DiskIsFull or Broken."""
