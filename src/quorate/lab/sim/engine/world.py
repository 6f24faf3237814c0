"""Virtual time, one queue of things to come, random numbers by purpose, and a running hash of all that happened.

Time is an integer of microseconds. What is due at the same time happens in the order in which it was
asked for. Dice come from the seed and a purpose, so that one draw more in one place moves no other; they
are seeded by strings, which do not depend on the hash seed of the process.
"""

import hashlib
import random
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

import msgspec

_encode_into = msgspec.msgpack.Encoder().encode_into
"""For the trace: unlike `repr`, an encoding never shows where in memory something lies."""

HISTORY_KEPT = 400
"""Steps kept for the report of a failure."""
HASH_BYTES = 1 << 16
"""The trace is hashed in pieces of about this size: so many small updates cost more than the hashing itself."""


class Violation(Exception):
    """A promise was broken. `judge` names who saw it."""

    def __init__(self, judge: str, message: str) -> None:
        super().__init__(f"{judge}: {message}")
        self.judge = judge
        self.message = message


class World:
    """The clockwork. Knows nothing of nodes but their numbers."""

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self.now_us = 0
        self.steps = 0
        """Events that cores took."""
        self.taken = 0
        """What was taken from the queue and done: arrivals, ends of waiting, faults, callers' moves."""
        self.marks: dict[str, int] = {}
        """What happened how often: evidence that a run was not empty."""
        self.recent: deque[tuple[int, int, Any, Any]] = deque(maxlen=HISTORY_KEPT)
        """The last steps: (time, node, event, effects); faults are written in as events."""
        self.watcher: Any = None
        """Told of every step and message (lab/diagram's `Recorder`), or None."""
        self._queue: list[tuple[int, int, Callable[..., object], tuple[Any, ...]]] = []
        self._tie = 0
        self._trace = hashlib.blake2b(digest_size=16)
        self._unhashed = bytearray()

    def rng(self, purpose: str) -> random.Random:
        """A stream of its own for this purpose."""
        return random.Random(f"{self.seed}/{purpose}")

    def at(self, time_us: int, action: Callable[..., object], *arguments: Any) -> None:
        """Call this at that time (now, if it is past)."""
        self._tie += 1
        if time_us < self.now_us:
            time_us = self.now_us
        heappush(self._queue, (time_us, self._tie, action, arguments))

    def after(self, delay_us: int, action: Callable[..., object], *arguments: Any) -> None:
        """Call this so much later (`delay_us` is not negative)."""
        self._tie += 1
        heappush(self._queue, (self.now_us + delay_us, self._tie, action, arguments))

    def mark(self, name: str, times: int = 1) -> None:
        """Count something that happened."""
        self.marks[name] = self.marks.get(name, 0) + times

    def record(self, node: int, event: Any, effects: Any) -> None:
        """One step of one node, or a fault (with effects None): hashed and remembered."""
        now_us, unhashed = self.now_us, self._unhashed
        if effects is None:
            names = None
        else:
            self.steps += 1
            names = effects and [effect.__class__.__name__ for effect in effects]
        _encode_into((now_us, node, event.__class__.__name__, event, names, effects), unhashed, -1)
        if len(unhashed) > HASH_BYTES:
            self._trace.update(unhashed)
            unhashed.clear()
        self.recent.append((now_us, node, event, effects))
        if self.watcher is not None:
            self.watcher.stepped(node, event, effects)

    def trace_hash(self) -> str:
        """Equal for two runs exactly when every node took the same steps at the same times."""
        self._trace.update(self._unhashed)
        self._unhashed.clear()
        return self._trace.hexdigest()

    def run(self, until_us: int) -> None:
        """Let time pass until then."""
        queue = self._queue
        while queue and queue[0][0] <= until_us:
            self.now_us, _, action, arguments = heappop(queue)
            self.taken += 1
            action(*arguments)
        self.now_us = max(self.now_us, until_us)
