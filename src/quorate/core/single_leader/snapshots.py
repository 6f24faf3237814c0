"""A follower that is too far behind the log fetches a copy of the data file.

The follower pulls, chunk by chunk, so that it is never flooded and can resume where it was; the copy is
consistent and stands at an exact position; it becomes the data file by one row in the log, so that a crash
anywhere leaves either the old file or the new one. (Raft's InstallSnapshot, Ongaro 2014, section 5, turned
around.)
"""

from quorate.core.bounds import NodeId
from quorate.core.entries import Position, SwitchGeneration
from quorate.core.kernel import (
    Applied,
    CloseSnapshot,
    LostSaved,
    Now,
    OpenSnapshot,
    ReadSnapshot,
    Send,
    SnapshotOpened,
    SnapshotRead,
    SnapshotStored,
    StoreSnapshot,
)
from quorate.core.single_leader import apply, commit, repair, rewinding
from quorate.core.single_leader.messages import (
    SnapshotChunk,
    SnapshotDone,
    SnapshotGone,
    SnapshotOffer,
    SnapshotWant,
)
from quorate.core.single_leader.owned import NOBODY
from quorate.core.single_leader.progress import SNAPSHOT, Progress
from quorate.core.single_leader.records import Incoming
from quorate.core.single_leader.roles import FOLLOWER, LEADER
from quorate.core.single_leader.state import Group

# ---- the leader's side -------------------------------------------------------------------------------


def begin(group: Group, now: Now, peer: NodeId, progress: Progress, *, beside: bool = False) -> None:
    """This follower needs what the log no longer has; `beside`: only a data file, and its log goes on. A dead one has
    to wait until it lives; and a damaged leader has nothing to give."""
    if not group.host.heard(now, peer) or group.repair.damaged:
        return
    if not beside:
        progress.become_snapshot(now.mono_us)
    if not progress.copying:
        _open(group, now, peer, progress)


def _open(group: Group, now: Now, peer: NodeId, progress: Progress) -> None:
    if progress.begin_copy(now.mono_us):
        group.note("snapshot_needed", to=peer)
        group.host.emit(OpenSnapshot(group.group, peer))


def on_opened(group: Group, now: Now, event: SnapshotOpened) -> None:
    if event.id:
        group.host.copies.on_opened(now, event)
        return
    progress = group.progress.get(event.to)
    if progress is not None:
        progress.copy_made()
    if event.failed:
        return
    if progress is None or not progress.copying or progress.snapshot:
        group.host.emit(CloseSnapshot(group.group, event.snapshot))
        return
    if event.position.index < group.log.base.index:
        group.host.emit(CloseSnapshot(group.group, event.snapshot))
        close(group, progress)
        return
    progress.hold_copy(event.snapshot, event.position, event.size)
    _offer(group, now, event.to, progress)


def _offer(group: Group, now: Now, peer: NodeId, progress: Progress) -> None:
    progress.copy_moved(now.mono_us)
    offer = SnapshotOffer(
        group.group, group.election.epoch, progress.snapshot, progress.snapshot_at, progress.snapshot_size
    )
    group.send(peer, offer)


def on_want(group: Group, now: Now, sender: NodeId, message: SnapshotWant) -> None:
    progress = group.progress.get(sender)
    if group.election.role != LEADER or message.epoch != group.election.epoch or progress is None:
        return
    if not progress.copying or progress.snapshot != message.snapshot:
        group.send(sender, SnapshotGone(group.group, group.election.epoch, message.snapshot))
        return
    progress.copy_moved(now.mono_us)
    size = group.settings.snapshot_chunk_bytes
    group.host.emit(ReadSnapshot(group.group, sender, message.snapshot, message.offset, size))


