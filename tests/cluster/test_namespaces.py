"""Three nodes on three machines, as far as the network can tell: namespaces with addresses of their own, and TLS.

Cuts are made with neighbours that do not exist: what is sent to them is lost without a word, in one direction.
"""

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import quorate
from quorate.core.requests import StatusReport
from quorate.lab.nemesis.trial import wait_until
from quorate.runtime import authority, probe
from quorate.runtime.config import FILE_NAME
from quorate.runtime.founding import found, url_of

NODES = ("n1", "n2", "n3")
PORT = 7654
NOBODY = "02:00:00:00:00:99"
NEW_NETWORK = 0x40000000
PATIENCE_S = 30.0


def ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=20)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Machines:
    """A bridge in one namespace, where the client lives, and a node in each of three others."""

    def __init__(self, folder: Path) -> None:
        self.hosts = {name: f"10.77.0.{number}" for number, name in enumerate(NODES, start=1)}
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.hub = self.space("hub")

    @staticmethod
    def space(name: str) -> str:
        return f"q{os.getpid()}{name}"

    def wire(self) -> None:
        """Raises OSError where namespaces cannot be made."""
        for name in ("hub", *NODES):
            ip("netns", "add", self.space(name))
            ip("-n", self.space(name), "link", "set", "lo", "up")
        ip("-n", self.hub, "link", "add", "bridge", "type", "bridge")
        ip("-n", self.hub, "addr", "add", "10.77.0.254/24", "dev", "bridge")
        ip("-n", self.hub, "link", "set", "bridge", "up")
        for name, host in self.hosts.items():
            space = self.space(name)
            ip("-n", space, "link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", self.hub)
            ip("-n", space, "addr", "add", f"{host}/24", "dev", "eth0")
            ip("-n", space, "link", "set", "eth0", "up")
            ip("-n", self.hub, "link", "set", name, "master", "bridge", "up")

    def found(self) -> None:
        self.ca = str(authority.make(self.folder / "ca"))
        made = found(self.folder / "c", {name: f"{host}:{PORT}" for name, host in self.hosts.items()})
        for name in NODES:
            authority.issue(self.folder / "ca", self.folder / "c" / name)
        self.cluster = made.cluster

    def start(self, name: str) -> None:
        command = ["ip", "netns", "exec", self.space(name), sys.executable, "-m", "quorate.cli.main", "serve",
                   "--config", str(self.folder / "c" / name / FILE_NAME)]  # fmt: skip
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)

    def end_of(self, name: str) -> str:
        """How a node ended, and what it said last."""
        said = (self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-20:]
        return "\n".join([f"{name} ended with {self.processes[name].returncode}", *said])

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait()

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        for name in ("hub", *NODES):
            with contextlib.suppress(OSError):
                ip("netns", "del", self.space(name))

    @property
    def url(self) -> str:
        addresses = tuple(f"{host}:{PORT}" for host in self.hosts.values())
        return url_of(addresses, "main", ca=self.ca, cluster=self.cluster)

    def status(self, name: str) -> StatusReport | None:
        return probe.status(f"{self.hosts[name]}:{PORT}", 1.0, probe.believing(self.ca))

    def leader(self, database: str, among: tuple[str, ...] = NODES) -> str:
        """Who leads, when there is exactly one among these whom the others follow."""
        names: list[str] = []

        def there_is() -> bool:
            best: dict[str, int] = {}
            for name in among:
                assert self.processes[name].poll() is None, self.end_of(name)
                report = self.status(name)
                for group in report.groups if report else ():
                    if group.database == database and group.role == "leader":
                        best[name] = group.epoch
            names[:] = sorted(best, key=best.__getitem__)
            return bool(names)

        wait_until(there_is, PATIENCE_S, f"nobody leads {database}")
        return names[-1]

    def cut(self, sender: str, to: str) -> None:
        """Nothing that one sends to the other arrives."""
        ip("-n", self.space(sender), "neigh", "replace", self.hosts[to], "lladdr", NOBODY, "dev", "eth0")

    def heal(self, sender: str, to: str) -> None:
        ip("-n", self.space(sender), "neigh", "del", self.hosts[to], "dev", "eth0")

    def isolate(self, name: str, *, up: bool = False) -> None:
        ip("-n", self.hub, "link", "set", name, "up" if up else "down")

    def move(self, name: str, host: str) -> None:
        """Another address for the machine of a node that does not run."""
        old = self.hosts[name]
        ip("-n", self.space(name), "addr", "del", f"{old}/24", "dev", "eth0")
        ip("-n", self.space(name), "addr", "add", f"{host}/24", "dev", "eth0")
        path = self.folder / "c" / name / FILE_NAME
        path.write_text(path.read_text().replace(f"{old}:", f"{host}:"))
        self.hosts[name] = host
        authority.issue(self.folder / "ca", self.folder / "c" / name)


