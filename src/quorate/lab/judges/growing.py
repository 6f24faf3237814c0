"""What sessions saw of one set that only grows, judged as they see it (Terry and others 1994; `judges.sessions` says
what each guarantee means).

Nothing of the order of writes need be known: of a set that only grows a later state holds an earlier one. So all five
guarantees are comparisons of sets: a read must hold what its session has read and added, whoever sees a member must see
what its session had read and added before it, and any two reads are two prefixes of one log. Sets are integers with a
bit for each member.
"""

from bisect import bisect_left

READ_YOUR_WRITES = "read your writes"
MONOTONIC_READS = "monotonic reads"
MONOTONIC_WRITES = "monotonic writes"
WRITES_FOLLOW_READS = "writes follow reads"
CONSISTENT_PREFIX = "consistent prefix"


class Seen:
    """What one session has read and added so far."""

    __slots__ = ("added", "read")

    def __init__(self) -> None:
        self.read = 0
        self.added = 0

    def merge(self, other: "Seen") -> None:
        """The session has heard of everything that another has seen."""
        self.read |= other.read
        self.added |= other.added


class Growing:
    """One set, and what has been seen of it by all."""

    def __init__(self, *, one_log: bool = True) -> None:
        self.one_log = one_log
        """Nothing of it is ever lost, so that any two states are one before the other."""
        self._read_before: dict[int, int] = {}
        """Member -> what its session had read before it added it."""
        self._added_before: dict[int, int] = {}
        self._states: list[int] = []
        """All that were read, the smallest first."""
        self._sizes: list[int] = []

    def adds(self, seen: Seen, member: int) -> None:
        """A session begins to add a member. Whether it comes about is known when it is told, or somebody sees it."""
        self._read_before[member] = seen.read
        self._added_before[member] = seen.added

    def added(self, seen: Seen, member: int) -> None:
        """The session was told that it is there."""
        seen.added |= 1 << member

    def reads(self, seen: Seen, state: int) -> str:
        """The session reads. Which guarantee that breaks, and how; empty when none is broken."""
        broken = self._broken(seen, state)
        seen.read |= state
        return broken

    def _broken(self, seen: Seen, state: int) -> str:
        lacks = [(READ_YOUR_WRITES, seen.added & ~state), (MONOTONIC_READS, seen.read & ~state)]
        for member in members(state & ~seen.read):
            lacks.append((MONOTONIC_WRITES, self._added_before.get(member, 0) & ~state))
            lacks.append((WRITES_FOLLOW_READS, self._read_before.get(member, 0) & ~state))
        for name, missing in lacks:
            if missing:
                return f"{name}: a read lacks {members(missing)[:5]}"
        return self._off_the_log(state) if self.one_log else ""

    def _off_the_log(self, state: int) -> str:
        size = state.bit_count()
        at = bisect_left(self._sizes, size)
        if at < len(self._states) and self._states[at] == state:
            return ""
        smaller, larger = self._states[at - 1] if at else 0, self._states[at] if at < len(self._states) else state
        for missing in (smaller & ~state, state & ~larger):
            if missing:
                return f"{CONSISTENT_PREFIX}: one read has {members(missing)[:5]} and a longer one has not"
        self._states.insert(at, state)
        self._sizes.insert(at, size)
        return ""


def members(state: int) -> list[int]:
    """Which bits are set."""
    found = []
    while state:
        lowest = state & -state
        found.append(lowest.bit_length() - 1)
        state ^= lowest
    return found


class Acknowledged:
    """When members were acknowledged, for reads that may miss only the newest."""

    def __init__(self) -> None:
        self._times: list[int] = []
        self._states: list[int] = []

    def added(self, member: int, at_us: int) -> None:
        """It was acknowledged then; times never go down."""
        self._times.append(at_us)
        self._states.append((self._states[-1] if self._states else 0) | 1 << member)

    def before(self, at_us: int) -> int:
        """All that had been acknowledged before then."""
        count = bisect_left(self._times, at_us)
        return self._states[count - 1] if count else 0
