"""Keeps the standard library's `sqlite3` away from files that this process has open.

apsw carries its own SQLite. POSIX locks belong to a process, not to a library: when a second copy of
SQLite in the same process closes a file, the locks of the first are gone too, and another process can write
at the same time. (https://sqlite.org/howtocorrupt.html, section 2.2.1.) Python tells an audit hook of every
`sqlite3.connect`; ours refuses those that would open a file inside an open folder.

An audit hook cannot be removed, so there is one, installed when the first folder is opened.
"""

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from quorate.errors import InterfaceError

_folders: set[str] = set()
"""Real paths of the folders that this process has open."""
_installed: list[bool] = []
"""Not empty once the hook is there."""


def watch(folder: Path) -> None:
    """Refuse other users of this folder in this process, until `forget`."""
    _folders.add(os.path.realpath(folder))
    if not _installed:
        _installed.append(True)
        sys.addaudithook(_on_audit)


def forget(folder: Path) -> None:
    """The folder is closed: anybody may look at it."""
    _folders.discard(os.path.realpath(folder))


def _on_audit(event: str, arguments: tuple[Any, ...]) -> None:
    # Called for every audited event of the process: this comparison is all it costs them.
    if event == "sqlite3.connect" and _folders:
        _check(arguments[0] if arguments else "")


def _check(database: Any) -> None:
    path = file_of(database)
    if path is None:
        return
    folder = os.path.dirname(path)
    while True:
        if folder in _folders:
            raise InterfaceError(
                f"{path} belongs to a node that this process has open; opening it with sqlite3 would break its locks",
                hint="ask it through quorate.connect(...), or close it first, or copy it with quorate export",
            )
        parent = os.path.dirname(folder)
        if parent == folder:
            return
        folder = parent


def file_of(database: Any) -> str | None:
    """The real path of what `sqlite3.connect` was asked to open; None when it is no file."""
    try:
        name = os.fsdecode(database)
    except TypeError:
        return None
    if name in ("", ":memory:"):
        return None
    if name.startswith("file:"):
        name = unquote(name[5:].split("?", 1)[0].split("#", 1)[0])
        if name.startswith("//"):
            name = name[2 + name[2:].find("/") :] if "/" in name[2:] else ""
        if name in ("", ":memory:"):
            return None
    return os.path.realpath(name)
