"""What the laboratory's commands share to write a space-time diagram: the option `--html`, and the page."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from quorate.cli.output import Exit, Fail, progress

if TYPE_CHECKING:
    from quorate.lab.judges.report import Report as Judgement
    from quorate.lab.sim.campaigns.report import Report

F = TypeVar("F", bound=Callable[..., Any])


def html_option(command: F) -> F:
    """Adds `--html FILE` as the argument `html`."""
    return click.option(
        "--html", type=click.Path(dir_okay=False, path_type=Path), default=None, metavar="FILE",
        help="Write it as a space-time diagram, one page for a browser.",
    )(command)  # fmt: skip


def drawn(simulate: "Callable[[], Report]", html: Path | None) -> "Report":
    """Run a simulation; with `html`, draw it there."""
    if html is None:
        return simulate()
    from quorate.lab.diagram.page import render
    from quorate.lab.diagram.simulated import watched

    report, diagram = watched(simulate)
    _write(html, render(diagram))
    return report


def draw_history(content: bytes, file: Path, report: "Judgement", html: Path | None) -> None:
    """Draw a judged history."""
    if html is None:
        return
    from quorate.lab.diagram.histories import tell
    from quorate.lab.diagram.page import render
    from quorate.lab.judges.jepsen import read

    again = f"quorate lab judge {file.name} --model {report.model}"
    _write(html, render(tell(read(content), report, file.name, again=again)))


def _write(html: Path, page: str) -> None:
    try:
        html.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Fail(f"{html} cannot be written: {error.strerror or error}", Exit.USAGE) from error
    progress(f"drawn: {html}")
