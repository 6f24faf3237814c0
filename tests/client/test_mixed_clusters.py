"""A URL that names nodes of two clusters, and a member's old address at which another cluster answers now."""

from typing import Any

import pytest
from tests.client.fake import FakeCluster, answer

import quorate
from quorate.client import directory, routing
from quorate.core.requests import NotLeader
from quorate.wire.handshake import NODE, Hello, greeting


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "BACKOFF_CAP", 0.02)
    monkeypatch.setattr(directory, "SHUNNED", 0.05)


@pytest.fixture
def mixed(cluster: FakeCluster) -> FakeCluster:
    """The second node is of another cluster, and they send callers to each other."""
    first, second, _ = cluster.nodes
    second.hello = greeting(Hello(NODE, cluster="other", node=2, name="n2"))
    first.script = lambda body: NotLeader(second.address)
    second.script = lambda body: NotLeader(first.address)
    return cluster


def test_an_address_of_another_cluster_in_the_url_is_named(face: Any, mixed: FakeCluster) -> None:
    first, second, _ = mixed.nodes
    url = f"quorate://{first.address},{second.address}/shop"
    other = pytest.raises(quorate.OperationalError, match=r"not done: .* is of another cluster")
    with face.connect(url, timeout=5) as db, other as caught:
        db.execute("INSERT INTO t VALUES (1)")
    assert not caught.value.retryable
    assert caught.value.hint
    assert len(first.asked) + len(second.asked) == 1


def test_where_a_member_used_to_be_another_cluster_is_passed_over(face: Any, mixed: FakeCluster) -> None:
    first, second, _ = mixed.nodes
    first.script = lambda body: NotLeader(second.address) if len(first.asked) < 3 else answer(rowcount=1)
    with face.connect(f"quorate://{first.address}/shop", timeout=5) as db:
        assert db.execute("INSERT INTO t VALUES (1)").rowcount == 1
    assert not second.asked


def test_status_names_an_address_of_another_cluster(face: Any, mixed: FakeCluster) -> None:
    first, second, _ = mixed.nodes
    first.script = lambda body: mixed.report(1)
    url = f"quorate://{first.address},{second.address}"
    other = pytest.raises(quorate.OperationalError, match=f"{second.address} is of another cluster")
    with face.cluster(url) as whole, other:
        whole.status()
