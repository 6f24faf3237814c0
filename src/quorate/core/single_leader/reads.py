"""Reads at `eventual`, `leader` and `linearizable`.

Linearizable reads are ReadIndex (Ongaro 2014, section 6.4): a leader that has committed an entry of its own
epoch notes its commit index, has a majority confirm that it still leads *after* the read arrived, waits
until that index is applied, and reads. No lease, no clock. A round is named by the node's monotone
heartbeat sequence, never by the request, so that a late or repeated answer cannot confirm a younger read
(the cause of etcd's stale reads of 2025). Reads that arrive during a round share the next one. A follower
asks the leader for the index and then reads its own data.
"""

from typing import Any

from msgspec import Raw

from quorate.core.admission import EXPIRED, ends_us, gone, overloaded
from quorate.core.kernel import NodeId, Now, Query
from quorate.core.requests import EVENTUAL, LEADER, LINEARIZABLE, READ_LEVELS, STRONGEST, Answer, NotLeader, Refused
from quorate.core.single_leader import apply, repair, settling, shipping, state
from quorate.core.single_leader.messages import ReadIndexAsk, ReadIndexReply
from quorate.core.single_leader.state import NOBODY, Group, Known, Read

NOT_PROMISED = Refused(
    "NotSupportedError",
    "linearizable reads are refused with acks = async: a new leader may lack what was acknowledged",
    "use read='leader', or change the acks with `quorate alter`",
)
TOO_LATE = Refused("Unavailable", "the read could not be confirmed in time", "", retryable=True)


COPY: tuple[Any, ...] = ("copy",)
"""Instead of statements: what is read is everything, as a copy (`core.copies`)."""


def submit(group: Group, now: Now, id: int, statements: tuple[Any, ...], level: str) -> None:
    """A caller's read at a level."""
    if level not in (STRONGEST, *READ_LEVELS):
        hint = f"there are: {', '.join(READ_LEVELS)}"
        group.reply(id, Refused("ProgrammingError", f"{level!r} is not a read level", hint))
        return
    if level == STRONGEST:
        level = LINEARIZABLE if group.rules.offers(LINEARIZABLE) else LEADER
    if level == LINEARIZABLE and not group.rules.offers(level):
        group.reply(id, NOT_PROMISED)
        return
    if group.repair.damaged and group.election.leader in (NOBODY, group.me):
        group.reply(id, repair.refusal(group))
    elif not group.apply.opened or group.repair.damaged or group.fetching.switching:
        group.reply(id, NotLeader(group.leader_address()))
    elif _crowded(group):
        group.reply(id, overloaded("too many reads are waiting on this database", group.settings.standing_us))
    elif level == EVENTUAL:
        if group.settling.stack:
            settling.settle_for_reads(group)
        _run(group, id, statements, group.host.until_us)
    elif group.election.role == state.LEADER:
        read = Read(id, statements, now.mono_us, until_us=group.host.until_us)
        if level != LEADER:
            group.reading.waiting.append(read)
            group.host.make_ready(group.group)
        else:
            read.index = max(group.election.noop, min(group.commit.committed, group.commit.persisted))
            group.reading.applying.append(read)
            on_applied(group)
        group.host.keep_busy(group.group)
    elif level == LEADER or group.election.leader == NOBODY or group.host.disk_full:  # what it lacks it cannot take now
        group.reply(id, NotLeader(group.leader_address()))
    else:
        group.reading.numbers += 1
        group.reading.asked[group.reading.numbers] = Read(id, statements, now.mono_us, until_us=group.host.until_us)
        group.send(
            group.election.leader, ReadIndexAsk(group.group, group.election.epoch, group.reading.numbers, group.life)
        )
        group.host.keep_busy(group.group)


def _run(group: Group, id: int, statements: tuple[Any, ...], until_us: int) -> None:
    first = statements[0] if statements else None
    if type(first) is Known:
        group.reply(id, Answer(Raw(first.outcome), group.apply.applied.index))
    elif statements is COPY:
        group.host.copies.open(group.group, id, until_us)
    else:
        group.host.emit(Query(group.group, id, statements, ends_us(until_us, group.host.now_us)))


def _crowded(group: Group) -> bool:
    reading = group.reading
    waiting = len(reading.waiting) + len(reading.confirming) + len(reading.applying) + len(reading.asked)
    return waiting >= group.settings.waiting_requests_max


def begin_round(group: Group) -> None:
    """Have a majority confirm that we lead, for all reads that are waiting."""
    if (
        not group.reading.waiting
        or group.reading.round
        or group.election.role != state.LEADER
        or not group.commit.committed >= group.election.noop > 0
    ):
        return
    group.reading.confirming, group.reading.waiting = group.reading.waiting, []
    group.reading.index = group.commit.committed
    if group.majority_of((group.me,)):
        _finish_round(group)
    else:
        group.reading.round = group.host.start_round(group.group)


