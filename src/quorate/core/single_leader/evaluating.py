"""What a transaction's statements gave on the leader, when its batch has nothing to log.

They ran on what was executed by then, so their caller hears of it when all of that is committed and applied; and not
before a majority has confirmed that this node still leads, or it might tell of an old state. That is what a read at
linearizable waits for, so it waits with those.
"""

from quorate.core.calls import Request
from quorate.core.requests import NotLeader, Unsure
from quorate.core.scripts import Script
from quorate.core.single_leader import reads
from quorate.core.single_leader.records import Batch, Known, Read
from quorate.core.single_leader.state import Group


def unsure(request: Request) -> Unsure | NotLeader:
    """What to say of a request in a batch of which nobody knows whether it is committed. What was only evaluated is not
    done in any case."""
    body = request.body
    return NotLeader("") if type(body) is Script and not body.commit else Unsure("")


def set_apart(group: Group, batch: Batch) -> None:
    """Take the scripts out of a batch that was executed and has nothing to log, and have them wait with the reads."""
    if not any(type(request.body) is Script for request in batch.requests):
        return
    others: list[tuple[Request, bytes]] = []
    for request, outcome in zip(batch.requests, batch.outcomes, strict=True):
        if type(request.body) is Script:
            _wait(group, request, outcome)
        else:
            others.append((request, outcome))
    batch.requests = [request for request, _ in others]
    batch.outcomes = tuple([outcome for _, outcome in others])
    reads.on_applied(group)


def _wait(group: Group, request: Request, outcome: bytes) -> None:
    read = Read(request.id, Known(outcome), request.since_us, until_us=request.until_us)
    read.index = group.log.last.index
    reads.wait(group, read)
    group.host.make_ready(group.group)
    group.host.keep_busy(group.group)