def on_read(group: Group, _now: Now, event: SnapshotRead) -> None:
    if event.id:
        group.host.copies.on_read(event)
        return
    progress = group.progress.get(event.to)
    if group.election.role != LEADER or progress is None or progress.snapshot != event.snapshot:
        return
    if not event.data and not event.end:  # the copy is gone from our disk
        close(group, progress)
        group.send(event.to, SnapshotGone(group.group, group.election.epoch, event.snapshot))
        return
    chunk = SnapshotChunk(
        group.group, group.election.epoch, event.snapshot, event.offset, event.data, event.end, progress.snapshot_at
    )
    group.send(event.to, chunk)


def on_done(group: Group, sender: NodeId, message: SnapshotDone) -> bool:
    """Whether this follower's log begins behind the copy now."""
    progress = group.progress.get(sender)
    if (
        group.election.role != LEADER
        or message.epoch != group.election.epoch
        or progress is None
        or not progress.copying
    ):
        return False
    if group.log.epoch_at(message.position.index) != message.position.epoch:
        return False
    beside = progress.state != SNAPSHOT
    close(group, progress)
    if beside:
        progress.made_whole()
    else:
        progress.installed(message.position)
    return not beside


def close(group: Group, progress: Progress) -> None:
    """This follower needs the copy no more."""
    closing = progress.end_copy()
    if closing:
        group.host.emit(CloseSnapshot(group.group, closing))


def close_all(group: Group) -> None:
    """Let go of every copy that followers were fetching."""
    for progress in group.progress.values():
        if progress.copying:
            close(group, progress)


def tick(group: Group, now: Now, peer: NodeId, progress: Progress) -> None:
    """Offer again what nobody fetched."""
    if now.mono_us - progress.copy_us >= group.host.retry_us(peer):
        if progress.snapshot:
            _offer(group, now, peer, progress)
        else:  # it failed, or is being made
            _open(group, now, peer, progress)


# ---- the follower's side -----------------------------------------------------------------------------


def on_offer(group: Group, now: Now, sender: NodeId, message: SnapshotOffer) -> None:
    if message.epoch < group.election.epoch:
        return
    group.heard_leader(now, sender, message.epoch)
    if group.fetching.switching or group.host.disk_full:
        return
    position = message.position
    if _has(group, position):  # nothing to fetch: the leader will probe our log from there
        group.send(sender, SnapshotDone(group.group, group.election.epoch, message.snapshot, position))
        return
    incoming = group.fetching.incoming
    if incoming is None or incoming.leader != sender or incoming.theirs != message.snapshot:
        if not repair.may_ask(group) or repair.too_old(group, position):
            return
        group.fetching.incoming = incoming = Incoming(
            sender, message.snapshot, group.host.rng.getrandbits(62) | 1, position
        )
    if not incoming.storing:
        group.send(sender, SnapshotWant(group.group, group.election.epoch, incoming.theirs, incoming.offset))


def on_chunk(group: Group, now: Now, sender: NodeId, message: SnapshotChunk) -> None:
    incoming = group.fetching.incoming
    if message.epoch < group.election.epoch or incoming is None or incoming.leader != sender:
        return
    group.heard_leader(now, sender, message.epoch)
    wanted = incoming.theirs == message.snapshot and incoming.offset == message.offset
    if not wanted or incoming.storing or group.fetching.switching or group.fetching.incoming is None:
        return
    incoming.storing = True
    group.host.emit(
        StoreSnapshot(group.group, incoming.ours, message.offset, message.data, message.end, incoming.position)
    )


def on_stored(group: Group, now: Now, event: SnapshotStored) -> None:
    incoming = group.fetching.incoming
    if incoming is None or incoming.ours != event.snapshot or not incoming.storing:
        return
    incoming.storing = False
    incoming.offset = event.offset
    if event.failed:
        group.note("snapshot_failed", reason=event.failed)
        repair.copy_ended(group)
        group.fetching.incoming = None
    elif event.complete:
        incoming.complete = True
        switch(group, now, incoming)
    elif group.election.leader == incoming.leader:
        group.send(incoming.leader, SnapshotWant(group.group, group.election.epoch, incoming.theirs, incoming.offset))


def on_lost_saved(group: Group, now: Now, event: LostSaved) -> None:
    """What a copy is to take the place of is kept: it may."""
    rewinding.on_saved(group, event)
    if not event.failed and group.fetching.incoming is not None and group.fetching.incoming.complete:
        switch(group, now, group.fetching.incoming)


