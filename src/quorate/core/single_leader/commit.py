"""When an entry is committed.

A leader commits an entry when as many voters hold it durably as the ack policies ask (`rules`), its own disk being one
voice among them, and only through an entry of its own epoch (Ongaro 2014, sections 3.5 and 3.6.2; figure 3.7
shows what is lost otherwise). The no-op that begins an epoch, and each change of the rules or of the members, are
committed by majority.
"""

from quorate.core.bounds import NodeId
from quorate.core.kernel import Note, Now, OpenGeneration, Persisted
from quorate.core.single_leader import apply, repair
from quorate.core.single_leader.roles import LEADER
from quorate.core.single_leader.state import Group


def on_persisted(group: Group, now: Now, event: Persisted) -> None:
    """Everything up to this sequence is durable: speak what waited for it, and count ourselves."""
    commit, waiting = group.commit, group.pending
    while waiting and waiting[0].sequence <= event.sequence:
        pending = waiting.popleft()
        # The same index may have been overwritten while it was on its way (A, then B, then "A is durable"):
        # it is durable only if it still is what the log says.
        last = pending.last
        if last is not None and (last is group.log.last or group.log.epoch_at(last.index) == last.epoch):
            commit.persisted = max(commit.persisted, last.index)
        for effect in pending.release:
            group.host.emit(effect)
        if pending.campaign:
            group.on_own_vote(now, pending.campaign)
        if pending.switch:
            apply.unblock(group)  # it was about the data file that goes
            group.host.emit(OpenGeneration(group.group, pending.switch))
    before = commit.committed
    advance(group)
    told = commit.committed > before  # by `count`, with all that is durable now
    if not told:
        group.on_committed()
    if group.repair.damaged:
        repair.heal_if_whole(group)
    if not told:
        apply.apply_more(group)


def opened(group: Group, applied: int) -> None:
    """The data file was opened: what it holds is committed."""
    group.commit.committed = max(group.commit.committed, min(applied, group.log.last.index))


def begin(group: Group) -> None:
    """As a new leader: nobody is known to hold anything."""
    group.commit.held = 0


def agree(group: Group, index: int) -> None:
    """The leader says that a majority holds this."""
    group.commit.agreed = max(group.commit.agreed, index)


def contradict(group: Group, last: int) -> None:
    """A leader's log has no more than this of ours."""
    group.commit.agreed = min(group.commit.agreed, last)


def lose(group: Group, last: int) -> None:
    """What lies behind this, and was committed perhaps, is kept elsewhere and goes."""
    group.commit.committed = min(group.commit.committed, last)


def begin_anew(group: Group, index: int) -> None:
    """The log begins behind a copy that stands here."""
    group.commit.persisted = index


def replaced(group: Group, index: int, *, anew: bool) -> None:
    """A copy that stands here becomes the data file; `anew`: what was committed beyond it does not count."""
    commit = group.commit
    commit.agreed = min(commit.agreed, index) if group.rewinding.loss_at else commit.agreed
    commit.committed = index if anew else max(commit.committed, index)


def advance(group: Group) -> None:
    """Commit what is held as the ack policies ask. By majority: the no-op, and every change of the rules or members."""
    commit, election = group.commit, group.election
    if election.role != LEADER:
        return
    turning = group.rules.coming or group.membership.coming
    if turning:
        _turn(group)  # so that every turn below is beyond what is committed, and each round of the loop gets further
    if group.others:
        matched = {peer: progress.matched for peer, progress in group.progress.items() if progress.voter}
        matched[group.me] = commit.persisted
        agreed = group.agreed_by(matched)
    else:
        agreed = commit.persisted
        matched = {group.me: agreed}
    if group.log.epoch_at(agreed) != election.epoch:
        return
    if agreed > commit.agreed:
        commit.agreed = agreed
    _commit_held(group, matched, agreed)
    while turning and 0 < group.turns_at <= agreed:
        commit_to(group, group.turns_at)
        group.host.mention(group.group)
        _commit_held(group, matched, agreed)  # from here on another rule holds, or others vote


def _commit_held(group: Group, matched: dict[NodeId, int], agreed: int) -> None:
    """Commit by the rules of now, up to where they or the voters change; nothing but by majority beyond that."""
    commit, election = group.commit, group.election
    held = agreed if group.rules.are_default else group.held_by(matched)
    turns_at = group.turns_at
    if turns_at:
        held = min(held, turns_at - 1)
    if held > commit.held:
        commit.held = held
        flight = group.writes.flight
        if (
            flight and flight[0].position.index <= commit.committed
        ):  # else that it is held is no news until it is committed
            group.on_committed()
    index = election.noop if held < election.noop <= agreed else held
    if index > commit.committed and (index == agreed or group.log.epoch_at(index) == election.epoch):
        commit_to(group, index)
        group.host.mention(group.group)


def commit_to(group: Group, index: int) -> None:
    """Raise the commit index; nothing committed is ever uncommitted."""
    if index <= group.commit.committed:
        return
    assert index <= group.log.last.index, "committed beyond the log"
    group.commit.committed = index
    _turn(group)
    at = group.log.position_at(index)
    told = {"group": group.group, "epoch": group.election.epoch, "index": index, "position": at}
    group.host.emit(Note("committed", told))
    group.on_committed()
    apply.apply_more(group)


def _turn(group: Group) -> None:
    """What is committed of changes of the rules and members holds by itself now."""
    rules, membership = group.rules, group.membership
    if rules.coming:
        rules.counts(group.commit.committed)
    if membership.coming and membership.counts(group.commit.committed):
        group.host.make_ready(group.group)  # the next step of a change may follow
