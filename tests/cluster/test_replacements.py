"""Real processes: leaders are replaced under load, one killed with its folder lost, one alive."""

from pathlib import Path

from quorate.lab.nemesis.replacements import ALIVE, KILLED, run_replacements


def test_leaders_are_replaced_under_load_dead_and_alive(tmp_path: Path) -> None:
    report = run_replacements(2, 3, 7, folder=tmp_path)
    assert [(each.how, each.led, each.new) for each in report.replacements] == [
        (KILLED, True, "n4"),
        (ALIVE, True, "n5"),
    ]
    assert not (tmp_path / "cluster" / report.replacements[0].old).exists(), "its disk is lost"
    assert report.founders_left == 1
    assert report.account.acknowledged > 100, "there was load"
    assert report.looks > 0
    assert report.passed, (report.wrong, report.vacuous)
