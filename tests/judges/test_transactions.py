"""The judges of transactions against worlds that are right by construction, against brute force, and
against every anomaly by its name."""

import itertools
import random
from typing import Any

import pytest
from tests.judges.worlds import Row, lists, registers, serial, snapshots, together

from quorate.lab.judges import list_append, rw_register
from quorate.lab.judges.history import HistoryError
from quorate.lab.judges.isolation import MODELS, WEAKER, boundary, implied, impossible, model_named, split
from quorate.lab.judges.jepsen import Op, join
from quorate.lab.judges.report import Report, lines
from quorate.lab.judges.transactions import Effort

Rows = list[Row]


def appends(rows: Rows, expect: str = "strict-serializable") -> Report:
    return list_append.judge(join(rows), expect)


def writes(rows: Rows, expect: str = "strict-serializable") -> Report:
    return rw_register.judge(join(rows), expect)


@pytest.mark.parametrize("seed", range(12))
def test_a_strictly_serializable_history_is_ok(seed: int) -> None:
    rng = random.Random(f"ok/{seed}")
    unsure, failing = rng.choice([(0.0, 0.0), (0.1, 0.1), (0.3, 0.0)])
    report = appends(lists(rng, 400, keys=rng.randint(1, 6), unsure=unsure, failing=failing))
    assert (report.verdict, report.names()) == ("ok", []), lines(report)
    report = writes(registers(rng, 400, keys=rng.randint(1, 6), unsure=unsure, failing=failing))
    assert (report.verdict, report.names()) == ("ok", []), lines(report)


def serializable(ops: list[Op], *, registers: bool) -> bool:
    """By brute force: is there an order that keeps real time and explains every read?"""
    for order in itertools.permutations(ops):
        if any(later.stop < one.start for place, one in enumerate(order) for later in order[place + 1 :]):
            continue
        state: dict[Any, Any] = {}
        if all(explained(op, state, registers=registers) for op in order):
            return True
    return False


def explained(op: Op, state: dict[Any, Any], *, registers: bool) -> bool:
    for f, key, value in op.result:
        if f == "r":
            if value != (state.get(key) if registers else state.get(key, [])):
                return False
        elif registers:
            state[key] = value
        else:
            state[key] = [*state.get(key, []), value]
    return True


def tiny(rng: random.Random, *, registers: bool) -> Rows:
    """Up to five transactions that overlap at random. The reads fit some order, that need not keep time, and
    sometimes one of them is changed."""
    count = rng.randint(2, 5)
    fresh = itertools.count(1)
    asked: list[list[list[Any]]] = []
    for _ in range(count):
        mops: list[list[Any]] = []
        for _ in range(rng.randint(1, 3)):
            key = rng.choice("xy")
            mops.append(["r", key, None] if rng.random() < 0.5 else ["w" if registers else "append", key, next(fresh)])
        asked.append(mops)
    state: dict[Any, Any] = {}
    for mops in rng.sample(asked, count):
        snapshot = dict(state) if rng.random() < 0.3 else state  # now and then a transaction reads apart
        for mop in mops:
            f, key, value = mop
            if f == "r":
                mop[2] = snapshot.get(key) if registers else list(snapshot.get(key, []))
            else:
                for each in (state, snapshot):
                    each[key] = value if registers else [*each.get(key, []), value]
                    if each is snapshot is state:
                        break
    reads = [mop for mops in asked for mop in mops if mop[0] == "r" and mop[2]]
    if reads and rng.random() < 0.4:
        mop = rng.choice(reads)
        mop[2] = None if registers else mop[2][:-1]
    rows: Rows = []
    marks = [(process, "invoke") for process in range(count)]
    running: list[int] = []
    while marks or running:
        if marks and (not running or rng.random() < 0.5):
            process, _ = marks.pop(rng.randrange(len(marks)))
            running.append(process)
            rows.append({"process": process, "type": "invoke", "f": "txn", "value": asked[process]})
        else:
            process = running.pop(rng.randrange(len(running)))
            rows.append({"process": process, "type": "ok", "f": "txn", "value": asked[process]})
    return rows


def test_lists_agree_with_brute_force_in_both_directions() -> None:
    rng = random.Random("brute/lists")
    seen = {True: 0, False: 0}
    for _ in range(500):
        rows = tiny(rng, registers=False)
        truth = serializable(join(rows), registers=False)
        report = appends(rows)
        assert (report.verdict == "ok") == truth, (rows, lines(report))
        seen[truth] += 1
    assert min(seen.values()) > 100


