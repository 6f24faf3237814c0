"""What one leader wrote comes to all others: in causal order, once, and only what stays."""

from itertools import permutations

import pytest

from quorate.core.bookmarks import Bookmark, digest_of
from quorate.core.read_levels import SESSION
from quorate.core.requests import Answer, NotLeader, Run
from quorate.core.statements import Statement, Token
from tests.core.multi_leader.siblings import CHANGE, Siblings

TOPOLOGIES = ("all", "ring", "star")


def founded(size: int = 3, topology: str = "all", leaders: str = "all", forget_after: str = "10d") -> Siblings:
    """Every group has its leader."""
    cluster = Siblings(size, topology, leaders, forget_after)
    groups = range(1, len(cluster.options.placed(range(size))) + 1)

    def led() -> bool:
        return all(
            any(
                number in each.node.groups and each.node.groups[number].leads_ready
                for each in cluster.machines.values()
            )
            for number in groups
        )

    cluster.run_until(led)
    return cluster


def everywhere(cluster: Siblings, groups: range, *tokens: str) -> bool:
    return all(sorted(cluster.has(group)) == sorted(tokens) for group in groups)


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("size", [2, 3, 4])
def test_every_write_comes_to_every_leader_once(topology: str, size: int) -> None:
    cluster = founded(size, topology)
    groups = range(1, size + 1)
    keys = [cluster.write(group, f"at-{group}") for group in groups]
    cluster.run_until(lambda: everywhere(cluster, groups, *[f"at-{group}" for group in groups]))
    assert all(isinstance(cluster.replies[key], Answer) for key in keys)
    cluster.run_until(cluster.settled)
    before = {group: cluster.group(group).log.last.index for group in groups}
    cluster.run(5_000_000)
    assert {group: cluster.group(group).log.last.index for group in groups} == before, "nobody goes on talking about it"


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_write_is_acknowledged_by_a_leader_that_is_cut_off_and_travels_later(topology: str) -> None:
    cluster = founded(3, topology)
    cluster.isolate(3)
    key = cluster.write(3, "alone")
    cluster.write(1, "meanwhile")
    cluster.run(3_000_000)
    assert isinstance(cluster.replies[key], Answer)
    assert cluster.has(3) == ["alone"]
    assert cluster.has(2) == ["meanwhile"], "the others go on"
    cluster.heal()
    cluster.run_until(lambda: everywhere(cluster, range(1, 4), "alone", "meanwhile"))


@pytest.mark.parametrize("topology", ["ring", "star"])
@pytest.mark.parametrize("dead", [1, 2, 3, 4])
def test_the_others_find_a_way_around_a_dead_leader(topology: str, dead: int) -> None:
    cluster = founded(4, topology)
    left = [group for group in range(1, 5) if group != dead]
    cluster.machines[dead].crash()
    for group in left:
        cluster.write(group, f"at-{group}")
    cluster.run_until(lambda: all(sorted(cluster.has(group)) == [f"at-{each}" for each in left] for group in left))


def test_what_was_seen_before_a_write_comes_before_it() -> None:
    """(1) Leader 2 has a write of leader 1, and writes; (2) leader 3 hears 2, and not 1: it waits."""
    cluster = founded()
    cluster.cut |= {(1, 3), (3, 1)}
    cluster.write(1, "first")
    cluster.run_until(lambda: cluster.has(2) == ["first"])
    cluster.write(2, "second")
    cluster.run(1_000_000)
    assert cluster.has(3) == [], "it has no way to the first yet"
    cluster.cut.clear()
    cluster.run_until(lambda: len(cluster.has(3)) == 2)
    assert cluster.has(3) == ["first", "second"]


def test_a_leader_that_is_silent_for_long_is_heard_through_another() -> None:
    cluster = founded()
    cluster.cut |= {(1, 3), (3, 1)}
    cluster.write(1, "first")
    cluster.run_until(lambda: cluster.has(2) == ["first"])
    cluster.write(2, "second")
    cluster.run_until(lambda: len(cluster.has(3)) == 2)
    assert cluster.has(3) == ["first", "second"]
    cluster.write(3, "third")
    cluster.run_until(lambda: everywhere(cluster, range(1, 4), "first", "second", "third"))


def test_what_no_majority_of_its_own_group_holds_stays_there() -> None:
    """With followers a write travels once a majority has it; with acks = async it is acknowledged before."""
    cluster = founded(6, leaders="2")
    leader = cluster.leader(1)
    followers = [node for node in (1, 3, 5) if node != leader.number]
    for follower in followers:
        cluster.cut |= {(leader.number, follower), (follower, leader.number)}
    cluster.write(1, "lonely")
    cluster.run(300_000)
    assert cluster.has(2) == []
    assert not any(entry for entry in cluster.leader(2).merges(2))
    cluster.heal()
    cluster.run_until(lambda: everywhere(cluster, range(1, 3), "lonely"))


