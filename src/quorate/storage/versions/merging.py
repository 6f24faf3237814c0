"""Merging what another replica has sent: states of rows first, then the visible rows are made to fit."""

from collections.abc import Collection

from quorate.core.versions.dots import Context, covers, includes, joined
from quorate.core.versions.encoding import calm_of, decode_row, encode_row
from quorate.core.versions.row import empty, merge
from quorate.storage.versions.base import HIDDEN, Stored
from quorate.storage.versions.delta import Stretch, TableRows
from quorate.storage.versions.states import States
from quorate.storage.versions.table import VersionedTable
from quorate.storage.versions.visible import Face, face_of


class Merging:
    """Rows of one table, of a sender that had seen this floor."""

    def __init__(self, states: States, table: VersionedTable, floor: Context) -> None:
        self._states = states
        self._base = states.base
        self._table = table
        self._floor = floor
        self._written: list[tuple[bytes, int, bytes]] = []
        self._erased: list[bytes] = []
        self._faces: dict[bytes, Face | None] = {}
        self.refused = 0
        """Rows that came from before the floor, and were not taken."""

    def run(self, sent: TableRows) -> int:
        """How many rows have changed."""
        keys = [key for key, _ in sent.rows]
        stored = {} if self._base.is_empty(self._table.number) else self._base.read(self._table.number, keys)
        for key, theirs in sent.rows:
            before = stored.get(key)
            if before is not None and before[1] == theirs:
                continue
            face = self._face_of_newer(theirs, before)
            if face is not None:
                self._written.append((key, before[0] & HIDDEN if before is not None else 0, theirs))
                self._faces[key] = face
                continue
            self._merge_row(key, theirs, before)
        return self._write()

    def _write(self) -> int:
        self._base.write(self._table.number, self._written)
        self._base.erase(self._table.number, self._erased)
        if self._faces:
            self._states.apply(self._table, self._faces, {key: flags for key, flags, _ in self._written})
        return len(self._faces)

    def forget_rest(self, stretch: Stretch, sent: Collection[bytes]) -> None:
        """Of the rows in this stretch that were not sent: what the sender's floor covers is gone there."""
        nothing = encode_row(empty())
        for key, flags, state in self._base.stretch(self._table.number, stretch.after, stretch.through):
            if key not in sent and any(covers(self._floor, (name[1], name[2])) for name in decode_row(state).entries):
                self._merge_row(key, nothing, (flags, state))
        self._write()

    def _face_of_newer(self, theirs: bytes, before: Stored | None) -> Face | None:
        """What a state shows that has seen all that is known here, and in which nothing is concurrent: it is taken as
        it is. None: it has to be merged."""
        table, calm = self._table, calm_of(theirs)
        if calm is None or calm.looks_back or len(calm.values) > len(table.columns):
            return None
        if not table.is_simple and (table.has_sets or not calm.is_inserted):
            return None
        if before is None:
            mine_floor = self._states.floor
            if mine_floor and any(covers(mine_floor, write) for write in calm.writes):
                return None
        else:
            mine = calm_of(before[1])
            if mine is None or not includes(joined(calm.context, self._floor), mine.context):
                return None
        return Face(calm.writes[calm.born], calm.values)

    def _merge_row(self, key: bytes, theirs: bytes, before: Stored | None) -> None:
        mine = empty() if before is None else decode_row(before[1])
        merged = merge(mine, decode_row(theirs), self._states.floor, self._floor)
        row = self._states.trimmed(self._table, key, merged)
        if row is None or not row.entries:
            self.refused += before is None
            if before is not None:
                self._erased.append(key)
                self._faces[key] = None
            return
        flags, state = self._states.kept(self._table, row, before)
        if before is None or state != before[1]:
            self._written.append((key, flags, state))
            self._faces[key] = face_of(self._table, row)
