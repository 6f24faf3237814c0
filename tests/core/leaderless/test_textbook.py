"""The textbook's cases of what quorums do and do not promise (Kleppmann 2017, chapter 5), each as it goes here."""

from quorate.core.row_requests import DELETE
from tests.core.leaderless.cluster import Cluster


def test_clock_skew_the_later_write_wins_though_its_clock_is_behind() -> None:
    cluster = Cluster()
    cluster[1].wall_ahead_us = 300_000
    cluster.write(1, "earlier")
    cluster.deliver()
    cluster.write(2, "later")
    cluster.deliver()
    number = cluster.read(3)
    cluster.deliver()
    assert cluster.shown(number) == ["later"]


def test_a_read_during_a_write_returns_the_new_value_and_a_later_one_may_not_return_the_old() -> None:
    """w + r > n alone is not linearizable; with blocking repair a read that has seen the new value leaves it with a
    quorum."""
    cluster = Cluster()
    cluster.write(1, "old")
    cluster.deliver()
    cluster.write(1, "new")
    cluster.deliver((1, 2), (1, 3))
    cluster.deliver((2, 1))
    cluster.messages.clear()  # nobody but node 1 has it
    first = cluster.read(1)
    cluster.deliver((1, 2))
    cluster.deliver((2, 1))
    cluster.deliver((1, 2))
    cluster.deliver((2, 1))
    assert cluster.shown(first) == ["new"]
    cluster.messages.clear()
    second = cluster.read(3)
    cluster.deliver((3, 2))
    cluster.deliver((2, 3))
    cluster.deliver()
    assert cluster.shown(second) == ["new"]


def test_the_same_with_repair_in_the_background_may_go_back() -> None:
    cluster = Cluster(repair="background")
    cluster.write(1, "old")
    cluster.deliver()
    cluster.write(1, "new")
    cluster.deliver((1, 2), (1, 3))
    cluster.deliver((2, 1))
    cluster.messages.clear()
    first = cluster.read(1)
    cluster.deliver((1, 2))
    cluster.deliver((2, 1))
    assert cluster.shown(first) == ["new"]
    cluster.messages.clear()  # and what repairs is lost
    second = cluster.read(3)
    cluster.deliver((3, 2))
    cluster.deliver((2, 3))
    assert cluster.shown(second) == ["old"]


def test_a_write_that_failed_on_some_is_not_undone_and_may_be_seen() -> None:
    cluster = Cluster(w="all")
    cluster.write(1, "old")
    cluster.deliver()
    cluster.cut = {3}
    number = cluster.write(1, "new")
    cluster.deliver()
    assert number not in cluster.answers
    read = cluster.read(2)
    cluster.deliver()
    assert cluster.shown(read) == ["new"]


def test_a_member_that_comes_back_with_an_old_value_does_not_win_by_votes() -> None:
    """Two of three hold the old value: one was away, another has lost power before its disk had the new one."""
    cluster = Cluster()
    cluster.write(1, "old")
    cluster.deliver()
    cluster.cut = {3}
    cluster.write(1, "new")
    cluster.deliver()
    cluster.cut = set()
    assert cluster.held() == ["new", "new", "old"]
    number = cluster.read(3)
    cluster.deliver()
    assert cluster.shown(number) == ["new"]
    cluster.wait(6)
    assert cluster.held() == ["new"] * 3


def test_a_member_that_was_away_when_a_row_was_deleted_does_not_bring_it_back() -> None:
    cluster = Cluster()
    cluster.write(1, "milk")
    cluster.deliver()
    cluster.cut = {3}
    cluster.write(1, "", change=DELETE)
    cluster.wait(6)
    cluster.cut = set()
    cluster[3].replica.exchange.doubt_all()
    cluster.wait(4)
    assert cluster.held() == ["deleted"] * 3
    number = cluster.read(3)
    cluster.deliver()
    assert cluster.shown(number) == []
