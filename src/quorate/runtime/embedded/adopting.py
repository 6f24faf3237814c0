"""What a folder whose data files cannot be used would lose by going on with them, and going on."""

import secrets
import time
from pathlib import Path

from quorate import errors
from quorate.storage.data.adopting import Loss, adopt, assess, damaged_groups
from quorate.storage.folder import SqliteStore, open_store
from quorate.storage.interface import Broken, DiskIsFull, Divergent

BEYOND = "sqlite3's .recover gets out of the file what can be read, and quorate import loads it into another database"


def losses_of(folder: Path) -> list[Loss]:
    """Every data file of a node that is alone that cannot be used. Changes nothing. Raises errors of `quorate`."""
    store = _opened(folder)
    try:
        return [assess(store, number) for number in damaged_groups(store)]
    except (Broken, DiskIsFull) as error:
        raise errors.OperationalError(str(error)) from error
    finally:
        store.close()


def adopt_folder(folder: Path, database: str = "") -> list[Loss]:
    """Go on with every data file that cannot be used, or with that of one database, as it is; what each has lost.
    Raises errors of `quorate`."""
    store = _opened(folder)
    wanted = (database,) if database else tuple(group.database for group in store.log.groups.values())
    try:
        damaged = [number for number in damaged_groups(store) if store.log.groups[number].database in wanted]
        return [adopt(store, number, time.time_ns() // 1000, secrets.randbits(62) | 1) for number in damaged]
    except Divergent as error:
        raise errors.DataDamaged(f"it cannot be adopted: {error}", hint=BEYOND) from error
    except DiskIsFull as error:
        raise errors.DiskFull(str(error), hint="make room on the disk") from error
    except Broken as error:
        raise errors.OperationalError(str(error)) from error
    finally:
        store.close()


def explained(folder: Path, database: str, error: errors.DataDamaged) -> errors.DataDamaged:
    """The same error with what is lost if one goes on, for a folder that was closed since."""
    losses = losses_of(folder)
    loss = next((each for each in losses if each.database == database), losses[0] if losses else None)
    if loss is None:
        return error
    hint = BEYOND if loss.refused else f"`quorate adopt {folder}` goes on with it as it is"
    return errors.DataDamaged(
        f"the data file of {loss.database} cannot be used: {loss.reason}; {loss.text}",
        hint=hint,
        database=loss.database,
        good=loss.good,
        entries=loss.entries,
        writes=loss.writes,
        tables=loss.tables,
    )


def _opened(folder: Path) -> SqliteStore:
    store = open_store(folder)
    try:
        if not store.alone:
            file = next(iter(sorted(folder.glob("group-[1-9]*.db"))), folder / "group-1-0.db")
            raise errors.NotSupportedError(
                f"{folder} is the folder of a cluster's node: the others give it a copy",
                hint=f"to keep what its file holds, load it elsewhere: quorate import {file} --into NEW",
            )
        store.recover()
    except BaseException:
        store.close()
        raise
    return store
