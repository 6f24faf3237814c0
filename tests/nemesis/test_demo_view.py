"""The demo's timeline: a failover is a gap in it."""

import pytest

from quorate.cli.demo.view import SLOT_S, SLOTS, Figures, PlainView, Timeline


def test_orders_fall_into_the_slot_in_which_they_were_seen() -> None:
    timeline = Timeline(0.0)
    for slot, orders in enumerate([10, 30, 30, 30, 70, 70]):
        timeline.add(orders, (slot + 0.5) * SLOT_S)
    assert timeline.slots == [10, 20, 0, 0, 40, 0]
    assert timeline.bars() == "▂▄  █"


def test_time_in_which_nobody_looked_is_a_gap() -> None:
    timeline = Timeline(0.0)
    timeline.add(5, 0.5 * SLOT_S)
    timeline.add(9, 3.5 * SLOT_S)
    assert timeline.slots == [5, 0, 0, 4]


def test_a_long_story_keeps_its_newest_part() -> None:
    timeline = Timeline(0.0)
    for slot in range(3 * SLOTS):
        timeline.add(slot * 7, (slot + 0.5) * SLOT_S)
    assert timeline.bars() == "█" * SLOTS
    assert timeline.rate() == pytest.approx(7 / SLOT_S)


def test_nothing_yet() -> None:
    timeline = Timeline(0.0)
    assert timeline.bars() == ""
    assert timeline.rate() == 0.0


def test_the_plain_story_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView()
    view.say("something happened")
    view.show(Figures(orders=3, reads=4, unclear=0))
    view.show(Figures(orders=5, reads=6, unclear=0))
    view.close()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [line.split("s  ", 1)[1] for line in captured.err.splitlines()] == [
        "something happened",
        "3 orders acknowledged, 4 reads",
    ]
