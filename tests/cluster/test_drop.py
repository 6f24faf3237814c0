"""A database is dropped on real processes: it is gone, also on a node that was away, and its name is free."""

import json
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import quorate
from quorate.cli.main import main
from quorate.cli.output import Exit
from quorate.lab.nemesis.trial import wait_until
from quorate.runtime.cluster import LocalCluster


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def group_of(cluster: LocalCluster, database: str) -> int:
    reports = [cluster.status(name) for name in cluster.names]
    return next(group.group for each in reports if each for group in each.groups if group.database == database)


def files_of(folder: Path, group: int) -> list[str]:
    return [str(path) for path in folder.glob(f"*/group-{group}-*")]


def test_a_dropped_database_is_gone_also_on_a_node_that_was_away_and_its_name_is_free(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    with LocalCluster.start(3, folder) as cluster:
        url = cluster.url
        assert run("create", "shop", "--cluster", url).exit_code == Exit.OK
        with quorate.connect(f"{url}/shop", timeout=10.0) as db:
            db.execute("CREATE TABLE t(n INTEGER PRIMARY KEY)")
            db.execute("INSERT INTO t VALUES (1)")
        group = group_of(cluster, "shop")
        away = next(name for name in cluster.names if name != cluster.leader())
        cluster.kill(away, signal.SIGKILL)
        assert len(files_of(folder, group)) >= 3

        refused = run("drop", "shop", "--cluster", url)
        assert refused.exit_code == Exit.USAGE
        assert "nothing was dropped" in refused.stderr
        with quorate.connect(f"{url}/shop", timeout=10.0) as db:
            dropped = run("drop", "shop", "--yes", "--json", "--cluster", url)
            assert dropped.exit_code == Exit.OK, dropped.stderr
            assert json.loads(dropped.stdout) == {"database": "shop", "dropped": True}
            with pytest.raises(quorate.UnknownDatabase, match="'shop' was dropped"):
                db.execute("INSERT INTO t VALUES (2)")
            with pytest.raises(quorate.UnknownDatabase):
                db.execute("SELECT * FROM t")
        assert "shop" not in run("databases", "--cluster", url).stdout
        assert "shop" not in run("status", "--cluster", url).stdout
        assert run("explain", "shop", "--cluster", url).exit_code == Exit.REFUSED
        again = run("drop", "shop", "--yes", "--cluster", url)
        assert again.exit_code == Exit.REFUSED
        assert "there is no database 'shop'" in again.stderr
        assert run("drop", "shop", "--if-exists", "--cluster", url).exit_code == Exit.OK

        with quorate.Cluster(url, timeout=10.0) as admin:
            admin.create("shop")
        with quorate.connect(f"{url}/shop", timeout=10.0) as db:
            with pytest.raises(quorate.ProgrammingError, match="no such table"):
                db.execute("SELECT * FROM t")
            db.execute("CREATE TABLE t(n INTEGER PRIMARY KEY)")
        assert group_of(cluster, "shop") != group
        cluster.restart(away)
        wait_until(lambda: not files_of(folder, group), 15.0, "files of the dropped database are left")
        wait_until(lambda: group in closed_on(cluster, away), 15.0, "the node that was away has not heard of it")


def closed_on(cluster: LocalCluster, name: str) -> tuple[int, ...]:
    status = cluster.status(name)
    return status.dropped if status is not None else ()


def test_the_catalog_cannot_be_dropped_and_a_folder_is_deleted_by_hand(tmp_path: Path) -> None:
    with LocalCluster.start(1, tmp_path / "cluster") as cluster:
        with quorate.Cluster(cluster.url, timeout=10.0) as admin, pytest.raises(quorate.ProgrammingError):
            admin.drop("quorate")
        assert run("drop", "main", "--yes", "--cluster", cluster.url).exit_code == Exit.OK
        assert run("databases", "--json", "--cluster", cluster.url).stdout.strip() == "[]"
        cluster.kill(cluster.names[0], signal.SIGKILL)
        cluster.restart(cluster.names[0])
        assert run("databases", "--json", "--cluster", cluster.url).stdout.strip() == "[]"
        assert run("create", "main", "--cluster", cluster.url).exit_code == Exit.OK
    folder = tmp_path / "embedded"
    quorate.connect(folder).close()
    refused = run("drop", str(folder), "--yes")
    assert refused.exit_code == Exit.REFUSED
    assert "delete the folder" in refused.stderr
