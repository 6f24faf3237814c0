"""Running statements on a database without a leader, on a connection, as threads see it.

Generated from `client/row_runs_aio.py` by `tools/async_to_sync.py`: edit that one.
"""

import secrets
import time
from collections.abc import Sequence
from typing import Any

from msgspec import structs

from quorate import errors
from quorate.client.without_leader import changes_schema, one_row, refusal
from quorate.core.kernel import CATALOG_DATABASE
from quorate.core.read_levels import LEADER
from quorate.core.requests import Done, Expired
from quorate.core.row_requests import ChangeSchema, RunRow, SchemaFits
from quorate.core.statements import Result, Statement, Token
from quorate.wire.answers import read_outcome, results_of

_SHOWN_BY = "`SELECT sql FROM sqlite_schema` shows whether it did; with IF NOT EXISTS it may be given again"


class RowRuns:
    """The part of a connection that speaks to a database without a leader."""

    __slots__ = ()

    def _run_unled(
        self: Any,
        statements: Sequence[Statement],
        token: str | None,
        level: str,
        timeout: float | None,
        w: int | None,
        r: int | None,
    ) -> tuple[Done, int]:
        """What these give. Raises NotSupportedError for what is not there, and client errors."""
        if not self._autocommit:
            raise refusal("autocommit=False")
        answered = self._pragmas.answered(statements)
        if answered is not None:
            self._client.check()
            return answered, -1
        request = one_row(self.database, statements, token, level, self._own, w, r)
        return self._run_row(request, timeout), -1

    def _run_row(self: Any, request: RunRow, timeout: float | None) -> Done:
        """Carry one statement through; what it gave."""
        deadline = time.monotonic() + (self._client.timeout if timeout is None else timeout)
        while True:
            request = structs.replace(request, schema=self._schema)
            said = self._client.carry_row(request, max(0.001, deadline - time.monotonic()))
            if not isinstance(said, SchemaFits):
                return results_of(read_outcome(said.outcome), None)
            if not changes_schema(request.statement):
                raise errors.InternalError("a node takes a statement for a change of the schema that is none")
            change = ChangeSchema(self.database, request.statement.sql, said.after, Token(secrets.token_hex(8), 0))
            if self._change_schema(change, deadline):
                return Done((Result((), [], -1),))

    def _change_schema(self: Any, change: ChangeSchema, deadline: float) -> bool:
        """Have the catalog order it; False: somebody else has changed the schema first. Raises client errors."""
        while True:
            try:
                body, clean = self._client.request(
                    change, CATALOG_DATABASE, level=LEADER, token=change.token, patient=_is_patient,
                    timeout=max(0.001, deadline - time.monotonic()), shown_by=_SHOWN_BY,
                )  # fmt: skip
            except errors.ChangeUnderWay:
                if time.monotonic() >= deadline:
                    raise
                return False
            outcome = read_outcome(body.outcome)
            if isinstance(outcome, Expired) and clean and not change.token.seen and body.index:
                change = structs.replace(change, token=Token(change.token.id, body.index))
                continue
            rows: Any = results_of(outcome, change.token).results[-1].rows
            self._schema = max(self._schema, rows[0][0])
            return True


def _is_patient(error: errors.Error) -> bool:
    """Whether the same change is worth another try."""
    return error.retryable and not isinstance(error, errors.ChangeUnderWay)
