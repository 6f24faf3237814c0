"""One seed: every step on plain SQLite, in an embedded folder and on three replicas, and what must then be equal."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from quorate.core.statements import Failed, Result, Statement
from quorate.lab.fuzz.drawing import Writer
from quorate.lab.fuzz.legs import Embedded, Replicas, same_heard
from quorate.lab.fuzz.script import Batch, Move, Script, Step
from quorate.lab.sql.shape import Table, quoted
from quorate.storage.data.inspecting import Contents, Inspection
from quorate.storage.plain.run import ENDLESS, FATAL, GONE, Asked, Heard, PlainRun

SHOWN = 600
"""Characters of a value that a difference shows."""


class Difference(Exception):
    """The legs do not say or hold the same."""


class Discarded(Exception):
    """Plain SQLite itself ended with a damaged file: nothing can be compared."""


@dataclass
class Report:
    """What came of one seed."""

    script: Script
    difference: str = ""
    discarded: bool = False
    worked: int = 0
    failed: int = 0
    endless: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    features: Counter[str] = field(default_factory=Counter)


class Run:
    """The legs of one seed."""

    def __init__(self, place: Path, script: Script, report: Report) -> None:
        self.report = report
        self.plain = PlainRun()
        self.replicas = Replicas(place, memory=script.memory)
        self.embedded = Embedded(place) if script.folder else None

    def do(self, step: Step) -> list[Heard]:
        """One step on every leg; what its requests gave (empty for one that was left out). Raises Difference."""
        if isinstance(step, Move):
            if step.kind.startswith("embedded"):
                if self.embedded is not None:
                    self.embedded.move(step.kind)
            else:
                self.replicas.move(step)
            self.report.features[step.kind] += 1
            return []
        step, kept, plain = self._on_plain(step)
        heard = self._batch(step, plain)
        self.report.features[f"end: {step.end}"] += 1
        _count_shape(self.report.features, step, heard)
        by_place = dict(zip(kept, heard, strict=True))
        return [by_place.get(place, ()) for place in range(max(kept, default=-1) + 1)]

    def _on_plain(self, batch: Batch) -> tuple[Batch, list[int], list[Heard]]:
        """The batch without what takes plain SQLite too long, the places of what stays, and what that gave. The
        transaction is left open."""
        flat = [asked for group in batch.groups for asked in group]
        left_out: set[int] = set()
        while True:
            kept = [place for place in range(len(flat)) if place not in left_out]
            heard = self.plain.run([flat[place] for place in kept])
            ends = {place for place, each in zip(kept, heard, strict=True) if any(_stops(answer) for answer in each)}
            if not ends:
                break
            self.plain.undo()
            self.report.endless += len(ends)
            left_out |= ends
        if not left_out:
            return batch, kept, heard
        groups, place = [], 0
        for group in batch.groups:
            groups.append(tuple(asked for at, asked in enumerate(group, place) if at not in left_out))
            place += len(group)
        return Batch(tuple(group for group in groups if group), batch.end, batch.follow), kept, heard

    def _batch(self, batch: Batch, plain: list[Heard]) -> list[Heard]:
        flat = [asked for group in batch.groups for asked in group]
        if not flat:
            self.plain.commit()
            return []
        told = self.replicas.run(batch)
        alone = [self.embedded.ask(asked) for asked in flat] if self.embedded is not None else told
        refused = frozenset(
            place for number, (asked, heard) in enumerate(zip(flat, told, strict=True))
            for place in self._refused(number, asked, heard)
        )  # fmt: skip
        if refused:
            self.plain.undo()
            begun = frozenset(
                (number, at) for number, at in refused
                if at < len(told[number]) and has_run(told[number][at])
            )  # fmt: skip
            # without what was refused, others may find more rows: the replicas have done it, so it has an end
            plain = self.plain.run(flat, refused, begun, patient=True)
        self.plain.commit()
        for number, (asked, heard) in enumerate(zip(flat, told, strict=True)):
            if not same_heard(heard, alone[number]):
                raise Difference(f"replicas: {_short(heard)}; embedded: {_short(alone[number])}; {_short(asked)}")
            mine = {statement for each, statement in refused if each == number}
            if mine and not asked.held:
                continue
            compared = tuple(each for at, each in enumerate(heard) if at not in mine)
            if not same_heard(compared, plain[number]):
                raise Difference(
                    f"replicas: {_short(compared)}; plain SQLite: {_short(plain[number])}; {_short(asked)}"
                )
            self._count(compared)
        return told

    def _refused(self, number: int, asked: Asked, heard: Heard) -> list[tuple[int, int]]:
        """Statements of a request that were refused by name: all, where that ended an interactive transaction."""
        found = []
        for at, each in enumerate(heard):
            if isinstance(each, Failed) and is_refusal(each):
                self.report.refusals[reason(each)] += 1
                if heard[-1] == GONE and at == len(heard) - 2:
                    return [(number, every) for every in range(max(len(heard), len(asked.statements)))]
                found.append((number, at if asked.held else each.statement))
        return found

    def _count(self, heard: Heard) -> None:
        for each in heard:
            if isinstance(each, Failed):
                self.report.failed += 1
            else:
                self.report.worked += 1

    # ---- the end

    def finish(self) -> None:
        """Compare everything. Raises Difference or Discarded."""
        self.check_plain()
        self.replicas.settle()
        plain = Inspection(self.plain.connection)
        expected, allowed = plain.contents(inner=False), plain.problems()
        plain.close()
        inner: Contents | None = None
        digests = set()
        for number, node in enumerate(self.replicas.nodes):
            inspection = self.replicas.inspect(number)
            try:
                found = inspection.contents(inner=True)
                _sound(f"replica {number}", inspection.problems(), allowed)
                if inner is None:
                    inner = found
                _equal("replica 0", inner, f"replica {number}", found)
                if not number:
                    _equal("plain SQLite", expected, "replica 0", inspection.contents(inner=False))
            finally:
                inspection.close()
            digests.add(node.digest())
        if len(digests) > 1:
            raise Difference("the replicas hold the same, and their digests differ")
        if self.embedded is None:
            return
        self.embedded.close()
        inspection = self.embedded.inspect()
        try:
            _equal("plain SQLite", expected, "embedded", inspection.contents(inner=False))
            _sound("embedded", inspection.problems(), allowed)
        finally:
            inspection.close()

    def check_plain(self) -> None:
        """Raises Discarded when plain SQLite's own file is damaged: some statements do that to it."""
        self.plain.end()
        inspection = Inspection(self.plain.connection)
        try:
            if "file" in inspection.problems():
                raise Discarded
        finally:
            inspection.close()

    def close(self) -> None:
        """Close every leg."""
        self.plain.close()
        self.replicas.close()
        if self.embedded is not None:
            self.embedded.close()


