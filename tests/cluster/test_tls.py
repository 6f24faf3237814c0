"""A local cluster over TLS: clients, the command line, a renewed certificate, a failover."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import quorate
from quorate.cli.main import main
from quorate.cli.output import Exit
from quorate.lab.nemesis.trial import wait_until
from quorate.runtime import authority
from quorate.runtime.cluster import CA_FOLDER, LocalCluster


def test_everything_is_encrypted_and_nothing_is_lost_when_a_certificate_is_renewed_and_the_leader_dies(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "cluster"
    with LocalCluster.start(3, folder, tls=True) as cluster:
        with quorate.connect(cluster.url_to("main"), timeout=20.0) as db:
            db.execute("CREATE TABLE t(n INTEGER PRIMARY KEY, text TEXT)")
            db.execute("INSERT INTO t VALUES (1, ?)", ("x" * 200_000,))
            leader = cluster.leader()
            assert leader is not None
            authority.issue(folder / CA_FOLDER, folder / leader)
            cluster.kill(leader, signal.SIGHUP)
            wait_until(
                lambda: "certificate in use" in cluster.log_end(leader), 10.0, "the certificate is not read again"
            )
            cluster.kill(leader)
            db.execute("INSERT INTO t VALUES (2, 'y')")
            assert db.execute("SELECT n, length(text) FROM t ORDER BY n").fetchall() == [(1, 200_000), (2, 1)]
        command = CliRunner().invoke(main, ["sql", "main", "SELECT count(*) FROM t", "--cluster", str(folder)])
        assert command.exit_code == Exit.OK, command.output
        shown = CliRunner().invoke(main, ["status", "--cluster", str(folder)])
        assert shown.exit_code == Exit.OK, shown.output
        plain = f"quorate://{','.join(cluster.addresses)}"
        with pytest.raises(quorate.Unavailable, match="TLS only"):
            quorate.connect(f"{plain}/main", timeout=3.0)
        with pytest.raises(quorate.Unavailable, match="certificate is refused"):
            quorate.connect(f"{plain}/main?tls=verify-full", timeout=3.0)
        with pytest.raises(quorate.OperationalError, match="another cluster"):
            quorate.connect(f"{plain}/main?ca={cluster.ca}&cluster=0123456789abcdef", timeout=3.0)
        with pytest.raises(quorate.ProgrammingError, match="nothing would be verified"):
            quorate.connect(f"{plain}/main?ca={cluster.ca}&tls=off")
        a_user_logs_in_by_a_certificate(cluster, folder / CA_FOLDER)


def a_user_logs_in_by_a_certificate(cluster: LocalCluster, ca: Path) -> None:
    """In the cluster of the test above: it is made, used and revoked."""

    def command(*words: str) -> str:
        done = CliRunner().invoke(main, words)
        assert done.exit_code == Exit.OK, done.output
        return done.output

    url = cluster.url_to("")
    with quorate.Cluster(url, timeout=20.0) as plain:
        plain.users.create("ann", "pencil", admin=True)
    with quorate.Cluster(url, user="ann", password="pencil", timeout=20.0) as admin:
        admin.users.create("bob", None)
        admin.users.grant("bob", "write", database="main")
        assert {each.name: each.login for each in admin.users.list()} == {"ann": "password", "bob": "certificate"}
        made = json.loads(command("certs", "user", str(ca), "bob", "--to", str(ca), "--json"))
        files: Any = {"certificate": ca / "bob.crt", "key": ca / "bob.key"}
        with quorate.connect(cluster.url_to("main"), timeout=20.0, **files) as db:
            db.execute("INSERT INTO t VALUES (3, 'z')")
            with pytest.raises(quorate.PermissionDenied, match="bob may not do this"):
                db.execute("DROP TABLE t")
            admin.revoke_certificate(made["serial"])
            with pytest.raises(quorate.AuthenticationError, match="revoked"):
                db.execute("SELECT count(*) FROM t")
        with pytest.raises(quorate.AuthenticationError, match="revoked"):
            quorate.connect(cluster.url_to("main"), timeout=20.0, **files)
        assert [each.what["change"] for each in admin.users.audit()][-1] == "revoke_certificate"
