"""The end of a replica whose database was dropped: whoever waits for it is sent away, and nothing of it stays open."""

from quorate.core.kernel import Now
from quorate.core.requests import NotLeader
from quorate.core.single_leader import election, orders, reads, transfer, verification, writes
from quorate.core.single_leader.state import Group


def close(group: Group, now: Now) -> None:
    """Callers whose write is not in the log hear that it was not done here, the others that nobody is sure; each asks
    again, and learns that there is no such database."""
    election.become_follower(group, now)
    election.led_by_nobody(group)
    transfer.conclude(group)
    orders.conclude(group)
    writes.refuse_queue(group, NotLeader(""))
    reads.refuse_all(group)
    reads.forget_asked(group)
    verification.abandon(group)
