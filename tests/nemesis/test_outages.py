"""Campaigns that found something, or have shown nothing, do not pass."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from quorate.cli.lab import nemesis_outages
from quorate.cli.main import main
from quorate.cli.output import Exit, Fail
from quorate.core.requests import GroupStatus, StatusReport
from quorate.lab.nemesis import outages, replacements
from quorate.lab.nemesis.campaign import Report
from quorate.lab.nemesis.figures import spread
from quorate.lab.nemesis.leaders import LeaderWatch
from quorate.lab.nemesis.outages import DIES_ALONE, KILL, LIVES, NOTHING, Outage, OutageReport
from quorate.lab.nemesis.replacements import ALIVE, KILLED, Replacement, ReplacementReport
from quorate.lab.nemesis.trial import DATABASE, Trial
from quorate.lab.nemesis.workload import Customers, Told
from quorate.runtime import probe

NONE = spread([])
ACCOUNT = Report((), NONE, NONE, 900, 0, 0, 0, 0, True, True, 70, 0, 50, "ok", 0, 9.0, 3)
WENT = Replacement(1, KILLED, "n1", "n4", True, True, 600.0, 900.0, 70.0, 300, 0)
AWAY = Outage(1, DIES_ALONE, KILL, "n1", 3000.0, 0, 0.0, 700.0, (1, 4))


def replaced(*done: Replacement, looks: int = 9, account: Report = ACCOUNT, two: tuple[str, ...] = ()) -> Any:
    rows = replacements.rows_of(list(done))
    return ReplacementReport(
        replacements=done, rows=rows, nodes=3, account=account, founders_left=0, two_leaders=two, looks=looks,
        machine="a machine",
    )  # fmt: skip


def away(*done: Outage, looks: int = 9, account: Report = ACCOUNT, unlike: tuple[str, ...] = ()) -> Any:
    rows = outages.rows_of(list(done))
    return OutageReport(
        outages=done, rows=rows, nodes=3, account=account, unlike_promised=unlike, two_leaders=(), looks=looks,
        machine="a machine",
    )  # fmt: skip


LOST = msgspec.structs.replace(ACCOUNT, lost=1)


@pytest.mark.parametrize(
    ("report", "why"),
    [
        (replaced(msgspec.structs.replace(WENT, led=False)), "no leader was replaced"),
        (replaced(msgspec.structs.replace(WENT, orders=0)), "no order during round 1"),
        (replaced(WENT, looks=0), "nobody was heard"),
        (replaced(WENT, account=LOST), "does not balance"),
        (replaced(WENT, two=("epoch 4 was led by n1 and n2",)), "epoch 4 was led by n1 and n2"),
        (away(msgspec.structs.replace(AWAY, harm=NOTHING)), "etcd was never away"),
        (away(msgspec.structs.replace(AWAY, what=LIVES)), "no leader was killed"),
        (away(AWAY, looks=0), "nobody was heard"),
        (away(AWAY, account=LOST), "does not balance"),
        (away(AWAY, unlike=("round 1: n2 took over",)), "n2 took over"),
    ],
)
def test_what_shows_nothing_or_is_not_as_promised_fails(report: Any, why: str) -> None:
    assert why in "; ".join([*report.wrong, *report.vacuous])
    assert not report.passed
    with pytest.raises(Fail, match=why):
        nemesis_outages._judge(report)


def test_what_is_as_promised_passes_and_the_pages_say_what_was_measured() -> None:
    members, etcd = replaced(WENT, msgspec.structs.replace(WENT, how=ALIVE)), away(AWAY)
    assert members.passed
    assert etcd.passed
    page = nemesis_outages.replacements_page(members, 2)
    assert "quorate nemesis --replacements 2 --nodes 3 --seed 3 --page docs/nemesis-members.md" in page
    assert "| killed, folder lost, led | 1 | 1 | 600 / 600 | 900 / 900 | 70 / 70 | 300 | 0 |" in page
    assert "- passed in 9 s, seed 3" in page
    page = nemesis_outages.outages_page(etcd, 1)
    assert "quorate nemesis --etcd-outages 1 --nodes 3 --seed 3 --page docs/nemesis-etcd.md" in page
    assert f"| {DIES_ALONE} | kill -9 | 1 | 1 | 0 |  | 700 / 700 |" in page


def test_two_leaders_of_one_epoch_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cluster:
        addresses = ("a", "b", "c")
        ca = ""

    def status(address: str, _timeout: float, _secure: probe.Secure) -> StatusReport | None:
        if address == "c":
            return None
        epoch = 7 if address == "a" else epochs
        return StatusReport(
            "x", 1, address, 1, (), (GroupStatus(1, DATABASE, 0, "leader", 1, epoch, 1, 1, 1, 1, {}, speaks=True),)
        )

    monkeypatch.setattr(probe, "status", status)
    watch = LeaderWatch(Trial(Cluster()))  # type: ignore[arg-type]
    epochs = 8
    watch.look()
    assert (watch.newest, watch.looks, watch.doubled()) == (8, 2, [])
    epochs = 7
    watch.look()
    assert watch.doubled() == ["epoch 7 was led by a and b"]


def test_a_silence_reaches_to_both_ends() -> None:
    customers = Customers(None, 0, 1)
    customers.acknowledged += [Told("early", 0, 5_000), Told("a", 0, 14_000), Told("b", 0, 12_000)]
    assert customers.silence_ms(0, 10_000, 20_000) == 6.0
    assert customers.silence_ms(0, 6_000, 15_000) == 6.0
    assert customers.silence_ms(3, 10_000, 20_000) == 10.0


@pytest.mark.parametrize(
    "options", [["--transfers", "1", "--replacements", "1"], ["--page", "page.md"], ["--rounds", "2", "--page", "x.md"]]
)
def test_options_that_do_not_go_together_are_refused(options: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["nemesis", *options, "--dir", str(tmp_path / "never")])
    assert done.exit_code == Exit.USAGE
    assert not (tmp_path / "never").exists()
