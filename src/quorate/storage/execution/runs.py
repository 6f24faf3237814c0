"""Calls that commit once, however many attempts they make: what the window remembers of one under its token.

While none has been committed, that is the number of the newest attempt. A lower one can do nothing any more; so whoever
begins another knows what became of those before. Then it is the number of the one that was committed, and every later
one is told so.
"""

from quorate.core.requests import Done, Outcome, Write
from quorate.core.scripts import Attempted, BeginAttempt, Script
from quorate.core.statements import Failed, Result
from quorate.storage.data.window import REUSED
from quorate.storage.rows.payload import decode_outcome, encode

OPEN = encode(Attempted(0))[:-1]
"""How what is remembered of one begins, of which no attempt has been committed."""


def committed_by(attempt: int) -> bytes:
    """The outcome of all attempts, once this one has been committed."""
    return encode(Done((Result((("attempt", None),), [(attempt,)], -1),)))


def next_attempt(known: bytes | None) -> bytes:
    """The outcome of the request that begins another."""
    return encode(Attempted(_number(known) + 1))


def barred(request: Write, known: bytes) -> bytes | None:
    """The outcome of a request under the token of a run of which no attempt has been committed; None: it is carried
    out."""
    if isinstance(request, BeginAttempt | Outcome):
        return None
    if not isinstance(request, Script) or request.run is None:
        return REUSED
    newest = _number(known)
    if request.run.attempt >= newest:
        return None
    message = f"attempt {request.run.attempt} comes too late: attempt {newest} has begun"
    return encode(Failed("Cancelled", message, "nothing of it was done"))


def _number(known: bytes | None) -> int:
    found = None if known is None else decode_outcome(known)
    return found.attempt if isinstance(found, Attempted) else 0
