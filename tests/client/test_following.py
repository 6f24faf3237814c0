"""Clients follow the members: who is told of one node knows the others when that one is gone."""

from typing import Any

import pytest
from tests.client.fake import SILENCE, FakeCluster

from quorate.core.requests import MemberStatus, StatusReport


def test_a_client_knows_members_that_never_led_when_all_that_it_was_told_of_are_gone(
    face: Any, cluster: FakeCluster
) -> None:
    first, _, last = cluster.nodes
    cluster.lead(first)
    cluster.members = [first, last]
    with face.connect(f"quorate://{first.address}/shop", timeout=10) as db:
        for _ in range(2):  # the answer to who there is may come after the first one's
            assert db.execute("SELECT 1").fetchone() == (first.number,)
        first.kill()
        cluster.lead(last)
        assert db.execute("SELECT 1").fetchone() == (last.number,)


@pytest.mark.parametrize("said", ["nothing", "removed"])
def test_nobody_waits_for_who_there_is_and_a_node_that_is_out_is_not_believed(
    face: Any, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    first = cluster.nodes[0]
    cluster.lead(first)
    out = StatusReport("fake", 1, "n1", 1, (MemberStatus(9, "n9", "gone:1", alive=True),), (), removed=True)
    monkeypatch.setattr(cluster, "report", lambda number: SILENCE if said == "nothing" else out)
    with face.connect(f"quorate://{first.address}/shop", timeout=10) as db:
        for _ in range(3):
            assert db.execute("SELECT 1").fetchone() == (first.number,)
        assert "gone:1" not in repr(db)
