"""Connections of one process to one folder share its node. The last one that is closed closes it."""

import os
import threading

from quorate.client.url import FolderTarget, MemoryTarget
from quorate.core.bounds import GroupId
from quorate.runtime.embedded.inline import InlineNode
from quorate.runtime.embedded.opening import open_folder, open_memory

_guard = threading.RLock()
_shared: dict[str, InlineNode] = {}
"""By the real path of the folder, or by what no path can be: the name of a database in memory that is shared."""


def join(target: FolderTarget | MemoryTarget) -> tuple[InlineNode, GroupId, int]:
    """The node of a folder, opened when no connection of this process has it open, or of memory, a new one unless it is
    shared; the group of the database, and where its log stands. Raises what `open_folder` and `InlineNode.start`
    raise."""
    if isinstance(target, FolderTarget):
        path = os.path.realpath(target.path)
    elif target.shared:
        path = f"\0{target.shared}"
    else:
        return _started(open_memory(), target.database)
    with _guard:
        node = _shared.get(path)
        if node is not None and node.broken:
            node.close()
        if node is None or node.closed:
            node = _shared[path] = open_folder(target.path) if isinstance(target, FolderTarget) else open_memory()
        else:
            node.users += 1
        return _started(node, target.database)


def _started(node: InlineNode, database: str) -> tuple[InlineNode, GroupId, int]:
    try:
        return node, *node.start(database)
    except BaseException:
        leave(node)
        raise


def leave(node: InlineNode) -> None:
    """One connection fewer. If it was the last, close the node: then its caller has the writer, or nobody else can."""
    with _guard:
        node.users -= 1
        if node.users > 0:
            return
        for path in [path for path, each in _shared.items() if each is node]:
            del _shared[path]
        node.close()


def _in_child() -> None:
    global _guard  # noqa: PLW0603 - another thread of the parent may have it
    _guard = threading.RLock()
    _shared.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
