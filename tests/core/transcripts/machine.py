"""One node of a transcript, which writes down all that its core asks for, and stand-ins for what performs it."""

from collections import deque
from collections.abc import Iterable
from random import Random
from typing import TYPE_CHECKING

import msgspec

from quorate.core import kernel, requests
from quorate.core.calls import Reply, Tell
from quorate.core.entries import DATA, ORIGIN, Entry, Position, WriteEntries
from quorate.core.executing import INTERRUPTED, TOO_LONG, Execute, Executed, Stopped
from quorate.core.permits import AskPermit, Denied, DropPermit, Permitted, PermitUnavailable
from quorate.core.querying import Query
from quorate.core.requests import Done, GroupStatus, LostEntry, LostReport
from quorate.storage.data.data_file import with_control
from tests.core import harness
from tests.core.transcripts import render

if TYPE_CHECKING:
    from tests.core.transcripts.cluster import Scripted

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
        self.long: set[str] = set()
        """Writes that take long."""
        self.alone: deque[Execute] = deque()
        """Batches that run alone, until the script lets them end."""
        self.lost_entries: list[LostEntry] = []
        self.controls: dict[int, tuple[Entry, ...]] = {}
        """What each data file said when it was received."""
        super().__init__(cluster, number)

    def chance(self) -> Random:
        return Patience(self.cluster.order, self.number)

    def crash(self) -> None:
        super().crash()
        self.open_batches.clear()
        self.alone.clear()

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
        elif isinstance(effect, Tell):
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

    def _reply(self, effect: Reply) -> Iterable[kernel.Event]:
        self.cluster.answered(self.number, effect.id, effect.body)
        return super()._reply(effect)

    def _execute(self, effect: Execute) -> Iterable[kernel.Event]:
        """Run them, but what takes long: that is stopped, or goes on alone until the script lets it end."""
        names = " ".join(
            f"outcome of {each.token.id}" if isinstance(each, requests.Outcome) else each.token.id
            for each in effect.requests
        )
        self.say(effect.group, f"Execute  {names}{', alone' if effect.alone else ''}")
        long = [at for at, each in enumerate(effect.requests) if each.token.id in self.long]
        if long and not effect.alone:
            return (Stopped(effect.group, effect.batch, long[0], TOO_LONG),)
        if long:
            self.alone.append(effect)
            return ()
        return (self.executed(effect),)

    def executed(self, effect: Execute) -> Executed:
        """A token that was seen is not run again, and one that is asked about in vain is cancelled."""
        known = {token for _, token in self.data[effect.group]} | set(self.open_batches.get(effect.group, ()))
        changes: list[str] = []
        outcomes: list[bytes] = []
        for each in effect.requests:
            token, cancelled = each.token.id, f"no-{each.token.id}"
            asks = isinstance(each, requests.Outcome)
            never = cancelled in known or (asks and token not in known)
            outcomes.append(_encode(requests.Cancelled() if never else Done(())))
            if token not in known and cancelled not in known:
                changes.append(cancelled if asks else token)
                known.add(changes[-1])
        self.open_batches.setdefault(effect.group, []).extend(changes)
        payload = _encode(tuple(changes)) if changes else None
        return Executed(effect.group, effect.batch, payload, tuple(outcomes))

    def _rollback(self, effect: kernel.Rollback) -> Iterable[kernel.Event]:
        self.open_batches.pop(effect.group, None)
        stopped = [each for each in self.alone if each.group == effect.group]
        for each in stopped:
            self.alone.remove(each)
        return [Stopped(each.group, each.batch, 0, INTERRUPTED) for each in stopped]

    def _ask_permit(self, effect: AskPermit) -> Iterable[kernel.Event]:
        """As an etcd does: one holder at a time, and a revision that only rises."""
        cluster = self.cluster
        if cluster.etcd_away:
            return (PermitUnavailable(effect.group, effect.number, "no answer"),)
        if cluster.permit_holder not in (0, self.number):
            return (Denied(effect.group, effect.number, cluster.permit_holder),)
        cluster.permit_holder = self.number
        cluster.revision += 1
        return (Permitted(effect.group, effect.number, cluster.revision),)

    def _drop_permit(self, _effect: DropPermit) -> Iterable[kernel.Event]:
        if self.cluster.permit_holder == self.number:
            self.cluster.permit_holder = 0
        return ()

    def _apply(self, effect: kernel.Apply) -> Iterable[kernel.Event]:
        self.open_batches.pop(effect.group, None)
        return super()._apply(effect)

    def _query(self, effect: Query) -> Iterable[kernel.Event]:
        self.say(effect.group, f"Query  {self.cluster.callers[self.number, effect.id]}: [{self.rows(effect.group)}]")
        return super()._query(effect)

    def _digest(self, effect: kernel.Digest) -> Iterable[kernel.Event]:
        position = self.data[effect.group][-1][0]
        return (kernel.Digested(effect.group, effect.number, position, self.rows(effect.group)),)

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
        self.cluster.controls.append(self.kept_controls(effect.group))
        return [msgspec.structs.replace(each, id=effect.id) for each in super()._open_snapshot(effect)]

    def _read_snapshot(self, effect: kernel.ReadSnapshot) -> Iterable[kernel.Event]:
        if not effect.id:
            return super()._read_snapshot(effect)
        rows = " ".join(token for _, token in self.cluster.copies[effect.snapshot - 1] if token)
        return (
            kernel.SnapshotRead(effect.group, 0, effect.snapshot, effect.offset, rows.encode(), end=True, id=effect.id),
        )

    def _open_generation(self, effect: kernel.OpenGeneration) -> Iterable[kernel.Event]:
        (applied,) = super()._open_generation(effect)
        controls = self.controls[effect.group] = self.cluster.controls[self.received[effect.snapshot] - 1]
        return (msgspec.structs.replace(applied, controls=controls),)

    def kept_controls(self, group: int) -> tuple[Entry, ...]:
        """The control entries that the data file keeps."""
        controls = self.controls.get(group, ())
        behind = controls[-1].index if controls else 0
        applied = self.data[group][-1][0].index
        for entry in self.logged(group):
            if behind < entry.index <= applied and entry.kind != DATA:
                controls = with_control(controls, entry)
        return controls

    def logged(self, group: int) -> list[Entry]:
        """Every entry that the disk was given and that no other took the place of."""
        found: dict[int, Entry] = {}
        for each in self.disk.writes:
            if isinstance(each, WriteEntries) and each.group == group:
                found = {index: entry for index, entry in found.items() if index < each.entries[0].index}
                found.update((entry.index, entry) for entry in each.entries)
        return [entry for _, entry in sorted(found.items())]

    def _checkpoint(self, effect: kernel.Checkpoint) -> Iterable[kernel.Event]:
        rows = self.data[effect.group]
        return (kernel.Checkpointed(effect.group, rows[-1][0] if rows else ORIGIN),)

    PERFORM = {
        **harness.Machine.PERFORM,
        Reply: _reply,
        Execute: _execute,
        kernel.Rollback: _rollback,
        kernel.Apply: _apply,
        Query: _query,
        kernel.Digest: _digest,
        kernel.SaveLost: _save_lost,
        AskPermit: _ask_permit,
        DropPermit: _drop_permit,
        kernel.ReadLost: _read_lost,
        kernel.OpenSnapshot: _open_snapshot,
        kernel.ReadSnapshot: _read_snapshot,
        kernel.OpenGeneration: _open_generation,
        kernel.Checkpoint: _checkpoint,
    }

    def rows(self, group: int) -> str:
        return " ".join(token for _, token in self.data.get(group, []) if token)

    def status(self, group: int) -> GroupStatus | None:
        """What the node says of its replica to anybody who asks."""
        return next((each for each in self.node.status().groups if each.group == group), None)
