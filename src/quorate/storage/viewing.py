"""The part of a store that performs what read views need, for drivers that do everything where they are."""

from collections.abc import Callable
from typing import Any, ClassVar

from quorate.core.bounds import GroupId
from quorate.core.kernel import Event
from quorate.core.viewing import FetchView, LetViewGo, PinView, ViewRead
from quorate.storage.data.data_files import DataFiles
from quorate.storage.interface import DiskIsFull, Divergent, Viewer, why_not


class Viewing(DataFiles):
    """Keeps the views of one life of a node by their numbers."""

    def __init__(self, open_replicas: int = 0) -> None:
        super().__init__(open_replicas)
        self._views: dict[int, Viewer] = {}

    def view(self, group: GroupId) -> Callable[[], Viewer]:
        """See `storage.interface.Store`."""
        self._check_usable()
        replica = self._replica(group)
        borrowed = self.handles.borrow(group) is not None

        def pin() -> Viewer:
            try:
                return replica.view()
            finally:
                if borrowed:
                    self.handles.give_back(group)

        return pin

    def on_pin_view(self, effect: PinView) -> list[Event]:
        """Pin, and read."""
        try:
            view = self.view(effect.group)()
        except (DiskIsFull, Divergent) as error:
            return [ViewRead(effect.group, effect.view, why=why_not(error), reason=str(error))]
        self._views[effect.view] = view
        event = _read(view, effect)
        if event.why:
            self.on_let_view_go(LetViewGo(effect.group, effect.view))
        return [event]

    def on_fetch_view(self, effect: FetchView) -> list[Event]:
        """Read on."""
        return [_read(self._viewer(effect), effect)]

    def _viewer(self, effect: FetchView) -> Viewer:
        return self._views[effect.view]

    def on_let_view_go(self, effect: LetViewGo) -> list[Event]:
        """It is not wanted any more."""
        view = self._views.pop(effect.view, None)
        if view is not None:
            view.close()
        return []

    VIEWS: ClassVar[dict[type, Callable[[Any, Any], list[Event]]]] = {
        PinView: on_pin_view,
        FetchView: on_fetch_view,
        LetViewGo: on_let_view_go,
    }
    ALWAYS: ClassVar[tuple[type, ...]] = (FetchView, LetViewGo)
    """What is done also for a group that was dropped."""

    def close_views(self) -> None:
        """The life in which they were wanted is over."""
        views, self._views = self._views, {}
        for view in views.values():
            view.close()


def _read(view: Viewer, effect: PinView | FetchView) -> ViewRead:
    try:
        outcome = view.read(effect.statement, effect.bytes)
    except (DiskIsFull, Divergent) as error:
        return ViewRead(effect.group, effect.view, why=why_not(error), reason=str(error))
    return ViewRead(effect.group, effect.view, outcome, view.position)
