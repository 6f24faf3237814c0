"""Fetching a copy of a cluster's database as threads see it.

Generated from `client/copies_aio.py` by `tools/async_to_sync.py`: edit that one.
"""

import os
from collections.abc import Callable
from contextlib import suppress

from quorate import errors
from quorate.client._sync.carrier import Client
from quorate.client.links import LinkLost
from quorate.core.bookmarks import Bookmark
from quorate.core.copy_requests import CopyPart, CopyReport, OpenCopy, ReadCopy
from quorate.core.read_levels import LINEARIZABLE, STRONGEST
from quorate.core.requests import Answer, Refused
from quorate.wire.answers import decoded

ATTEMPTS = 5
"""How often a copy is begun before its caller is told that the nodes are lost again and again."""
PART_TIMEOUT = 10.0
"""Seconds in which a node has to answer with a part of the copy that it keeps."""

Told = Callable[[int, int], None]


class CopyLost(Exception):
    """The node that kept the copy does not have it any more, or cannot be reached."""


def fetch(
    client: Client,
    database: str,
    level: str,
    file: str | os.PathLike[str],
    timeout: float | None,
    told: Told,
    after: Bookmark | None = None,
) -> Answer:
    """Write a copy of a database's file to a new file, on which all of `after` is; the answer says where it stands in
    the database's log. `told` hears how many bytes have come, of how many. `timeout` is for making the copy, and begins
    again with it.

    When its node is lost, another copy is begun, on whatever node answers. Raises Unavailable when that has been for
    nothing too often, OSError, and what a read raises.
    """
    lost: CopyLost | None = None
    for _ in range(ATTEMPTS):
        strongest = level == STRONGEST
        body = OpenCopy(database, LINEARIZABLE if strongest else level, strongest, after)
        answer, call = client.carry(body, database, level=body.level, timeout=timeout)
        report = decoded(answer.outcome, CopyReport)
        try:
            _fetch(client, call.answered_by, report, file, told)
        except CopyLost as error:
            lost = error
        else:
            return answer
    hint = "see quorate status, and try again when no node is restarted any more"
    message = f"not done: {ATTEMPTS} times the node was lost that kept the copy of {database!r}: {lost}"
    raise errors.Unavailable(message, hint=hint) from lost


def _fetch(client: Client, address: str, report: CopyReport, file: str | os.PathLike[str], told: Told) -> None:
    """Raises CopyLost or OSError."""
    offset = 0
    try:
        with open(file, "wb") as out:
            while offset < report.size:
                part = _part(client, address, ReadCopy(report.copy, offset))
                out.write(part)
                offset += len(part)
                told(offset, report.size)
    except OSError:
        _let_go(client, address, report)
        raise
    _let_go(client, address, report)


def _part(client: Client, address: str, body: ReadCopy) -> bytes:
    """Raises CopyLost."""
    try:
        reply = client.ask_again(address, body, PART_TIMEOUT)
    except LinkLost as error:
        client.shun(address)
        raise CopyLost(f"node {address}: {error}") from error
    if isinstance(reply, Refused):
        raise CopyLost(f"node {address}: {reply.message}")
    if not isinstance(reply, Answer):
        raise errors.InternalError(f"a node answered a request with {type(reply).__name__}")
    return decoded(reply.outcome, CopyPart).data


def _let_go(client: Client, address: str, report: CopyReport) -> None:
    """Nobody reads it any more. A node that does not hear of that finds out by itself."""
    with suppress(CopyLost):
        _part(client, address, ReadCopy(report.copy, report.size))
