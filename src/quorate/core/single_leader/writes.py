"""A leader's writes: execute -> replicate -> commit, one batch at a time, a result for each caller.

One batch is outstanding in a group; everything that arrives meanwhile becomes the next one, so batches
grow with load (group commit). Nothing is visible to a reader before it is counted.
"""

from typing import Any

from msgspec import Raw

from quorate.core.kernel import DATA, Entry, Execute, Executed, Now, Position, Rollback
from quorate.core.requests import Answer, CommitHeld, NotLeader, Refused, Run, Unsure
from quorate.core.single_leader import acks, shipping
from quorate.core.single_leader.state import LEADER, Batch, Group, Waiting

TOO_LARGE = Refused(
    "OperationalError",
    "the changes of this write are larger than one log entry may be",
    "change fewer rows at a time",
)


def submit(group: Group, now: Now, id: int, body: Any) -> None:
    """A caller's write. Refusals mean that it was not done."""
    if group.role != LEADER or group.transfer_to:
        group.reply(id, NotLeader(group.leader_address()))
    elif len(group.queue) >= group.settings.waiting_requests_max:
        refusal = Refused("Overloaded", "too many writes are waiting on this database", "try again later", True)  # noqa: FBT003
        group.reply(id, refusal)
    else:
        group.queue.append(Waiting(id, body, now.mono_us))
        group.host.keep_busy(group.group)
        if group.batch is None:
            group.host.make_ready(group.group)


def start_batch(group: Group, now: Now) -> None:
    """Run what is waiting, if nothing is under way and everything logged is applied."""
    if group.batch is not None or not group.queue or group.applying or not group.leads_ready:
        return
    if group.applied.index != group.log.last.index or group.host.disk_full:
        return
    requests = _take(group)
    group.batches += 1
    group.batch = Batch(group.batches, requests)
    group.host.keep_busy(group.group)
    bodies = tuple(request.body for request in requests)
    group.host.emit(Execute(group.group, group.batches, bodies, now.wall_us))


def _take(group: Group) -> list[Waiting]:
    """The next batch: as many as fit; a held transaction goes alone, as does what was too large before."""
    requests: list[Waiting] = []
    size = 0
    while group.queue and len(requests) < group.settings.batch_requests_max:
        body = group.queue[0].body
        alone = isinstance(body, CommitHeld) or group.alone > 0
        size += weight(body)
        if requests and (alone or size > group.settings.batch_bytes_max):
            break
        requests.append(group.queue.popleft())
        if alone:
            group.alone = max(0, group.alone - 1)
            break
    return requests


def weight(body: Any) -> int:
    """About how many bytes a request carries."""
    if not isinstance(body, Run):
        return 64
    size = 64
    for statement in body.statements:
        size += len(statement.sql)
        for parameters in statement.sets:
            values = parameters.values() if isinstance(parameters, dict) else parameters
            for value in values:
                size += len(value) if isinstance(value, str | bytes) else 8
    return size


def on_executed(group: Group, now: Now, event: Executed) -> None:
    """The batch ran in the open transaction: log it, or answer at once when nothing needs logging."""
    batch = group.batch
    if batch is None or batch.number != event.batch or batch.position.index:
        return
    assert group.role == LEADER, "a batch outlived its leader"
    assert len(event.outcomes) == len(batch.requests), "one outcome for each request"
    batch.outcomes = event.outcomes
    if event.payload is None:
        group.host.emit(Rollback(group.group))
        _answer(group, batch, group.applied)
    elif len(event.payload) > group.settings.entry_bytes_max:
        group.host.emit(Rollback(group.group))
        _split(group, batch)
    else:
        entry = Entry(group.log.last.index + 1, group.epoch, DATA, event.payload)
        batch.position = Position(entry.epoch, entry.index)
        group.bytes_since_checkpoint += len(event.payload)
        shipping.append(group, now, (entry,))


def _split(group: Group, batch: Batch) -> None:
    """Too large for one entry: run each of its requests alone, and refuse the one that still is."""
    group.batch = None
    if len(batch.requests) == 1:
        group.answer_all(batch.requests, TOO_LARGE)
    else:
        group.queue.extendleft(reversed(batch.requests))
        group.alone = len(batch.requests)
    group.host.make_ready(group.group)


def on_counted(group: Group) -> None:
    """Commit the batch once its entry is counted and this node's own log holds it durably."""
    batch = group.batch
    if batch is None or batch.committing or not batch.position.index:
        return
    if min(group.counted, group.persisted) >= batch.position.index:
        assert group.log.epoch_at(batch.position.index) == batch.position.epoch, "the batch's entry was replaced"
        acks.commit_batch(group)


def finish(group: Group) -> None:
    """The batch is committed: each caller gets its own result."""
    batch = group.batch
    assert batch is not None
    assert group.applied == batch.position, "the data file does not stand at the batch"
    _answer(group, batch, batch.position)


def _answer(group: Group, batch: Batch, position: Position) -> None:
    group.batch = None
    if not batch.told:
        for request, outcome in zip(batch.requests, batch.outcomes, strict=True):
            group.reply(request.id, Answer(Raw(outcome), position.index))
    group.host.make_ready(group.group)


def unsure(group: Group, batch: Batch) -> None:
    """Logged, but not known to be counted: say so."""
    if not batch.told:
        group.answer_all(batch.requests, Unsure(""))
        batch.told = True


def refuse_queue(group: Group, body: Any) -> None:
    """Answer everything that has not begun."""
    waiting = list(group.queue)
    group.queue.clear()
    group.answer_all(waiting, body)


def tick(group: Group, now: Now) -> None:
    """Tell callers who have waited too long what is true of their write."""
    horizon = now.mono_us - group.settings.answer_timeout_us
    batch = group.batch
    if batch is not None and batch.position.index and batch.requests[0].since_us <= horizon:
        unsure(group, batch)
    while group.queue and group.queue[0].since_us <= horizon:
        refusal = Refused("Unavailable", "the database could not take writes in time", "", retryable=True)
        group.reply(group.queue.popleft().id, refusal)
