"""A transaction that holds the writer: what it has done stays open, and runs once.

A hold is a lease and promises nothing: its client has all statements, and what each gave. Whenever it ends early (its
limits, a leader that steps down, an entry that must be applied, a lost answer) the next request is told `HoldEnded`, or
does not know of it; all statements run again then, and are compared, as in a transaction that holds nothing.

In steps:

1. A request asks (`Hold` without a ticket). What lies in the open transaction is committed first.
2. It runs alone, beside all else, as a write that takes long does. What it did stays open, under a ticket (`Executed`).
3. Requests with that ticket run next, alone; each answer has a new ticket. So a request that was sent twice, or comes
   late, cannot run on what its caller has not seen.
4. COMMIT is logged as any batch; `LetGo`, or whatever undoes the open transaction, ends the hold.

Others' writes wait meanwhile. They are not kept waiting for ever: while somebody waits, a hold lasts for
`Settings.hold_us` at most, and for `Settings.hold_idle_us` behind its last statement. When it ends, those who waited go
first, and the next hold begins when as much time has gone by as they have waited, or nobody waits.
"""

from msgspec import Raw, msgpack, structs

from quorate.core.admission import EXPIRED
from quorate.core.calls import Request
from quorate.core.kernel import Now
from quorate.core.requests import Answer, Done, Refused
from quorate.core.scripts import Hold, HoldEnded, LetGo, Script
from quorate.core.single_leader import settling
from quorate.core.single_leader.records import Batch
from quorate.core.single_leader.state import Group

_encode = msgpack.Encoder().encode
_ENDED = Answer(Raw(_encode(HoldEnded())))
_LET_GO = Answer(Raw(_encode(Done(()))))
LEFT = Refused("Unavailable", "not done: the transaction was rolled back meanwhile", retryable=True)


def hold_of(request: Request) -> Hold | None:
    """What a request says of a hold, if it does."""
    return request.body.hold if type(request.body) is Script else None


def joins(group: Group, request: Request) -> None:
    """A request that says something of a hold comes to the end of the queue."""
    hold = hold_of(request)
    if hold is not None:
        group.holding.asked = True
        if hold.name == group.holding.name:
            group.holding.used_us = group.host.now_us


def joined(group: Group) -> None:
    """Requests have come while somebody holds."""
    if not group.holding.waited_for_us and _others_wait(group):
        group.holding.waited_for_us = group.host.now_us


def commits(request: Request) -> bool:
    """Whether this one ends a hold well."""
    return hold_of(request) is not None and request.body.commit


def pick(group: Group, now: Now) -> tuple[Request | None, bool]:
    """The request that is to run alone now, if one is; and whether others may run instead."""
    holding = group.holding
    first: Request | None = None
    if holding.name and _is_over(group, now) and _others_wait(group):
        _undo(group)
    if not holding.asked:
        return None, not holding.name
    others = holding.asked = False
    for request in list(group.writes.queue):
        hold = hold_of(request)
        if hold is None:
            others = True
        elif 0 < request.until_us <= now.mono_us:
            group.writes.take_out(request)
            group.reply(request.id, EXPIRED)
        elif hold.ticket and hold.ticket != holding.ticket:
            others = _ended(group, request) or others
        else:
            holding.asked = True
            if first is None and (not holding.name or hold.name == holding.name):
                first = request
    if holding.name:
        return first, False
    if first is not None and (not others or (not holding.owed and now.mono_us >= holding.rests_until_us)):
        return first, False
    return None, True


def _ended(group: Group, request: Request) -> bool:
    """What it was to go on with is not open any more. COMMIT has all statements, and can do without. Whether it waits
    as others do now."""
    group.writes.take_out(request)
    if request.body.commit:
        group.writes.put_first((structs.replace(request, body=structs.replace(request.body, hold=None)),))
    else:
        group.reply(request.id, _ENDED)
    return bool(request.body.commit)


def others_begin(group: Group) -> None:
    """A batch of those begins who had to wait."""
    group.holding.owed = False


def begins(group: Group, request: Request, number: int) -> Request:
    """This one runs next, in the batch of this number: the same with the ticket of what will be open then."""
    body = request.body
    ticket = f"{group.me}.{group.host.boot}.{number}"
    return structs.replace(request, body=structs.replace(body, hold=structs.replace(body.hold, next=ticket)))


def executed(group: Group, now: Now, batch: Batch, ticket: str) -> None:
    """Its batch has run, and what it did stays open under this ticket; empty: it does not."""
    hold, holding = hold_of(batch.requests[0]), group.holding
    if hold is None:
        return
    if not ticket:
        holding.end(now.mono_us)
        return
    if holding.name != hold.name:
        holding.name, holding.since_us = hold.name, now.mono_us
        holding.waited_for_us = batch.since_us if _others_wait(group) else 0
    holding.ticket, holding.used_us = ticket, now.mono_us


def put_off(group: Group) -> None:
    """Something else needs the writer: undo what is open."""
    if group.holding.name:
        _undo(group)
        group.host.make_ready(group.group)


def _undo(group: Group) -> None:
    group.note("hold_ended")
    settling.roll_back(group)


def _is_over(group: Group, now: Now) -> bool:
    """Whether it has lasted, or was left alone, for longer than others are to wait."""
    holding, settings = group.holding, group.settings
    idle = now.mono_us - holding.used_us > settings.hold_idle_us
    return idle or now.mono_us - holding.since_us > settings.hold_us


def _others_wait(group: Group) -> bool:
    for request in group.writes.queue:
        hold = hold_of(request)
        if hold is None or hold.name != group.holding.name:
            return True
    return False


def let_go(group: Group, id: int, body: LetGo) -> None:
    """Its caller wants it no more: nothing of it runs, nor will."""
    writes = group.writes
    for request in list(writes.queue):
        hold = hold_of(request)
        if hold is not None and hold.name == body.name:
            writes.take_out(request)
            group.reply(request.id, LEFT)
    batch = writes.batch
    if batch is not None and (hold := hold_of(batch.requests[0])) is not None and hold.name == body.name:
        settling.roll_back(group)
        writes.end_batch()
        group.answer_all(batch.requests, LEFT)
        group.host.make_ready(group.group)
    elif group.holding.name == body.name:
        put_off(group)
    group.reply(id, _LET_GO)
