"""A model replica: what `storage.data.replica.Replica` does, with dictionaries in the place of SQLite.

SQLite takes almost half of a simulated run, and most of what runs look for is in the protocols above it. So most seeds
keep their data in this model, and every fourth in SQLite (`scenarios.storage_of`). The model keeps the contract of
`Replica`: batches stack up until they are committed, remembered tokens travel with the entries, a snapshot is an image
that stands at a position. Images are padded to whole pages, so that they travel in as many chunks as SQLite's.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from quorate.core.bounds import GroupId
from quorate.core.entries import DATA, ORIGIN, Entry, Position
from quorate.core.options import LEADERLESS
from quorate.core.recovered import Identity
from quorate.core.requests import Outcome, Run, Write
from quorate.core.scripts import BeginAttempt, Script, Step
from quorate.core.statements import Statement
from quorate.core.view_requests import Piece
from quorate.lab.sim.stores.model_rows import RowsReplica
from quorate.lab.sim.stores.model_scripts import Held, goes_on, read_script, run_script
from quorate.lab.sim.stores.model_tables import Row, Segment, StatementError, Tables, run_statement
from quorate.lab.sim.stores.store import BadStore
from quorate.storage.data.data_file import with_control
from quorate.storage.data.replica import Replica
from quorate.storage.data.snapshots import MemoryShelf, check_position
from quorate.storage.data.window import Window, name_of, note_id, repeated
from quorate.storage.execution.runs import OPEN, barred, next_attempt
from quorate.storage.interface import Divergent
from quorate.storage.log.group import GroupLog
from quorate.storage.rows.payload import (
    CANCELLED,
    EXPIRED,
    Record,
    decode_records,
    encode,
    encode_done,
    encode_failed,
    encode_records,
)

PAGE_BYTES = 4096
IMAGES = 64
"""So many images are decoded once, however often data files are closed and opened again."""
REMEMBERED = 4096
"""So many entries' records are looked into once, however many replicas hold them and however often they are loaded."""


class ModelBatch(Struct, frozen=True, array_like=True):
    """What an entry carries, as `storage.rows.payload.Batch`."""

    schema: bytes
    timestamp_us: int
    segments: tuple[Segment, ...]
    records: Raw


class Image(Struct, frozen=True, array_like=True):
    """Everything that a replica holds."""

    applied: Position
    floor: int
    schema: dict[str, tuple[str, int]]
    hash: bytes
    rows: dict[str, tuple[Row, ...]]
    sequences: dict[str, int]
    records: dict[int, bytes]
    controls: tuple[Entry, ...] = ()


class Decoded(Struct, frozen=True):
    """An image, and what a replica makes of it."""

    image: Image
    tables: Tables
    window: Window
    records_hash: int


class Stacked(Struct, frozen=True):
    """A batch that was executed and is not committed."""

    tokens: tuple[str, ...]
    records: bytes
    tables: Tables


_batch = msgspec.msgpack.Decoder(ModelBatch)
_image = msgspec.msgpack.Decoder(Image)


