"""What a row of the table of faults is (`sim.campaigns.table`), and the calm cluster that it is tried on."""

from typing import Any

from msgspec import Struct

from quorate.core.settings import Settings
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND, Dials

EVERY_US = 1_500 * MILLISECOND

CALM = Dials(
    clients=4,
    safety_us=8 * SECOND,
    leave_dead=0.0,
    hints=0.8,
    think_us=60 * MILLISECOND,
    schema=0,
    leaders_first=0.5,
    settings=Settings(answer_timeout_us=SECOND, suspect_us=400 * MILLISECOND, election_us=100 * MILLISECOND),
)


class Row(Struct, frozen=True):
    """One kind of fault, as the table shows it. Where it makes sense: `table.applies`."""

    name: str
    mark: str
    """What must have happened."""
    dials: dict[str, Any] = {}
    spare: bool = False
    """A node is as good as gone while it lasts: only where writes go on without it."""
    only: tuple[str, ...] = ()
    """Only for these kinds of acks."""
    stored: bool = True
    """Also where the data is kept in real files."""
    filed: bool = False
    """Only there."""
    decides: tuple[str, ...] = ()
    """Only where one of these decides about failovers."""
