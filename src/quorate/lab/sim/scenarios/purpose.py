"""What runs are for, and whether they were: seeds whose faults never struck, or whose callers hardly did anything,
prove nothing, and say so instead of passing.

Two questions. Did what the dials asked for happen (a fault that was to strike ten times and never did is not injected
at all)? And did the seeds of a scenario see what that scenario is for (`AIMS`)? Chance may leave a fault out of one
run, so both are asked of several seeds together; of a single run it is asked that anything succeeded at all.
"""

from collections.abc import Mapping

from msgspec import Struct

from quorate.lab.sim.campaigns.report import Report
from quorate.lab.sim.faults.fault import Fault
from quorate.lab.sim.faults.registry import CHANCES, STRIKES
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.stores.keeps import FILES

VACUOUS = "vacuous"
"""The judge who says that a run proves nothing."""
STRIKES_EXPECTED = 10
"""A fault that was to strike so often on average is missed by chance in one of 20,000 campaigns."""
RUNS_EXPECTED = 5
"""So many runs with a chance of at least `CHANCE_LEAST` must have seen it come true."""
CHANCE_LEAST = 0.05


class Aim(Struct, frozen=True):
    """What must have been seen in so many seeds of a scenario, and how often at least."""

    seeds: int
    least: dict[str, int]


def _aim(least: dict[str, int], seeds: int = 8) -> Aim:
    return Aim(seeds, least)


