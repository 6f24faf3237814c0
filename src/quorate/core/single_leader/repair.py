"""A damaged replica: what it may still do, how it gets a copy, when it is whole again.

Two things can be damaged, and they differ in what they put at risk.

- *The log.* What the replica promised may be gone: entries that it acknowledged, a vote. It votes for nobody in the
  epoch it was found in, confirms no leader, is not counted, and begins anew behind a copy. It is whole when it durably
  holds everything that a leader had committed whom a majority of intact voters confirmed after the copy.
  (Protocol-aware recovery, Alagappan et al. 2018: a damaged log is not a short one.)
- *The data file alone.* It was edited, SQLite finds it unsound, it differs from a majority's, or an entry cannot be
  applied to it. The log is what it was, and so is every promise: the replica votes, acknowledges entries and confirms
  its leader as before, so that a majority of such replicas takes writes. What it cannot do is what needs the rows: it
  answers no reads, applies nothing, gives no copies, and nobody hands over to it. It fetches a copy *beside* its log,
  which stays and goes on meanwhile; dropping it would drop what it has acknowledged. The copy must stand at or beyond
  the entry that could not be applied. With the copy in place it is whole.

If only replicas with damaged data files have the newest entries, one of them leads, after it has left several
elections to others: it takes no writes, brings the log of a whole replica forward, and hands over to it. Where no
replica is whole, that is what callers are told.

Copies are fetched at a bounded rate: a file that is found damaged again behind each copy costs a few of them a minute,
not as many as the disk can write.
"""

from quorate.core.entries import Position
from quorate.core.kernel import CATALOG_GROUP, ApplyFailed, ForgetDamage, Now
from quorate.core.requests import Refused
from quorate.core.single_leader.messages import NEEDS_SNAPSHOT, ReadIndexAsk, TimeoutNow
from quorate.core.single_leader.owned import NOBODY
from quorate.core.single_leader.roles import LEADER
from quorate.core.single_leader.state import Group

DEFERRED = 4
"""So many elections in a row are left to whole replicas."""
COPY_AGAIN_US = 2_000_000
COPY_AGAIN_MAX_US = 60_000_000
"""After the first copy in a row the next waits for so long, and for twice as long after each, up to this."""
IN_A_ROW_US = 600_000_000
"""A copy that is the first in so long a time is fetched at once."""


def found_damaged(group: Group, event: ApplyFailed, failing: int) -> None:
    """This replica is damaged. `failing`: the last index that was being applied when that was found; 0: none was."""
    repair = group.repair
    intact = event.log_intact and not group.log_damaged
    if intact:
        repair.least = max(repair.least, failing)
    else:
        group.repair.damages += 1
    repair.log_intact = intact
    group.repair.damaged = event.reason
    group.repair.rebuilt = False
    group.repair.whole_at = -1
    group.repair.heal_read = 0
    group.note("damaged", reason=event.reason)
    if repair.copies and not may_ask(group):
        group.note("copy_waits", copies=repair.copies, reason=event.reason)


def tick(group: Group, now: Now) -> bool:
    """Damaged: ask the leader for a copy; once it is installed, ask how far a whole replica must be. Whether this
    replica leads, and is to do so no more."""
    if group.election.role == LEADER:
        return _gives_way(group, now)
    if group.needs_snapshot():
        ask_for_copy(group)
    elif not group.fetching.switching:
        _ask_how_far(group)
        heal_if_whole(group)
    return False


def may_ask(group: Group) -> bool:
    """Whether it is time for another copy."""
    if not group.repair.damaged or not group.repair.copies:
        return True
    wait_us = min(COPY_AGAIN_US << (group.repair.copies - 1), COPY_AGAIN_MAX_US)
    return group.host.now_us - group.repair.copied_us >= wait_us


def ask_for_copy(group: Group) -> None:
    """As a replica whose log is damaged: nothing of mine can be built upon. As one that rewinds, or whose data file
    alone is damaged: my log can, my data file cannot; the copy must stand where my log begins or later, so that what
    both have of the log stays."""
    if group.election.leader not in (NOBODY, group.me) and may_ask(group):
        conflict = None
        if group.rewinding.first or (group.repair.damaged and group.repair.log_intact):
            index = _least_rewound(group) if group.rewinding.first else least(group)
            conflict = Position(group.epoch_at(index) or 0, index)
        group.send(group.election.leader, group.append_reply(matched=NEEDS_SNAPSHOT, accepted=False, conflict=conflict))


def _least_rewound(group: Group) -> int:
    """Where a copy must stand at least for a replica that rewinds, so that what both have of the log stays."""
    base, since = group.log.base.index, group.rules.since
    if max(since, group.membership.since) >= group.rewinding.first:  # what the log says of them goes with its tail
        return group.rewinding.first - 1 if base < group.rewinding.first else 0
    return max(base if base < group.rewinding.first else 0, since)