def test_registers_are_never_called_broken_without_being_so() -> None:
    rng = random.Random("brute/registers")
    seen = {True: 0, False: 0}
    missed = 0
    for _ in range(500):
        rows = tiny(rng, registers=True)
        truth = serializable(join(rows), registers=True)
        verdict = writes(rows).verdict
        assert not truth or verdict == "ok", rows
        missed += not truth and verdict == "ok"
        seen[truth] += 1
    assert min(seen.values()) > 100
    assert missed < seen[False] / 5, "the order of versions cannot always be inferred, but mostly"


A, R, W = "append", "r", "w"

NAMED: dict[str, tuple[str, Rows]] = {
    "G0": ("append", together(
        [[A, "x", 1], [A, "y", 1]], [[A, "x", 2], [A, "y", 2]], [[R, "x", [1, 2]], [R, "y", [2, 1]]])),
    "G1a": ("append", together([[A, "x", 1]], [[R, "x", [1]]], ends={0: "fail"})),
    "G1b": ("append", together([[A, "x", 1], [A, "x", 2]], [[R, "x", [1]]], [[R, "x", [1, 2]]])),
    "G1c": ("append", together([[A, "x", 1], [R, "y", [1]]], [[A, "y", 1], [R, "x", [1]]])),
    "G-single": ("append", together([[A, "x", 1], [A, "y", 1]], [[R, "x", [1]], [R, "y", []]], [[R, "y", [1]]])),
    "G-nonadjacent": ("append", together(
        [[A, "x", 1]], [[A, "y", 1]], [[R, "x", [1]], [R, "y", []]], [[R, "y", [1]], [R, "x", []]])),
    "G2-item": ("append", together([[R, "x", []], [A, "y", 1]], [[R, "y", []], [A, "x", 1]])),
    "internal": ("append", serial((0, [[A, "x", 1], [R, "x", []]]))),
    "future-read": ("append", serial((0, [[R, "x", [1]], [A, "x", 1]]))),
    "duplicate-elements": ("append", together([[A, "x", 1]], [[R, "x", [1, 1]]])),
    "incompatible-order": ("append", together([[A, "x", 1]], [[A, "x", 2]], [[R, "x", [1, 2]]], [[R, "x", [2]]])),
    "dirty-update": ("append", together([[A, "x", 1]], [[A, "x", 2]], [[R, "x", [1, 2]]], ends={0: "fail"})),
    "lost-update": ("append", together([[R, "x", []], [A, "x", 1]], [[R, "x", []], [A, "x", 2]])),
    "unwritten-element": ("append", serial((0, [[R, "x", [9]]]))),
    "G0-process": ("append", serial(
        (0, [[A, "x", 1]]), (0, [[A, "y", 1]]), (1, [[A, "y", 2]]), (1, [[A, "x", 2]]),
        (2, [[R, "x", [2, 1]], [R, "y", [1, 2]]]))),
    "G-single-process": ("append", serial((0, [[A, "x", 1]]), (0, [[R, "x", []]]), (1, [[R, "x", [1]]]))),
    "G-single-realtime": ("append", serial((0, [[A, "x", 1]]), (1, [[R, "x", []]]), (1, [[R, "x", [1]]]))),
    "cyclic-versions": ("wr", together([[R, "x", 1], [W, "x", 2]], [[R, "x", 2], [W, "x", 1]])),
    "cyclic-versions-realtime": ("wr", [
        *together([[W, "x", 1]], [[W, "x", 2]]), *serial((2, [[R, "x", 1]]), (3, [[R, "x", 2]]), (4, [[R, "x", 1]]))]),
    "rw G1a": ("wr", together([[W, "x", 1]], [[R, "x", 1]], ends={0: "fail"})),
    "rw G1b": ("wr", together([[W, "x", 1], [W, "x", 2]], [[R, "x", 1]])),
    "rw G1c": ("wr", together([[W, "x", 1], [R, "y", 1]], [[W, "y", 1], [R, "x", 1]])),
    "rw G-single": ("wr", together([[W, "x", 1], [W, "y", 1]], [[R, "x", 1], [R, "y", None]])),
    "rw G-nonadjacent": ("wr", together(
        [[W, "x", 1]], [[W, "y", 1]], [[R, "x", 1], [R, "y", None]], [[R, "y", 1], [R, "x", None]])),
    "rw G2-item": ("wr", together([[R, "x", None], [W, "y", 1]], [[R, "y", None], [W, "x", 1]])),
    "rw internal": ("wr", serial((0, [[W, "x", 1], [R, "x", 2]]))),
    "rw lost-update": ("wr", together([[R, "x", None], [W, "x", 1]], [[R, "x", None], [W, "x", 2]])),
    "rw G0": ("wr", together(
        [[R, "a", None], [W, "x", 1], [R, "y", 2], [W, "y", 1]], [[R, "x", 1], [W, "x", 2], [W, "y", 2]])),
    "rw G-single-realtime": ("wr", serial((0, [[W, "x", 1]]), (1, [[W, "x", 2]]), (2, [[R, "x", 1]]))),
    "rw G-single-process": ("wr", serial((0, [[W, "x", 1]]), (0, [[R, "x", None]]))),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(NAMED))
