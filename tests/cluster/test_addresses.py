"""A node that comes back at another address is found there, by its peers and by clients that knew the old one."""

import msgspec
from tests.cluster.conftest import Started

import quorate
from quorate.lab.nemesis.trial import wait_until
from quorate.runtime.cluster import HOST, LocalCluster
from quorate.runtime.config import FILE_NAME
from quorate.runtime.founding import local_members


def move(cluster: LocalCluster, name: str) -> str:
    """Give a node that is stopped another port, and start it; its new address."""
    (address,) = local_members(1, HOST).values()
    path = cluster.folder / name / FILE_NAME
    old = cluster.place(name).address
    path.write_text(path.read_text().replace(old, address))
    cluster._places[name] = msgspec.structs.replace(cluster.place(name), address=address)
    cluster.restart(name)
    return address


def knows(cluster: LocalCluster, observer: str, name: str, address: str) -> bool:
    """Whether a node's catalog has another at this address, and hears it."""
    report = cluster.status(observer)
    return report is not None and any(
        member.name == name and member.address == address and member.alive for member in report.members
    )


def test_nodes_that_come_back_elsewhere_one_after_another_are_found(start: Started) -> None:
    cluster = start(3)
    with quorate.connect(f"{cluster.url}/main", timeout=20.0) as db:
        db.execute("CREATE TABLE t(n INTEGER PRIMARY KEY)")
        leader = cluster.leader()
        assert leader is not None
        others = [name for name in cluster.names if name != leader]
        for number, name in enumerate((leader, *others)):
            cluster.terminate(name)
            address = move(cluster, name)
            for observer in cluster.names:
                wait_until(
                    lambda observer=observer, name=name, address=address: knows(cluster, observer, name, address),  # type: ignore[misc]
                    20.0,
                    f"{observer} does not know where {name} is",
                )
            db.execute("INSERT INTO t VALUES (?)", (number,))
        assert db.execute("SELECT count(*) FROM t").fetchone() == (3,)
        with quorate.Cluster(f"quorate://{cluster.addresses[0]}") as fresh:
            assert {member.address for member in fresh.members()} == set(cluster.addresses)
