"""What all leaders have merged is settled, and nothing else."""

import pytest

from quorate.core.multi_leader import stability
from quorate.core.multi_leader.state import LeaderGroup
from tests.core.multi_leader.siblings import Siblings
from tests.core.multi_leader.test_streams import TOPOLOGIES, everywhere, founded


def _write_at_all(cluster: Siblings, size: int) -> None:
    for group in range(1, size + 1):
        cluster.write(group, f"at-{group}")


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize(("size", "leaders"), [(2, "all"), (4, "all"), (6, "2")])
def test_what_all_have_is_settled(topology: str, size: int, leaders: str) -> None:
    cluster = founded(size, topology, leaders)
    _write_at_all(cluster, 2)
    cluster.run_until(cluster.settled)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_who_is_away_is_waited_for(topology: str) -> None:
    cluster = founded(3, topology)
    _write_at_all(cluster, 3)
    cluster.run_until(cluster.settled)
    before = cluster.floor(1)
    cluster.isolate(3)
    cluster.write(1, "not at 3")
    cluster.write(3, "only at 3")
    cluster.run_until(lambda: everywhere(cluster, range(1, 3), "at-1", "at-2", "at-3", "not at 3"))
    cluster.run(10_000_000)
    assert [cluster.floor(each) for each in (1, 2, 3)] == [before] * 3
    cluster.heal()
    cluster.run_until(cluster.settled)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_who_is_away_for_long_is_not_waited_for(topology: str) -> None:
    cluster = founded(3, topology, forget_after="20s")
    cluster.isolate(3)
    cluster.write(1, "not at 3")
    cluster.write(3, "only at 3")
    cluster.run(15_000_000)
    assert [cluster.floor(each) for each in (1, 2)] == [{}, {}]
    cluster.run(15_000_000)
    for each in (1, 2):
        assert cluster.floor(each) == cluster.seen(each), "they need not remember more"
    assert cluster.group(1).keeps_log_from() > 0, "nor keep their logs"
    assert cluster.floor(3) == {3: cluster.seen(3)[3]}, "it cannot know that it is the only one that is left"
    cluster.heal()
    cluster.run_until(cluster.settled)
    assert everywhere(cluster, range(1, 4), "not at 3", "only at 3")


def test_what_was_written_before_it_is_waited_for() -> None:
    """(1) Leader 3 writes, and only 2 hears it; (2) leader 3 merges a write of 1, and all know; (3) leader 1 lacks the
    first, which is concurrent: it may not settle its own."""
    cluster = founded()
    cluster.cut |= {(3, 1)}
    cluster.write(3, "unheard")
    cluster.write(1, "first")
    cluster.run_until(lambda: "first" in cluster.has(3) and "first" in cluster.has(2))
    cluster.run(1_000_000)
    assert cluster.floor(1) == {} or "unheard" in cluster.has(1)
    cluster.heal()
    cluster.run_until(cluster.settled)


def test_a_new_leader_of_a_group_goes_on() -> None:
    cluster = founded(6, "all", "2")
    _write_at_all(cluster, 2)
    cluster.run_until(cluster.settled)
    dead = cluster.leader(1)
    dead.crash()
    cluster.write(2, "meanwhile")
    others = [each for each in cluster.machines.values() if each is not dead and 1 in each.node.groups]
    cluster.run_until(lambda: any(each.node.groups[1].leads_ready for each in others))
    cluster.run_until(lambda: "meanwhile" in cluster.has(1))
    cluster.write(1, "by the new one")
    cluster.run_until(cluster.settled)


def test_a_floor_that_does_not_wait_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def nearly_all(group: LeaderGroup) -> list[int]:
        return [each for each in (1, 2, 3) if each != 3 or group.group == 3]

    monkeypatch.setattr(stability, "waited_for", nearly_all)
    with pytest.raises(AssertionError):
        test_who_is_away_is_waited_for("all")
