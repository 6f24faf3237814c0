"""Real node processes: they start, serve, die, return and stop."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from quorate.core.limits import FRAME_BYTES_MAX
from quorate.core.requests import Answer, Refused, ReplyBody, Run, StatusReport
from quorate.core.statements import Statement
from quorate.runtime import probe
from quorate.runtime.cluster import LocalCluster, NotReady
from quorate.runtime.config import ConfigError
from quorate.runtime.founding import read_cluster_file
from quorate.transport.addresses import parse_address
from quorate.wire.frames import HEADER, frame
from quorate.wire.handshake import CLIENT, Hello, greeting

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster.start(3, tmp_path_factory.mktemp("cluster")) as running:
        yield running


def leader_other_than(cluster: LocalCluster, name: str) -> str:
    """Wait for a new leader."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = cluster.leader()
        if found not in (None, name):
            assert found is not None
            return found
    raise AssertionError("no new leader")


def test_a_started_cluster_has_a_leader_and_says_where_it_is(cluster: LocalCluster) -> None:
    assert cluster.leader() in cluster.names
    content = read_cluster_file(cluster.folder)
    assert content.url == cluster.url
    for place in content.nodes:
        os.kill(place.pid, 0)
        report = probe.status(place.address)
        assert isinstance(report, StatusReport)
        assert (report.name, report.cluster) == (place.name, content.cluster)


def test_a_killed_leader_is_replaced_and_returns(cluster: LocalCluster) -> None:
    first = cluster.leader()
    assert first is not None
    cluster.kill(first)
    assert read_cluster_file(cluster.folder).nodes[cluster.names.index(first)].pid == 0
    leader_other_than(cluster, first)
    cluster.restart(first)
    report = cluster.status(first)
    assert report is not None
    assert report.boot >= 2


def test_a_paused_leader_is_replaced(cluster: LocalCluster) -> None:
    first = cluster.leader()
    assert first is not None
    cluster.kill(first, signal.SIGSTOP)
    try:
        assert cluster.status(first, 0.05) is None
        found = None
        deadline = time.monotonic() + PATIENCE_S
        while found is None and time.monotonic() < deadline:
            for name in set(cluster.names) - {first}:
                report = cluster.status(name)
                led = [group for group in report.groups if group.role == "leader"] if report else []
                found = name if any(group.database == "main" for group in led) else found
        assert found is not None
    finally:
        cluster.kill(first, signal.SIGCONT)


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        os.urandom(10_000),
        greeting(Hello(CLIENT)) + HEADER.pack(FRAME_BYTES_MAX + 1, 0),
        greeting(Hello(CLIENT)) + frame(b"\xc1\xc1\xc1"),
        greeting(Hello(CLIENT)) + HEADER.pack(1, 0) + b"x",
    ],
    ids=["http", "random", "too long", "undecodable", "corrupt"],
)
def test_garbage_on_the_port_ends_its_own_connection_only(cluster: LocalCluster, garbage: bytes) -> None:
    name = cluster.names[0]
    address = cluster.place(name).address
    with socket.create_connection(parse_address(address), PATIENCE_S) as stranger:
        stranger.sendall(garbage)
        while stranger.recv(65536):
            pass
    assert cluster.status(name) is not None
    assert "closed the connection from" in cluster.log_end(name, 200)


