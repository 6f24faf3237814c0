"""A leader's writes: execute -> replicate -> answer -> commit, a result for each caller.

What arrives while a batch is under way becomes the next one, so batches grow with load (group commit). While one is
being replicated the next may already run on top of it, in the same open transaction (`Settings.batches_ahead`);
a caller is answered once its own is committed, and `settling` commits them together. Nothing is visible to a reader
before it is committed.
"""

from collections import deque
from typing import Any

from msgspec import Raw, structs

from quorate.core.ack_policy import spell
from quorate.core.admission import EXPIRED, overloaded
from quorate.core.calls import Request
from quorate.core.entries import ACKS, DATA, Entry
from quorate.core.executing import Execute, Executed
from quorate.core.kernel import CATALOG_GROUP, Now
from quorate.core.limits import ENTRY_BYTES_MAX
from quorate.core.requests import Answer, CommitHeld, NotLeader, Outcome, Refused, Run
from quorate.core.scripts import Script
from quorate.core.single_leader import apply, evaluating, holding, long_writes, repair, sessions, settling, shipping
from quorate.core.single_leader.owned import NOBODY
from quorate.core.single_leader.records import Batch
from quorate.core.single_leader.roles import LEADER
from quorate.core.single_leader.state import Group
from quorate.core.streams import Merge
from quorate.core.weights import weight

TOO_LARGE = Refused(
    "TooLarge",
    f"the changes of this write, and what is remembered of it, have more than {ENTRY_BYTES_MAX} bytes",
    "change fewer rows at a time",
)

NOT_TOLD = Refused(
    "NotSupportedError",
    "the outcome of a change of the cluster cannot be asked for",
    "`quorate status` and `quorate member list` show whether it was made",
)
"""A change of members is written under a token that its leader makes of the caller's: whoever asked for the caller's
own would be told, of a change that was made, that it never will be."""


ALONE = (CommitHeld, Merge)
CROWD_STAYS = 7
"""So many eighths of a crowd are still expected with the next batch when fewer were under way."""


def submit(group: Group, now: Now, request: Request) -> bool:
    """A caller's write: whether it waits for its turn now (then `joined` is called once all have come that came with
    it). Refusals mean that it was not done."""
    if group.host.disk_full or (group.election.leader == NOBODY and now.mono_us < group.apply.no_room_until_us):
        led = group.election.leader not in (NOBODY, group.me)
        group.reply(request.id, NotLeader(group.leader_address()) if led else apply.refusal(group))
    elif takes_writes(group):
        return join(group, now, request)
    elif group.group == CATALOG_GROUP and type(request.body) is Outcome:
        group.reply(request.id, NOT_TOLD)
    elif group.repair.damaged and group.election.leader in (NOBODY, group.me):
        group.reply(request.id, repair.refusal(group))
    elif not _stays_leader(group):
        _submit_elsewhere(group, now, request)
    elif _waits_in_vain(group):
        group.reply(request.id, _not_held(group))
    else:
        return join(group, now, request)
    return False


def takes_writes(group: Group) -> bool:
    """Whether any write may join the queue, as long as that is not too long."""
    return (
        group.group != CATALOG_GROUP and not group.repair.damaged and _stays_leader(group) and not _waits_in_vain(group)
    )


def _stays_leader(group: Group) -> bool:
    return group.election.role == LEADER and not (group.handover.to and group.handover.transfer is None)


def _waits_in_vain(group: Group) -> bool:
    """The oldest batch has waited for its acks for too long, and no other rule is on its way."""
    return bool(group.writes.flight) and group.writes.flight[0].told and not group.rules.coming


def join(group: Group, now: Now, request: Request) -> bool:
    """A write comes to the end of the queue, unless that is too long."""
    queue, kind = group.writes.queue, type(request.body)
    after = request.body.after if kind is Run or kind is Script else None
    if after is not None:
        has = sessions.log_has(group, after.places)
        if has != sessions.HAS:
            group.reply(request.id, sessions.lost(group) if has == sessions.LOST else NotLeader(""))
            return False
    refusal = group.writes.admission.refusal(now.mono_us, request.until_us, len(queue))
    if refusal is not None:
        group.reply(request.id, refusal)
        return False
    if kind is Script:
        holding.joins(group, request)
    queue.append(request if request.since_us else structs.replace(request, since_us=now.mono_us))
    return True


