"""One state of a data file, read for longer than one answer: whole results, or results in pieces."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from typing import Any

import apsw

from quorate.core.limits import RESULT_BYTES_MAX
from quorate.core.statements import Failed, Statement, Value
from quorate.core.view_requests import Piece
from quorate.sql.classify import SETTING, shape_of
from quorate.storage.data.reader import Reader, check_read, failure_of
from quorate.storage.execution.ending import Ending
from quorate.storage.execution.running import Columns
from quorate.storage.failures import ResultTooLarge
from quorate.storage.interface import OverBudget
from quorate.storage.rows.payload import encode

Row = tuple[Value, ...]
NOTHING_RUNS = Failed("ProgrammingError", "no statement runs on this snapshot", "run one first")


class View:
    """A state pinned on a reader of its own, which `done` gets back. Not safe for two threads at once."""

    def __init__(self, reader: Reader, done: Callable[[Reader], None]) -> None:
        self._reader: Reader | None = reader
        self._done = done
        self._columns: Columns = ()
        self._rows: Iterator[Row] | None = None
        self._cursor: apsw.Cursor | None = None
        try:
            self.position = reader.begin()
        except BaseException:
            self._reader = None
            reader.close()
            raise

    def read(self, statement: Statement | None, bytes_max: int, ending: Ending | None = None) -> bytes:
        """See `Viewer.read`."""
        reader = self._reader
        assert reader is not None, "it is closed"
        runner, guard = reader.tools
        guard.watching = True
        try:
            with nullcontext() if ending is None else reader.ended_by(ending):
                if statement is not None:
                    self._begin(reader, statement)
                if self._rows is None:
                    return encode(NOTHING_RUNS)
                return encode(self._piece(self._rows, bytes_max))
        except OverBudget:
            raise
        except Exception as error:  # noqa: BLE001 - whatever apsw raises, the caller is told
            self._end()
            return encode(failure_of(error, runner, guard, 0, 1))
        finally:
            guard.watching = False

    def _begin(self, reader: Reader, statement: Statement) -> None:
        self._end()
        shape = shape_of(statement.sql)
        if shape.kind == SETTING and not shape.surplus:
            self._columns, self._rows = (), iter(())
            return
        check_read(shape)
        self._columns, self._cursor = reader.tools[0].open(statement, shape)
        self._rows = self._cursor

    def _piece(self, rows: Iterator[Row], bytes_max: int) -> Piece:
        """The next rows, each measured as it comes."""
        found: list[Row] = []
        left = bytes_max or RESULT_BYTES_MAX
        for row in rows:
            found.append(row)
            left -= len(encode(row))
            if left <= 0:
                if not bytes_max:
                    raise ResultTooLarge
                return Piece(self._columns, found, more=True)
        self._end()
        return Piece(self._columns, found, more=False)

    def _end(self) -> None:
        cursor, self._cursor, self._rows = self._cursor, None, None
        if cursor is not None:
            with suppress(apsw.Error):
                cursor.close(force=True)

    def close(self) -> None:
        """See `Viewer.close`."""
        reader, self._reader = self._reader, None
        if reader is not None:
            self._end()
            with suppress(apsw.Error):
                reader.end()
            self._done(reader)


def closing(copy: Any) -> Callable[[Reader], None]:
    """What closes a reader and then the copy that it alone has read."""

    def close(reader: Reader) -> None:
        reader.close()
        copy.close()

    return close
