"""etcd as it is measured: three members on loopback, Debian's package, its defaults (every write fsynced)."""

import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench import procs
from bench.results import Sample
from bench.work import Broken, Timing, generate, sample_of
from quorate.runtime.founding import free_ports

MEMBERS = 3
START_S = 30.0


def version() -> str:
    """Empty when it is not installed."""
    program = shutil.which("etcd")
    if program is None:
        return ""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[0].removeprefix("etcd Version:").strip() if done.stdout else ""


class EtcdSystem:
    """Running members. Raises Broken when etcd is missing or does not come up."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("etcd")
        if program is None:
            raise Broken("etcd is not installed (apt-get install etcd-server)")
        ports = free_ports("127.0.0.1", 2 * MEMBERS)
        self.addresses = [f"127.0.0.1:{port}" for port in ports[:MEMBERS]]
        peers = [f"http://127.0.0.1:{port}" for port in ports[MEMBERS:]]
        self.processes: list[subprocess.Popen[bytes]] = []
        everybody = ",".join(f"m{number}={peer}" for number, peer in enumerate(peers))
        place = folder / "etcd"
        place.mkdir()
        try:
            for number, (address, peer) in enumerate(zip(self.addresses, peers, strict=True)):
                command = [
                    program,
                    *("--name", f"m{number}", "--data-dir", str(place / f"m{number}"), "--log-level", "error"),
                    *("--listen-client-urls", f"http://{address}", "--advertise-client-urls", f"http://{address}"),
                    *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
                    *("--initial-cluster", everybody, "--initial-cluster-state", "new"),
                ]
                with (place / f"m{number}.log").open("wb") as log:
                    self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))
            self.leader(START_S)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.processes]

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def leader(self, timeout: float = 10.0) -> str:
        """The address of the member that leads. Raises Broken."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for address in self.addresses:
                if _leads(address):
                    return address
            time.sleep(0.05)
        raise Broken("etcd has no leader")

    def fill(self, rows: int, value_bytes: int) -> None:
        spec = {"addresses": [self.leader()], "kind": "fill", "connections": 64, "rows": rows}
        found = generate("bench.load_etcd", {**spec, "value_bytes": value_bytes})
        if found["failures"]:
            raise Broken(f"filling etcd: {found['failures']}")

    def load(self, kind: str, timing: Timing, **spec: Any) -> Sample:
        """One round by `bench.load_etcd`, all connections to the leader."""
        whole = {
            "addresses": [self.leader()],
            "kind": kind,
            "seconds": timing.seconds,
            "warm_up": timing.warm_up,
            "watch": self.pids,
            **spec,
        }
        return sample_of({**generate("bench.load_etcd", whole), "peak_mb": round(procs.peak_memory_mb(self.pids), 1)})


def _leads(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=2) as answer:
            text = answer.read().decode()
    except OSError:
        return False
    return "etcd_server_is_leader 1\n" in text
