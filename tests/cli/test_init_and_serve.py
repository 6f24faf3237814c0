import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from quorate.cli.main import main
from quorate.cli.output import Exit


def quorate(*arguments: str | Path | int, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], env=env)


def test_init_makes_three_nodes_by_default(tmp_path: Path) -> None:
    result = quorate("init", tmp_path / "c", "--json")
    assert result.exit_code == Exit.OK
    made = json.loads(result.stdout)
    assert made == json.loads((tmp_path / "c" / "cluster.json").read_text())
    assert [node["name"] for node in made["nodes"]] == ["n1", "n2", "n3"]
    for node in made["nodes"]:
        assert node["address"].startswith("127.0.0.1:")
        assert {each.name for each in Path(node["folder"]).iterdir()} == {"node.db", "node.toml"}


def test_init_takes_named_nodes_on_given_addresses_and_says_what_is_missing(tmp_path: Path) -> None:
    result = quorate("init", tmp_path, "--node", "east=10.0.0.1:7001", "--node", "west=10.0.0.2:7001")
    assert result.exit_code == Exit.OK
    assert "nothing would be encrypted" in result.stderr
    assert 'listen = "10.0.0.1:7001"' in (tmp_path / "east" / "node.toml").read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nodes", "2", "--node", "a=127.0.0.1:1"),
        ("--node", "a"),
        ("--node", "a=127.0.0.1:1", "--node", "a=127.0.0.1:2"),
    ],
)
def test_init_refuses_what_makes_no_sense(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert quorate("init", tmp_path / "c", *arguments).exit_code == Exit.USAGE
    assert not (tmp_path / "c").exists()


def test_init_leaves_an_existing_cluster_alone(tmp_path: Path) -> None:
    quorate("init", tmp_path)
    before = (tmp_path / "cluster.json").read_text()
    assert quorate("init", tmp_path).exit_code == Exit.USAGE
    assert (tmp_path / "cluster.json").read_text() == before


def test_serve_prints_the_effective_configuration(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('heartbeat = "10ms"\n')
    result = quorate(
        "serve",
        "--config",
        tmp_path / "node.toml",
        "--print-config",
        "--suspect",
        "2s",
        env={"QUORATE_CONNECTIONS": "7"},
    )
    assert result.exit_code == Exit.OK
    for line in ('heartbeat = "10ms"', 'suspect = "2s"', "connections = 7", f'folder = "{tmp_path}"'):
        assert line in result.stdout


def test_serve_finds_the_configuration_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('heartbeat = "10ms"\n')
    assert 'heartbeat = "10ms"' in quorate("serve", "--folder", tmp_path, "--print-config").stdout


def test_serve_names_the_nearest_key(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('lisen = "127.0.0.1:1"\n')
    result = quorate("serve", "--config", tmp_path / "node.toml")
    assert result.exit_code == Exit.USAGE
    assert "did you mean 'listen'" in result.stderr


def test_serve_refuses_a_folder_without_a_node(tmp_path: Path) -> None:
    result = quorate("serve", "--folder", tmp_path)
    assert result.exit_code == Exit.REFUSED
    assert "no node lives in" in result.stderr


def test_serve_refuses_to_run_without_its_invariants(tmp_path: Path) -> None:
    quorate("init", tmp_path, "--nodes", "1")
    command = [sys.executable, "-O", "-m", "quorate.cli.main", "serve", "--folder", str(tmp_path / "n1")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == Exit.USAGE
    assert "without -O" in done.stderr


def test_up_refuses_another_number_of_nodes(tmp_path: Path) -> None:
    quorate("init", tmp_path, "--nodes", "2")
    result = quorate("up", "--dir", tmp_path, "--nodes", "3")
    assert result.exit_code == Exit.USAGE
    assert "holds a cluster of 2 nodes" in result.stderr


def test_a_port_that_is_taken_is_said_and_nothing_was_tried(tmp_path: Path) -> None:
    quorate("init", tmp_path, "--nodes", "1")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "quorate.cli.main", "serve", "--folder", str(tmp_path / "n1")]
        command += ["--listen", f"127.0.0.1:{port}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        asked = quorate("up", "--dir", tmp_path / "new", "--nodes", "1", "--port", port)
    assert (done.returncode, f"cannot listen on 127.0.0.1:{port}" in done.stderr) == (Exit.USAGE, True), done.stderr
    assert (asked.exit_code, f"port {port}" in asked.stderr) == (Exit.USAGE, True)
    assert not (tmp_path / "new").exists()


def test_a_cluster_is_not_made_among_other_files(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    for command in (("init", tmp_path), ("up", "--port", "0", "--dir", tmp_path)):
        result = quorate(*command)
        assert (result.exit_code, "it has thesis.tex" in result.stderr) == (Exit.USAGE, True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
