"""A node whose folder is an older copy hears so from whoever remembers a later life of it."""

from quorate.core.entries import ORIGIN, CreateGroup
from quorate.core.kernel import CATALOG_GROUP, Condemn, Deliver, Now, OpenReplica
from quorate.core.lives import PeerLife, RaiseBoot
from quorate.core.messages import Heartbeat, Superseded
from quorate.core.options import SINGLE_LEADER
from quorate.core.recovered import RecoveredGroup
from quorate.core.single_leader.messages import VoteReply
from quorate.core.superseding import BOOT_LEAP, IN_DOUBT, Lives, doubt, doubted, holds_all, opening
from tests.core.harness import Cluster, Machine

SECOND = 1_000_000


def effects(machine: Machine, sender: int, message: object) -> list[object]:
    now = machine.cluster.now_us
    return list(machine.node.step(Now(now, now), Deliver(sender, message)))


def test_the_newest_life_is_noted_and_every_other_is_not_listened_to() -> None:
    noted: list[object] = []
    lives = Lives(1, (PeerLife(2, 5, 10),), noted.append)
    assert lives.is_newest(PeerLife(2, 5, 10))
    assert not noted
    for old in (PeerLife(2, 4, 10), PeerLife(2, 5, 11)):
        assert not lives.is_newest(old)
        assert lives.old == {2}
    assert lives.is_newest(PeerLife(2, 6, 12))
    assert not lives.old
    assert len(noted) == 1
    assert not lives.is_newest(PeerLife(2, 7 + BOOT_LEAP, 13)), "nobody starts so often"
    assert lives.is_newest(PeerLife(2, 7, 13))


def test_who_hears_an_earlier_life_says_so_and_drops_its_votes() -> None:
    cluster = Cluster(3)
    cluster.run(2 * SECOND)
    machine = cluster.machines[1]
    known = machine.node.liveness.lives.newest[2]
    spoken = machine.node.versions.spoken
    said = effects(machine, 2, Heartbeat(1, known.boot, spoken=spoken, begun_us=known.begun_us + 1))
    assert [each.message for each in said if hasattr(each, "message")] == [
        Superseded(known.boot, known.begun_us + 1, known.boot, known.begun_us)
    ]
    epoch = machine.node.groups[1].election.epoch
    assert effects(machine, 2, VoteReply(1, epoch + 1, granted=False)) == []
    assert machine.node.groups[1].election.epoch == epoch


def test_who_is_told_takes_its_replicas_for_damaged_and_goes_on_as_a_later_life() -> None:
    cluster = Cluster(3)
    cluster.run(2 * SECOND)
    machine = cluster.machines[1]
    begun = machine.node.liveness.begun_us
    assert not effects(machine, 2, Superseded(1, begun + 1, 7, 7)), "said of another life"
    assert not effects(machine, 2, Superseded(1, begun, 7 + 2 * BOOT_LEAP, 7)), "nobody starts so often"
    assert not effects(machine, 2, Superseded(1, begun, 1, begun)), "that is this life"
    done = effects(machine, 2, Superseded(1, begun, 7, 7))
    assert RaiseBoot(8) in done
    condemned = [each for each in done if isinstance(each, Condemn)]
    assert {each.group for each in condemned} == set(machine.node.groups)
    assert "n2 remembers a life that it does not know (boot 7)" in condemned[0].reason
    assert machine.node.boot == 8
    assert not effects(machine, 3, Superseded(1, begun, 7, 7)), "one word is enough"


def test_a_replica_that_the_folder_may_have_forgotten_is_not_taken_for_new() -> None:
    cluster = Cluster(3)
    cluster.run(2 * SECOND)
    machine = cluster.machines[1]
    node, now = machine.node, Now(cluster.now_us, cluster.now_us)
    assert doubt(node, (1, 2, 3)) == ""
    effects(machine, 2, Superseded(1, node.liveness.begun_us, 7, 7))
    node.create_group(now, CreateGroup(9, "forgotten", 0, SINGLE_LEADER, (1, 2, 3)))
    group = node.groups[9]
    assert group.log_damaged
    assert not group.may_stand()
    assert opening(group) == [OpenReplica(9), Condemn(9, IN_DOUBT, log=True)]
    assert not holds_all(node, CATALOG_GROUP), "it is not on the disk yet, nor is the catalog read as far as it must be"
    node.create_group(now, CreateGroup(10, "alone", 0, SINGLE_LEADER, (1,)))
    assert not node.groups[10].damaged, "nobody else could have committed it"


def test_an_empty_replica_is_in_doubt_too_where_the_node_died_before_it_could_say_so() -> None:
    def found(group: int, damaged: str, last: int) -> RecoveredGroup:
        return RecoveredGroup(group, "d", 0, SINGLE_LEADER, (1, 2, 3), 1, 0, ORIGIN, (), last, (), ORIGIN, damaged)

    groups = [found(0, "its log is gone", 3), found(1, "", 0), found(2, "", 7)]
    assert [each.damaged for each in doubted(groups)] == ["its log is gone", IN_DOUBT, ""]
    assert doubted(groups[1:]) == groups[1:]


def test_a_folder_that_was_started_more_often_since_it_was_put_back_is_found_out_too() -> None:
    lives = Lives(
        1, (PeerLife(1, 3, 30), PeerLife(1, 4, 41), PeerLife(1, 5, 51), PeerLife(2, 9, 9)), lambda _effect: None
    )
    assert lives.was_lived(3, 30)
    assert not lives.was_lived(4, 40), "the life that was replaced"
    assert not lives.was_lived(6, 60)
    assert lives.was_lived(2, 20), "nobody can tell any more"
    noted: list[object] = []
    lives = Lives(1, (), noted.append)
    lives.live(1, 10)
    lives.live(1, 10)
    assert len(noted) == 1
