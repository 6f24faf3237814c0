"""A disk that lies: it acknowledged a write, synced, and either shows what lay there before (a *lost write*) or has put
it in the place of something else (a *misdirected write*). No error is ever told.

It strikes the log and the data files of the one node whose disk may be harmed, in main files and in the log's WAL.
`node.db` is spared: it and the log vouch for each other, and one lie at a time is what they can find out. For the same
reason the log is struck once in each life at the most, and a disk that lies forgets nothing: it loses no unsynced
writes from then on (see `FileStore.lose_tail`).

In data files only pages of one table and its index are struck, which nobody reads before the end: SQLite's pages have
no checksums, so what a page that is older, and sound, says is believed by whoever reads it until replicas are compared.
"""

import random
from typing import TYPE_CHECKING

from quorate.core.bounds import GroupId
from quorate.storage.dropped import DATA_FILE
from quorate.storage.folder import LOG
from quorate.storage.testing.disk import SECTOR, SimulatedDisk
from quorate.storage.testing.vfs import pages_of

if TYPE_CHECKING:
    from quorate.lab.sim.stores.files import FileStore

LOST_WRITE, MISDIRECTED = "a write is lost", "a write is misdirected"
IN_LOG = 0.5
"""Chance that the log is struck and not a data file."""
IN_WAL = 0.3
"""Of those, that it is the log's WAL."""
ELSEWHERE = 0.4
"""Chance that the write went elsewhere, and is not only missing."""
ONE_SECTOR = 0.3
"""Chance that only a sector of what was written is lost."""
GROUPS = 8
"""Also those that come later lie in the same file."""
WAL_HEADER, FRAME_HEADER = 32, 24
STRUCK_TABLES = ("marks", "marks_note")


def lie(store: "FileStore", rng: random.Random) -> tuple[str, list[GroupId]] | None:
    """Strike once: what, and which groups may have been hit. None where nothing was there to be struck."""
    if rng.random() < IN_LOG:
        if store.log_struck:
            return None
        name = LOG + ("-wal" if rng.random() < IN_WAL else "")
        path = str(store.folder / name)
        told = _strike(store.device, path, store.device.overwritten(path), rng)
        store.log_struck = told is not None
        groups = sorted({*store.log.groups, *range(GROUPS)})
        return None if told is None else (f"{told} in {name}", groups)
    names = [name for name in store.device.names(store.folder) if DATA_FILE.fullmatch(name) and name.endswith(".db")]
    if not names:
        return None
    name = rng.choice(names)
    path = str(store.folder / name)
    struck = pages_of(store.device, path, STRUCK_TABLES)
    places = [each for each in store.device.overwritten(path) if each in struck]
    told = _strike(store.device, path, places, rng)
    return None if told is None else (f"{told} in {name}", [int(name.split("-")[1])])


def _strike(device: SimulatedDisk, path: str, places: list[int], rng: random.Random) -> str | None:
    """Undo the newest write to one of these places, or have it lie in another."""
    if not places:
        return None
    place = rng.choice(places)
    others = [each for each in places if each != place]
    if others and rng.random() < ELSEWHERE:
        device.misdirect(path, place, rng.choice(others))
        return MISDIRECTED
    if rng.random() < ONE_SECTOR:
        size = device.overwritten_bytes(path, place)
        skipped = rng.randrange(-(-size // SECTOR)) * SECTOR
        device.revert(path, place, skipped, SECTOR)
    else:
        device.revert(path, place)
    return LOST_WRITE


def turns_in(wal: bytes) -> list[int]:
    """Where each transaction of a WAL ends, as far as its frames carry the salts of its header."""
    ends, size = [], int.from_bytes(wal[8:12], "big") + FRAME_HEADER
    for at in range(WAL_HEADER, len(wal) - size + 1, size):
        if wal[at + 8 : at + 16] != wal[16:24]:
            break
        if wal[at + 4 : at + 8] != bytes(4):  # the database's size: this frame commits
            ends.append(at + size)
    return ends
