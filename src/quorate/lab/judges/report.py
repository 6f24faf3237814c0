"""What a judge says, whatever it judged."""

from typing import Any

from msgspec import Struct

from quorate.lab.judges.history import INFO
from quorate.lab.judges.jepsen import Op

OK = "ok"
BROKEN = "broken"
UNKNOWN = "unknown"


class Anomaly(Struct, frozen=True):
    """One thing that went wrong, by the name it has in the literature, and its telling."""

    name: str
    story: tuple[str, ...] = ()


class Report(Struct, frozen=True):
    """The verdict on a history under one model."""

    model: str
    verdict: str
    reason: str = ""
    witness: tuple[str, ...] = ()
    """The smallest part of the history that shows it, a line each."""
    anomalies: tuple[Anomaly, ...] = ()
    ruled_out: tuple[str, ...] = ()
    """The weakest consistency models that this history does not keep."""
    also_ruled_out: tuple[str, ...] = ()
    """The stronger ones that fall with them."""
    notes: tuple[str, ...] = ()
    """What was odd and decided nothing."""
    operations: int = 0
    steps: int = 0

    def names(self) -> list[str]:
        """The names of the anomalies, each once, in order of discovery."""
        return list(dict.fromkeys(one.name for one in self.anomalies))


def lines(report: Report) -> list[str]:
    """The report for people."""
    text = [report.verdict + (f": {report.reason}" if report.reason else "")]
    text += [f"  {line}" for line in report.witness]
    for one in report.anomalies:
        text.append(one.name)
        text += [f"  {line}" for line in one.story]
    if report.ruled_out:
        text.append(f"not: {', '.join(report.ruled_out)}")
    if report.also_ruled_out:
        text.append(f"also not: {', '.join(report.also_ruled_out)}")
    text += [f"note: {note}" for note in report.notes]
    return text


def plain(report: Report) -> dict[str, Any]:
    """The report for programs."""
    return {
        "model": report.model,
        "verdict": report.verdict,
        "reason": report.reason,
        "operations": report.operations,
        "anomalies": [{"name": one.name, "story": list(one.story)} for one in report.anomalies],
        "not": list(report.ruled_out),
        "also_not": list(report.also_ruled_out),
        "witness": list(report.witness),
        "notes": list(report.notes),
    }


def show(op: Op, *, limit: int = 160) -> str:
    """An operation on one line: when it began and ended, who asked what, what was said."""
    began = "?" if op.start < 0 else str(op.start)
    ended = "..." if op.end == INFO else str(op.stop)
    value = op.result if op.result is not None else op.value
    text = "" if value is None else f" {brief(value, limit)}"
    doubt = f" ({op.end})" if op.end != "ok" else ""
    return f"{began:>6} .. {ended:<6} process {op.process}: {op.f}{text}{doubt}"


def brief(value: Any, limit: int = 60) -> str:
    """A value, cut in the middle where it is long."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit // 2]} ... {text[-(limit // 3) :]}"


def broken(model: str, ops: list[Op], name: str, reason: str, witness: list[str]) -> Report:
    """One thing is wrong."""
    return Report(model, BROKEN, reason, tuple(witness), (Anomaly(name),), operations=len(ops))
