"""A cluster that runs in plain text moves to TLS without a stop; a certificate is revoked, and replaced."""

import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import quorate
from quorate.cli.main import main
from quorate.cli.output import Exit
from quorate.core.requests import StatusReport
from quorate.lab.nemesis.trial import wait_until
from quorate.runtime import authority, probe
from quorate.runtime.cluster import LocalCluster
from quorate.runtime.founding import url_of

PATIENCE_S = 30.0


class Moving:
    """The cluster, as whoever moves it sees it."""

    def __init__(self, cluster: LocalCluster, folder: Path) -> None:
        self.cluster = cluster
        self.ca = folder / "ca"
        self.nodes = folder / "c"
        self.secret = ""
        """The authority that is believed; empty: nothing is encrypted."""

    def url(self, database: str = "") -> str:
        return url_of(self.cluster.addresses, database, ca=self.secret)

    def command(self, *words: str, code: Exit = Exit.OK) -> str:
        done = CliRunner().invoke(main, [*words, "--cluster", self.url()])
        assert done.exit_code == code, done.output
        return done.output

    def status(self, name: str) -> StatusReport | None:
        return probe.status(self.cluster.place(name).address, 1.0, probe.believing(self.secret))

    def wait_for_all(self, what: str, wanted: Any) -> None:
        """Until each node's report is as wanted, and it hears both others."""

        def so() -> bool:
            reports = [self.status(name) for name in self.cluster.names]
            return all(each and wanted(each) and all(peer.alive for peer in each.members) for each in reports)

        wait_until(so, PATIENCE_S, what)


def test_a_plain_cluster_moves_to_tls_while_it_runs_and_a_revoked_node_comes_back_with_a_new_certificate(
    tmp_path: Path,
) -> None:
    with LocalCluster.start(3, tmp_path / "c") as cluster:
        moving = Moving(cluster, tmp_path)
        ca = str(authority.make(moving.ca))
        with quorate.connect(moving.url("main"), timeout=PATIENCE_S) as db:
            db.execute("CREATE TABLE t(n INTEGER PRIMARY KEY)")
            refused = moving.command("certs", "require", code=Exit.REFUSED)
            assert "has no certificate" in refused
            moving.command("certs", "accept")
            for number, name in enumerate(cluster.names):
                authority.issue(moving.ca, moving.nodes / name)
                cluster.terminate(name)
                cluster.restart(name)
                db.execute("INSERT INTO t VALUES (?)", (number,))
                moving.wait_for_all(f"{name} is not back", lambda report: report.tls == "accepted")
            moving.command("certs", "require")
        moving.secret = ca
        moving.wait_for_all("TLS is not required everywhere", lambda report: report.tls == "required")
        assert "TLS is required" in moving.command("status")
        with pytest.raises(quorate.Unavailable, match="TLS only"):
            quorate.connect(url_of(cluster.addresses, "main"), timeout=3.0)
        with quorate.connect(moving.url("main"), timeout=PATIENCE_S) as db:
            assert db.execute("SELECT count(*) FROM t").fetchone() == (3,)
            found = moving.status("n3")
            assert found is not None
            moving.command("certs", "revoke", found.certificate)
            others = ("n1", "n2")

            def heard(*, alive: bool) -> bool:
                reports = [moving.status(name) for name in others]
                return all(
                    peer.alive is alive for each in reports if each for peer in each.members if peer.name == "n3"
                )

            wait_until(lambda: heard(alive=False), PATIENCE_S, "n3 is heard though its certificate was revoked")
            db.execute("INSERT INTO t VALUES (10)")
            authority.issue(moving.ca, moving.nodes / "n3")
            cluster.kill("n3", signal.SIGHUP)
            moving.wait_for_all("n3 is not back", lambda report: not report.revoked)
            assert db.execute("SELECT count(*) FROM t").fetchone() == (4,)
