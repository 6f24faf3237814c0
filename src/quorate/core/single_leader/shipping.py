"""Sending the log to followers and taking it from a leader.

Source: Raft's log replication (Ongaro 2014, section 3.5) with the fast back-off of section 5.3 done by
epoch, and with the sending of entries overlapping the leader's own fsync (section 10.2.1): the leader
counts itself only once its own disk has answered.
"""

from collections.abc import Sequence

from quorate.core.ack_policy import DEFAULT
from quorate.core.bounds import NodeId
from quorate.core.entries import Entry, ForgetVoters, Position, WriteEntries, takes_us
from quorate.core.kernel import CATALOG_GROUP, LogRead, Now, ReadLog
from quorate.core.single_leader import apply, commit, repair, rewinding, settling, snapshots
from quorate.core.single_leader.messages import NEEDS_SNAPSHOT, Append, AppendReply, SnapshotDone
from quorate.core.single_leader.progress import PROBING, REPLICATING, SNAPSHOT, Progress
from quorate.core.single_leader.roles import LEADER
from quorate.core.single_leader.state import Group


def append(group: Group, now: Now, entries: tuple[Entry, ...]) -> None:
    """As leader: add entries to our own log, and send them while our own disk writes them."""
    assert group.election.role == LEADER, "only a leader appends"
    group.append(entries)
    if group.rewinding.saved:
        rewinding.not_saved(group)
    _write(group, entries)
    for peer, progress in group.progress.items():
        if progress.state == REPLICATING or not progress.sent_us:
            send_more(group, now, peer, progress)
    group.host.keep_busy(group.group)


def _write(group: Group, entries: tuple[Entry, ...]) -> None:
    writes = WriteEntries(group.group, entries)
    if group.membership.newest_at < entries[0].index:
        group.persist(writes, last=group.log.last)
    else:  # they name members
        group.persist(ForgetVoters(group.group), writes, last=group.log.last)


def send_more(group: Group, now: Now, peer: NodeId, progress: Progress) -> None:
    """Send what this follower lacks, as far ahead as its state allows."""
    if progress.state == SNAPSHOT or progress.reading:
        return
    log = group.log
    if progress.next <= log.base.index:
        snapshots.begin(group, now, peer, progress)
        return
    if progress.state == REPLICATING and progress.next > progress.matched + group.settings.ship_entries_ahead:
        return
    if progress.next > log.last.index:
        if progress.state == PROBING:
            _send(group, now, peer, progress, ())
        return
    entries = log.slice(progress.next, log.last.index, group.settings.ship_bytes_max)
    if entries is None:
        progress.reads_back(reading=True)
        last = min(log.last.index, progress.next + group.settings.ship_entries_ahead - 1)
        group.host.emit(ReadLog(group.group, peer, progress.next, last, group.settings.ship_bytes_max))
        return
    _send(group, now, peer, progress, entries)


def on_log_read(group: Group, now: Now, event: LogRead) -> None:
    """Older entries came back from our own disk."""
    progress = group.progress.get(event.to)
    if progress is None or not progress.reading:
        return
    progress.reads_back(reading=False)
    entries = event.entries
    fits = bool(entries) and entries[0].index == progress.next and progress.next > group.log.base.index
    if fits and all(group.log.epoch_at(entry.index) == entry.epoch for entry in entries):
        _send(group, now, event.to, progress, entries)
    else:
        send_more(group, now, event.to, progress)


def _send(group: Group, now: Now, peer: NodeId, progress: Progress, entries: Sequence[Entry]) -> None:
    previous = group.log.position_at(progress.next - 1)
    mark = 0 if progress.state == REPLICATING else group.rules.mark_at(previous.index)
    message = Append(
        group.group, group.election.epoch, previous, tuple(entries), group.commit.committed, group.commit.agreed, mark
    )
    group.send(peer, message)
    progress.sent(entries, group.commit.committed, now.mono_us + takes_us(entries))


