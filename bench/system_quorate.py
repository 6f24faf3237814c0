"""Quorate as it is measured: node processes on loopback, acks `majority`, every acknowledged write fsynced."""

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import quorate
from bench import procs
from bench.results import Sample
from bench.work import Broken, Timing, generate, sample_of
from quorate.runtime.cluster import LocalCluster

FILL_ROWS = 1_000
TABLE = "CREATE TABLE kv(k INTEGER PRIMARY KEY, v TEXT)"


class QuorateSystem:
    """A running cluster with a table of keys and values in `main`."""

    def __init__(self, folder: Path, nodes: int = 3) -> None:
        self.cluster = LocalCluster.start(nodes, folder / "quorate")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.cluster.stop()

    @property
    def pids(self) -> list[int]:
        return [self.cluster.place(name).pid for name in self.cluster.names]

    def create(self, database: str, replicas: int = 3) -> None:
        with quorate.Cluster(self.cluster.url) as cluster:
            cluster.create(database, replicas=replicas, exists_ok=True, timeout=30)

    def create_all(self, databases: Sequence[str]) -> None:
        """Many databases over one connection, each with one replica on each of three nodes."""
        with quorate.Cluster(self.cluster.url) as cluster:
            for database in databases:
                cluster.create(database, exists_ok=True, timeout=60)

    def fill(self, database: str, rows: int, value_bytes: int) -> None:
        """The table with keys 0 to rows - 1."""
        value = "v" * value_bytes
        step = max(1, min(FILL_ROWS, (1 << 20) // value_bytes))
        with quorate.connect(f"{self.cluster.url}/{database}", timeout=60) as db:
            db.execute(TABLE)
            for first in range(0, rows, step):
                sets = [(key, value) for key in range(first, min(rows, first + step))]
                db.executemany("INSERT INTO kv VALUES (?, ?)", sets)

    def leaders(self) -> dict[str, str]:
        """The address of each database's leader."""
        newest: dict[str, tuple[int, str]] = {}
        for name in self.cluster.names:
            report = self.cluster.status(name, 10.0)
            for group in report.groups if report else ():
                if group.role == "leader":
                    found = (group.epoch, self.cluster.place(name).address)
                    newest[group.database] = max(newest.get(group.database, found), found)
        return {database: address for database, (_, address) in newest.items()}

    def leader(self, database: str = "main") -> str:
        deadline = time.monotonic() + 20
        while (found := self.leaders().get(database)) is None:
            if time.monotonic() > deadline:
                raise Broken(f"{database} has no leader")
            time.sleep(0.05)
        return found

    def load(self, kind: str, timing: Timing, **spec: Any) -> Sample:
        """One round by `bench.load`; `spec` has its fields. Reads that any node may answer go to the leader unless
        `targets` says otherwise."""
        database = spec.setdefault("database", "main")
        if not spec.get("targets"):
            spec["address"] = self.leader(database)
        spec.setdefault("address", "")
        whole = {"kind": kind, "seconds": timing.seconds, "warm_up": timing.warm_up, "watch": self.pids, **spec}
        return sample_of({**generate("bench.load", whole), "peak_mb": round(procs.peak_memory_mb(self.pids), 1)})

    def orm(self, timing: Timing, clients: int, rows: int, value_bytes: int) -> Sample:
        """Read a row, then write it, through the client library."""
        spec = {
            "url": self.cluster.url,
            "clients": clients,
            "rows": rows,
            "value_bytes": value_bytes,
            "seconds": timing.seconds,
            "warm_up": timing.warm_up,
            "watch": self.pids,
        }
        return sample_of(generate("bench.load_client", spec))

    def spread(self, database: str = "main") -> list[tuple[str, str]]:
        """Every node, for reads that any of them may answer."""
        return [(address, database) for address in self.cluster.addresses]
