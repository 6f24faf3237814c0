"""A core's notes become log lines under `quorate.node`."""

import logging

from quorate.core.kernel import Note

log = logging.getLogger("quorate.node")

QUIET = frozenset({"counted", "applied", "batch", "executed", "appended"})
"""Notes that come with every write: debug."""


def log_note(note: Note) -> None:
    """Log one note as `name key=value ...`."""
    level = logging.DEBUG if note.name in QUIET else logging.INFO
    if log.isEnabledFor(level):
        log.log(level, "%s %s", note.name, " ".join(f"{key}={value}" for key, value in note.fields.items()))
