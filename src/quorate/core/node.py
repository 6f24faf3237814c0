"""A whole node as one core: it routes events to its groups and merges their effects and deadlines.

Because one node is one object, routing, failover and the interplay of many groups are inside the
simulation, not beside it. Groups speak to the world only through their node (`replica.Host`), which
numbers what goes to the disk, keeps one deadline, and watches the other nodes for all groups at once.
"""

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from random import Random
from typing import Any, cast

from quorate.core import callers, certifying, dropping, kernel, proposals, protecting, roster, superseding, whereabouts
from quorate.core.admission import Admission
from quorate.core.auth.access import Access
from quorate.core.bounds import GroupId, NodeId
from quorate.core.calls import Replies, Reply, Request, Requests
from quorate.core.certificates import CertificateRead
from quorate.core.copies import Copies
from quorate.core.directory import Directory
from quorate.core.dropped import ReplicaDropped
from quorate.core.dropping import Dropping
from quorate.core.entries import ORIGIN, CreateGroup, LogWrite, log_busy_us
from quorate.core.formats import HERE, Range
from quorate.core.kernel import CATALOG_DATABASE, CATALOG_GROUP, Connect, Effect, Event, Note, Now, Persist, ReadCatalog
from quorate.core.liveness import Liveness
from quorate.core.messages import Heartbeat, HeartbeatReply, Removed, Superseded
from quorate.core.options import SINGLE_LEADER, DatabaseOptions
from quorate.core.querying import QueryFailed
from quorate.core.read_views import ReadViews
from quorate.core.recovered import Recovered, RecoveredGroup
from quorate.core.replica import CatalogReplica, Replica, TimerName
from quorate.core.replication import REPLICATIONS
from quorate.core.report import report, report_lost
from quorate.core.requests import StatusReport
from quorate.core.settings import Settings
from quorate.core.timers import Timers
from quorate.core.upgrading import Versions
from quorate.core.viewing import ViewRead

HEARTBEAT, CLOSE_IDLE, VERIFY = "heartbeat", "close idle", "verify"
NOBODY: NodeId = 0


