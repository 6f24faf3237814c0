"""A grow-only set (Shapiro and others 2011, "A comprehensive study of CRDTs", G-Set) as a replication.

Every member takes writes: each value of a statement's parameters becomes an element. A caller hears "done" once that
is durable here. Members send each other what the other has not confirmed, again and again; that is all there is to
catching up, to a restart, and to the snapshot that a newcomer gets. There is no leader, no order and no data file: the
node's log keeps the elements. A read says what is here.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from quorate.core.bookmarks import Reached
from quorate.core.bounds import GroupId, NodeId
from quorate.core.calls import Request
from quorate.core.copy_requests import OpenCopy
from quorate.core.entries import DATA, CreateGroup, Entry, WriteEntries
from quorate.core.kernel import Effect, LogRead, Now, Persisted, ReadLog, Send
from quorate.core.messages import GroupHeartbeat
from quorate.core.options import DatabaseOptions
from quorate.core.promises import Explanation, Promise, Promises
from quorate.core.read_levels import EVENTUAL, STRONGEST
from quorate.core.recovered import RecoveredGroup
from quorate.core.replica import Host, Replication
from quorate.core.requests import Answer, Done, Expired, Failover, GroupStatus, NotLeader, Outcome, Refused, Run, Verify
from quorate.core.row_requests import ReadRow, RunRow, WriteRow
from quorate.core.scripts import LetGo
from quorate.core.statements import Result
from quorate.core.view_requests import OpenView
from tests.toy.messages import Elements, Kept

NAME = "grow-only-set"
SENT_AT_A_TIME = 100
ALL_BYTES = 1 << 40
_encode = msgspec.msgpack.Encoder().encode
_elements = msgspec.msgpack.Decoder(tuple[str, ...])


class Writing(Struct):
    """Elements on their way to the disk, and who waits for that."""

    sequence: int
    callers: list[int]
    senders: list[tuple[NodeId, int]]


class GrowOnlySet:
    """One member's replica."""

    damaged = ""
    log_damaged = False
    left_out = False
    leads = False
    confirming = False
    replication = NAME

    def __init__(self, host: Host, found: RecoveredGroup) -> None:
        self.host = host
        self.group: GroupId = found.group
        self.database = found.database
        self.partition = found.partition
        self.elements: dict[str, None] = {}
        self._load(found.tail)
        self.unread = found.tail[0].index - 1 if found.tail else 0
        """Older entries, up to here, are still being read."""
        self.last = found.last
        self.writing: deque[Writing] = deque()
        self.unconfirmed: dict[NodeId, dict[str, None]] = {}
        """For each other member, what it is not known to have."""
        self.sent: dict[NodeId, tuple[int, tuple[str, ...]]] = {}
        self.number = host.boot << 20
        self.timer = (found.group, "exchange")
        self._follow(found.voters)

    @property
    def others(self) -> tuple[NodeId, ...]:
        return tuple(self.unconfirmed)

    @property
    def unwanted(self) -> bool:
        wanted = self.host.wanted_members(self.group)
        return wanted is not None and self.host.me not in wanted.voters

    @property
    def unwritten(self) -> bool:
        return bool(self.writing)

    def _load(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.elements.update(dict.fromkeys(_elements.decode(entry.payload)))

    def _follow(self, members: Iterable[NodeId]) -> None:
        """These are the members; whoever is new is sent everything."""
        others = [node for node in members if node != self.host.me]
        self.unconfirmed = {node: self.unconfirmed.get(node, dict(self.elements)) for node in others}

    def _add(self, elements: Iterable[str], callers: list[int], senders: list[tuple[NodeId, int]]) -> None:
        fresh = tuple(each for each in elements if each not in self.elements)
        self.elements.update(dict.fromkeys(fresh))
        for unconfirmed in self.unconfirmed.values():
            unconfirmed.update(dict.fromkeys(fresh))
        if fresh:
            self.last += 1
            entry = Entry(self.last, 1, DATA, _encode(fresh))
            sequence = self.host.persist(self.group, (WriteEntries(self.group, (entry,)),))
            self.host.make_ready(self.group)
        elif self.writing:  # some of them may not be durable yet
            sequence = self.writing[-1].sequence
        else:
            self._confirm(Writing(0, callers, senders))
            return
        self.writing.append(Writing(sequence, callers, senders))

    def _confirm(self, written: Writing) -> None:
        for caller in written.callers:
            self.host.reply(caller, Answer(Raw(_encode(Done((Result((), [], 1),)))), self.last))
        for sender, number in written.senders:
            self.host.emit(Send(sender, Kept(self.group, number)))

    # ---- what happens to it ------------------------------------------------------------------------------

    def begin(self, now: Now, opening: list[Effect], created: CreateGroup | None) -> None:
        if created is not None:
            self.writing.append(Writing(self.host.persist(self.group, (created,)), [], []))
        if self.unread:
            self.host.emit(ReadLog(self.group, self.host.me, 1, self.unread, ALL_BYTES))
        self.on_catalog()
        self.host.set_timer(self.timer, now.mono_us)

    def on_event(self, now: Now, event: Any) -> None:
        if isinstance(event, LogRead):
            self._load(event.entries)
            self.unread = 0
            for peer in self.unconfirmed:
                self.unconfirmed[peer] = dict(self.elements)
            self.host.make_ready(self.group)
            return
        while self.writing and self.writing[0].sequence <= event.sequence:
            self._confirm(self.writing.popleft())

    def on_message(self, now: Now, sender: NodeId, message: Any) -> None:
        if isinstance(message, Elements):
            self._add(message.elements, [], [(sender, message.number)])
            for each in message.elements if sender in self.unconfirmed else ():
                self.unconfirmed[sender].pop(each, None)
        elif sender in self.sent and self.sent[sender][0] == message.number:
            for each in self.sent.pop(sender)[1]:
                self.unconfirmed.get(sender, {}).pop(each, None)
            self.host.make_ready(self.group)
            self.host.keep_busy(self.group)

    def on_timer(self, now: Now, name: str) -> None:
        """What was not confirmed since the last time is sent again."""
        self.sent.clear()
        self.on_ready(now)
        self.host.set_timer(self.timer, now.mono_us + self.host.settings.retry_us)
        self.host.keep_busy(self.group)

    def on_ready(self, now: Now) -> None:
        for peer, elements in self.unconfirmed.items():
            if elements and peer not in self.sent:
                self.number += 1
                some = tuple(elements)[:SENT_AT_A_TIME]
                self.sent[peer] = (self.number, some)
                self.host.emit(Send(peer, Elements(self.group, self.number, some)))

    def on_tick(self, now: Now, alive: dict[NodeId, bool]) -> bool:
        self.on_catalog()
        return not self.is_settled(now)

    def on_catalog(self) -> None:
        wanted = self.host.wanted_members(self.group)
        if wanted is not None:
            self._follow(wanted.voters)

    def is_settled(self, now: Now) -> bool:
        """Whether everybody has what is here: a newcomer does not count before."""
        return not (self.unread or any(self.unconfirmed.values()))

    def on_disk_full(self, now: Now) -> None:
        """What comes is not taken: see `submit`."""

    def on_disk_room(self, now: Now) -> None:
        """It is taken again."""

    def on_stalled(self, stall_us: int) -> None:
        """Nothing here measures the disk."""

    def distrust(self, now: Now, reason: str) -> None:
        """Whatever is missing comes back from the others, as for a newcomer."""

    def drain(self, now: Now, alive: dict[NodeId, bool]) -> bool:
        return not self.writing

    def close(self, now: Now) -> None:
        self.host.cancel_timer(self.timer)
        for written in self.writing:
            for caller in written.callers:
                self.host.reply(caller, NotLeader(""))

    def compare(self) -> None:
        """It never leads."""

    def assert_invariants(self) -> None:
        for elements in self.unconfirmed.values():
            assert elements.keys() <= self.elements.keys(), "others are to be sent what is not here"

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
        """The same."""

    def on_peer_back(self, peer: NodeId) -> None:
        self.sent.pop(peer, None)
        self.host.make_ready(self.group)

    def on_peer_restarted(self, peer: NodeId) -> bool:
        self.on_peer_back(peer)
        return False

    # ---- callers -----------------------------------------------------------------------------------------

    def takes_writes(self) -> bool:
        return not self.host.disk_full

    def submit(self, now: Now, request: Request) -> bool:
        if self.host.disk_full:
            self.host.reply(request.id, Refused("DiskFull", "the node's disk has no room", "free some space", True))
            return False
        return self.join(now, request)

    def join(self, now: Now, request: Request) -> bool:
        body = request.body
        if isinstance(body, Outcome):  # nothing is remembered of tokens
            self.host.reply(request.id, Answer(Raw(_encode(Expired())), self.last))
            return False
        if not isinstance(body, Run):
            self.host.reply(request.id, Refused("NotSupportedError", "a set only takes elements"))
            return False
        values = [str(value) for statement in body.statements for values in statement.sets for value in values]
        self._add(values, [request.id], [])
        return False

    def joined(self) -> None:
        """Nothing waits for its turn."""

    def submit_read(
        self, now: Now, id: int, statements: tuple[Any, ...], level: str, after: tuple[Reached, ...] = ()
    ) -> None:
        if level not in (STRONGEST, EVENTUAL):
            self.host.reply(id, Refused("NotSupportedError", f"a set has no {level} reads", "read with eventual"))
            return
        rows: list[Any] = [(each,) for each in sorted(self.elements)]
        results = tuple(Result((("element", None),), rows, -1) for _ in statements)
        self.host.reply(id, Answer(Raw(_encode(Done(results))), self.last))

    def submit_copy(self, now: Now, id: int, body: OpenCopy) -> None:
        self.host.reply(id, Refused("NotSupportedError", "a set has no file"))

    def submit_view(self, now: Now, id: int, body: OpenView) -> None:
        self.host.reply(id, Refused("NotSupportedError", "a set has no file"))

    def on_request(self, now: Now, id: int, body: Verify | Failover | LetGo | RunRow | WriteRow | ReadRow) -> None:
        self.host.reply(id, Refused("NotSupportedError", "nobody leads a set"))

    # ---- what people are shown ---------------------------------------------------------------------------

    def status(self) -> GroupStatus:
        return GroupStatus(
            self.group, self.database, self.partition, "member", 0, 0, self.last, self.last, self.last, 1, {},
            voters=(self.host.me, *self.others), speaks=not self.unwanted and not self.damaged,
        )  # fmt: skip

    def lacks_room(self) -> bool:
        return False

    def keeps(self, index: int, epoch: int) -> bool:
        return True

    def unknown_losses(self) -> list[tuple[int, int, NodeId]]:
        return []


KEPT = Promise("kept", "an element that was acknowledged is in every replica's set in the end", "set")


def explain(options: DatabaseOptions, replicas: int) -> Explanation:
    """All that there is to say about a set."""
    return Explanation(
        replication=NAME,
        options=options.spelt,
        replicas=replicas,
        away_for_writes=replicas - 1,
        away_for_reads={EVENTUAL: replicas - 1},
        disks=0,
        default_read=EVENTUAL,
        sentences=("Any node takes an element, and keeps it on its disk before it answers.",),
    )


PROMISES = Promises(
    explain, lambda _options: (KEPT,), lambda _options: frozenset({KEPT.judge}), (KEPT,), lambda: ["## Sets"]
)

GROW_ONLY_SET = Replication(
    NAME, GrowOnlySet, frozenset({Persisted, LogRead}), frozenset({Elements, Kept}), DatabaseOptions, PROMISES
)
