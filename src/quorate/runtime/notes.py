"""A core's notes become log lines under `quorate.node`."""

import logging

from quorate.core.kernel import Note

log = logging.getLogger("quorate.node")

QUIET = frozenset({"committed", "applied", "batch", "executed", "appended", "pre_candidate"})
"""Notes that come with every write, or again and again while there is no majority: debug."""
LOUD = frozenset({"damaged", "disk_full", "log_hangs", "lost_quorum", "no_room", "snapshot_failed", "divergent"})
"""Notes that somebody should look at: warnings."""


def log_note(note: Note) -> None:
    """Log one note as `name key=value ...`."""
    level = logging.DEBUG if note.name in QUIET else logging.WARNING if note.name in LOUD else logging.INFO
    if log.isEnabledFor(level):
        log.log(level, "%s %s", note.name, " ".join(f"{key}={value}" for key, value in note.fields.items()))