def tell_committed(group: Group, peer: NodeId, index: int) -> None:
    """A read at this follower waits for an index: it need not wait for the next entries or heartbeat as well."""
    progress = group.progress.get(peer)
    if progress is not None and progress.told < index <= progress.matched >= group.log.base.index:
        progress.sent_committed(group.commit.committed)
        previous = group.log.position_at(progress.matched)
        group.send(peer, Append(group.group, group.election.epoch, previous, (), group.commit.committed))


def on_append(group: Group, now: Now, sender: NodeId, message: Append) -> None:
    """As follower: take entries from the leader of this epoch, durably, then say so."""
    if message.epoch < group.election.epoch:
        group.send(sender, group.append_reply(matched=0, accepted=False))
        return
    group.heard_leader(now, sender, message.epoch)
    if group.fetching.switching or group.host.disk_full:
        return
    if group.needs_log or group.rewinding.first:
        repair.ask_for_copy(group)
        return
    parted = rewinding.parted_at(group, message)
    if parted:
        rewinding.contradicted(group, parted)
        rewinding.rewind(group, parted)
        return
    previous, entries = _without_trimmed(group, message)
    log = group.log
    other = rewinding.other_epoch(group, message)
    if log.epoch_at(previous.index) != previous.epoch or other:
        conflict = log.agree_below(previous if not other else Position(previous.epoch, other - 1))
        if conflict.index >= previous.index:
            conflict = log.agree_below(Position(previous.epoch, previous.index - 1))
        matched = NEEDS_SNAPSHOT if group.log_damaged else 0
        group.send(sender, group.append_reply(matched=matched, accepted=False, conflict=conflict))
        return
    # What lies below our log's base is equal only as far as this message shows.
    matched = min(previous.index + len(entries), message.previous.index + len(message.entries))
    fresh = _new_entries(group, entries)
    if fresh:
        rewinding.note_loss(group, fresh[0])
    if fresh and not rewinding.may_drop(group, now, fresh[0].index):
        return
    if fresh:
        _overwrite(group, fresh)
    reply = group.append_reply(matched=matched, accepted=True)
    if matched <= group.commit.persisted:
        group.send(sender, reply)
    else:
        group.send_after_persist(sender, reply)
    commit.agree(group, min(message.agreed, matched))
    commit.commit_to(group, min(message.committed, matched))


def _without_trimmed(group: Group, message: Append) -> tuple[Position, tuple[Entry, ...]]:
    """Leave out what our log no longer has because our data file holds it (it is equal, or `parted_at` has said so)."""
    base = group.log.base
    if message.previous.index >= base.index:
        return message.previous, message.entries
    return base, tuple(entry for entry in message.entries if entry.index > base.index)


