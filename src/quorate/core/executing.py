"""A batch of writes that runs: the effect that asks for it, and the events that tell of it (see `core.kernel`)."""

from typing import Any

from msgspec import Struct

from quorate.core.bounds import GroupId

TOO_LONG, AT_ITS_END, INTERRUPTED = "too long", "at its end", "interrupted"
"""Why a batch was stopped."""


class Execute(Struct, frozen=True, gc=False):
    """Run these writes, one savepoint each, in a new transaction that stays open, or on top of the batches that the
    open one holds already -> `Executed` or `Stopped`."""

    group: GroupId
    batch: int
    requests: tuple[Any, ...]
    timestamp_us: int
    budget_us: int = 0
    """After so long no further request is begun: those without an outcome have not run. 0: all are run."""
    long_us: int = 0
    """A request that runs for longer than this is stopped, and the batch undone; 0: none is."""
    ends_us: int = 0
    """When the one request of this batch is stopped, by the node's monotonic clock; 0: never."""
    alone: bool = False
    """Its one request takes long: it may run beside everything that does not need this replica's writer."""
    epoch: int = 0
    """The leader's. Where rows are versioned, group and epoch name who wrote (`core.versions.dots`)."""


class Executed(Struct, frozen=True, gc=False):
    """A batch ran in the replica's open transaction.

    `payload` is what the entry will carry, or None when nothing needs to be logged (every request was
    a repetition); then the transaction is as it was before. `outcomes` has one encoded outcome for each request
    that was run, in order: at least one, and all unless the batch's budget was spent.
    """

    group: GroupId
    batch: int
    payload: bytes | None
    outcomes: tuple[bytes, ...]
    ticket: str = ""
    """What its one request has done stays open, for the next one with this ticket (`scripts.Hold`)."""


class Stopped(Struct, frozen=True):
    """A batch was undone, for its request at `position` was stopped; batches below it are kept.

    `why` is `TOO_LONG` (it took longer than `Execute.long_us`: run it alone), `AT_ITS_END` (`Execute.ends_us` had come)
    or `INTERRUPTED` (a `Rollback` came).
    """

    group: GroupId
    batch: int
    position: int
    why: str


class CallerLeft(Struct, frozen=True):
    """Nobody waits any more for the answer to `Request(id)`, of which a driver was told (`Tell`) that it runs."""

    group: GroupId
    id: int
