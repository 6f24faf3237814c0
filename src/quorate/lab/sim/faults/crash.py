"""Machines and processes die, also in the middle of a step, or just after they sent a vote."""

from typing import TYPE_CHECKING

from quorate.core.single_leader.messages import VoteReply
from quorate.lab.sim.dials import SECOND
from quorate.lab.sim.faults.fault import Dial, Fault, one_of, or_zero, part_or_zero
from quorate.lab.sim.rows import EVERY_US, Row

if TYPE_CHECKING:
    from quorate.lab.sim.faults.injector import Faults
    from quorate.lab.sim.host import Host


def crash(faults: "Faults") -> None:
    """One, a minority, a majority, or all; sometimes in the middle of a step."""
    alive = [host.number for host in faults.hosts.values() if host.alive]
    if not alive:
        return
    nodes = len(faults.hosts)
    count = faults.dice.choice((1, 1, 1, max(1, (nodes - 1) // 2), nodes // 2 + 1, nodes))
    victims = [faults.pick(alive)]
    rest = [number for number in alive if number not in victims]
    faults.dice.shuffle(rest)
    victims += rest[: count - 1]
    for number in victims:
        host = faults.hosts[number]
        if faults.dice.random() < faults.dials.torn_step:
            host.crash_within_a_step()
        else:
            host.crash()
        faults.hint(number, reachable=False)
        faults.ends(faults.restart, host)


def watch_votes(faults: "Faults") -> None:
    """Die right after voting, and be back before the election is over."""

    def voted(host: "Host") -> None:
        if not faults.over and faults.dice.random() < faults.dials.crash_on_vote:
            faults.world.after(faults.dice.randint(0, 2_000), blink, host, host.life)

    def blink(host: "Host", life: int) -> None:
        if not faults.over and host.life == life:
            faults.world.mark("crash after a vote")
            host.crash()
            faults.world.after(faults.dice.randint(0, 5_000), back, host)

    def back(host: "Host") -> None:
        if not host.alive and host.number != faults.lost:
            host.start()

    if faults.dials.crash_on_vote:
        for host in faults.hosts.values():
            host.when_sent[VoteReply] = voted


CRASH = Fault(
    dials=(
        Dial("crash_us", or_zero(400_000, 4 * SECOND, 0.7)),
        Dial("torn_step", part_or_zero(1.0)),
        Dial("keep_pending", part_or_zero(1.0)),
        Dial("lose_unsynced", part_or_zero(1.0, 0.7)),
        Dial("leaders_first", one_of(0.0, 0.5, 0.9)),
    ),
    mark="crash",
    strike=crash,
    rows=(
        Row("crash of one node, some, or all", "crash", {"crash_us": EVERY_US, "torn_step": 0.0}),
        Row("crash within a step", "torn step", {"crash_us": EVERY_US, "torn_step": 1.0}),
        Row(
            "power failure: unsynced writes are gone",
            "writes forgotten",
            {"crash_us": EVERY_US, "lose_unsynced": 1.0, "fsync_us": 10_000, "keep_pending": 0.2},
        ),
    ),
)
CRASH_ON_VOTE = Fault(
    dials=(Dial("crash_on_vote", part_or_zero(0.5, 0.3)),),
    mark="crash after a vote",
    begin=watch_votes,
    needs_between_nodes=True,
    rows=(Row("crash just after a vote", "crash after a vote", {"crash_us": EVERY_US, "crash_on_vote": 0.5}),),
)
