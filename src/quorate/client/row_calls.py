"""Requests to a database without a leader: whom to ask, and when again. Decisions only, as in `client.routing`.

Any replica coordinates a request. A client stays with one that is well, and goes to another when it is silent, is lost
or cannot reach enough of the others.

1. A read is asked again, anywhere.
2. A write has a version, which its coordinator tells before any replica is given it (`Minted`). From then on it is
   asked for again anywhere, with the state that was told: it takes effect once.
3. A write of which nothing was told is never asked for again while it may have happened, for nobody could tell the two
   apart. When its coordinator is lost, or time runs out, the caller gets `MaybeDone`.
4. A coordinator that does not reach enough replicas is not waited for to the end: it is told to give up earlier, says
   then whether the write has certainly not been done, and others are asked.
"""

from collections.abc import Callable
from random import Random
from typing import Any

from msgspec import Raw, structs

from quorate import errors
from quorate.client.directory import Directory
from quorate.client.routing import PATIENCE_CAP, Ask, Call, GiveUp, Step
from quorate.core.read_levels import LEADER
from quorate.core.repeats import Budget
from quorate.core.requests import Answer, NotLeader, Refused, ReplyBody, Unsure
from quorate.core.row_requests import Minted, SchemaFits

TURN = 1.0
"""Seconds that the first coordinator has; each other has twice as many as the one before it."""
_HINT = "read the row to see whether it happened; an increment that is given again may count twice"


class RowCall(Call):
    """One request of a database without a leader, from its first send to its answer."""

    def __init__(
        self,
        directory: Directory,
        budget: Budget,
        rng: Random,
        database: str,
        *,
        deadline: float,
        writes: bool,
        patient: Callable[[errors.Error], bool] | None = None,
    ):
        super().__init__(
            directory, budget, rng, database, level=LEADER, token=None, deadline=deadline, patient=patient
        )  # fmt: skip
        self._writes = writes
        self._state = b""
        """What the write's coordinator has told: the row's whole new state."""
        self._turns = 0
        """Sends so far."""

    @property
    def _untold(self) -> bool:
        return self._writes and not self._state

    def minted(self, told: Minted) -> None:
        """The write has its version: whoever is asked from here on is sent this state."""
        self._state = self._state or told.state

    def outgoing(self, body: Any) -> Any:
        return structs.replace(body, minted=self._state) if self._state else body

    def left_us(self, now: float) -> int:
        return min(super().left_us(now), int(TURN * 2 ** min(self._turns - 1, 20) * 1e6))

    def sent(self, address: str) -> None:
        super().sent(address)
        self._turns += 1

    def next(self, now: float) -> Step:
        if self._untold and not self.interrupted and now < self.deadline:
            if self.unsettled:
                return GiveUp(self._late(end="the node was lost that had not told the version of the write"))
            if self._patience:
                return Ask(next(iter(self._patience)), min(PATIENCE_CAP, self.deadline - now))
        return super().next(now)

    def silent(self, address: str) -> None:
        if not self._untold:
            super().silent(address)
        elif not self.interrupted:  # it is waited for; other requests go elsewhere
            self._last = errors.Unavailable(f"node {address} has not answered")
            self._directory.silent(self._database, address)
            self._must_pay = True

    def told(self, address: str, now: float, body: ReplyBody) -> bool:
        if type(body) is Unsure:
            self._unsure(address, now)
            return False
        if self._state and isinstance(body, NotLeader | Refused):
            self.unsettled = True  # it was refused here, and may have been stored elsewhere
        if type(body) is SchemaFits:
            super().told(address, now, Answer(Raw(b"")))
            return True
        ends = super().told(address, now, body)
        if type(body) is NotLeader and not body.leader:
            self._last = errors.Unavailable(f"node {address} takes no requests of {self._database!r} now")
        return ends

    def _unsure(self, address: str, now: float) -> None:
        """Too few replicas have acknowledged it within the time of this coordinator."""
        self._patience.pop(address, None)
        self._directory.answered(address)
        self._directory.does_not_lead(self._database, address)
        self._last = errors.Unavailable(f"too few replicas had acknowledged it when node {address} gave up")
        self.unsettled = True
        self._lost_node()
        self._back_off(now)

    def _under_way(self) -> bool:
        return self._writes and (self.unsettled or bool(self._patience))

    @property
    def reads(self) -> bool:
        return not self._writes

    def _maybe_done(self, end: str, detail: str) -> errors.MaybeDone:
        return errors.MaybeDone(f"{end} before the answer came; the write may have happened{detail}", hint=_HINT)
