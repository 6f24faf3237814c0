"""Nodes whose every effect is written down. A database `main` is what is shown; the catalog works in the background."""

from collections import deque
from collections.abc import Iterable
from random import Random
from typing import Any

import msgspec

from quorate.core import kernel, requests
from quorate.core.acks_rule import AcksFact
from quorate.core.catalog import Catalog, DatabaseRow, PartitionRow
from quorate.core.kernel import DATA, ORIGIN, Position
from quorate.core.messages import Heartbeat, HeartbeatReply, Removed
from quorate.core.requests import Done, GroupStatus, LostEntry, LostReport
from quorate.storage.data_file import with_entry
from tests.core import harness
from tests.core.transcripts import render

STEP_US = 10_000
_encode = msgspec.msgpack.encode


class Patience(Random):
    """Chance without chance: a node's election timeout is always the same part of what it may be."""

    def __init__(self, order: list[int], number: int) -> None:
        super().__init__(number)
        self.order, self.number = order, number

    def randint(self, low: int, high: int) -> int:
        if self.number not in self.order:
            return high
        return low + (high - low) * self.order.index(self.number) // len(self.order)


class Recorder(harness.Machine):
    """One node; what it does goes into the cluster's transcript."""

    cluster: "Scripted"

    def __init__(self, cluster: "Scripted", number: int) -> None:
        self.open_batches: dict[int, list[str]] = {}
        """Tokens that the open transaction of each replica holds."""
        self.held: deque[kernel.Event] | None = None
        """Batches that ran and whose end nobody has told the node yet; None: it is told at once."""
        self.lost_entries: list[LostEntry] = []
        self.facts: dict[int, AcksFact] = {}
        """What each data file said when it was received."""
        super().__init__(cluster, number)

    def chance(self) -> Random:
        return Patience(self.cluster.order, self.number)

    def crash(self) -> None:
        super().crash()
        self.open_batches.clear()

    def say(self, group: int, text: str) -> None:
        self.cluster.say(group, f"{self.number}", text)

    def perform(self, effect: kernel.Effect) -> Iterable[kernel.Event]:
        kind = type(effect)
        if isinstance(effect, kernel.Note):
            text = render.NOTES[effect.name](effect.fields) if effect.name in render.NOTES else ""
            if text:
                self.say(effect.fields.get("group", -1), f"* {text}")
        elif isinstance(effect, kernel.Send):
            return self.send(effect)
        elif isinstance(effect, kernel.Persist):
            for each in effect.writes:
                self.say(each.group, f"Persist  {render.log_write(each)}")
        elif isinstance(effect, kernel.Tell):
            self.cluster.answered(self.number, effect.id, effect.body)
        elif kind in render.EFFECTS:
            name, fields = render.EFFECTS[kind]
            self.say(getattr(effect, "group", -1), f"{name}  {fields(effect)}".rstrip())
        return super().perform(effect)

    def send(self, effect: kernel.Send) -> Iterable[kernel.Event]:
        """On its way; or lost at once, where there is no way or nobody at its end."""
        lost = self.cluster.lost(self.number, effect.to)
        self.cluster.say_message(self.number, "-x" if lost else "->", effect.to, effect.message)
        return () if lost else super()._send(effect)

    def _reply(self, effect: kernel.Reply) -> Iterable[kernel.Event]:
        self.cluster.answered(self.number, effect.id, effect.body)
        return super()._reply(effect)

    def _execute(self, effect: kernel.Execute) -> Iterable[kernel.Event]:
        """Run them; a token that was seen is not run again, and one that is asked about in vain is cancelled."""
        known = {token for _, token in self.data[effect.group]} | set(self.open_batches.get(effect.group, ()))
        changes: list[str] = []
        outcomes: list[bytes] = []
        for each in effect.requests:
            token = each.token.id
            cancelled = f"no-{token}"
            if cancelled in known:
                outcomes.append(_encode(requests.Cancelled()))
                continue
            asks = isinstance(each, requests.Outcome)
            outcomes.append(_encode(requests.Cancelled() if asks and token not in known else Done(())))
            if token not in known:
                changes.append(cancelled if asks else token)
                known.add(changes[-1])
        names = " ".join(
            f"outcome of {each.token.id}" if isinstance(each, requests.Outcome) else each.token.id
            for each in effect.requests
        )
        self.say(effect.group, f"Execute  {names}{', alone' if effect.alone else ''}")
        self.open_batches.setdefault(effect.group, []).extend(changes)
        payload = _encode(tuple(changes)) if changes else None
        event = kernel.Executed(effect.group, effect.batch, payload, tuple(outcomes))
        if self.held is None or effect.group not in self.cluster.shown:
            return (event,)
        self.held.append(event)
        return ()

    def _rollback(self, effect: kernel.Rollback) -> Iterable[kernel.Event]:
        self.open_batches.pop(effect.group, None)
        return ()

    def _apply(self, effect: kernel.Apply) -> Iterable[kernel.Event]:
        self.open_batches.pop(effect.group, None)
        return super()._apply(effect)

    def _query(self, effect: kernel.Query) -> Iterable[kernel.Event]:
        self.say(effect.group, f"Query  {self.cluster.callers[self.number, effect.id]}: [{self.rows(effect.group)}]")
        return super()._query(effect)

    def _save_lost(self, effect: kernel.SaveLost) -> Iterable[kernel.Event]:
        """The log as the disk has it, from where it ceases to be the leader's or the snapshot's."""
        found = {Position(entry.epoch, entry.index): entry for entry in self.logged(effect.group)}
        if effect.snapshot:
            shared = {position for position, _ in self.cluster.copies[self.received[effect.snapshot] - 1]}
        else:
            shared = {position for position in found if position.index < effect.first}
        lost = [entry for position, entry in found.items() if position not in shared]
        self.say(effect.group, f"SaveLost  {render.entries(lost) or 'nothing'}")
        self.lost_entries += [
            LostEntry(effect.group, each.epoch, each.index, "main", 0, 0, len(each.payload), "kept", 1)
            for each in lost
            if each.kind == DATA
        ]
        return (kernel.LostSaved(effect.group, effect.first, sum(entry.kind == DATA for entry in lost)),)

    def _read_lost(self, effect: kernel.ReadLost) -> Iterable[kernel.Event]:
        return (kernel.LostRead(effect.id, LostReport(tuple(self.lost_entries))),)

    def _open_snapshot(self, effect: kernel.OpenSnapshot) -> Iterable[kernel.Event]:
        self.cluster.facts.append(self.fact(effect.group))
        return super()._open_snapshot(effect)

    def _open_generation(self, effect: kernel.OpenGeneration) -> Iterable[kernel.Event]:
        (applied,) = super()._open_generation(effect)
        fact = self.facts[effect.group] = self.cluster.facts[self.received[effect.snapshot] - 1]
        return (msgspec.structs.replace(applied, acks=fact),)

    def fact(self, group: int) -> AcksFact:
        """What the data file says of acks and members."""
        fact = self.facts.get(group, AcksFact())
        applied = self.data[group][-1][0].index
        for entry in self.logged(group):
            if fact.since < entry.index <= applied and entry.kind != DATA:
                fact = with_entry(fact, entry)
        return fact

    def logged(self, group: int) -> list[kernel.Entry]:
        """Every entry that the disk was given and that no other took the place of."""
        found: dict[int, kernel.Entry] = {}
        for each in self.disk.writes:
            if isinstance(each, kernel.WriteEntries) and each.group == group:
                found = {index: entry for index, entry in found.items() if index < each.entries[0].index}
                found.update((entry.index, entry) for entry in each.entries)
        return [entry for _, entry in sorted(found.items())]

    def _checkpoint(self, effect: kernel.Checkpoint) -> Iterable[kernel.Event]:
        rows = self.data[effect.group]
        return (kernel.Checkpointed(effect.group, rows[-1][0] if rows else ORIGIN),)

    PERFORM = {
        **harness.Machine.PERFORM,
        kernel.Reply: _reply,
        kernel.Execute: _execute,
        kernel.Rollback: _rollback,
        kernel.Apply: _apply,
        kernel.Query: _query,
        kernel.SaveLost: _save_lost,
        kernel.ReadLost: _read_lost,
        kernel.OpenSnapshot: _open_snapshot,
        kernel.OpenGeneration: _open_generation,
        kernel.Checkpoint: _checkpoint,
    }

    def rows(self, group: int) -> str:
        return " ".join(token for _, token in self.data.get(group, []) if token)

    def status(self, group: int) -> GroupStatus | None:
        """What the node says of its replica to anybody who asks."""
        return next((each for each in self.node.status().groups if each.group == group), None)


