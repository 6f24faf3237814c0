"""Reads that fetch a copy: the database's file comes in parts from one node, and the statements run on it."""

from typing import Any, cast

import msgspec

from quorate.core.copy_requests import CopyPart, CopyReport, OpenCopy, ReadCopy
from quorate.core.requests import Answer
from quorate.core.statements import Statement
from quorate.lab.sim.engine.world import Violation
from quorate.lab.sim.stores.model import ModelReplica
from quorate.lab.sim.workloads.ledger import TRUE_ANSWER
from quorate.storage.data.replica import Replica

_SQLITE = b"SQLite format 3\0"
_VERSIONS = slice(18, 20)
"""In the header: 2 for files with a write-ahead log, which none in memory has."""


class Fetching:
    """A copy that is being fetched."""

    def __init__(self, first: OpenCopy) -> None:
        self.ask: OpenCopy | ReadCopy = first
        """What is to be sent next."""
        self._report: CopyReport | None = None
        self._index = 0
        self._image = bytearray()

    def take(self, answer: Answer) -> bool:
        """A part of it, or its beginning; whether all of it is here."""
        if self._report is None:
            self._report, self._index = msgspec.msgpack.decode(answer.outcome, type=CopyReport), answer.index
        else:
            self._image += msgspec.msgpack.decode(answer.outcome, type=CopyPart).data
        self.ask = ReadCopy(self._report.copy, len(self._image))
        return len(self._image) >= self._report.size

    def read(self, statements: tuple[Statement, ...]) -> bytes:
        """Run reads on it; an encoded outcome."""
        image = self._image
        replica = ModelReplica()
        if image.startswith(_SQLITE):
            image[_VERSIONS] = b"\x01\x01"
            replica = cast(Any, Replica(":memory:"))
        try:
            replica.load(bytes(image))
            outcome, position = replica.query(statements)
        finally:
            replica.close()
        if position.index != self._index:
            raise Violation(TRUE_ANSWER, f"a copy was said to stand at {self._index}, and stands at {position}")
        return outcome
