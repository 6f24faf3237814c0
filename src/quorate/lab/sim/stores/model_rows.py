"""A model replica of a database without a leader: versioned rows by their keys, and the hash tree over them."""

from collections.abc import Sequence

import msgspec

from quorate.core.entries import ORIGIN, Entry, Position
from quorate.core.row_effects import RowKey, RowState, decode_rows
from quorate.core.versions.comparing import KeyedRows
from quorate.core.versions.encoding import decode_row, encode_row
from quorate.core.versions.merkle import Tree, hash_of, leaf_of
from quorate.core.versions.row import merge
from quorate.storage.interface import Divergent

_image = msgspec.msgpack.Decoder(tuple[Position, tuple[RowState, ...]])


class RowsReplica(KeyedRows):
    """What `model.ModelReplica` is for databases with a leader."""

    unsynced = 0
    busy = False
    ticket = ""
    streams = None
    controls: tuple[Entry, ...] = ()

    def __init__(self) -> None:
        self.applied = ORIGIN
        self.rows: dict[RowKey, bytes] = {}
        self.tree = Tree()
        self._leaves: dict[int, dict[RowKey, None]] = {}

    def put_aside(self) -> None:
        """Nothing is ever executed here."""

    rollback = close = abandon = put_aside

    # ---- the log -----------------------------------------------------------------------------------------

    def apply(self, entries: Sequence[Entry], _long_us: int = 0) -> None:
        """Merge what these carry. Raises Divergent."""
        for entry in entries:
            if entry.index != self.applied.index + 1:
                raise Divergent(f"entry {entry.index} cannot follow {self.applied}")
            for table, key, state in decode_rows(entry.payload):
                self._merge((table, key), state)
            self.applied = Position(entry.epoch, entry.index)

    def _merge(self, key: RowKey, state: bytes) -> None:
        before = self.rows.get(key, b"")
        if before == state:
            return
        after = encode_row(merge(decode_row(before), decode_row(state))) if before else state
        self.rows[key] = after
        leaf = leaf_of(*key)
        self._leaves.setdefault(leaf, {})[key] = None
        self.tree.change(leaf, hash_of(*key, before), hash_of(*key, after))

    # ---- reading -----------------------------------------------------------------------------------------

    def state_of(self, key: RowKey) -> bytes:
        return self.rows.get(key, b"")

    def rows_of(self, leaf: int) -> list[RowState]:
        return [(*key, self.rows[key]) for key in sorted(self._leaves.get(leaf, ()))]

    def hashes(self, level: int, nodes: Sequence[int]) -> tuple[int, ...]:
        return self.tree.hashes(level, nodes)

    # ---- as a whole --------------------------------------------------------------------------------------

    def digest(self) -> str:
        """Equal for equal contents."""
        return f"{self.tree.root:016x}"

    def dump(self) -> bytes:
        """All of it."""
        return msgspec.msgpack.encode((self.applied, tuple([(*key, state) for key, state in self.rows.items()])))

    def load(self, image: bytes) -> None:
        """Replace everything by an image."""
        self.applied, rows = _image.decode(image)
        for table, key, state in rows:
            self._merge((table, key), state)
