"""What a replica acknowledged in an earlier life is not counted any more once a later life has spoken."""

from quorate.core import kernel
from quorate.core.requests import Answer
from quorate.core.single_leader.messages import ReadIndexAsk
from tests.core.harness import Cluster, Machine, write
from tests.core.single_leader.test_group import started


def alone_with(cluster: Cluster, leader: Machine) -> Machine:
    """One other voter whose acknowledgements arrive; the third hears nothing."""
    first, second = (machine for machine in cluster.machines.values() if machine is not leader)
    cluster.isolate(second.number)
    return first


def late_acknowledgement(after_rebuild: bool) -> object:
    """What a writer hears when the only acknowledgement of its entry arrives late, perhaps after its sender said that
    it lives again."""
    cluster = started()
    leader = cluster.leader()
    voter = alone_with(cluster, leader)
    voter.slow_disk = True
    key = cluster.request(leader, write("a"))
    cluster.deliver()
    group = voter.node.groups[1]
    cluster.cut.add((voter.number, leader.number))
    late = group.append_reply(matched=group.log.last.index, accepted=True)
    if after_rebuild:
        ask = ReadIndexAsk(1, group.election.epoch, 1, group.life + 1)
        leader.feed(kernel.Deliver(voter.number, ask))
    leader.feed(kernel.Deliver(voter.number, late))
    return cluster.replies[key]


def test_a_late_acknowledgement_counts() -> None:
    assert isinstance(late_acknowledgement(after_rebuild=False), Answer)


def test_but_not_that_of_an_earlier_life() -> None:
    assert late_acknowledgement(after_rebuild=True) is None