AIMS: dict[str, Aim] = {
    "mixed": _aim(
        {
            "ok": 500, "failed": 20, "unsure": 20, "cancelled": 10, "elections": 50, "two leaders at once": 1,
            "batches committed together": 20,
            "crash": 15, "pause": 5, "partition": 10, "drain": 1, "dropped": 500, "duplicated": 200, "timed out": 100,
            "not leader": 100, "repetitions answered": 5, "digests compared": 300, "histories judged": 26,
            "note: lost_quorum": 1, "note: stepped_down": 5, "note: snapshot_installed": 1, "journal: ok": 10,
            "schema: ok": 1, "got ReadIndexAsk": 10,
        },
        seeds=26,
    ),
    "drawn": _aim({"drawn: compared with SQLite": 10, "drawn: insert": 20, "elections": 8, "crash": 4}),
    "transactions": _aim(
        {
            "commit: ok": 40, "commit: fail": 4, "changed under a transaction": 4, "views of what did not commit": 4,
            "committed without a request": 8, "asked what became of a COMMIT that failed": 1,
            "transactions judged: ok": 12,
        },
        seeds=6,
    ),
    "holds": _aim(
        {
            "commit: ok": 6, "ran once, and stays open": 40, "committed what was open": 4, "hold ended": 2,
            "holder stalls": 1, "note: hold_ended": 12, "transactions judged: ok": 16,
        },
        seeds=8,
    ),
    "runs": _aim(
        {
            "run: ok": 40, "run: done by another call": 15, "run: SerializationFailure": 2,
            "answer to a COMMIT lost": 10, "a lower attempt comes late": 8, "outcome of a run: ok": 4, "crash": 60,
            "elections": 30, "runs judged": 20,
        },
        seeds=8,
    ),
    "leaders": _aim(
        {
            "add: ok": 100, "share: ok": 30, "elements: ok": 80, "leaders judged": 20, "crash": 8, "partition": 8,
            "repetitions answered": 8, "got Fetched": 200, "note: merge_failed": 1,
        },
        seeds=8,
    ),
    "absences": _aim(
        {"add: ok": 100, "notes: ok": 100, "notes delete: ok": 20, "leaders judged": 16, "absence": 16,
         "note: stream_parted": 1},
        seeds=8,
    ),
    "sessions": _aim(
        {
            "session read: ok": 600, "session write: ok": 300, "bounded read: ok": 150,
            "session goes on elsewhere": 200, "refused: BookmarkLost": 8, "crash": 30, "partition": 40,
        },
        seeds=8,
    ),
    "quorums": _aim(
        {
            "row read: ok": 100, "row write: ok": 50, "row delete: ok": 10, "counter add: ok": 20, "crash": 8,
            "partition": 4, "leaderless: judged": 8, "leaderless: restarted": 8, "leaderless: sent Rows": 10,
        },
        seeds=8,
    ),
    "partial_quorums": _aim({"leaderless: judged": 4, "ok": 100}, seeds=4),
    "power_quorums": _aim({"crash": 40, "writes forgotten": 40, "row read: ok": 50}, seeds=4),
    "crowded_quorums": _aim({"row read: ok": 100, "row write: ok": 50}, seeds=4),
    "full_quorums": _aim({"disk full": 20, "row read: ok": 80}, seeds=4),
    "hasty_quorums": _aim({"told unsure": 15, "row read: ok": 50}, seeds=4),
    "carts": _aim(
        {
            "sql read: ok": 100, "sql write: ok": 50, "sql add: ok": 30, "sql insert: ok": 8, "sql delete: ok": 8,
            "sql failing: fail": 20, "sql scan: ok": 10, "schema change: ok": 30, "leaderless: judged": 5, "crash": 4,
            "a write is sent again with its state": 3, "connection ended": 10, "row: MaybeDone": 4,
        },
        seeds=8,
    ),
    "exports": _aim({"copy fetched": 60, "note: copy_abandoned": 4, "refused: Overloaded": 2, "crash": 4}),
    "streams": _aim({"view read": 100, "read in pieces": 40, "note: view_expired": 40, "refused: SnapshotExpired": 1}),
    "calm": _aim({"ok": 1_000, "digests compared": 50}),
    "votes": _aim({"crash after a vote": 20, "elections": 100, "two leaders at once": 1}),
    "power": _aim({"writes forgotten": 20, "crash": 20, "torn step": 1}),
    "deposed": _aim(
        {"two leaders at once": 15, "note: lost_quorum": 15, "note: truncated": 1, "read: ok": 1_500}, seeds=24
    ),
    "disks": _aim({"disk full": 3, "refused: DiskFull": 1, "slow disk": 3}),
    "damage": _aim({"damage": 8, "note: healed": 4}),
    "snapshots": _aim({"note: snapshot_installed": 8, "got SnapshotChunk": 20}),
    "lasting": _aim({"lasting: deaf leader": 1, "lasting: hung disk": 1, "ok": 1_000}, seeds=6),
    "patient": _aim({"lasting: long links": 1, "frozen": 4, "ok": 200}),
    "bulky": _aim({"lasting: large entries": 1, "log written beside": 50, "waits for the log": 50}, seeds=1),
    "spike": _aim({"load: ok": 2_000, "load: Overloaded": 2_000, "load: repeated": 50}, seeds=4),
    "long": _aim(
        {
            "write takes long": 20, "long write": 40, "told running": 20, "long write ended: at its end": 5, "ok": 500,
            "caller of a long write left": 4, "log written beside": 2,
        }
    ),
    "slow": _aim({"load: ok": 2_000, "slow node": 4}, seeds=4),
    "endless": _aim({"load: ok": 500, "load: endless read": 100}, seeds=4),
    "storm": _aim({"load: ok": 2_000, "load: Overloaded": 200, "pause": 4}, seeds=4),
    "handovers": _aim({"elections": 50, "note: truncated": 1}),
    "distant": _aim({"got ReadIndexAsk": 50, "duplicated": 500}),
    "echoes": _aim({"two leaders at once": 3, "duplicated": 500}),
    "reborn": _aim({"crash": 60, "duplicated": 500, "got ReadIndexAsk": 200}),
    "overwrites": _aim({"slow disk": 8, "partition": 20, "elections": 20}),
    "crossed": _aim({"elections": 20, "crash": 10}),
    "copies": _aim({"note: snapshot_installed": 4, "duplicated": 100}, seeds=16),
    "amputation": _aim({"damage": 3, "note: healed": 2}),
    "relapse": _aim({"damage": 3, "note: healed": 2}),
    "hasty": _aim({"told not done": 20, "lingered": 50, "client crash": 20, "cancelled": 10}),
    "idlers": _aim({"crash": 30, "pause": 8, "elections": 20}),
    "batched": _aim({"ok": 200, "failed": 20}),
    "divergence": _aim(
        {"edit of a data file": 10, "note: divergent": 2, "note: healed": 3, "verify: equal": 20, "got VerifyAsk": 100}
    ),
    "rolling": _aim({"upgrade": 20, "downgrade": 2, "upgrade: refused": 2, "note: format_raised": 10}),
    "fsyncs": _aim({"fsync error": 10, "crash": 20, "note: snapshot_installed": 2}),
    "members": _aim(
        {
            "members: added": 16, "members: replaced": 8, "members: all carried out": 4, "configurations: joint": 16,
            "note: leaves": 1, "note: snapshot_installed": 4, "crash": 16, "wiped disk": 1, "ok": 200,
        }
    ),
    "altered": _aim({"alter: ok": 20, "note: acks_changes": 5, "ok": 200}),
    "tails": _aim({"lost entries dropped": 2, "acknowledged writes lost under async": 1, "note: rewinds": 1}, seeds=16),
    "narrow": _aim({"note: acks_changes": 5, "elections": 12, "ok": 120}, seeds=5),
    "rebuilds": _aim({"note: damaged": 12, "note: healed": 8, "echoed": 100, "slow disk": 40, "partition": 60}),
    "amnesia": _aim({"damage": 20, "note: damaged": 60, "note: healed": 10, "echoed": 1_000, "crash": 100, "ok": 200}),
    "planned": _aim(
        {"failover: done": 30, "failover: refused": 2, "note: told_to_stand": 40, "note: transfer_failed": 1, "ok": 500}
    ),
    "chosen": _aim({"note: ordered": 3, "note: members_change": 60, "failover: done": 30, "ok": 300}),
    "by_hand": _aim({"note: ordered": 10, "led by order": 10, "failover: done": 20, "ok": 300}),
    "permitted": _aim(
        {
            "led by permit": 15, "etcd: away when asked": 8, "etcd: answer lost": 2, "etcd: denied": 10,
            "etcd: a permit ran out": 2, "ok": 300,
        },
        seeds=12,
    ),
    "figure_eight": _aim({"figure 8: a rival": 16, "figure 8: complete": 8, "ok": 2_000}, seeds=4),
    "newcomers": _aim(
        {
            "left alone with newcomers": 30, "configurations: joint": 50, "members: replaced": 8, "elections": 30,
            "ok": 1_500,
        },
        seeds=4,
    ),
    "departures": _aim(
        {"cut off as it leaves": 3, "configurations: joint": 30, "members: replaced": 6, "ok": 800}, seeds=4
    ),
    "forgotten": _aim(
        {"folder put back": 2, "forgotten entries kept": 5, "note: contradicted": 2, "ok": 250}, seeds=4
    ),
    "outdated": _aim({"folder put back": 8, "note: superseded": 5, "note: healed": 5, "ok": 1_000}, seeds=4),
    "drops": _aim({"dropper: dropped": 20, "dropped: refused": 20, "dropper: read": 20, "crash": 16, "ok": 400}),
    "users": _aim(
        {
            "users: changed": 80, "users: PermissionDenied": 200, "users: AuthenticationError": 40, "login ended": 20,
            "users: write done": 10, "users: read done": 20, "users: record judged": 8, "users: rows judged": 16,
            "crash": 8, "partition": 8,
        }
    ),
    "unfit": _aim({"cannot be applied": 5, "condemned": 5, "note: healed": 16, "crash": 16, "ok": 400}),
    "regrouped": _aim(
        {
            "edit of a data file": 5, "note: divergent": 2, "note: healed": 2, "verify: equal": 40,
            "got VerifyAsk": 600, "members: added": 16, "members: replaced": 4, "configurations: joint": 30,
        },
        seeds=15,
    ),
    "accepted": _aim(
        {"note: loss_accepted": 5, "lost entries dropped": 2, "acknowledged writes given up": 1, "ok": 300}, seeds=16
    ),
    "heirs": _aim({"failover: done": 60, "read: ok": 1_000}),
    "smooth": _aim({"failover: done": 100, "elections": 75, "ok": 1_000}, seeds=4),
    "stalled": _aim({"writes stalled": 2, "read: ok": 50, "refused: Unavailable": 10}, seeds=4),
}  # fmt: skip


