"""Reads at every level (`core.read_levels`): which replica answers, and when.

Linearizable reads are ReadIndex (Ongaro 2014, section 6.4): a leader that has committed an entry of its own
epoch notes its commit index, has a majority confirm that it still leads *after* the read arrived, waits
until that index is applied, and reads. No lease, no clock. A round is named by the node's monotone
heartbeat sequence, never by the request, so that a late or repeated answer cannot confirm a younger read
(the cause of etcd's stale reads of 2025). Reads that arrive during a round share the next one. A follower
asks the leader for the index and then reads its own data.

What such a round has found out stays true: up to that index lies all that was acknowledged before it was asked for. So
a bounded read runs at once where one was asked for within the bound, and begins another elsewhere.
"""

from collections.abc import Callable

from msgspec import Raw

from quorate.core.admission import EXPIRED, ends_us, gone, overloaded
from quorate.core.bookmarks import Reached
from quorate.core.bounds import NodeId
from quorate.core.kernel import Now
from quorate.core.querying import Query
from quorate.core.read_levels import (
    BOUNDED,
    EVENTUAL,
    LEADER,
    LINEARIZABLE,
    READ_LEVELS,
    SESSION,
    SPELLINGS,
    STRONGEST,
    NoSuchLevel,
    parse,
)
from quorate.core.requests import Answer, NotLeader, Refused
from quorate.core.single_leader import apply, repair, roles, sessions, settling, shipping
from quorate.core.single_leader.messages import ReadIndexAsk, ReadIndexReply
from quorate.core.single_leader.owned import NOBODY
from quorate.core.single_leader.records import Known, Read, Subject
from quorate.core.single_leader.state import Group
from quorate.core.view_requests import OpenView

NOT_PROMISED = Refused(
    "NotSupportedError",
    "linearizable reads are refused with acks = async: a new leader may lack what was acknowledged",
    "use read='leader', or change the acks with `quorate alter`",
)
TOO_LATE = Refused("Unavailable", "the read could not be confirmed in time", "", retryable=True)
NOT_REACHED = Refused("Unavailable", "this replica has not reached the session's bookmark in time", "", retryable=True)


def submit(
    group: Group,
    now: Now,
    id: int,
    what: Subject,
    level: str,
    after: tuple[Reached, ...] = (),
) -> None:
    """A caller's read at a level, on a state that includes `after`."""
    try:
        wanted, bound_us = parse(_strongest(group) if level == STRONGEST else level)
    except NoSuchLevel as error:
        group.reply(id, Refused("ProgrammingError", str(error), f"there are: {', '.join(SPELLINGS)}"))
        return
    if wanted.refused and not group.rules.offers(wanted.name):
        group.reply(id, NOT_PROMISED)
    elif group.repair.damaged or group.fetching.switching or not group.apply.opened:
        nobody = group.repair.damaged and group.election.leader in (NOBODY, group.me)
        group.reply(id, repair.refusal(group) if nobody else NotLeader(group.leader_address()))
    elif after and sessions.data_file_has(group, after) == sessions.LOST:
        group.reply(id, sessions.lost(group))
    elif _crowded(group):
        group.reply(id, overloaded("too many reads are waiting on this database", group.settings.standing_us))
    elif not after and POLICIES[wanted.name] is _at_once:  # what most of the fast ones are
        if group.settling.stack:
            settling.settle_for_reads(group)
        _run(group, id, what, group.host.until_us, age_us(group))
    else:
        least = max([place.index for place in after if place.group == group.group], default=0)
        until_us = group.host.until_us
        read = Read(id, what, now.mono_us, index=least, until_us=until_us, after=after, bound_us=bound_us)
        POLICIES[wanted.name](group, read)


def _strongest(group: Group) -> str:
    offers = group.rules.offers
    return LINEARIZABLE if offers(LINEARIZABLE) else next(level for level in READ_LEVELS if offers(level))


# ---- one way for each level: who may answer, and when ---------------------------------------------------------


def _at_once(group: Group, read: Read) -> None:
    """What is there. A read of a session waits until it has been reached."""
    if group.settling.stack:
        settling.settle_for_reads(group)
    if not read.after or sessions.data_file_has(group, read.after) == sessions.HAS:
        _run(group, read.id, read.what, read.until_us, age_us(group))
    else:
        group.reading.applying.append(read)
        group.host.keep_busy(group.group)
        apply.apply_more(group)
        _hurry(group)


def _hurry(group: Group) -> None:
    """A session waits for what is on its way here, or is here and not known to be committed: that is said with the next
    entries or heartbeat, or to whoever asks. Nobody waits for the answer, and the read needs none."""
    if group.election.role != roles.LEADER and group.election.leader != NOBODY:
        group.reading.numbers += 1
        _ask_leader(group, group.reading.numbers)


def _ask_leader(group: Group, number: int) -> None:
    epoch = group.election.epoch
    group.send(group.election.leader, ReadIndexAsk(group.group, epoch, number, group.life))


def _at_leader(group: Group, read: Read) -> None:
    """What this replica has committed, if it leads."""
    if group.election.role != roles.LEADER:
        group.reply(read.id, NotLeader(group.leader_address()))
        return
    read.index = max(read.index, group.election.noop, min(group.commit.committed, group.commit.persisted))
    group.reading.applying.append(read)
    on_applied(group)
    group.host.keep_busy(group.group)


