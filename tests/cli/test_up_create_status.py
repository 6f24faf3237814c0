"""The commands together, on a real cluster."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import quorate as library
from quorate.cli.main import main
from quorate.cli.output import Exit
from quorate.core.options import SingleLeaderOptions, describe
from quorate.lab.nemesis.trial import wait_until
from quorate.runtime.cluster import LocalCluster
from quorate.runtime.founding import read_cluster_file

PATIENCE_S = 60.0
OPTIONS = SingleLeaderOptions().spelt


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster.start(3, tmp_path_factory.mktemp("cluster")) as running:
        yield running


def quorate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def test_a_created_database_is_there_for_everybody(cluster: LocalCluster) -> None:
    result = quorate("create", "shop", "--acks", "majority", "--replicas", "3", "--cluster", cluster.folder, "--json")
    assert result.exit_code == Exit.OK, result.stderr
    assert json.loads(result.stdout)["database"] == "shop"

    def everywhere() -> bool:
        """A majority has it when `create` returns; the third node may hear of it a moment later."""
        view = json.loads(quorate("status", "--json", "--cluster", cluster.url).stdout)
        (shop,) = [group for group in view["groups"] if group["database"] == "shop"]
        return len(shop["replicas"]) == 3 and shop["leader"] in cluster.names

    wait_until(everywhere, PATIENCE_S, "shop is not on all three")


def test_a_database_is_created_once(cluster: LocalCluster) -> None:
    assert quorate("create", "once", "--cluster", cluster.folder).exit_code == Exit.OK
    again = quorate("create", "once", "--cluster", cluster.folder)
    assert again.exit_code == Exit.REFUSED
    assert "once" in again.stderr
    assert quorate("create", "once", "--exists-ok", "--cluster", cluster.folder).exit_code == Exit.OK


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("x", "--acks", "bogus"), Exit.USAGE),
        (("x", "--failover", "bogus"), Exit.USAGE),
        (("x", "--replication", "bogus"), Exit.USAGE),
        (("x", "--acks", "semi-sync:3", "--replicas", "2"), Exit.USAGE),
        (("x", "--replicas", "9"), Exit.REFUSED),
        (("../x",), Exit.REFUSED),
    ],
)
def test_what_cannot_be_created_is_refused(cluster: LocalCluster, arguments: tuple[str, ...], code: Exit) -> None:
    assert quorate("create", *arguments, "--cluster", cluster.folder).exit_code == code


def test_a_database_that_exists_is_described_as_it_is(cluster: LocalCluster) -> None:
    place = ("--cluster", cluster.folder)
    assert quorate("create", "made", *place).exit_code == Exit.OK
    again = quorate("create", "made", "--exists-ok", "--acks", "majority", *place)
    described = f"single-leader, {describe(OPTIONS)}, 3 replicas"
    assert (again.exit_code, again.stderr) == (0, f"made exists: {described}\n")
    other = quorate("create", "made", "--exists-ok", "--acks", "sync", "--replicas", "2", *place)
    assert other.exit_code == Exit.REFUSED
    assert f"made exists and is {described}, not acks sync, replicas 2" in other.stderr
    listed = json.loads(quorate("databases", "--json", *place).stdout)
    assert {"name": "made", "options": OPTIONS, "replicas": 3}.items() <= {each["name"]: each for each in listed}[
        "made"
    ].items()
    assert "made" in quorate("databases", *place).stdout


@pytest.mark.parametrize(
    "command",
    [
        ("lost", "list", "nosuch"), ("lost", "replay", "nosuch"), ("explain", "nosuch"), ("verify", "nosuch"),
        ("failover", "nosuch"), ("alter", "nosuch", "--acks", "sync"), ("export", "nosuch", "never.db"),
        ("sql", "nosuch", "SELECT 1"),
    ],
)  # fmt: skip
def test_a_misspelt_name_is_an_error_in_every_command(cluster: LocalCluster, command: tuple[str, ...]) -> None:
    result = quorate(*command, "--cluster", cluster.folder)
    assert (result.exit_code, result.stdout) == (Exit.REFUSED, "")
    assert "nosuch" in result.stderr


def test_a_name_is_never_a_folder_and_a_path_always(
    cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QUORATE_URL", raising=False)
    library.connect("./main").close()
    shown = quorate("verify", "main", "--cluster", cluster.folder)
    assert shown.stdout.startswith("main: equal at index")
    assert "single replica" not in shown.stdout
    assert "single replica" in quorate("verify", "./main").stdout
    both = quorate("verify", "./main", "--cluster", cluster.folder)
    assert (both.exit_code, "give one of them" in both.stderr) == (Exit.USAGE, True)
    bare = quorate("verify", "main")
    assert (bare.exit_code, "write ./main" in bare.stderr) == (Exit.USAGE, True)


def test_one_statement_from_the_command_line(cluster: LocalCluster, tmp_path: Path) -> None:
    for target, place in (("main", ("--cluster", cluster.folder)), (tmp_path / "here", ())):
        if not place:
            library.connect(target).close()
        made = quorate("sql", target, "CREATE TABLE one(a, b)", *place)
        assert (made.exit_code, made.stderr) == (0, "done: 0 rows changed\n")
        assert quorate("sql", target, "INSERT INTO one VALUES (1, x'ff'), (NULL, 'text')", *place).exit_code == 0
        shown = quorate("sql", target, "SELECT a, b FROM one", *place)
        assert shown.stdout == "a     b\n1     x'ff'\nNULL  text\n"
        as_json = json.loads(quorate("sql", target, "SELECT a FROM one", "--json", *place).stdout)
        assert as_json == {"columns": ["a"], "rows": [[1], [None]]}
        assert quorate("sql", target, "SELECT nothing", *place).exit_code == Exit.REFUSED


def test_status_shows_a_node_that_is_away(cluster: LocalCluster) -> None:
    away = cluster.names[2]
    cluster.kill(away)
    try:
        result = quorate("status", "--cluster", cluster.folder)
        assert result.exit_code == Exit.OK
        (line,) = [line for line in result.stdout.splitlines() if line.startswith(away)]
        assert "no answer" in line
    finally:
        cluster.restart(away)


def test_up_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "quorate.cli.main", "up", "--nodes", "2", "--port", "0", "--dir", str(tmp_path)]
    command.append("--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        watchdog = threading.Timer(PATIENCE_S, up.kill)
        watchdog.start()
        try:
            assert up.stdout is not None
            assert up.stderr is not None
            told = [up.stderr.readline() for _ in range(3)]
            assert told[2].startswith("ready: quorate://127.0.0.1:")
            places = read_cluster_file(tmp_path).nodes
            os.kill(places[1].pid, signal.SIGKILL)
            assert "n2 ended by signal 9; start it again with: quorate serve" in up.stderr.readline()
            assert [place.pid for place in read_cluster_file(tmp_path).nodes] == [places[0].pid, 0]
            up.send_signal(signal.SIGINT)
            while up.poll() is None:  # to say it again changes nothing, however near the end
                up.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    up.wait(0.002)
            assert up.wait() == Exit.OK
            assert json.loads(up.stdout.read())["nodes"][0]["pid"] == places[0].pid
        finally:
            watchdog.cancel()
            up.kill()
    for place in places:
        with pytest.raises(ProcessLookupError):
            os.kill(place.pid, 0)
    assert [place.pid for place in read_cluster_file(tmp_path).nodes] == [0, 0]


def test_up_fails_when_every_node_has_died(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "quorate.cli.main", "up", "--nodes", "1", "--port", "0", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as up:
        watchdog = threading.Timer(PATIENCE_S, up.kill)
        watchdog.start()
        try:
            assert up.stderr is not None
            up.stderr.readline()
            assert up.stderr.readline().startswith("ready")
            os.kill(read_cluster_file(tmp_path).nodes[0].pid, signal.SIGKILL)
            assert up.wait() == Exit.FAILED
            assert "every node has died" in up.stderr.read()
        finally:
            watchdog.cancel()
            up.kill()


def test_a_second_up_leaves_a_running_cluster_alone(cluster: LocalCluster) -> None:
    before = (cluster.folder / "cluster.json").read_bytes()
    again = quorate("up", "--dir", cluster.folder)
    assert again.exit_code == Exit.USAGE
    assert "runs already: n1 answers" in again.stderr
    assert (cluster.folder / "cluster.json").read_bytes() == before


@pytest.mark.parametrize("json_too", [False, True])
def test_status_is_repeated_until_it_is_interrupted(cluster: LocalCluster, *, json_too: bool) -> None:
    command = [sys.executable, "-m", "quorate.cli.main", "status", "--watch", "--interval", "0.1"]
    command += ["--cluster", str(cluster.folder), *(["--json"] if json_too else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
        watchdog = threading.Timer(PATIENCE_S, watch.kill)
        watchdog.start()
        try:
            assert watch.stdout is not None
            if json_too:
                views = [json.loads(watch.stdout.readline()) for _ in range(2)]
                assert {node["name"] for node in views[1]["nodes"]} == set(cluster.names)
            else:
                assert next(line for line in watch.stdout if line.startswith("main "))
                assert next(line for line in watch.stdout if line.startswith("main "))
            watch.send_signal(signal.SIGINT)
            assert watch.wait() == Exit.INTERRUPTED
            assert watch.stderr is not None
            assert "Traceback" not in watch.stderr.read()
        finally:
            watchdog.cancel()
            watch.kill()


def test_on_fewer_nodes_than_usual_a_database_gets_as_many_replicas_as_there_are_nodes(tmp_path: Path) -> None:
    with LocalCluster.start(1, tmp_path) as alone:
        result = quorate("create", "shop", "--cluster", alone.folder, "--json")
        assert result.exit_code == Exit.OK, result.stderr
        assert json.loads(result.stdout)["replicas"] == 1
        assert quorate("create", "more", "--replicas", "2", "--cluster", alone.folder).exit_code == Exit.REFUSED
