"""Members of one database without a leader in one hand: messages wait until the test delivers them, disks until it says
so. What each does is written down in lines to read."""

from collections import deque
from random import Random
from typing import Any

import msgspec

from quorate.core.calls import Reply, Tell
from quorate.core.entries import ORIGIN, CreateGroup, Position, WriteEntries
from quorate.core.kernel import Applied, Apply, ApplyFailed, Now, OpenReplica, Persisted, Send
from quorate.core.leaderless.messages import Hashes, RowReply, Rows, Store
from quorate.core.leaderless.options import LeaderlessOptions
from quorate.core.leaderless.replica import Leaderless
from quorate.core.options import LEADERLESS
from quorate.core.recovered import RecoveredGroup
from quorate.core.requests import Answer, Refused, Unsure, WriteOutcome
from quorate.core.row_effects import CompareTree, ReadLeaves, ReadRoot, ReadRows
from quorate.core.row_requests import UPSERT, Minted, ReadRow, WriteRow
from quorate.core.settings import Settings
from quorate.core.versions.encoding import decode_row
from quorate.core.versions.resolvers import Resolver, Spec
from quorate.core.versions.row import is_live, shown
from quorate.lab.sim.stores.model_rows import RowsReplica

TABLES = {"t": Spec((Resolver.LAST_WRITE_WINS, Resolver.LAST_WRITE_WINS)), "n": Spec((Resolver.COUNTER,))}
GROUP = 7
RETRY_US = 200_000
_outcome = msgspec.msgpack.Decoder(WriteOutcome)


def value(state: bytes) -> str:
    """A row's state as its first column shows it."""
    if not state:
        return "nothing"
    row = decode_row(state)
    spec = TABLES["n" if len({name[0] for name in row.entries if name[0] >= 0}) == 1 else "t"]
    return str(shown(row, spec)[0]) if is_live(row) else "deleted"


class Member:
    """One node, as its replica sees it (`core.replica.Host`), and its disk."""

    def __init__(self, cluster: "Cluster", number: int) -> None:
        self.cluster, self.me, self.boot = cluster, number, 1
        self.settings = Settings(retry_us=RETRY_US)
        self.rng = Random(number)
        self.disk_full = self.draining = False
        self.until_us = 0
        self.now_us = 0
        self.wall_ahead_us = 0
        self.data = RowsReplica()
        self.log: list[Any] = []
        self.writing: deque[Any] = deque()
        self.syncs = True
        self.data_full = False
        """There is no room for the data file, and some for the log."""
        self.timers: dict[Any, int] = {}
        self.ready = False
        self.begin()

    def begin(self) -> None:
        """A life begins with what the disk holds."""
        found = RecoveredGroup(
            GROUP, "carts", 0, LEADERLESS, self.cluster.numbers, 0, 0, ORIGIN, (), len(self.log), (), self.data.applied
        )
        self.writing.clear()
        self.timers.clear()
        self.replica = Leaderless(self, found, TABLES)  # type: ignore[arg-type]
        created = None if self.boot > 1 else CreateGroup(GROUP, "carts", 0, LEADERLESS, self.cluster.numbers)
        self.replica.begin(self.now, [OpenReplica(GROUP)], created)

    def crash(self) -> None:
        """What was not synced is gone. Its peers hear nothing of it."""
        self.boot += 1
        self.rng = Random(100 * self.boot + self.me)
        self.begin()

    @property
    def now(self) -> Now:
        self.now_us = self.cluster.now_us
        return Now(self.now_us, 1_700_000_000_000_000 + self.now_us + self.wall_ahead_us)

    # ---- what a replica asks of its node -----------------------------------------------------------------

    def emit(self, effect: Any) -> None:
        kind = type(effect)
        if kind is Send:
            self.cluster.say(f"{self.me} -> {effect.to}", _said(effect.message))
            self.cluster.messages.append((self.me, effect.to, effect.message))
        elif kind is Tell:
            assert isinstance(effect.body, Minted)
            self.cluster.minted[effect.id] = effect.body
            self.cluster.say(f"{self.me}", f"Tell {effect.id}: {value(effect.body.state)} has a version")
        elif kind is Reply:
            self.reply(effect.id, effect.body)
        else:
            self.cluster.events.append((self, self._perform(effect)))

    def _perform(self, effect: Any) -> Any:
        if isinstance(effect, OpenReplica):
            return Applied(GROUP, self.data.applied)
        if isinstance(effect, Apply) and self.data_full:
            return ApplyFailed(GROUP, full=True, reason="no room")
        if isinstance(effect, Apply):
            entries = [entry for entry in self.log if self.data.applied.index < entry.index <= effect.through.index]
            self.data.apply(entries)
            return Applied(GROUP, Position(1, effect.through.index))
        reads: dict[type, Any] = {
            ReadRows: self.data.read_rows, ReadRoot: self.data.read_root, CompareTree: self.data.compare,
            ReadLeaves: self.data.read_leaves,
        }  # fmt: skip
        return reads[type(effect)](effect)

    def persist(self, _group: int, writes: tuple[Any, ...]) -> int:
        self.cluster.sequence += 1
        self.writing.append((self.cluster.sequence, writes))
        return self.cluster.sequence

    def sync(self) -> bool:
        """The disk has all that it was given."""
        if not self.writing:
            return False
        sequence, writes = self.writing.popleft()
        for write in writes:
            if isinstance(write, WriteEntries):
                self.log += write.entries
        self.replica.on_event(self.now, Persisted(sequence))
        return True

    def reply(self, id: int, body: Any) -> None:
        if isinstance(body, Answer):
            outcome = _outcome.decode(body.outcome)
            text = msgspec.json.encode(outcome).decode()
            results = getattr(outcome, "results", None)
            if results is not None:
                changed, rows = results[0].rowcount, results[0].rows
                text = f"{changed} changed" if changed >= 0 else f"rows {[row[0] for row in rows]}"
            self.cluster.answers[id] = outcome
        else:
            text = "maybe" if isinstance(body, Unsure) else body.message if isinstance(body, Refused) else str(body)
            self.cluster.answers[id] = body
        self.cluster.say(f"{self.me}", f"Reply {id}: {text}")

    def make_ready(self, _group: int) -> None:
        self.ready = True

    def timer_us(self, name: Any) -> int | None:
        return self.timers.get(name)

    def set_timer(self, name: Any, at_us: int) -> None:
        self.timers[name] = at_us

    def cancel_timer(self, name: Any) -> None:
        self.timers.pop(name, None)

    def wanted_options(self, _database: str) -> LeaderlessOptions:
        return self.cluster.options

    def wanted_schema(self, _group: int) -> tuple[Any, ...]:
        return ()

    def wanted_members(self, _group: int) -> None:
        return None

    def name_of(self, node: int) -> str:
        return f"n{node}"


