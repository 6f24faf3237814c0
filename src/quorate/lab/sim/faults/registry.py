"""All faults, and what follows from their declarations.

Their order is that in which the injector chooses their first times: a new one comes last among those that strike.
"""

from quorate.lab.sim.campaigns.rows import Row
from quorate.lab.sim.faults.clocks import CLOCK_JUMP, DRIFT, STROBE
from quorate.lab.sim.faults.crash import CRASH
from quorate.lab.sim.faults.disks import FSYNC_ERROR, FULL_DISK, LOST_DISK, READ_ERROR, SLOW_DISK
from quorate.lab.sim.faults.elsewhere import ADVERSARIES, CALLERS, ETCD_FAULTS, LASTING, LINKS, OPERATORS
from quorate.lab.sim.faults.fault import Draw, Fault
from quorate.lab.sim.faults.harm import DAMAGE, EDIT, FLIP_DATA, FLIP_LOG, LIE
from quorate.lab.sim.faults.old_copies import OLD_COPY
from quorate.lab.sim.faults.partition import PARTITION
from quorate.lab.sim.faults.stops import DRAIN, PAUSE
from quorate.lab.sim.faults.swizzle import SWIZZLE
from quorate.lab.sim.faults.unfit import UNFIT_NODES
from quorate.lab.sim.replications.multi_leader.absences import ABSENCE
from quorate.lab.sim.replications.single_leader.faults import CRASH_ON_VOTE, CUT_ON_HANDOVER

FAULTS: tuple[Fault, ...] = (
    CRASH, PAUSE, PARTITION, SWIZZLE, SLOW_DISK, FULL_DISK, CLOCK_JUMP, DRAIN, FSYNC_ERROR, READ_ERROR, STROBE,
    FLIP_LOG, FLIP_DATA, EDIT, LIE, OLD_COPY, UNFIT_NODES, ABSENCE,
    LOST_DISK, CRASH_ON_VOTE, CUT_ON_HANDOVER, DAMAGE, DRIFT,
    *LINKS, LASTING, *ETCD_FAULTS, *CALLERS, *ADVERSARIES, *OPERATORS,
)  # fmt: skip

DRAWS: dict[str, Draw] = {dial.name: dial.draw for fault in FAULTS for dial in fault.dials if dial.draw is not None}
"""How the mixed scenario makes each dial."""
QUIET: dict[str, tuple[object, ...]] = {dial.name: dial.quiet for fault in FAULTS for dial in fault.dials}
"""What the shrinker tries each dial at, quietest first."""
STRIKES = {fault.dial: fault for fault in FAULTS if fault.expected and fault.dial.endswith("_us")}
"""What is done every so often on average, and can be told to have been done."""
CHANCES = {fault.dial: fault for fault in FAULTS if fault.expected and not fault.dial.endswith("_us")}
"""What comes true with some chance."""
HARM = tuple(fault.dial for fault in FAULTS if fault.one_node)
"""What harms the disk of the one node that a run may harm."""
ROWS: tuple[Row, ...] = tuple(row for fault in FAULTS for row in fault.rows)
"""Their rows of the table."""
