"""Read views of a node, each on a connection of its own that one thread at a time uses, beside the loop."""

import logging
from collections.abc import Callable
from typing import Any

from quorate.core.executing import AT_ITS_END, TOO_LONG
from quorate.core.kernel import Event
from quorate.core.querying import BROKE
from quorate.core.viewing import FetchView, LetViewGo, PinView, ViewRead
from quorate.runtime.aside import VIEWS
from quorate.runtime.slow_reads import Cancellable, Scheduler
from quorate.storage.execution.ending import Ending
from quorate.storage.interface import Broken, DiskIsFull, Divergent, OverBudget, Store, Viewer, why_not

log = logging.getLogger("quorate.runtime")


class Open:
    """One of them."""

    __slots__ = ("ending", "timer", "viewer", "wanted")

    def __init__(self) -> None:
        self.viewer: Viewer | None = None
        """None: it is not pinned yet."""
        self.wanted = True
        self.ending: Ending | None = None
        """Of what runs on it; None: nothing does."""
        self.timer: Cancellable


class Views:
    """All of one node. `feed` hears what was read, `fail` that the disk failed."""

    def __init__(
        self,
        store: Store,
        scheduler: Scheduler,
        clock: Callable[[], int],
        feed: Callable[[Event], None],
        fail: Callable[[str], None],
    ) -> None:
        self.limit_us = 60_000_000
        """How long a piece may take."""
        self._store = store
        self._scheduler = scheduler
        self._clock = clock
        self._feed = feed
        self._fail = fail
        self._open: dict[int, Open] = {}
        self._stopped = False

    def pin(self, effect: PinView) -> None:
        """See `PinView`."""
        try:
            make = self._store.view(effect.group)
        except (DiskIsFull, Divergent) as error:
            self._feed(ViewRead(effect.group, effect.view, why=why_not(error), reason=str(error)))
            return
        view = self._open[effect.view] = Open()

        def work(ending: Ending) -> bytes:
            view.viewer = make()
            return view.viewer.read(effect.statement, effect.bytes, ending)

        self._begin(view, effect, work)

    def fetch(self, effect: FetchView) -> None:
        """See `FetchView`."""
        view = self._open[effect.view]
        viewer = view.viewer
        assert viewer is not None, "it is asked before it has answered"
        self._begin(view, effect, lambda ending: viewer.read(effect.statement, effect.bytes, ending))

    def let_go(self, effect: LetViewGo) -> None:
        """See `LetViewGo`."""
        view = self._open.pop(effect.view, None)
        if view is not None:
            view.wanted = False
            if view.ending is not None:
                view.ending.end()
            else:
                _close(view)

    def stop(self) -> None:
        """End all of them, so that their threads can be joined. Nobody is told anything more."""
        self._stopped = True
        for number in list(self._open):
            self.let_go(LetViewGo(0, number))

    def _begin(self, view: Open, effect: PinView | FetchView, work: Callable[[Ending], bytes]) -> None:
        now_us = self._clock()
        until_us, why = now_us + self.limit_us, TOO_LONG
        if 0 < effect.ends_us < until_us:
            until_us, why = effect.ends_us, AT_ITS_END
        view.ending = ending = Ending(until_us)
        view.timer = self._scheduler.call_later(max(0, until_us - now_us) / 1e6, ending.end)
        self._scheduler.run_aside(
            lambda: work(ending), lambda found: self._done(view, effect, why, found), VIEWS, effect.group
        )

    def _done(self, view: Open, effect: PinView | FetchView, why: str, found: Any) -> None:
        view.timer.cancel()
        view.ending = None
        if isinstance(found, Broken) and not self._stopped:
            self._fail(f"the disk failed: {found}")
        if not view.wanted:
            _close(view)
            return
        event = self._event(view, effect, why, found)
        if isinstance(effect, PinView) and event.why:
            self.let_go(LetViewGo(effect.group, effect.view))
        if not self._stopped:
            self._feed(event)

    def _event(self, view: Open, effect: PinView | FetchView, why: str, found: Any) -> ViewRead:
        if isinstance(found, bytes) and view.viewer is not None:
            return ViewRead(effect.group, effect.view, found, view.viewer.position)
        if isinstance(found, OverBudget):
            return ViewRead(effect.group, effect.view, why=why, reason=f"{self.limit_us / 1e6:g} s")
        if why_not(found) == BROKE:
            log.error("a read failed beside the loop", exc_info=found)
        return ViewRead(effect.group, effect.view, why=why_not(found), reason=str(found))


def _close(view: Open) -> None:
    if view.viewer is not None:
        view.viewer.close()
