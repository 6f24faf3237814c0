"""A node's answers as results, or as the exceptions of `quorate.errors` that say what happened."""

from typing import TypeVar

import msgspec

from quorate import errors
from quorate.core.requests import Cancelled, Done, Expired, Refused, ScriptOutcome, WriteOutcome
from quorate.core.scripts import Attempted, Evaluated, HoldEnded
from quorate.core.statements import Failed, Token
from quorate.core.view_requests import ViewOutcome
from quorate.wire.frames import UNREADABLE

T = TypeVar("T")

_outcome_decoder: msgspec.msgpack.Decoder[WriteOutcome] = msgspec.msgpack.Decoder(WriteOutcome)
_script_decoder: msgspec.msgpack.Decoder[ScriptOutcome] = msgspec.msgpack.Decoder(ScriptOutcome)
_view_decoder = msgspec.msgpack.Decoder(ViewOutcome)


def read_outcome(encoded: bytes | msgspec.Raw) -> WriteOutcome:
    """Decode what a node stored or read. Raises InternalError for what no node of ours writes."""
    try:
        return _outcome_decoder.decode(encoded)
    except UNREADABLE as error:
        raise errors.InternalError(f"a node's answer cannot be read: {error}") from error


def read_script(encoded: bytes | msgspec.Raw) -> ScriptOutcome:
    """Decode the outcome of a `Script`. Raises InternalError."""
    try:
        return _script_decoder.decode(encoded)
    except UNREADABLE as error:
        raise errors.InternalError(f"a node's answer cannot be read: {error}") from error


def read_view(encoded: bytes | msgspec.Raw) -> ViewOutcome:
    """Decode what a read view gave. Raises InternalError."""
    try:
        return _view_decoder.decode(encoded)
    except UNREADABLE as error:
        raise errors.InternalError(f"a node's answer cannot be read: {error}") from error


def decoded(encoded: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Decode what else a node answers. Raises InternalError."""
    try:
        return msgspec.msgpack.decode(encoded, type=kind)
    except UNREADABLE as error:
        raise errors.InternalError(f"a node's answer cannot be read: {error}") from error


def evaluated_of(outcome: ScriptOutcome) -> Evaluated:
    """What a transaction's statements gave, or the exception that ended the transaction."""
    if isinstance(outcome, Evaluated):
        return outcome
    if not isinstance(outcome, HoldEnded):
        results_of(outcome, None)
    raise errors.InternalError("a node says that a transaction is committed that was only to be evaluated")


def results_of(outcome: WriteOutcome, token: Token | None) -> Done:
    """The results, or the exception that the outcome stands for."""
    if isinstance(outcome, Done):
        return outcome
    if isinstance(outcome, Failed):
        raise failure(outcome)
    name, seen = (token.name, token.seen) if token is not None else ("", 0)
    if isinstance(outcome, Cancelled):
        raise errors.Cancelled(f"the write {name!r} was not done and never will be: its token was asked about first")
    if isinstance(outcome, Attempted):
        raise errors.TokenReused(f"the token {name!r} belongs to a call that makes several attempts")
    assert isinstance(outcome, Expired)
    raise errors.Expired(
        f"the write {name!r} is older than what the database remembers of its writes",
        token=name,
        seen=seen,
        hint="look in the data itself whether it happened",
    )


def error_class(name: str) -> type[errors.Error]:
    """The class of this name in `quorate.errors`; DatabaseError for one that this version does not know."""
    found = getattr(errors, name, None)
    if isinstance(found, type) and issubclass(found, errors.Error):
        return found
    return errors.DatabaseError


def failure(failed: Failed) -> errors.Error:
    """The exception for a statement that failed; `.statement` says which of a batch (-1: none in particular)."""
    error = error_class(failed.error)(failed.message, hint=failed.hint)
    error.sqlite_errorname = failed.sqlite_errorname
    error.statement = failed.statement
    return error


def refusal(refused: Refused) -> errors.Error:
    """The exception for a request that a node refused before starting it."""
    error = error_class(refused.error)(refused.message, hint=refused.hint)
    error.retryable = refused.retryable
    if isinstance(error, errors.Overloaded):
        error.again = refused.again_us / 1e6
    return error