def switch(group: Group, now: Now, incoming: Incoming) -> None:
    """The copy is complete and verified: make it ours, unless the log overtook it meanwhile."""
    position = incoming.position
    if (
        _has(group, position)
        or group.election.role != FOLLOWER
        or group.apply.applying
        or repair.too_old(group, position)
    ):
        group.fetching.incoming = None  # the log overtook it meanwhile; what follows in the log must not be dropped
        rewinding.not_saved(group)
        return
    keep = _kept_behind(group, position)
    beside = keep == group.log.last.index > 0
    if not beside and rewinding.may_lose(group) and not group.rewinding.saved:
        rewinding.save(group, now, group.rewinding.first, incoming.ours)
        return
    if group.repair.damaged:
        repair.copy_ended(group)
    repair.installing(group, beside=beside)
    group.fetching.switching = True
    if keep:  # the copy is older than where our log ends, or parts from the leader's: what both have of it stays
        if not beside:
            group.drop_from(keep + 1)
        group.log.trim(position)
    else:
        group.log.reset(position)
        commit.begin_anew(group, position.index)
    pending = group.persist(SwitchGeneration(group.group, incoming.ours, position, keep), last=group.log.last)
    pending.switch = incoming.ours
    anew = not beside and (group.repair.damaged or group.lossy or group.is_narrow)
    commit.replaced(group, position.index, anew=bool(anew))
    group.rules.truncated(keep + 1 if keep else 0)
    group.membership.truncated(keep + 1 if keep else 0)
    group.configure()
    rewinding.ended(group)


def forget(group: Group) -> None:
    """A copy that is being fetched is another leader's, or of no use any more."""
    group.fetching.incoming = None


def give_up(group: Group) -> None:
    """The copy that was to become the data file may be what is damaged: fetch another."""
    group.fetching.incoming = None
    group.fetching.switching = False


def finish(group: Group, event: Applied) -> None:
    """The copy has become the data file."""
    incoming, position = group.fetching.incoming, event.position
    if not group.repair.beside:  # else our own log has told us all of that, and more
        group.rules.replaced(event.controls or ())
        group.membership.replaced(event.controls or ())
        group.configure()
    group.fetching.switching = False
    group.fetching.incoming = None
    apply.replaced(group, position.index)
    group.note("snapshot_installed", index=position.index)
    repair.installed(group)
    if incoming is not None and group.election.leader == incoming.leader != NOBODY:
        done = SnapshotDone(group.group, group.election.epoch, incoming.theirs, position)
        group.host.emit(Send(group.election.leader, done))


def _kept_behind(group: Group, position: Position) -> int:
    """The index up to which the log stays as it is when a copy that stands here becomes the data file; 0: it begins
    anew behind the copy."""
    if group.rewinding.first:
        begins = max(group.log.base.index, group.rules.since)
        return group.rewinding.first - 1 if begins <= position.index < group.rewinding.first - 1 else 0
    if not group.repair.damaged or group.log_damaged:
        return 0
    follows = group.log.epoch_at(position.index) == position.epoch
    return group.log.last.index if follows and position.index < group.log.last.index else 0


def _has(group: Group, position: Position) -> bool:
    """Whether the log holds or has passed this position, so that a copy at it would only take away."""
    if group.needs_snapshot() or group.rewinding.first:
        return False
    known = group.epoch_at(position.index)
    if known is not None:
        return known == position.epoch
    return position.index <= group.commit.committed


def on_gone(group: Group, now: Now, sender: NodeId, message: SnapshotGone) -> None:
    if message.epoch > group.election.epoch:
        group.adopt_epoch(now, message.epoch, sender)
    if (
        group.fetching.incoming is not None
        and group.fetching.incoming.leader == sender
        and group.fetching.incoming.theirs == message.snapshot
    ):
        group.fetching.incoming = None if not group.fetching.switching else group.fetching.incoming
