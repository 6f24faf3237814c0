"""Nodes that each lead a group of one database: the harness with what a versioned data file would do."""

from collections.abc import Callable, Iterable
from random import Random

import msgspec

from quorate.core import kernel
from quorate.core.catalog import Catalog, DatabaseRow, PartitionRow
from quorate.core.entries import DATA, FOREIGN, ORIGIN, Entry, Position, WriteEntries
from quorate.core.executing import Execute, Executed
from quorate.core.multi_leader.replica import MultiLeaderReplica
from quorate.core.options import MULTI_LEADER, MultiLeaderOptions
from quorate.core.requests import Done, Run
from quorate.core.statements import Failed, Statement, Token
from quorate.core.streams import Cursor, Merge, ReadWhole, Streams, WholeRead, decode_merge, encode_merge
from quorate.core.versions.dots import flat, joined, unflat
from tests.core.harness import Cluster, Machine

_encode = msgspec.msgpack.Encoder().encode
CHANGE = "INSERT INTO t VALUES (1)"


class Sibling(Machine):
    """Of each group it holds the tokens that were merged, in order."""

    def chance(self) -> Random:
        return Random(f"{self.number}/{self.boot}/{self.cluster.now_us}")  # a folder that is put back has the same boot

    refuses: int = 0
    """So many merges fail."""

    def _execute(self, effect: Execute) -> Iterable[kernel.Event]:
        merge = effect.requests[0]
        if type(merge) is not Merge:
            return super()._execute(effect)
        assert len(effect.requests) == 1, "a merge is alone in its batch"
        if self.refuses:
            self.refuses -= 1
            return (Executed(effect.group, effect.batch, None, (_encode(Failed("OperationalError", "not yet")),)),)
        return (Executed(effect.group, effect.batch, encode_merge(merge), (_encode(Done(())),)),)

    def _apply(self, effect: kernel.Apply) -> Iterable[kernel.Event]:
        rows = self.data[effect.group]
        for entry in effect.entries:
            here = Position(entry.epoch, entry.index)
            if entry.index > (rows[-1][0].index if rows else 0):
                rows.extend((here, token) for token in tokens_of(entry.kind, entry.payload))
        return (kernel.Applied(effect.group, effect.through, streams=self.streams(effect.group)),)

    def _open(self, effect: kernel.OpenReplica) -> Iterable[kernel.Event]:
        (applied,) = super()._open(effect)
        assert isinstance(applied, kernel.Applied)
        return (msgspec.structs.replace(applied, streams=self.streams(effect.group)),)

    def streams(self, group: int) -> Streams:
        """An origin is a group, and a stamp the index of its entry."""
        cursors, rows = self.cursors(group), self.data.get(group, [])
        through = rows[-1][0].index if rows else 0
        own = [0, *[each.index for each in self.log(group) if each.kind == DATA and each.index <= through]]
        seen = {each.group: each.merged.index for each in cursors} | {group: own[-1]}
        floors = [unflat(merge.floor) for merge in self.merges(group, through)]
        return Streams(cursors, flat(joined(seen)), flat(joined(*floors)))

    def cursors(self, group: int) -> tuple[Cursor, ...]:
        """What the data file says of the siblings."""
        rows = self.data.get(group, [])
        applied = rows[-1][0].index if rows else 0
        found: dict[int, Cursor] = {}
        for merge in self.merges(group, applied):
            moved = [
                (merge.origin, merge.merged, ORIGIN),
                (merge.upstream, ORIGIN, merge.read),
                *[(each.group, each.merged, each.read) for each in merge.whole or ()],
            ]
            for sibling, merged, read in moved if merge.whole is None or merge.whole else ():
                if sibling == group and not merge.whole:
                    continue
                known = found.get(sibling) or Cursor(sibling, ORIGIN, ORIGIN)
                found[sibling] = Cursor(sibling, max(known.merged, merged), max(known.read, read))
        return tuple(found.values())

    def merges(self, group: int, through: int = 1 << 40) -> list[Merge]:
        """Those in its log."""
        return [
            decode_merge(each.payload) for each in self.log(group) if each.kind == FOREIGN and each.index <= through
        ]

    def log(self, group: int) -> list[Entry]:
        """What is on its disk."""
        log: dict[int, Entry] = {}
        for write in self.disk.writes:
            if isinstance(write, WriteEntries) and write.group == group:
                log.update({entry.index: entry for entry in write.entries})
        return [entry for _, entry in sorted(log.items())]

    def _read_whole(self, effect: ReadWhole) -> Iterable[kernel.Event]:
        """A part for each token, and one with none."""
        rows = self.data[effect.group]
        here = rows[-1][0] if rows else ORIGIN
        tokens = dict.fromkeys(token for _, token in rows if token)
        parts = [*[_encode([token]) for token in tokens], _encode([])]
        cursors = (Cursor(effect.group, here, here), *self.cursors(effect.group))
        yield WholeRead(effect.group, effect.id, here, tuple(parts), cursors)

    PERFORM = Machine.PERFORM | {
        ReadWhole: _read_whole,
        Execute: _execute,
        kernel.Apply: _apply,
        kernel.OpenReplica: _open,
    }


