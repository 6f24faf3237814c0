"""The Python samples of the README run, and print what they say."""

import re
import subprocess
import sys
from pathlib import Path

from tests.cluster.conftest import Started
from tests.house.source import ROOT

import quorate

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


def test_the_embedded_sample(tmp_path: Path) -> None:
    assert printed(SAMPLES[0], tmp_path) == promised(SAMPLES[0])


def test_the_cluster_sample(start: Started, tmp_path: Path) -> None:
    cluster = start(3)
    with quorate.Cluster(cluster.url) as whole:
        whole.create("shop", acks="majority", replicas=3)
    sample, changed = re.subn(r'"quorate://[^"]*"', f'"{cluster.url}/shop"', SAMPLES[1])
    assert changed == 1
    assert printed(sample, tmp_path) == promised(sample)
