"""What a run tells: a line when all is well, and when not, everything needed to see it again."""

from typing import Any

from msgspec import Raw, Struct

from quorate.core.calls import Reply, Request
from quorate.core.entries import Entry, WriteEntries
from quorate.core.kernel import Deliver, Persist, Send

LINES = 40
LEGEND = (
    "seconds, node: event -> effects; <2 from node 2, >2 to it; [i@e..j@e] entries by index@epoch; node 0 is the world"
)
WIDTH = 200


class Report(Struct):
    """The outcome of one run."""

    seed: int
    scenario: str
    core: str = "real"
    storage: str = ""
    """What the data was kept in; empty: as the seed says."""
    judge: str = ""
    """Who saw a promise broken; empty when all was well."""
    message: str = ""
    steps: int = 0
    """Events that nodes took: messages, answers of disks and storage, requests, deadlines."""
    taken: int = 0
    """What happened in the world: arrivals, ends of waiting, faults, callers' moves."""
    virtual_us: int = 0
    trace: str = ""
    marks: dict[str, int] = {}
    unavailable_us: int = 0
    """The longest time of the safety phase, after the first success, in which no operation succeeded."""
    faults: int = 0
    """How many faults began."""
    operations: dict[int, int] = {}
    """How many operations each client began."""
    tail: tuple[str, ...] = ()
    """The last steps before the end, one line each; only of a failed run."""

    @property
    def ok(self) -> bool:
        return not self.judge

    def lines(self) -> list[str]:
        """For people."""
        seconds = self.virtual_us / 1e6
        if self.ok:
            done = self.marks.get("ok", 0)
            crashes, elections = self.marks.get("crash", 0), self.marks.get("elections", 0)
            first = f"seed {self.seed} {self.scenario}: ok, {self.steps} steps in {seconds:.1f} virtual seconds"
            return [f"{first}, {done} operations, {crashes} crashes, {elections} elections, trace {self.trace}"]
        other = "" if self.core == "real" else f" --core {self.core}"
        other += f" --storage {self.storage}" if self.storage else ""
        return [
            f"seed {self.seed} {self.scenario}: {self.judge} is broken after {seconds:.3f} virtual seconds",
            self.message,
            f"the last {len(self.tail)} steps ({LEGEND}):",
            *self.tail,
            f"again: quorate lab replay {self.seed} --scenario {self.scenario}{other}",
        ]


def line(time_us: int, node: int, event: Any, effects: Any) -> str:
    """One step on one line."""
    head = f"{time_us / 1e6:>11.6f} {node:>3}: "
    if isinstance(event, str):
        return (head + event + ("" if effects is None else f" {effects}"))[:WIDTH]
    told = [text for effect in effects if (text := short(effect))]
    return (head + short(event) + (" -> " + "; ".join(told) if told else ""))[:WIDTH]


def short(value: Any) -> str:
    """An event or effect in a few words."""
    if isinstance(value, Deliver):
        return f"<{value.sender} {short(value.message)}"
    if isinstance(value, Send):
        return f">{value.to} {short(value.message)}"
    if isinstance(value, Persist):
        return f"Persist #{value.sequence} " + ", ".join(short(write) for write in value.writes)
    if isinstance(value, WriteEntries):
        return f"g{value.group} {entries(value.entries)}"
    if isinstance(value, Request):
        return f"Request {value.id} {short(value.body)}"
    if isinstance(value, Reply):
        return f"Reply {value.id} {short(value.body)}"
    if isinstance(value, Struct):
        fields = [f"{name}={_field(getattr(value, name))}" for name in value.__struct_fields__]
        return f"{type(value).__name__}({' '.join(fields)})"
    return _field(value)


def _field(value: Any) -> str:
    if isinstance(value, bytes | Raw):
        value = bytes(value)
        return f"{len(value)}B"
    if isinstance(value, tuple) and value and isinstance(value[0], Entry):
        return entries(value)
    if isinstance(value, tuple) and value and isinstance(value[0], Struct):
        return f"({', '.join(short(one) for one in value)})"
    if isinstance(value, Struct) and value.__struct_fields__ == ("epoch", "index"):
        return f"{value.index}@{value.epoch}"  # type: ignore[attr-defined]
    if isinstance(value, Struct):
        return short(value)
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def entries(some: tuple[Entry, ...]) -> str:
    """Entries by their places."""
    if not some:
        return "[]"
    first, last = some[0], some[-1]
    return (
        f"[{first.index}@{first.epoch}]"
        if first is last
        else f"[{first.index}@{first.epoch}..{last.index}@{last.epoch}]"
    )
