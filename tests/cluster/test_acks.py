"""Ack policies on real processes: a database is altered while in use, explained, and loses what async may lose."""

import json
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import quorate
from quorate.cli.main import main
from quorate.cli.output import Exit
from quorate.runtime.cluster import LocalCluster


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def test_acks_are_changed_on_a_live_database_and_with_a_dead_node(tmp_path: Path) -> None:
    with LocalCluster.start(3, tmp_path / "cluster") as cluster:
        assert run("create", "shop", "--acks", "sync", "--cluster", cluster.url).exit_code == Exit.OK
        refused = run("create", "other", "--acks", "semi-sync:3", "--cluster", cluster.url)
        assert refused.exit_code == Exit.USAGE
        assert "semi-sync:2 is the most" in refused.stderr
        said = json.loads(run("explain", "shop", "--json", "--cluster", cluster.url).stdout)
        assert (said["options"]["acks"], said["holders"], said["votes"], said["away_for_writes"]) == ("sync", 3, 2, 0)
        with quorate.connect(f"{cluster.url}/shop", timeout=10.0) as db:
            db.execute("CREATE TABLE t(n INTEGER)")
            leader = cluster.leader("shop")
            victim = next(name for name in cluster.names if name != leader)
            cluster.kill(victim, signal.SIGKILL)
            with pytest.raises((quorate.MaybeDone, quorate.Unavailable)):
                db.execute("INSERT INTO t VALUES (1)", timeout=1.0, token="one")
            assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)
            altered = run("alter", "shop", "--acks", "majority", "--cluster", cluster.url)
            assert altered.exit_code == Exit.OK, altered.stderr
            db.execute("INSERT INTO t VALUES (1)", token="one")
            db.execute("INSERT INTO t VALUES (2)")
            assert db.execute("SELECT count(*) FROM t").fetchone() == (2,)
        assert run("lost", "list", "--cluster", cluster.url).stdout.strip() == "nothing is known to be lost"
        assert run("alter", "nowhere", "--acks", "sync", "--cluster", cluster.url).exit_code == Exit.REFUSED
