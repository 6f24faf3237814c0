"""Writes that run beside the loop, and who waits for them: the core is told when nobody does any more."""

from collections.abc import Callable

from quorate.core.bounds import GroupId
from quorate.core.executing import CallerLeft
from quorate.transport.interface import Caller


class RunningWrites:
    """All of one node."""

    def __init__(self, feed: Callable[[CallerLeft], None]) -> None:
        self._feed = feed
        self._running: dict[int, tuple[GroupId, Caller, int]] = {}
        """By the number of the request."""

    def __bool__(self) -> bool:
        return bool(self._running)

    def begun(self, request: int, group: GroupId, caller: Caller, ask: int) -> None:
        """The core says that this request runs."""
        if caller.waits_for(ask):
            self._running[request] = group, caller, ask
        else:
            self._feed(CallerLeft(group, request))

    def answered(self, request: int) -> None:
        """Whatever became of it, it runs no more."""
        self._running.pop(request, None)

    def left(self, caller: Caller, ask: int | None = None) -> None:
        """This caller does not wait for the answer any more; with no `ask`: for none."""
        for request, (group, who, number) in list(self._running.items()):
            if who is caller and ask in (None, number):
                self._feed(CallerLeft(group, request))