def _said(message: Any) -> str:
    kind = type(message).__name__
    if isinstance(message, Store):
        return f"{kind} {' '.join(value(state) for _, _, state in message.rows)}"
    if isinstance(message, RowReply):
        return f"{kind} {value(message.state)}"
    if isinstance(message, Hashes):
        return f"{kind} of level {message.level}, {len(message.nodes)}"
    if isinstance(message, Rows):
        return f"{kind} {' '.join(value(state) for _, _, state in message.rows) or 'none'}"
    return kind


class Cluster:
    """So many members, opened, and with nothing left to say."""

    def __init__(self, size: int = 3, **options: str) -> None:
        self.numbers = tuple(range(1, size + 1))
        self.options = LeaderlessOptions(**options)
        self.now_us = 1_000_000
        self.sequence = 0
        self.messages: deque[tuple[int, int, Any]] = deque()
        self.events: deque[tuple[Member, Any]] = deque()
        self.lines: list[str] = []
        self.answers: dict[int, Any] = {}
        self.minted: dict[int, Minted] = {}
        self.cut: set[int] = set()
        """Members whose messages are lost, both ways."""
        self.members: dict[int, Member] = {}
        for number in self.numbers:
            self.members[number] = Member(self, number)
        self._asked = 0
        self.deliver()
        self.wait()
        self.lines.clear()

    def __getitem__(self, number: int) -> Member:
        return self.members[number]

    def say(self, who: str, text: str) -> None:
        self.lines.append(f"{who:<7}{text}")

    def take_lines(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines

    # ---- moving ------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """All that needs neither a message nor time."""
        moved = True
        while moved:
            moved = False
            while self.events:
                member, event = self.events.popleft()
                member.replica.on_event(member.now, event)
                moved = True
            for member in self.members.values():
                if member.ready:
                    member.ready, moved = False, True
                    member.replica.on_ready(member.now)
                while member.syncs and member.sync():
                    moved = True

    def deliver(self, *only: tuple[int, int]) -> None:
        """Every message, and what follows from it; or those of these links alone, once."""
        self.settle()
        waiting, rest = deque(self.messages), deque[tuple[int, int, Any]]()
        self.messages.clear()
        while waiting:
            sender, to, message = waiting.popleft()
            if {sender, to} & self.cut:
                continue
            if only and (sender, to) not in only:
                rest.append((sender, to, message))
                continue
            member = self.members[to]
            member.replica.on_message(member.now, sender, message)
            self.settle()
            if not only:
                waiting += self.messages
                self.messages.clear()
        self.messages = rest + self.messages

    def wait(self, turns: int = 1) -> None:
        """Timers end, so often, and everything is delivered."""
        for _ in range(turns):
            self.now_us += RETRY_US
            for member in self.members.values():
                due = [name for name, at_us in member.timers.items() if at_us <= self.now_us]
                for name in due:
                    del member.timers[name]
                    member.replica.on_timer(member.now, name[1])
            self.deliver()

    # ---- asking ------------------------------------------------------------------------------------------

    def ask(self, node: int, body: WriteRow | ReadRow) -> int:
        """A caller's request, under a number."""
        self._asked += 1
        member = self.members[node]
        member.replica.on_request(member.now, self._asked, body)
        self.settle()
        return self._asked

    def write(self, node: int, text: Any, *, column: int = 0, change: str = UPSERT, w: int = 0) -> int:
        values = () if change == "delete" else ((column, text),)
        return self.ask(node, WriteRow("carts", "t", b"k", change, values, w))

    def read(self, node: int, r: int = 0) -> int:
        return self.ask(node, ReadRow("carts", "t", b"k", r))

    def shown(self, number: int) -> list[Any]:
        """The rows of a read that was answered."""
        return [row[0] for row in self.answers[number].results[0].rows]

    def held(self) -> list[str]:
        """What each member's data file shows of the row."""
        return [value(member.data.rows.get(("t", b"k"), b"")) for member in self.members.values()]
