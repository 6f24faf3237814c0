"""A node that hears that a database was dropped closes its group, writes that down, and then deletes the files."""

from typing import Any

import msgspec
import pytest

from quorate.core import kernel
from quorate.core.calls import Reply, Request
from quorate.core.catalog import Catalog, DroppedRow
from quorate.core.dropped import DropReplica, ReplicaDropped
from quorate.core.entries import DropGroup
from quorate.core.kernel import CatalogRead, Now, Persist, Persisted
from quorate.core.messages import Removed
from quorate.core.recovered import Recovered
from quorate.core.requests import Answer, DropDatabase, NotLeader, Refused, Run
from quorate.core.statements import Statement, Token
from tests.core.harness import Cluster, Machine, write

SECOND = 1_000_000
MAIN = 1


def step(machine: Machine, event: kernel.Event) -> list[Any]:
    now = machine.cluster.now_us
    return list(machine.node.step(Now(now, now), event))


def without_main(cluster: Cluster) -> Catalog:
    dropped = (DroppedRow(MAIN, "main", (1, 2, 3)),)
    return msgspec.structs.replace(cluster.catalog(), databases=(), partitions=(), dropped=dropped)


def leader_of(cluster: Cluster) -> Machine:
    return next(each for each in cluster.machines.values() if each.node.groups[MAIN].election.role == "leader")


def settled() -> tuple[Cluster, Machine]:
    cluster = Cluster(3)
    cluster.run(2 * SECOND)
    return cluster, leader_of(cluster)


def test_the_group_closes_is_written_down_and_then_its_files_go() -> None:
    cluster, machine = settled()
    done = step(machine, CatalogRead(without_main(cluster)))
    (persist,) = [each for each in done if isinstance(each, Persist)]
    assert persist.writes == (DropGroup(MAIN),)
    assert MAIN not in machine.node.groups
    assert machine.node.status().dropped == ()
    assert not [each for each in done if isinstance(each, DropReplica)], "not before that is on the disk"
    assert DropReplica(MAIN) in step(machine, Persisted(persist.sequence))
    assert machine.node.status().dropped == (MAIN,)
    assert step(machine, CatalogRead(without_main(cluster))) == [], "once is enough"


def test_files_that_cannot_be_deleted_yet_are_tried_again() -> None:
    cluster, machine = settled()
    (persist,) = [each for each in step(machine, CatalogRead(without_main(cluster))) if isinstance(each, Persist)]
    step(machine, Persisted(persist.sequence))
    step(machine, ReplicaDropped(MAIN, gone=False))
    cluster.now_us += SECOND
    assert DropReplica(MAIN) in step(machine, kernel.Wake())
    step(machine, ReplicaDropped(MAIN, gone=True))
    cluster.now_us += SECOND
    assert DropReplica(MAIN) not in step(machine, kernel.Wake())


def test_neither_an_older_state_of_the_catalog_nor_a_message_brings_it_back() -> None:
    cluster, machine = settled()
    message = next(each for _, to, each in sent(cluster) if to == machine.number and hasattr(each, "group"))
    step(machine, CatalogRead(without_main(cluster)))
    for event in (CatalogRead(cluster.catalog()), kernel.Deliver(2, message)):
        assert not [each for each in step(machine, event) if isinstance(each, Persist)]
        assert MAIN not in machine.node.groups
    recovered = Recovered(machine.node.identity, (), (), (MAIN,))
    machine.node = type(machine.node)(recovered, machine.node.rng)
    step(machine, kernel.Wake())
    step(machine, CatalogRead(cluster.catalog()))
    assert MAIN not in machine.node.groups


def sent(cluster: Cluster) -> list[Any]:
    """What is on its way between the nodes when somebody writes."""
    leader = leader_of(cluster)
    leader.feed(Request(77, write("w")))
    cluster.now_us += SECOND // 10
    leader.feed(kernel.Wake())
    messages = list(cluster.messages)
    for peer in cluster.machines.values():
        if peer is not leader:
            messages += [(peer.number, leader.number, each[2]) for each in messages if each[0] == leader.number]
            break
    return messages


def test_a_node_that_never_held_it_writes_it_down_too() -> None:
    cluster, machine = settled()
    catalog = without_main(cluster)
    more = msgspec.structs.replace(catalog, dropped=(*catalog.dropped, DroppedRow(9, "old", (2, 3))))
    (persist,) = [each for each in step(machine, CatalogRead(more)) if isinstance(each, Persist)]
    assert persist.writes == (DropGroup(MAIN), DropGroup(9))


def test_a_node_that_was_taken_out_hears_it_from_whoever_tells_it_so() -> None:
    cluster, machine = settled()
    told = Removed(5, cluster.members, (), (MAIN,))
    done = step(machine, kernel.Deliver(2, told))
    assert [each.writes for each in done if isinstance(each, Persist)] == [(DropGroup(MAIN),)]
    assert MAIN not in machine.node.groups
    assert 0 in machine.node.groups


def test_a_node_that_was_taken_out_hears_of_later_drops_too() -> None:
    cluster, machine = settled()
    step(machine, kernel.Deliver(2, Removed(5, cluster.members, ())))
    assert MAIN in machine.node.groups
    step(machine, kernel.Deliver(2, Removed(5, cluster.members, (), (MAIN,))))
    assert MAIN not in machine.node.groups


@pytest.mark.parametrize("what", ["write", "read"])
def test_callers_are_sent_away(what: str) -> None:
    cluster, machine = settled()
    cluster.cut = {(machine.number, peer) for peer in cluster.machines}
    body = write("w") if what == "write" else Run("main", (Statement("SELECT 1"),))
    machine.feed(Request(7, body))
    machine.feed(kernel.Wake())
    done = step(machine, CatalogRead(without_main(cluster)))
    (reply,) = [each for each in done if isinstance(each, Reply)]
    assert reply.id == 7
    assert not isinstance(reply.body, Answer)
    assert isinstance(reply.body, NotLeader) == (what == "read"), reply.body


def test_the_catalog_itself_is_refused() -> None:
    cluster = Cluster(1)
    cluster.run(2 * SECOND)
    (reply,) = [
        each
        for each in step(cluster.machines[1], Request(5, DropDatabase("quorate", Token("t", 0))))
        if isinstance(each, Reply)
    ]
    assert isinstance(reply.body, Refused)
    assert "cannot be dropped" in reply.body.message