def _new_entries(group: Group, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    for offset, entry in enumerate(entries):
        if group.log.epoch_at(entry.index) != entry.epoch or rewinding.begins_another(group, entry):
            return entries[offset:]
    return ()


def _overwrite(group: Group, entries: tuple[Entry, ...]) -> None:
    first = entries[0].index
    if first <= group.log.last.index:
        assert first > group.commit.committed, "a committed entry would be overwritten"
        assert first > group.apply.applied.index, "an applied entry would be overwritten"
        group.drop_from(first)
        group.note("truncated", index=first)
        group.host.keep_busy(group.group)  # with it may go the word that this replica is out: then it has to ask
    group.append(entries)
    if group.rewinding.saved:
        rewinding.not_saved(group)
    group.log.shrink(
        group.settings.cache_bytes_max, group.commit.persisted if group.repair.damaged else group.apply.applied.index
    )
    _write(group, entries)


def on_append_reply(group: Group, now: Now, sender: NodeId, message: AppendReply) -> None:
    if message.epoch > group.election.epoch:
        group.adopt_epoch(now, message.epoch, 0)
        return
    progress = group.progress.get(sender)
    if group.election.role != LEADER or message.epoch != group.election.epoch or progress is None:
        return
    if not progress.spoke_in(message.life):
        return
    if not message.accepted:
        _back_off(group, now, sender, progress, message)
        return
    assert message.matched <= group.log.last.index, "a follower matched beyond its leader's log"
    if progress.state == SNAPSHOT:
        if message.matched < progress.snapshot_at.index:
            return
        snapshots.close(group, progress)
    late = progress.matched < group.commit.committed
    progress.acknowledge(message.matched, now.mono_us, voter=message.voter, whole=message.whole)
    if progress.matched > min(group.commit.committed, group.commit.held, group.commit.agreed) or group.turns_at:
        commit.advance(group)
    if group.handover.transfer is not None:
        group.host.make_ready(group.group)
    if late and group.group == CATALOG_GROUP:  # it was not told what is committed beyond what it was known to have
        group.host.mention(group.group)
    if progress.next <= group.log.last.index:
        send_more(group, now, sender, progress)


def _back_off(group: Group, now: Now, peer: NodeId, progress: Progress, message: AppendReply) -> None:
    group.host.keep_busy(group.group)  # what is sent in answer may be lost, and in an idle group nobody would notice
    if progress.state == SNAPSHOT:
        return
    if message.matched == NEEDS_SNAPSHOT:
        beside = message.voter and not message.whole  # its log stays as it is, and goes on
        progress.lost(voter=message.voter, whole=message.whole)
        if message.voter and not _reaches(group, message.conflict, at_its_word=not beside):
            return  # it asks again
        if message.voter and 0 < progress.snapshot_at.index < message.conflict.index:
            snapshots.close(group, progress)  # the copy at hand is too old for it
        snapshots.begin(group, now, peer, progress, beside=beside)
        return
    if message.conflict.index >= progress.next or message.conflict.index < progress.matched:
        return  # a late answer to something sent earlier
    following = max(group.log.agree_below(message.conflict).index, progress.matched) + 1
    progress.regress(following if message.conflict.index >= group.log.base.index else message.conflict.index + 1)
    send_more(group, now, peer, progress)


def _reaches(group: Group, conflict: Position, *, at_its_word: bool) -> bool:
    """Whether a copy of our data file stands where this replica's log begins, or later. If it does not yet, it is
    brought there: the replica had all of that was committed, and our log has it. `at_its_word`: it may not acknowledge
    anything before it has a copy, so that we may never count that by ourselves."""
    if group.apply.applied.index < conflict.index and group.log.epoch_at(conflict.index) == conflict.epoch:
        if at_its_word:
            commit.commit_to(group, conflict.index)
        settling.settle_now(group)
        apply.apply_more(group)
    return group.apply.applied.index >= conflict.index


def on_snapshot_done(group: Group, now: Now, sender: NodeId, message: SnapshotDone) -> None:
    """This follower has the copy: the log goes on from there."""
    if snapshots.on_done(group, sender, message):
        send_more(group, now, sender, group.progress[sender])


def forget_progress(group: Group, peer: NodeId) -> None:
    """This follower was restarted: probe its log anew, for its disk may have lost what it had."""
    progress = group.progress[peer]
    snapshots.close(group, progress)
    progress.restarted(group.log.last.index)
    group.host.keep_busy(group.group)


def resend(group: Group, now: Now, alive: dict[NodeId, bool]) -> bool:
    """On each tick: send again what was not acknowledged. False when every follower has everything."""
    waiting = False
    for peer, progress in group.progress.items():
        known = progress.voter or group.rules.newest == DEFAULT  # other rules may wait for just this one
        has_all = progress.matched >= group.log.last.index and progress.state == REPLICATING
        if has_all and known and not progress.copying:
            continue
        if not alive.get(peer, False):  # `forget_progress` or its next word will make us busy again
            if progress.copying:
                snapshots.close(group, progress)
            continue
        waiting = True
        if progress.copying:
            snapshots.tick(group, now, peer, progress)
        if progress.state == SNAPSHOT or (has_all and known):
            continue
        if progress.reading:
            continue  # one read at a time: on a slow disk more of them would only wait behind each other
        if not progress.sent_us or now.mono_us - progress.sent_us >= group.host.retry_us(peer):
            progress.become_probe()
            send_more(group, now, peer, progress)
    return waiting
