"""Fetching a copy of a database: from the node that keeps it, and again from another when that one is lost."""

from pathlib import Path
from typing import Any

import pytest
from tests.client.fake import HANG_UP, FakeCluster, FakeNode, outcome

import quorate
from quorate.client.copies_aio import ATTEMPTS
from quorate.core.copy_requests import CopyPart, CopyReport, OpenCopy, ReadCopy
from quorate.core.requests import Answer, Refused, RequestBody

CONTENT = b"a database file, as far as a client can tell"
PART = 10


class Keeper:
    """What a node says that keeps a copy; its connection ends before it gives the part at `fails_at`."""

    def __init__(self, node: FakeNode, fails_at: int = 1 << 40) -> None:
        self.node = node
        self.fails_at = fails_at
        node.script = self.say

    def say(self, body: RequestBody) -> Any:
        if isinstance(body, OpenCopy):
            return Answer(outcome(CopyReport(self.node.number, len(CONTENT))), 9)
        assert isinstance(body, ReadCopy)
        if body.copy != self.node.number:
            return Refused("Unavailable", "no such copy", retryable=True)
        if body.offset >= self.fails_at and body.offset < len(CONTENT):
            return HANG_UP
        return Answer(outcome(CopyPart(CONTENT[body.offset : body.offset + PART])))


def asked(node: FakeNode, kind: type) -> int:
    return sum(isinstance(body, kind) for body in node.asked)


def test_a_copy_is_fetched_in_parts_and_let_go_of(face: Any, cluster: FakeCluster, tmp_path: Path) -> None:
    node = cluster.nodes[0]
    Keeper(node)
    told: list[tuple[int, int]] = []
    with face.connect(f"quorate://{node.address}/shop", timeout=10, read="leader") as db:
        assert db.copy_to(tmp_path / "copy.db", told=lambda done, total: told.append((done, total))) == 9
    assert (tmp_path / "copy.db").read_bytes() == CONTENT
    assert node.asked[0] == OpenCopy("shop", "leader")
    assert node.asked[-1] == ReadCopy(1, len(CONTENT))
    assert told[0] == (PART, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_the_strongest_read_level_is_asked_for_when_none_is_named(
    face: Any, cluster: FakeCluster, tmp_path: Path
) -> None:
    Keeper(cluster.nodes[0])
    with face.connect(f"quorate://{cluster.nodes[0].address}/shop", timeout=10) as db:
        db.copy_to(tmp_path / "copy.db")
    assert cluster.nodes[0].asked[0] == OpenCopy("shop", "linearizable", strongest=True)


def test_a_copy_whose_node_is_lost_is_begun_again_elsewhere(face: Any, cluster: FakeCluster, tmp_path: Path) -> None:
    lost, other = cluster.nodes[:2]
    cluster.members = [lost, other]
    Keeper(lost)
    Keeper(other)
    with face.connect(f"quorate://{lost.address}/shop", timeout=10) as db:
        db.copy_to(tmp_path / "first.db")  # until it knows both
        Keeper(lost, fails_at=2 * PART)
        lost.asked.clear()
        other.asked.clear()
        db.copy_to(tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_bytes() == CONTENT
    assert asked(lost, OpenCopy) + asked(other, OpenCopy) in (1, 2)
    assert asked(other, OpenCopy) == 1


def test_nodes_that_are_lost_again_and_again_end_in_an_error(face: Any, cluster: FakeCluster, tmp_path: Path) -> None:
    node = cluster.nodes[0]
    Keeper(node, fails_at=PART)
    with face.connect(f"quorate://{node.address}/shop", timeout=10) as db:
        with pytest.raises(quorate.Unavailable, match="times the node was lost") as raised:
            db.copy_to(tmp_path / "copy.db")
        assert "quorate status" in raised.value.hint
    assert asked(node, OpenCopy) == ATTEMPTS


def test_a_copy_that_its_node_let_go_of_is_begun_again(face: Any, cluster: FakeCluster, tmp_path: Path) -> None:
    node = cluster.nodes[0]
    keeper = Keeper(node)
    gone = [Refused("Unavailable", "this node does not keep that copy any more", retryable=True)]

    def say(body: RequestBody) -> Any:
        return gone.pop() if gone and isinstance(body, ReadCopy) and body.offset == PART else keeper.say(body)

    node.script = say
    with face.connect(f"quorate://{node.address}/shop", timeout=10) as db:
        db.copy_to(tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_bytes() == CONTENT
    assert asked(node, OpenCopy) == 2


def test_a_full_disk_here_lets_the_copy_go_there(face: Any, cluster: FakeCluster, tmp_path: Path) -> None:
    node = cluster.nodes[0]
    Keeper(node)
    with face.connect(f"quorate://{node.address}/shop", timeout=10) as db, pytest.raises(OSError, match="No such file"):
        db.copy_to(tmp_path / "missing" / "copy.db")
    assert node.asked[-1] == ReadCopy(1, len(CONTENT))
