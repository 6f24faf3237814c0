"""The long campaign's parts: recorded calls, the deck of faults, what makes a result pass, and its page."""

import os
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quorate import errors
from quorate.cli.lab.page import account, results_page, table
from quorate.lab.nemesis.calls import ACCOUNTS, BALANCE, Bank, Counter
from quorate.lab.nemesis.faults import CALM, Faults
from quorate.lab.nemesis.figures import Spread
from quorate.lab.nemesis.periods import Account, Period, Result, Row
from quorate.lab.nemesis.place import proxied, volume
from quorate.runtime.founding import read_cluster_file


class Told:
    """A connection that answers as it is told, one answer a call."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.outcomes: dict[str, BaseException | None] = {}
        self.asked: list[tuple[str, int]] = []

    def _next(self, *_: Any, **__: Any) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return Rows(answer)

    execute = batch = _next

    def outcome(self, token: str, *, seen: int) -> None:
        self.asked.append((token, seen))
        found = self.outcomes[token]
        if found is not None:
            raise found


class Rows:
    def __init__(self, rows: Any) -> None:
        self.fetchall = lambda: rows
        self.fetchone = lambda: rows[0]


def maybe(token: str, seen: int = 0) -> errors.MaybeDone:
    return errors.MaybeDone("the answer was lost", token=token, seen=seen)


class Always(random.Random):
    """Dice for reads, or for writes."""

    def __init__(self, part: float) -> None:
        super().__init__(0)
        self.part = part

    def random(self) -> float:
        return self.part


READS, WRITES = Always(0.0), Always(0.9)


def test_increments_whose_answer_was_lost_are_settled() -> None:
    told = Told([], maybe("a", 7), maybe("b", 9), [[2]])
    told.outcomes = {"a": None, "b": errors.Cancelled("it never happened")}
    counter = Counter(told, 1, 0)
    assert [counter._one(process, WRITES) for process in (1, 2, 3)] == [True, False, False]
    assert counter._one(4, READS)
    counter.settle(told)
    assert told.asked == [("a", 7), ("b", 9)], "another connection cannot know with which index they were sent"
    assert counter.happened == 2
    assert counter.agrees([[("hits", 2)], [["hits", 2]]])
    assert not counter.agrees([[("hits", 2)], [("hits", 3)]])
    assert counter.verdict().verdict == "ok"


def test_a_counter_that_counts_twice_is_found_out() -> None:
    counter = Counter(Told([], [[2]]), 1, 0)
    counter._one(1, WRITES)
    counter._one(1, READS)
    assert counter.verdict().verdict == "broken"


def test_a_transfer_that_is_half_done_is_found_out() -> None:
    whole = [(number, BALANCE) for number in range(ACCOUNTS)]
    half = [(0, BALANCE - 1), *whole[1:]]
    bank = Bank(Told([], errors.IntegrityError("below zero"), whole, half), 1, 0)
    for rng in (WRITES, WRITES, READS):
        assert bank._one(1, rng)
    assert bank.verdict().verdict == "ok"
    assert bank._one(1, READS)
    assert bank.verdict().verdict == "broken"
    assert bank.agrees([whole, whole])
    assert not bank.agrees([whole, half])


def test_a_quarter_of_the_deck_is_calm() -> None:
    faults = Faults(None, None, 0, "no root", "n3")  # type: ignore[arg-type]
    deck = faults.deck()
    assert set(faults.skipped) == {"full disk", "clock shift"}
    assert set(deck) == {*faults.names, CALM}
    assert 0.25 <= deck.count(CALM) / len(deck) < 0.3
    assert deck != faults.deck()


def test_peers_and_clients_know_the_proxies_only(tmp_path: Path) -> None:
    cluster, proxies = proxied(tmp_path / "cluster", 3, 0)
    try:
        known = {place.address for place in read_cluster_file(tmp_path / "cluster").nodes}
        listening = {(tmp_path / "cluster" / name / "node.toml").read_text().split('"')[1] for name in cluster.names}
        assert len(known | listening) == 6
    finally:
        proxies.stop()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root")
def test_a_small_disk_fills_and_empties(tmp_path: Path) -> None:
    with volume(tmp_path / "n1") as disk:
        if isinstance(disk, str):
            pytest.skip(disk)
        assert disk.fill()
        with pytest.raises(OSError, match="No space left"):
            (tmp_path / "n1" / "file").write_bytes(bytes(10_000))
        disk.empty()
        (tmp_path / "n1" / "file").write_bytes(bytes(10_000))
    assert not any((tmp_path / "n1").iterdir())


def result() -> Result:
    spread = Spread(1, 10.0, 10.0, 10.0, 12.0)
    told = Account(
        orders=900, maybe=1, lost=0, duplicated=0, invented=0, stock_agrees=True, replicas_equal=True, reads=5,
        reads_went_back=0, increments=7, counter_agrees=True, bank_agrees=True, judged={"bank": 9},
        verdicts={"bank": "ok"},
    )  # fmt: skip
    row = Row("SIGSTOP", 2, 1, 2, 300, spread, spread)
    period = Period(1, "SIGSTOP", "n1", led=True, acknowledged=3, silence_ms=1.0, recovery_ms=2.0)
    return Result(60.0, 3, 7, (period,), (row,), told, 4, 2, {"clock shift": "no library"}, (), "Linux")


def test_only_a_campaign_that_showed_something_passes() -> None:
    good = result()
    assert good.passed
    assert not msgspec.structs.replace(good, vacuous=("no leader ever changed",)).passed
    for name, value in {
        "lost": 1,
        "replicas_equal": False,
        "bank_agrees": False,
        "verdicts": {"bank": "unknown"},
    }.items():
        broken = msgspec.structs.replace(good, account=msgspec.structs.replace(good.account, **{name: value}))
        assert not broken.passed, name


def test_the_page_has_its_command_and_what_was_skipped() -> None:
    page = results_page(result(), 1)
    assert "quorate lab nemesis --minutes 1 --nodes 3 --seed 7 --page docs/nemesis.md" in page
    assert "| SIGSTOP | 2 | 1 | 2 | 300 | 10 / 12 | 10 / 12 |" in page
    assert "- skipped: clock shift: no library" in page
    assert account(result())[-1] == "passed in 60 s, seed 7"
    assert len({len(line) for line in table(result())}) <= 2
