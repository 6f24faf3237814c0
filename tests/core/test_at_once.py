"""A node whose requests come one at a time begins what a request made ready within the step that it came with."""

from msgspec import structs

from quorate.core.calls import Request
from quorate.core.executing import Execute
from quorate.core.kernel import Effect, Now, Wake
from quorate.core.node import Node
from tests.core.harness import SETTINGS, Cluster, write

SECOND = 1_000_000


class Alone(Cluster):
    settings = structs.replace(SETTINGS, at_once=True)


def leading(cluster: Cluster) -> tuple[Node, Now]:
    cluster.run(2 * SECOND)
    return cluster.leader().node, Now(cluster.now_us, cluster.now_us)


def test_a_write_begins_with_the_step_in_which_it_comes() -> None:
    node, now = leading(Alone(1))
    assert [type(effect) for effect in node.step(now, Request(1, write("a")))] == [Execute]
    node.assert_invariants()


def test_it_does_what_the_next_wake_would_have_done() -> None:
    asked: list[list[Effect]] = []
    for kind in (Cluster, Alone):
        node, now = leading(kind(1))
        effects = node.step(now, Request(1, write("a")))
        if kind is Cluster:
            assert not effects, "others may come with it"
            assert node.deadline_us == now.mono_us
            effects += node.step(now, Wake())
        assert node.deadline_us is not None
        assert node.deadline_us > now.mono_us, "nothing is left to begin"
        asked.append(effects)
    assert asked[0] == asked[1]


def test_writes_behind_others_get_their_turn() -> None:
    cluster = Alone(3)
    cluster.run(2 * SECOND)
    leader = cluster.leader()
    for number in range(20):
        cluster.request(leader, write(f"t{number}"))
    cluster.run(SECOND)
    assert cluster.tokens(leader.number) == [f"t{number}" for number in range(20)]