def _stops(answer: object) -> bool:
    """Is it of no use to ask the other legs? What plain SQLite calls malformed must be refused by them."""
    if not isinstance(answer, Failed) or answer is ENDLESS:
        return answer is ENDLESS
    return answer.error == FATAL and answer.sqlite_errorname != "Divergent"


def is_refusal(failed: Failed) -> bool:
    """Did Quorate refuse a statement by name that plain SQLite would run?"""
    named = failed.error == "NotSupportedError" or failed.sqlite_errorname == "SQLITE_AUTH"
    return named or is_of_text(failed)


def is_of_text(failed: Result | Failed) -> bool:
    """Was a statement refused for text that is not UTF-8?"""
    return isinstance(failed, Failed) and failed.error == "DataError" and "utf-8" in failed.message.lower()


def has_run(failed: Result | Failed) -> bool:
    """Was a statement refused for what is seen only when it has run?"""
    return is_of_text(failed) or (isinstance(failed, Failed) and "leave rows out of order" in failed.message)


def reason(failed: Failed) -> str:
    """A refusal without the names of this schema."""
    words = [word for word in failed.message.split() if not any(letter.isdigit() for letter in word)]
    return f"{failed.error}: {' '.join(words)}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _sound(who: str, problems: dict[str, str], allowed: dict[str, str]) -> None:
    new = {name: text for name, text in problems.items() if name not in allowed}
    if new:
        raise Difference(f"{who} is damaged: {new}")


