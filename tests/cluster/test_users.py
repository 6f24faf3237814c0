"""Users on real processes: from the first one on everybody logs in; what is taken away ends; no secret is shown."""

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.cluster.conftest import Started

import quorate
from quorate.cli.main import main
from quorate.cli.output import Exit
from quorate.runtime.cluster import LOG_NAME, LocalCluster

AUDIT = "INFO quorate.audit: "
PASSWORD = "correct-horse-battery"


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("QUORATE_USER", "ann")
    monkeypatch.setenv("QUORATE_PASSWORD", PASSWORD)
    return CliRunner()


def refused_soon(db: quorate.Connection, error: type[quorate.Error]) -> float:
    """Seconds until this connection is refused so; what it asks until then goes through."""
    began = time.monotonic()
    while True:
        try:
            db.execute("SELECT 1")
        except error:
            return time.monotonic() - began
        assert time.monotonic() - began < 30, "it goes on"


def test_a_cluster_with_users(start: Started, tmp_path: Path) -> None:
    cluster = start(3)
    shop = cluster.url + "/main"
    nameless = quorate.connect(shop)
    nameless.execute("CREATE TABLE t(x)")
    first = quorate.Cluster(cluster.url)
    with pytest.raises(quorate.ProgrammingError, match="the first user of a cluster is an admin"):
        first.users.create("ann", PASSWORD)
    first.users.create("ann", PASSWORD, admin=True)
    with pytest.raises(quorate.AuthenticationError, match="asks for a login"):
        nameless.execute("SELECT 1")
    with pytest.raises(quorate.AuthenticationError, match="the user or the password is wrong"):
        quorate.connect(shop, user="ann", password="wrong")

    ann = quorate.Cluster(cluster.url, user="ann", password=lambda: PASSWORD)
    ann.users.create("bob", PASSWORD)
    ann.users.grant("bob", "read", database="main")
    bob = quorate.connect(shop, user="bob", password=PASSWORD)
    assert bob.execute("SELECT count(*) FROM t").fetchone() == (0,)
    bob.copy_to(tmp_path / "bob.db")
    with pytest.raises(quorate.PermissionDenied, match="needs the role write of the database 'main'"):
        bob.execute("INSERT INTO t VALUES (1)")
    for read in ("leader", "eventual", "linearizable"):
        with pytest.raises(quorate.PermissionDenied):
            quorate.connect(cluster.url + "/quorate", user="bob", password=PASSWORD, read=read).execute(
                "SELECT verifier FROM users"
            )
    ann.users.grant("bob", "write", database="main")
    token = ann.users.create_token("bob")
    program = quorate.connect(shop, token=token)
    program.execute("INSERT INTO t VALUES (1)")
    with bob.transaction() as tx:
        tx.execute("INSERT INTO t VALUES (2)")
        ann.users.revoke("bob", "write", database="main")
        with pytest.raises(quorate.PermissionDenied):
            tx.execute("INSERT INTO t VALUES (3)")
        tx.rollback()
    ann.users.delete("bob")
    for gone in (bob, program):
        assert refused_soon(gone, quorate.AuthenticationError) < 5
    with quorate.connect(shop, user="ann", password=PASSWORD) as db:
        assert db.execute("SELECT x FROM t").fetchall() == [(1,)]

    kinds = [each.what["change"] for each in ann.users.audit()]
    assert kinds == [
        "create_user", "create_user", "grant_role", "grant_role", "create_token", "revoke_role", "delete_user",
    ]  # fmt: skip
    assert [each.who for each in ann.users.audit()][1:] == ["ann"] * 6
    assert {report.logins for report in ann.status()} == {"on"}
    cluster.kill("n1")
    cluster.restart("n1")
    secret = token.rpartition("_")[2]
    logged = []
    for log in tmp_path.rglob(LOG_NAME):
        text = log.read_text()
        assert PASSWORD not in text
        assert secret not in text
        logged += [json.loads(each.partition(AUDIT)[2]) for each in text.splitlines() if AUDIT in each]
    assert {each["what"]["change"] for each in logged} == set(kinds)
    assert {each["who"] for each in logged} == {"", "ann"}