def test_a_new_leader_of_a_group_goes_on_where_the_old_one_was() -> None:
    cluster = founded(6, leaders="2")
    cluster.write(1, "a")
    cluster.run_until(lambda: cluster.has(2) == ["a"])
    cluster.run(1_000_000)
    for group in (2, 1):
        cluster.leader(group).crash()
        cluster.run(3_000_000)
        cluster.write(group, f"after-{group}")
    cluster.run_until(lambda: everywhere(cluster, range(1, 3), "a", "after-1", "after-2"))


def test_after_a_restart_nothing_is_merged_twice_and_nothing_missed() -> None:
    cluster = founded()
    for number in range(5):
        cluster.write(1, f"a-{number}")
        cluster.run(50_000)
    cluster.run_until(lambda: len(cluster.has(2)) == 5)
    cluster.run(1_000_000)
    cluster.machines[2].crash()
    cluster.write(1, "away")
    cluster.run(1_000_000)
    cluster.machines[2].start()
    cluster.run_until(lambda: "away" in cluster.tokens(2, 2))
    assert cluster.tokens(2, 2) == [*[f"a-{number}" for number in range(5)], "away"]


def test_a_merge_that_fails_holds_back_what_comes_after_it() -> None:
    cluster = founded()
    cluster.machines[2].refuses = 3
    for order, group in enumerate((1, 3, 1)):
        cluster.write(group, f"w{order}")
        cluster.run(20_000)
    cluster.run_until(lambda: everywhere(cluster, range(1, 4), "w0", "w1", "w2"))
    assert cluster.has(2).index("w0") < cluster.has(2).index("w2")
    assert cluster.machines[2].refuses == 0


@pytest.mark.parametrize("lost", list(permutations((1, 2, 3), 2)))
def test_a_lost_message_delays_and_no_more(lost: tuple[int, int]) -> None:
    cluster = founded()
    cluster.cut.add(lost)
    cluster.write(1, "a")
    cluster.write(2, "b")
    cluster.run(700_000)
    cluster.heal()
    cluster.run_until(lambda: everywhere(cluster, range(1, 4), "a", "b"))


def test_the_schema_is_changed_at_the_first_leader_alone() -> None:
    cluster = founded()
    key = cluster.write(2, "ddl", "CREATE TABLE t(id INTEGER PRIMARY KEY) STRICT")
    assert cluster.replies[key] == NotLeader("host:1", 1)
    key = cluster.write(1, "ddl", "CREATE TABLE t(id INTEGER PRIMARY KEY) STRICT")
    cluster.run_until(lambda: everywhere(cluster, range(1, 4), "ddl"))
    assert isinstance(cluster.replies[key], Answer)


def test_the_log_is_kept_until_every_sibling_has_it() -> None:
    cluster = founded()
    cluster.isolate(3)
    cluster.write(1, "a")
    cluster.run(2_000_000)
    assert cluster.group(1).keeps_log_from() == 0
    cluster.heal()
    cluster.run_until(lambda: cluster.has(3) == ["a"])
    cluster.run(2_000_000)
    assert cluster.group(1).keeps_log_from() > 0


@pytest.mark.parametrize("writes", [False, True])
def test_a_session_goes_on_at_another_leader_when_that_has_seen_as_much(writes: bool) -> None:
    cluster = founded()
    cluster.cut = {(1, 2), (2, 1), (3, 2), (2, 3)}
    key = cluster.write(1, "a")
    cluster.run_until(lambda: key in cluster.replies)
    seen = cluster.replies[key]
    assert isinstance(seen, Answer)
    after = Bookmark(digest_of(cluster.machines[1].node.identity.cluster), (seen.place,))
    sql = CHANGE if writes else "SELECT 1"
    token = Token("b", 0, 2) if writes else None
    other = cluster.request(cluster.leader(2), Run("main", (Statement(sql),), SESSION, token, after=after))
    cluster.run(300_000)
    assert cluster.replies[other] == (NotLeader("") if writes else None)
    cluster.heal()
    cluster.run_until(lambda: everywhere(cluster, range(1, 3), "a"))
    if writes:  # its client tries again
        again = cluster.request(cluster.leader(2), Run("main", (Statement(sql),), SESSION, token, after=after))
        cluster.run_until(lambda: everywhere(cluster, range(1, 4), "a", "b"))
        assert isinstance(cluster.replies[again], Answer)
    else:
        cluster.run_until(lambda: cluster.replies[other] == ["a"])


def test_a_sibling_that_has_just_begun_is_asked_again_at_once() -> None:
    """What it was asked before is lost with its life."""
    cluster = founded(2)
    cluster.run(5_000_000)
    cluster.machines[2].crash()
    cluster.machines[2].start()
    cluster.run_until(lambda: cluster.group(2).leads_ready)
    cluster.write(2, "anew")
    cluster.run(20_000)
    assert cluster.machines[1].merges(1)
