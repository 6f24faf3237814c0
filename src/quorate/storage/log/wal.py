"""The write-ahead log of `log.db` is lengthened once to all it will need."""

from pathlib import Path

from quorate.storage.descriptors import none_left
from quorate.storage.files import Files
from quorate.storage.interface import NoDescriptors

CHECKPOINT_PAGES = 1024
"""The WAL is brought into the file when it has grown by this much (4 MiB), unless a test says otherwise."""
WAL_BYTES = 32 + CHECKPOINT_PAGES * (24 + 4096)
"""Of a WAL of that many pages: a header, and a header for each page."""
FILL_FROM_PAGES = 64
"""A WAL that has grown by this much is filled up to where it will be checkpointed."""


def lengthen(files: Files, path: Path, size: int) -> bool:
    """Make a WAL this long; False when that must wait for a file descriptor. Raises Broken.

    Syncing what overwrites blocks that a file already has is much quicker than syncing a file that grows, and after
    each checkpoint SQLite begins at the front again. What follows the last frame means nothing to SQLite, which stops
    at the first that does not continue the chain.
    """
    try:
        files.append(path, bytes(max(0, size - files.size(path))))
    except OSError as error:
        if none_left(error):
            return False
        # No room: then it grows as it would have.
    try:
        files.sync(path)
    except NoDescriptors:
        return False
    return True
