"""What a replica knows of its log: the epoch of every index, and the newest entries themselves.

The epochs are kept as runs (one `Position` per run: the epoch and its first index), so knowing the epoch
of every index costs memory per leader, not per entry. Older entries are read back by the driver.
"""

from collections import deque
from collections.abc import Sequence

from quorate.core.entries import Entry, Position

MARK_BYTES = 1 << 20


class Log:
    """Entries `base.index + 1 .. last.index`; the payloads of the newest of them are in memory."""

    def __init__(self, base: Position, epochs: Sequence[Position], last: int, tail: Sequence[Entry]) -> None:
        self.base = base
        self._runs: list[Position] = list(epochs)
        self._cache: list[Entry] = list(tail)
        self._cache_bytes = sum(len(entry.payload) for entry in tail)
        self._appended = 0
        self._marks: deque[tuple[int, int]] = deque()
        """(index, bytes appended in this life up to it), about one for each `MARK_BYTES`."""
        epoch = self._runs[-1].epoch if self._runs else base.epoch
        self.last = Position(epoch, last)

    def epoch_at(self, index: int) -> int | None:
        """The epoch of the entry at this index; None when the log does not reach there."""
        if index > self.last.index or index < self.base.index:
            return None
        if index == self.last.index:
            return self.last.epoch
        if index == self.base.index:
            return self.base.epoch
        for run in reversed(self._runs):
            if run.index <= index:
                return run.epoch
        raise AssertionError(f"index {index} has no epoch in {self._runs}")

    def position_at(self, index: int) -> Position:
        if index == self.last.index:
            return self.last
        epoch = self.epoch_at(index)
        assert epoch is not None, f"index {index} is outside the log {self.base}..{self.last}"
        return Position(epoch, index)

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries that directly follow the last one."""
        for entry in entries:
            index, epoch, size, last = entry.index, entry.epoch, len(entry.payload), self.last
            assert index == last.index + 1, f"entry {index} does not follow {last.index}"
            assert epoch >= last.epoch, "log epochs never go down"
            if epoch != last.epoch or not self._runs:
                self._runs.append(Position(epoch, index))
            self._cache.append(entry)
            self._cache_bytes += size
            self._appended += size
            self.last = Position(epoch, index)
            if not self._marks or self._appended - self._marks[-1][1] >= MARK_BYTES:
                self._marks.append((index, self._appended))

    def first_within(self, bytes_max: int) -> int:
        """The lowest index from which on the log has no more than about this many bytes (of this life's entries)."""
        while len(self._marks) > 1 and self._appended - self._marks[1][1] > bytes_max:
            self._marks.popleft()
        if not self._marks or self._appended - self._marks[0][1] <= bytes_max:
            return 0
        return self._marks[0][0]

    def truncate(self, first: int) -> None:
        """Forget everything from this index on."""
        assert first > self.base.index, "cannot truncate what was trimmed"
        while self._marks and self._marks[-1][0] >= first:
            self._appended = self._marks.pop()[1]
        while self._runs and self._runs[-1].index >= first:
            self._runs.pop()
        while self._cache and self._cache[-1].index >= first:
            self._cache_bytes -= len(self._cache.pop().payload)
        epoch = self._runs[-1].epoch if self._runs else self.base.epoch
        self.last = Position(epoch, first - 1)

    def trim(self, through: Position) -> None:
        """Forget everything up to and including this position."""
        assert self.epoch_at(through.index) == through.epoch, "trimming something else than what is there"
        later = [run for run in self._runs if run.index > through.index]
        covering = [run for run in self._runs if run.index <= through.index]
        if covering and (not later or later[0].index > through.index + 1) and through.index < self.last.index:
            later.insert(0, Position(covering[-1].epoch, through.index + 1))
        self._runs = later
        self.base = through
        self._drop_cache_through(through.index)

    def reset(self, position: Position) -> None:
        """Begin anew behind an installed snapshot."""
        self.base = self.last = position
        self._marks.clear()
        self._runs.clear()
        self._cache.clear()
        self._cache_bytes = 0

    def shrink(self, bytes_max: int, through: int) -> None:
        """Drop the oldest payloads from memory, none after `through`, until they fit."""
        if self._cache_bytes <= bytes_max:
            return
        drop = 0
        for entry in self._cache:
            if self._cache_bytes <= bytes_max or entry.index > through:
                break
            self._cache_bytes -= len(entry.payload)
            drop += 1
        del self._cache[:drop]

    def slice(self, first: int, last: int, bytes_max: int = 1 << 62) -> tuple[Entry, ...] | None:
        """Entries first..last (at least one, stopping near `bytes_max`); None when not in memory."""
        if not self._cache or first < self._cache[0].index:
            return None
        offset = first - self._cache[0].index
        chosen: list[Entry] = []
        size = 0
        for entry in self._cache[offset : offset + last - first + 1]:
            size += len(entry.payload)
            if chosen and size > bytes_max:
                break
            chosen.append(entry)
        return tuple(chosen)

    def agree_below(self, position: Position) -> Position:
        """My last position at or below `position.index` whose epoch is not above `position.epoch`:
        everything above it cannot match (the fast back-off of Ongaro 2014, section 3.3, by epoch)."""
        index = min(position.index, self.last.index)
        while index > self.base.index:
            epoch = self.epoch_at(index)
            assert epoch is not None
            if epoch <= position.epoch:
                return Position(epoch, index)
            index = self._run_of(index).index - 1
        return self.base

    def _run_of(self, index: int) -> Position:
        return next(run for run in reversed(self._runs) if run.index <= index)

    def _drop_cache_through(self, index: int) -> None:
        drop = 0
        for entry in self._cache:
            if entry.index > index:
                break
            self._cache_bytes -= len(entry.payload)
            drop += 1
        del self._cache[:drop]
