"""The replication without a leader, message by message."""

from random import Random

import pytest

from quorate.core.read_levels import EVENTUAL
from quorate.core.requests import NotLeader, Refused, Unsure
from quorate.core.row_requests import ADD, DELETE, INSERT, UPDATE, ReadRow, RunRow, WriteRow
from quorate.core.statements import Failed, Statement
from tests.core.leaderless.cluster import Cluster


def test_a_write_asks_is_told_its_version_and_is_stored() -> None:
    cluster = Cluster()
    cluster.write(1, "milk")
    assert cluster.take_lines() == ["1 -> 2 RowAsk", "1 -> 3 RowAsk"]
    cluster.deliver((1, 2))
    cluster.deliver((2, 1))
    assert cluster.take_lines() == [
        "2 -> 1 RowReply nothing",
        "1      Tell 1: milk has a version",
        "1 -> 2 Store milk",
        "1 -> 3 Store milk",
    ]
    cluster.deliver((1, 2))
    cluster.deliver((2, 1))
    assert cluster.take_lines() == ["2 -> 1 Stored", "1      Reply 1: 1 changed"]
    assert cluster.held() == ["milk", "milk", "nothing"]


def test_nobody_counts_before_its_disk_holds_it() -> None:
    cluster = Cluster(w="all")
    cluster[1].syncs = cluster[2].syncs = False
    number = cluster.write(1, "milk")
    cluster.deliver()
    assert number not in cluster.answers
    cluster[2].syncs = True
    cluster.deliver()
    assert number not in cluster.answers
    cluster[1].syncs = True
    cluster.deliver()
    assert number in cluster.answers


def test_too_few_acknowledgements_mean_maybe() -> None:
    cluster = Cluster()
    number = cluster.write(1, "milk")
    cluster.deliver((1, 2), (1, 3))
    cluster.deliver((2, 1))
    cluster.cut = {2, 3}
    cluster.wait(30)
    assert isinstance(cluster.answers[number], Unsure)
    assert cluster.held() == ["milk", "nothing", "nothing"]
    cluster.cut = set()
    cluster.wait(3)
    assert cluster.held() == ["milk"] * 3, "what may have happened has"


def test_too_few_answers_before_the_version_mean_not_done() -> None:
    cluster = Cluster()
    cluster.cut = {2, 3}
    number = cluster.write(1, "milk")
    cluster.wait(30)
    refused = cluster.answers[number]
    assert isinstance(refused, Refused)
    assert refused.message.startswith("not done: 1 of 2 replicas have answered; missing are n2, n3")
    assert not cluster.minted


def test_a_retry_brings_its_version_to_any_coordinator_and_counts_once() -> None:
    cluster = Cluster()
    cluster.ask(1, WriteRow("carts", "n", b"k", INSERT, ((0, 0),)))
    cluster.deliver()
    number = cluster.ask(1, WriteRow("carts", "n", b"k", ADD, ((0, 1),)))
    cluster.deliver((1, 2), (1, 3))
    cluster.deliver((2, 1))
    state = cluster.minted[number].state
    for node in (2, 3, 2):
        again = cluster.ask(node, WriteRow("carts", "n", b"k", ADD, ((0, 1),), minted=state))
        cluster.deliver()
        assert cluster.answers[again].results[0].rowcount == 1
    read = cluster.ask(3, ReadRow("carts", "n", b"k"))
    cluster.deliver()
    assert cluster.shown(read) == [1]


@pytest.mark.parametrize("bent", range(200))
def test_a_state_that_no_node_has_told_is_refused_or_is_one(bent: int) -> None:
    """It would lie in every log."""
    rng = Random(bent)
    cluster = Cluster()
    cluster.ask(1, WriteRow("carts", "n", b"k", INSERT, ((0, 0),)))
    cluster.deliver()
    cluster.ask(2, WriteRow("carts", "n", b"k", ADD, ((0, 1),)))
    cluster.deliver()
    state = bytearray(cluster.minted[2].state)
    for _ in range(rng.choice((1, 1, 4))):
        state[rng.randrange(len(state))] = rng.randrange(256)
    number = cluster.ask(3, WriteRow("carts", "n", b"k", ADD, ((0, 1),), minted=bytes(state)))
    cluster.deliver()
    answer = cluster.answers[number]
    if isinstance(answer, Refused):
        assert answer.error in ("ProgrammingError", "Unavailable")
        assert cluster[3].replica.keeper.last == 2
    read = cluster.ask(1, ReadRow("carts", "n", b"k"))
    cluster.deliver()
    assert read in cluster.answers


def test_a_read_returns_the_newest_and_repairs_who_lacks_it() -> None:
    cluster = Cluster()
    cluster.cut = {3}
    cluster.write(1, "milk")
    cluster.deliver()
    cluster.cut = {1}
    cluster.take_lines()
    number = cluster.read(3)
    cluster.deliver()
    assert cluster.shown(number) == ["milk"]
    assert cluster.take_lines() == [
        "3 -> 1 RowAsk",
        "3 -> 2 RowAsk",
        "2 -> 3 RowReply milk",
        "3 -> 1 Store milk",
        "3      Reply 2: rows ['milk']",
    ]
    assert cluster.held()[2] == "milk"


