"""What is on the disk of the one chosen node is not what was written: a log without its end, bits that have changed,
rows that somebody has edited, and a disk that lies.

Never more than one node of a run: beyond a minority nothing is promised.
"""

from typing import TYPE_CHECKING

import msgspec

from quorate.lab.sim.campaigns.rows import CALM, Row
from quorate.lab.sim.faults.fault import Dial, Fault, or_zero, part_or_zero
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND
from quorate.lab.sim.stores.store import BadStore

if TYPE_CHECKING:
    from quorate.lab.sim.faults.injector import Faults


def flip_log(faults: "Faults") -> None:
    """A bit of its log changes."""
    if faults.victim:
        faults.hosts[faults.victim].harm("flip in the log", faults.hosts[faults.victim].store.flip_log)


def flip_data(faults: "Faults") -> None:
    """A bit of one of its data files changes."""
    if faults.victim:
        faults.hosts[faults.victim].harm("flip in a data file", faults.hosts[faults.victim].store.flip_data)


def edit_data(faults: "Faults") -> None:
    """A row of one of its data files is changed, while the node runs."""
    if faults.victim:
        store = faults.hosts[faults.victim].store
        if isinstance(store, BadStore):
            store.sends_no_copies = faults.dials.members_us > 0
        faults.hosts[faults.victim].harm("edit of a data file", store.edit_data)


def lie(faults: "Faults") -> None:
    """It shows in one place what lay there before, or has put what was written elsewhere."""
    if not faults.victim:
        return
    host = faults.hosts[faults.victim]
    told = host.store.lie(faults.rng)
    if told is not None:
        what, groups = told
        faults.world.record(host.number, what, groups)
        faults.world.mark("lying disk")
        faults.world.mark(f"lying disk: {what.partition(' in ')[0]}")
        for group in groups:
            host.observer.flipped(host, group)


RELEARNT = msgspec.structs.replace(CALM.settings, checkpoint_entries=5, close_idle_us=100_000, close_idle_periods=1)
"""Files are read from the disk again and again. The log stays whole, so that no copy spreads what is wrong."""

DAMAGE = Fault(
    dials=(Dial("damage", part_or_zero(1.0, 0.3)),),
    mark="damage",
    expected=False,
    one_node=True,
    rows=(Row("a log loses its end (one node)", "damage", {"damage": 1.0, "crash_us": SECOND, "torn_step": 0.0}),),
)
FLIP_LOG = Fault(
    dials=(Dial("flip_log_us", or_zero(SECOND, 4 * SECOND, 0.2)),),
    mark="flip in the log",
    strike=flip_log,
    one_node=True,
    needs_between_nodes=True,
    rows=(Row("bit flips in a log (one node)", "flip in the log", {"flip_log_us": SECOND, "crash_us": 2 * SECOND}),),
)
FLIP_DATA = Fault(
    dials=(Dial("flip_data_us", or_zero(SECOND, 4 * SECOND, 0.2)),),
    mark="flip in a data file",
    strike=flip_data,
    one_node=True,
    needs_between_nodes=True,
    rows=(
        Row(
            "bit flips in data files (one node)", "flip in a data file",
            {"flip_data_us": SECOND, "crash_us": 2 * SECOND},
        ),
    ),
)  # fmt: skip
EDIT = Fault(
    dials=(Dial("edit_us"),),
    mark="edit of a data file",
    strike=edit_data,
    one_node=True,
    rows=(
        Row(
            "a data file edited by hand while replicas are compared (one node)", "note: divergent",
            {"edit_us": SECOND, "verify_us": 500 * MILLISECOND, "crash_us": 2 * SECOND}, stored=False,
        ),
    ),
)  # fmt: skip
LIE = Fault(
    dials=(Dial("lie_us"),),
    mark="lying disk",
    strike=lie,
    one_node=True,
    needs_files=True,
    rows=(
        Row(
            "a disk that lies: writes are lost or land elsewhere (one node)", "lying disk",
            {
                "lie_us": 300 * MILLISECOND, "verify_us": 700 * MILLISECOND, "crash_us": SECOND // 2, "torn_step": 0.0,
                "settings": RELEARNT,
            },
            filed=True,
        ),
    ),
)  # fmt: skip
