"""The open transaction of a leader: batches that are executed and not committed lie in it, one on top of the other.

It is committed when all of it is committed and durable here, and somebody waits for that; or it is undone, and what is
logged of it is applied from the log.
"""

from quorate.core.kernel import CATALOG_GROUP, Commit, Rollback
from quorate.core.single_leader import apply
from quorate.core.single_leader.records import Batch
from quorate.core.single_leader.state import Group


def roll_back(group: Group) -> None:
    """Undo the open transaction. What is logged of it is applied from the log once it is committed."""
    group.host.emit(Rollback(group.group))
    group.holding.end(group.host.now_us)
    _forget_stack(group)


def _forget_stack(group: Group) -> None:
    group.settling.stack.clear()
    group.settling.bytes = 0
    group.settling.due = False


def put_on_top(group: Group, batch: Batch, size: int) -> None:
    """This batch was executed on top of the others, and is logged."""
    settling = group.settling
    settling.covered = index = batch.position.index
    settling.stack.append(index)
    settling.bytes += size
    if batch.alone:
        settling.due = True  # undone with what is on top, it takes long again


def settle(group: Group) -> None:
    """Commit the open transaction when all of it is committed and durable here, and somebody waits for that.

    Nobody waits for up to `Settings.settle_delay_us`, so that rows that change again and again cost one page and not
    many. A read waits; where reads were waiting lately, each batch is committed as soon as it can be.
    """
    settling = group.settling
    if not settling.stack:
        return
    if not settling.due:
        settling.due = _is_due(group)
    if not settling.due:
        group.apply_later(group.settings.settle_delay_us)
    elif (
        group.writes.batch is None
        and not group.apply.applying
        and min(group.commit.committed, group.commit.persisted) >= settling.covered
    ):
        position = group.log.position_at(settling.covered)
        batches = tuple(settling.stack)
        _forget_stack(group)
        apply.committing(group, position)
        group.host.emit(Commit(group.group, position, batches))


def _is_due(group: Group) -> bool:
    settings, settling = group.settings, group.settling
    return (
        group.host.now_us - settling.read_us < settings.apply_delay_us
        or len(settling.stack) >= settings.settle_entries_max
        or settling.bytes >= settings.settle_bytes_max
        or group.group == CATALOG_GROUP
        or group.holds_writes
        or group.host.draining
    )


def settle_for_reads(group: Group) -> None:
    """Reads wait for what is executed."""
    group.settling.read_us = group.host.now_us
    if group.settling.stack:
        group.settling.due = True
        settle(group)


def settle_now(group: Group) -> None:
    """It was gathered for long enough."""
    if group.settling.stack:
        group.settling.due = True
        settle(group)
