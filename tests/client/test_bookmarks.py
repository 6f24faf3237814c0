"""What a connection to a cluster shows of what it has seen, and what moves it."""

from typing import Any

import pytest
from msgspec import structs
from tests.client.fake import FakeCluster, answer

import quorate
from quorate.core.bookmarks import Bookmark, Reached
from quorate.core.requests import Answer, Refused, RequestBody

READ = "SELECT 1"
WRITE = "INSERT INTO t VALUES (1)"


def at(index: int, epoch: int = 1, age_us: int = -1) -> Answer:
    return structs.replace(answer((1,), index=index), epoch=epoch, group=4, age_us=age_us)


def led(cluster: FakeCluster, *answers: Any) -> None:
    """Every node gives these answers in turn, whichever is asked."""
    left = list(answers)

    def script(_body: RequestBody) -> Any:
        return left.pop(0)

    for node in cluster.nodes:
        node.script = script


def shown(cluster: FakeCluster) -> list[tuple[int, ...]]:
    """What all requests have shown, as indices; in the order of the places that they had reached."""
    runs = [run for node in cluster.nodes for run in node.runs]
    return sorted(tuple(place.index for place in run.after.places) if run.after else () for run in runs)


def test_every_answer_moves_a_session_and_every_request_shows_it(face: Any, cluster: FakeCluster) -> None:
    led(cluster, at(5), at(9), at(7), at(11))
    with face.connect(cluster.url, read="session") as db:
        assert not db.bookmark
        db.execute(READ)
        db.execute(WRITE)
        db.execute(READ)  # an older answer changes nothing
        assert db.bookmark.places == (Reached(4, 1, 9),)
        db.execute(WRITE)
        assert Bookmark.parse(str(db.bookmark)) == db.bookmark
    assert shown(cluster) == [(), (5,), (9,), (9,)]


def test_a_connection_without_a_session_shows_nothing_and_knows_how_far_it_is(face: Any, cluster: FakeCluster) -> None:
    led(cluster, at(5), at(9, age_us=1_500_000), at(12))
    with face.connect(cluster.url) as db:
        db.execute(WRITE)
        assert db.execute(READ).staleness == 1.5
        mark = db.bookmark
        assert mark.places == (Reached(4, 1, 9),)
        assert db.execute(READ, read="session").staleness is None
    assert shown(cluster) == [(), (), (9,)]


def test_a_session_goes_on_elsewhere_and_leaves_eventual_reads_alone(face: Any, cluster: FakeCluster) -> None:
    led(cluster, at(9), at(9), at(2), at(9))
    with face.connect(cluster.url) as db:
        db.execute(WRITE)
        text = str(db.bookmark)
    with face.connect(cluster.url, bookmark=text) as other:
        assert other.read == "session"
        other.execute(READ)
        other.execute(READ, read="eventual")
        other.bookmark = None
        assert not other.bookmark
        other.execute(READ)
    assert shown(cluster) == [(), (), (), (9,)]


def test_what_is_lost_is_told_and_is_asked_of_no_other_node(face: Any, cluster: FakeCluster) -> None:
    led(cluster, at(9), Refused("BookmarkLost", "gone", "look"))
    with face.connect(cluster.url, read="session") as db:
        db.execute(READ)
        with pytest.raises(quorate.BookmarkLost, match="gone"):
            db.execute(WRITE)
    assert len(shown(cluster)) == 2


def test_a_place_of_another_epoch_that_was_not_looked_at_is_kept(face: Any, cluster: FakeCluster) -> None:
    """Without a session nobody has looked whether the new leader has what the old one had acknowledged."""
    led(cluster, at(9, epoch=1), at(12, epoch=2), at(13, epoch=2))
    with face.connect(cluster.url) as db:
        db.execute(WRITE)
        db.execute(WRITE)
        assert db.bookmark.places == (Reached(4, 1, 9), Reached(4, 2, 12))
        db.execute(READ, read="session")
        assert db.bookmark.places == (Reached(4, 2, 13),), "now one has"
