"""A few nodes in one hand: messages wait in a queue until the test delivers them, disks answer when told.

Storage is a stand-in of twenty lines, because these tests are about the protocol: a write's payload is
the list of its tokens, and a replica's state is the list of all tokens applied to it.
"""

import copy
from collections import deque
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import msgspec

from quorate.core import kernel
from quorate.core.ack_policy import read_rule
from quorate.core.bounds import GroupId
from quorate.core.calls import EndLogins, Replies, Reply, Request
from quorate.core.catalog import Catalog, DatabaseRow, PartitionRow
from quorate.core.entries import (
    DATA,
    ORIGIN,
    CreateGroup,
    Entry,
    LogWrite,
    Position,
    SwitchGeneration,
    TrimLog,
    WriteEntries,
    WriteHardState,
)
from quorate.core.executing import Execute, Executed
from quorate.core.kernel import Now
from quorate.core.lives import PeerLife, RaiseBoot, RememberLife
from quorate.core.node import Node
from quorate.core.options import SingleLeaderOptions
from quorate.core.querying import Query
from quorate.core.recovered import Identity, Member, Recovered, RecoveredGroup
from quorate.core.requests import Done, Run
from quorate.core.settings import Settings
from quorate.core.single_leader.replica import SingleLeaderReplica
from quorate.core.statements import Statement, Token
from quorate.storage.data.data_file import with_control

SETTINGS = Settings(
    heartbeat_us=100_000, suspect_us=600_000, election_us=150_000, log_keep_entries=4, checkpoint_entries=8
)
_encode = msgspec.msgpack.encode


def write(token: str, database: str = "main") -> Run:
    return Run(database, (Statement("INSERT INTO t VALUES (1)"),), token=Token(token, 0))


def kept(entries: list[Entry], applied: int) -> tuple[Entry, ...]:
    """The control entries that the data file keeps, of a log that was never trimmed."""
    controls: tuple[Entry, ...] = ()
    for entry in entries:
        if entry.kind != DATA and entry.index <= applied:
            controls = with_control(controls, entry)
    return controls


class NodeOfLeaders(Node):
    """All its groups have a single leader, so that tests may look into them."""

    groups: dict[GroupId, SingleLeaderReplica]  # type: ignore[assignment]


class Disk:
    """What survives a crash of one node."""

    def __init__(self) -> None:
        self.writes: list[LogWrite] = []
        self.lives: list[PeerLife] = []

    def recover(self, identity: Identity, data: dict[int, list[tuple[Position, str]]]) -> Recovered:
        groups: dict[int, RecoveredGroup] = {}
        logs: dict[int, list[Entry]] = {}
        base: dict[int, Position] = {}
        for item in self.writes:
            number = item.group
            if isinstance(item, CreateGroup):
                groups[number] = RecoveredGroup(
                    number, item.database, item.partition, item.replication, item.voters,
                    0, 0, ORIGIN, (), 0, (), ORIGIN,
                )  # fmt: skip
                logs[number], base[number] = [], ORIGIN
            elif isinstance(item, WriteHardState):
                groups[number] = msgspec.structs.replace(groups[number], epoch=item.epoch, vote=item.vote)
            elif isinstance(item, WriteEntries):
                first = item.entries[0].index
                logs[number] = [entry for entry in logs[number] if entry.index < first] + list(item.entries)
            elif isinstance(item, TrimLog):
                logs[number] = [entry for entry in logs[number] if entry.index > item.through.index]
                base[number] = item.through
            elif isinstance(item, SwitchGeneration):
                logs[number] = [entry for entry in logs[number] if item.position.index < entry.index <= item.keep]
                base[number] = item.position
        found = []
        for number, group in groups.items():
            entries = logs[number]
            runs: list[Position] = []
            for entry in entries:
                if not runs or runs[-1].epoch != entry.epoch:
                    runs.append(Position(entry.epoch, entry.index))
            applied = data[number][-1][0] if data.get(number) else base[number]
            last = entries[-1].index if entries else base[number].index
            found.append(
                msgspec.structs.replace(
                    group,
                    base=base[number],
                    epochs=tuple(runs),
                    last=last,
                    tail=tuple(entries),
                    applied=applied,
                    controls=kept(entries, applied.index),
                    controls_coming=tuple(each for each in entries if each.kind != DATA and each.index > applied.index),
                )
            )
        return Recovered(identity, tuple(found), tuple(self.lives))


