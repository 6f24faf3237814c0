"""Whatever is given to a public call, its caller gets an error of ours that says what is wrong; all else goes on."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.client.faces import Tasks, Threads
from tests.client.fake import FakeCluster

import quorate
import quorate.aio
from quorate.client import routing
from quorate.core.requests import Refused, ReplyBody, RequestBody, Status

INSERT = "INSERT INTO t VALUES (?)"
SURROGATE = "\ud800"
ODD: list[Any] = [
    None, "", "x", SURROGATE, "a\0b", "x" * 300, "x" * 5000, b"", b"x", bytearray(b"SELECT 1"), 0, 1, -1, 2**63, 2**70,
    -(2**70), 10**5000, 1.5, float("nan"), float("inf"), -1.0, 1j, True, [], {}, (), [1], {"a": 1}, {1: 2},
    {SURROGATE: 1}, [SURROGATE], ("a\0",), object(), object, len, [None], "SELECT 1", "SELECT ?", "SELECT :a",
    f"SELECT '{SURROGATE}'", "SELECT 1;\0", INSERT, [("SELECT ?", (2**70,))], [("SELECT ?", None)],
    [(INSERT, SURROGATE)], "quorate://h:99999/x", f"quorate://h/{SURROGATE}", "http://x", f"quorate://{SURROGATE}/x",
    f"quorate://{'h' * 5000}/x", "quorate://h\0/x", "quorate://a..b:1/x", "quorate://[]:1/x", "quorate://[\u00e9]:1/x",
    "quorate://h:1/x?timeout=nan", "quorate://h:1/x?timeout=1e400", f"quorate://h/x?read={SURROGATE}",
    "quorate://h:\uff11/x", f"quorate://h:{'9' * 5000}/x", f"{SURROGATE}:1", "h" * 5000, "127.0.0.1:99999", "a..b:1",
]  # fmt: skip
ANYTHING = st.sampled_from(ODD) | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=9) | st.none()

CONNECTION: dict[str, dict[str, Any]] = {
    "execute": {"sql": "SELECT 1", "parameters": (), "token": None, "read": None, "timeout": None},
    "executemany": {"sql": INSERT, "sets": [(1,)], "token": None, "timeout": None},
    "batch": {"statements": [(INSERT, (1,))], "token": None, "read": None, "timeout": None},
    "outcome": {"token": "t", "seen": None, "timeout": None},
    "copy_to": {"file": "copy.db"},
}
CLUSTER: dict[str, dict[str, Any]] = {
    "create": {
        "name": "x", "replication": "single-leader", "acks": "majority", "replicas": 3, "failover": "auto",
        "exists_ok": False, "timeout": None,
    },
    "drop": {"name": "x", "if_exists": False, "timeout": None},
    "alter": {"name": "x", "acks": "sync", "failover": None, "timeout": None},
    "explain": {"name": "x", "timeout": None},
    "members": {"timeout": None},
    "add_member": {"address": "127.0.0.1:1", "databases": (), "timeout": 1.0},
    "remove_member": {"name": "n1", "timeout": 1.0},
    "replace_member": {"name": "n1", "by": "127.0.0.1:1", "timeout": 1.0},
    "lost": {"database": "x", "timeout": None},
    "lost_payload": {"write": None, "timeout": None},
    "replay": {"write": None, "timeout": None},
    "databases": {"timeout": None},
    "status": {"timeout": None},
    "upgrade": {"timeout": None},
    "verify": {"database": "x", "timeout": 1.0},
    "failover": {"name": "x", "to": "n2", "accept_loss": False, "timeout": None},
}  # fmt: skip

quick = settings(
    max_examples=100, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)


def one_of_them(calls: dict[str, dict[str, Any]]) -> st.SearchStrategy[tuple[str, str]]:
    """A method, and which of its arguments is to be odd."""
    return st.sampled_from([(name, argument) for name, arguments in calls.items() for argument in arguments])


def ends_well(call: Callable[[], Any], *, maybe: bool = False) -> None:
    """It returns, or raises an error of ours that means that nothing was done, soon."""
    began = time.monotonic()
    try:
        call()
    except quorate.MaybeDone:
        assert maybe, "nothing was sent that could have been done"
    except quorate.InternalError as error:
        raise AssertionError(f"blames itself: {error}") from error
    except quorate.Error as error:
        str(error).encode()  # it can be printed
    assert time.monotonic() - began < 10.0


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(routing, "REFUSED_FOR", 0.0)


def clean() -> None:
    """Files that copies were written to."""
    for path in Path().iterdir():
        if path.is_file():
            path.unlink()


@pytest.fixture(params=["folder", "memory"])
def embedded(request: pytest.FixtureRequest) -> Iterator[quorate.EmbeddedConnection]:
    made = quorate.connect("shop" if request.param == "folder" else ":memory:")
    assert isinstance(made, quorate.EmbeddedConnection)
    with made as db:
        db.execute("CREATE TABLE t(a)")
        db.execute("CREATE TABLE kept(a)")
        yield db


@quick
@given(chosen=one_of_them(CONNECTION), value=ANYTHING, write=st.booleans())
def test_an_embedded_database(
    embedded: quorate.EmbeddedConnection, chosen: tuple[str, str], value: Any, write: bool
) -> None:
    name, argument = chosen
    arguments = {**CONNECTION[name], argument: value}
    if write and name == "execute" and argument != "sql":
        arguments["sql"] = INSERT
    ends_well(lambda: getattr(embedded, name)(**arguments))
    clean()
    embedded.execute("INSERT INTO kept VALUES (1)")


@quick
@given(where=st.sampled_from(["sql", "parameters", "token", "timeout"]), value=ANYTHING)
def test_an_interactive_transaction(embedded: quorate.EmbeddedConnection, where: str, value: Any) -> None:
    def work() -> None:
        options = {where: value} if where in ("token", "timeout") else {}
        with embedded.transaction(**options) as transaction:
            sql = value if where == "sql" else INSERT
            transaction.execute(sql, value if where == "parameters" else (1,))

    ends_well(work)
    embedded.execute("INSERT INTO kept VALUES (1)")


@quick
@given(value=ANYTHING)
def test_fetching_and_attributes(embedded: quorate.EmbeddedConnection, value: Any) -> None:
    cursor = embedded.execute("SELECT 1")
    ends_well(lambda: cursor.fetchmany(value))
    cursor.arraysize = value
    ends_well(cursor.fetchmany)
    ends_well(lambda: setattr(embedded, "autocommit", value))


def refuses(cluster: FakeCluster, number: int) -> Callable[[RequestBody], ReplyBody]:
    def say(body: RequestBody) -> ReplyBody:
        return cluster.report(number) if isinstance(body, Status) else Refused("OperationalError", "that was asked for")

    return say


@pytest.fixture
def refusing(cluster: FakeCluster) -> FakeCluster:
    """Nodes that are members and refuse whatever gets as far as them."""
    cluster.members = list(cluster.nodes)
    for node in cluster.nodes:
        node.script = refuses(cluster, node.number)
    return cluster


@quick
@given(chosen=one_of_them({**CONNECTION, **CLUSTER}), value=ANYTHING, write=st.booleans())
def test_a_cluster(
    face: Threads | Tasks, refusing: FakeCluster, chosen: tuple[str, str], value: Any, write: bool
) -> None:
    name, argument = chosen
    arguments = {**CONNECTION, **CLUSTER}[name] | {argument: value}
    if write and name == "execute" and argument != "sql":
        arguments["sql"] = INSERT
    client = (face.connect if name in CONNECTION else face.cluster)(refusing.url, timeout=2)
    with client:
        ends_well(lambda: getattr(client, name)(**arguments), maybe=argument == "timeout")
    clean()


@quick
@given(argument=st.sampled_from(["target", "timeout", "read", "autocommit", "retry"]), value=ANYTHING)
def test_connecting(argument: str, value: Any) -> None:
    for target in (":memory:", "quorate://127.0.0.1:1/x"):
        arguments = {"target": target, argument: value}
        if argument == "target" and isinstance(value, str) and not value.startswith("quorate:"):
            continue  # a folder of this name would be made
        ends_well(partial(use, arguments))
        ends_well(partial(use_task, arguments))
    if argument in ("target", "timeout"):
        ends_well(lambda: quorate.Cluster(**{"url": "quorate://127.0.0.1:1", **renamed(argument, value)}).status())


def renamed(argument: str, value: Any) -> dict[str, Any]:
    return {"url" if argument == "target" else argument: value}


def use(arguments: dict[str, Any]) -> None:
    with quorate.connect(**arguments) as connection:
        connection.execute("SELECT 1", timeout=0.05)


def use_task(arguments: dict[str, Any]) -> None:
    async def work() -> None:
        async with quorate.aio.connect(**arguments) as connection:
            await connection.execute("SELECT 1", timeout=0.05)

    asyncio.run(work())


def test_what_a_caller_names_wrongly_does_not_end_an_embedded_node(tmp_path: Path) -> None:
    with quorate.connect("shop") as db:
        assert isinstance(db, quorate.EmbeddedConnection)
        db.execute("CREATE TABLE t(a)")
        (tmp_path / "there.db").touch()
        for path in ("there.db", os.fspath(tmp_path), "missing/copy.db", "x" * 300):
            with pytest.raises(quorate.OperationalError, match=r"exists already|cannot be made"):
                db.copy_to(path)
        tokens: list[Any] = [[], "", 5]
        for token in tokens:
            with pytest.raises(quorate.ProgrammingError, match="a token is"), db.transaction(token=token) as held:
                held.execute(INSERT, (1,))
        db.execute(INSERT, (2,))
        assert db.execute("SELECT a FROM t").fetchall() == [(2,)]


def test_a_copy_takes_the_place_of_no_file(face: Threads | Tasks, refusing: FakeCluster, tmp_path: Path) -> None:
    (tmp_path / "there.db").write_text("mine")
    with face.connect(refusing.url) as db, pytest.raises(quorate.OperationalError, match="exists already"):
        db.copy_to("there.db")
    assert (tmp_path / "there.db").read_text() == "mine"