def test_the_command_line_makes_users(start: Started, runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = start(1)

    def run(*words: str, given: str = "") -> str:
        done = runner.invoke(main, [*words, "--cluster", cluster.url], input=given)
        assert done.exit_code == Exit.OK, done.output
        assert PASSWORD not in done.output
        return done.stdout

    with monkeypatch.context() as before:
        before.delenv("QUORATE_USER")
        run("user", "create", "ann", "--admin", "--password-stdin", given=f"{PASSWORD}\n")
    run("user", "create", "bob", "--password-stdin", given="one\n")
    run("user", "passwd", "bob", "--password-stdin", given="two\n")
    run("user", "grant", "bob", "owner", "--database", "main")
    run("user", "revoke", "bob", "owner", "--database", "main")
    run("user", "grant", "bob", "monitor")
    token = run("token", "create", "bob", "--days", "1").strip()
    (bob,) = [each for each in json.loads(run("user", "list", "--json")) if each["name"] == "bob"]
    assert (bob["roles"], bob["databases"]) == (["monitor"], {})
    assert "bob" in run("user", "list")
    assert quorate.Cluster(cluster.url, token=token).databases()
    run("token", "delete", bob["tokens"][0])
    with pytest.raises(quorate.AuthenticationError):
        quorate.Cluster(cluster.url, token=token).databases()
    run("user", "delete", "bob")
    recorded = json.loads(run("audit", "--json"))
    assert [each["what"]["change"] for each in recorded][-2:] == ["delete_token", "delete_user"]
    assert "delete_user" in run("audit", "--after", str(recorded[-2]["number"]))
    (node,) = json.loads(run("status", "--json"))["nodes"]
    assert (node["answers"], node["logins"], node["logins_stale"]) == (True, "on", False)
    refused = runner.invoke(main, ["user", "delete", "ann", "--cluster", cluster.url])
    assert refused.exit_code == Exit.REFUSED
    assert "the only admin" in refused.output


def test_commands_take_the_login_from_the_url(start: Started) -> None:
    cluster = start(1)
    with quorate.Cluster(cluster.url) as all_of_it:
        all_of_it.users.create("ann", PASSWORD, admin=True)
    with quorate.Cluster(cluster.url, user="ann", password=PASSWORD) as all_of_it:
        all_of_it.users.create("bob", PASSWORD)

    def invoke(user: str, *words: str) -> Result:
        url = cluster.url.replace("://", f"://{user}:{PASSWORD}@" if user else "://")
        return CliRunner().invoke(main, [*words, "--cluster", url])

    for words in (("sql", "main", "SELECT 17"), ("status",)):
        done = invoke("ann", *words)
        assert done.exit_code == Exit.OK, done.output
        for user, why in (("", "asks for a login"), ("bob", "needs the role")):
            refused = invoke(user, *words)
            assert refused.exit_code == Exit.REFUSED
            assert why in refused.output


def test_a_cluster_that_begins_with_an_admin_asks_for_a_login_from_the_first_moment(tmp_path: Path) -> None:
    runner, folder = CliRunner(), tmp_path / "c"
    made = runner.invoke(
        main, ["init", str(folder), "--nodes", "1", "--admin", "ann", "--password-stdin"], input=PASSWORD + "\n"
    )
    assert made.exit_code == Exit.OK, made.output
    assert PASSWORD not in made.output
    with LocalCluster.start(1, folder) as cluster:
        with pytest.raises(quorate.AuthenticationError):
            quorate.connect(cluster.url_to("main"))
        with quorate.connect(cluster.url_to("main"), user="ann", password=PASSWORD) as db:
            db.execute("CREATE TABLE t(x)")
        with quorate.Cluster(cluster.url, user="ann", password=PASSWORD) as found:
            (ann,) = found.users.list()
            assert (ann.name, ann.roles) == ("ann", ("admin",))
            found.users.create("bob", PASSWORD)
            assert [change.what["name"] for change in found.users.audit()] == ["bob"]
