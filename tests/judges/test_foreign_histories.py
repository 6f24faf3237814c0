"""The judge agrees with the verdicts that other projects' tools gave on their own histories."""

import json
from pathlib import Path

import pytest

from quorate.lab.judges.foreign import etcd_log, maps
from quorate.lab.judges.linearizability import BROKEN, GENEROUS, OK, judge, search
from quorate.lab.judges.models import Register, Text

HISTORIES = Path(__file__).resolve().parents[3] / "shared" / "data" / "histories"

pytestmark = pytest.mark.skipif(not HISTORIES.is_dir(), reason="the foreign histories are not beside this checkout")


@pytest.mark.parametrize("part", range(4))
def test_every_recorded_etcd_register_gets_its_known_verdict(part: int) -> None:
    folder = HISTORIES / "etcd-registers"
    verdicts = sorted(json.loads((folder / "verdicts.json").read_text()).items())
    assert len(verdicts) > 40
    for name, linearizable in verdicts[part::4]:
        verdict = judge(etcd_log((folder / name).read_text()), Register())
        assert verdict.verdict == (OK if linearizable else BROKEN), name


@pytest.mark.parametrize("name", ["c01-ok", "c01-bad", "c10-ok", "c10-bad"])
def test_every_recorded_text_history_gets_the_verdict_in_its_name(name: str) -> None:
    verdict = judge(maps((HISTORIES / "kv" / f"{name}.txt").read_text()), Text())
    assert verdict.verdict == (OK if name.endswith("-ok") else BROKEN)


def test_a_witness_is_itself_broken_and_much_smaller() -> None:
    history = etcd_log((HISTORIES / "etcd-registers" / "etcd_000.log").read_text())
    verdict = judge(history, Register())
    assert len(verdict.witness) < len(history) / 4
    assert search(list(verdict.witness), Register(), GENEROUS)[0] == BROKEN
