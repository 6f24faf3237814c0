"""What must be true of one replica after every step, in the words of the Raft paper where it has them.

Invariants across replicas (election safety, log matching, leader completeness, state machine safety) are
the simulator's, which sees them all.
"""

from quorate.core.single_leader.progress import REPLICATING, SNAPSHOT
from quorate.core.single_leader.state import CANDIDATE, LEADER, Group


def assert_invariants(group: Group) -> None:
    """Raise AssertionError with the broken promise in words."""
    log, last, applied = group.log, group.log.last, group.applied
    assert log.base.index <= last.index, "the log ends before it begins"
    assert group.persisted <= last.index, "persisted beyond the log"
    assert group.counted <= last.index, "counted beyond the log"
    if group.opened and not group.damaged and not group.switching:
        assert applied.index <= group.counted, "applied what is not counted"
        known = last.epoch if applied.index == last.index else log.epoch_at(applied.index)
        assert known == applied.epoch or known is None, "applied something else than the log says"
    assert group.epoch >= last.epoch, "the log is of a later epoch than this replica"
    if group.applying:
        assert group.applying <= min(group.counted, group.persisted), "applying what is not counted and durable here"
    if group.role == LEADER:
        assert group.leader == group.me, "a leader that follows somebody"
        assert group.vote == group.me, "a leader that did not vote for itself"
        assert not group.log_damaged, "a replica leads whose log is damaged"
        assert group.transfer is None or not group.transfer.waiting, "a leader keeps writes from itself"
        _assert_progress(group)
    else:
        assert group.batch is None, "a batch without a leader"
        assert not group.flight, "batches in flight without a leader"
        assert not group.stack, "an open transaction without a leader"
        assert not group.queue, "writes wait where nobody leads"
        assert group.leader != group.me, "follows itself"
    if group.batch is not None and group.batch.alone:
        assert not group.stack, "what others wrote waits for a write that takes long"
        assert len(group.batch.requests) == 1, "a write that takes long is not alone"
    if group.stack:
        assert applied.index < group.stack[0] <= group.stack[-1] <= group.covered, "a stack out of its order"
        assert not group.applying, "the data file moves under an open transaction"
    if group.role == CANDIDATE:
        assert group.vote == group.me, "a candidate that voted for another"


def _assert_progress(group: Group) -> None:
    last = group.log.last.index
    for peer, progress in group.progress.items():
        assert progress.matched <= last, f"{peer} matched beyond the log"
        assert progress.next > progress.matched or progress.state == SNAPSHOT, f"{peer} is sent what it has"
        if progress.state == REPLICATING:
            assert progress.next <= last + 1, f"{peer} is sent what does not exist"
