"""The synchronous client is generated from the asynchronous one; what is in the repository is what comes out."""

import subprocess
import sys

from tests.house.source import ROOT


def test_the_synchronous_client_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "async_to_sync.py"), "--check"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