@contextlib.contextmanager
def inside(space: str) -> Iterator[None]:
    """This thread's sockets are made in that namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{space}") as there:
        if libc.setns(there.fileno(), NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            assert libc.setns(home.fileno(), NEW_NETWORK) == 0


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    """Running nodes, and this thread on their network. Where namespaces cannot be made it skips; in CI it fails."""
    made = Machines(tmp_path)
    try:
        try:
            if shutil.which("ip") is None:
                raise OSError("there is no ip command")
            made.wire()
        except OSError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no network namespaces here: {error}")
        made.found()
        for name in NODES:
            made.start(name)
        with inside(made.hub):
            made.leader("main")
            yield made
    finally:
        made.close()


class Numbers:
    """What was written, one by one, and acknowledged."""

    def __init__(self, db: quorate.Connection) -> None:
        self.db = db
        self.done = 0
        db.execute("CREATE TABLE t(n INTEGER PRIMARY KEY)")

    def write(self, count: int = 5) -> None:
        for _ in range(count):
            self.db.execute("INSERT INTO t VALUES (?)", (self.done,), token=f"w{self.done}")
            self.done += 1

    def check(self) -> None:
        assert self.db.execute("SELECT count(*), max(n) FROM t").fetchone() == (self.done, self.done - 1)


def test_nothing_is_lost_on_machines_that_die_are_cut_off_and_move(machines: Machines) -> None:
    with quorate.connect(machines.url, timeout=PATIENCE_S) as db:
        numbers = Numbers(db)
        numbers.write()

        leader = machines.leader("main")  # it dies
        machines.kill(leader)
        numbers.write()
        machines.start(leader)

        leader = machines.leader("main")  # it cannot be heard by one of the others, nor hear it
        one, two = (name for name in NODES if name != leader)
        machines.cut(leader, one)
        machines.cut(one, leader)
        numbers.write()
        wait_until(
            lambda: not hears(machines, one, leader), PATIENCE_S, f"{one} hears {leader} over a link that is cut"
        )
        numbers.write()
        machines.heal(leader, one)
        machines.heal(one, leader)

        leader = machines.leader("main")  # it hears, and is not heard
        one, two = (name for name in NODES if name != leader)
        machines.cut(leader, one)
        machines.cut(leader, two)
        numbers.write()
        assert machines.leader("main", (one, two)) != leader
        machines.heal(leader, one)
        machines.heal(leader, two)

        leader = machines.leader("quorate")  # the catalog's leader is alone
        machines.isolate(leader)
        rest = tuple(name for name in NODES if name != leader)
        numbers.write()
        assert machines.leader("quorate", rest) in rest
        machines.isolate(leader, up=True)
        numbers.write()

        machines.kill(leader)  # it comes back elsewhere
        machines.move(leader, "10.77.0.44")
        machines.start(leader)
        wait_until(lambda: known_at(machines, rest, leader), PATIENCE_S, "nobody knows where it is")
        machines.kill(rest[0])  # without it there is no majority
        numbers.write()
        numbers.check()


def hears(machines: Machines, observer: str, name: str) -> bool:
    report = machines.status(observer)
    return report is None or any(member.name == name and member.alive for member in report.members)


def known_at(machines: Machines, observers: tuple[str, ...], name: str) -> bool:
    address = f"{machines.hosts[name]}:{PORT}"
    reports = [machines.status(each) for each in observers]
    return all(
        report is not None and any(member.address == address and member.alive for member in report.members)
        for report in reports
    )


def said(host: str, data: bytes) -> bytes:
    """All that a node says to somebody who begins so."""
    with socket.create_connection((host, PORT), 5.0) as stranger:
        stranger.settimeout(10.0)
        stranger.sendall(data)
        stranger.shutdown(socket.SHUT_WR)
        heard = b""
        with contextlib.suppress(ConnectionResetError):
            while more := stranger.recv(65536):
                heard += more
        return heard


def test_strangers_learn_nothing(machines: Machines) -> None:
    host = machines.hosts["n1"]
    secrets = (machines.cluster.encode(), b"n1", b"main")
    for data in (
        b"",
        b"GET / HTTP/1.0\r\n\r\n",
        os.urandom(200).replace(b"\x16", b"\x00"),
        b"\x16\x03\x01\x00\x05hello",
    ):
        heard = said(host, data)
        assert not any(secret in heard for secret in secrets), heard
    openssl = ["openssl", "s_client", "-connect", f"{host}:{PORT}", "-quiet", "-CAfile", machines.ca]
    if shutil.which("openssl"):
        done = subprocess.run(openssl, input=b"hello?\n" * 10, capture_output=True, timeout=30)
        assert machines.cluster.encode() not in done.stdout
        assert b"main" not in done.stdout
    with pytest.raises(quorate.Unavailable, match="certificate is refused"):
        quorate.connect(f"quorate://{host}:{PORT}/main", timeout=3.0)
    with pytest.raises(quorate.Unavailable, match="TLS only"):
        quorate.connect(f"quorate://{host}:{PORT}/main?tls=off", timeout=3.0)
