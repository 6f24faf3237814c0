"""What must be true of one replica after every step, in the words of the Raft paper where it has them.

Invariants across replicas (election safety, log matching, leader completeness, state machine safety) are
the simulator's, which sees them all.
"""

from quorate.core.single_leader.progress import REPLICATING, SNAPSHOT
from quorate.core.single_leader.roles import CANDIDATE, LEADER
from quorate.core.single_leader.state import Group


def assert_invariants(group: Group) -> None:
    """Raise AssertionError with the broken promise in words."""
    log, last, applied = group.log, group.log.last, group.apply.applied
    assert log.base.index <= last.index, "the log ends before it begins"
    assert group.commit.persisted <= last.index, "persisted beyond the log"
    assert group.commit.committed <= last.index, "committed beyond the log"
    if group.apply.opened and not group.repair.damaged and not group.fetching.switching:
        assert applied.index <= group.commit.committed, "applied what is not committed"
        known = last.epoch if applied.index == last.index else log.epoch_at(applied.index)
        assert known == applied.epoch or known is None, "applied something else than the log says"
    assert group.election.epoch >= last.epoch, "the log is of a later epoch than this replica"
    if group.apply.applying:
        assert group.apply.applying <= min(group.commit.committed, group.commit.persisted), (
            "applying what is not committed and durable here"
        )
    if group.election.role == LEADER:
        assert group.election.leader == group.me, "a leader that follows somebody"
        assert group.election.vote == group.me, "a leader that did not vote for itself"
        assert not group.log_damaged, "a replica leads whose log is damaged"
        assert group.handover.transfer is None or not group.handover.transfer.waiting, (
            "a leader keeps writes from itself"
        )
        _assert_progress(group)
    else:
        assert group.writes.batch is None, "a batch without a leader"
        assert not group.writes.flight, "batches in flight without a leader"
        assert not group.settling.stack, "an open transaction without a leader"
        assert not group.holding.name, "a transaction holds the writer where nobody leads"
        assert not group.writes.queue, "writes wait where nobody leads"
        assert group.election.leader != group.me, "follows itself"
    if group.writes.batch is not None and group.writes.batch.alone:
        assert not group.settling.stack, "what others wrote waits for a write that takes long"
        assert len(group.writes.batch.requests) == 1, "a write that takes long is not alone"
    if group.holding.name:
        assert not group.settling.stack, "what others wrote is open beside a transaction that holds the writer"
        assert not group.apply.applying, "the data file moves under a transaction that holds the writer"
    if group.settling.stack:
        assert applied.index < group.settling.stack[0] <= group.settling.stack[-1] <= group.settling.covered, (
            "a stack out of its order"
        )
        assert not group.apply.applying, "the data file moves under an open transaction"
    if group.election.role == CANDIDATE:
        assert group.election.vote == group.me, "a candidate that voted for another"


def _assert_progress(group: Group) -> None:
    last = group.log.last.index
    for peer, progress in group.progress.items():
        assert progress.matched <= last, f"{peer} matched beyond the log"
        assert progress.next > progress.matched or progress.state == SNAPSHOT, f"{peer} is sent what it has"
        if progress.state == REPLICATING:
            assert progress.next <= last + 1, f"{peer} is sent what does not exist"
