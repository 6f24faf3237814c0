"""Histories are recorded, written as JSON and read back."""

import pytest

from quorate.lab.judges.foreign import read_any
from quorate.lab.judges.history import FAIL, FOREVER, INFO, INVOKE, OK, Event, History, HistoryError, dump, load, pair


def test_a_recorded_history_survives_its_json_form() -> None:
    history = History()
    write = history.invoke(1, "write", "k", 7, 10)
    read = history.invoke(2, "read", "k", None, 15)
    lost = history.invoke(3, "write", "k", 8, 16)
    history.end(write, OK, 20)
    history.end(read, OK, 30, 7)
    history.end(lost, INFO, 40)
    again = load(dump(history))
    assert [(one.process, one.function, one.end, one.result) for one in again] == [
        (1, "write", OK, None),
        (2, "read", OK, 7),
        (3, "write", INFO, None),
    ]
    assert again.operations[2].returned == FOREVER
    assert read_any(dump(history)).operations == again.operations


def test_at_equal_times_beginnings_come_before_ends() -> None:
    history = pair(
        [
            Event(1, INVOKE, "write", 1, "k", 5),
            Event(1, OK, "write", 1, "k", 9),
            Event(2, INVOKE, "read", None, "k", 9),
            Event(2, OK, "read", None, "k", 12),
        ]
    )
    write, read = history.operations
    assert read.invoked < write.returned, "the two overlap, so the read may still see nothing"


def test_events_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(HistoryError, match="never began"):
        pair([Event(1, OK, "read", 1)])
    with pytest.raises(HistoryError, match="before its last one ended"):
        pair([Event(1, INVOKE, "read"), Event(1, INVOKE, "read")])
    with pytest.raises(HistoryError, match="unknown type"):
        pair([Event(1, "maybe", "read")])
    with pytest.raises(HistoryError, match="not a history"):
        load(b'{"process": "x"}')


def test_an_end_that_is_missing_counts_as_unknown() -> None:
    history = pair([Event(1, INVOKE, "write", 1), Event(2, INVOKE, "write", 2), Event(2, FAIL, "write", 2)])
    assert [one.end for one in history] == [INFO, FAIL]
