"""The judges by name: every foreign verdict, failures inside a judge, and the command."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.judges.worlds import serial

from quorate.cli.lab.main import MODELS, lab
from quorate.cli.output import Exit, Fail
from quorate.lab.judges import bank, catalogue
from quorate.lab.judges.catalogue import ALIASES, JUDGES, Options, judge, judge_text
from quorate.lab.judges.history import HistoryError
from quorate.lab.judges.jepsen import join

HISTORIES = Path(__file__).resolve().parents[3] / "shared" / "data" / "histories"
ROOT = Path(__file__).resolve().parents[2]

FOREIGN = [
    ("paper-example", "list-append", {}, "broken"),
    ("paper-example", "list-append", {"expect": "PL-2"}, "ok"),
    ("rw-register", "rw-register", {}, "ok"),
    ("bank", "bank", {}, "ok"),
    ("bank", "bank", {"total": 100}, "ok"),
    ("bank-negative-balances", "bank", {}, "broken"),
    ("bank-negative-balances", "bank", {"allow_negative": True}, "ok"),
    ("counter", "counter", {}, "ok"),
    ("set_full", "set-full", {}, "broken"),
]


@pytest.mark.skipif(not HISTORIES.is_dir(), reason="the foreign histories are not beside this checkout")
@pytest.mark.parametrize(("name", "model", "options", "verdict"), FOREIGN)
def test_every_foreign_transaction_history_gets_its_verdict(
    name: str, model: str, options: dict[str, Any], verdict: str
) -> None:
    report = judge_text(model, (HISTORIES / "transactions" / f"{name}.json").read_bytes(), Options(**options))
    assert report.verdict == verdict
    assert report.reason or verdict == "ok"


@pytest.mark.skipif(not HISTORIES.is_dir(), reason="the foreign histories are not beside this checkout")
def test_every_foreign_object_gets_its_verdict_through_the_catalogue() -> None:
    started = time.process_time()
    for path in sorted((HISTORIES / "kv").glob("*.txt")):
        report = judge_text("text", path.read_bytes())
        assert report.verdict == ("ok" if "-ok" in path.name else "broken")
    verdicts = json.loads((HISTORIES / "etcd-registers" / "verdicts.json").read_text())
    for name in sorted(verdicts)[::8]:
        report = judge_text("cas-register", (HISTORIES / "etcd-registers" / name).read_bytes())
        assert report.verdict == ("ok" if verdicts[name] else "broken")
    assert time.process_time() - started < 30


def test_a_judge_that_fails_has_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(bank, "judge", fail)
    report = judge("bank", [])
    assert (report.verdict, report.reason) == ("unknown", "the judge failed: ZeroDivisionError: inside")

    def exhaust(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(bank, "judge", exhaust)
    assert judge("bank", []).verdict == "unknown"


def test_options_that_mean_nothing_are_refused() -> None:
    for options in (Options(expect="perfection"), Options(promised=("monotonic",)), Options(order="random")):
        with pytest.raises(HistoryError, match="there are: "):
            judge("bank", [], options)


def test_the_command_offers_every_judge_and_the_page_explains_it() -> None:
    assert set(MODELS) == {*JUDGES, *ALIASES}
    page = (ROOT / "docs" / "judges.md").read_text()
    for model in MODELS:
        assert f"`{model}`" in page, f"docs/judges.md does not explain {model}"


def run(file: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(lab, ["judge", str(file), *arguments])
    code = done.exception.code if isinstance(done.exception, Fail) else done.exit_code
    return int(code), done.output


def test_the_command_tells_the_circle_and_its_exit_code_the_verdict(tmp_path: Path) -> None:
    skew = [[["r", "x", []], ["append", "y", 1]], [["r", "y", []], ["append", "x", 1]]]
    rows = [{"process": p, "type": t, "value": skew[p]} for t in ("invoke", "ok") for p in (0, 1)]
    file = tmp_path / "skew.json"
    file.write_text(json.dumps(rows))
    code, text = run(file, "--model", "list-append")
    assert code == Exit.FAILED
    assert "however, T2 < T1, because" in text
    assert "not: update-serializable, repeatable-read" in text
    assert run(file, "--model", "list-append", "--expect", "snapshot-isolation")[0] == Exit.OK
    code, text = run(file, "--model", "list-append", "--json")
    told = json.loads(text)
    assert (told["verdict"], told["anomalies"][0]["name"], told["not"]) == (
        "broken",
        "G2-item",
        ["update-serializable", "repeatable-read"],
    )
    assert run(file, "--model", "bank")[0] == Exit.OK, "no read, nothing wrong"
    assert run(file, "--model", "set")[0] == Exit.USAGE, "not such a history"
    file.write_text("{:process 0 :type :invoke :f :add :value 1}")
    assert run(file, "--model", "set")[0] == Exit.USAGE, "unknown: it was never read"


def test_a_judgement_leaves_the_garbage_collector_as_it_was() -> None:
    import gc

    assert gc.isenabled()
    judge("list-append", join(serial((0, [["append", "x", 1]]))))
    assert gc.isenabled()
    assert catalogue.MEMORY_BYTES < 1_000_000_000