def proves_nothing(report: Report) -> str:
    """Why a single run that broke no promise is worth nothing; empty when it is worth something."""
    if not any(report.operations.values()):
        return "no caller began anything"
    if not report.marks.get("ok"):
        return "no operation succeeded"
    return ""


def _can_strike(fault: Fault, report: Report, dials: Dials) -> bool:
    """Little is expected of what happens between nodes, or only where a majority remains, of less than three."""
    files = report.storage == FILES or not fault.needs_files
    return files and (dials.nodes >= 3 or not fault.needs_between_nodes)


class Evidence:
    """What some seeds of one scenario have seen together."""

    def __init__(self, scenario: str) -> None:
        self.scenario = scenario
        self.seeds = 0
        self.marks: dict[str, int] = {}
        self._expected: dict[str, float] = {}
        self._runs: dict[str, int] = {}

    def add(self, report: Report, dials: Dials) -> None:
        """Count one run."""
        self.seeds += 1
        for name, times in report.marks.items():
            self.marks[name] = self.marks.get(name, 0) + times
        for dial, fault in STRIKES.items():
            mean_us = getattr(dials, dial)
            if mean_us and _can_strike(fault, report, dials):
                self._expected[dial] = self._expected.get(dial, 0.0) + dials.safety_us / mean_us
        for dial, fault in CHANCES.items():
            if getattr(dials, dial) >= CHANCE_LEAST and _can_strike(fault, report, dials):
                self._runs[dial] = self._runs.get(dial, 0) + 1

    def missing(self, slack: int = 2) -> list[str]:
        """What should have been seen and was not, in sentences. `slack`: aims are missed only below so small a part."""
        found: list[str] = []
        for dial, times in self._expected.items():
            if times >= STRIKES_EXPECTED and not self.marks.get(STRIKES[dial].mark):
                found.append(f"{STRIKES[dial].mark!r} was to happen some {times:.0f} times ({dial}), and never did")
        for dial, runs in self._runs.items():
            if runs >= RUNS_EXPECTED and not self.marks.get(CHANCES[dial].mark):
                found.append(f"{CHANCES[dial].mark!r} was likely in {runs} runs ({dial}), and never happened")
        aim = AIMS.get(self.scenario)
        if aim is not None and self.seeds >= aim.seeds:
            found += short_of(
                {name: least * self.seeds // aim.seeds // slack for name, least in aim.least.items()}, self.marks
            )
        return found


def short_of(least: Mapping[str, int], marks: Mapping[str, int]) -> list[str]:
    """What happened less often than it should have, or not at all."""
    return [
        f"{name!r} happened {marks.get(name, 0)} times, and should have {max(1, times)} times at least"
        for name, times in least.items()
        if marks.get(name, 0) < max(1, times)
    ]