def test_a_second_process_on_a_folder_is_refused_with_the_pid(cluster: LocalCluster) -> None:
    place = cluster.place(cluster.names[0])
    done = subprocess.run(
        [sys.executable, "-m", "quorate.cli.main", "serve", "--config", f"{place.folder}/node.toml"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 4
    assert str(place.pid) in done.stderr


def test_sigterm_stops_a_node_in_good_order(cluster: LocalCluster) -> None:
    name = cluster.leader()
    assert name is not None
    pid = cluster.place(name).pid
    stopped: list[int] = []
    waiting = threading.Thread(target=lambda: stopped.append(cluster.terminate(name)))
    waiting.start()
    while waiting.is_alive():  # to say it again changes nothing, however near the end
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        waiting.join(0.002)
    assert stopped == [0]
    leader_other_than(cluster, name)
    cluster.restart(name)


ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"


def test_a_read_that_never_ends_holds_up_nobody_and_is_ended(tmp_path: Path) -> None:
    with LocalCluster.start(1, tmp_path, options={"read_limit": "300ms"}) as alone:
        address = alone.place("n1").address
        answers: list[ReplyBody] = []
        endless = Run("main", (Statement(ENDLESS),))
        thread = threading.Thread(target=lambda: answers.append(probe.ask(address, endless, PATIENCE_S)))
        thread.start()
        while thread.is_alive():
            assert isinstance(probe.ask(address, Run("main", (Statement("SELECT 1"),)), PATIENCE_S), Answer)
        (answer,) = answers
        assert isinstance(answer, Refused)
        assert "ended after 0.3 s" in answer.message


def test_a_second_interrupt_ends_a_node_that_cannot_hand_over(tmp_path: Path) -> None:
    with LocalCluster.start(2, tmp_path, options={"drain": "60s", "suspect": "60s"}) as two:
        name = two.leader()
        (other,) = {"n1", "n2"} - {name}
        assert name is not None
        two.kill(other, signal.SIGSTOP)
        two.kill(name, signal.SIGINT)
        deadline = time.monotonic() + PATIENCE_S
        while "draining" not in two.log_end(name) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert two.running(name), "it waits for the other"
        two.kill(name, signal.SIGINT)
        assert two.wait(name) == 130


def test_sighup_is_survived(cluster: LocalCluster) -> None:
    cluster.kill(cluster.names[1], signal.SIGHUP)
    assert cluster.status(cluster.names[1]) is not None


def test_a_running_node_is_not_started_twice(cluster: LocalCluster) -> None:
    with pytest.raises(ConfigError, match="is running"):
        cluster.restart(cluster.names[0])


def test_a_stopped_cluster_starts_again_on_its_ports(tmp_path: Path) -> None:
    with LocalCluster.start(1, tmp_path) as first:
        url = first.url
    assert [place.pid for place in read_cluster_file(tmp_path).nodes] == [0]
    with LocalCluster.start(7, tmp_path) as again:
        assert again.url == url
        assert again.leader() == "n1"


def test_two_nodes_hold_a_cluster_and_one_of_two_does_not(tmp_path: Path) -> None:
    with LocalCluster.start(2, tmp_path, options={"suspect": "300ms"}) as cluster:
        cluster.kill("n2")
        deadline = time.monotonic() + PATIENCE_S
        while cluster.leader() is not None:
            assert time.monotonic() < deadline, "a leader without a majority stays in office"


def test_a_node_that_does_not_start_is_reported_with_its_log(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path, 1)
    (tmp_path / "n1" / "node.toml").write_text('hartbeat = "1s"')
    with pytest.raises(NotReady, match="did you mean 'heartbeat'"):
        LocalCluster.start(1, tmp_path)
    assert not cluster.running("n1")


ORPHANS = """
import os, signal, sys
from pathlib import Path
from quorate.runtime.cluster import LocalCluster
cluster = LocalCluster.start(2, Path(sys.argv[1]))
os.kill(cluster.place("n2").pid, signal.SIGSTOP)
print("ready", flush=True)
sys.stdin.read()
"""


def test_nodes_end_when_the_process_that_started_them_is_killed(tmp_path: Path) -> None:
    """Even one that was paused."""
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHANS, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    try:
        assert parent.stdout.readline() == b"ready\n"
        pids = [place.pid for place in read_cluster_file(tmp_path).nodes]
    finally:
        parent.kill()
        parent.wait()
        parent.stdin.close()
        parent.stdout.close()
    deadline = time.monotonic() + PATIENCE_S
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, "an orphan goes on"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether the process exists and is not merely waiting for its parent to notice its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
