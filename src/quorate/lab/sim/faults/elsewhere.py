"""Faults that the network, a host, etcd, a caller or somebody who looks after the cluster brings about: declared here,
done there."""

from typing import Any

from quorate.core.ack_policy import AUTO, ETCD, MAJORITY, SYNC
from quorate.lab.sim.campaigns.rows import EVERY_US, Row
from quorate.lab.sim.faults.fault import Dial, Fault, one_of, part_or_zero
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND

LINKS = (
    Fault(
        dials=(Dial("loss", part_or_zero(0.2)),),
        mark="dropped",
        needs_between_nodes=True,
        rows=(Row("loss of 20 %", "dropped", {"loss": 0.2}),),
    ),
    Fault(
        dials=(Dial("tail_us", one_of(0, 100, 1_000, 10_000, 40_000)),),
        mark="timed out",
        expected=False,
        rows=(
            Row(
                "delay with a long tail (mean 50 ms)", "timed out",
                {"tail_us": 50 * MILLISECOND, "patience_us": 150_000},
            ),
        ),
    ),
    Fault(
        dials=(Dial("bandwidth"),),
        mark="queued",
        expected=False,
        rows=(Row("links that carry 20,000 bytes a second", "queued", {"bandwidth": 20_000}),),
    ),
    Fault(
        dials=(Dial("duplicate", part_or_zero(0.2)), Dial("late", part_or_zero(0.3))),
        mark="duplicated",
        needs_between_nodes=True,
        rows=(Row("repetition of 20 %, half of it seconds late", "duplicated", {"duplicate": 0.2, "late": 0.5}),),
    ),
    Fault(
        dials=(Dial("corrupt", part_or_zero(0.05, 0.3)),),
        mark="corrupted",
        needs_between_nodes=True,
        rows=(Row("corrupted frames, 5 %", "corrupted", {"corrupt": 0.05}),),
    ),
    Fault(dials=(Dial("echo"),), mark="echoed", expected=False),
)  # fmt: skip

STALLED: dict[str, Any] = {
    "lasting": "dead leader", "safety_us": 9 * SECOND, "reads": 10, "weak_reads": 0, "attempts": 2, "give_up": 1.0,
    "patience_us": 200 * MILLISECOND, "wander": 0.3,
}  # fmt: skip


def _lasting(name: str, kind: str) -> Row:
    return Row(name, f"lasting: {kind}", {"lasting": kind, "safety_us": 9 * SECOND}, spare=True)


LASTING = Fault(
    dials=(Dial("lasting", quiet=("",)),),
    mark="lasting",
    expected=False,
    rows=(
        _lasting("partial connectivity that stays", "partial"),
        _lasting("deaf leader that stays", "deaf leader"),
        _lasting("leader's disk full that stays", "full disk"),
        _lasting("a log write that never returns", "hung disk"),
        Row("the leader dies for good: reads go on, writes wait", "writes stalled", STALLED, only=(SYNC,)),
    ),
)

ETCD_FAULTS = (
    Fault(
        dials=(Dial("etcd_outage_us"), Dial("etcd_spread", quiet=(False,))),
        mark="etcd outage",
        rows=(
            Row(
                "etcd is away, from all or from one node, and leaders die", "etcd: away when asked",
                {"etcd_outage_us": EVERY_US, "crash_us": EVERY_US, "leaders_first": 0.9}, decides=(ETCD,),
            ),
            Row(
                "a leader's permit runs out: it is paused or cut off from etcd", "etcd: a leader's permit ran out",
                {
                    "etcd_outage_us": EVERY_US, "pause_us": EVERY_US // 2, "partition_us": EVERY_US,
                    "leaders_first": 0.9, "fault_lasts_us": 800 * MILLISECOND,
                },
                decides=(ETCD,),
            ),
        ),
    ),
    Fault(
        dials=(Dial("etcd_lost_answer"),),
        mark="etcd: answer lost",
        rows=(
            Row(
                "etcd's answers are lost, and leaders die", "etcd: answer lost",
                {"etcd_lost_answer": 0.5, "crash_us": EVERY_US // 2, "leaders_first": 0.9}, decides=(ETCD,),
            ),
        ),
    ),
)  # fmt: skip

ENDLESS_READS: dict[str, Any] = {
    "cpu_us": 150, "run_us": 4 * MILLISECOND, "base_load": 0.1, "spike": 0.2, "spike_us": 2 * SECOND, "repeats": 30,
    "endless_us": 200 * MILLISECOND, "safety_us": 13 * SECOND, "think_us": 200 * MILLISECOND, "patience_us": SECOND,
}  # fmt: skip

CALLERS = (
    Fault(
        dials=(Dial("long_write"),),
        mark="write takes long",
        expected=False,
        rows=(Row("writes that take long, or do not end", "write takes long", {"long_write": 0.1}),),
    ),
    Fault(
        dials=(Dial("endless_us"),),
        mark="load: endless read",
        rows=(Row("reads that do not end, under load", "load: endless read", ENDLESS_READS, decides=(AUTO,)),),
    ),
    Fault(
        dials=(Dial("client_crash", part_or_zero(0.1, 0.3)),),
        mark="client crash",
        rows=(Row("callers die after sending", "client crash", {"client_crash": 0.2}),),
    ),
    Fault(dials=(Dial("leaves"),), mark="caller left", expected=False),
    Fault(dials=(Dial("client_loss", part_or_zero(0.1)),), mark="dropped", expected=False),
    Fault(
        dials=(Dial("client_late", part_or_zero(0.1, 0.3)),),
        mark="lingered",
        rows=(Row("requests that linger for seconds", "lingered", {"client_late": 0.2}),),
    ),
    Fault(
        dials=(Dial("repeat", one_of(0.0, 0.1, 0.4)),),
        mark="repetitions answered",
        expected=False,
        rows=(
            Row(
                "writes repeated long after their answer", "repetitions answered", {"repeat": 0.6, "crash_us": EVERY_US}
            ),
        ),
    ),
)

ADVERSARIES = (
    Fault(dials=(Dial("figure_eight_us"),), mark="figure 8: tried"),
    Fault(dials=(Dial("cut_on_change"),), mark="left alone with newcomers", expected=False),
    Fault(dials=(Dial("cut_on_leaving"),), mark="cut off as it leaves", expected=False),
)

OPERATORS = (
    Fault(
        dials=(Dial("upgrade_us"),),
        mark="upgrade",
        rows=(
            Row(
                "rolling upgrade, back and forth, and crashes", "upgrade",
                {"upgrade_us": 300_000, "crash_us": 2 * SECOND}, only=(MAJORITY,),
            ),
        ),
    ),
    Fault(dials=(Dial("failover_us"), Dial("accept_loss")), mark="failover"),
    Fault(dials=(Dial("members_us"), Dial("wiped")), mark="members: added"),
    Fault(dials=(Dial("drops_us"),), mark="dropper: dropped"),
    Fault(dials=(Dial("users_us"),), mark="users: changed"),
    Fault(dials=(Dial("verify_us"),), mark="comparison asked for"),
)  # fmt: skip
