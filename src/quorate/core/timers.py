"""Named deadlines with one minimum, so that a core has one `deadline_us` however many timers it keeps."""

import heapq
from collections.abc import Hashable


class Timers:
    """Setting a name again moves its deadline. Idle names cost nothing."""

    def __init__(self) -> None:
        self._at: dict[Hashable, int] = {}
        self._heap: list[tuple[int, int, Hashable]] = []
        self._tie = 0

    def set(self, name: Hashable, at_us: int) -> None:
        if self._at.get(name) == at_us:
            return
        self._at[name] = at_us
        self._tie += 1
        heapq.heappush(self._heap, (at_us, self._tie, name))

    def cancel(self, name: Hashable) -> None:
        self._at.pop(name, None)

    def get(self, name: Hashable) -> int | None:
        return self._at.get(name)

    @property
    def next_us(self) -> int | None:
        """The earliest deadline, or None."""
        heap = self._heap
        while heap:
            at_us, _, name = heap[0]
            if self._at.get(name) == at_us:
                return at_us
            heapq.heappop(heap)
        return None

    def due(self, now_us: int) -> list[Hashable]:
        """Take out every name whose deadline has come, earliest first."""
        names: list[Hashable] = []
        while (at_us := self.next_us) is not None and at_us <= now_us:
            name = heapq.heappop(self._heap)[2]
            del self._at[name]
            names.append(name)
        return names
