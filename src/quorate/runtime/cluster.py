"""A cluster of real node processes on this machine, for `up`, the demo, tests and everything that harms nodes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from quorate.core.auth.access import ON
from quorate.core.requests import StatusReport
from quorate.runtime import authority, probe
from quorate.runtime.config import FILE_NAME, ConfigError
from quorate.runtime.founding import (
    CLUSTER_FILE,
    ClusterFile,
    NodePlace,
    forget,
    found,
    join,
    local_members,
    read_cluster_file,
    url_of,
    write_cluster_file,
)

HOST = "127.0.0.1"
LOG_NAME = "node.log"
POLL_S = 0.02


CA_FOLDER = "ca"


def protect(folder: Path) -> ClusterFile:
    """Give a local cluster that has not begun an authority, and each node a certificate. Raises ConfigError."""
    known = read_cluster_file(folder)
    ca = str(authority.make(folder / CA_FOLDER).resolve())
    for place in known.nodes:
        authority.issue(folder / CA_FOLDER, folder / place.name)
    url = url_of(tuple(place.address for place in known.nodes), ca=ca, cluster=known.cluster)
    made = ClusterFile(known.cluster, known.nodes, url, ca)
    write_cluster_file(folder, made)
    return made


class NotReady(Exception):
    """Nodes did not come up in time; the message has the ends of their logs."""


class LocalCluster:
    """Node processes that this process started. They stop when it stops, or when it dies.

    Not thread-safe as a whole; `kill`, `restart` and the questions may be used from one thread while others
    use the cluster through clients.
    """

    def __init__(
        self,
        folder: Path,
        nodes: int = 3,
        *,
        options: Mapping[str, str] | None = None,
        ports: Sequence[int] = (),
        tls: bool = False,
    ) -> None:
        """Take up the cluster in `folder`, or found one of `nodes` nodes there; starts nothing yet.

        `options` are keys of `runtime.config` as they stand in node.toml, `ports` where the nodes listen (free ones
        when there are none); `tls` makes an authority in `folder`/ca and a certificate for each node. All are used only
        when founding.
        Raises ConfigError and OSError.
        """
        self.folder = folder
        if (folder / CLUSTER_FILE).exists():
            self._file = read_cluster_file(folder)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = found(folder, local_members(nodes, HOST, ports=ports), options)
            if tls:
                self._file = protect(folder)
        self._places = {place.name: place for place in self._file.nodes}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @classmethod
    def start(
        cls,
        nodes: int,
        folder: Path,
        *,
        options: Mapping[str, str] | None = None,
        ports: Sequence[int] = (),
        tls: bool = False,
        timeout: float = 60.0,
    ) -> Self:
        """A running cluster that takes writes. Raises NotReady; nothing is left running then. Raises ConfigError when
        somebody else runs it already."""
        cluster = cls(folder, nodes, options=options, ports=ports, tls=tls)
        cluster._refuse_running()
        try:
            cluster.start_all()
            cluster.wait_ready(timeout)
        except BaseException:
            cluster.stop()
            raise
        return cluster

    # What there is -------------------------------------------------------------------------------------

    @property
    def cluster(self) -> str:
        """The cluster's id."""
        return self._file.cluster

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._places)

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(place.address for place in self._places.values())

    @property
    def url(self) -> str:
        """Without a database; see `url_to`."""
        return self.url_to("")

    def url_to(self, database: str) -> str:
        """The URL of a database of the cluster."""
        return url_of(self.addresses, database, ca=self.ca, cluster=self.cluster if self.ca else "")

    @property
    def ca(self) -> str:
        """The file with the certificate of its authority; empty: nothing is encrypted."""
        return self._file.ca

    @property
    def lost(self) -> tuple[str, ...]:
        """Nodes in cluster.json whose folder, or the settings in it, are gone."""
        return tuple(name for name in self._places if not (self.folder / name / FILE_NAME).exists())

    def place(self, name: str) -> NodePlace:
        """Where a node is; `pid` is 0 while it does not run. Raises KeyError."""
        return self._places[name]

    def running(self, name: str) -> bool:
        """Whether the node's process exists (it may be stopped by a signal)."""
        process = self._processes.get(name)
        return process is not None and process.poll() is None

    def status(self, name: str, timeout: float = 1.0) -> StatusReport | None:
        """What a node says of itself; None when it does not answer in time."""
        return probe.status(self._places[name].address, timeout, probe.believing(self.ca))

    def asks_for_login(self, name: str) -> bool:
        """Whether a node that runs has users, and so tells nothing to whoever has not logged in."""
        met = probe.meet_node(self._places[name].address, 0.5, probe.believing(self.ca))
        return met is not None and met.logins == ON

    def leader(self, database: str = "main") -> str | None:
        """The node that answers for the database's group (its leader, if it has one) in the newest epoch, or None."""
        best, found_name = -1, None
        for name in self._places:
            report = self.status(name) if self.running(name) else None
            for group in report.groups if report else ():
                if group.database == database and group.speaks and group.epoch > best:
                    best, found_name = group.epoch, name
        return found_name

    # Starting and stopping -----------------------------------------------------------------------------

    def start_all(self) -> None:
        """Start every node that does not run and whose folder is there. Does not wait. Raises NotReady where there is
        none."""
        lost = self.lost
        if len(lost) == len(self._places):
            raise NotReady(f"no node's folder is left in {self.folder}")
        for name in self._places:
            if name not in lost and not self.running(name):
                self._spawn(name)
        self._record()

    def join(self, name: str, *, options: Mapping[str, str] | None = None, timeout: float = 20.0) -> NodePlace:
        """Make and start a node that may be taken in (`Cluster.add_member`). Raises NotReady, ConfigError."""
        known = next((report for each in self._places if (report := self.status(each)) is not None), None)
        if known is None:
            raise NotReady("no node of the cluster answers")
        (address,) = local_members(1, HOST).values()
        self._places[name] = join(self.folder, name, address, known, options)
        if self.ca:
            authority.issue(self.folder / CA_FOLDER, self.folder / name)
        self.restart(name, timeout=timeout)
        return self._places[name]

    def adopt(self, name: str, *, timeout: float = 20.0) -> NodePlace:
        """Start a node that somebody else made in this cluster's folder (`quorate init --join`). Raises NotReady."""
        self._file = read_cluster_file(self.folder)
        self._places = {place.name: self._places.get(place.name, place) for place in self._file.nodes}
        self.restart(name, timeout=timeout)
        return self._places[name]

    def forget(self, name: str) -> None:
        """Stop a node that was taken out, if it runs, and strike it from cluster.json. Its folder stays."""
        if self.running(name):
            self.terminate(name)
        self._processes.pop(name, None)
        del self._places[name]
        forget(self.folder, name)

    def restart(self, name: str, *, wait: bool = True, timeout: float = 60.0) -> None:
        """Start a node that does not run; `wait` until it answers. Raises NotReady."""
        if self.running(name):
            raise ConfigError(f"node {name} is running")
        self._spawn(name)
        self._record()
        if wait:
            self._wait(timeout, [name], lambda: self.status(name, 0.5) is not None or self.asks_for_login(name))

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal; after one that ends a process at once, wait for its end."""
        process = self._processes[name]
        if process.poll() is None:
            process.send_signal(number)
            if number == signal.SIGKILL:
                self._reap(name, 10.0)
                self._record()

    def terminate(self, name: str, timeout: float = 10.0) -> int:
        """Stop one node in good order; its exit code."""
        self.kill(name, signal.SIGTERM)
        code = self._reap(name, timeout)
        self._record()
        return code

    def wait(self, name: str) -> int:
        """Wait for a node's process to end; its exit code, negative for a signal."""
        return self._processes[name].wait()

    def record(self) -> None:
        """Write who runs into cluster.json; for a caller that saw a node end by itself."""
        self._record()

    def stop(self, timeout: float = 10.0) -> None:
        """Stop every node: in good order, and by force what has not stopped in time."""
        alive = [name for name in self._processes if self.running(name)]
        for name in alive:
            self._processes[name].send_signal(signal.SIGCONT)
            self._processes[name].send_signal(signal.SIGTERM)
        deadline = time.monotonic() + timeout
        for name in list(self._processes):
            self._reap(name, max(0.0, deadline - time.monotonic()))
        if alive:
            self._record()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    def _refuse_running(self) -> None:
        """Two keepers of one cluster would write over each other's cluster.json."""
        for place in self._places.values():
            found = probe.meet_node(place.address, 0.3, probe.believing(self.ca))
            if found is not None and found.cluster == self.cluster:
                raise ConfigError(f"the cluster in {self.folder} runs already: {place.name} answers at {place.address}")

    def _spawn(self, name: str) -> None:
        folder = self.folder / name
        if name in self._processes:
            self._reap(name, 0.0)  # it may have ended by itself
        environment = {key: value for key, value in os.environ.items() if not key.startswith("QUORATE_")}
        command = [
            sys.executable,
            "-m",
            "quorate.cli.main",
            "serve",
            "--config",
            str(folder / FILE_NAME),
            "--with-parent",
        ]
        with (folder / LOG_NAME).open("ab") as log:
            self._processes[name] = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
                command,
                stdin=subprocess.PIPE,  # never written to: its end tells the node that we are gone
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=environment,
                process_group=0,  # a terminal's Ctrl-C is ours to pass on
            )

    def _reap(self, name: str, timeout: float) -> int:
        """Wait for a process to end, kill it when it does not, and close what we hold of it."""
        process = self._processes[name]
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if process.stdin is not None:
            process.stdin.close()
        return code

    def _record(self) -> None:
        """Write who runs into cluster.json. Who is in it may have been changed by others: members come and go."""
        for name, place in self._places.items():
            pid = self._processes[name].pid if self.running(name) else 0
            self._places[name] = msgspec.structs.replace(place, pid=pid)
        known = read_cluster_file(self.folder)
        nodes = tuple(self._places.get(place.name, place) for place in known.nodes)
        write_cluster_file(self.folder, ClusterFile(known.cluster, nodes, known.url, known.ca))

    # Waiting -------------------------------------------------------------------------------------------

    def wait_ready(self, timeout: float = 60.0, database: str = "main") -> None:
        """Wait until every running node answers and holds the cluster's catalog, and `database` has a leader.
        Raises NotReady."""
        names = [name for name in self._places if self.running(name)]

        def ready() -> bool:
            if all(self.asks_for_login(name) for name in names):
                return True
            reports = [self.status(name, 0.5) for name in names]
            if any(report is None or not (report.groups or report.removed) for report in reports):
                return False
            return self.leader(database) is not None

        self._wait(timeout, names, ready)

    def _wait(self, timeout: float, names: list[str], ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + timeout
        while not ready():
            dead = [name for name in names if not self.running(name)]
            if dead or time.monotonic() > deadline:
                what = f"{', '.join(dead)} ended" if dead else f"not ready after {timeout:g} s"
                ends = "".join(f"\n--- {name}:\n{self.log_end(name)}" for name in dead or names)
                raise NotReady(f"{what}{ends}")
            time.sleep(POLL_S)

    def log_end(self, name: str, lines: int = 10) -> str:
        """The last lines of a node's log."""
        path = self.folder / name / LOG_NAME
        try:
            with path.open("rb") as log:
                log.seek(max(0, path.stat().st_size - 16384))
                return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""
