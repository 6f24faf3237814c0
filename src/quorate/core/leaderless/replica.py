"""One member's replica of a database without a leader (DeCandia and others 2007, "Dynamo"; on versioned rows).

It keeps rows (`keeping`), answers other coordinators, and is the coordinator of what its own callers ask: it gathers
states (`gathering`), has them stored (`spreading`), mints versions (`writes`) and merges (`reads`). What was missed is
found by hash trees (`exchange`).

A replica that cannot trust its disk answers nobody: what it has acknowledged may not be there, and quorums would not
meet any more.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, get_args

from quorate.core.bookmarks import Reached
from quorate.core.bounds import GroupId, NodeId
from quorate.core.calls import Request
from quorate.core.copy_requests import OpenCopy
from quorate.core.entries import CreateGroup
from quorate.core.kernel import Applied, ApplyFailed, Checkpointed, Condemn, Effect, Now, Persisted, Send
from quorate.core.leaderless.exchange import Exchange
from quorate.core.leaderless.gathering import Gathering
from quorate.core.leaderless.keeping import Keeper, read
from quorate.core.leaderless.messages import (
    Agreed,
    Hashes,
    RowAsk,
    RowReply,
    Rows,
    Store,
    Stored,
    TablesAsk,
    TablesReply,
)
from quorate.core.leaderless.options import BLOCKING, LeaderlessOptions
from quorate.core.leaderless.reads import Reads
from quorate.core.leaderless.scans import Scans
from quorate.core.leaderless.spreading import Spreading
from quorate.core.leaderless.statements import Asked, Statements
from quorate.core.leaderless.writes import Write, Writes
from quorate.core.messages import GroupHeartbeat
from quorate.core.options import LEADERLESS
from quorate.core.querying import Query
from quorate.core.quorums import Quorums
from quorate.core.read_levels import EVENTUAL
from quorate.core.recovered import RecoveredGroup
from quorate.core.replica import Host
from quorate.core.requests import Failover, GroupStatus, NotLeader, Refused, Verify
from quorate.core.row_effects import (
    LeavesRead,
    ReadRows,
    ReadSchema,
    RootRead,
    RowEvent,
    RowRun,
    RowsQueried,
    RowsRead,
    SchemaRead,
    StatementPlanned,
    TreeCompared,
)
from quorate.core.row_requests import ByRow, ReadRow, RunRow, WriteRow
from quorate.core.scripts import LetGo
from quorate.core.versions.resolvers import Spec
from quorate.core.view_requests import OpenView
from quorate.sql.classify import is_read

TURN = "turn"
EVENTS = frozenset({
    Persisted, Applied, ApplyFailed, Checkpointed, *get_args(RowEvent),
})  # fmt: skip
MESSAGES = frozenset({Store, Stored, RowAsk, RowReply, Hashes, Rows, Agreed, TablesAsk, TablesReply})
BY_ROW = ByRow()


class Leaderless:
    """One member's replica. `tables` says how the rows of each table are merged."""

    left_out = False
    leads = False
    confirming = False
    replication = LEADERLESS

    def __init__(self, host: Host, found: RecoveredGroup, tables: Mapping[str, Spec]) -> None:
        self.host = host
        self.group: GroupId = found.group
        self.database = found.database
        self.partition = found.partition
        self.members = found.voters
        self.others = tuple([node for node in found.voters if node != host.me])
        self.log_damaged = bool(found.damaged) and not found.log_intact
        self._numbers = host.boot << 32
        self.keeper = Keeper(host, found)
        self.gathering = Gathering(host, found.group, self.keeper, self.others)
        self.spreading = Spreading(host, found.group, self.keeper, self.others)
        self.exchange = Exchange(host, found.group, self.keeper, self.others, self.next_number)
        self.spreading.overflown = self.exchange.doubt
        self.writes = Writes(host, found.group, self.gathering, self.spreading, self.next_number, tables)
        self.reads = Reads(
            host, found.group, self.keeper, self.gathering, self.spreading, self.next_number, tables
        )  # fmt: skip
        self.scans = Scans(host, found.group, self.keeper, self.others, self.next_number)
        self.statements = Statements(host, found.group, self.next_number, self.writes, self.reads, self.scans)
        self._schema = -1
        """The last change of the schema that was handed to the log; -1: it is not known how far the data file is."""
        self._lost: dict[NodeId, None] = {}
        """Members that are not heard."""
        self._closed = False
        self._timer = (found.group, TURN)

    def next_number(self) -> int:
        """Of something that is asked; never given out twice."""
        self._numbers += 1
        return self._numbers

    @property
    def damaged(self) -> str:
        return self.keeper.damaged

    @property
    def unwanted(self) -> bool:
        wanted = self.host.wanted_members(self.group)
        return wanted is not None and self.host.me not in wanted.voters

    @property
    def unwritten(self) -> bool:
        return self.keeper.unwritten

    # ---- what happens to it ------------------------------------------------------------------------------

    def begin(self, now: Now, opening: list[Effect], created: CreateGroup | None) -> None:
        def opens() -> None:
            for effect in opening:
                self.host.emit(effect)

        if created is not None:
            self.keeper.create(created, opens)
        else:
            opens()
        self._take_turns()

    def on_event(self, now: Now, event: Any) -> None:
        self.writes.see(now)
        kind = type(event)
        if kind is Persisted:
            self.keeper.on_persisted(event.sequence)
        elif kind is RowsRead:
            self._on_rows_read(now, event)
        elif kind is Applied:
            was_opened = self.keeper.opened
            self.keeper.on_applied(event)
            if not was_opened:
                self.on_catalog()
        elif kind is Checkpointed:
            self.keeper.on_checkpointed(event)
        elif kind is ApplyFailed:
            self._on_failed(event)
        elif kind is RootRead:
            self.exchange.on_root(event)
        elif kind is TreeCompared:
            self.exchange.on_compared(event)
        elif kind is LeavesRead:
            self.exchange.on_leaves(event)
        elif kind is SchemaRead:
            self._on_schema_read(event)
        elif kind is StatementPlanned:
            self.statements.on_planned(event)
        elif kind is RowRun:
            self.writes.on_run(event)
        elif kind is RowsQueried:
            self.statements.on_queried(event)
        else:
            self.scans.on_read(event)
        self._take_turns()

    # ---- the schema --------------------------------------------------------------------------------------

    def on_catalog(self) -> None:
        """Carry out the changes of the schema that are new. Its members are those with which it began."""
        if not self.keeper.readable or self._closed:
            return
        changes = self.host.wanted_schema(self.group)
        if self._schema < 0:
            if changes:
                read(self.host, ReadSchema(self.group, self.host.me, 0))
            return
        for number, sql in changes:
            if number == self._schema + 1:
                self._schema = number
                self.keeper.change(number, sql, partial(self.statements.on_schema, number))

    def _on_schema_read(self, event: SchemaRead) -> None:
        if self._schema < 0:
            self._schema = event.serial
            self.statements.on_schema(event.serial)
            self.on_catalog()

    def _on_rows_read(self, now: Now, event: RowsRead) -> None:
        if not self.keeper.readable:
            return
        if event.to != self.host.me:
            self.host.emit(Send(event.to, RowReply(self.group, event.number, event.states[0], now.wall_us)))
        elif not self.spreading.on_read(event):
            self.gathering.on_read(event)

    def _on_failed(self, event: ApplyFailed) -> None:
        self.keeper.on_failed(event)
        if self.keeper.damaged:
            self._end("its own replica is damaged")
        else:
            self._end_statements("the node's disk has no room")

    def on_message(self, now: Now, sender: NodeId, message: Any) -> None:
        if sender not in self.others or self._closed:
            return
        self._lost.pop(sender, None)
        self.writes.see(now)
        kind = type(message)
        if kind is Store:
            self._on_store(sender, message)
        elif kind is RowAsk:
            if self.keeper.readable:
                read(self.host, ReadRows(self.group, sender, message.number, (message.key,)))
        elif kind is Stored:
            self.spreading.on_stored(sender, message)
        elif kind is RowReply:
            self.gathering.on_reply(now, sender, message)
        elif kind is Hashes:
            self.exchange.on_hashes(sender, message)
        elif kind is Rows:
            self.exchange.on_rows(sender, message)
        elif kind is Agreed:
            self.exchange.on_agreed(sender, message)
        elif kind is TablesAsk:
            self.scans.read(sender, message.number, message.tables)
        else:
            self.scans.on_reply(sender, message)
        self._take_turns()

    def _on_store(self, sender: NodeId, message: Store) -> None:
        if not self.host.disk_full and not self.damaged:
            stored = Stored(self.group, message.number)
            self.keeper.keep(message.rows, lambda: self.host.emit(Send(sender, stored)))

    def on_timer(self, now: Now, name: str) -> None:
        """Ask and send again what was not answered."""
        self.writes.see(now)
        self.keeper.try_again()
        self.gathering.on_time(now)
        self.spreading.on_time(now)
        self.scans.on_time(now)
        self.statements.on_time(now)
        self.exchange.on_time(now, self._lost)
        for node, hints in self.spreading.hints.items():
            if hints and node not in self._lost:
                self.spreading.hand_over(node, self.next_number())
        self._take_turns()

    def _take_turns(self) -> None:
        """A replica at rest, of which nobody is doubted who can be reached, has no deadline."""
        hints = [node for node, keys in self.spreading.hints.items() if keys]
        reachable = [node for node in (*self.exchange.doubted, *hints) if node not in self._lost]
        busy = self.gathering or self.spreading or self.scans or self.statements or reachable or self.keeper.blocked
        if busy and not self._closed and self.host.timer_us(self._timer) is None:
            self.host.set_timer(self._timer, self.host.now_us + self.host.settings.retry_us)

    def on_ready(self, now: Now) -> None:
        self.writes.see(now)
        self.keeper.flush()
        self._take_turns()

    def on_tick(self, now: Now, alive: dict[NodeId, bool]) -> bool:
        return False

    def is_settled(self, now: Now) -> bool:
        return True

    def on_disk_full(self, now: Now) -> None:
        """What comes is not taken: see `submit` and `_on_store`."""

    def on_disk_room(self, now: Now) -> None:
        self.keeper.try_again()

    def on_stalled(self, stall_us: int) -> None:
        """Nothing here measures the disk."""

    def distrust(self, now: Now, reason: str) -> None:
        """What it acknowledged may be missing: it answers nobody any more."""
        self.keeper.damaged = reason
        self.log_damaged = True
        self.host.emit(Condemn(self.group, reason, log=True))
        self._end(reason)

    def _end_statements(self, why: str) -> None:
        self.statements.end(why)
        self.writes.end(why)
        self.scans.end(why)

    def _end(self, why: str) -> None:
        self.gathering.end(why)
        self._end_statements(why)
        self.spreading.end()

    def drain(self, now: Now, alive: dict[NodeId, bool]) -> bool:
        return not (self.keeper.unwritten or self.gathering or self.spreading or self.statements or self.writes)

    def close(self, now: Now) -> None:
        self._closed = True
        self.host.cancel_timer(self._timer)
        self._end("the database was dropped")

    def compare(self) -> None:
        """It never leads."""

    def assert_invariants(self) -> None:
        self.keeper.assert_invariants()
        self.spreading.assert_invariants()

    # ---- its peers ---------------------------------------------------------------------------------------

    def mention_to(self, peer: NodeId) -> GroupHeartbeat | None:
        return None

    def on_mention(self, now: Now, sender: NodeId, mention: GroupHeartbeat) -> GroupHeartbeat | None:
        return None

    def on_mention_answered(self, now: Now, peer: NodeId, sequence: int, mention: GroupHeartbeat) -> bool:
        return True

    def on_resigned(self, now: Now, sender: NodeId, epoch: int) -> None:
        """Nobody leads."""

    def on_answered_until(self, now: Now, fresh: Mapping[NodeId, int]) -> None:
        """Who is silent is sent the same again."""

    def on_peer_lost(self, now: Now, peer: NodeId) -> None:
        if peer in self.others:
            self._lost[peer] = None
            self.exchange.on_lost(peer)
            self._take_turns()

    def on_peer_back(self, peer: NodeId) -> None:
        self._lost.pop(peer, None)
        self._take_turns()

    def on_peer_restarted(self, peer: NodeId) -> bool:
        self._lost.pop(peer, None)
        self._take_turns()
        return False

    # ---- callers -----------------------------------------------------------------------------------------

    def takes_writes(self) -> bool:
        return False

    def submit(self, now: Now, request: Request) -> bool:
        return self.join(now, request)

    def join(self, now: Now, request: Request) -> bool:
        self.host.reply(request.id, BY_ROW)
        return False

    def joined(self) -> None:
        """Nothing waits for its turn."""

    def submit_read(
        self, now: Now, id: int, statements: tuple[Any, ...], level: str, after: tuple[Reached, ...] = ()
    ) -> None:
        self.host.reply(id, BY_ROW)

    def submit_copy(self, now: Now, id: int, body: OpenCopy) -> None:
        self.host.reply(id, BY_ROW)

    def submit_view(self, now: Now, id: int, body: OpenView) -> None:
        self.host.reply(id, BY_ROW)

    def on_request(self, now: Now, id: int, body: Verify | Failover | LetGo | RunRow | WriteRow | ReadRow) -> None:
        """One row's write or read."""
        self.writes.see(now)
        if isinstance(body, Verify):
            hint = "its replicas compare hash trees by themselves; `quorate status` says when they last agreed"
            self.host.reply(id, Refused("NotSupportedError", "a database without a leader is not verified", hint))
            return
        if not isinstance(body, RunRow | WriteRow | ReadRow):
            self.host.reply(id, Refused("NotSupportedError", "nobody leads a database without a leader"))
            return
        options = self.host.wanted_options(self.database)
        if not isinstance(options, LeaderlessOptions) or self.damaged or self._closed or self.host.draining:
            self.host.reply(id, NotLeader(""))
            return
        try:
            quorums = self._quorums(options, body)
        except ValueError as error:
            self.host.reply(id, Refused("ProgrammingError", str(error), "name at most as many replicas as there are"))
            return
        until_us = self.host.until_us or now.mono_us + self.host.settings.answer_timeout_us
        if isinstance(body, RunRow):
            self._on_statement(id, body, quorums, until_us, blocking=options.repair == BLOCKING)
        elif isinstance(body, ReadRow):
            self.reads.submit(id, body, quorums.r, until_us, blocking=options.repair == BLOCKING)
        elif self.host.disk_full:
            self.host.reply(id, Refused("DiskFull", "the node's disk has no room", "free some space", retryable=True))
        else:
            self.writes.submit(Write(id, body, quorums.w, quorums.r, until_us))
        self._take_turns()

    def _on_statement(self, id: int, body: RunRow, quorums: Quorums, until_us: int, *, blocking: bool) -> None:
        if not self.keeper.opened:  # storage may not even know the group
            self.host.reply(id, NotLeader(""))
        elif not body.level:
            self.statements.submit(Asked(id, body, quorums, until_us, blocking))
        elif body.level != EVENTUAL or not is_read(body.statement.sql):
            hint = f"leave the level out to ask r replicas, or read at {EVENTUAL}, which asks the nearest alone"
            self.host.reply(id, Refused("NotSupportedError", f"without a leader there is no level {body.level}", hint))
        elif not self.keeper.readable:
            self.host.reply(id, NotLeader(""))
        else:
            self.host.emit(Query(self.group, id, (body.statement,), self.host.until_us))

    def _quorums(self, options: LeaderlessOptions, body: RunRow | WriteRow | ReadRow) -> Quorums:
        usual = options.quorums(len(self.members))
        if isinstance(body, RunRow):
            return Quorums(usual.n, body.w or usual.w, body.r or usual.r)
        if isinstance(body, ReadRow):
            return Quorums(usual.n, usual.w, body.r or usual.r)
        return Quorums(usual.n, body.w or usual.w, usual.r)

    # ---- what people are shown ---------------------------------------------------------------------------

    def status(self) -> GroupStatus:
        last, wanted = self.keeper.last, self.host.wanted_options(self.database)
        options = {} if wanted is None else wanted.spelt
        return GroupStatus(
            self.group, self.database, self.partition, "damaged" if self.damaged else "member", 0, 0, last, last,
            self.keeper.applied, 1, options, voters=self.members, damage=self.damaged, damaged=bool(self.damaged),
            speaks=not self.unwanted and not self.damaged, schema=max(0, self.statements.serial),
            silent=tuple(self._lost), hints=self.spreading.hinted, agreed_us=self.exchange.agreed_since(),
        )  # fmt: skip

    def lacks_room(self) -> bool:
        return self.keeper.blocked

    def keeps(self, index: int, epoch: int) -> bool:
        return True

    def unknown_losses(self) -> list[tuple[int, int, NodeId]]:
        return []