class Machine:
    """One node, its disk, and the effects that nobody has performed yet."""

    def __init__(self, cluster: "Cluster", number: int) -> None:
        self.cluster = cluster
        self.number = number
        self.disk = Disk()
        self.data: dict[int, list[tuple[Position, str]]] = {}
        self.kept: list[kernel.SaveLost] = []
        self.received: dict[int, int] = {}
        """Which of the cluster's copies each received snapshot is."""
        self.boot = 0
        self.slow_disk = False
        self.unwritten: deque[kernel.Persist] = deque()
        self.alive = False
        self.executing: dict[int, tuple[str, ...]] = {}
        self.knows: Catalog | None = None
        """What it reads in the catalog; None: what that says now."""
        self.links: set[int] = set()
        """To whom this node keeps a connection."""
        self.start()

    def start(self) -> None:
        self.boot += 1
        self.alive = True
        self.links.clear()
        identity = Identity("test", self.number, f"n{self.number}", self.boot, self.cluster.members)
        recovered = self.disk.recover(identity, self.data)
        self.node = NodeOfLeaders(recovered, self.chance(), self.cluster.settings)
        self.feed(kernel.Wake())

    def chance(self) -> Random:
        return Random(f"{self.number}/{self.boot}")

    def crash(self) -> None:
        self.alive = False
        self.unwritten.clear()
        self.cluster.replies = {
            key: value for key, value in self.cluster.replies.items() if value is not None or key[0] != self.number
        }

    def feed(self, event: kernel.Event) -> None:
        queue: deque[kernel.Event] = deque([event])
        while queue and self.alive:
            effects = self.node.step(Now(self.cluster.now_us, self.cluster.now_us), queue.popleft())
            self.node.assert_invariants()
            self.assert_watches()
            for effect in effects:
                queue.extend(self.perform(effect))

    def assert_watches(self) -> None:
        """Whoever leads watches a majority of the voters, or it could not miss them."""
        for group in self.node.groups.values():
            if group.election.role == "leader":
                assert group.majority_of((self.number, *self.node.liveness.peers)), group.configuration

    def perform(self, effect: kernel.Effect) -> Iterable[kernel.Event]:
        handler = self.PERFORM.get(type(effect))
        return () if handler is None else handler(self, effect)

    def _send(self, effect: kernel.Send) -> Iterable[kernel.Event]:
        self.cluster.messages.append((self.number, effect.to, effect.message))
        return ()

    def _connect(self, effect: kernel.Connect) -> Iterable[kernel.Event]:
        self.links.add(effect.peer)
        return ()

    def _disconnect(self, effect: kernel.Disconnect) -> Iterable[kernel.Event]:
        self.links.discard(effect.peer)
        return ()

    def _persist(self, effect: kernel.Persist) -> Iterable[kernel.Event]:
        if self.slow_disk:
            self.unwritten.append(effect)
            return ()
        self.disk.writes.extend(effect.writes)
        return (kernel.Persisted(effect.sequence),)

    def _remember_life(self, effect: RememberLife) -> Iterable[kernel.Event]:
        self.disk.lives.append(effect.life)
        return ()

    def _raise_boot(self, effect: RaiseBoot) -> Iterable[kernel.Event]:
        self.boot = effect.boot
        self.disk.lives = [life for life in self.disk.lives if life.node != self.number]
        return ()

    def copy(self) -> tuple[Disk, dict[int, list[tuple[Position, str]]], int]:
        """What lies in its folder."""
        return copy.deepcopy((self.disk, self.data, self.boot))

    def put_back(self, copied: tuple[Disk, dict[int, list[tuple[Position, str]]], int]) -> None:
        """That is all there is from now on."""
        self.disk, self.data, self.boot = copied

    def finish_writing(self) -> None:
        while self.unwritten:
            effect = self.unwritten.popleft()
            self.disk.writes.extend(effect.writes)
            self.feed(kernel.Persisted(effect.sequence))

    def _open(self, effect: kernel.OpenReplica) -> Iterable[kernel.Event]:
        rows = self.data.setdefault(effect.group, [])
        return (kernel.Applied(effect.group, rows[-1][0] if rows else ORIGIN),)

    def _execute(self, effect: Execute) -> Iterable[kernel.Event]:
        tokens = tuple(request.token.id for request in effect.requests if request.token)
        outcomes = tuple(_encode(Done(())) for _ in effect.requests)
        return (Executed(effect.group, effect.batch, _encode(tokens) if tokens else None, outcomes),)

    def _commit(self, effect: kernel.Commit) -> Iterable[kernel.Event]:
        rows = self.data[effect.group]
        first = rows[-1][0].index + 1 if rows else 1
        entries = self.node.groups[effect.group].log.slice(first, effect.position.index)
        assert entries is not None
        return self._apply(kernel.Apply(effect.group, effect.position, entries))

    def _apply(self, effect: kernel.Apply) -> Iterable[kernel.Event]:
        rows = self.data[effect.group]
        entries = effect.entries or tuple(
            write_.entries[0] for write_ in self.disk.writes if isinstance(write_, WriteEntries)
        )
        for entry in entries:
            if entry.index > (rows[-1][0].index if rows else 0):
                tokens = msgspec.msgpack.decode(entry.payload) if entry.kind == DATA else [""]
                rows.extend((Position(entry.epoch, entry.index), token) for token in tokens)
        return (kernel.Applied(effect.group, effect.through),)

    def _query(self, effect: Query) -> Iterable[kernel.Event]:
        self.cluster.replies[self.number, effect.id] = [token for _, token in self.data[effect.group] if token]
        return ()

    def _reply(self, effect: Reply) -> Iterable[kernel.Event]:
        assert self.cluster.replies.get((self.number, effect.id)) is None, "answered twice"
        self.cluster.replies[self.number, effect.id] = effect.body
        return ()

    def _replies(self, effect: Replies) -> Iterable[kernel.Event]:
        for number, body in effect.answers:
            self._reply(Reply(number, body))
        return ()

    def _catalog(self, _effect: kernel.ReadCatalog) -> Iterable[kernel.Event]:
        if not any(token == "founding" for _, token in self.data[0]):
            return (kernel.CatalogRead(Catalog()),)
        return (kernel.CatalogRead(self.knows or self.cluster.catalog()),)

    def _digest(self, effect: kernel.Digest) -> Iterable[kernel.Event]:
        rows = self.data[effect.group]
        position = rows[-1][0] if rows else ORIGIN
        digest = ",".join(token for _, token in rows)
        return (kernel.Digested(effect.group, effect.number, position, digest),)

    def _condemn(self, effect: kernel.Condemn) -> Iterable[kernel.Event]:
        return (kernel.ApplyFailed(effect.group, full=False, reason=effect.reason),)

    def _open_snapshot(self, effect: kernel.OpenSnapshot) -> Iterable[kernel.Event]:
        if not self.cluster.gives_copies:
            return ()
        self.cluster.copies.append(list(self.data[effect.group]))
        position = self.data[effect.group][-1][0]
        return (kernel.SnapshotOpened(effect.group, effect.to, len(self.cluster.copies), position, 1),)

    def _read_snapshot(self, effect: kernel.ReadSnapshot) -> Iterable[kernel.Event]:
        data = b"%d" % effect.snapshot
        return (kernel.SnapshotRead(effect.group, effect.to, effect.snapshot, effect.offset, data, end=True),)

    def _store_snapshot(self, effect: kernel.StoreSnapshot) -> Iterable[kernel.Event]:
        self.received[effect.snapshot] = int(effect.data)
        return (kernel.SnapshotStored(effect.group, effect.snapshot, len(effect.data), complete=True),)

    def _open_generation(self, effect: kernel.OpenGeneration) -> Iterable[kernel.Event]:
        rows = self.data[effect.group] = list(self.cluster.copies[self.received[effect.snapshot] - 1])
        return (kernel.Applied(effect.group, rows[-1][0]),)

    def _save_lost(self, effect: kernel.SaveLost) -> Iterable[kernel.Event]:
        self.kept.append(effect)
        return (kernel.LostSaved(effect.group, effect.first, 1),)

    PERFORM: dict[type, Callable[[Any, Any], Iterable[kernel.Event]]] = {
        kernel.Send: _send,
        kernel.Connect: _connect,
        kernel.Disconnect: _disconnect,
        EndLogins: lambda _machine, _effect: (),
        kernel.Persist: _persist,
        kernel.OpenReplica: _open,
        Execute: _execute,
        kernel.Commit: _commit,
        kernel.Apply: _apply,
        Query: _query,
        Reply: _reply,
        Replies: _replies,
        kernel.SaveLost: _save_lost,
        RememberLife: _remember_life,
        RaiseBoot: _raise_boot,
        kernel.ReadCatalog: _catalog,
        kernel.Digest: _digest,
        kernel.Condemn: _condemn,
        kernel.OpenSnapshot: _open_snapshot,
        kernel.ReadSnapshot: _read_snapshot,
        kernel.StoreSnapshot: _store_snapshot,
        kernel.OpenGeneration: _open_generation,
    }