class ModelReplica:
    """One replica. Raises Divergent where a replica in SQLite does."""

    unsynced = 0
    streams = None

    def __init__(self) -> None:
        self.applied = ORIGIN
        self.controls: tuple[Entry, ...] = ()
        self._tables = Tables()
        self._window = Window()
        self._records: dict[int, bytes] = {}
        """Index -> what the entry remembers, of those that the window still has."""
        self._records_hash = 0
        """The sum of the hashes of them all, so that a digest need not look at each again."""
        self._stack: list[Stacked] = []
        self._fresh: dict[str, bytes] = {}
        self._held: Held | None = None
        self._image: bytes | None = None
        """What `dump` gives, as long as nothing was committed since."""

    @property
    def busy(self) -> bool:
        """See `Replica.busy`."""
        return bool(self._stack) or self._held is not None

    @property
    def ticket(self) -> str:
        """See `Replica.ticket`."""
        return "" if self._held is None else self._held.ticket

    # ---- leading -----------------------------------------------------------------------------------------

    def execute(
        self, requests: Sequence[Write], timestamp_us: int = 0, *_times_us: int
    ) -> tuple[bytes | None, tuple[bytes, ...]]:
        """See `Replica.execute`."""
        if self._held is not None and not goes_on(requests, self._held):
            self.rollback()
        held, self._held = self._held, None
        before = self._stack[-1].tables if self._stack else self._tables
        tables = before.fork()
        segments: list[Segment] = []
        outcomes: list[bytes] = []
        records: list[Record] = []
        fresh: dict[str, bytes] = {}
        for request in requests:
            token = request.token
            if token is not None:
                name = name_of(token.id)
                known = fresh.get(name) or self._known(name, token.seen)
                if known is not None and known.startswith(OPEN):
                    told = barred(request, known)
                    if told is not None:
                        outcomes.append(told)
                        continue
                elif known is not None:
                    outcomes.append(repeated(token.id, known, lambda token: token in fresh or self._remembers(token)))
                    continue
            if type(request) is Run:
                tables, outcome, kept = _run(tables, request, segments)
            elif type(request) is Script:
                tables, outcome, kept, self._held = run_script(tables, request, segments, held)
                token = token if kept else None
            elif type(request) is BeginAttempt:
                outcome = kept = next_attempt(known)
            else:
                assert type(request) is Outcome, request
                outcome = kept = CANCELLED
            outcomes.append(outcome)
            if token is not None:
                fresh[name] = kept
                records.append((name, kept))
                if name is not token.id:
                    note_id(token.id, fresh, records)
        if not segments and not records:
            return None, tuple(outcomes)
        encoded = encode_records(records)
        self._stack.append(Stacked(tuple([token for token, _ in records]), encoded, tables))
        self._fresh.update(fresh)
        return encode(ModelBatch(before.hash, timestamp_us, tuple(segments), Raw(encoded))), tuple(outcomes)

    def _remembers(self, token: str) -> bool:
        return token in self._fresh or self._window.find(token) is not None

    def _known(self, token: str, seen: int) -> bytes | None:
        fresh = self._fresh.get(token)
        if fresh is not None:
            return fresh
        index = self._window.find(token)
        if index is None:
            return EXPIRED if seen < self._window.floor else None
        return next(outcome for name, outcome in reversed(decode_records(self._records[index])) if name == token)

    def commit(self, position: Position, batches: Sequence[int] = ()) -> None:
        """See `Replica.commit`."""
        batches = batches or (position.index,)
        assert self._stack, "no batch is open"
        assert len(batches) == len(self._stack), f"{len(self._stack)} batches are open, not {len(batches)}"
        assert self.applied.index < batches[0], f"{batches} do not follow {self.applied}"
        assert batches[-1] <= position.index, f"{batches} go beyond {position}"
        for index, stacked in zip(batches, self._stack, strict=True):
            self._remember(index, stacked.tokens, stacked.records)
        self._tables, self.applied, self._image = self._stack[-1].tables, position, None
        self.rollback()

    def rollback(self) -> None:
        """Undo the open batches."""
        self._stack.clear()
        self._fresh.clear()
        self._held = None

    def _remember(self, index: int, tokens: tuple[str, ...], records: bytes) -> None:
        if tokens:
            self._records[index] = records
            self._records_hash += _hash(index, records)
            floor = self._window.add(index, tokens, len(records))
            while floor is not None and (oldest := next(iter(self._records))) <= floor:
                self._records_hash -= _hash(oldest, self._records.pop(oldest))

    # ---- following ---------------------------------------------------------------------------------------

    def put_aside(self) -> None:
        """See `Replica.put_aside`: what is executed here is never in the way."""

    def apply(self, entries: Sequence[Entry], _long_us: int = 0) -> None:
        """See `Replica.apply`."""
        self.rollback()
        tables, remembered, previous = self._ahead(entries)
        for index, records in remembered:
            self._remember(index, _tokens(records), records)
        for entry in entries:
            if entry.kind != DATA:
                self.controls = with_control(self.controls, entry)
        self._tables, self.applied, self._image = tables, previous, None

    def _ahead(self, entries: Sequence[Entry]) -> tuple[Tables, list[tuple[int, bytes]], Position]:
        """What these entries lead to. Raises Divergent."""
        tables, previous = self._tables.fork(), self.applied
        remembered: list[tuple[int, bytes]] = []
        for entry in entries:
            at = Position(entry.epoch, entry.index)
            if entry.index != previous.index + 1 or entry.epoch < previous.epoch:
                raise Divergent(f"entry {at} cannot follow {previous}")
            previous = at
            if entry.kind != DATA:
                continue
            batch = _batch.decode(entry.payload)
            if batch.schema != tables.hash:
                raise Divergent(f"entry {entry.index} was made under another schema than this replica has")
            for segment in batch.segments:
                why_not = tables.apply(segment)
                if why_not:
                    raise Divergent(why_not)
            remembered.append((entry.index, bytes(batch.records)))
        return tables, remembered, previous

    # ---- reading -----------------------------------------------------------------------------------------

    def query(self, statements: Sequence[Statement], _budget_us: int | None = None) -> tuple[bytes, Position]:
        """See `Replica.query`."""
        return _read(self._tables, statements), self.applied

    def query_ahead(self, entries: Sequence[Entry], statements: Sequence[Statement]) -> bytes:
        """Run reads on the state that these entries will lead to."""
        return _read(self._ahead(entries)[0], statements)

    # ---- as a whole --------------------------------------------------------------------------------------

    def digest(self) -> str:
        """Equal for equal contents, wherever the replicas stand."""
        tables = self._tables
        rows = [(name, sorted(rows.items())) for name, rows in sorted(tables.rows.items())]
        everything = encode((tables.hash, rows, sorted(tables.sequences.items()), self._window.floor))
        state = blake2b(everything, digest_size=16)
        state.update(self._records_hash.to_bytes(16, "big"))
        return state.hexdigest()

    def examine(self) -> "ModelExamination":
        """See `Replica.examine`."""
        return ModelExamination(self.applied, self.digest())

    def view(self) -> "ModelView":
        """See `Replica.view`."""
        return ModelView(self._tables, self.applied)

    def edit(self, number: int) -> bool:
        """What `store.EDITS` do, by number; whether anything was changed."""
        tables = self._tables.fork()
        ids = sorted(number for number in tables.rows.get("marks", ()) if number > 0)
        if not ids:
            return False
        if number == 0:
            tables.change("marks", tables.rows["marks"][ids[-1]], (ids[-1], "edited"))
        elif number == 1:
            tables.change("marks", tables.rows["marks"][ids[0]], None)
        else:
            tables.change("marks", tables.rows["marks"].get(-ids[-1]), (-ids[-1], "invented"))
        self._tables, self._image = tables, None
        return bool(tables.changes)

    def dump(self) -> bytes:
        """The committed state, in whole pages, one more for each table and index."""
        if self._image is None:
            self._image = self._encoded()
        return self._image

    def _encoded(self) -> bytes:
        tables = self._tables
        rows = {name: tuple(rows.values()) for name, rows in tables.rows.items()}
        floor, controls = self._window.floor, self.controls
        image = Image(self.applied, floor, tables.schema, tables.hash, rows, tables.sequences, self._records, controls)
        encoded = encode(image)
        pages = -(-len(encoded) // PAGE_BYTES) + len(self._tables.schema)
        return len(encoded).to_bytes(4, "big") + encoded + bytes(pages * PAGE_BYTES - len(encoded) - 4)

    def load(self, image: bytes) -> None:
        """Replace everything by an image. Raises Divergent."""
        found = _decoded(image)
        self.rollback()
        self._tables, self._window = found.tables.fork(), found.window.copy()
        self._records, self._records_hash = found.image.records.copy(), found.records_hash
        self.applied, self.controls, self._image = found.image.applied, found.image.controls, image

    def close(self) -> None:
        """Nothing to close."""

    abandon = close


class ModelExamination:
    """See `storage.data.examination`."""

    def __init__(self, position: Position, digest: str) -> None:
        self.position = position
        self._digest = digest

    def run(self) -> str:
        """The digest."""
        return self._digest

    def step(self, _pieces: int) -> str:
        """All of it."""
        return self._digest

    def close(self) -> None:
        """Nothing is pinned."""


class ModelView:
    """See `storage.data.view`."""

    def __init__(self, tables: Tables, position: Position) -> None:
        self._tables = tables.fork()
        self.position = position
        self._columns: Any = ()
        self._rows: list[Any] = []

    def read(self, statement: Statement | None, bytes_max: int, _ending: object = None) -> bytes:
        """See `View.read`."""
        if statement is not None:
            try:
                result = run_statement(self._tables, statement)
            except StatementError as error:
                return encode_failed(error.at(0))
            self._columns, self._rows = result.columns, list(result.rows)
        piece: list[Any] = []
        left = bytes_max or 1 << 62
        while self._rows and left > 0:
            piece.append(self._rows.pop(0))
            left -= len(encode(piece[-1]))
        return encode(Piece(self._columns, piece, bool(self._rows)))

    def close(self) -> None:
        """Nothing is pinned."""


@lru_cache(maxsize=IMAGES)
def _decoded(image: bytes) -> Decoded:
    """What an image holds, to be copied. Raises Divergent."""
    try:
        found = _image.decode(image[4 : 4 + int.from_bytes(image[:4], "big")])
    except msgspec.MsgspecError as error:
        raise Divergent(f"the snapshot cannot be read: {error}") from error
    tables, window, records_hash = Tables(), Window(found.floor), 0
    tables.schema, tables.hash, tables.sequences = found.schema, found.hash, found.sequences
    for name, rows in found.rows.items():
        tables.rows[name] = {tables.key_of(name, row): row for row in rows}
    for index, records in found.records.items():
        window.add(index, _tokens(records), len(records))
        records_hash += _hash(index, records)
    return Decoded(found, tables, window, records_hash)


@lru_cache(maxsize=REMEMBERED)
def _tokens(records: bytes) -> tuple[str, ...]:
    return tuple([token for token, _ in decode_records(records)])


@lru_cache(maxsize=REMEMBERED)
def _hash(index: int, records: bytes) -> int:
    return int.from_bytes(blake2b(records, digest_size=8, salt=index.to_bytes(8, "big")).digest(), "big")


def _run(tables: Tables, request: Run, segments: list[Segment]) -> tuple[Tables, bytes, bytes]:
    """The tables behind this request, its outcome, and the outcome as it is remembered."""
    trial = tables.fork()
    results: list[Any] = []
    try:
        for statement in request.statements:
            results.append(run_statement(trial, statement))  # noqa: PERF401 - how many ran is needed when one fails
    except StatementError as error:
        outcome = encode_failed(error.at(len(results)))
        return tables, outcome, outcome
    segments += trial.changes
    return (trial, *encode_done(results))


def _read(tables: Tables, statements: Sequence[Statement]) -> bytes:
    first: Any = statements[0] if statements else None
    if type(first) is Step:
        return read_script(tables, cast(Sequence[Step], statements))
    results: list[Any] = []
    try:
        for statement in statements:
            results.append(run_statement(tables, statement))  # noqa: PERF401 - as above
    except StatementError as error:
        return encode_failed(error.at(len(results)))
    return encode_done(results)[0]


class ModelShelf(MemoryShelf):
    """Snapshots of model replicas."""

    def _check(self, image: bytes, position: Position) -> None:
        replica = ModelReplica()
        replica.load(image)
        check_position(cast(Replica, replica), position)

    def controls_of(self, group: GroupId, snapshot: int) -> tuple[tuple[Entry, ...], Position]:
        replica = ModelReplica()
        replica.load(self.received[group, snapshot])
        return replica.controls, replica.applied


class ModelStore(BadStore):
    """A node's store whose data files are models; its log, its faults and its crashes are those of any other."""

    def __init__(self, identity: Identity) -> None:
        super().__init__(identity)
        self.shelf = ModelShelf(identity)

    def _open_replica(self, group: GroupLog) -> Replica:
        replica = RowsReplica() if group.replication == LEADERLESS else ModelReplica()
        self._generations[group.group] = group.generation
        left = self._survivors.get(group.group)
        if left is not None and left[0] == group.generation:
            replica.load(left[1])
        return cast(Replica, replica)

    def _edit(self, replica: Replica, number: int) -> bool:
        return cast(ModelReplica, replica).edit(number)
