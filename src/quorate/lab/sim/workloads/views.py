"""Reads on one state that one node keeps, fetched in pieces while everything goes on."""

import random
from typing import Any

import msgspec

from quorate.core.requests import Answer, Done
from quorate.core.statements import Failed, Result, Statement
from quorate.core.view_requests import CloseView, OpenView, Piece, ReadView, Viewed, ViewOutcome
from quorate.lab.sim.workloads.operations import Operation

SIZES = (1, 1, 60, 0)
"""How many bytes of rows are asked for at a time: one row, some, all."""

_outcome = msgspec.msgpack.Decoder(ViewOutcome)


def first_view(operation: Operation, strongest: bool, rng: random.Random) -> OpenView:
    """What begins a read in pieces."""
    after = operation.visit.bookmark if operation.visit is not None else None
    statement, size = operation.statements[0], rng.choice(SIZES)
    return OpenView(operation.database, statement, operation.level, strongest, after, size)


class Viewing:
    """A view that is being read."""

    def __init__(
        self, first: OpenView, statements: tuple[Statement, ...], sizes: tuple[int, ...], rng: random.Random
    ) -> None:
        self.ask: OpenView | ReadView | CloseView = first
        """What is to be sent next."""
        self.pieces = 0
        self._statements = statements
        self._sizes = sizes
        self._rng = rng
        self._numbers = 0
        self._results: list[Result] = []
        self._rows: list[Any] = []
        self._failed: Failed | None = None

    def take(self, answer: Answer) -> bool:
        """A piece, or the beginning; whether all of it is here."""
        viewed = msgspec.msgpack.decode(answer.outcome, type=Viewed)
        outcome = _outcome.decode(viewed.outcome)
        self.pieces += 1
        if isinstance(outcome, Piece):
            self._rows += outcome.rows
            if outcome.more:
                self._next(viewed.view, None)
                return False
            self._results.append(Result(outcome.columns, self._rows, -1))
            self._rows = []
            if len(self._results) < len(self._statements):
                self._next(viewed.view, self._statements[len(self._results)])
                return False
        else:
            self._failed = outcome
        self.ask = CloseView(viewed.view)
        return True

    def _next(self, view: int, statement: Statement | None) -> None:
        self._numbers += 1
        self.ask = ReadView(view, self._numbers, statement, self._rng.choice(self._sizes))

    def read(self, _statements: tuple[Statement, ...]) -> bytes:
        """What the statements gave; an encoded outcome."""
        return msgspec.msgpack.encode(self._failed or Done(tuple(self._results)))
