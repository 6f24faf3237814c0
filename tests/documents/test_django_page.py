"""The program in docs/django.md runs."""

import re
import subprocess
import sys

from tests.house.source import ROOT

BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "django.md").read_text(), re.MULTILINE | re.DOTALL)


def test_it_runs() -> None:
    assert len(BLOCKS) == 1
    done = subprocess.run([sys.executable, "-c", BLOCKS[0]], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