def joined(group: Group) -> None:
    """Writes have come into the queue."""
    group.host.keep_busy(group.group)
    if group.holding.name:
        holding.joined(group)
    if group.holding.asked or _gathered(group):
        if may_start(group):
            group.host.make_ready(group.group)
    elif not group.writes.gathering and may_start(group):
        _await_more(group)


def _submit_elsewhere(group: Group, now: Now, request: Request) -> None:
    """To a replica that does not lead, or not for much longer."""
    transfer = group.handover.transfer
    if transfer is not None and len(transfer.waiting) < group.settings.waiting_requests_max:
        transfer.waiting.append(request if request.since_us else structs.replace(request, since_us=now.mono_us))
    else:
        group.reply(request.id, NotLeader(group.leader_address()))


def in_vain(group: Group) -> bool:
    """Every batch in flight has waited for too long, and its callers were told so."""
    return bool(group.writes.flight) and all(batch.told for batch in group.writes.flight)


def _not_held(group: Group) -> Refused:
    """Others have waited in vain for long: nobody new joins them."""
    rule = group.rules.newest
    away = [str(peer) for peer, progress in group.progress.items() if progress.matched < group.log.last.index]
    message = (
        f"with acks = {rule} a write needs {group.rules.holders(len(group.voters))} disks, and others wait in vain"
    )
    hint = f"waiting for node {', '.join(away)}; `quorate alter` can weaken the acks" if away else ""
    return Refused("Unavailable", message, hint, retryable=True)


def may_start(group: Group) -> bool:
    """Whether a batch may run now: on top of everything that is logged, and of not too much that is not committed."""
    writes, settling = group.writes, group.settling
    if settling.stack and (settling.due or len(writes.flight) >= group.settings.batches_ahead):
        return False
    if writes.batch is not None or group.apply.applying or group.host.disk_full or group.holds_writes:
        return False
    covered = settling.covered if settling.stack else group.apply.applied.index
    return covered == group.log.last.index and group.leads_ready


def wants_other_acks(group: Group) -> bool:
    """Whether this replica leads, and its log says something else than the catalog wants."""
    return group.rules.differs and group.election.role == LEADER


def begin_what_waits(group: Group) -> None:
    """Something that stood in the way is gone: see what may begin now, if anybody waits for it."""
    waited_for = (
        group.writes.queue or group.reading.waiting or group.verifying.wanted or group.handover.transfer is not None
    )
    if waited_for or (group.rules.differs and wants_other_acks(group)):
        group.host.make_ready(group.group)


def reconcile(group: Group, now: Now) -> None:
    """As leader: when the catalog wants other acks than the log says, say so in the log."""
    rules = group.rules
    if not rules.differs or rules.coming or not group.leads_ready or group.host.disk_full or group.holds_writes:
        return
    if group.writes.batch is None and rules.wanted is not None:
        wanted = rules.wanted.text
        settling.settle_now(group)
        entry = Entry(group.log.last.index + 1, group.election.epoch, ACKS, spell(wanted, group.me))
        group.note("acks_changes", to=wanted)
        shipping.append(group, now, (entry,))


def _gathered(group: Group) -> bool:
    """Whether half of all who wrote at a time lately are waiting.

    Batches cost the same however few are in them, and callers who were answered together come back one after the
    other: (1) a batch of 60 is answered; (2) the first of them to come back would have a batch for itself, and (3) the
    other 59 the one behind it, again and again. With half and half, one half waits while the other is replicated.
    """
    return len(group.writes.queue) >= min(group.writes.crowd, group.settings.batch_requests_max) // 2


def _await_more(group: Group) -> None:
    if not group.writes.gathering:
        group.writes.gathering = len(group.writes.queue)
        group.host.set_timer(group.gather_timer, group.host.now_us + group.settings.gather_us)


