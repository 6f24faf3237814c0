"""A core's notes become log lines under `quorate.node`; those of the record of changes, JSON under `quorate.audit`."""

import json
import logging

from quorate.core.kernel import Note

log = logging.getLogger("quorate.node")
audit = logging.getLogger("quorate.audit")

QUIET = frozenset({"committed", "applied", "batch", "executed", "appended", "pre_candidate"})
"""Notes that come with every write, or again and again while there is no majority: debug."""
LOUD = frozenset(
    {
        "certificate_revoked",
        "damaged",
        "disk_full",
        "log_hangs",
        "lacking",
        "lost_quorum",
        "no_room",
        "snapshot_failed",
        "divergent",
    }
)
"""Notes that somebody should look at: warnings."""


def log_note(note: Note) -> None:
    """Log one note as `name key=value ...`, a change of the cluster as JSON."""
    if note.name == "audit":
        audit.info("%s", json.dumps(note.fields))
        return
    level = logging.DEBUG if note.name in QUIET else logging.WARNING if note.name in LOUD else logging.INFO
    if log.isEnabledFor(level):
        log.log(level, "%s %s", note.name, " ".join(f"{key}={value}" for key, value in note.fields.items()))
