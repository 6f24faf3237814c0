"""Whether this process can still open files: SQLite says of every failure to open one just that."""

import errno
import os

WANTED = 6
"""A writer, its write-ahead log and its index, and a reader with its own two."""
_NONE_LEFT = frozenset({errno.EMFILE, errno.ENFILE})


def none_left(error: OSError) -> bool:
    """Whether the system refused a descriptor because there are no more."""
    return error.errno in _NONE_LEFT


def short_of_descriptors() -> bool:
    """Try it: SQLite has closed what it had opened before it failed."""
    taken: list[int] = []
    try:
        for _ in range(WANTED):
            taken.append(os.open(os.devnull, os.O_RDONLY))  # noqa: PERF401 - what was taken must be given back
    except OSError as error:
        return none_left(error)
    finally:
        for descriptor in taken:
            os.close(descriptor)
    return False
