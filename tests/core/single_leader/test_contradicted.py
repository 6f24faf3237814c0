"""An old copy of a node's folder was put back, nobody who was there could tell, and then the one comes who knows."""

import pytest

from quorate.core.kernel import ApplyFailed
from quorate.core.requests import Answer
from tests.core.harness import Cluster, Machine, write

SECOND = 1_000_000


class Forgetful:
    """Two nodes acknowledge writes while the third is away; one of them gets its old folder and finds the third."""

    def __init__(self, *, leads: bool, writes: int, told: bool) -> None:
        """`leads`: the one that is to forget leads at first; then there is an election when it is restarted, and as the
        third does not hear of that, its epoch is given again. `told`: the one that knows has applied what was
        committed."""
        cluster = self.cluster = Cluster(3)
        cluster.gives_copies = True
        cluster.run(2 * SECOND)
        leader = cluster.leader()
        followers = [each for each in cluster.machines.values() if each is not leader]
        old, self.knows = (leader, followers[0]) if leads else (followers[0], leader)
        self.old, self.away = old, followers[1]
        cluster.isolate(self.away.number)
        old.crash()
        copied = old.copy()
        old.start()
        cluster.run(3 * SECOND)
        self.first = cluster.leader().node.groups[1].log.last.index + 1
        """Of what will be lost."""
        for number in range(writes):
            key = cluster.request(cluster.leader(), write(f"lost-{number}"))
            cluster.deliver()
            assert isinstance(cluster.replies[key], Answer)
        if told:
            cluster.run(SECOND)
        self.epoch = self.knows.node.groups[1].election.epoch
        old.crash()
        self.knows.crash()
        old.put_back(copied)
        cluster.heal()
        old.start()
        cluster.run(5 * SECOND)
        assert (old.node.groups[1].election.epoch == self.epoch) is leads

    def write(self, count: int = 3) -> None:
        for number in range(count):
            key = self.cluster.request(self.cluster.leader(), write(f"later-{number}"))
            self.cluster.run(SECOND)
            assert isinstance(self.cluster.replies[key], Answer)

    def all_equal(self) -> list[str]:
        contents = [self.cluster.tokens(number) for number in self.cluster.machines]
        assert contents[0] == contents[1] == contents[2]
        return contents[0]


def kept(machine: Machine) -> list[int]:
    return [each.first for each in machine.kept if each.group == 1]


@pytest.mark.parametrize("leads", [True, False])
@pytest.mark.parametrize("writes", [1, 3, 40])
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("later", [0, 3, 60])
def test_what_was_committed_and_the_leader_has_not_is_kept_before_it_goes(
    leads: bool, writes: int, told: bool, later: int
) -> None:
    case = Forgetful(leads=leads, writes=writes, told=told)
    case.write(later)
    case.knows.start()
    case.cluster.run(20 * SECOND)
    content = case.all_equal()
    assert content == [f"later-{number}" for number in range(later)]
    assert kept(case.knows)
    assert 0 < max(kept(case.knows)) <= case.first


@pytest.mark.parametrize("leads", [True, False])
@pytest.mark.parametrize("later", [0, 3, 60])
def test_a_condemned_data_file_is_not_replaced_before_the_tail_is_kept(leads: bool, later: int) -> None:
    case = Forgetful(leads=leads, writes=3, told=True)
    case.write(later)
    case.knows.start()
    case.knows.feed(ApplyFailed(1, full=False, reason="verify: others hold something else", log_intact=True))
    case.cluster.run(20 * SECOND)
    assert not [each for each in case.all_equal() if each.startswith("lost")]
    first = kept(case.knows)
    assert first, "the copy would have taken its place"
    assert max(first) <= case.first
