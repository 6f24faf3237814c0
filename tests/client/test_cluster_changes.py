"""A change of the cluster whose end is not known in time: nobody is told that it is not done."""

from typing import Any

import pytest
from tests.client.fake import HANG_UP, SILENCE, FakeCluster, answer

import quorate
from quorate.client import directory, routing
from quorate.core.requests import CreateDatabase, MemberStatus, NotLeader, Refused, Status, StatusReport


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "BACKOFF_CAP", 0.02)
    monkeypatch.setattr(routing, "PATIENCE_FIRST", 0.05)
    monkeypatch.setattr(directory, "SHUNNED", 0.05)


@pytest.mark.parametrize("said", [SILENCE, HANG_UP, Refused("MaybeDone", "n2 may still take over", "look")])
def test_a_failover_without_a_last_word_may_be_done(face: Any, cluster: FakeCluster, said: Any) -> None:
    report = StatusReport("fake", 1, "n1", 1, (), ())
    for node in cluster.nodes:
        node.script = lambda body: report if isinstance(body, Status) else said
    with face.cluster(cluster.url) as found, pytest.raises(quorate.MaybeDone) as caught:
        found.failover("shop", to="n2", timeout=0.5)
    assert not caught.value.token
    assert caught.value.hint


@pytest.mark.parametrize("later", [SILENCE, "under way"])
def test_members_that_are_changed_and_not_carried_out_in_time_are_not_called_not_done(
    face: Any, cluster: FakeCluster, later: str
) -> None:
    members = (MemberStatus(1, "n1", cluster.nodes[0].address, alive=True), MemberStatus(2, "n2", "b:1", alive=False))
    report = StatusReport("fake", 1, "n1", 1, members, ())
    changed: list[Any] = []

    def script(body: Any) -> Any:
        if isinstance(body, Status):
            return SILENCE if changed and later == SILENCE else report
        changed.append(body)
        return answer()

    cluster.nodes[0].script = script
    left = "n2 was taken out, and the catalog has not got its members"
    url = f"quorate://{cluster.nodes[0].address}"
    with face.cluster(url) as found, pytest.raises(quorate.MaybeDone, match=left) as caught:
        found.remove_member("n2", timeout=0.5)
    assert "member list" in caught.value.hint
    assert not caught.value.token


def test_a_database_that_is_made_and_does_not_come_up_in_time_is_not_called_not_done(
    face: Any, cluster: FakeCluster
) -> None:
    for node in cluster.nodes:
        node.script = lambda body: answer() if isinstance(body, CreateDatabase) else NotLeader("")
    with face.cluster(cluster.url) as found, pytest.raises(quorate.MaybeDone, match="shop is created") as caught:
        found.create("shop", timeout=0.3)
    assert "exists_ok" in caught.value.hint
    assert not caught.value.token


@pytest.mark.parametrize("later", [SILENCE, "under way"])
def test_a_rule_that_is_wanted_and_not_in_force_in_time_is_not_called_not_done(
    face: Any, cluster: FakeCluster, later: str
) -> None:
    report = StatusReport("fake", 1, "n1", 1, (), ())
    noted: list[Any] = []

    def script(body: Any) -> Any:
        if isinstance(body, Status):
            return SILENCE if noted and later == SILENCE else report
        noted.append(body)
        return answer()

    for node in cluster.nodes:
        node.script = script
    match = "shop is to have acks sync, and its leader has not brought that about in time"
    with face.cluster(cluster.url) as found, pytest.raises(quorate.MaybeDone, match=match) as caught:
        found.alter("shop", acks="sync", timeout=0.5)
    assert "status" in caught.value.hint