def _equal(one: str, first: Contents, other: str, second: Contents) -> None:
    for name in sorted(first.keys() | second.keys()):
        mine, theirs = first.get(name), second.get(name)
        if mine != theirs:
            odd = [row for row in mine or () if row not in (theirs or ())][:3]
            even = [row for row in theirs or () if row not in (mine or ())][:3]
            counts = f"{len(mine) if mine is not None else 'no'} and {len(theirs) if theirs is not None else 'no'} rows"
            raise Difference(f"{name} differs, {counts}: {one} {_short(odd)}, {other} {_short(even)}")


def _count_shape(features: Counter[str], batch: Batch, heard: list[Heard]) -> None:
    """What kind of batch this was, and what befell its requests."""
    flat = [asked for group in batch.groups for asked in group]
    features["several callers in a batch"] += any(len(group) > 1 for group in batch.groups)
    features["several batches at once"] += len(batch.groups) > 1
    features["interactive transaction"] += sum(asked.held for asked in flat)
    features["import"] += sum(asked.load for asked in flat)
    last = [told[-1] for told in heard if told]
    features["failed half-way"] += sum(isinstance(each, Failed) and each.statement > 0 for each in last)


def _count_null_keys(features: Counter[str], run: Run, tables: Iterable[Table]) -> None:
    """Tables that hold rows with NULL in their key, as SQLite allows where it is not the rowid."""
    for table in tables:
        if table.kind == "table" and table.key:
            some = " OR ".join(f"{quoted(name)} IS NULL" for name in table.key)
            asked = Asked((Statement(f"SELECT 1 FROM {table.sql} WHERE {some} LIMIT 1"),))  # noqa: S608
            ((told,),) = run.plain.run([asked])
            run.plain.commit()
            features["NULL key"] += not isinstance(told, Failed) and bool(told.rows)


def run_seed(seed: int) -> Report:
    """Draw a seed and perform it."""
    writer = Writer(seed)
    report = Report(Script(seed, writer.memory, (), writer.folder))
    steps: list[Step] = []

    def perform(run: Run) -> None:
        while (step := writer.step()) is not None:
            steps.append(step)
            heard = run.do(step)
            for request, told in zip(writer.requests, heard, strict=False):
                whole = bool(told) and not any(isinstance(each, Failed) for each in told)
                for at, drawn in enumerate(request.statements):
                    if whole or (request.held and at < len(told) and not isinstance(told[at], Failed)):
                        writer.learn(drawn)
                        report.features.update(drawn.features)
        _count_null_keys(report.features, run, writer.drawer.catalog.tables.values())

    _within(report.script, report, perform)
    report.script = Script(seed, writer.memory, tuple(steps), writer.folder)
    return report


def run_script(script: Script) -> Report:
    """Perform these very steps."""
    report = Report(script)

    def perform(run: Run) -> None:
        for step in script.steps:
            run.do(step)

    _within(script, report, perform)
    return report


def _within(script: Script, report: Report, perform: Callable[["Run"], None]) -> None:
    place = Path(tempfile.mkdtemp(prefix="quorate-sql-", dir=_fast()))
    try:
        run = Run(place, script, report)
        try:
            try:
                perform(run)
                run.finish()
            except Discarded:
                raise
            except Exception:
                run.check_plain()
                raise
        finally:
            run.close()
    except Discarded:
        report.discarded = True
    except Difference as difference:
        report.difference = str(difference)
    except Exception as error:  # noqa: BLE001 - whatever a leg raises, plain SQLite did not
        report.difference = f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _fast() -> str | None:
    """Where files are in memory, if there is such a place: no seed waits for a disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108


__all__ = ["Difference", "Report", "run_script", "run_seed"]
