"""Many seeds: what they add up to, and whether they prove anything."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from quorate.lab.fuzz.run import Report
from quorate.lab.fuzz.script import ENDS, MOVES
from quorate.lab.sql.weights import ACTIONS, CLAUSES, KEYS

ENOUGH = 400
"""So many seeds must have made everything of `EXPECTED` work."""

HAPPENED = (
    "several callers in a batch", "several batches at once", "interactive transaction", "import", "failed half-way",
    "NULL key",
)  # fmt: skip
"""What only running shows (`lab.fuzz.run`)."""

EXPECTED = (
    *(f"key: {kind}" for kind in KEYS),
    *(f"OR {clause}" for clause in CLAUSES if clause and clause != "ROLLBACK"),
    *(f"declared ON CONFLICT {clause}" for clause in CLAUSES if clause),
    *(f"ON DELETE {action}" for action in ACTIONS if action),
    *(f"ON UPDATE {action}" for action in ACTIONS if action),
    "DEFERRABLE", "WITHOUT ROWID", "STRICT", "STORED column", "VIRTUAL column", "UNIQUE generated column", "CHECK",
    "COLLATE NOCASE", "COLLATE RTRIM", "wide table", "2,000 columns", "odd column names",
    "UNIQUE INDEX", "unique partial index", "unique expression index", "partial index", "expression index",
    "trigger BEFORE INSERT", "trigger AFTER UPDATE", "trigger BEFORE DELETE", "trigger AFTER INSERT",
    "trigger AFTER DELETE", "trigger BEFORE UPDATE", "trigger INSTEAD OF INSERT", "trigger INSTEAD OF UPDATE",
    "trigger INSTEAD OF DELETE", "trigger that writes another table", "RAISE(ABORT)", "RAISE(FAIL)", "RAISE(IGNORE)",
    "RAISE(ROLLBACK)", "CREATE VIEW", "FTS5", "FTS4", "contentless FTS5", "external content FTS5", "R-Tree",
    "R-Tree with columns", "change FTS", "change R-Tree", "CREATE AS", "ADD COLUMN", "DROP COLUMN", "RENAME COLUMN",
    "RENAME TABLE", "DROP TABLE", "DROP INDEX", "DROP TRIGGER", "DROP VIEW", "ANALYZE", "REINDEX", "user_version",
    "many rows", "rotation", "shift", "retype", "move rowid", "explicit rowid", "DO NOTHING", "DO UPDATE",
    "RETURNING", "CTE",
    "UPDATE FROM", "DEFAULT VALUES", "executemany", "insert select", "replace", "delete all", "select", "vanishing",
    *HAPPENED, *MOVES, *(f"end: {end}" for end in dict.fromkeys(ENDS)),
)  # fmt: skip
"""What a campaign must have seen work."""


@dataclass
class Totals:
    """What the seeds so far add up to."""

    seeds: int = 0
    failed: list[int] = field(default_factory=list)
    discarded: list[int] = field(default_factory=list)
    worked: int = 0
    alike: int = 0
    endless: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    features: Counter[str] = field(default_factory=Counter)

    def add(self, report: Report) -> None:
        """One more seed."""
        self.seeds += 1
        if report.difference:
            self.failed.append(report.script.seed)
        if report.discarded:
            self.discarded.append(report.script.seed)
        self.worked += report.worked
        self.alike += report.failed
        self.endless += report.endless
        self.refusals.update(report.refusals)
        self.features.update(report.features)

    def missing(self) -> list[str]:
        """What never worked, when the seeds are enough to say so."""
        return [name for name in EXPECTED if not self.features[name]] if self.seeds >= ENOUGH else []

    def lines(self) -> list[str]:
        """For a person."""
        found = [
            f"{self.seeds:,} seeds; statements: {self.worked:,} worked, {self.alike:,} failed alike everywhere",
            f"{sum(self.refusals.values()):,} were refused by name, {self.endless} requests were too long to compare",
            f"{len(self.discarded)} seeds discarded, because SQLite itself damaged its file"
            + (f": {', '.join(map(str, self.discarded[:20]))}" if self.discarded else ""),
            "refused:",
            *(f"  {count:>7,}  {text}" for text, count in self.refusals.most_common()),
            "seen to work:",
        ]
        names = [f"{name} {self.features[name]:,}" for name in dict.fromkeys((*EXPECTED, *sorted(self.features)))]
        line = " "
        for name in names:
            if len(line) + len(name) > 110:
                found.append(line)
                line = " "
            line += f" {name},"
        return [*found, line.rstrip(",")]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "seeds": self.seeds, "failed": self.failed, "discarded": self.discarded, "worked": self.worked,
            "failed_alike": self.alike, "endless": self.endless, "refusals": dict(self.refusals),
            "features": dict(sorted(self.features.items())), "missing": self.missing(),
        }  # fmt: skip
