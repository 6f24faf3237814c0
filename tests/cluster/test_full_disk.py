"""Disks without room: small file systems in memory, mounted for the test. Needs root on Linux, otherwise skipped."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cluster.conftest import wait_level

import quorate
from quorate.cli.cluster.status import as_text, look
from quorate.client.url import parse_cluster_url
from quorate.lab.nemesis.trial import wait_until
from quorate.runtime.cluster import LocalCluster

Mount = Callable[[Path, int], None]
MIB = 1 << 20
ROW = 20_000
"""Bytes: a few such rows need more room than files that exist already have to spare."""


@pytest.fixture
def mount() -> Iterator[Mount]:
    """`mount(folder, size)` puts the folder and what is in it on a file system of so many bytes."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system needs root on Linux")
    mounted: list[Path] = []

    def on_small_disk(folder: Path, size: int) -> None:
        kept = {path.name: path.read_bytes() for path in folder.iterdir()}
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        for name, data in kept.items():
            (folder / name).write_bytes(data)

    yield on_small_disk
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=30)


def fill(folder: Path) -> Path:
    """Take all the room that is left; the file that took it."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return ballast


@pytest.fixture
def cluster(tmp_path: Path, mount: Mount) -> Iterator[LocalCluster]:
    """Three nodes, each on a small disk of its own."""
    made = LocalCluster(tmp_path / "cluster", 3)
    for name in made.names:
        mount(Path(made.place(name).folder), 6 * MIB)
    with made:
        made.start_all()
        made.wait_ready()
        yield made


def test_a_node_without_room_leads_no_more_reads_on_and_recovers_by_itself(cluster: LocalCluster) -> None:
    with quorate.connect(f"{cluster.url}/main", timeout=10.0) as db:
        db.execute("CREATE TABLE t(k INTEGER PRIMARY KEY, v BLOB)")
        db.execute("INSERT INTO t VALUES (0, NULL)")
        db.execute("SELECT k FROM t", read="leader")  # so that its data file has it
        full = cluster.leader()
        assert full is not None
        ballast = fill(Path(cluster.place(full).folder))
        for k in range(1, 6):
            db.execute("INSERT INTO t VALUES (?, ?)", (k, bytes(ROW)))
        assert cluster.leader() not in (None, full), "the others went on under another leader"
        report = cluster.status(full)
        assert report is not None
        assert report.disk_full
        assert {group.role for group in report.groups} == {"follower"}
        assert "disk full" in as_text(look(parse_cluster_url(cluster.url), 1.0))
        with quorate.connect(f"quorate://{cluster.place(full).address}/main", read="eventual") as there:
            assert there.execute("SELECT k FROM t WHERE k = 0").fetchall() == [(0,)]
        ballast.unlink()
        wait_until(lambda: knows(cluster, full, 6), 10.0, f"{full} has not caught up")
        assert cluster.running(full)


def test_without_room_on_a_majority_nothing_is_acknowledged_until_there_is(cluster: LocalCluster) -> None:
    with quorate.connect(f"{cluster.url}/main", timeout=10.0) as db:
        db.execute("CREATE TABLE t(k INTEGER PRIMARY KEY, v BLOB)")
        wait_level(cluster)
        ballast = [fill(Path(cluster.place(name).folder)) for name in cluster.names]
        with quorate.connect(f"{cluster.url}/main", timeout=1.0) as hasty:
            for k in (1, 2):
                with pytest.raises((quorate.DiskFull, quorate.MaybeDone), match="no room"):
                    hasty.execute("INSERT INTO t VALUES (?, ?)", (k, bytes(ROW)), token=f"row-{k}")
            assert hasty.execute("SELECT count(*) FROM t", read="eventual").fetchall() == [(0,)]
        for each in ballast:
            each.unlink()
        done = [k for k in (1, 2) if happened(db, f"row-{k}")]
        db.execute("INSERT INTO t VALUES (3, NULL)")
        assert [k for (k,) in db.execute("SELECT k FROM t ORDER BY k")] == [*done, 3]
        assert all(cluster.running(name) for name in cluster.names)


def knows(cluster: LocalCluster, name: str, rows: int) -> bool:
    """Does this node's own replica hold so many rows, and has it room again?"""
    report = cluster.status(name)
    with quorate.connect(f"quorate://{cluster.place(name).address}/main", read="eventual") as there:
        found = there.execute("SELECT count(*) FROM t").fetchall()
    return report is not None and not report.disk_full and found == [(rows,)]


def happened(db: quorate.Connection, token: str) -> bool:
    try:
        db.outcome(token)
    except quorate.Cancelled:
        return False
    return True


def test_an_embedded_node_without_room_refuses_reads_on_and_recovers(tmp_path: Path, mount: Mount) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount(disk, 3 * MIB)
    with quorate.connect(disk / "shop") as db:
        db.execute("CREATE TABLE t(k INTEGER PRIMARY KEY, v BLOB)")
        db.execute("INSERT INTO t VALUES (0, NULL)")
        ballast = fill(disk)
        sure = {0}
        maybe: dict[int, str] = {}
        for k in range(1, 10):
            try:
                db.execute("INSERT INTO t VALUES (?, ?)", (k, bytes(ROW)))
                sure.add(k)
            except quorate.MaybeDone as error:  # the log had room for it, the data file had not
                maybe[k] = error.token
            except quorate.DiskFull:
                break
        else:
            raise AssertionError("a full disk took everything")
        assert {k for (k,) in db.execute("SELECT k FROM t")} == sure
        ballast.unlink()
        sure |= {k for k, token in maybe.items() if db.outcome(token)}
        db.execute("INSERT INTO t VALUES (100, NULL)")
        assert {k for (k,) in db.execute("SELECT k FROM t")} == sure | {100}


def test_no_room_for_a_new_folder_is_said(tmp_path: Path, mount: Mount) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount(disk, MIB)
    ballast = fill(disk)
    with pytest.raises(quorate.DiskFull):
        quorate.connect(disk / "shop")
    ballast.unlink()
    with quorate.connect(disk / "shop") as db:
        assert db.execute("SELECT 1").fetchall() == [(1,)]