def test_every_anomaly_is_found_and_named(name: str) -> None:
    kind, rows = NAMED[name]
    report = (appends if kind == "append" else writes)(rows)
    wanted = name.removeprefix("rw ")
    assert wanted in report.names(), lines(report)
    assert report.verdict == "broken"


@pytest.mark.parametrize("name", sorted(NAMED))
def test_every_anomaly_survives_being_buried_in_a_sound_history(name: str) -> None:
    kind, rows = NAMED[name]
    rng = random.Random(name)
    sound = (lists if kind == "append" else registers)(rng, 300, unsure=0.05)
    processes = max(row["process"] for row in sound) + 1
    buried = [{**row, "process": row["process"] + processes} for row in rows]
    place = max(i for i in range(len(sound) // 2) if not _running(sound[:i]))
    report = (appends if kind == "append" else writes)([*sound[:place], *buried, *sound[place:]])
    assert name.removeprefix("rw ") in report.names(), lines(report)
    clean = (appends if kind == "append" else writes)(sound)
    assert clean.verdict == "ok"


def _running(rows: Rows) -> bool:
    open_: set[int] = set()
    for row in rows:
        (open_.add if row["type"] == "invoke" else open_.discard)(row["process"])
    return bool(open_)


def test_the_circle_is_told_as_sentences_that_end_in_a_contradiction() -> None:
    _, rows = NAMED["G-single"]
    story = next(one.story for one in appends(rows).anomalies if one.name == "G-single")
    text = "\n".join(story)
    assert "T1 < T2, because" in text
    assert "without 1, which" in text
    assert story[-1].startswith("however, T2 < T1, because")
    assert story[-1].endswith("a contradiction")


def test_what_was_promised_decides() -> None:
    _, skew = NAMED["G2-item"]
    assert appends(skew, "snapshot-isolation").verdict == "ok"
    assert appends(skew, "serializable").verdict == "broken"
    _, fork = NAMED["G-nonadjacent"]
    assert appends(fork, "consistent-view").verdict == "ok"
    assert appends(fork, "snapshot-isolation").verdict == "broken"
    _, stale = NAMED["G-single-realtime"]
    assert appends(stale, "strong-session-serializable").verdict == "ok"
    assert appends(stale).verdict == "broken"
    _, own = NAMED["G-single-process"]
    assert appends(own, "serializable").verdict == "ok"
    assert appends(own, "strong-session-snapshot-isolation").verdict == "broken"


@pytest.mark.parametrize("seed", range(6))
def test_snapshot_isolation_is_told_from_serializability(seed: int) -> None:
    for kind in (appends, writes):
        rows = snapshots(random.Random(seed), 300, registers=kind is writes)
        assert kind(rows, "strong-snapshot-isolation").verdict == "ok", lines(kind(rows, "strong-snapshot-isolation"))
        report = kind(rows, "serializable" if kind is appends else "strict-serializable")
        assert report.verdict == "broken"
        assert any(name.startswith("G2-item") for name in report.names())
        assert not {"G0", "G1c", "G-single", "G-nonadjacent", "lost-update"} & {
            split(name)[0] for name in report.names()
        }


def test_models_that_are_ruled_out_are_the_weakest_and_what_follows() -> None:
    weakest, stronger = boundary(["G-single"])
    assert weakest == ("consistent-view", "repeatable-read")
    assert set(stronger) >= {"snapshot-isolation", "serializable", "strict-serializable"}
    assert boundary(["G0"])[0] == ("read-uncommitted",)
    assert boundary(["G2-item-realtime"]) == (("strict-serializable",), ())
    assert boundary(["G1c"])[0] == ("read-committed",)
    assert boundary(["internal"])[0] == ("read-atomic",)
    assert boundary([]) == ((), ())
    assert "G2-realtime" in implied(["G0-process", "G-single"])
    for model, weaker in WEAKER.items():
        assert set(weaker) < set(MODELS), model
    assert all("strict-serializable" in impossible([name]) for name in ("G1a", "lost-update", "cyclic-versions"))
    assert model_named("PL-SI") == "snapshot-isolation"
    assert model_named("nonsense") is None


def test_an_uncertain_transaction_took_effect_only_when_it_was_seen() -> None:
    rows = together([[A, "x", 1], [A, "y", 1]], ends={0: "info"})
    assert appends([*rows, *serial((1, [[R, "x", []], [R, "y", []]]))]).verdict == "ok"
    assert appends([*rows, *serial((1, [[R, "x", []]]), (1, [[R, "x", [1]], [R, "y", [1]]]))]).verdict == "ok"
    torn = appends([*rows, *serial((1, [[R, "x", [1]], [R, "y", []]]))])
    assert "G-single" in torn.names()


def test_a_nil_read_means_nothing_where_the_end_is_unknown_and_empty_where_it_is_known() -> None:
    first = serial((0, [[A, "x", 1]]))
    unsure = together([[R, "x", None], [A, "x", 2]], ends={0: "info"})
    last = serial((5, [[R, "x", [1, 2]]]))
    assert appends([*first, *unsure, *last]).verdict == "ok"
    assert appends([*first, *serial((1, [[R, "x", None]]))]).verdict == "broken"


def test_one_append_without_a_read_is_still_ordered() -> None:
    rows = serial((0, [[A, "x", 1]]), (1, [[R, "x", None]]))
    assert appends(rows).names() == ["G-single-realtime"]


def test_values_that_repeat_cannot_be_judged() -> None:
    assert appends(serial((0, [[A, "x", 1]]), (1, [[A, "x", 1]]))).verdict == "unknown"
    assert writes(serial((0, [[W, "x", 1]]), (1, [[W, "x", 1]]))).verdict == "unknown"
    retried = [*together([[A, "x", 1]], ends={0: "fail"}), *serial((1, [[A, "x", 1]]), (2, [[R, "x", [1]]]))]
    assert appends(retried).verdict == "ok"


def test_a_value_that_nobody_wrote_is_noted_for_registers() -> None:
    report = writes(serial((0, [[W, "x", 2]]), (0, [[R, "x", 3]]), (0, [[R, "x", 2]])))
    assert report.verdict == "ok"
    assert report.notes == ("'x' was read as 3, which nobody wrote",)


def test_without_time_registers_have_only_their_data() -> None:
    rows = join(serial((0, [[W, "x", 1]]), (1, [[W, "x", 2]]), (2, [[R, "x", 1]])))
    assert rw_register.judge(rows).verdict == "broken"
    assert rw_register.judge(rows, in_time=False).verdict == "ok"


def test_a_read_that_was_only_asked_may_leave_its_value_out() -> None:
    rows = serial((0, [[R, "x", None]]))
    rows[0]["value"] = rows[1]["value"] = [[R, "x"]]
    rows[1]["type"] = "info"
    assert appends(rows).verdict == writes(rows).verdict == "ok"


def test_a_small_budget_gives_unknown_or_broken_and_never_ok() -> None:
    _, rows = NAMED["G2-item"]
    assert list_append.judge(join(rows), effort=Effort(operations=1)).verdict == "unknown"
    assert list_append.judge(join(rows), "serializable", Effort(edges=0)).verdict == "broken"
    assert list_append.judge(join(rows), "snapshot-isolation", Effort(edges=0)).verdict == "unknown"


@pytest.mark.parametrize("value", [[["cas", "x", 1]], [["r", "x"]], 5])
def test_what_is_no_transaction_is_refused(value: Any) -> None:
    rows = serial((0, value))
    for judge in (appends, writes):
        with pytest.raises(HistoryError, match="transaction"):
            judge(rows)


def test_a_long_history_with_one_stale_read_at_its_end_is_judged_quickly() -> None:
    rng = random.Random("long")
    rows = lists(rng, 1_500, unsure=0.01)
    key, appended = next((row["value"][0][1], row) for row in rows if row["type"] == "ok" and row["value"][0][0] == A)
    assert appended
    report = appends([*rows, *serial((10_000, [[R, key, []]]))])
    assert report.verdict == "broken"
    story = next(one.story for one in report.anomalies if one.name == "G-single-realtime")
    assert len([line for line in story if " = " in line]) == 2
