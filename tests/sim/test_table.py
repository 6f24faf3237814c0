"""The table of faults: every row strikes, every cell holds its promise, and the page says how it was made."""

import pytest

from quorate.lab.sim.table import COLUMNS, ROWS, Cell, Row, cell_of, cell_run, page

LISTED = [row for row in ROWS if row.name != "everything at once"]


@pytest.mark.parametrize("row", LISTED, ids=lambda row: row.name)
def test_the_fault_strikes_and_nothing_breaks(row: Row) -> None:
    fired = 0
    for seed in range(6):
        report = cell_run(row, 3, seed)
        assert report.ok, "\n".join(report.lines())
        fired += report.marks.get(row.mark, 0)
        if fired:
            return
    pytest.fail(f"{row.name} never struck")


def test_a_cell_whose_fault_never_strikes_proves_nothing() -> None:
    row = Row("nothing at all", "a mark that nobody makes")
    cell = cell_of(row, 3, range(1))
    assert len(cell.violations) == 1
    assert "proves nothing" in cell.violations[0]


def test_a_violation_is_on_the_page() -> None:
    column = next(iter(COLUMNS))
    cells = {(row.name, each): Cell(seeds=2, gaps_us=[1_000, 5_000]) for row in ROWS for each in COLUMNS}
    cells[ROWS[0].name, column].violations = ("none, seed 3: liveness: nobody leads",)
    text = page(cells, "quorate lab table")
    assert "- none, seed 3: liveness: nobody leads" in text
    assert "`quorate lab table`" in text
    assert "1 / 5" in text
