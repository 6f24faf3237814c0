"""What a data file looked like when it was closed, so that a later start can tell that it was edited.

When a file is closed in order, its size, its time of change, a few fields of its header and, up to
`HASHED_MAX`, a hash of its content are written to `node.db`. At the next start:

- the same size, time and header: untouched (nothing is read);
- another time, the same content: it was copied, and is accepted;
- other content: somebody changed it, and the replica is damaged.

Limits. A file above `HASHED_MAX` is hashed in its first and last parts only, because reading it would delay
every start and stop: an edit elsewhere in it that keeps its size is not noticed. Nor is one after a crash
(nothing was written down), nor one by somebody who sets the file's time back. SQLite's own change counter does
not help: in WAL mode it rarely moves.
"""

from hashlib import blake2b
from pathlib import Path

from quorate.storage.files import SYSTEM, Files

HASHED_MAX = 64 << 20
PART = 8 << 20
HEADER = 100


def describe(path: Path, earlier: str = "", files: Files = SYSTEM) -> str:
    """A line about a closed data file; empty when it is not there or was not closed in order.

    What is still as it was `earlier`, when this process opened it, is not read again.
    """
    if not files.exists(path) or files.exists(path.with_name(path.name + "-wal")):
        return ""
    outside = _outside(path, files)
    if earlier and earlier.rsplit(" ", 1)[0] == outside:
        return earlier
    return f"{outside} {_content(path, files)}"


def reason_to_doubt(path: Path, closed: str, files: Files = SYSTEM) -> str:
    """Why the file is not the one that was closed with this description; empty when it is, or may be."""
    if not closed:
        return ""
    outside, content = closed.rsplit(" ", 1)
    beside = path.with_name(path.name + "-wal")
    if files.size(beside) > 0:
        return f"{path.name} was written to while the node was stopped (it has a write-ahead log)"
    if _outside(path, files) == outside or _content(path, files) == content:
        return ""
    return f"{path.name} was changed while the node was stopped"


def _outside(path: Path, files: Files) -> str:
    header = files.read(path, 0, HEADER)
    return f"{files.size(path)} {files.changed_ns(path)} {header[24:48].hex()}"


def _content(path: Path, files: Files) -> str:
    digest = blake2b(digest_size=16)
    size = files.size(path)
    if size <= HASHED_MAX:
        for offset in range(0, size, PART):
            digest.update(files.read(path, offset, PART))
    else:
        digest.update(files.read(path, 0, PART))
        digest.update(files.read(path, size - PART, PART))
        digest.update(size.to_bytes(8, "big"))
    return digest.hexdigest()
