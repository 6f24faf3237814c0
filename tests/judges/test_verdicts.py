"""Small histories with one right verdict, and files that are no histories, through the command."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.judges.worlds import Row

from quorate.cli.lab.main import lab
from quorate.cli.output import Exit, Fail
from quorate.lab.judges.catalogue import JUDGES, Options, judge_text
from quorate.lab.judges.history import HistoryError

CODES = {"ok": Exit.OK, "broken": Exit.FAILED, "unknown": Exit.USAGE}


def ran(tmp_path: Path, model: str, content: str | bytes, *arguments: str) -> tuple[int, str]:
    """The exit code, and what was said."""
    file = tmp_path / "history"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = CliRunner().invoke(lab, ["judge", str(file), "--model", model, *arguments])
    if done.exception is not None and not isinstance(done.exception, Fail | SystemExit):
        raise done.exception  # a traceback, whose exit code would be that of `broken`
    code = done.exception.code if isinstance(done.exception, Fail) else done.exit_code
    return int(code), f"{done.output}{done.exception or ''}"


def ends(*each: tuple[str, Any], key: Any = None, process: Any = 0) -> list[Row]:
    """Operations that ended well, one after another."""
    rows: list[Row] = []
    for f, value in each:
        asked = None if f == "read" else value
        rows.append({"process": process, "type": "invoke", "f": f, "value": asked, "key": key})
        rows.append({"process": process, "type": "ok", "f": f, "value": value, "key": key})
    return rows


def late_write() -> list[Row]:
    """One read of what nobody wrote, among writes of unknown end whose order a search would have to try."""
    rows = [{"process": n, "type": "invoke", "f": "write", "value": n % 13} for n in range(1, 27)]
    rows += [{"process": 90, "type": kind, "f": "cas", "value": [n, n]} for n in range(13) for kind in ("invoke", "ok")]
    return rows[:1] + ends(("write", 1), process=99) + rows[1:26] + ends(("read", 77), process=99)


WRITTEN = {"process": 0, "type": "ok", "f": "write", "value": 1}
BANK = ends(("read", {"0": 50, "1": 50}))
RIGHT: dict[str, tuple[str, list[Row], str]] = {
    "a write without a beginning, then nothing is read": ("register", [WRITTEN, *ends(("read", None))], "broken"),
    "a text without a beginning, then nothing is read": (
        "text", [{**WRITTEN, "f": "put", "value": "a"}, *ends(("get", ""))], "broken"),
    "keys 1 and '1'": ("register", ends(("write", 5), key=1) + ends(("read", None), key="1"), "ok"),
    "keys 1 and 1": ("register", ends(("write", 5), key=1) + ends(("read", None), key=1), "broken"),
    "keys 1 and true": ("register", ends(("write", 5), key=1) + ends(("read", None), key=True), "ok"),
    "keys [1] and '(1,)'": ("register", ends(("write", 5), key=[1]) + ends(("read", None), key="(1,)"), "ok"),
    "1 read as true": ("register", ends(("write", 1), ("read", True)), "broken"),
    "1 read as 1.0": ("register", ends(("write", 1), ("read", 1.0)), "broken"),
    "true read as true": ("register", ends(("write", True), ("read", True)), "ok"),
    "0 read as false": ("cas-register", ends(("write", 0), ("cas", [0, 0]), ("read", False)), "broken"),
    "a cas of true on 1": ("cas-register", ends(("write", 1), ("cas", [True, 2])), "broken"),
    "identities 1 and true": ("unique-ids", ends(("generate", 1), ("generate", True)), "ok"),
    "identities 1 and 1.0": ("unique-ids", ends(("generate", 1), ("generate", 1.0)), "ok"),
    "identities true twice": ("unique-ids", ends(("generate", True), ("generate", True)), "broken"),
    "a set of 1 and true": ("set", ends(("add", 1), ("add", True), ("read", [1, True])), "ok"),
    "a full set of 1 and true": ("set-full", ends(("add", 1), ("add", True), ("read", [1])), "broken"),
    "a set of {} and []": ("set", ends(("add", {}), ("add", []), ("read", [{}, []])), "ok"),
    "1 appended, true seen": (
        "list-append", ends(("txn", [["append", "x", 1]]), ("txn", [["r", "x", [True]]])), "broken"),
    "1 and true appended": ("list-append", ends(("txn", [["append", "x", 1], ["append", "x", True]])), "ok"),
    "keys 1 and true of lists": (
        "list-append", ends(("txn", [["append", 1, 1]]), ("txn", [["r", True, []]])), "ok"),
    "1 and true written": ("rw-register", ends(("txn", [["w", "x", 1]]), ("txn", [["w", "x", True]])), "ok"),
    "a session reads 1 and wrote true": (
        "read-your-writes", ends(("write", 1), ("write", True), ("read", 1), key="x"), "broken"),
    "held by a, released by b": (
        "owned-mutex", ends(("acquire", None), process="a") + ends(("release", None), process="b"), "broken"),
    "held by 1, released by '1'": (
        "owned-mutex", ends(("acquire", None), process=1) + ends(("release", None), process="1"), "broken"),
    "held and released by a": ("owned-mutex", ends(("acquire", None), ("release", None), process="a"), "ok"),
    "an element before its add": ("set", ends(("read", [1]), ("add", 1)), "broken"),
    "an element before its add, and after": ("set", ends(("read", [1]), ("add", 1), ("read", [1])), "broken"),
    "an element before its add, in full": ("set-full", ends(("read", [1]), ("add", 1)), "broken"),
    "a version before its write": ("bounded-staleness", ends(("read", 1), ("write", 1), key="x"), "broken"),
    "a prefix before its write": (
        "consistent-prefix", ends(("txn", [["r", "x", 1]]), ("txn", [["w", "x", 1]])), "broken"),
    "a fork before its write": (
        "long-fork", ends(("txn", [["r", "x", 1], ["r", "y", None]]), ("txn", [["w", "x", 1]])), "broken"),
    "an account out of nowhere": ("bank", [*BANK, *ends(("read", {"0": 50, "1": 30, "2": 20}))], "broken"),
    "an account that a transfer names": (
        "bank", [*BANK, *ends(("transfer", {"from": 1, "to": 2, "amount": 20}), ("read", {"0": 50, "1": 30, "2": 20}))],
        "ok"),
    "an account before the transfer that names it": (
        "bank", [*BANK, *ends(("read", {"0": 50, "1": 30, "2": 20}), ("transfer", {"from": 1, "to": 2, "amount": 20}))],
        "broken"),
    "an account gone that is empty": (
        "bank", [*BANK, *ends(("transfer", {"from": 0, "to": 1, "amount": 50}), ("read", {"1": 100}))], "ok"),
    "a cas that says nothing": (
        "cas-register", [*ends(("write", 1)), *({**row, "value": [1, 2] if row["type"] == "invoke" else None}
                                               for row in ends(("cas", None))), *ends(("read", 2))], "ok"),
    "a value of nobody": ("register", late_write(), "broken"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_a_small_history_has_the_right_verdict(name: str, tmp_path: Path) -> None:
    model, rows, verdict = RIGHT[name]
    code, said = ran(tmp_path, model, json.dumps(rows))
    assert (code, said.split(":")[0].split()[0]) == (CODES[verdict], verdict), said


def test_what_nobody_wrote_is_broken_at_once() -> None:
    for function, seen in (("read", 77), ("cas", [77, 3])):
        rows = late_write()[:-2] + ends((function, seen), process=99)
        report = judge_text("cas-register", json.dumps(rows).encode(), Options(steps=100))
        assert report.verdict == "broken", report
    texts = [{"process": n, "type": "invoke", "f": "append", "value": "ab"[n % 2] * (n % 3 + 1)} for n in range(26)]
    texts += ends(("get", "aabaaac"), process=99)
    assert judge_text("text", json.dumps(texts).encode(), Options(steps=100)).verdict == "broken"


# ---- order -----------------------------------------------------------------------------------------------


def by_process(*, timed: bool, numbered: bool) -> list[Row]:
    """A sound history, sorted by process in its file."""
    rows = ends(("write", 1)) + ends(("read", 1), process=1) + ends(("write", 2)) + ends(("read", 2), process=1)
    for place, row in enumerate(rows):
        row.update({"time": place * 10} if timed else {}, **({"index": place} if numbered else {}))
    return sorted(rows, key=lambda row: row["process"])


@pytest.mark.parametrize(("timed", "numbered"), [(True, True), (False, True), (True, False)])
def test_index_or_time_orders_and_not_the_file(timed: bool, numbered: bool) -> None:
    rows = by_process(timed=timed, numbered=numbered)
    rng = random.Random("order")
    for model in ("register", "rw-register"):
        if model == "rw-register":
            names = {"write": "w", "read": "r"}
            rows = [{**row, "f": "txn", "value": [[names[row["f"]], "x", row["value"]]]} for row in rows]
        for _ in range(10):
            assert judge_text(model, json.dumps(rows).encode()).verdict == "ok", rows
            rng.shuffle(rows)


def test_indices_that_repeat_order_nothing() -> None:
    rows = [{**row, "index": place % 2, "time": place} for place, row in enumerate(ends(("write", 1), ("read", 1)))]
    assert judge_text("register", json.dumps(rows).encode()).verdict == "ok"


def test_the_index_decides_also_where_times_are_equal() -> None:
    rows = [{**row, "index": place, "time": 0} for place, row in enumerate(ends(("write", 1), ("read", None)))]
    assert judge_text("register", json.dumps(rows).encode()).verdict == "broken"


# ---- forms -----------------------------------------------------------------------------------------------

GOOD = ends(("write", 1), ("read", 1))
TABBED = (
    "0\t:invoke\t:write\t1\n0\t:ok\t:write\t1\n:nemesis\t:info\t:kill\tnil\n0\t:invoke\t:read\tnil\n0\t:ok\t:read\t{}\n"
)
EDN = "{{:process 0 :type :invoke :f :write :value 1}}{{:process 0 :type :ok :f :write :value {}}}"
READ: dict[str, str | bytes] = {
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
    "a byte order mark before lines": b"\xef\xbb\xbf" + b"\n".join(json.dumps(row).encode() for row in GOOD),
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "a byte order mark before EDN": b"\xef\xbb\xbf" + EDN.format(1).encode(),
    "history.txt": TABBED.format(1),
    "history.txt with an error": TABBED.format(1) + "0\t:invoke\t:read\tnil\n0\t:info\t:read\tnil\t:timed-out\n",
    "a map around it": json.dumps({"history": GOOD}),
    "a map around it, on many lines": json.dumps({"name": "x", "history": GOOD}, indent=2),
    "maps on many lines": "\n".join(json.dumps(row, indent=2) for row in GOOD),
    "an EDN map around it": "{:history [" + EDN.format(1) + "]}",
}


@pytest.mark.parametrize("name", sorted(READ))
def test_every_form_is_read(name: str, tmp_path: Path) -> None:
    assert ran(tmp_path, "register", READ[name]) == (Exit.OK, "ok\n")


def test_history_txt_is_judged_and_not_only_read(tmp_path: Path) -> None:
    assert ran(tmp_path, "register", TABBED.format(2))[0] == Exit.FAILED


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "CSV": ("process,type,f,value\n0,invoke,write,1\n", "this is CSV"),
    "CSV in quotes": ('"process","type","f","value"\n0,"invoke","write",1\n', "this is CSV"),
    "a string": ('"history"', "this is a JSON string"),
    "a number": ("5", "this is a JSON number"),
    "null": ("null", "this is a JSON null"),
    "a map of other things": ('{"a": 1}', "event 1: `type` is missing"),
    "YAML": ("- process: 0\n  type: invoke\n", "this is YAML"),
    "HTML": ("<html>", "this is XML or HTML"),
    "gzip": (b"\x1f\x8b\x08\x00", "this file is gzip"),
    "other tabs": ("process\ttype\tf\n0\tinvoke\tread\n", "these lines with tabs"),
    "a line that is none": (TABBED + "5 6\n", "line 6 is no line of a history.txt"),
    "numbers": ("[1, 2]", "event 1 is not an operation"),
    "a number in lines": ('{"type": "invoke", "process": 0, "f": "read"}\n5', "event 2 is not an operation"),
    "words": ("hello there", "not a history; a history is read as"),
    "an endless integer": (
        "[{:process 0 :type :ok :value " + "9" * 5_000 + "}]", "a number or name of 5,000 characters"),
    "what is deep in JSON": ("[" * 100_000 + "]" * 100_000, "not a history"),
    "what is deep in EDN": ("{:type :ok :value " + "[" * 20_000 + "]" * 20_000 + "}", "nested too deeply"),
    "a cas without a pair": (json.dumps(ends(("cas", 5))), "a cas needs the old value and the new one"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_not_read_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    content, reason = REFUSED[name]
    code, said = ran(tmp_path, "register", content)
    assert code == Exit.USAGE
    assert reason in said


@pytest.mark.parametrize("field", ["type", "process", "f", "time", "index"])
def test_a_malformed_event_is_named(field: str, tmp_path: Path) -> None:
    good = {"process": 0, "type": "invoke", "f": "read", "value": None, "time": 1, "index": 1}
    for bad in ([], [1], {}, {"a": 1}, True, 1.5, "what"):
        if (field in {"process", "f"} and bad == "what") or (field == "time" and bad == 1.5):
            continue
        rows = [{**good, "process": 9, "index": 0}, {**good, field: bad}]
        for content in (json.dumps(rows), "[{:process 9 :type :invoke :f :read} " + edn(rows[1]) + "]"):
            code, said = ran(tmp_path, "register", content)
            assert code == Exit.USAGE
            assert f"event 2: `{field}`" in said, (bad, said)


def edn(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + " ".join(f":{key} {edn(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + " ".join(map(edn, value)) + "]"
    return json.dumps(value).replace("null", "nil")


SCRAPS: list[Any] = [
    None,
    True,
    0,
    -1,
    2.5,
    "",
    "x",
    "r",
    [],
    [1],
    ["r", "x", 1],
    ["rxy"],
    {},
    {"from": 1, "to": 2},
    {"x": 1},
]
FUNCTIONS = ["read", "write", "cas", "add", "txn", "transfer", "acquire", "get", "put", "enqueue", "dequeue", "drain"]


@pytest.mark.parametrize("model", sorted(JUDGES))
def test_no_history_makes_a_judge_fail(model: str) -> None:
    """Whatever the values are, the history is judged or refused."""
    refused = judged = 0
    for seed in range(400):
        rng = random.Random(f"{model}/{seed}")
        functions = rng.sample(FUNCTIONS, 2) if rng.random() < 0.8 else FUNCTIONS
        rows = []
        for place in range(rng.randint(1, 8)):
            value: Any = rng.choice(SCRAPS)
            if rng.random() < 0.4:
                value = [[rng.choice(["r", "w", "append"]), rng.choice(SCRAPS), rng.choice(SCRAPS)]]
            rows.append({"process": place // 2, "type": rng.choice(["invoke", "ok"]) if place % 2 else "ok",
                         "f": rng.choice(functions), "value": value, "key": rng.choice(SCRAPS)})  # fmt: skip
        try:
            report = judge_text(model, json.dumps(rows).encode(), Options(keyed=rng.random() < 0.1))
        except HistoryError:
            refused += 1
        else:
            judged += 1
            assert "the judge failed" not in report.reason, (rows, report)
    assert judged > 0
