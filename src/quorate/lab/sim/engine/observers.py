"""What a simulated machine knows of the core that it runs, and of those who look on."""

import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from quorate.core.bounds import GroupId
from quorate.core.entries import LogWrite
from quorate.core.formats import Range
from quorate.core.kernel import Core, Effect, Event, Send
from quorate.core.recovered import Recovered
from quorate.core.settings import Settings

if TYPE_CHECKING:
    from quorate.lab.sim.engine.host import Host


class NodeCore(Core, Protocol):
    """A whole node. Observers read its groups."""

    liveness: Any
    groups: Any
    versions: Any

    touched: Iterable[Any]
    """The groups that the last step may have changed."""


CoreMaker = Callable[[Recovered, random.Random, Settings, Range], NodeCore]


class Observer(Protocol):
    """Looks on after each step and each durable write; raises Violation."""

    def after_step(self, host: "Host", event: Event, effects: list[Effect], touched: Iterable[Any]) -> None: ...

    def durable(self, host: "Host", writes: tuple[LogWrite, ...]) -> None: ...

    def sending(self, host: "Host", effect: Send) -> None: ...

    def started(self, host: "Host", recovered: Recovered) -> None: ...

    def damaged(self, host: "Host", group: GroupId, count: int) -> None: ...

    def copied(self, host: "Host") -> Any: ...

    def put_back(self, host: "Host", copied: Any, *, unseen: bool) -> None: ...

    def flipped(self, host: "Host", group: GroupId) -> None: ...
