"""The visible rows as a function of the base store.

A row is shown if it is live, and no row that is shown holds a unique value of it (`core/versions/claims.py`). When
rows change, all rows are looked at that claim a value with one of them, and those that share a value with these.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import apsw
from msgspec import Struct

from quorate.core.versions.claims import Claim, Value, lost
from quorate.core.versions.dots import Dot
from quorate.core.versions.encoding import calm_of, decode_row
from quorate.core.versions.row import MISSING, Row, lives_of, shown
from quorate.sql.tokens import quoted
from quorate.storage.data.connection import INTERNAL
from quorate.storage.rows.application import execute_row
from quorate.storage.rows.payload import decode_row as decode_values
from quorate.storage.versions.base import BROKEN, HIDDEN, Base, in_parts, marks
from quorate.storage.versions.derived import Indexes
from quorate.storage.versions.table import VersionedTable, encode_key


class Face(Struct):
    """What a live row shows."""

    born: Dot
    cells: Sequence[Any]
    """By number; MISSING, or not there: the column's default."""


def face_of(table: VersionedTable, state: bytes | Row) -> Face | None:
    """What a row shows; None: it is deleted."""
    if isinstance(state, bytes):
        calm = calm_of(state)
        if calm is not None and (table.is_simple or (calm.is_inserted and not table.has_sets)):
            return Face(calm.writes[calm.born], calm.values)
        state = decode_row(state)
    lives = lives_of(state)
    return Face(min(lives), shown(state, table.spec)) if lives else None


