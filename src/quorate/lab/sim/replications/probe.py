"""What the simulator asks about the groups of one replication: all that it has to know of their inside."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from quorate.core.bounds import GroupId, NodeId
from quorate.core.membership import Wanted
from quorate.lab.sim.campaigns.report import Report
from quorate.lab.sim.engine.observers import Observer
from quorate.lab.sim.engine.world import World
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.workloads.operations import Database

if TYPE_CHECKING:
    from quorate.lab.sim.run import Run

Replicas = dict[NodeId, Any]
"""Those of one group, by the node that each is on."""
Groups = dict[GroupId, Replicas]


class Probe(Struct, frozen=True, kw_only=True):
    """One for each replication (`registry`). What is handed to it are its own groups."""

    databases: Callable[[Dials], list[Database]] = lambda _dials: []
    """Those that clients of such a run use. The one called `main` is there from the start; they create the others."""
    belongs: Callable[[Any], bool]
    """Whether a replica is one of its group's, as far as itself knows."""
    unsettled: "Callable[[Run, GroupId, Replicas], str | None]"
    """In the liveness phase: why the group has not come right yet; None when it has."""
    unfinished: Callable[[GroupId, list[Any], Wanted | None], str | None]
    """Why the group has not got the members that are wanted yet; None when it has. It is given every replica that there
    is."""
    state: Callable[[Any], str]
    """A replica, for people."""
    judge: "Callable[[Run, Groups], None]"
    """At the end of the safety phase, before any fault is mended. Raises Violation."""
    account: "Callable[[Run, Groups], None]"
    """At the end: replicas are equal, and hold what callers were told. Raises Violation."""
    lost: Callable[[Report], int] = lambda _report: 0
    """How many acknowledged writes of a run are not there."""
    observer: Callable[[World], Observer] | None = None
    """Who looks on at every step of the run; None: whom the run has anyway (`single_leader.invariants`)."""
