from bench.runaway import HEADER, Phase


def test_a_row_of_the_table_tells_both_times_and_their_ratio() -> None:
    phase = Phase("a scan", (1.0, 2.0, 4.0), (2.0, 3.0, 10.0), 0, ("`StatementTimeout`",))
    assert phase.row() == "| a scan | 2.0 / 4.0 | 3.0 / 10.0 | 2.5 | 0 | `StatementTimeout` |"
    head, line = HEADER.splitlines()
    assert phase.row().count("|") == head.count("|") == line.count("|")
