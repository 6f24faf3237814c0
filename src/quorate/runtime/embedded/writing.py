"""Getting at the one writer of an embedded node's database, and carrying a write through."""

import threading
from collections.abc import Sequence

from quorate import errors
from quorate.client.pieces import Tokens
from quorate.core.requests import CommitHeld, Done, Outcome, Run
from quorate.core.statements import Statement, Token
from quorate.runtime.embedded.inline import InlineNode
from quorate.sql.classify import CHANGE, shape_of
from quorate.wire.answers import read_outcome, results_of

IN_TRANSACTION = " has a transaction open on this database"


def take_writer(node: InlineNode, seconds: float, holder: object) -> None:
    """Wait for the database's only writer; the holder may have what it runs there, or its waiting, ended. Raises
    Unavailable when others keep it for too long."""
    node.usable()
    if node.writing.acquire(blocking=False):
        node.interrupts.taken_by(holder)
        return
    if node.owner == threading.get_ident():
        raise errors.ProgrammingError("this thread" + IN_TRANSACTION, hint="write through the transaction")
    if not node.interrupts.wait(seconds, holder, node.writing):
        raise errors.Unavailable("not done: another thread has held the database's writer all the time")
    node.interrupts.taken_by(holder)
    if node.forked:
        node.usable()


def settle(node: InlineNode, tokens: Tokens, request: Run | Outcome | CommitHeld, seconds: float | None = None) -> Done:
    """Let the node carry a write through, in so many seconds; the caller holds the writer."""
    token: Token | None = request.token
    try:
        answer = node.request(request, seconds or 0.0)
    except errors.MaybeDone:
        if token is not None:
            tokens.keep(token)
        raise
    tokens.heard(answer.index)
    return results_of(read_outcome(answer.outcome), token)


def changes_schema(statements: Sequence[Statement]) -> bool:
    """May reads have other columns after this?"""
    for statement in statements:  # noqa: SIM110 - a generator costs each write some hundred instructions
        if shape_of(statement.sql).kind != CHANGE:
            return True
    return False
