"""A grow-only set on real nodes: real logs, real sockets, the client and the command line that users have."""

import asyncio
import random
from pathlib import Path

from click.testing import CliRunner

import quorate
from quorate.cli.main import main
from quorate.core.node import Node
from quorate.runtime.config import load
from quorate.runtime.founding import ClusterFile, NodePlace, found, local_members
from quorate.runtime.loop import STOPPED, Server, loop_factory
from quorate.storage.folder import open_store
from tests.toy.replica import NAME


def use(cluster: ClusterFile) -> None:
    """What a user does."""
    with quorate.Cluster(cluster.url, timeout=20) as known:
        known.create("elements", replication=NAME, replicas=2)
        assert [each.name for each in known.databases() if each.replication == NAME] == ["elements"]
        assert known.explain("elements").replication == NAME
    for number, place in enumerate(cluster.nodes):
        with quorate.connect(f"quorate://{place.address}/elements", timeout=20) as db:
            db.execute("INSERT INTO elements VALUES (?)", (number,))
            assert (str(number),) in db.execute("SELECT element FROM elements").fetchall()
    status = CliRunner().invoke(main, ["status", "--cluster", cluster.url])
    (line,) = [each for each in status.output.splitlines() if each.startswith("elements")]
    assert "any" in line.split()


def test_clients_find_it_and_status_and_explain_show_it(tmp_path: Path) -> None:
    cluster = found(tmp_path, local_members(2, "127.0.0.1"))

    def opened(place: NodePlace) -> Server:
        config, _ = load(tmp_path / place.name / "node.toml", {}, {})
        store = open_store(Path(config.folder))
        return Server(Node(store.recover(), random.Random(1), config.settings()), store, config)

    async def served() -> list[int]:
        servers = [opened(place) for place in cluster.nodes]
        running = [asyncio.create_task(server.run(signals=False)) for server in servers]
        try:
            await asyncio.to_thread(use, cluster)
        finally:
            for server in servers:
                server.finish(STOPPED)
        return await asyncio.gather(*running)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        assert runner.run(served()) == [STOPPED, STOPPED]