def test_a_blocking_repair_is_durable_before_the_answer() -> None:
    cluster = Cluster()
    cluster.cut = {3}
    cluster.write(1, "milk")
    cluster.deliver()
    cluster.cut = {1}
    cluster[3].syncs = False
    number = cluster.read(3)
    cluster.deliver()
    assert number not in cluster.answers
    cluster[3].syncs = True
    cluster.deliver()
    assert cluster.shown(number) == ["milk"]


def test_the_newest_is_not_what_more_replicas_hold() -> None:
    cluster = Cluster()
    cluster.write(1, "milk")
    cluster.deliver()
    cluster.write(1, "bread")
    cluster.deliver((1, 2), (1, 3))
    cluster.deliver((2, 1))
    cluster.messages.clear()
    assert cluster.held() == ["bread", "milk", "milk"]
    number = cluster.read(1, r=3)
    cluster.deliver()
    assert cluster.shown(number) == ["bread"]
    assert cluster.held() == ["bread"] * 3


def test_a_write_has_a_higher_version_than_what_it_follows_whatever_the_clocks_say() -> None:
    cluster = Cluster()
    cluster[1].wall_ahead_us, cluster[2].wall_ahead_us = 200_000, -200_000
    cluster.write(1, "milk")
    cluster.deliver()
    cluster.write(2, "bread")
    cluster.deliver()
    number = cluster.read(3)
    cluster.deliver()
    assert cluster.shown(number) == ["bread"]
    assert cluster.minted[2].stamp > cluster.minted[1].stamp


def test_a_clock_that_is_far_off_mints_nothing() -> None:
    cluster = Cluster()
    cluster[1].wall_ahead_us = 2_000_000
    number = cluster.write(1, "milk")
    cluster.wait(30)
    assert "the clock here differs too much from that of n2, n3" in cluster.answers[number].message


def test_writes_of_one_row_stand_in_line_and_are_computed_together() -> None:
    cluster = Cluster()
    cluster.ask(1, WriteRow("carts", "n", b"k", INSERT, ((0, 0),)))
    cluster.deliver()
    cluster.take_lines()
    for _ in range(3):
        cluster.ask(1, WriteRow("carts", "n", b"k", ADD, ((0, 1),)))
    cluster.deliver()
    stores = [line for line in cluster.take_lines() if line.startswith("1 -> 2 Store")]
    assert stores == ["1 -> 2 Store 1", "1 -> 2 Store 3"]


def test_a_write_takes_no_version_from_answers_that_were_asked_for_before_it_came() -> None:
    cluster = Cluster()
    cluster[1].wall_ahead_us = -300_000
    cluster.write(1, "a")
    cluster.deliver((1, 2))  # the answer of node 2 is on its way
    earlier = cluster.write(3, "b")
    for _ in range(2):
        cluster.deliver((3, 2))
        cluster.deliver((2, 3))
    assert earlier in cluster.answers
    later = cluster.write(1, "c")
    cluster.deliver((2, 1))
    assert later not in cluster.minted
    cluster.deliver()
    assert cluster.minted[later].stamp > cluster.minted[earlier].stamp


def test_a_replica_whose_data_file_is_behind_acknowledges_and_answers_no_reads() -> None:
    cluster = Cluster(w="all")
    cluster[3].data_full = True
    number = cluster.write(1, "milk")
    cluster.deliver()
    assert number in cluster.answers
    assert cluster.held() == ["milk", "milk", "nothing"]
    assert cluster[3].replica.lacks_room()
    cluster.cut = {1}
    number = cluster.read(2)
    cluster.wait(2)
    assert number not in cluster.answers
    cluster[3].data_full = False
    cluster.wait(2)
    assert cluster.shown(number) == ["milk"]


def test_the_next_write_waits_until_the_last_is_durable_here() -> None:
    cluster = Cluster()
    cluster[1].syncs = False
    cluster.write(1, "milk")
    cluster.deliver()
    cluster.write(1, "bread", column=1)
    cluster.deliver()
    assert list(cluster.minted) == [1]
    cluster[1].syncs = True
    cluster.deliver()
    assert list(cluster.minted) == [1, 2]


def test_inserts_updates_and_deletes_say_what_they_found() -> None:
    cluster = Cluster()
    asked = [cluster.write(1, "milk", change=change) for change in (UPDATE, DELETE)]
    cluster.deliver()
    assert [cluster.answers[number].results[0].rowcount for number in asked] == [0, 0]
    number = cluster.write(1, "milk", change=INSERT)
    cluster.deliver()
    again = cluster.write(2, "bread", change=INSERT)
    cluster.deliver()
    assert cluster.answers[number].results[0].rowcount == 1
    assert isinstance(cluster.answers[again], Failed)
    assert cluster.answers[again].error == "IntegrityError"


