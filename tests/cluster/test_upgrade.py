"""A node of an older release's folder, started with this one: it serves, and is upgraded when somebody says so."""

import shutil
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from tests.embedded.test_fixtures import FIXTURES, NUMBERS, expected, rows

import quorate
from quorate.cli.main import main
from quorate.core.formats import HERE
from quorate.runtime.cluster import LocalCluster
from quorate.runtime.founding import ClusterFile, NodePlace, free_ports, url_of, write_cluster_file
from quorate.storage.folder import open_store


def taken_up(folder: Path, number: int) -> LocalCluster:
    """The kept cluster, at a port that is free here."""
    shutil.copytree(FIXTURES / f"format-{number}" / "cluster", folder)
    address = f"127.0.0.1:{free_ports('127.0.0.1', 1)[0]}"
    (folder / "n1" / "node.toml").write_text(f'listen = "{address}"\n')
    store = open_store(folder / "n1")
    cluster = store.identity.cluster
    store.close()
    place = NodePlace("n1", 0, address, str(folder / "n1"))
    write_cluster_file(folder, ClusterFile(cluster, (place,), url_of((address,))))
    return LocalCluster(folder)


@pytest.mark.parametrize("number", [number for number in NUMBERS if number in HERE])
def test_a_kept_cluster_serves_every_row_and_is_raised_only_when_asked(tmp_path: Path, number: int) -> None:
    with taken_up(tmp_path / "c", number) as cluster:
        cluster.start_all()
        cluster.wait_ready()
        known = expected(number)
        for name in ("main", "shop"):
            with quorate.connect(f"{cluster.url}/{name}") as db:
                assert rows(db, known) == known
                db.execute("INSERT INTO orders(sku, n) VALUES ('tea', 1)")
        with quorate.Cluster(cluster.url) as whole:
            (before,) = whole.status()
            assert (before.version, before.lowest, before.highest) == (number, HERE.lowest, HERE.highest)
            assert {report.verdict for report in whole.verify()} == {"equal"}
        found = CliRunner().invoke(main, ["upgrade", "--finalize", cluster.url, "--json"])
        assert found.exit_code == 0, found.output
        assert msgspec.json.decode(found.stdout)["format"] == HERE.highest
        assert cluster.terminate("n1") == 0
        cluster.restart("n1")
        cluster.wait_ready()
        with quorate.connect(f"{cluster.url}/shop") as db:
            assert db.execute("SELECT count(*) FROM totals").fetchone() == (8,)
    store = open_store(tmp_path / "c" / "n1")
    assert store.identity.format == HERE.highest
    store.close()


def test_an_upgrade_that_is_not_due_says_where_it_stands(tmp_path: Path) -> None:
    with LocalCluster.start(3, tmp_path) as cluster:
        shown = CliRunner().invoke(main, ["upgrade", "--cluster", cluster.url])
        assert shown.exit_code == 0, shown.output
        assert f"the cluster writes format {HERE.highest}" in shown.stdout
        assert shown.stdout.count(f"reads {HERE}") == 3
        again = CliRunner().invoke(main, ["upgrade", "--finalize", "--cluster", cluster.url])
        assert again.exit_code == 0, again.output
