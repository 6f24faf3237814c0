"""What no epoch can be: a message that says it changes nothing."""

import pytest

from quorate.core.bounds import EPOCH_LEAP, EPOCH_MAX
from quorate.core.entries import ORIGIN
from quorate.core.kernel import Deliver
from quorate.core.messages import GroupHeartbeat, Heartbeat, HeartbeatReply, Message
from quorate.core.requests import Answer
from quorate.core.single_leader.messages import Append, AppendReply, PreVoteReply, SnapshotOffer, Vote
from tests.core.harness import Cluster, write

SECOND = 1_000_000


def words(epoch: int, boot: int) -> list[Message]:
    return [
        Vote(1, epoch, ORIGIN, transfer=True),
        PreVoteReply(1, epoch, granted=False),
        Append(1, epoch, ORIGIN, (), 0),
        AppendReply(1, epoch, False, 0, ORIGIN),
        SnapshotOffer(1, epoch, 1, ORIGIN, 1),
        Heartbeat(1_000, boot, (GroupHeartbeat(1, epoch, 0),)),
        HeartbeatReply(1_000, boot, (GroupHeartbeat(1, epoch, 0),)),
    ]


@pytest.mark.parametrize("kind", range(len(words(1, 1))))
@pytest.mark.parametrize("leap", [EPOCH_LEAP + 1, EPOCH_MAX - 1])
def test_an_epoch_that_cannot_have_come_about_is_not_adopted(kind: int, leap: int) -> None:
    cluster = Cluster(3)
    cluster.run(2 * SECOND)
    leader = cluster.leader()
    sender = next(number for number in (1, 2, 3) if number != leader.number)
    epoch = leader.node.groups[1].election.epoch
    for machine in cluster.machines.values():
        if machine.number != sender:
            machine.feed(Deliver(sender, words(epoch + leap, 1)[kind]))
    cluster.run(2 * SECOND)
    assert {machine.node.groups[1].election.epoch for machine in cluster.machines.values()} == {epoch}
    cluster.leader().crash()
    cluster.run(5 * SECOND)
    key = cluster.request(cluster.leader(), write("a"))
    cluster.run(SECOND)
    assert isinstance(cluster.replies[key], Answer)


def test_an_epoch_of_a_permit_may_be_far_ahead() -> None:
    cluster = Cluster(3)
    cluster.run(2 * SECOND)
    group = cluster.leader().node.groups[1]
    sender = group.others[0]
    cluster.leader().feed(Deliver(sender, AppendReply(1, group.election.epoch + (1 << 36), False, 0, ORIGIN)))
    assert group.election.epoch >= 1 << 36