class Scripted(harness.Cluster):
    """A cluster whose messages wait until the script delivers them, but for those that belong to the background."""

    machine = Recorder
    machines: dict[int, Recorder]  # type: ignore[assignment]

    def __init__(self, size: int, spares: int, acks: str, databases: tuple[str, ...] = ("main",)) -> None:
        # The number of a new group decides which of its voters stands first. A multiple of every size: the first one.
        self.groups = {60 + at: name for at, name in enumerate(databases)}
        self.shown: set[int] = set(self.groups)
        self.order = list(range(1, size + spares + 1))
        self.callers: dict[tuple[int, int], str] = {}
        self.facts: list[AcksFact] = []
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
        databases = tuple(DatabaseRow(name, "single-leader", self.acks) for name in self.groups.values())
        began = one.partitions[0].began
        partitions = tuple(PartitionRow(group, name, 0, self.placed, began) for group, name in self.groups.items())
        return msgspec.structs.replace(one, databases=databases, partitions=partitions)

    # ---- writing down --------------------------------------------------------------------------------------------

    def say(self, group: int, who: str, text: str) -> None:
        """A line, if it is about what is shown (-1: about the node)."""
        if self.recording and (group in self.shown or group == -1):
            where = f"{self.groups[group]}: " if len(self.groups) > 1 and group in self.groups else ""
            self.lines.append(f"{who:<7} {where}{text}")

    def say_message(self, sender: int, arrow: str, to: int, message: Any) -> None:
        """A message is sent (`->`) or lost (`-x`). Those that are said again and again are shown once a command."""
        for number, part in self.parts(message):
            text = render.message(part)
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
                (number, replace(message, led=tuple(led), resigned=tuple(resigned)))
                for number in sorted(self.shown)
                if (led := [each for each in message.led if each.group == number])
                + (resigned := [each for each in message.resigned if each.group == number])
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
        while self._wake_due() or self._deliver_background():
            pass

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
        while self.messages:
            self.hand_over(*self.messages.popleft())
            self.settle()

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
        self.machines[number].feed(kernel.Request(self.requests, body, until_us=until_us))

    def leading(self, group: int) -> int | None:
        """The live node that leads the highest epoch, by what each says of itself."""
        found = [
            (status.epoch, machine.number)
            for machine in self.machines.values()
            if machine.alive and (status := machine.status(group)) is not None and status.role == "leader"
        ]
        return max(found)[1] if found else None
