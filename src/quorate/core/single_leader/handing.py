"""What a person wants of who leads, while it is carried out (`transfer`, `orders`)."""

from typing import Any

from msgspec import Struct

from quorate.core.kernel import NodeId


class Transfer(Struct):
    """Leadership that is being handed over because somebody asked for it."""

    to: NodeId
    callers: list[int]
    since_us: int
    holds: bool = False
    """New writes wait."""
    held_us: int = 0
    """Since when they do."""
    waiting: list[Any] = []
    """Once this replica no longer leads: writes that nobody has run, until it is known who leads."""


class Order(Struct):
    """Somebody wants this replica to lead, now that nobody does."""

    callers: list[int]
    until_us: int
    """When they are told that it was in vain."""
    accept_loss: bool
    """A majority of the voters is enough, whatever the acks rule asks for."""
    rounds: int = 0
    """How often it has asked for votes. The first time it asks for all that the acks rule wants."""
    refused: dict[NodeId, None] = {}
    """Who would not vote for it."""

    @property
    def is_loose(self) -> bool:
        """From now on a majority is enough."""
        return self.accept_loss and self.rounds > 1