def _confirmed(group: Group, read: Read) -> None:
    """What a leader has committed whom a majority confirms from now on."""
    if group.election.role == roles.LEADER:
        group.reading.waiting.append(read)
        group.host.make_ready(group.group)
    elif group.election.leader == NOBODY or group.host.disk_full:  # what it lacks it cannot take now
        group.reply(read.id, NotLeader(group.leader_address()))
        return
    else:
        group.reading.numbers += 1
        group.reading.asked[group.reading.numbers] = read
        _ask_leader(group, group.reading.numbers)
    group.host.keep_busy(group.group)


def _bounded(group: Group, read: Read) -> None:
    """What is there, if a leader that a majority confirmed was heard of within the bound; else as `_confirmed`."""
    if 0 <= age_us(group) <= read.bound_us:
        _at_once(group, read)
    else:
        _confirmed(group, read)


POLICIES: dict[str, Callable[[Group, Read], None]] = {
    LINEARIZABLE: _confirmed,
    LEADER: _at_leader,
    BOUNDED: _bounded,
    SESSION: _at_once,
    EVENTUAL: _at_once,
}


def age_us(group: Group) -> int:
    """By how much, at most, what reads see here lags behind a leader that a majority had confirmed; -1: not known.

    Both ends are read from this node's own monotonic clock: when the question left, and now. So it needs no clocks that
    agree, only one that runs no slower than time does; and it does not run while a virtual machine is suspended.
    """
    heard = group.reading
    if not 0 <= heard.told_index <= group.apply.applied.index:
        return -1
    age = group.host.now_us - heard.told_us
    return max(0, age)


def _told(group: Group, asked_us: int, index: int) -> None:
    """All that was acknowledged before `asked_us` is at or below this index (and what a failover has lost)."""
    if index >= 0 and asked_us > group.reading.told_us:
        group.reading.told_us, group.reading.told_index = asked_us, index


def _run(group: Group, id: int, what: Subject, until_us: int, age: int) -> None:
    """`age`: as `age_us` has it, asked for once for all that run now."""
    host = group.host
    if type(what) is tuple:
        host.emit(Query(group.group, id, what, ends_us(until_us, host.now_us), age))
    elif type(what) is Known:
        at = group.apply.applied
        group.reply(id, Answer(Raw(what.outcome), at.index, at.epoch, group.group, age))
    elif type(what) is OpenView:
        host.views.open(group.group, id, what, until_us)
    else:
        host.copies.open(group.group, group.database, id, until_us)


def _crowded(group: Group) -> bool:
    reading = group.reading
    if not (reading.applying or reading.waiting or reading.confirming or reading.asked):
        return False
    waiting = len(reading.waiting) + len(reading.confirming) + len(reading.applying) + len(reading.asked)
    return waiting >= group.settings.waiting_requests_max


def begin_round(group: Group) -> None:
    """Have a majority confirm that we lead, for all reads that are waiting."""
    if (
        not group.reading.waiting
        or group.reading.round
        or group.election.role != roles.LEADER
        or not group.commit.committed >= group.election.noop > 0
    ):
        return
    group.reading.confirming, group.reading.waiting = group.reading.waiting, []
    group.reading.index = group.commit.committed
    group.reading.round_us = group.host.now_us
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
    _told(group, group.reading.round_us, group.reading.index)
    confirmed, group.reading.confirming = group.reading.confirming, []
    index, applying = group.reading.index, group.reading.applying
    for read in confirmed:
        if read.index < index:
            read.index = index
        if read.asker:
            shipping.tell_committed(group, read.asker, read.index)
            group.send(read.asker, ReadIndexReply(group.group, group.election.epoch, read.id, read.index))
        else:
            applying.append(read)
    on_applied(group)
    if group.reading.waiting:
        group.host.make_ready(group.group)


def on_applied(group: Group) -> None:
    """Serve confirmed reads whose index, and what they are to come after, the data file has reached."""
    if not group.reading.applying:
        return
    waiting, group.reading.applying = group.reading.applying, []
    applied, now_us, age = group.apply.applied.index, group.host.now_us, age_us(group)
    for read in waiting:
        has = sessions.data_file_has(group, read.after) if read.after else sessions.HAS
        if has == sessions.LOST:
            group.reply(read.id, sessions.lost(group))
        elif has == sessions.NOT_YET or read.index > applied:
            group.reading.applying.append(read)
        elif gone(read.until_us, now_us):
            group.reply(read.id, EXPIRED)
        else:
            _run(group, read.id, read.what, read.until_us, age)
    if group.reading.applying:
        settling.settle_for_reads(group)


def on_ask(group: Group, now: Now, sender: NodeId, message: ReadIndexAsk) -> None:
    """A follower asks how far it must have applied."""
    if group.election.role != roles.LEADER or message.epoch != group.election.epoch:
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
    _told(group, read.since_us, message.index)
    read.index = max(read.index, message.index)
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
                group.reply(read.id, NOT_REACHED if read.after else TOO_LATE)
    for number, read in list(group.reading.asked.items()):
        if read.since_us <= horizon:
            del group.reading.asked[number]
            group.reply(read.id, TOO_LATE)
        elif group.election.leader not in (NOBODY, group.me):
            _ask_leader(group, number)
    if group.reading.round and not group.reading.confirming:
        group.reading.round = 0
    return bool(group.reading.waiting or group.reading.confirming or group.reading.applying or group.reading.asked)
