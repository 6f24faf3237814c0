"""The log as a replica knows it: runs of epochs, payloads in memory, trimming."""

from quorate.core.entries import DATA, ORIGIN, Entry, Position
from quorate.core.single_leader.log import Log


def entries(*epochs: int, first: int = 1) -> tuple[Entry, ...]:
    return tuple(Entry(first + offset, epoch, DATA, b"x" * 10) for offset, epoch in enumerate(epochs))


def log_of(*epochs: int) -> Log:
    log = Log(ORIGIN, (), 0, ())
    log.append(entries(*epochs))
    return log


def test_epochs_are_known_for_every_index() -> None:
    log = log_of(1, 1, 3, 3, 3, 7)
    assert [log.epoch_at(index) for index in range(8)] == [0, 1, 1, 3, 3, 3, 7, None]


def test_truncate_forgets_runs_and_payloads() -> None:
    log = log_of(1, 1, 3, 3)
    log.truncate(3)
    assert log.last == Position(1, 2)
    log.append(entries(4, first=3))
    assert [log.epoch_at(index) for index in (1, 2, 3, 4)] == [1, 1, 4, None]
    assert [entry.epoch for entry in log.slice(1, 3) or ()] == [1, 1, 4]


def test_trim_inside_a_run_keeps_the_rest_of_it() -> None:
    log = log_of(1, 1, 1, 2)
    log.trim(Position(1, 2))
    assert log.base == Position(1, 2)
    assert [log.epoch_at(index) for index in (1, 2, 3, 4)] == [None, 1, 1, 2]
    assert log.slice(2, 3) is None
    log.trim(Position(2, 4))
    assert log.last == log.base == Position(2, 4)
    log.append(entries(2, first=5))
    assert log.epoch_at(5) == 2


def test_slice_stops_near_its_bytes_but_gives_at_least_one() -> None:
    log = log_of(1, 1, 1)
    assert len(log.slice(1, 3, 25) or ()) == 2
    assert len(log.slice(1, 3, 1) or ()) == 1


def test_shrink_drops_only_payloads() -> None:
    log = log_of(1, 1, 1, 1)
    log.shrink(15, through=3)
    assert log.slice(1, 4) is None
    assert log.epoch_at(1) == 1
    assert len(log.slice(4, 4) or ()) == 1


def test_agree_below_skips_whole_epochs() -> None:
    log = log_of(1, 1, 4, 4, 4, 5)
    assert log.agree_below(Position(6, 9)) == Position(5, 6)
    assert log.agree_below(Position(4, 6)) == Position(4, 5)
    assert log.agree_below(Position(3, 5)) == Position(1, 2)
    assert log.agree_below(Position(0, 5)) == ORIGIN


def test_a_log_knows_from_where_on_it_is_small_enough() -> None:
    log = Log(ORIGIN, (), 0, ())
    log.append(tuple(Entry(index, 1, DATA, b"x" * (1 << 20)) for index in range(1, 11)))
    assert log.first_within(100 << 20) == 0
    assert log.first_within(4 << 20) in (5, 6)
    log.truncate(9)
    assert log.first_within(100 << 20) == 0
    log.append(tuple(Entry(index, 2, DATA, b"x" * (1 << 20)) for index in range(9, 15)))
    assert log.first_within(2 << 20) in (11, 12)
