"""Which code this is: a seed is a bug report only together with it."""

import subprocess
from functools import cache
from pathlib import Path

from quorate.core.formats import RELEASE


@cache
def commit() -> str:
    """The commit of the checkout that this runs from, with `+` when files were changed since; else the version."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        told = subprocess.run(  # noqa: S603 - our own arguments
            ["git", "-C", str(here), *arguments],  # noqa: S607
            capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
        return told.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "commit.py")  # a checkout of something else may lie around a package
        return git("describe", "--always", "--exclude", "*", "--abbrev=10", "--dirty=+")
    except (OSError, subprocess.SubprocessError):
        return "version " + RELEASE
