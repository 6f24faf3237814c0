"""The open transaction of a leader: batches that are executed and not committed lie in it, one on top of the other.

It is committed when all of it is counted and durable here, and somebody waits for that; or it is undone, and what is
logged of it is applied from the log.
"""

from quorate.core.kernel import CATALOG_GROUP, Commit, Rollback
from quorate.core.single_leader.state import Group


def roll_back(group: Group) -> None:
    """Undo the open transaction. What is logged of it is applied from the log once it is counted."""
    group.host.emit(Rollback(group.group))
    _forget_stack(group)


def _forget_stack(group: Group) -> None:
    group.stack.clear()
    group.stack_bytes = 0
    group.settle_due = False


def settle(group: Group) -> None:
    """Commit the open transaction when all of it is counted and durable here, and somebody waits for that.

    Nobody waits for up to `Settings.settle_delay_us`, so that rows that change again and again cost one page and not
    many. A read waits; where reads were waiting lately, each batch is committed as soon as it can be.
    """
    if not group.stack:
        return
    if not group.settle_due:
        group.settle_due = _is_due(group)
    if not group.settle_due:
        group.apply_later(group.settings.settle_delay_us)
    elif group.batch is None and not group.applying and min(group.counted, group.persisted) >= group.covered:
        position = group.log.position_at(group.covered)
        batches = tuple(group.stack)
        _forget_stack(group)
        group.applying = position.index
        group.host.emit(Commit(group.group, position, batches))


def _is_due(group: Group) -> bool:
    return (
        group.host.now_us - group.read_us < group.settings.apply_delay_us
        or len(group.stack) >= group.settings.settle_entries_max
        or group.stack_bytes >= group.settings.settle_bytes_max
        or group.group == CATALOG_GROUP
        or group.holds_writes
        or group.host.draining
    )


def settle_for_reads(group: Group) -> None:
    """Reads wait for what is executed."""
    group.read_us = group.host.now_us
    if group.stack:
        group.settle_due = True
        settle(group)


def settle_now(group: Group) -> None:
    """It was gathered for long enough."""
    if group.stack:
        group.settle_due = True
        settle(group)
