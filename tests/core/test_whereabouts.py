"""Where members say that they are, on nodes whose messages the test delivers by hand."""

import msgspec

from quorate.core import kernel
from quorate.core.kernel import Now
from tests.core.harness import Cluster, Machine

SECOND = 1_000_000


def told(cluster: Cluster, machine: Machine, peer: int, address: str) -> list[kernel.Effect]:
    """What a node asks for when it hears where a node is."""
    return machine.node.step(Now(cluster.now_us, 0), kernel.Located(peer, address))


def written(effects: list[kernel.Effect]) -> bool:
    """Whether the node says that it writes a new address to the catalog."""
    return any(isinstance(effect, kernel.Note) and effect.name == "moved" for effect in effects)


def started() -> tuple[Cluster, Machine, Machine]:
    """A leader of the catalog and a follower."""
    cluster = Cluster(3)
    cluster.run(2 * SECOND)
    leader = cluster.leader(0)
    follower = next(machine for machine in cluster.machines.values() if machine is not leader)
    return cluster, leader, follower


def test_who_says_that_it_is_elsewhere_is_dialled_there_by_all_and_the_leader_writes_it_down() -> None:
    cluster, leader, follower = started()
    (third,) = {machine.number for machine in cluster.machines.values()} - {leader.number, follower.number}
    for machine in (leader, follower):
        effects = told(cluster, machine, third, "10.0.0.9:7")
        assert kernel.Connect(third, "10.0.0.9:7") in effects
        assert machine.node.moved == {third: "10.0.0.9:7"}
        assert written(effects) == (machine is leader)
    assert not written(told(cluster, leader, third, "10.0.0.9:7")), "the first write is under way"


def test_the_address_that_is_known_and_that_of_a_stranger_change_nothing() -> None:
    cluster, leader, follower = started()
    known = leader.node.address_of(follower.number)
    assert told(cluster, leader, follower.number, known) == []
    assert told(cluster, leader, 99, "10.0.0.9:7") == []
    assert told(cluster, leader, follower.number, "") == []
    assert not leader.node.moved


def test_what_the_catalog_says_now_is_forgotten_here_and_dialled_by_those_who_were_away() -> None:
    cluster, leader, follower = started()
    told(cluster, leader, follower.number, "10.0.0.9:7")
    catalog = leader.node.directory.catalog
    members = tuple(
        msgspec.structs.replace(member, address="10.0.0.9:7") if member.node == follower.number else member
        for member in catalog.members
    )
    read = kernel.CatalogRead(msgspec.structs.replace(catalog, members=members))
    effects = leader.node.step(Now(cluster.now_us, 0), read)
    assert not leader.node.moved
    (third,) = set(cluster.machines) - {leader.number, follower.number}
    effects = cluster.machines[third].node.step(Now(cluster.now_us, 0), read)
    assert kernel.Connect(follower.number, "10.0.0.9:7") in effects
