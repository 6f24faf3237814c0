"""The machine that was measured on."""

import os
import platform
import subprocess
from pathlib import Path

import apsw

import quorate
from bench import raw, system_etcd, system_postgres
from bench.results import Machine
from bench.work import ROOT, Timing


def describe(folder: Path, timing: Timing) -> Machine:
    """`folder` is where the systems keep their files; its disk is measured for one round."""
    disk = raw.fdatasync(folder, timing)
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        kernel=f"{platform.system()} {platform.release()}",
        filesystem=_filesystem(folder),
        fdatasync_p50_us=round(disk.p50_ms * 1e3, 1),
        fdatasync_p99_us=round(disk.p99_ms * 1e3, 1),
        versions={
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "sqlite": apsw.sqlite_lib_version(),
            "apsw": apsw.apsw_version(),
            "quorate": _installed(),
            "postgresql": system_postgres.version(),
            "etcd": system_etcd.version(),
        },
    )


def _installed() -> str:
    from importlib.metadata import version

    return version(quorate.__name__)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _filesystem(folder: Path) -> str:
    """The type of the file system that holds the folder."""
    best, kind = "", "unknown"
    resolved = str(folder.resolve())
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, found = line.split()[:3]
        inside = resolved == point or resolved.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, found
    return kind


def commit() -> str:
    """The checkout's commit, with a + when files differ from it; empty outside of a checkout."""
    found = _git("rev-parse", "--short", "HEAD")
    return found + ("+" if found and _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()
