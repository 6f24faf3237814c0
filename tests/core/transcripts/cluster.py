"""Nodes whose every effect is written down. The databases are shown; the catalog works in the background."""

from collections import deque
from typing import Any

import msgspec

from quorate.core import kernel
from quorate.core.calls import Request
from quorate.core.catalog import Catalog, DatabaseRow, DroppedRow, PartitionRow
from quorate.core.entries import Entry
from quorate.core.messages import Heartbeat, HeartbeatReply, Removed
from quorate.core.settings import Settings
from tests.core import harness
from tests.core.transcripts import render
from tests.core.transcripts.machine import Recorder

STEP_US = 10_000
MESSAGES_MAX = 10_000
"""As many may be delivered by one command; with more the nodes are talking for ever."""


class Scripted(harness.Cluster):
    """A cluster whose messages wait until the script delivers them, but for those that belong to the background."""

    machine = Recorder
    machines: dict[int, Recorder]  # type: ignore[assignment]

    def __init__(self, size: int, spares: int, acks: str, databases: tuple[str, ...], settings: Settings) -> None:
        self.settings = settings
        # The number of a new group decides which of its voters stands first. A multiple of every size: the first one.
        self.groups = {60 * at: name for at, name in enumerate(databases, 1)}
        self.shown: set[int] = set(self.groups)
        self.order = list(range(1, size + spares + 1))
        self.dropped: tuple[DroppedRow, ...] = ()
        self.etcd_away, self.permit_holder, self.revision = False, 0, 100
        self.callers: dict[tuple[int, int], str] = {}
        self.controls: list[tuple[Entry, ...]] = []
        """Beside each copy of a data file (`copies`)."""
        self.lines: list[str] = []
        self.said: set[tuple[int, str, int, int, str]] = set()
        self.recording = False
        self.founding = True
        super().__init__(size, acks, spares)
        self.founding = False
        self.gives_copies = True

    def catalog(self) -> Catalog:
        one = super().catalog()
        gone = {each.group for each in self.dropped}
        held = {group: name for group, name in self.groups.items() if group not in gone}
        databases = tuple(DatabaseRow(name, "single-leader", harness.options_text(self.acks)) for name in held.values())
        began = one.partitions[0].began
        partitions = tuple(PartitionRow(group, name, 0, self.placed, began) for group, name in held.items())
        return msgspec.structs.replace(one, databases=databases, partitions=partitions, dropped=self.dropped)

    def tell_catalog(self) -> None:
        """Every live node reads the catalog again."""
        for machine in self.machines.values():
            if machine.alive:
                machine.feed(kernel.CatalogRead(self.catalog()))

    # ---- writing down --------------------------------------------------------------------------------------------

    def say(self, group: int, who: str, text: str) -> None:
        """A line, if it is about what is shown (-1: about the node)."""
        if self.recording and (group in self.shown or group == -1):
            where = f"{self.groups[group]}: " if len(self.groups) > 1 and group in self.groups else ""
            self.lines.append(f"{who:<7} {where}{text}")

    def say_message(self, sender: int, arrow: str, to: int, message: Any) -> None:
        """A message is sent (`->`) or lost (`-x`). Those that are said again and again are shown once a command."""
        texts = [(number, render.message(part)) for number, part in self.parts(message)]
        if len(texts) > 1:  # a heartbeat that speaks of several
            kind, _, _ = texts[0][1].partition("  ")
            each = (f"{self.groups[number]}: {text.partition('  ')[2]}" for number, text in texts)
            texts = [(-1, f"{kind}  {'; '.join(each)}")]
        for number, text in texts:
            if type(message) in render.REPEATED:
                if (said := (sender, arrow, to, number, text)) in self.said:
                    continue
                self.said.add(said)
            self.say(number, f"{sender} {arrow} {to}", text)

    def take_lines(self) -> list[str]:
        """What was written down since the last time."""
        lines, self.lines = self.lines, []
        self.said.clear()
        return lines

    def parts(self, message: Any) -> list[tuple[int, Any]]:
        """What a message says of each of the groups that are shown; nothing if it belongs to the background."""
        replace = msgspec.structs.replace
        if isinstance(message, Heartbeat):
            return [
                (number, replace(message, led=tuple(led), stepped_down=tuple(stepped_down)))
                for number in sorted(self.shown)
                if (led := [each for each in message.led if each.group == number])
                + (stepped_down := [each for each in message.stepped_down if each.group == number])
            ]
        if isinstance(message, HeartbeatReply):
            return [
                (number, replace(message, groups=tuple(groups)))
                for number in sorted(self.shown)
                if (groups := [each for each in message.groups if each.group == number])
            ]
        group = getattr(message, "group", -1)
        return [(group, message)] if group in self.shown or isinstance(message, Removed) else []

    def answered(self, number: int, id: int, body: Any) -> None:
        caller = self.callers.get((number, id))
        if caller is not None:
            self.say(-1, f"{number}", f"Reply  {caller}: {render.body(body)}")

    # ---- moving --------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let everything happen that needs neither time nor a message of a group that is shown."""
        for _ in range(MESSAGES_MAX):
            if not self._wake_due() and not self._deliver_background():
                return
        raise AssertionError("the nodes never come to rest")

    def _deliver_background(self) -> bool:
        waiting, self.messages = self.messages, deque()
        delivered = False
        while waiting:
            sender, to, message = waiting.popleft()
            if self.parts(message):
                self.messages.append((sender, to, message))
            else:
                self.hand_over(sender, to, message)
                delivered = True
        return delivered

    def lost(self, sender: int, to: int) -> bool:
        """Whether what is sent there cannot arrive."""
        return (sender, to) in self.cut or not (self.founding or self.machines[to].alive)

    def hand_over(self, sender: int, to: int, message: Any) -> None:
        """One message arrives, unless there is no way any more."""
        if self.lost(sender, to):
            self.say_message(sender, "-x", to, message)
        elif self.linked(sender, to):
            self.machines[to].feed(kernel.Deliver(sender, message))

    def deliver_all(self) -> None:
        """Every message, and what that causes, until nothing moves."""
        self.settle()
        for _ in range(MESSAGES_MAX):
            if not self.messages:
                return
            self.hand_over(*self.messages.popleft())
            self.settle()
        raise AssertionError("the nodes talk for ever")

    def wait(self, microseconds: int) -> None:
        """Time passes; messages of what is shown stay where they are."""
        end = self.now_us + microseconds
        while self.now_us < end:
            self.now_us += STEP_US
            self.settle()

    def run(self, microseconds: int) -> None:
        """Time passes, and every message arrives."""
        end = self.now_us + microseconds
        self.deliver_all()
        while self.now_us < end:
            self.now_us += STEP_US
            self.deliver_all()

    def ask(self, number: int, caller: str, body: Any, until_us: int = 0) -> None:
        self.requests += 1
        key = (number, self.requests)
        self.replies[key] = None
        self.callers[key] = caller
        self.machines[number].feed(Request(self.requests, body, until_us=until_us))

    def leading(self, group: int) -> int | None:
        """The live node that leads the highest epoch, by what each says of itself."""
        found = [
            (status.epoch, machine.number)
            for machine in self.machines.values()
            if machine.alive and (status := machine.status(group)) is not None and status.role == "leader"
        ]
        return max(found)[1] if found else None
