"""A leader whose folder is older than what its siblings have of it: no write is lost without a word."""

import pytest

from quorate.core.entries import Position
from quorate.core.requests import Answer, Refused
from tests.core.multi_leader.siblings import Siblings
from tests.core.multi_leader.test_streams import TOPOLOGIES, everywhere, founded


def forgetful(topology: str = "all", size: int = 3) -> Siblings:
    """(1) The folder of leader 2 is copied; (2) it writes, and all others have that; (3) it dies, and its folder is
    put back from the copy."""
    cluster = founded(size, topology)
    groups = range(1, size + 1)
    written(cluster, "before")
    cluster.run_until(lambda: everywhere(cluster, groups, "before"))
    machine = cluster.machines[2]
    copied = machine.copy()
    machine.crash()
    machine.start()
    cluster.run_until(lambda: cluster.machines[2].node.groups[2].leads_ready)
    for token in ("forgotten", "forgotten too"):
        written(cluster, token)
    cluster.run_until(lambda: everywhere(cluster, groups, "before", "forgotten", "forgotten too"))
    machine.crash()
    machine.put_back(copied)
    return cluster


def written(cluster: Siblings, token: str) -> None:
    """By leader 2, as soon as it takes writes."""
    for _ in range(100):
        if not cluster.machines[2].node.groups[2].leads_ready:
            cluster.run(50_000)
            continue
        key = cluster.write(2, token)
        cluster.run(50_000)
        if isinstance(cluster.replies[key], Answer):
            return
        assert cluster.replies[key].retryable, cluster.replies[key]
    raise AssertionError(cluster.replies[key])


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_it_takes_back_what_others_have_before_it_takes_writes(topology: str) -> None:
    cluster = forgetful(topology)
    cluster.machines[2].start()
    cluster.run_until(lambda: cluster.machines[2].node.groups[2].leads_ready)
    written(cluster, "after")
    cluster.run_until(lambda: everywhere_at_least(cluster, "before", "forgotten", "forgotten too", "after"))
    there = cluster.has(2)
    assert there.index("forgotten too") < there.index("after")


def everywhere_at_least(cluster: Siblings, *tokens: str) -> bool:
    """A token may have come twice: with everything."""
    return all(set(cluster.has(group)) >= set(tokens) for group in (1, 2, 3))


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_one_that_hears_nobody_goes_on_and_nothing_is_lost_when_it_does(topology: str) -> None:
    cluster = forgetful(topology)
    cluster.isolate(2)
    cluster.machines[2].start()
    cluster.run_until(lambda: cluster.machines[2].node.groups[2].leads_ready)
    for number in range(5):
        written(cluster, f"after-{number}")
    assert "forgotten" not in cluster.has(2)
    cluster.heal()
    news = [f"after-{number}" for number in range(5)]
    cluster.run_until(lambda: everywhere_at_least(cluster, "before", "forgotten", "forgotten too", *news))
    written(cluster, "at last")
    cluster.run_until(lambda: everywhere_at_least(cluster, "at last"))


def test_it_says_whom_it_needs_while_that_one_is_away() -> None:
    """Leader 1 knows that something is forgotten; it dies before it has given it back."""
    cluster = forgetful()
    cluster.isolate(2)
    cluster.machines[2].start()
    cluster.run_until(lambda: cluster.machines[2].node.groups[2].leads_ready)
    group = cluster.group(2)
    written(cluster, "after")
    group.doubt.beyond, group.doubt.keeper = Position(group.election.epoch + 1, 99), 1
    key = cluster.write(2, "refused")
    cluster.run(50_000)
    reply = cluster.replies[key]
    assert isinstance(reply, Refused)
    assert reply.retryable
    assert "n1" in reply.hint
