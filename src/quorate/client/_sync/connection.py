"""A connection to a cluster as threads see it.

Generated from `client/aio.py` by `tools/async_to_sync.py`: edit that one.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from msgspec import structs

from quorate import errors
from quorate.client._sync.carrier import Client
from quorate.client._sync.copies import fetch
from quorate.client._sync.cursors import Cursor
from quorate.client._sync.extras import Extras
from quorate.client._sync.outcomes import Outcomes
from quorate.client._sync.row_runs import RowRuns
from quorate.client._sync.runs import Runs
from quorate.client._sync.session import Session
from quorate.client._sync.transactions import Transaction
from quorate.client.checks import check_flag, check_new_file, check_told
from quorate.client.crowds import Crowds
from quorate.client.homes import ANY, addressed, packed, unpacked
from quorate.client.link_sync import commit_at_once
from quorate.client.marker import NOTHING, Marker, WithBookmark
from quorate.client.own_writes import OwnWrites
from quorate.client.pieces import (
    Batch,
    Tokens,
    batch_statements,
    check_token,
    many_statement,
    needs_token,
    one_statement,
)
from quorate.client.pragmas import Pragmas, shift, without_prefix
from quorate.client.routing import INTERRUPT
from quorate.client.rows import RowFactory
from quorate.client.transactions import DEFERRED, Keeper, check_begin, must_be_settled, refuse_token
from quorate.client.types import Types, types_of
from quorate.client.url import (
    ALWAYS,
    SAFE,
    ClusterTarget,
    check_read_level,
    check_retry,
    check_timeout,
)
from quorate.client.without_leader import refusal_of_counts
from quorate.core.bookmarks import Bookmark
from quorate.core.own_writes import Chosen
from quorate.core.read_levels import LEADER, LINEARIZABLE, SESSION, STRONGEST
from quorate.core.requests import Answer, Cancelled, Done, Expired, Run, ScriptOutcome, WriteOutcome
from quorate.core.scripts import BeginAttempt, LetGo, Script
from quorate.core.statements import Result, Statement, Token
from quorate.sql.classify import shape_of
from quorate.wire.answers import read_outcome, read_script, results_of


class Connection(WithBookmark, Extras, Outcomes, Runs, RowRuns):
    """One database of a cluster. Any number of threads may use it at once; one socket goes to each node."""

    __slots__ = (
        "__weakref__", "_autocommit", "_client", "_crowds", "_holds", "_marker", "_own", "_pragmas", "_schema",
        "_session", "_tokens", "database", "read",
    )  # fmt: skip

    def __init__(
        self,
        target: ClusterTarget,
        *,
        timeout: float,
        read: str,
        retry: str = SAFE,
        autocommit: bool = True,
        bookmark: Bookmark = NOTHING,
        own_writes: Chosen | None = None,
    ) -> None:
        self.database = target.database
        """The name of the database."""
        self.read = read
        """The read level of calls that name none."""
        self._own = OwnWrites(own_writes)
        self._client = Client(
            target.addresses,
            timeout,
            always=check_retry(retry) == ALWAYS,
            key=self._own.key,
            cluster=target.cluster,
            protection=target.protection,
            credentials=target.login,
            database=target.database,
        )
        self._tokens = Tokens(secrets.token_hex(8))
        self._pragmas = Pragmas()
        self._row_factory: RowFactory | None = None
        self._types: Types | None = None
        self._session = Session(self)
        self._holds: dict[str, LetGo] = {}
        """What to ask when it closes: transactions that may hold the writer, by their names."""
        self._autocommit = check_flag(autocommit, "autocommit")
        self._schema = 0
        """Without a leader: the change of the schema that it has seen."""
        self._crowds = Crowds()
        self._marker = Marker(SESSION if self._own.by_bookmark else read, bookmark)

    @property
    def autocommit(self) -> bool:
        """Whether each statement is committed when `execute` returns. If not, the first one begins a transaction, which
        `commit` or `rollback` ends."""
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        value = check_flag(value, "autocommit")
        if not value:
            self._client.check_led("autocommit=False")
        if value and self._session.begun:
            commit_at_once(self.commit)
        self._autocommit = value

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open on this connection, one that `commit` ends."""
        return self._session.begun

    def execute(
        self,
        sql: str,
        parameters: Any = (),
        *,
        token: str | None = None,
        read: str | None = None,
        timeout: float | None = None,
        types: Types | None = None,
        w: int | None = None,
        r: int | None = None,
    ) -> Cursor:
        """Run one statement. A write is durable on as many nodes as the database's acks ask for on return.

        `token` names a write so that it happens once however often it is sent, by whatever process; without
        one each call is a write of its own. `read` is the read level, `timeout` the seconds this call may take;
        `types` adapts and converts in place of the connection's. `w` and `r` are for databases without a leader: how
        many replicas must hold this write, and answer before it is read or written, in place of as many as the database
        says. Raises a subclass of Error; all of them mean "not done", except MaybeDone.
        """
        types = types_of(types, self._types)
        statements = (one_statement(sql, parameters, types),)
        done, age_us = self.run(statements, token, read=read, timeout=timeout, w=w, r=r)
        return self.cursor_of(done.results[0], truncated=done.truncated, age_us=age_us, types=types)

    def executemany(
        self,
        sql: str,
        sets: Iterable[Any],
        *,
        token: str | None = None,
        timeout: float | None = None,
        types: Types | None = None,
    ) -> Cursor:
        """Run one statement once for each set of parameters, all or none of them."""
        types = types_of(types, self._types)
        done, _ = self.run((many_statement(sql, sets, types),), token, timeout=timeout)
        return self.cursor_of(done.results[0], truncated=done.truncated, types=types)

    def batch(
        self,
        statements: Batch,
        *,
        token: str | None = None,
        read: str | None = None,
        timeout: float | None = None,
        types: Types | None = None,
    ) -> list[Cursor]:
        """Run several statements, all or none of them; a cursor for each.

        Each is a text or a pair of text and parameters. A failure says in `.statement` which one it was.
        """
        types = types_of(types, self._types)
        done, age_us = self.run(batch_statements(statements, types), token, read=read, timeout=timeout)
        return [self.cursor_of(result, truncated=done.truncated, age_us=age_us, types=types) for result in done.results]

    def transaction(
        self,
        *,
        begin: str = DEFERRED,
        read_only: bool = False,
        token: str | None = None,
        timeout: float | None = None,
    ) -> Transaction:
        """Several statements as one, with answers in between: `with db.transaction() as tx: ...`.

        Strict serializable when it writes; see docs/transactions.md. Nothing is held while nothing runs: what others
        change meanwhile ends it with SerializationFailure, and then it is to be run again (`run_transaction`).
        `read_only` refuses writes. `token` names it as it does a write; `timeout` is the seconds that each call in it
        may take.
        """
        self._client.check()
        if self._session.begun or not self._autocommit:
            raise errors.ProgrammingError(
                "this connection is itself a transaction, or in one", hint="another connection can have transaction()"
            )
        return self.begin(begin, read_only=read_only, token=token, timeout=timeout)

    def begin(
        self, begin: str, *, read_only: bool = False, token: str | None = None, timeout: float | None = None
    ) -> Transaction:
        """A transaction that is about to begin."""
        self._client.check_led("transaction")
        hold = check_begin(begin) != DEFERRED
        if token is not None:
            check_token(token)
        if timeout is not None:
            check_timeout(timeout)
        strongest = self.read == STRONGEST
        level = LINEARIZABLE if strongest else self._own.level(self.read, None, time.monotonic())
        read_only = check_flag(read_only, "read_only")
        prefix = () if read_only else self._pragmas.begin()
        keeper = Keeper(
            self.database, level=level, strongest=strongest, read_only=read_only, settings=prefix,
            hold=hold and not read_only, name=secrets.token_hex(8),
        )  # fmt: skip
        return Transaction(self, keeper, token, timeout)

    def copy_to(
        self,
        file: str | os.PathLike[str],
        *,
        timeout: float | None = None,
        told: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> int:
        """Write a consistent copy of the database's file, with the replica's own tables in it, to a new file; where it
        stands in the database's log. `told` hears how many bytes have come, of how many.

        A node makes the copy within `timeout` seconds, and keeps it while it is fetched, whoever writes meanwhile. When
        that node is lost the copy is begun again, a few times. Raises OperationalError where there is a file already,
        OSError where it cannot be written, Unavailable, and what a read raises.
        """
        self._client.check_led("copy_to")
        path = check_new_file(file)
        check_told(told)
        level = self._own.level(self.read, None, time.monotonic())
        after = self._marker.shown(level, always=self._client.several)
        answer = fetch(self._client, self.database, level, path, timeout, told, after)
        self._marker.heard(answer, after, self._client.cluster)
        return answer.index

    def cursor(self) -> Cursor:
        """A cursor that has not run anything yet."""
        self._client.check()
        return Cursor(self)

    def commit(self) -> None:
        """Commit the open transaction. Does nothing where none is open. If it fails, nothing of it is done, and it is
        over; but for MaybeDone, as a write."""
        self._client.check()
        self._session.commit()

    def rollback(self) -> None:
        """Undo what the open transaction did. Does nothing where none is open."""
        self._client.check()
        self._session.rollback()

    def close(self) -> None:
        """Hang up. Closing again does nothing. An open transaction is undone."""
        self._session.drop()
        try:
            self.let_all_go()
        finally:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """With autocommit it closes. Without, it commits first, or rolls back if the block has raised."""
        try:
            if kind is None and not self._autocommit:
                self.commit()
        finally:
            self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.Connection to {self.database!r} at {','.join(self._client.addresses)}>"

    def cursor_of(
        self,
        result: Result,
        *,
        truncated: bool = False,
        age_us: int = -1,
        types: Types | None = None,
    ) -> Cursor:
        """A cursor that holds what a statement gave."""
        cursor = Cursor(self)
        cursor.types = types_of(types, self._types)
        cursor._age_us = age_us  # noqa: SLF001 - made here
        cursor._load(result, truncated)  # noqa: SLF001
        return cursor

    def run(
        self,
        statements: Sequence[Statement],
        name: str | None = None,
        *,
        read: str | None = None,
        timeout: float | None = None,
        load: bool = False,
        w: int | None = None,
        r: int | None = None,
    ) -> tuple[Done, int]:
        """Carry statements through as one request, under a token of this name if they write; what they gave, and by how
        many microseconds at most what they read lags behind (-1: not known). `load`: with triggers and foreign-key
        actions switched off. `w` and `r`: see `execute`."""
        level = self.read if read is None else check_read_level(read)
        if name is not None:
            check_token(name)
        counted = w is not None or r is not None
        if counted and (self._session.begun or not self._autocommit):
            raise refusal_of_counts()
        if not counted and (self._session.begun or not self._client.unled):
            try:
                return self._run_led(statements, name, level, timeout, load)
            except errors.NotSupportedError:
                if not self._client.unled or self._session.begun:  # this was its answer
                    raise
        return self._run_unled(statements, name, level, timeout, w, r)

    def _run_led(
        self, statements: Sequence[Statement], name: str | None, level: str, timeout: float | None, load: bool
    ) -> tuple[Done, int]:
        results = self._in_session(statements, name, timeout)
        if results is not None:
            return Done(tuple(results)), self._tokens.seen
        answered = self._pragmas.answered(statements)
        if answered is not None:
            self._client.check()
            return answered, -1
        if not needs_token(statements):
            strongest = level == STRONGEST
            level = LINEARIZABLE if strongest else self._own.level(level, statements, time.monotonic())
            after = self._marker.shown(level, always=self._client.several)
            run = Run(self.database, tuple(statements), level, strongest=strongest, after=after)
            body, _ = self._client.request(run, self.database, level=level, timeout=timeout)
            return self._settle(body, None, after), body.age_us
        prefix = () if load else self._pragmas.begin()
        if prefix:
            try:
                done, age_us = self._write((*prefix, *statements), name, level, timeout)
            except errors.Error as error:
                shift(error, len(prefix))
                raise
            return without_prefix(done, len(prefix)), age_us
        return self._write(statements, name, level, timeout, load)

    def _write(
        self, statements: Sequence[Statement], name: str | None, level: str, timeout: float | None, load: bool = False
    ) -> tuple[Done, int]:
        token = self._tokens.mint(name, statements, self._client.home(self.database))
        after = self._marker.shown(level, always=self._client.several)
        run = Run(self.database, tuple(statements), LINEARIZABLE, token, load, after=after)
        body, token, _ = self._carry(run, token, timeout)
        return self._settle(body, token, after), body.age_us

    def _in_session(
        self, statements: Sequence[Statement], token: str | None, timeout: float | None
    ) -> list[Result] | None:
        """What these give in the connection's transaction, or to it; None: there is none, and they begin none."""
        session = self._session
        shape = shape_of(statements[0].sql)
        control = shape.control if len(statements) == 1 and not shape.surplus else None
        if self._autocommit and not session.begun and control is None:
            return None
        refuse_token(token)
        self._client.check()
        if control is not None:
            return [session.control(control, timeout)]
        if not session.begun:
            answered = self._pragmas.answered(statements)
            if answered is not None:
                return list(answered.results)
        return session.run(statements, timeout)

    def setting(self, statements: Sequence[Statement]) -> Result | None:
        """What a statement gives that asks for a setting of this connection; None: it asks for something else."""
        answered = self._pragmas.answered(statements)
        return None if answered is None else answered.results[0]

    def _carry(self, request: Run | Script, token: Token, timeout: float | None) -> tuple[Answer, Token, bool]:
        """Carry a write through that has this token; the answer, the token that it was sent with last, and whether no
        other send of it may have done anything."""
        while True:
            try:
                body, call = self._client.carry(request, self.database, level=LEADER, token=token, timeout=timeout)
                token, clean = call.token or token, call.clean
            except errors.MaybeDone as lost:
                token = unpacked(token.id, lost.seen)
                self._tokens.keep(token)
                if lost.sqlite_errorname != INTERRUPT or _is_attempt(request):
                    raise
                return self._interrupted(token, lost), token, True
            finally:  # also when its task is cancelled
                self._own.wrote(time.monotonic())
            renewed = self._renewed(body, token) if clean and not _is_attempt(request) else None
            if renewed is None:
                return body, token, clean
            token = renewed
            request = structs.replace(request, token=token)

    def evaluate(self, script: Script, timeout: float | None) -> ScriptOutcome:
        """What a transaction's statements give, when they are run and undone."""
        after = self._marker.shown(script.level, always=self._client.several)
        script = structs.replace(script, after=after)
        if script.hold is not None:
            self._holds[script.hold.name] = LetGo(self.database, script.hold.name)
        body, _ = self._client.request(script, self.database, level=script.level, timeout=timeout)
        self._heard(body, after)
        return read_script(body.outcome)

    def commit_script(self, script: Script, name: str | None, timeout: float | None) -> tuple[WriteOutcome, Token]:
        """Run a transaction's statements to stay, under a token of this name; what came of it, and the token."""
        deadline = time.monotonic() + (self._client.timeout if timeout is None else timeout)
        token = script.token or self._tokens.mint(
            name, [step.statement for step in script.steps], self._client.home(self.database)
        )
        after = self._marker.shown(script.level, always=self._client.several)
        body, token, clean = self._carry(structs.replace(script, token=token, after=after), token, timeout)
        outcome = read_outcome(body.outcome)
        if script.hold is not None:
            self._holds.pop(script.hold.name, None)
        if must_be_settled(outcome, clean=clean):
            if script.run is not None:  # the next attempt settles it
                raise errors.MaybeDone("a COMMIT was sent twice", token=token.name, seen=packed(token))
            settled = self._fence(token, max(0.001, deadline - time.monotonic()))
            outcome = outcome if isinstance(settled, Cancelled) else settled
        self._heard(body, after)
        return outcome, token

    def begin_attempt(self, name: str, token: Token | None, timeout: float) -> tuple[WriteOutcome, Token]:
        """Begin another attempt of a call that commits once, under a token of this name, the same for all of them
        (None: this is the first): what came of it, and the token."""
        first = token is None
        token = token or self._tokens.of_attempts(name, self._client.home(self.database))
        while True:
            request = BeginAttempt(self.database, token)  # sent twice, it has begun two, and the lower is never used
            body, call = self._client.carry(request, self.database, level=LEADER, timeout=timeout)
            token = addressed(token, call.home.group or token.group)
            renewed = self._renewed(body, token) if first else None
            if renewed is None:
                self._heard(body, None)
                return read_outcome(body.outcome), token
            token = renewed

    def _renewed(self, body: Answer, token: Token) -> Token | None:
        """The same token with a fresher index, when nothing has run and the node could not know that.

        A connection that has not heard from its database yet begins at index 0, which a long-lived database
        takes for a repetition from before its memory. The first send, expired, means that nothing ran.
        """
        if token.seen or not body.index:
            return None
        if not isinstance(read_outcome(body.outcome), Expired):
            return None
        return Token(token.id, body.index, token.group)

    def _settle(self, body: Answer, token: Token | None, after: Bookmark | None = None) -> Done:
        self._heard(body, after)
        return results_of(read_outcome(body.outcome), token)

    def _heard(self, body: Answer, after: Bookmark | None) -> None:
        """A node has answered that had seen this much, and where it is."""
        home = self._client.home(self.database)
        if home in (ANY, body.group):
            self._tokens.heard(body.index, home)
        self._marker.heard(body, after, self._client.cluster)


def _is_attempt(request: Run | Script) -> bool:
    """Its token is as old as the call's first attempt: a node that has forgotten what became of that must say so."""
    return type(request) is Script and request.run is not None