class Visible:
    """The user's tables on one writing connection, in FOLLOW mode."""

    def __init__(self, connection: apsw.Connection, base: Base) -> None:
        self._connection = connection
        self._base = base
        self.indexes = Indexes(connection, ())

    def show(self, table: VersionedTable, faces: dict[bytes, Face | None], flags: dict[bytes, int]) -> None:
        """Make the visible rows fit. `faces`: the rows that have changed; `flags`: what is known of each of them, which
        is brought up to date."""
        hides = table.slots or any(kept & HIDDEN for kept in flags.values())  # an index may have been dropped
        hidden = self._hide(table, faces, flags)[0] if hides else frozenset()
        gone = [key for key, face in faces.items() if face is None or table.slots]
        self._replace(table, gone, [(key, face) for key, face in faces.items() if face and key not in hidden], flags)

    def follow(self, table: VersionedTable, faces: dict[bytes, Face | None], flags: dict[bytes, int]) -> None:
        """The same for rows that are shown already, because a local transaction wrote them: others may have to come."""
        if not table.slots or not self._base.hidden(table.number):
            return
        hidden, moved = self._hide(table, faces, flags, frozenset(faces))
        coming = [(key, face) for key, face in faces.items() if face and key in moved and key not in hidden]
        self._replace(table, sorted(moved), coming, flags)

    def _replace(
        self,
        table: VersionedTable,
        gone: Sequence[bytes],
        coming: list[tuple[bytes, Face]],
        flags: dict[bytes, int],
    ) -> None:
        touched = sorted({*gone, *[key for key, _ in coming]}) if self.indexes.of(table) else []
        self.indexes.take_out(table, touched)
        if gone:
            self._connection.executemany(table.delete, [decode_values(key) for key in gone], prepare_flags=INTERNAL)
        if table.may_break_check:
            self._insert_checked(table, coming, flags)
        else:
            self._insert(table, coming)
        self.indexes.put_in(table, touched)

    def _insert(self, table: VersionedTable, coming: list[tuple[bytes, Face]]) -> None:
        width = len(table.columns)
        whole = table.visible == tuple(range(width))
        rows: list[Sequence[Any]] = []
        for key, face in coming:
            if whole and len(face.cells) == width and MISSING not in face.cells:
                rows.append((*decode_values(key), *face.cells))
            else:
                self._insert_one(table, key, face)
        try:
            self._connection.executemany(table.upsert, rows, prepare_flags=INTERNAL)
        except TypeError:  # text that is not UTF-8
            for row in rows:
                execute_row(self._connection, table.upsert, row)

    def _insert_one(self, table: VersionedTable, key: bytes, face: Face) -> None:
        columns = tuple([at for at in table.visible if at < len(face.cells) and face.cells[at] is not MISSING])
        values = (*decode_values(key), *[face.cells[at] for at in columns])
        execute_row(self._connection, table.upsert_of(columns), values)

    def _insert_checked(self, table: VersionedTable, coming: list[tuple[bytes, Face]], flags: dict[bytes, int]) -> None:
        """Rows that may have been put together from two: those that break a CHECK are shown, and listed."""
        for key, face in coming:
            broken = False
            self._check(1)
            try:
                self._insert_one(table, key, face)
            except apsw.ConstraintError:
                broken = True
            self._check(0)
            if broken:
                self._insert_one(table, key, face)
            flags[key] = flags.get(key, 0) & ~BROKEN | (BROKEN if broken else 0)

    def _check(self, enabled: int) -> None:
        self._connection.execute(f"PRAGMA ignore_check_constraints={1 - enabled}", prepare_flags=INTERNAL)

    # ------------------------------------------------------------------ unique values

    def _hide(
        self,
        table: VersionedTable,
        faces: dict[bytes, Face | None],
        flags: dict[bytes, int],
        written: frozenset[bytes] = frozenset(),
    ) -> tuple[frozenset[bytes], frozenset[bytes]]:
        """The rows that are hidden now, and those of which this has changed: what was `written` here was shown. Rows
        that did not change by themselves are added to `faces` and `flags`."""
        claims = self._neighbourhood(table, faces, flags)
        against = lost(claims.values())
        moved: set[bytes] = set()
        for key in faces:
            was, hidden = flags.get(key, 0) & HIDDEN, key in against
            if hidden != bool(was) or (hidden and key in written):
                moved.add(key)
            kept = flags.get(key, 0) & ~HIDDEN
            flags[key] = kept & ~BROKEN | HIDDEN if hidden else kept
        return frozenset(against), frozenset(moved)

    def _neighbourhood(
        self, table: VersionedTable, faces: dict[bytes, Face | None], flags: dict[bytes, int]
    ) -> dict[bytes, Claim]:
        """The claims of the rows that have changed, of all that share a value with one of these, and of all rows that
        are hidden: what they lost against may have gone."""
        claims: dict[bytes, Claim] = {}
        asked: set[Value] = set()
        wanted: set[Value] = set()
        news = {key: face for key, face in faces.items() if face is not None}
        found = set(self._base.hidden(table.number)) - faces.keys()
        while news or found:
            for key, (kept, state) in self._base.read(table.number, sorted(found)).items():
                face = face_of(table, state)
                assert face is not None, "a deleted row claims a value"
                news[key] = faces[key] = face
                flags[key] = kept
            for key, face in news.items():
                claims[key] = Claim(key, face.born, table.claims_of(key, face.cells))
                wanted.update(claims[key].values)
            wanted -= asked
            asked |= wanted
            found = self._holders(table, sorted(wanted)) - faces.keys()
            news = {}
        return claims

    def _holders(self, table: VersionedTable, values: Sequence[Value]) -> set[bytes]:
        """The rows that show one of these values."""
        found: set[bytes] = set()
        names = ", ".join([quoted(name) for name in table.key_names])
        for slot in table.slots:
            mine = [value for number, value in values if number == slot.number]
            for some in in_parts(mine):
                one = f"({marks(slot.columns)})"
                terms = f"({slot.terms})" if len(slot.columns) > 1 else slot.terms
                listed = f"VALUES {', '.join([one] * len(some))}" if len(slot.columns) > 1 else marks(some)
                sql = f"SELECT {names} FROM main.{quoted(table.name)} WHERE {terms} IN ({listed})"  # noqa: S608
                bindings = [each for value in some for each in decode_values(value)]
                rows: Iterable[Any] = execute_row(self._connection, sql, bindings)
                found.update([encode_key(row) for row in rows])
        return found
