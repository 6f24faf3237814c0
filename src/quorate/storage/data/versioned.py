"""A writer of a database with several leaders: it merges what siblings sent, and remembers how far their logs are
merged, in the same transactions as everything else."""

from collections.abc import Callable, Sequence
from typing import Any

import apsw
import msgspec

from quorate.core.entries import FOREIGN, Entry, Position
from quorate.core.requests import Write
from quorate.core.statements import Failed
from quorate.core.streams import Merge, decode_merge, encode_merge
from quorate.storage.data.connection import LEAD, set_mode
from quorate.storage.data.holding import HoldingWriter
from quorate.storage.data.schema import SchemaFacts
from quorate.storage.data.writer import HELD_DONE, RUNNING, Stacked, storage_errors
from quorate.storage.failures import NoFunctionError, RefusedError, raise_if_fatal
from quorate.storage.interface import Divergent, Lacking, StorageError
from quorate.storage.rows.payload import Batch, Record, encode_failed, encode_records
from quorate.storage.versions.among import Among
from quorate.storage.versions.conflicts import declare
from quorate.storage.versions.group import GroupVersions

_HINT = "the leader that it came from goes on trying"


class VersionedWriter(HoldingWriter):
    """Raises what `Writer` raises."""

    def __init__(self, path: str, among: Among, vfs: str | None = None, clock: Callable[[], int] | None = None) -> None:
        super().__init__(path, vfs, clock)
        try:
            with storage_errors():
                self._control("BEGIN IMMEDIATE")
                self._rows = GroupVersions(self.connection, among, self._schema)
                self._control("COMMIT")
        except BaseException:
            self.connection.close()
            raise
        self.versions = self._rows
        self._capture.stamp = self._rows.stamp
        self._execution.version(self._rows)
        declare(self.connection, self.guard, self._rows)
        self.streams = self._rows.streams()
        """How far the logs of siblings are merged, as it is committed."""

    def set_aside(self) -> None:
        super().set_aside()
        self._rows.forget()

    def _write_position(self, position: Position, floor: int) -> None:
        self._rows.remember()
        super()._write_position(position, floor)

    def commit(self, position: Position, batches: Sequence[int]) -> None:
        super().commit(position, batches)
        self._committed()

    def apply(self, entries: Sequence[Entry]) -> None:
        super().apply(entries)
        self._committed()

    def _committed(self) -> None:
        if self._rows.committed():
            self.streams = self._rows.streams()

    # ------------------------------------------------------------------ what siblings sent

    def _execute(self, requests: Sequence[Write], timestamp_us: int) -> tuple[bytes | None, tuple[bytes, ...]]:
        first: Any = requests[0] if requests else None
        if type(first) is not Merge:
            try:
                _ = self._rows.tables
            except RefusedError as error:
                return None, (encode_failed(error.failed),) * len(requests)
            return super()._execute(requests, timestamp_us)
        assert len(requests) == 1, "a merge is alone in its batch"
        if self.ticket:
            self.rollback()
        return self._execute_merge(first)

    def _execute_merge(self, merge: Merge) -> tuple[bytes | None, tuple[bytes, ...]]:
        facts = self._begin()
        self._execution.drop()
        self._follow()
        try:
            self._rows.check(merge)
            facts, records = self._merge(merge, facts)
        except (RefusedError, Divergent, apsw.ConstraintError, apsw.SQLError) as error:
            self.set_aside()
            return None, (encode_failed(_failed(error)),)
        set_mode(self.connection, LEAD)
        self._mode = LEAD
        payload = encode_merge(merge)
        fresh = dict(records)
        self.stack.append(Stacked(payload, list(fresh), encode_records(records), facts, FOREIGN))
        self._fresh.update(fresh)
        self.state = RUNNING
        return payload, (HELD_DONE,)

    def _merge(self, merge: Merge, facts: SchemaFacts) -> tuple[SchemaFacts, list[Record]]:
        changes = self._rows.changes
        records = self._rows.merge(merge, self._remembers)
        return facts if changes == self._rows.changes else self._schema.read(), records

    # ------------------------------------------------------------------ following

    def _carry_out(self, kind: int, payload: bytes, facts: SchemaFacts) -> tuple[SchemaFacts, list[str], bytes]:
        if kind != FOREIGN:
            return super()._carry_out(kind, payload, facts)
        try:
            facts, records = self._merge(decode_merge(payload), facts)
        except (RefusedError, msgspec.MsgspecError, apsw.Error) as error:
            raise _divergent(error) from error
        return facts, [token for token, _ in records], encode_records(records)

    def _apply_segments(self, batch: Batch, facts: SchemaFacts) -> SchemaFacts:
        changes = self._rows.changes
        try:
            self._rows.apply(batch.segments)
        except (RefusedError, apsw.Error) as error:
            raise _divergent(error) from error
        return facts if changes == self._rows.changes else self._schema.read()


def _divergent(error: Exception) -> StorageError:
    if isinstance(error, NoFunctionError):
        return Lacking(str(error))
    if isinstance(error, apsw.Error):
        raise_if_fatal(error)
    return Divergent(f"an entry cannot be applied: {error}")


def _failed(error: Exception) -> Failed:
    if isinstance(error, RefusedError):
        return error.failed
    return Failed("OperationalError", f"what another leader wrote cannot be merged: {error}", _HINT)