def on_gather_timer(group: Group, now: Now) -> None:
    """The crowd is not what it was, or slow: expect less of it, and nobody when nobody has come."""
    if group.writes.gathering:
        group.writes.crowd = group.writes.crowd // 2 if len(group.writes.queue) > group.writes.gathering else 0
        group.writes.gathering = 0
        start_batch(group, now)


def start_batch(group: Group, now: Now) -> None:
    """Run what is waiting, once that is worth a batch."""
    writes = group.writes
    if not writes.queue or not may_start(group):
        return
    if group.holding.asked or group.holding.name:
        alone, others = holding.pick(group, now)
        if alone is not None:
            _start_alone(group, now, alone)
        if not others or not writes.queue:
            return
    if not _gathered(group):
        _await_more(group)
        return
    under_way = len(writes.queue)
    for each in writes.flight:
        under_way += len(each.requests)
    writes.crowd = max(under_way, writes.crowd * CROWD_STAYS // 8)
    writes.gathering = 0
    requests = _take_others(group, now) if group.holding.asked else _take(group, now)
    if not requests:
        return
    _start(group, now, requests, alone=requests[0].long)
    if writes.queue:
        _refuse_hopeless(group, now.mono_us)


def _start(group: Group, now: Now, requests: list[Request], *, alone: bool) -> None:
    writes = group.writes
    writes.batches += 1
    writes.batch = batch = Batch(writes.batches, requests, since_us=now.mono_us, alone=alone)
    group.host.keep_busy(group.group)
    group.host.emit(_execute(group, now, batch))


def _start_alone(group: Group, now: Now, request: Request) -> None:
    """Run this one of a transaction that holds the writer, or is to; once what is open is committed, if others wrote
    it."""
    if refused := group.host.access.revoked(request, now):
        group.writes.take_out(request)
        group.reply(request.id, refused)
        group.host.make_ready(group.group)
    elif group.holding.name or long_writes.may_begin(group):
        group.writes.take_out(request)
        group.writes.gathering = 0
        group.writes.admission.took(now.mono_us, 1, 0)
        _start(group, now, [holding.begins(group, request, group.writes.batches + 1)], alone=True)


def _take_others(group: Group, now: Now) -> list[Request]:
    """The next batch of those that hold nothing."""
    holders: list[Request] = []
    others: list[Request] = []
    for request in group.writes.queue:
        (others if holding.hold_of(request) is None else holders).append(request)
    group.writes.queue = deque(others)
    requests = _take(group, now)
    group.writes.put_first(holders)
    if requests:
        holding.others_begin(group)
    return requests


def _execute(group: Group, now: Now, batch: Batch) -> Execute:
    bodies = tuple([request.body for request in batch.requests])
    settings, first, epoch = group.settings, batch.requests[0], group.election.epoch
    if batch.alone:
        if not holding.commits(first):  # whose client would ask nobody else if this node were lost
            long_writes.tell(group, first)
    elif settings.long_us and type(first.body) is not Merge:
        return Execute(group.group, batch.number, bodies, now.wall_us, settings.batch_us, settings.long_us, epoch=epoch)
    ends_us = long_writes.ends_us(group, now, first)
    return Execute(group.group, batch.number, bodies, now.wall_us, settings.batch_us, 0, ends_us, batch.alone, epoch)


def _refuse_hopeless(group: Group, now_us: int) -> None:
    """Those who came last, while it was not known how long a write takes, and would wait for too long."""
    room = group.writes.admission.room(now_us)
    while len(group.writes.queue) > room:
        wait_us = len(group.writes.queue) * group.settings.burst_us // room
        refusal = overloaded(f"{len(group.writes.queue)} requests are waiting, for too long", wait_us)
        group.reply(group.writes.queue.pop().id, refusal)


def _take(group: Group, now: Now) -> list[Request]:
    """The next batch: as many as fit; a held transaction goes alone, as does what was too large before, or takes long.
    Nothing while what was executed before such a one is to be committed."""
    requests: list[Request] = []
    writes, settings, now_us, access = group.writes, group.settings, now.mono_us, group.host.access
    queue, room, enough = writes.queue, settings.batch_bytes_max, _enough(group)
    most = min(settings.batch_requests_max, writes.admission.fit())
    long_size, texts, undone = long_writes.long_size(group), group.long_texts, writes.alone > 0
    fits = len(queue) == 1 and not settings.long_us  # whatever it weighs
    for _ in range(len(queue)):
        first = queue[0]
        if 0 < first.until_us <= now_us:
            group.reply(queue.popleft().id, EXPIRED)
            continue
        body = first.body
        if access.guards and (refused := access.revoked(first, now)):
            group.reply(queue.popleft().id, refused)
            continue
        weighs = 0 if fits else first.size or weight(body, enough)
        room -= weighs
        if weighs >= long_size or (texts and long_writes.took_long(group, body)):
            queue[0] = first = structs.replace(first, long=True)
        if first.long or undone or type(body) in ALONE:
            if requests:
                break
            if first.long and not long_writes.may_begin(group):
                return requests
            requests.append(queue.popleft())
            writes.alone = max(0, writes.alone - 1)
            break
        if len(requests) == most or (room < 0 and requests):
            break
        requests.append(queue.popleft())
    writes.admission.took(now_us, len(requests), 0 if _is_exception(group, requests) else len(queue))
    return requests


def _is_exception(group: Group, requests: list[Request]) -> bool:
    """Whether this takes long, and what comes behind it does not: it says nothing of how long others take."""
    if not requests or not requests[0].long:
        return False
    if not group.writes.queue:
        return True
    first = group.writes.queue[0]
    return not long_writes.is_long(group, first, first.size or weight(first.body, _enough(group)))


def _enough(group: Group) -> int:
    """So many bytes, and a request goes alone, however many more it has."""
    settings = group.settings
    return settings.long_bytes if settings.long_us else settings.batch_bytes_max + 1


def on_executed(group: Group, now: Now, event: Executed) -> None:
    """The batch ran in the open transaction: log it, or answer at once when nothing needs logging."""
    writes = group.writes
    batch = writes.batch
    if batch is None or batch.number != event.batch or batch.position.index:
        return
    ran = len(event.outcomes)
    assert group.election.role == LEADER, "a batch outlived its leader"
    assert 0 < ran <= len(batch.requests), "one outcome for each request that ran"
    batch.outcomes = event.outcomes
    holding.executed(group, now, batch, event.ticket)
    if batch.alone:
        long_writes.ran(group, now)
    else:
        writes.admission.ran(now.mono_us - batch.since_us, ran)
    if ran < len(batch.requests):  # its time was spent: the others have their turn with the next
        writes.queue.extendleft(reversed(batch.requests[ran:]))
        del batch.requests[ran:]
    size, kind = 0 if event.payload is None else len(event.payload), batch.kind
    if event.payload is None:
        _repeated(group, batch)
    elif size > group.settings.entry_bytes_max and kind == DATA:
        settling.roll_back(group)
        _split(group, batch)
    else:
        shipping.append(group, now, (Entry(group.log.last.index + 1, group.election.epoch, kind, event.payload),))
        batch.position = group.log.last
        writes.batch = None
        writes.flight.append(batch)
        apply.executed(group, size)
        settling.put_on_top(group, batch, size)
        settling.settle(group)
        begin_what_waits(group)


def _repeated(group: Group, batch: Batch) -> None:
    """Nothing needs to be logged; but what was answered before may be in a batch that is not committed yet, or
    committed with a no-op and not held as the ack policies ask."""
    group.writes.batch = None
    applied = min(group.commit.committed, group.commit.persisted)
    evaluating.set_apart(group, batch)
    if not batch.requests:
        pass
    elif group.writes.flight or group.commit.held < applied:
        batch.position = group.log.last if group.writes.flight else group.log.position_at(applied)
        group.writes.flight.append(batch)
    else:
        batch.position = group.log.position_at(applied)
        _answer(group, batch)
    settling.settle(group)
    begin_what_waits(group)


def put_back(group: Group) -> None:
    """The data file has no room, and nobody else is to lead: undo what is open. What was not logged of it is refused;
    the rest comes back from the log once there is room."""
    if group.writes.batch is not None or group.settling.stack or group.holding.name:
        settling.roll_back(group)
    if group.writes.batch is not None:
        group.answer_all(group.writes.batch.requests, apply.refusal(group))
        group.writes.batch = None


def _split(group: Group, batch: Batch) -> None:
    """Too large for one entry: run each of its requests alone, and refuse the one that still is."""
    group.writes.batch = None
    if len(batch.requests) == 1:
        group.answer_all(batch.requests, TOO_LARGE)
    else:
        group.writes.queue.extendleft(reversed(batch.requests))
        group.writes.alone = len(batch.requests)
    group.host.make_ready(group.group)


def on_committed(group: Group) -> None:
    """Answer each caller whose entry is committed, held as the ack policies ask, and durable in this node's own log."""
    commit = group.commit
    reach = min(commit.committed, commit.persisted, commit.held)
    flight = group.writes.flight
    if flight and flight[0].position.index <= reach:
        while flight and flight[0].position.index <= reach:
            batch = flight.popleft()
            if batch.position is not group.log.last:
                known = group.log.epoch_at(batch.position.index)  # None: it waited for acks, and is trimmed by now
                assert known in (batch.position.epoch, None), "the batch's entry was replaced"
            _answer(group, batch)
        begin_what_waits(group)
    if group.settling.due:  # what is not due when a batch is executed has a timer
        settling.settle(group)


def _answer(group: Group, batch: Batch) -> None:
    """Each caller gets its own result."""
    if not batch.told:
        index, epoch, number = batch.position.index, batch.position.epoch, group.group
        told = zip(batch.requests, batch.outcomes, strict=True)
        group.reply_all([(each.id, Answer(Raw(outcome), index, epoch, number)) for each, outcome in told])


def unsure(group: Group, batch: Batch) -> None:
    """Logged, but not known to be committed: say so."""
    if not batch.told:
        for request in batch.requests:
            group.reply(request.id, evaluating.unsure(request))
        batch.told = True


def _first_read_us(group: Group) -> int:
    """Since when a read waits for something that is committed already."""
    times = [read.since_us for read in group.reading.applying if read.index <= group.commit.committed]
    return min(times, default=1 << 62)


def refuse_queue(group: Group, body: Any) -> None:
    """Answer everything that has not begun."""
    waiting = list(group.writes.queue)
    group.writes.queue.clear()
    group.answer_all(waiting, body)


def take_all(group: Group) -> list[Request]:
    """As one who leads no more: what has not begun, for whoever does lead."""
    waiting = list(group.writes.queue)
    group.writes.queue.clear()
    group.writes.alone = 0
    return waiting


def abandon(group: Group) -> None:
    """As one who leads no more: undo what is not logged, and tell callers what is true."""
    if group.writes.batch is not None or group.settling.stack or group.holding.name:
        settling.roll_back(group)
    if group.writes.batch is not None:
        group.answer_all(group.writes.batch.requests, NotLeader(""))
        group.writes.batch = None
    for batch in group.writes.flight:
        unsure(group, batch)
    group.writes.flight.clear()


def tick(group: Group, now: Now) -> None:
    """Tell callers who have waited too long what is true of their write."""
    horizon = now.mono_us - group.settings.answer_timeout_us
    for batch in group.writes.flight:
        if batch.requests[0].since_us <= horizon:
            unsure(group, batch)
    long_writes.refuse_late(group, now)
    if (
        group.settling.stack
        and group.writes.batch is None
        and now.mono_us - group.settings.retry_us >= _first_read_us(group)
    ):
        settling.roll_back(group)  # what is on top takes long to be committed: let the reads see what is below it
    while group.writes.queue and group.writes.queue[0].since_us <= horizon:
        refusal = Refused("Unavailable", "the database could not take writes in time", "", retryable=True)
        group.reply(group.writes.queue.popleft().id, refusal)
