"""The time and the random numbers that a statement of a transaction sees, however often it runs again.

`random()` and `randomblob()` are functions of ours on the connections that run scripts. The time is SQLite's own: it
asks its VFS, whose method for that (`xCurrentTimeInt64` in `sqlite3_vfs`, a public structure) is one of ours from the
first script on. A VFS made with apsw could do so too, but each read and write of the file would then pass through
Python; and a function `datetime` of ours could not refuse what SQLite's own refuses in an index or a CHECK.

Pins are for progress alone. Where one did not hold, a statement would give something else when it runs again, and that
is found and reported as any other change.
"""

import ctypes
import random
import threading
from collections.abc import Callable
from typing import Any

import apsw

from quorate.core.scripts import Pin
from quorate.storage.data.functions import RAND

_EPOCH_MS = 210_866_760_000_000
"""The beginning of 1970, in milliseconds of the Julian day."""
NUMBER = "quorate_number()"
"""What gives the next number of a row, in a text that names it."""
_TIME = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int64))


class _Vfs(ctypes.Structure):
    """The beginning of `sqlite3_vfs`, version 2."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("path_max", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("methods", ctypes.c_void_p * 12),
        ("time", ctypes.c_void_p),
    )


class _Now(threading.local):
    """The time for the statement that runs in this thread, in milliseconds of the Julian day; 0: the true one."""

    ms = 0


_now = _Now()
_hooks: dict[int, tuple[Any, int]] = {}
"""By the address of a VFS: our method, and its own. Never taken away again: connections may use it to the last."""


def _hook(connection: apsw.Connection) -> None:
    """Have the VFS of this connection ask `_now` for the time."""
    address = ctypes.c_void_p()
    connection.file_control("main", apsw.SQLITE_FCNTL_VFS_POINTER, ctypes.addressof(address))
    if not address.value:
        return
    vfs = _Vfs.from_address(address.value)
    if vfs.version < 2 or not vfs.name or not vfs.time or vfs.name.decode() not in apsw.vfs_names():
        return
    known = _hooks.get(address.value)
    if known is not None and ctypes.cast(known[0], ctypes.c_void_p).value == vfs.time:
        return
    theirs: Callable[[Any, Any], int] = _TIME(vfs.time)

    def current_time(of: Any, out: Any) -> int:
        if not _now.ms:
            return theirs(of, out)
        out[0] = _now.ms
        return 0

    ours = _TIME(current_time)
    _hooks[address.value] = ours, vfs.time
    vfs.time = ctypes.cast(ours, ctypes.c_void_p).value


class Pins:
    """Of one connection, which has to be idle when they are made."""

    __slots__ = ("_connection", "_generator", "_seed", "_sown", "next_number")

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._generator = random.Random()
        self._seed: int | None = None
        self._sown = True
        """The generator began with the seed. Most statements draw nothing."""
        self.next_number = 0
        """Of the next row that a statement adds; 0: nothing is reserved."""
        _hook(connection)
        connection.create_scalar_function("quorate_number", self._next, 0, flags=apsw.SQLITE_INNOCUOUS)
        connection.create_scalar_function("random", self._number, 0, flags=apsw.SQLITE_INNOCUOUS)
        connection.create_scalar_function(RAND, self._fraction, 0, flags=apsw.SQLITE_DIRECTONLY)
        connection.create_scalar_function("randomblob", self._blob, 1, flags=apsw.SQLITE_INNOCUOUS)

    def set(self, pin: Pin | None) -> None:
        """From now on statements see what this says; None: the true time, and numbers that nobody foresees."""
        _now.ms = 0 if pin is None else pin.now_us // 1000 + _EPOCH_MS
        self._seed, self._sown = None if pin is None else pin.seed, False

    @property
    def _random(self) -> random.Random:
        if not self._sown:
            self._generator.seed(self._seed)
            self._sown = True
        return self._generator

    def _next(self, *_: Any) -> int | None:
        number = self.next_number
        if not number:
            return None
        self.next_number += 1
        return number

    def _number(self, *_: Any) -> int:
        return self._random.getrandbits(64) - (1 << 63)

    def _fraction(self, *_: Any) -> float:
        return self._random.random()

    def _blob(self, *sizes: Any) -> bytes:
        count = _integer(sizes[0])
        if count > self._connection.limit(apsw.SQLITE_LIMIT_LENGTH):
            raise apsw.TooBigError("string or blob too big")
        return self._random.randbytes(max(1, count))


def _integer(value: Any) -> int:
    """What SQLite makes of a value where it wants an integer."""
    try:
        return int(value or 0)
    except (TypeError, ValueError, OverflowError):
        return 0
