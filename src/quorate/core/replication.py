"""The replications that there are. Nothing else imports from the inside of one."""

from typing import get_args

from quorate.core.leaderless.registered import leaderless
from quorate.core.messages import NodeMessage
from quorate.core.multi_leader.replica import MULTI_LEADER
from quorate.core.options import DatabaseOptions
from quorate.core.replica import Replication
from quorate.core.single_leader.replica import SINGLE_LEADER

REPLICATIONS: dict[str, Replication] = {each.name: each for each in (SINGLE_LEADER, MULTI_LEADER, leaderless({}))}


def options_known() -> dict[str, type[DatabaseOptions]]:
    """The options of each replication."""
    return {name: each.options for name, each in REPLICATIONS.items()}


def message_kinds() -> tuple[type, ...]:
    """Everything that travels between two nodes."""
    kinds = [kind for each in REPLICATIONS.values() for kind in each.messages]
    return (*get_args(NodeMessage), *dict.fromkeys(kinds))
