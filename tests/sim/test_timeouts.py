"""What docs/timeouts.md says of times that are too short and too long is what the laboratory shows."""

import pytest

from quorate.lab.sim.campaigns.timeouts import NETWORKS, TIMES, Cell, lines, minute

BY_NAME = {network.name.partition(":")[0]: network for network in NETWORKS}
MINUTE_US = 60_000_000


def test_too_short_a_time_elects_again_and_again_where_the_measured_one_does_not() -> None:
    elections, away_us, _ = minute(BY_NAME["uneven"], TIMES["fixed 150 ms"], 0, stop=False)
    assert elections > 30
    assert away_us > 0
    assert minute(BY_NAME["uneven"], TIMES["measured, from 150 ms"], 0, stop=False)[0] <= 2


def test_a_time_below_the_round_trip_stops_everything() -> None:
    _, away_us, _ = minute(BY_NAME["around the world"], TIMES["fixed 600 ms"], 0, stop=False)
    assert away_us > MINUTE_US // 2
    elections, away_us, _ = minute(BY_NAME["around the world"], TIMES["measured (default)"], 0, stop=False)
    assert (elections, away_us) == (0, 0)


@pytest.mark.parametrize(
    ("times", "least_us", "most_us"),
    [("fixed 10 s", 9_000_000, 13_000_000), ("measured (default)", 300_000, 1_200_000)],
)
def test_too_long_a_time_is_a_long_wait_for_a_new_leader(times: str, least_us: int, most_us: int) -> None:
    assert least_us < minute(BY_NAME["one rack"], TIMES[times], 0, stop=True)[2] < most_us


def test_the_table_has_a_row_for_each_network() -> None:
    cells = {(network.name, times): Cell(1.0, 2.0, 3_000_000) for network in NETWORKS for times in TIMES}
    assert len(lines(cells)) == 2 + len(NETWORKS)
    assert "1.0 / 2 % / 3.0 s" in lines(cells)[-1]
