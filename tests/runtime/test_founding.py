import json
from pathlib import Path

import pytest

from quorate.runtime.config import ConfigError, load
from quorate.runtime.founding import (
    PORTS,
    ClusterFile,
    NodePlace,
    found,
    free_ports,
    local_members,
    read_cluster_file,
    write_cluster_file,
)
from quorate.storage.folder import open_store

MEMBERS = {"a": "127.0.0.1:17001", "b": "127.0.0.1:17002"}


def test_all_nodes_know_the_same_founders_and_each_is_somebody_else(tmp_path: Path) -> None:
    made = found(tmp_path, MEMBERS, {"heartbeat": "20ms"})
    identities = []
    for name, address in MEMBERS.items():
        config, _ = load(tmp_path / name / "node.toml", {}, {})
        assert (config.listen, config.heartbeat) == (address, 20_000)
        store = open_store(config.folder)
        identities.append(store.identity)
        store.close()
    assert {each.cluster for each in identities} == {made.cluster}
    assert len({each.founders for each in identities}) == 1
    assert [each.name for each in identities] == ["a", "b"]
    assert len({each.node for each in identities}) == 2
    assert all(0 < each.node < 1 << 63 for each in identities)


def test_cluster_json_says_where_everything_is(tmp_path: Path) -> None:
    made = found(tmp_path, MEMBERS)
    content = json.loads((tmp_path / "cluster.json").read_text())
    assert content["url"] == made.url == "quorate://127.0.0.1:17001,127.0.0.1:17002"
    assert content["nodes"][1] == {"name": "b", "pid": 0, "address": "127.0.0.1:17002", "folder": str(tmp_path / "b")}
    assert read_cluster_file(tmp_path) == made


def test_a_cluster_is_never_founded_over_another(tmp_path: Path) -> None:
    found(tmp_path, MEMBERS)
    with pytest.raises(ConfigError, match="holds a cluster already"):
        found(tmp_path, MEMBERS)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a/b": "127.0.0.1:1"}, "cannot be a node's name"),
        ({"..": "127.0.0.1:1"}, "cannot be a node's name"),
        ({"a": "here"}, "host:port"),
        ({"a": "127.0.0.1:1", "b": "127.0.0.1:1"}, "one address"),
    ],
)
def test_what_cannot_be_a_cluster_makes_no_folder(tmp_path: Path, members: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        found(tmp_path, members)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "precious").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        found(tmp_path, MEMBERS)
    assert not (tmp_path / "a").exists()


def test_cluster_json_is_replaced_at_once(tmp_path: Path) -> None:
    for pid in range(3):
        write_cluster_file(tmp_path, ClusterFile("c", (NodePlace("a", pid, "h:1", "f"),), "u"))
    assert read_cluster_file(tmp_path).nodes[0].pid == 2
    assert [each.name for each in tmp_path.iterdir()] == ["cluster.json"]


def test_a_damaged_cluster_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text("{")
    with pytest.raises(ConfigError, match="damaged"):
        read_cluster_file(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_cluster_file(tmp_path / "elsewhere")


def test_free_ports_are_different_and_below_those_of_outgoing_connections() -> None:
    ports = free_ports("127.0.0.1", 20)
    assert len(set(ports)) == 20
    assert all(port in PORTS for port in ports)
    assert list(local_members(2, "127.0.0.1")) == ["n1", "n2"]
