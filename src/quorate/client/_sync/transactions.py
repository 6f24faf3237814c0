"""Interactive transactions over a cluster as threads see it.

Generated from `client/transactions_aio.py` by `tools/async_to_sync.py`: edit that one.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from msgspec import structs

from quorate import errors
from quorate.client._sync.cursors import TransactionCursor
from quorate.client._sync.streams import View
from quorate.client.attempts import Attempts, committed_attempt, not_done
from quorate.client.link_sync import sleep
from quorate.client.pieces import many_statement, one_statement
from quorate.client.transactions import DEFERRED, NESTED, UNSURE, Keeper
from quorate.client.types import Types, types_of
from quorate.core.requests import ScriptOutcome
from quorate.core.scripts import HoldEnded, RunOfAttempts, Script
from quorate.core.statements import Result, Statement, Token
from quorate.core.view_requests import Piece
from quorate.sql.classify import shape_of
from quorate.sql.control import BEGIN, COMMIT, RELEASE, ROLLBACK, ROLLBACK_TO, SAVEPOINT, Control

if TYPE_CHECKING:
    from quorate.client._sync.connection import Connection

T = TypeVar("T")


class Savepoint:
    """A point of a transaction to come back to. Its block undoes what was done in it when it raises."""

    __slots__ = ("_name", "_transaction")

    def __init__(self, transaction: "Transaction", name: str) -> None:
        self._transaction = transaction
        self._name = name

    def rollback(self) -> None:
        """Undo what was done since this point; the block goes on."""
        self._do(ROLLBACK_TO)

    def __enter__(self) -> Self:
        self._do(SAVEPOINT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._do(RELEASE)
        elif self._transaction.keeper.is_open:
            self._do(ROLLBACK_TO)
            self._do(RELEASE)

    def _do(self, word: str) -> None:
        self._transaction.keeper.control(Control(word, self._name))


class Transaction:
    """Several statements as one, with answers in between. Made by `Connection.transaction`.

    Commits when its `with` block ends, and undoes everything when the block raises. Nothing is held meanwhile, unless
    it began immediate or is long: each statement runs behind those before it, on what is committed by then, and what
    they gave must not have changed. Raises SerializationFailure where it has; then nothing was done, and
    `run_transaction` would run it again.
    """

    __slots__ = ("_connection", "_name", "_numbers", "_run", "_timeout", "_view", "keeper", "winner")

    def __init__(self, connection: "Connection", keeper: Keeper, name: str | None, timeout: float | None) -> None:
        self.keeper = keeper
        """Its script."""
        self._connection = connection
        self._name = name
        self._timeout = timeout
        self._numbers = 0
        self._run: tuple[Token, RunOfAttempts] | None = None
        self._view: View | None = None
        """What one that only reads reads, once it has begun to."""
        self.winner = 0
        """Which attempt was committed, where this is one of several; 0: none."""

    def fence(self, token: Token, attempt: int) -> None:
        """It is this attempt of a call that commits once, under this token."""
        self._run = (token, RunOfAttempts(token.name, attempt))

    def execute(self, sql: str, parameters: Any = (), *, types: Types | None = None) -> TransactionCursor:
        """Run one statement; it sees what this transaction has written. One that fails is undone alone, and the
        transaction goes on. Raises SerializationFailure, which ends it."""
        result = self.give(one_statement(sql, parameters, types_of(types, self._connection.types)))
        return TransactionCursor(self._connection, self, result, types)

    def executemany(self, sql: str, sets: Iterable[Any], *, types: Types | None = None) -> TransactionCursor:
        """Run one statement once for each set of parameters, all or none of them."""
        result = self.run(many_statement(sql, sets, types_of(types, self._connection.types)))
        return TransactionCursor(self._connection, self, result, types)

    def give(self, statement: Statement, timeout: float | None = None) -> Result:
        """What one statement gives, which may be one about transactions."""
        control = shape_of(statement.sql).control
        return self.run(statement, timeout) if control is None else self._control(control)

    def _control(self, control: Control) -> Result:
        """Do what a statement about transactions says."""
        if self.keeper.is_over:
            self.keeper.check()
        if control.word == COMMIT:
            self.commit()
        elif control.word == ROLLBACK:
            self.rollback()
        elif control.word == BEGIN:
            raise errors.OperationalError(NESTED)
        else:
            self.keeper.control(control)
        return Result((), [], -1)

    def run(self, statement: Statement, timeout: float | None = None) -> Result:
        """Run one statement, which may take so many seconds; what it gave."""
        request = self.keeper.ask(statement)
        try:
            if self.keeper.wants_snapshot and (piece := self._read(statement, timeout or self._timeout)):
                self.keeper.dropped()  # it is not in the script
                return Result(piece.columns, piece.rows, -1)
            outcome = self._evaluate(request, timeout or self._timeout)
        except BaseException:
            self.keeper.dropped()
            raise
        return self.keeper.heard(outcome)

    def _read(self, statement: Statement, timeout: float | None) -> Piece | None:
        """What one of a transaction gives that only reads, from the state that a node keeps for it; None: no node keeps
        one, and its statements run again and again as those of others do. Raises SnapshotExpired, which ends it."""
        view = self._view = self._view or self._connection.view()
        try:
            if view.was_opened:
                return view.read(statement, 0, timeout)
            return self._connection.open_view(view, statement, 0, self.keeper.level, timeout)
        except errors.SnapshotExpired as error:
            self.keeper.failed(error)
            raise
        except (errors.Overloaded, errors.NotSupportedError):
            if view.was_opened:
                raise
            return None

    def _evaluate(self, request: Script, timeout: float | None) -> ScriptOutcome:
        outcome = self._connection.evaluate(request, timeout)
        if isinstance(outcome, HoldEnded):
            outcome = self._connection.evaluate(self.keeper.again(), timeout)
        return outcome

    def savepoint(self) -> Savepoint:
        """A block within: `with tx.savepoint(): ...` undoes what was done in it when it raises."""
        self._numbers += 1
        return Savepoint(self, f"savepoint {self._numbers}")

    def commit(self, timeout: float | None = None) -> None:
        """Commit, on as many nodes as the database's acks ask for. Raises SerializationFailure when
        what the transaction has seen has changed, or what else forbids it: then nothing was done. MaybeDone, when the
        answer was lost: `connection.outcome(error.token)` settles it."""
        timeout = timeout or self._timeout
        question = self.keeper.before_commit()
        if question is not None:
            self.keeper.heard_before_commit(self._evaluate(question, timeout))
        request = self.keeper.commit()
        if request is None:
            self._let_go()
            return
        if self._run is not None:
            request = structs.replace(request, token=self._run[0], run=self._run[1])
        try:
            outcome, token = self._connection.commit_script(request, self._name, timeout)
        except BaseException as error:
            if isinstance(error, errors.Error) and not isinstance(error, errors.MaybeDone):
                self.keeper.dropped()
            else:
                self.keeper.unsure()
            raise
        self.keeper.committed(outcome, token)
        if self._run is not None:
            self.winner = committed_attempt(outcome, token)

    def rollback(self) -> None:
        """Undo everything. Rolling back what is over does nothing."""
        self.keeper.rollback()
        self._let_go()

    def _let_go(self) -> None:
        """Others need not wait any more for what this one holds. If that is not heard, they wait a little longer."""
        if self._view is not None:
            self._view.close()
        request = self.keeper.let_go()
        if request is not None:
            with suppress(errors.Error):
                self._connection.let_go(request)

    @property
    def is_unsure(self) -> bool:
        """The answer to its COMMIT was lost."""
        return self.keeper.state == UNSURE

    def __enter__(self) -> Self:
        self.keeper.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and not self.keeper.is_over:
                self.commit()
        finally:
            self.rollback()


def run_transaction(
    connection: Any,
    function: Callable[[Any], T],
    attempts: Attempts,
    *,
    begin: str = DEFERRED,
    read_only: bool = False,
) -> T:
    """Run a function in a transaction of this connection until one has been committed; what the function returned in
    that one. Raises what `Connection.run_transaction` says."""
    while True:
        left = attempts.left()
        value = cast("T", None)  # one that commits itself, and loses the answer, has returned nothing
        begins = begin if read_only else attempts.begin(begin)
        transaction = connection.transaction(
            begin=begins, read_only=read_only, token=attempts.token, timeout=max(left, 0.001)
        )
        try:
            with transaction:
                value = function(transaction)
        except errors.MaybeDone as lost:
            if not transaction.is_unsure:
                raise  # about something else that the function did
            if _is_done(connection, lost, attempts):
                return value
            error: errors.Error = not_done(lost)
        except errors.Error as failed:
            error = failed
        else:
            return value
        sleep(attempts.pause(error))


def _is_done(connection: Any, lost: errors.MaybeDone, attempts: Attempts) -> bool:
    """Whether a transaction whose answer was lost was committed; when it was not, it never will be. Raises `lost` when
    time runs out."""
    while True:
        left = attempts.left()
        if isinstance(lost, errors.Expired) or not left:
            raise lost
        try:
            connection.outcome(lost.token, seen=lost.seen, timeout=left)
        except errors.Cancelled:
            attempts.cancelled()
            return False
        except errors.Error as error:
            if not error.retryable:
                raise lost from error
            sleep(min(attempts.jitter(), attempts.left()))
        else:
            return True