class Node:
    """One node of a cluster; with a single founder, a whole database inside a process."""

    def __init__(
        self, recovered: Recovered, rng: Random, settings: Settings | None = None, formats: Range = HERE
    ) -> None:
        self.identity = recovered.identity
        self.me, self.boot = self.identity.node, self.identity.boot
        self.now_us = 0
        self.rng = rng
        self.settings = settings or Settings()
        self._at_once = self.settings.at_once
        self._stall_us = 2 * self.settings.heartbeat_us  # a node that runs takes a step at each of its heartbeats
        self.disk_full = self.draining = self._drained = False
        self.removed = False
        """It was taken out of the cluster."""
        self.until_us = self.log_busy_us = 0
        self.admission = Admission(self.settings)
        self.groups: dict[GroupId, Replica] = {}
        self._out: list[Effect] = []
        self.emit: Callable[[Effect], None] = self._out.append
        """What groups and all else here ask of the world."""
        told = self.directory = Directory(recovered.identity)
        self.versions = Versions(recovered.identity.format, formats, self.emit)
        self.access = Access(self.emit, self.settings.auth_stale_us, trusted=self.settings.trusted)
        self.liveness = Liveness(
            self.boot, self.settings, self.groups, self.versions, self.emit, self.me, recovered.lives
        )
        self.name_of, self.address_of, self.wanted_members = told.name_of, told.address_of, told.wanted_members
        self.node_named, self.groups_for, self.wanted_schema = told.node_named, told.groups_for, told.wanted_schema
        self.holds_all = partial(superseding.holds_all, self)
        self.heard, self.start_round = self.liveness.heard, self.liveness.start_round
        self.lived_us = self.liveness.lived_us
        self.election_us, self.retry_us = self.liveness.election_us, self.liveness.retry_us
        self.lives = self.liveness.lives
        self.own_lives, self.forgot = self.liveness.own_lives, self.liveness.lives.forgot
        self.understands, self.highest_of = self.versions.understands, self.versions.highest_of
        self._recovered: Recovered | None = recovered
        self._timers = Timers()
        self.set_timer: Callable[[TimerName, int], None] = self._timers.set
        self.timer_us: Callable[[TimerName], int | None] = self._timers.get
        self.cancel_timer: Callable[[TimerName], None] = self._timers.cancel
        self._ready: dict[GroupId, None] = {}
        self._busy: dict[GroupId, None] = {}
        self._sequence = 0
        self._writing: deque[tuple[int, GroupId]] = deque()
        self.proposals: dict[int, proposals.Proposal] = {}
        self.failovers: dict[int, proposals.Proposal] = {}
        """Those that are asked for here and recorded, by numbers as proposals have them."""
        self.proposal_count = 0
        self.dropping = Dropping(recovered.dropped)
        self.catalog_reads = 0
        """How often the catalog is being read just now."""
        self.moved: dict[NodeId, str] = {}
        """Where members say that they are, if the catalog has them elsewhere."""
        self.certified: set[NodeId] = set()
        """Nodes, this one too, that have said that they have a certificate."""
        self.certificate = CertificateRead("", 0)
        self.copies, self.views = Copies(self), ReadViews(self)
        self._verified: GroupId = -1
        self.touched: Iterable[Replica] = self.groups.values()
        """The groups that the last step may have changed. To assert the invariants of these alone keeps the cost of a
        step independent of how many groups there are."""

    # ---- the one door ------------------------------------------------------------------------------------

    def step(self, now: Now, event: Event) -> list[Effect]:
        """Take one event; return what is asked of the world, in order."""
        mono_us = now.mono_us
        idle_us = mono_us - self.now_us
        self.now_us = mono_us
        if idle_us > self._stall_us:
            self.liveness.stalled(now, idle_us - self.settings.heartbeat_us)
        begins = self._recovered is not None
        if begins:
            self._start(now)
        handler = self.HANDLERS.get(type(event))
        if handler is not None:
            self.touched = self.groups.values()
            handler(self, now, event)
        else:
            group = self.groups.get(event.group)  # type: ignore[union-attr]
            if group is not None:
                self.touched = (group,)
                group.on_event(now, event)
            else:
                dropping.on_late(self, now, event)
        if self._ready and self._at_once:
            self._run_ready(now)
            self.touched = self.groups.values()
        elif begins:
            self.touched = self.groups.values()
        out = self._out
        if not out:  # a request that waits for others asks for nothing
            return []
        effects = out.copy()
        out.clear()
        return effects

    @property
    def deadline_us(self) -> int | None:
        """See `kernel.Core`. It is asked for less often than steps are taken."""
        if self._ready or self.liveness.fresh_rounds or self._recovered is not None:
            return self.now_us
        return self._timers.next_us

    def assert_invariants(self) -> None:
        """What must be true of every group on this node."""
        for group in self.groups.values():
            group.assert_invariants()

    def _start(self, now: Now) -> None:
        recovered, self._recovered = self._recovered, None
        self.liveness.begun_us = now.wall_us
        assert recovered is not None
        for member in self.identity.founders:
            self.watch(now, member.node, member.address)
        for found in superseding.doubted(recovered.groups):
            self._open_group(now, found)
        if CATALOG_GROUP not in self.groups:
            voters = roster.voters_of_catalog(self)
            self.create_group(now, CreateGroup(CATALOG_GROUP, CATALOG_DATABASE, 0, SINGLE_LEADER, voters))
        self._timers.set(HEARTBEAT, now.mono_us)
        if self.settings.verify_us:
            self._timers.set(VERIFY, now.mono_us + self.settings.verify_us // (1 + len(self.groups)))
        self._timers.set(CLOSE_IDLE, now.mono_us + self.settings.close_idle_us)

    # ---- what groups ask of their node (replica.Host) ------------------------------------------------------

    def persist(self, group: GroupId, writes: tuple[LogWrite, ...]) -> int:
        self._sequence += 1
        self._writing.append((self._sequence, group))
        self.log_busy_us = log_busy_us(writes, self.log_busy_us, self.now_us)
        self._out.append(Persist(self._sequence, writes))
        return self._sequence

    def reply(self, id: int, body: Any) -> None:
        if id >= 0:
            self._out.append(Reply(id, body))
        else:
            known = self.proposals if id in self.proposals else self.failovers
            proposals.finish(self, known.pop(id), body)

    def reply_all(self, answers: list[tuple[int, Any]]) -> None:
        if answers[0][0] >= 0:
            self._out.append(Replies(answers))
        else:  # proposals, which are written one by one
            for number, body in answers:
                self.reply(number, body)

    def make_ready(self, group: GroupId) -> None:
        self._ready[group] = None

    def keep_busy(self, group: GroupId) -> None:
        self._busy[group] = None

    def mention(self, group: GroupId) -> None:
        self.liveness.mention(self.groups[group])
        if group == CATALOG_GROUP:  # callers of `create` wait until every member has heard of it
            self._timers.set(HEARTBEAT, self.now_us)

    def resign(self, group: GroupId, epoch: int) -> None:
        self.liveness.resign(self.groups[group], epoch)

    def wanted_options(self, database: str) -> DatabaseOptions | None:
        """What the catalog wants of this database; None when it has not been read yet, or does not know it."""
        return self.directory.options.get(database)

    # ---- events ------------------------------------------------------------------------------------------

    def _on_deliver(self, now: Now, event: kernel.Deliver) -> None:
        message = event.message
        if event.sender in self.directory.removed or event.sender not in self.liveness.peers:
            roster.on_message(self, now, event.sender, message)
        self.liveness.on_any_message(now, event.sender)
        if type(message) is Heartbeat:
            if not (message.led or message.stepped_down or self.liveness.is_news(event.sender, message.boot)):
                self.touched = ()
            self.liveness.on_heartbeat(now, event.sender, message)
        elif type(message) is HeartbeatReply:
            if not message.groups:
                self.touched = ()
            self.liveness.on_reply(now, event.sender, message)
        elif type(message) is Removed:
            roster.on_removed(self, now, message)
        elif type(message) is Superseded:
            superseding.on_superseded(self, now, event.sender, message)
        elif event.sender not in self.liveness.lives.old:
            group = self.groups.get(message.group)
            if group is not None:
                self.touched = (group,)
                group.on_message(now, event.sender, message)

    def _on_wake(self, now: Now, _event: kernel.Wake) -> None:
        groups = self.groups
        touched: list[Replica] = []
        ticked = False
        for name in self._timers.due(now.mono_us):
            if name == HEARTBEAT:
                self._tick(now)
                ticked = True
            elif name == VERIFY:
                self._timers.set(VERIFY, now.mono_us + self.settings.verify_us // self._compare_next())
            elif name == CLOSE_IDLE:
                self._timers.set(CLOSE_IDLE, now.mono_us + self.settings.close_idle_us)
                self.emit(kernel.CloseIdle(self.settings.close_idle_periods))
            elif isinstance(name, tuple):
                touched.append(groups[name[0]])
                groups[name[0]].on_timer(now, name[1])
        touched += self._run_ready(now)
        self.liveness.flush_rounds(now)
        if not ticked:
            self.touched = touched

    def _run_ready(self, now: Now) -> list[Replica]:
        """Let the groups that have something to begin do so."""
        ready, self._ready = self._ready, {}
        groups = [self.groups[number] for number in ready]
        for group in groups:
            group.on_ready(now)
        return groups

    def _compare_next(self) -> int:
        """Have the members of one group compared, each in turn that leads here; among how many."""
        led = [number for number in sorted(self.groups) if self.groups[number].leads]
        if led:
            self._verified = next((number for number in led if number > self._verified), led[0])
            self.groups[self._verified].compare()
        return max(1, len(led))

    def _tick(self, now: Now) -> None:
        self._timers.set(HEARTBEAT, now.mono_us + self.settings.heartbeat_us)
        self.liveness.judge(now)
        self.liveness.beat(now)
        alive = self.liveness.alive()
        busy, self._busy = self._busy, {}
        for number in busy:
            if self.groups[number].on_tick(now, alive):
                self._busy[number] = None
        self.copies.tick(now)
        if self.views.kept:
            self.views.tick(now)
        roster.tick(self, now, busy)
        whereabouts.write(self, now)
        certifying.write(self, now)
        if self.access.guards and self.holds_catalog and not self.catalog_reads and (known := self.catalog.known(now)):
            self.access.heard_leader(*known)
        if self.draining:
            self._drain(now)

    def _on_persisted(self, now: Now, event: kernel.Persisted) -> None:
        writing = self._writing
        touched: dict[Replica, None] = {}
        while writing and writing[0][0] <= event.sequence:
            group = self.groups.get(writing.popleft()[1])
            if group is not None:
                touched[group] = None
        for group in touched:
            group.on_event(now, event)
        self.touched = touched
        dropping.on_persisted(self, event.sequence)

    def _on_disk_full(self, now: Now, _event: kernel.DiskFull) -> None:
        """Stop acknowledging, lead nothing, stand for nothing; reads go on."""
        self.disk_full = True
        self.emit(Note("disk_full", {}))
        for group in self.groups.values():
            group.on_disk_full(now)

    def _on_disk_room(self, now: Now, _event: kernel.DiskRoom) -> None:
        self.disk_full = False
        self.emit(Note("disk_room", {}))
        for group in self.groups.values():
            group.on_disk_room(now)

    def _on_applied(self, now: Now, event: kernel.Applied) -> None:
        group = self.groups.get(event.group)
        if group is not None:
            self.touched = (group,)
            group.on_event(now, event)
            if self.views.kept:
                self.views.applied(event.group, event.unsynced)
            if event.group == CATALOG_GROUP:
                if event.controls is not None:  # opened anew: what was read before was answered, or found damaged
                    self.catalog_reads = 0
                self.catalog_reads += 1
                self.emit(ReadCatalog())

    def _on_unreachable(self, now: Now, event: kernel.Unreachable) -> None:
        self.liveness.on_unreachable(now, event.peer)

    def _on_reachable(self, now: Now, event: kernel.Reachable) -> None:
        peer = self.liveness.peers.get(event.peer)
        if peer is not None:
            peer.connected = True
        self._timers.set(HEARTBEAT, now.mono_us)

    def _on_drain(self, now: Now, _event: kernel.Drain) -> None:
        self.draining = True
        self._drain(now)

    def _drain(self, now: Now) -> None:
        alive = self.liveness.alive()
        finished = [group.drain(now, alive) for group in self.groups.values()]
        if all(finished) and not self._drained:
            self._drained = True
            self.emit(kernel.Drained())

    # ---- the catalog, and the groups that it makes appear --------------------------------------------------

    def _on_catalog(self, now: Now, event: kernel.CatalogRead) -> None:
        self.catalog_reads -= 1
        before, certificates = self.directory.members, self.directory.catalog.certificates
        self.directory.load(event.catalog)
        if event.catalog.members:
            self.access.load(event.catalog.users, event.catalog.certificates.revoked)
        self.versions.learn(event.catalog.version)
        roster.after_catalog(self, now)
        whereabouts.after_catalog(self, before)
        protecting.after_catalog(self, certificates)
        if self.holds_catalog and self.catalog.leads_ready and not event.catalog.members:
            proposals.found(self, now)

    def let_go(self, number: GroupId) -> None:
        """Hold no replica of this group any more."""
        del self.groups[number]
        self._timers.cancel_all(number)
        self._ready.pop(number, None)
        self._busy.pop(number, None)
        self.liveness.let_go(number)

    def watch(self, now: Now, node: NodeId, address: str) -> None:
        """Keep a connection to this node, and listen for its heartbeats."""
        if node != self.me and self.liveness.add(node, now):
            self.emit(Connect(node, address))

    def create_group(self, now: Now, write: CreateGroup) -> None:
        """Hold a replica of this group from now on."""
        found = RecoveredGroup(
            write.group, write.database, write.partition, write.replication, write.voters, epoch=0, vote=NOBODY,
            base=ORIGIN, epochs=(), last=0, tail=(), applied=ORIGIN, damaged=superseding.doubt(self, write.voters),
        )  # fmt: skip
        self._open_group(now, found, write)

    def _open_group(self, now: Now, found: RecoveredGroup, write: CreateGroup | None = None) -> None:
        group = self.groups[found.group] = REPLICATIONS[found.replication].make(self, found)
        group.begin(now, superseding.opening(group), write)

    @property
    def catalog(self) -> CatalogReplica:
        """This node's replica of the catalog; there may be none before the first step (`holds_catalog`)."""
        return cast(CatalogReplica, self.groups[CATALOG_GROUP])

    @property
    def holds_catalog(self) -> bool:
        return CATALOG_GROUP in self.groups

    # ---- callers -----------------------------------------------------------------------------------------

    def _on_view_read(self, now: Now, event: ViewRead) -> None:
        self.touched = ()
        self.views.on_read(now, event)

    def _on_lost_read(self, _now: Now, event: kernel.LostRead) -> None:
        self.reply(event.id, report_lost(self, event.report))

    def status(self) -> StatusReport:
        """A picture of this node for people."""
        return report(self)

    HANDLERS: dict[type, Callable[["Node", Now, Any], None]] = {
        kernel.Deliver: _on_deliver,
        kernel.Wake: _on_wake,
        Request: callers.on_request,
        Requests: callers.on_requests,
        QueryFailed: callers.on_query_failed,
        kernel.Persisted: _on_persisted,
        kernel.Applied: _on_applied,
        kernel.CatalogRead: _on_catalog,
        kernel.LostRead: _on_lost_read,
        ViewRead: _on_view_read,
        ReplicaDropped: dropping.on_dropped,
        kernel.DiskFull: _on_disk_full,
        kernel.DiskRoom: _on_disk_room,
        kernel.Unreachable: _on_unreachable,
        kernel.Reachable: _on_reachable,
        kernel.Located: whereabouts.on_located,
        CertificateRead: protecting.on_certificate,
        kernel.Drain: _on_drain,
    }
