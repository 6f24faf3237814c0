"""The states of rows on one replica: what is kept of them, what is shown of them, and what the floor lets go."""

from collections.abc import Callable, Mapping

import apsw

from quorate.core.versions.conflicts import records
from quorate.core.versions.dots import Context, Dot, includes, joined
from quorate.core.versions.encoding import decode_row, encode_row, looks_back
from quorate.core.versions.row import Row, deaths_of, is_live, trimmed
from quorate.storage.versions.base import BROKEN, DEAD, HIDDEN, LISTED, Base, Stored
from quorate.storage.versions.listing import told
from quorate.storage.versions.local import Change, stamped
from quorate.storage.versions.table import VersionedTable
from quorate.storage.versions.visible import Face, Visible, face_of

LATER = 16
"""A flag: the floor will shorten the row's context."""
_ANY = DEAD | LISTED | LATER


class States:
    """On one writing connection, in the transaction that is open."""

    def __init__(self, connection: apsw.Connection, base: Base) -> None:
        self.base = base
        self.visible = Visible(connection, base)
        self.floor: Context = {}

    def store(self, table: VersionedTable, dot: Dot, changes: dict[bytes, Change]) -> list[tuple[bytes, bytes]]:
        """Local changes, which are visible already, get their versions."""
        keys = list(changes)
        stored = {} if self.base.is_empty(table.number) else self.base.read(table.number, keys)
        written: list[tuple[bytes, int, bytes]] = []
        differ: dict[bytes, bytes] = {}
        for key, change in changes.items():
            before = stored.get(key)
            after = stamped(table, dot, change, before, self.floor)
            if isinstance(after, Row):
                flags, state = self.kept(table, self.trimmed(table, key, after) or after, before)
            else:
                state = after[0]
                flags = (before[0] & HIDDEN if before is not None else 0) | (LATER if after[1] else 0)
            written.append((key, flags, state))
            if table.slots or table.has_sets:
                differ[key] = state
        self.base.write(table.number, written)
        if differ:
            faces = {key: face_of(table, state) for key, state in differ.items()}
            flagged = {key: flags for key, flags, _ in written}
            if table.has_sets:  # what is shown is not as it was written
                self.apply(table, faces, flagged)
            else:
                self._update(self.visible.follow, table, faces, flagged)
        return [(key, state) for key, _, state in written]

    def kept(self, table: VersionedTable, after: Row, before: Stored | None) -> tuple[int, bytes]:
        """The flags and the bytes of a state that is there to stay."""
        kept = before[0] & HIDDEN if before is not None else 0
        if not is_live(after):
            kept |= DEAD
        if deaths_of(after) or records(after, table.spec):
            kept |= LISTED
        return kept | (LATER if looks_back(after) else 0), encode_row(after)

    def trimmed(self, table: VersionedTable, key: bytes, row: Row) -> Row | None:
        """The row without what the floor has settled; the conflicts that are final so are kept elsewhere."""
        listed = records(row, table.spec)
        left = trimmed(row, table.spec, self.floor)
        if listed:
            still = {each.loser for each in records(left, table.spec)} if left is not None else set()
            for each in listed:
                if each.is_discard and each.loser not in still:
                    self.base.discard(table.number, key, *each.loser, told(each))
        return left

    def apply(self, table: VersionedTable, faces: dict[bytes, Face | None], flags: dict[bytes, int]) -> None:
        """Make the visible rows fit. `faces`: the rows that have changed."""
        self._update(self.visible.show, table, faces, flags)

    def _update(
        self,
        how: Callable[[VersionedTable, dict[bytes, Face | None], dict[bytes, int]], None],
        table: VersionedTable,
        faces: dict[bytes, Face | None],
        flags: dict[bytes, int],
    ) -> None:
        before = dict(flags)
        how(table, faces, flags)
        for key, kept in flags.items():
            if before.get(key) != kept:
                self.base.flag(table.number, key, kept)

    # ------------------------------------------------------------------ the floor

    def advance(self, floor: Context, tables: Mapping[str, VersionedTable]) -> None:
        """All members have seen this."""
        if includes(self.floor, floor):
            return
        self.floor = joined(self.floor, floor)
        self.base.remember("floor", dict(self.floor))
        for table in tables.values():
            for key, flags, state in self.base.flagged(table.number, _ANY):
                row = self.trimmed(table, key, decode_row(state))
                if row is None or not row.entries:
                    self.base.erase(table.number, [key])
                else:
                    kept, left = self.kept(table, row, (flags, state))
                    self.base.write(table.number, [(key, kept | flags & BROKEN, left)])