def copy_ended(group: Group) -> None:
    """A copy was fetched, or came to nothing."""
    repair, now_us = group.repair, group.host.now_us
    if now_us - repair.copied_us > IN_A_ROW_US:
        repair.copies = 0
    repair.copies = min(repair.copies + 1, 16)
    repair.copied_us = now_us


def least(group: Group) -> int:
    """Where a copy must stand at least, for the log of a replica whose data file alone is damaged to follow it."""
    return max(group.log.base.index, group.repair.least)


def too_old(group: Group, position: Position) -> bool:
    """Whether the log could not follow a copy that stands here."""
    return (
        bool(group.repair.damaged)
        and group.repair.log_intact
        and not group.rewinding.first
        and position.index < least(group)
    )


def installing(group: Group, *, beside: bool) -> None:
    """A copy becomes the data file; `beside`: that alone, and the log goes on."""
    repair = group.repair
    repair.beside = beside
    repair.rebuilt = True
    repair.whole_at = -1
    repair.heal_read = 0


def distrust(group: Group, reason: str) -> None:
    """The log cannot be trusted, from now on, not only when that is on the disk."""
    group.repair.damaged = reason
    group.repair.log_intact = False


def hears_leader(group: Group) -> None:
    """Somebody leads: what was left to others has come to an end."""
    group.repair.deferred = 0


def heard_how_far(group: Group, index: int) -> None:
    """A leader that a majority confirmed has committed this."""
    group.repair.whole_at = index
    heal_if_whole(group)


def installed(group: Group) -> None:
    """A copy has become the data file: where the log was never in doubt, all is well."""
    if group.repair.damaged and group.repair.log_intact:
        _heal(group)


def _ask_how_far(group: Group) -> None:
    """As a rebuilt replica: what has a leader committed whom a majority of the others confirms now?"""
    if group.election.leader not in (NOBODY, group.me) and group.repair.whole_at < 0:
        number = group.reading.next_number()
        group.repair.heal_read = group.repair.heal_read or number
        group.send(group.election.leader, ReadIndexAsk(group.group, group.election.epoch, number, group.life))


def heal_if_whole(group: Group) -> None:
    """A rebuilt replica whose log was damaged is a voter again once it durably holds everything committed.

    How far that is, a leader says whom a majority of intact voters confirmed after we were rebuilt: an
    older leader, or an older message, knows of less. (A forgotten vote of this epoch stays forgotten, so
    it votes in later ones only.)
    """
    rebuilt = group.log_damaged and group.repair.rebuilt and not group.fetching.switching
    if not rebuilt or not group.commit.persisted >= group.repair.whole_at >= 0:
        return
    # What the catalog names must be known.
    is_read = group.group != CATALOG_GROUP or group.apply.applied.index >= group.repair.whole_at
    if is_read and group.host.holds_all(group.group):
        _heal(group)


def _heal(group: Group) -> None:
    group.repair.damaged, group.repair.mended = "", group.repair.damaged
    group.repair.log_intact = False
    group.repair.least = 0
    group.host.emit(ForgetDamage(group.group))
    group.note("healed", was=group.repair.mended)
    if group.election.leader not in (NOBODY, group.me):
        matched = min(group.commit.committed, group.commit.persisted)
        group.send(group.election.leader, group.append_reply(matched=matched, accepted=True))


def leaves_it_to_others(group: Group) -> bool:
    """As the election time comes: whether this replica does not stand, because its data file is damaged and a whole
    one may."""
    if not group.repair.damaged:
        return False
    group.repair.deferred += 1
    return not group.electors or group.repair.deferred <= DEFERRED


def _gives_way(group: Group, now: Now) -> bool:
    """As a leader with a damaged data file: hand over as soon as a whole replica has the whole log."""
    for peer, progress in group.progress.items():
        whole = progress.whole and progress.voter and not progress.copying and peer in group.electors
        if whole and progress.matched == group.log.last.index and group.host.heard(now, peer):
            group.repair.deferred = 0
            group.note("gives_way", to=peer)
            group.send(peer, TimeoutNow(group.group, group.election.epoch))
            return True
    return False


def refusal(group: Group) -> Refused:
    """What a caller is told whom nobody else can be named."""
    hint = "it fetches a copy once a node with a whole one leads: start the others; quorate status shows them"
    if not group.electors:
        hint = "stop the node; quorate adopt shows what can be kept"
    return Refused(
        "DataDamaged",
        f"the data file of {group.database} is damaged here: {group.repair.damaged}",
        hint,
        True,  # noqa: FBT003
    )