def tokens_of(kind: int, payload: bytes) -> list[str]:
    """Who wrote, in an entry."""
    if kind == DATA:
        return list(msgspec.msgpack.decode(payload))
    if kind == FOREIGN:
        return [token for each in decode_merge(payload).payloads for token in msgspec.msgpack.decode(each)] or [""]
    return [""]


class Siblings(Cluster):
    """Each node, or so many of them as lead, has a group of its own: 1, 2, ..."""

    machine = Sibling
    machines: dict[int, Sibling]  # type: ignore[assignment]

    def __init__(self, size: int = 3, topology: str = "all", leaders: str = "all", forget_after: str = "10d") -> None:
        self.options = MultiLeaderOptions(topology=topology, leaders=leaders, forget_after=forget_after)
        super().__init__(size)

    def catalog(self) -> Catalog:
        one = super().catalog()
        groups = self.options.placed([member.node for member in self.members])
        rows = tuple(PartitionRow(at, "main", 0, tuple(nodes), (), at) for at, nodes in enumerate(groups, 1))
        row = DatabaseRow("main", MULTI_LEADER, self.options.encode())
        return msgspec.structs.replace(one, databases=(row,), partitions=rows)

    def group(self, number: int) -> MultiLeaderReplica:
        """As its leader has it."""
        return self.leader(number).node.groups[number]  # type: ignore[return-value]

    def leader(self, group: int = 1) -> Sibling:
        leader = super().leader(group)
        assert isinstance(leader, Sibling)
        return leader

    def write(self, group: int, token: str, sql: str = CHANGE) -> tuple[int, int]:
        return self.request(self.leader(group), Run("main", (Statement(sql),), token=Token(token, 0, group)))

    def has(self, group: int) -> list[str]:
        """The tokens at this group's leader, in the order in which they came there."""
        return self.tokens(self.leader(group).number, group)

    def floor(self, group: int) -> dict[int, int]:
        """What its data file has settled: the index of a write, by its group."""
        return unflat(self.group(group).stability.data.floor)

    def seen(self, group: int) -> dict[int, int]:
        """What its data file has merged."""
        return unflat(self.group(group).stability.data.seen)

    def settled(self) -> bool:
        """All leaders have settled all that there is."""
        groups = range(1, len(self.options.placed(range(len(self.members)))) + 1)
        return all(self.floor(each) == self.seen(1) and self.seen(each) == self.seen(1) for each in groups)

    def run_until(self, reached: Callable[[], bool], seconds: float = 30) -> None:
        end = self.now_us + int(seconds * 1e6)
        self.deliver()
        while not reached():
            assert self.now_us < end, "it took too long"
            self.now_us += 10_000
            self.deliver()
