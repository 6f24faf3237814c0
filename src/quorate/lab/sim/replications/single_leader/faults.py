"""Faults at the moments at which a single leader is weak: just after a vote, and just after a leader has told
another to stand."""

from typing import TYPE_CHECKING

from quorate.core.single_leader.messages import TimeoutNow, VoteReply
from quorate.lab.sim.campaigns.rows import EVERY_US, Row
from quorate.lab.sim.faults.fault import Dial, Fault, part_or_zero
from quorate.lab.sim.faults.partition import between, mend

if TYPE_CHECKING:
    from quorate.lab.sim.engine.host import Host
    from quorate.lab.sim.faults.injector import Faults


def watch_votes(faults: "Faults") -> None:
    """Die right after voting, and be back before the election is over."""

    def voted(host: "Host") -> None:
        if not faults.over and faults.rng.random() < faults.dials.crash_on_vote:
            faults.world.after(faults.rng.randint(0, 2_000), blink, host, host.life)

    def blink(host: "Host", life: int) -> None:
        if not faults.over and host.life == life:
            faults.world.mark("crash after a vote")
            host.crash()
            faults.world.after(faults.rng.randint(0, 5_000), back, host)

    def back(host: "Host") -> None:
        if not host.alive and host.number != faults.lost:
            host.start()

    if faults.dials.crash_on_vote:
        for host in faults.hosts.values():
            host.when_sent[VoteReply] = voted


def watch_handovers(faults: "Faults") -> None:
    """Be cut off from all others right after telling one of them to stand."""

    def handed_over(host: "Host") -> None:
        if not faults.over and faults.rng.random() < faults.dials.cut_on_handover:
            links = between([host.number], [number for number in faults.hosts if number != host.number])
            faults.network.cut(links)
            faults.world.mark("cut off after handing over")
            faults.ends(mend, faults, links)

    if faults.dials.cut_on_handover:
        for host in faults.hosts.values():
            host.when_sent[TimeoutNow] = handed_over


CRASH_ON_VOTE = Fault(
    dials=(Dial("crash_on_vote", part_or_zero(0.5, 0.3)),),
    mark="crash after a vote",
    begin=watch_votes,
    needs_between_nodes=True,
    rows=(Row("crash just after a vote", "crash after a vote", {"crash_us": EVERY_US, "crash_on_vote": 0.5}),),
)
CUT_ON_HANDOVER = Fault(
    dials=(Dial("cut_on_handover"),),
    mark="cut off after handing over",
    begin=watch_handovers,
)
