"""Named deadlines with one minimum, so that a core has one `deadline_us` however many timers it keeps."""

import heapq
from collections.abc import Hashable


class Timers:
    """Setting a name again moves its deadline. Idle names cost nothing."""

    def __init__(self) -> None:
        self._at: dict[Hashable, int] = {}
        self._heap: list[tuple[int, int, Hashable]] = []
        self._tie = 0
        self.next_us: int | None = None
        """The earliest deadline, or None. It is asked for much more often than deadlines move."""

    def set(self, name: Hashable, at_us: int) -> None:
        before = self._at.get(name)
        if before == at_us:
            return
        self._at[name] = at_us
        self._tie += 1
        heapq.heappush(self._heap, (at_us, self._tie, name))
        if self.next_us is None or at_us < self.next_us:
            self.next_us = at_us
        elif before == self.next_us:
            self._find_next()

    def cancel(self, name: Hashable) -> None:
        if self._at.pop(name, None) == self.next_us:
            self._find_next()

    def cancel_all(self, group: Hashable) -> None:
        """Those whose name is a pair that begins so."""
        for name in [name for name in self._at if isinstance(name, tuple) and name[0] == group]:
            self.cancel(name)

    def get(self, name: Hashable) -> int | None:
        return self._at.get(name)

    def _find_next(self) -> None:
        """Drop from the heap what was moved or cancelled, until the earliest that holds."""
        heap = self._heap
        while heap and self._at.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        self.next_us = heap[0][0] if heap else None

    def due(self, now_us: int) -> list[Hashable]:
        """Take out every name whose deadline has come, earliest first."""
        names: list[Hashable] = []
        while (at_us := self.next_us) is not None and at_us <= now_us:
            name = heapq.heappop(self._heap)[2]
            del self._at[name]
            names.append(name)
            self._find_next()
        return names