def on_confirmed(group: Group, peer: NodeId, sequence: int) -> None:
    """A voter answered heartbeat `sequence` from within our epoch."""
    group.reading.confirmed[peer] = max(group.reading.confirmed.get(peer, 0), sequence)
    if not group.reading.round:
        return
    answered = [peer for peer, confirmed in group.reading.confirmed.items() if confirmed >= group.reading.round]
    if group.majority_of({group.me, *answered}):
        _finish_round(group)


def _finish_round(group: Group) -> None:
    group.reading.round = 0
    confirmed, group.reading.confirming = group.reading.confirming, []
    for read in confirmed:
        read.index = max(read.index, group.reading.index)
        if read.asker:
            shipping.tell_committed(group, read.asker, read.index)
            group.send(read.asker, ReadIndexReply(group.group, group.election.epoch, read.id, read.index))
        else:
            group.reading.applying.append(read)
    on_applied(group)
    if group.reading.waiting:
        group.host.make_ready(group.group)


def on_applied(group: Group) -> None:
    """Serve confirmed reads whose index the data file has reached."""
    if not group.reading.applying:
        return
    ready = [read for read in group.reading.applying if read.index <= group.apply.applied.index]
    group.reading.applying = [read for read in group.reading.applying if read.index > group.apply.applied.index]
    for read in ready:
        if gone(read.until_us, group.host.now_us):
            group.reply(read.id, EXPIRED)
        else:
            _run(group, read.id, read.statements, read.until_us)
    if group.reading.applying:
        settling.settle_for_reads(group)


def on_ask(group: Group, now: Now, sender: NodeId, message: ReadIndexAsk) -> None:
    """A follower asks how far it must have applied."""
    if group.election.role != state.LEADER or message.epoch != group.election.epoch:
        group.send(sender, ReadIndexReply(group.group, group.election.epoch, message.read, -1))
        return
    if sender not in group.progress:
        return  # it is no member any more
    group.progress[sender].spoke_in(message.life)
    group.reading.waiting.append(Read(message.read, (), now.mono_us, asker=sender))
    group.host.make_ready(group.group)


def on_reply(group: Group, _now: Now, sender: NodeId, message: ReadIndexReply) -> None:
    if sender != group.election.leader or message.epoch != group.election.epoch:
        return
    read = group.reading.asked.pop(message.read, None)
    if read is None and 0 < group.repair.heal_read <= message.read and message.index >= 0:
        repair.heard_how_far(group, message.index)
        return
    if read is None:
        return
    if message.index < 0:
        group.reply(read.id, NotLeader(""))
        return
    read.index = message.index
    group.reading.applying.append(read)
    apply.apply_more(group)
    on_applied(group)


def wait(group: Group, read: Read) -> None:
    """This waits with those at the strongest level that the acks promise."""
    if group.rules.offers(LINEARIZABLE):
        group.reading.waiting.append(read)
    else:
        group.reading.applying.append(read)


def begin(group: Group) -> None:
    """As a new leader: nobody has confirmed that we lead."""
    group.reading.confirmed = {}


def refuse_all(group: Group) -> None:
    """We lead no more: none of these may be answered here."""
    for read in (*group.reading.waiting, *group.reading.confirming, *group.reading.applying):
        if not read.asker:
            group.reply(read.id, NotLeader(""))
    group.reading.waiting, group.reading.confirming, group.reading.applying = [], [], []
    group.reading.round = 0


def forget_asked(group: Group) -> None:
    """The leader that was asked is gone."""
    for read in group.reading.asked.values():
        group.reply(read.id, NotLeader(""))
    group.reading.asked.clear()


def tick(group: Group, now: Now) -> bool:
    """Ask again, give up what waited too long. False when no read is waiting."""
    horizon = now.mono_us - group.settings.answer_timeout_us
    for reads in (group.reading.waiting, group.reading.confirming, group.reading.applying):
        for read in [read for read in reads if read.since_us <= horizon]:
            reads.remove(read)
            if not read.asker:
                group.reply(read.id, TOO_LATE)
    for number, read in list(group.reading.asked.items()):
        if read.since_us <= horizon:
            del group.reading.asked[number]
            group.reply(read.id, TOO_LATE)
        elif group.election.leader not in (NOBODY, group.me):
            group.send(group.election.leader, ReadIndexAsk(group.group, group.election.epoch, number, group.life))
    if group.reading.round and not group.reading.confirming:
        group.reading.round = 0
    return bool(group.reading.waiting or group.reading.confirming or group.reading.applying or group.reading.asked)