def test_a_member_that_was_away_is_given_what_it_missed() -> None:
    cluster = Cluster()
    cluster.cut = {3}
    cluster.write(1, "milk")
    cluster.wait(6)
    cluster.write(1, "bread")
    cluster.wait(6)
    assert cluster[1].replica.spreading.hints[3] == {("t", b"k"): None}
    cluster.cut = set()
    cluster.wait(2)
    assert cluster.held() == ["bread"] * 3
    assert not cluster[1].replica.spreading.hints[3]


def test_a_coordinator_that_dies_leaves_a_difference_that_the_trees_find() -> None:
    cluster = Cluster()
    cluster.write(1, "milk")
    cluster.deliver((1, 2), (1, 3))
    cluster.deliver((2, 1))
    cluster.deliver((1, 2))
    cluster.cut = {1}
    cluster.messages.clear()
    assert cluster.held() == ["milk", "milk", "nothing"]
    for number in (2, 3):
        cluster[number].replica.on_peer_lost(cluster[number].now, 1)
    cluster.take_lines()
    cluster.wait(2)
    assert cluster.held()[1:] == ["milk", "milk"]
    said = [line for line in cluster.take_lines() if not line.startswith("1")]
    assert said[:2] == ["2 -> 3 Hashes of level 0, 1", "3 -> 2 Hashes of level 0, 1"]
    assert sum("Rows milk" in line for line in said) <= 2
    cluster.wait(2)
    assert not cluster[2].replica.exchange.doubted.keys() - {1}


def test_members_at_rest_have_no_timers() -> None:
    cluster = Cluster()
    cluster.write(1, "milk")
    cluster.wait(6)
    assert [member.timers for member in cluster.members.values()] == [{}, {}, {}]


def test_a_deleted_row_stays_deleted_when_an_old_state_comes_late() -> None:
    cluster = Cluster()
    cluster.write(1, "milk")
    cluster.deliver((1, 2), (1, 3))
    cluster.deliver((2, 1))
    late = [each for each in cluster.messages if each[1] == 3]
    cluster.deliver((1, 2))
    cluster.deliver((2, 1))
    cluster.messages.clear()
    cluster.write(2, "", change=DELETE)
    cluster.deliver()
    cluster.messages += late
    cluster.deliver()
    number = cluster.read(3)
    cluster.deliver()
    assert cluster.shown(number) == []


def test_an_origin_is_another_in_each_life() -> None:
    cluster = Cluster()
    before = cluster[1].replica.writes.origin
    cluster[1].syncs = False
    cluster.write(1, "milk")
    cluster.deliver()
    cluster[1].crash()
    cluster[1].syncs = True
    cluster.deliver()
    assert cluster[1].replica.writes.origin != before
    cluster.write(1, "bread", column=1)
    cluster.wait(3)
    number = cluster.read(2)
    cluster.deliver()
    assert cluster.shown(number) == ["milk"], "what it minted before its crash, and has forgotten, is not gone"


@pytest.mark.parametrize(("w", "r"), [(1, 1), (1, 3), (3, 1)])
def test_a_call_may_choose_its_own_quorum(w: int, r: int) -> None:
    cluster = Cluster()
    cluster.cut = {2, 3} if w == 1 and r == 1 else set()
    if r == 1 and w == 1:  # r of the database still counts for the version
        cluster.cut = {3}
    number = cluster.write(1, "milk", w=w)
    cluster.deliver()
    assert cluster.answers[number].results[0].rowcount == 1
    read = cluster.read(1, r=r)
    cluster.deliver()
    assert cluster.shown(read) == ["milk"]


def test_more_than_there_are_is_refused() -> None:
    cluster = Cluster()
    number = cluster.write(1, "milk", w=4)
    assert "it must be from 1 to n = 3" in cluster.answers[number].message


def test_a_replica_that_cannot_trust_its_disk_answers_nobody() -> None:
    cluster = Cluster()
    cluster.write(1, "milk")
    cluster.deliver()
    cluster[3].emit = lambda effect: None  # type: ignore[method-assign]
    cluster[3].replica.distrust(cluster[3].now, "an older copy of this folder was put back")
    number = cluster.read(3)
    assert isinstance(cluster.answers[number], NotLeader)
    assert cluster[3].replica.status().damaged


@pytest.mark.parametrize("level", ["", EVENTUAL])
def test_a_statement_is_not_planned_before_storage_knows_the_group(level: str) -> None:
    cluster = Cluster()
    node = cluster[1]
    node.syncs = False
    node.begin()  # in its first life: the group is to be created
    node.replica.on_request(node.now, 9, RunRow("carts", Statement("SELECT 1"), level=level))
    assert cluster.answers[9] == NotLeader("")
    assert not cluster.events
