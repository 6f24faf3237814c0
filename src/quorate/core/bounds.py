"""What the integers in a message may be. Decoding a message refuses whatever lies beyond (`wire.codec`), so that no
number from elsewhere can be one that the log cannot store, or that cannot be counted on from.

Every integer of every message has one of these types; a test holds that.
"""

from typing import Annotated

from msgspec import Meta

INDEX_BITS = 40
"""Of a place in a group's log."""
ORIGIN_BITS = 6
"""A group may have a log for each of several origins, that is of those who append to it on their own."""
GROUP_BITS = 63 - ORIGIN_BITS - INDEX_BITS
"""The log keeps group, origin and index in one integer."""
EPOCH_MAX = 1 << 62
EPOCH_LEAP = 1 << 40
"""No message is believed that is so many epochs ahead of its receiver. Elections raise the epoch by one, and etcd's
revisions, which `failover = etcd` makes epochs of, stay far below: without this bound one message with the highest
epoch would leave a group no other in which anybody could be elected."""
BOOT_MAX = (1 << 31) - 1
"""What a node numbers anew in each life begins at its boot, shifted by 32 bits."""

NodeId = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
GroupId = Annotated[int, Meta(ge=0, le=(1 << GROUP_BITS) - 1)]
Epoch = Annotated[int, Meta(ge=0, le=EPOCH_MAX)]
Index = Annotated[int, Meta(ge=0, le=(1 << INDEX_BITS) - 1)]
IndexOrNone = Annotated[int, Meta(ge=-1, le=(1 << INDEX_BITS) - 1)]
Boot = Annotated[int, Meta(ge=0, le=BOOT_MAX)]
Small = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]
"""A kind, a state, a number of replicas, a format."""
Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
"""Bytes, microseconds, and numbers that are only compared."""
Signed = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""The same where -1 says that there is none, or what SQLite counts."""
Stamped = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
"""A stamp or an origin of a version, or a hash."""
