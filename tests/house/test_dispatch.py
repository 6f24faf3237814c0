"""The tables that route events, messages and effects leave none out: an unrouted one would be lost silently."""

from typing import Any, cast, get_args

from quorate.core import kernel
from quorate.core.messages import GroupMessage
from quorate.core.node import Node
from quorate.core.replication import REPLICATIONS
from quorate.runtime import driver


def test_every_event_has_one_handler() -> None:
    """Events of one group go through its replication's table, all others through the node's."""
    node_events = set(Node.HANDLERS)
    group_events = {event for each in REPLICATIONS.values() for event in each.events}
    assert node_events | group_events == set(get_args(kernel.Event))
    for event in group_events - node_events:
        assert "group" in cast(Any, event).__struct_fields__, f"{event.__name__} cannot find its group"


def test_every_message_of_a_replication_is_registered() -> None:
    """What is not would not be understood on its way in."""
    registered = {kind for each in REPLICATIONS.values() for kind in each.messages}
    assert registered == set(GroupMessage.__subclasses__())


def test_the_real_driver_performs_every_effect() -> None:
    nothing = cast(Any, None)
    real = driver.Driver(nothing, nothing, nothing, nothing)
    assert set(real._perform) == set(get_args(kernel.Effect))


def test_every_event_and_effect_is_frozen() -> None:
    """What has been handed over can no longer change: it may be recorded, replayed and sent twice."""
    for kind in (*get_args(kernel.Event), *get_args(kernel.Effect), *GroupMessage.__subclasses__()):
        assert kind.__struct_config__.frozen, kind.__name__
