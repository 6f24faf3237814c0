"""The page in a real browser, where there is one: no error, and as many lanes as there are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from quorate.lab.diagram.model import Diagram
from quorate.lab.diagram.page import render
from quorate.lab.diagram.simulated import watched
from quorate.lab.sim.scenarios.named import simulate

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)

pytestmark = pytest.mark.skipif(not BROWSER, reason="there is no chromium")

WATCH = (
    "<script>window.onerror = (text, _, line) => { document.documentElement.dataset.failed = text + line; };</script>"
)


def opened(diagram: Diagram, folder: Path) -> str:
    """The document after the page's code has run."""
    page = folder / "page.html"
    page.write_text(render(diagram).replace("<head>", f"<head>{WATCH}", 1))
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
        "--virtual-time-budget=2000", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_the_page_draws_every_lane_without_an_error(tmp_path: Path) -> None:
    _, diagram = watched(lambda: simulate(0))
    document = opened(diagram, tmp_path)
    assert "data-failed" not in document, re.findall(r'data-failed="[^"]*"', document)
    assert f'data-ready="{len(diagram.lanes)} lanes, {len(diagram.events)} events"' in document
    names = re.findall(r'<li class="(?:node|client) lane"[^>]*>([^<]*)</li>', document)
    assert names == [lane.name for lane in diagram.lanes]


def test_an_empty_diagram_is_still_a_page(tmp_path: Path) -> None:
    document = opened(Diagram("nothing", [], []), tmp_path)
    assert "data-failed" not in document
    assert 'data-ready="0 lanes, 0 events"' in document