def options_text(rule: str) -> str:
    """What the catalog has for a database whose rule a log spells like this."""
    wanted = read_rule(rule)
    return SingleLeaderOptions(acks=str(wanted), failover=wanted.failover).encode()


class Cluster:
    """Some machines, a clock that only the test moves, and every message in flight."""

    machine: type[Machine] = Machine
    settings = SETTINGS

    def __init__(self, size: int = 3, acks: str = "majority", spares: int = 0) -> None:
        """`spares`: nodes that run and are no members yet."""
        self.acks = acks
        self.now_us = 1_000_000
        everybody = [Member(number, f"n{number}", f"host:{number}") for number in range(1, size + spares + 1)]
        self.members = tuple(everybody[:size])
        """The founders."""
        self.joined = self.members
        """The members that the catalog names, and below what else it says of them."""
        self.ever = set(self.members)
        """Everybody who ever was a member."""
        self.placed = tuple(member.node for member in self.members)
        self.changes = 0
        self.everybody = {member.node: member for member in everybody}
        self.messages: deque[tuple[int, int, Any]] = deque()
        self.replies: dict[tuple[int, int], Any] = {}
        self.copies: list[list[tuple[Position, str]]] = []
        """Every copy of a data file that was ever made."""
        self.gives_copies = False
        self.cut: set[tuple[int, int]] = set()
        self.requests = 0
        self.machines = {number: self.machine(self, number) for number in self.everybody}

    def catalog(self) -> Catalog:
        """What the catalog's data file would say."""
        began = tuple(member.node for member in self.members) if self.changes else ()
        partition = PartitionRow(1, "main", 0, self.placed, began)
        gone = tuple(each for each in self.ever if self.changes and each not in self.joined)
        databases = (DatabaseRow("main", "single-leader", options_text(self.acks)),)
        voters = self.placed if self.changes else ()
        return Catalog(self.joined, databases, (partition,), 2, self.changes, (), gone, voters)

    def want_members(self, *nodes: int) -> None:
        """The catalog wants just these from now on, for everything."""
        self.changes += 1
        self.placed = nodes
        self.joined = tuple(self.everybody[number] for number in nodes)
        self.ever.update(self.joined)
        for number in nodes:  # the others are told that they are out
            if self.machines[number].alive:
                self.machines[number].feed(kernel.CatalogRead(self.catalog()))

    def deliver(self) -> None:
        """Deliver what is in flight, and what that causes, until nothing is."""
        while self.messages or self._wake_due():
            while self.messages:
                sender, to, message = self.messages.popleft()
                machine = self.machines[to]
                if machine.alive and (sender, to) not in self.cut and self.linked(sender, to):
                    machine.feed(kernel.Deliver(sender, message))

    def linked(self, sender: int, to: int) -> bool:
        """A node sends only on a link that it dialled itself."""
        return to in self.machines[sender].links

    def _wake_due(self) -> bool:
        woken = False
        for machine in self.machines.values():
            if machine.alive and machine.node.deadline_us is not None and machine.node.deadline_us <= self.now_us:
                machine.feed(kernel.Wake())
                woken = True
        return woken

    def run(self, microseconds: int) -> None:
        """Let time pass in small steps."""
        end = self.now_us + microseconds
        self.deliver()
        while self.now_us < end:
            self.now_us += 10_000
            self.deliver()

    def leader(self, group: int = 1) -> Machine:
        """The live leader with the highest epoch."""
        leading = [
            machine
            for machine in self.machines.values()
            if machine.alive and group in machine.node.groups and machine.node.groups[group].election.role == "leader"
        ]
        assert leading, "nobody leads"
        return max(leading, key=lambda machine: machine.node.groups[group].election.epoch)

    def request(self, machine: Machine, body: Any) -> tuple[int, int]:
        self.requests += 1
        key = (machine.number, self.requests)
        self.replies[key] = None
        machine.feed(Request(self.requests, body))
        return key

    def isolate(self, number: int) -> None:
        for other in self.machines:
            if other != number:
                self.cut |= {(number, other), (other, number)}

    def heal(self) -> None:
        self.cut.clear()

    def tokens(self, number: int, group: int = 1) -> list[str]:
        return [token for _, token in self.machines[number].data.get(group, []) if token]
