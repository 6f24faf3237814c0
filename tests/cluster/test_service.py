"""The systemd unit in `deploy/`: it is in order, and what it starts says when it is ready and when it stops."""

import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house.source import ROOT

from quorate.runtime.founding import found, local_members

UNIT = ROOT / "deploy" / "quorate.service"
PROGRAM, FOLDER = "/usr/local/lib/quorate/bin/quorate", "/var/lib/quorate"


def setting(name: str) -> str:
    (line,) = [line for line in UNIT.read_text().splitlines() if line.startswith(f"{name}=")]
    return line.partition("=")[2]


def test_what_the_unit_starts_tells_systemd_that_it_is_ready_and_that_it_stops(tmp_path: Path) -> None:
    assert setting("Type") == "notify"
    found(tmp_path / "c", local_members(1, "127.0.0.1"))
    words = setting("ExecStart").replace(FOLDER, str(tmp_path / "c" / "n1")).split()
    assert words[0] == PROGRAM
    place = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(place))
        heard.settimeout(60.0)
        node = subprocess.Popen(
            [sys.executable, "-m", "quorate.cli.main", *words[1:]],
            env={"NOTIFY_SOCKET": str(place), "PATH": ""},
            stderr=subprocess.DEVNULL,
        )
        try:
            assert heard.recv(100) == b"READY=1"
            node.send_signal(signal.SIGTERM)
            assert heard.recv(100) == b"STOPPING=1"
            assert node.wait(60) == 0
        finally:
            node.kill()
            node.wait()


def test_the_unit_passes_systemds_own_check(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze")
    unit = tmp_path / "quorate.service"
    unit.write_text(UNIT.read_text().replace(PROGRAM, sys.executable))
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "quorate.service" not in done.stderr, done.stderr
