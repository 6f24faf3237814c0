"""Members on real processes: a node whose disk is lost is replaced, another is added and taken out; writes go on."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import quorate
from quorate.cli.main import main
from quorate.cli.output import Exit
from quorate.lab.nemesis.trial import wait_until
from quorate.runtime.cluster import LocalCluster, NotReady
from quorate.runtime.founding import read_cluster_file


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


class Writer(threading.Thread):
    """Inserts numbers until it is told to stop, each under a token of its own."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._stop_it = threading.Event()
        self.done = 0

    def run(self) -> None:
        with quorate.connect(self._url, timeout=20.0) as db:
            while not self._stop_it.is_set():
                db.execute("INSERT INTO t VALUES (?)", (self.done,), token=f"w{self.done}")
                self.done += 1

    def finish(self) -> int:
        self._stop_it.set()
        self.join(30.0)
        assert not self.is_alive()
        return self.done


def test_a_node_whose_disk_is_lost_is_replaced_under_load_and_hears_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    with LocalCluster.start(3, folder) as cluster:
        url = cluster.url
        with quorate.connect(f"{url}/main", timeout=10.0) as db:
            db.execute("CREATE TABLE t(n INTEGER PRIMARY KEY)")
        victim = cluster.leader()
        assert victim is not None
        cluster.kill(victim, signal.SIGKILL)
        writer = Writer(f"{url}/main")
        writer.start()
        old_folder = shutil.move(folder / victim, tmp_path / "old")
        made = run("init", folder, "--join", url, "--json")
        assert made.exit_code == Exit.OK, made.stderr
        place = json.loads(made.stdout)
        assert place["name"] == victim or place["name"] == "n4"
        cluster.adopt(place["name"])
        replaced = run("member", "replace", victim, place["address"], "--cluster", url, "--json")
        assert replaced.exit_code == Exit.OK, replaced.stderr
        done = writer.finish()
        assert done > 0
        members = {each["name"]: each for each in json.loads(run("member", "list", "--cluster", url, "--json").stdout)}
        assert victim not in members
        assert members[place["name"]]["databases"] == ["main"]
        assert members[place["name"]]["catalog"] == "voter"
        with quorate.connect(f"{url}/main", timeout=10.0) as db:
            assert db.execute("SELECT count(*) FROM t").fetchone() == (done,)
        verified = run("verify", "main", "--cluster", url)
        assert verified.exit_code == Exit.OK, verified.stdout + verified.stderr
        again = run("member", "remove", victim, "--cluster", url)
        assert again.exit_code == Exit.REFUSED
        assert "not a member" in again.stderr

        shutil.move(old_folder, folder / victim)  # its disk was not lost after all
        cluster.restart(victim)
        wait_until(lambda: bool((status := cluster.status(victim)) and status.removed), 15.0, "it does not hear of it")
        with (
            quorate.connect(f"quorate://{cluster.place(victim).address}/main", timeout=1.0) as db,
            pytest.raises(quorate.Error, match="taken out"),
        ):
            db.execute("SELECT count(*) FROM t")
    assert f"{victim} was taken out of the cluster" in started_again(folder)
    assert victim not in [each.name for each in read_cluster_file(folder).nodes]


def test_a_cluster_is_started_again_without_a_node_whose_folder_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    with LocalCluster.start(3, folder) as cluster:
        url = cluster.url
        cluster.kill("n2", signal.SIGKILL)
    shutil.rmtree(folder / "n2")
    told = started_again(folder)
    assert "n2 is not started: its folder is gone" in told
    assert f"quorate init {folder} --join {url}" in told.replace("\n", "")
    with LocalCluster.start(3, folder) as cluster:
        place = json.loads(run("init", folder, "--join", cluster.url, "--json").stdout)
        cluster.adopt(place["name"])
        assert run("member", "replace", "n2", place["address"], "--cluster", cluster.url).exit_code == Exit.OK
    assert "n2 was taken out of the cluster and is not started any more\n" in started_again(folder)
    assert [each.name for each in read_cluster_file(folder).nodes] == ["n1", "n3", place["name"]]
    for each in ("n1", "n3"):
        shutil.rmtree(folder / each)
    shutil.rmtree(folder / place["name"])
    with pytest.raises(NotReady, match="no node's folder is left"):
        LocalCluster.start(3, folder)


def started_again(folder: Path) -> str:
    """What `quorate up` says of the cluster in this folder until it is ready."""
    command = [sys.executable, "-m", "quorate.cli.main", "up", "--dir", str(folder)]
    ignored = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as under nohup, and `up` would ignore it too
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as up:
        signal.signal(signal.SIGHUP, ignored)
        assert up.stderr is not None
        try:
            told = ""
            for line in up.stderr:
                told += line
                if line.startswith("ready"):
                    break
            up.send_signal(signal.SIGHUP)
            assert up.wait(30) == Exit.OK, told
        finally:
            up.terminate()
    assert {each.pid for each in read_cluster_file(folder).nodes} == {0}
    return told


def test_a_node_is_added_votes_and_is_taken_out_again(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    with LocalCluster.start(1, folder) as cluster:
        url = cluster.url
        with quorate.connect(f"{url}/main", timeout=10.0) as db:
            db.execute("CREATE TABLE t(n INTEGER PRIMARY KEY)")
            db.execute("INSERT INTO t VALUES (1)")
        refused = run("member", "remove", "n1", "--cluster", url)
        assert refused.exit_code == Exit.REFUSED
        assert "only member" in refused.stderr
        assert run("member", "add", "127.0.0.1:9", "--cluster", url).exit_code == Exit.UNAVAILABLE
        added = [cluster.join(name).address for name in ("n2", "n3")]
        for address in added:
            taken = run("member", "add", address, "--database", "main", "--cluster", url)
            assert taken.exit_code == Exit.OK, taken.stderr
        twice = run("member", "add", added[0], "--cluster", url)
        assert twice.exit_code == Exit.REFUSED
        assert "member already" in twice.stderr
        members = json.loads(run("member", "list", "--cluster", url, "--json").stdout)
        assert [each["databases"] for each in members] == [["main"]] * 3
        cluster.kill("n1", signal.SIGKILL)
        with quorate.connect(f"{cluster.url}/main", timeout=10.0) as db:
            db.execute("INSERT INTO t VALUES (2)")
            assert db.execute("SELECT count(*) FROM t").fetchone() == (2,)
        out = run("member", "remove", "n1", "--cluster", folder)
        assert out.exit_code == Exit.OK, out.stderr
        assert [each.name for each in read_cluster_file(folder).nodes] == ["n2", "n3"]
        shown = json.loads(run("status", "--cluster", cluster.url, "--json").stdout)
        voters = {group["database"]: sorted(group["voters"]) for group in shown["groups"]}
        assert voters == {"quorate": ["n2", "n3"], "main": ["n2", "n3"]}
        said = run("explain", "main", "--cluster", cluster.url).stdout
        assert "its voters are n2, n3" in said or "its voters are n3, n2" in said
