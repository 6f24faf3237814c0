"""What is left of a dropped group in a node's folder, and how it goes.

`log.db` says for good that the group was dropped, and `node.db` once more, so that neither a damaged log nor one that
was moved away brings it back. The files go after that: whatever a crash leaves of them, the next start deletes.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from quorate.core.bounds import GroupId
from quorate.core.entries import DropGroup
from quorate.storage.files import Files

if TYPE_CHECKING:
    from quorate.storage.log.log import SqliteLog
    from quorate.storage.node_file import NodeFile

DATA_FILE = re.compile(r"group-(\d+)-(\d+)\.db(-wal|-shm|-journal)?")


def agree(log: "SqliteLog", node: "NodeFile") -> None:
    """Tell each of the two what only the other knows. Raises DiskIsFull or Broken."""
    for group in sorted(node.dropped - log.dropped):
        log.commit((DropGroup(group),))
    node.drop(log.dropped - node.dropped)


def remove_files(folder: Path, files: Files, groups: set[GroupId]) -> None:
    """Delete the data files of these groups, durably. Raises DiskIsFull or Broken."""
    found = False
    for name in files.names(folder):
        match = DATA_FILE.match(name)  # also what was never finished
        if match and int(match[1]) in groups:
            files.remove(folder / name)
            found = True
    if found:
        files.sync(folder)
