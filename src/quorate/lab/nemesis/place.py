"""Where a campaign takes place: a local cluster behind faulty proxies, one node on a small file system, and a
library that shifts a process's clock. What this machine does not allow is named, with the reason.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quorate.lab.nemesis.proxy import Proxies
from quorate.runtime.cluster import LocalCluster
from quorate.runtime.config import FILE_NAME
from quorate.runtime.founding import found, free_ports

HOST = "127.0.0.1"
VOLUME_BYTES = 1024 * 1024 * 1024
PIECE_BYTES_MIN = 4096
BALLAST = "ballast"
"""A file that takes all the room there is."""

FAKETIME = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
)


def proxied(folder: Path, nodes: int, seed: int) -> tuple[LocalCluster, Proxies]:
    """A cluster that is founded and not started, and the running proxies in front of it.

    Every member is known by its proxy's address, to its peers and to clients, and listens on another. Raises
    OSError and ConfigError.
    """
    ports = free_ports(HOST, 2 * nodes)
    names = [f"n{number}" for number in range(1, nodes + 1)]
    fronts, backs = ports[:nodes], ports[nodes:]
    found(folder, {name: f"{HOST}:{port}" for name, port in zip(names, fronts, strict=True)})
    for name, front, back in zip(names, fronts, backs, strict=True):
        path = folder / name / FILE_NAME
        text = path.read_text(encoding="utf-8")
        known, real = json.dumps(f"{HOST}:{front}"), json.dumps(f"{HOST}:{back}")
        assert known in text, "node.toml says where a node listens"
        path.write_text(text.replace(known, real) + f"advertise = {known}\n", encoding="utf-8")
    routes = {
        name: ((HOST, front), (HOST, back)) for name, front, back in zip(names, fronts, backs, strict=True)
    }  # fmt: skip
    return LocalCluster(folder), Proxies(routes, seed)


class Volume:
    """A small file system under one node's folder, which can be filled to the last byte."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / BALLAST

    def fill(self) -> bool:
        """Take all the room that is left, in ever smaller pieces: the node takes of it too. Is none left?"""
        with self._ballast.open("ab") as ballast:
            end, piece = ballast.tell(), self._room()
            while piece >= PIECE_BYTES_MIN:
                try:
                    os.posix_fallocate(ballast.fileno(), end, piece)
                except OSError:
                    piece //= 2
                else:
                    end, piece = end + piece, self._room()
        return self._room() == 0

    def _room(self) -> int:
        """Bytes that are left."""
        room = os.statvfs(self._ballast.parent)
        return room.f_bavail * room.f_frsize

    def empty(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def volume(folder: Path) -> Iterator[Volume | str]:
    """Mount a small file system at this empty folder until the end of the block; or say why that cannot be."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        yield "mounting a small file system needs root on Linux"
        return
    folder.mkdir(parents=True)
    options = f"size={VOLUME_BYTES}"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
    if made.returncode:
        yield f"no small file system can be mounted here: {made.stderr.strip()}"
        return
    try:
        yield Volume(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)  # noqa: S603, S607 - our own arguments


def faketime() -> str:
    """The library that shifts a process's clock, or empty."""
    return next((path for path in FAKETIME if Path(path).exists()), "")


@contextmanager
def shifted_clock(library: str, seconds: int) -> Iterator[None]:
    """Processes started in this block see another time of day. Their monotonic clock stays true."""
    shift = {"LD_PRELOAD": library, "FAKETIME": f"{seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    before = {name: os.environ.get(name) for name in shift}
    os.environ.update(shift)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
