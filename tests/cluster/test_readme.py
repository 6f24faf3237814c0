"""The commands and the Python samples of the README run, and print what they say."""

import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.cluster.conftest import Started
from tests.house.source import ROOT

import quorate
from quorate.client.url import DEFAULT_PORT

COMMANDS = re.findall(r"^quorate .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
SAMPLES = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


def promised(sample: str) -> list[str]:
    """What the comments behind `print(...)` say is printed: the part in parentheses."""
    return re.findall(r"^\s*print\(.*#.*?(\(.*\))$", sample, re.MULTILINE)


def printed(sample: str, folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", sample],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_there_are_two_samples() -> None:
    assert len(SAMPLES) == 2
    assert all(promised(sample) for sample in SAMPLES)


def test_the_embedded_sample_can_be_run_again(tmp_path: Path) -> None:
    for _ in range(2):
        assert printed(SAMPLES[0], tmp_path) == promised(SAMPLES[0])


def test_the_cluster_sample(start: Started, tmp_path: Path) -> None:
    cluster = start(3)
    with quorate.Cluster(cluster.url) as whole:
        whole.create("shop", acks="majority", replicas=3)
    sample, changed = re.subn(r'"quorate://[^"]*"', f'"{cluster.url}/shop"', SAMPLES[1])
    assert changed == 1
    for _ in range(2):
        assert printed(sample, tmp_path) == promised(sample)


def test_the_ports_of_the_samples_are_those_that_up_takes() -> None:
    assert re.findall(r"127\.0\.0\.1:(\d+)", SAMPLES[1]) == [str(DEFAULT_PORT), str(DEFAULT_PORT + 1)]


def run(command: str, folder: Path) -> str:
    """Run a line of the README; what it printed."""
    words = [sys.executable, "-m", "quorate.cli.main", *shlex.split(command)[1:]]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout + done.stderr


def test_the_tour(tmp_path: Path) -> None:
    """Every command of the README in its order, the last two with smaller numbers."""
    up, create, status, explain, hand_over, bring, take, harm, simulate = COMMANDS
    with closing(sqlite3.connect(tmp_path / "chinook.sqlite")) as file:
        file.executescript("CREATE TABLE artist(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO artist VALUES (1, 'a')")
    words = [sys.executable, "-m", "quorate.cli.main", *shlex.split(up)[1:], "--port", "0"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as started:
        assert started.stderr is not None
        try:
            assert next(line for line in started.stderr if line.startswith("ready: quorate://"))
            run(create, tmp_path)
            assert re.search(r"^shop +\d+ +acks majority, failover auto +n[123] ", run(status, tmp_path), re.MULTILINE)
            assert "Writes go on while any 1 node is away" in run(explain, tmp_path)
            assert re.search(r"n[123] leads", run(hand_over, tmp_path))
            run(bring, tmp_path)
            run(take, tmp_path)
            started.send_signal(signal.SIGINT)
            assert started.wait(30) == 0
        finally:
            started.terminate()
    with closing(sqlite3.connect(tmp_path / "copy.sqlite")) as file:
        assert file.execute("SELECT * FROM artist").fetchall() == [(1, "a")]
    assert "quorate nemesis --rounds" in harm
    run(re.sub(r"--rounds \d+", "--rounds 1", harm), tmp_path)
    assert "quorate lab run --seeds" in simulate
    run(re.sub(r"--seeds \d+", "--seeds 2", simulate), tmp_path)
