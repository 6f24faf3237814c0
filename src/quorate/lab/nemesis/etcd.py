"""A real etcd in a process of its own, which can be killed, stopped, and made anew."""

import shutil
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from quorate.lab.nemesis.trial import is_stopped, wait_until
from quorate.runtime.founding import free_ports

HOST = "127.0.0.1"
START_S = 30.0


def installed() -> str:
    """Where etcd is; empty where there is none (Debian: `apt-get install etcd-server`)."""
    return shutil.which("etcd") or ""


class Etcd:
    """One etcd, on ports of its own, with its data in `folder`. Used as a context it runs and ends with the block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._client, self._peer = free_ports(HOST, 2)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{HOST}:{self._client}"

    def start(self) -> None:
        """Start it, and wait until it listens. Raises TrialFailed."""
        client, peer = f"http://{HOST}:{self._client}", f"http://{HOST}:{self._peer}"
        command = [
            installed(), "--data-dir", str(self.folder), "--listen-client-urls", client,
            "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"default={peer}",
        ]  # fmt: skip
        self._process = subprocess.Popen(  # noqa: S603 - our own arguments
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
        )
        wait_until(self.listens, START_S, "etcd does not listen")

    def listens(self) -> bool:
        with socket.socket() as attempt:
            attempt.settimeout(1.0)
            return attempt.connect_ex((HOST, self._client)) == 0

    def kill(self) -> None:
        """`kill -9`; nothing when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """SIGSTOP: connections are accepted, and nothing is answered. Raises TrialFailed."""
        assert self._process is not None, "only a running etcd can be stopped"
        self._process.send_signal(signal.SIGSTOP)
        wait_until(self.paused, 5.0, "etcd does not stop")

    def paused(self) -> bool:
        return self._process is not None and is_stopped(self._process.pid)

    def resume(self) -> None:
        assert self._process is not None, "only a stopped etcd can go on"
        self._process.send_signal(signal.SIGCONT)

    def make_anew(self) -> None:
        """Kill it and take its data away: it counts its revisions from the beginning."""
        self.kill()
        shutil.rmtree(self.folder)
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.kill()
