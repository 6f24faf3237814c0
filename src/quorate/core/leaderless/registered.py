"""This replication, as `core.replication` will list it: so far the laboratory alone does."""

from collections.abc import Mapping
from functools import partial

from quorate.core.leaderless.options import LeaderlessOptions
from quorate.core.leaderless.promises import PROMISES
from quorate.core.leaderless.replica import EVENTS, MESSAGES, Leaderless
from quorate.core.options import LEADERLESS
from quorate.core.replica import Replication
from quorate.core.versions.resolvers import Spec


def leaderless(tables: Mapping[str, Spec]) -> Replication:
    """With these tables, whose rows are merged so."""
    make = partial(Leaderless, tables=tables)
    return Replication(LEADERLESS, make, EVENTS, MESSAGES, LeaderlessOptions, PROMISES)
