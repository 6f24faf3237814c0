"""The table of faults: every row strikes, every cell holds what its acks promise, and the page says how it was made."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from quorate.cli.lab.main import lab
from quorate.core.ack_policy import ETCD
from quorate.core.single_leader.promises import judges
from quorate.lab.sim.campaigns.rows import Row
from quorate.lab.sim.campaigns.table import (
    EVERYTHING,
    MODES,
    ROWS,
    Cell,
    Cells,
    Mode,
    applies,
    cell_of,
    cell_run,
    dump,
    listed,
    load,
    merge,
    proves_nothing,
    violations,
)
from quorate.lab.sim.campaigns.table_page import page
from quorate.lab.sim.replications.single_leader.tails import LOST_UNDER_ASYNC
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.workloads.operations import Database
from quorate.storage.log.ends import Ends

LISTED = [row for row in ROWS if row.name != EVERYTHING]
MODE = {mode.name: mode for mode in MODES}
AN_ASYNC = MODE["async, 3 nodes"]
BY_ETCD = MODE["majority, 3 nodes, failover by etcd"]


@pytest.mark.parametrize("row", LISTED, ids=lambda row: row.name)
def test_the_fault_strikes_and_nothing_breaks(row: Row) -> None:
    mode = next(mode for mode in MODES if applies(row, mode))
    fired = 0
    for seed in range(6):
        report = cell_run(row, mode, seed)
        assert report.ok, "\n".join(report.lines())
        fired += report.marks.get(row.mark, 0)
        if fired:
            return
    pytest.fail(f"{row.name} never struck")


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_every_mode_is_run_with_its_acks_on_all_its_nodes(mode: Mode) -> None:
    report = cell_run(ROWS[1], mode, 0)
    assert report.ok, "\n".join(report.lines())
    assert report.marks["create: ok"] == 1
    assert max(report.operations.values()) > 20
    assert mode.nodes in (3, 5)


def test_what_async_loses_is_committed_and_saved() -> None:
    row = next(row for row in ROWS if row.name == "partition: halves, one, ring, bridge, one-way, partial")
    cell = Cell(row.name, AN_ASYNC.name)
    for seed in range(12):
        merge({(row.name, AN_ASYNC.name): cell}, cell_of(row, AN_ASYNC, [seed]))
        if cell.lost and cell.saved:
            break
    assert cell.lost
    assert cell.saved
    assert not cell.violations, f"{LOST_UNDER_ASYNC} is no violation"


def test_a_database_is_answerable_to_the_judges_that_the_table_of_promises_names() -> None:
    for mode in MODES:
        database = Database("data", Dials(nodes=mode.nodes, fixed=mode.acks))
        assert database.judges == judges(mode.rule)
        assert database.loose == ("linearizability" not in judges(mode.rule))
        assert database.replicas == mode.nodes


def test_rows_that_need_a_spare_node_are_not_run_where_writes_wait_for_every_node() -> None:
    applied = {mode.name: {row.name for row, each in listed(modes=[mode.name]) if each is mode} for mode in MODES}
    assert "deaf leader that stays" not in applied["sync, 3 nodes"]
    assert "deaf leader that stays" in applied["semi-sync:1, 5 nodes"]
    assert "the leader dies for good: reads go on, writes wait" in applied["sync, 3 nodes"]
    assert all("rolling" not in name for name in applied["async, 3 nodes"])
    assert all(len(rows) >= 28 for rows in applied.values())


def test_rows_about_etcd_are_run_where_etcd_decides_and_nowhere_else() -> None:
    about = {row.name for row in ROWS if row.decides == (ETCD,)}
    assert len(about) == 3
    for mode in MODES:
        applied = {row.name for row, _ in listed(modes=[mode.name])}
        assert applied & about == (about if mode is BY_ETCD else set())
    assert "deaf leader that stays" in {row.name for row, _ in listed(modes=[BY_ETCD.name])}


def test_where_etcd_decides_leaders_have_its_permit() -> None:
    short_logs = next(row for row in ROWS if row.name.startswith("snapshots all the time"))
    for row in (ROWS[1], short_logs):  # also where a row has settings of its own
        report = cell_run(row, BY_ETCD, 0)
        assert report.ok, "\n".join(report.lines())
        assert report.marks["led by permit"]


def test_a_cell_whose_fault_never_strikes_proves_nothing() -> None:
    row = Row("nothing at all", "a mark that nobody makes")
    cell = cell_of(row, MODES[0], range(1))
    assert "this proves nothing" in proves_nothing(row, cell)
    assert not proves_nothing(ROWS[0], cell_of(ROWS[0], MODES[0], range(1)))


def test_a_cell_of_drawn_schemas_that_was_never_compared_with_sqlite_proves_nothing() -> None:
    (row, mode), *_ = listed(["pause"], ["majority, 3 nodes, drawn schemas"])
    cell = Cell(row.name, mode.name, [0], ok=90, fired=3)
    assert "'drawn: compared with SQLite' was seen 0 times: this proves nothing" in proves_nothing(row, cell)
    cell.proved = 1
    assert not proves_nothing(row, cell)


def filled() -> Cells:
    """Every cell, as if it had been run."""
    cells: Cells = {}
    for row, mode in listed():
        cells[row.name, mode.name] = Cell(row.name, mode.name, [0, 1], ok=90, fired=3, proved=1, gaps_us=[1_000, 5_000])
    return cells


def test_a_violation_is_on_the_page_and_so_is_what_each_mode_promises() -> None:
    cells = filled()
    cells[ROWS[0].name, MODES[0].name].violations.append("none, seed 3: liveness: nobody leads")
    cells[ROWS[0].name, AN_ASYNC.name].lost = 7
    text = page(cells, "quorate lab table")
    assert violations(cells) == ["none, seed 3: liveness: nobody leads"]
    assert "- none, seed 3: liveness: nobody leads" in text
    assert "`quorate lab table`" in text
    assert "1 / 2 · 1 / 5" in text
    assert f"{MODES[0].name}: {2 * sum(applies(row, MODES[0]) for row in ROWS)}" in text
    assert (
        "Promised: kept, exactly once, all or nothing, equal replicas, true answers, strict serializable, linearizable."
        in text
    )
    assert "Promised: lost within its lag, and saved," in text
    assert "| 7 (0) | 1 / 5 |" in text


def test_results_are_kept_line_by_line_and_seeds_count_once() -> None:
    row, mode = listed()[0]
    first, second = Cell(row.name, mode.name, [0, 1], ok=5, gaps_us=[1, 2]), Cell(row.name, mode.name, [2], ok=1)
    gone = Cell("a row that is no more", mode.name, [0], ok=100)
    cells = load([dump(first), dump(second), b"", dump(first), dump(gone)])
    assert list(cells) == [(row.name, mode.name)]
    cell = cells[row.name, mode.name]
    assert (cell.seeds, cell.ok, cell.gaps_us) == ([0, 1, 2], 6, [1, 2])


def test_a_campaign_goes_on_where_its_file_ends(tmp_path: Path) -> None:
    kept, written = tmp_path / "results", tmp_path / "table.md"
    arguments = ["table", "--mode", MODES[0].name, "--fault", "pause", "--keep", str(kept), "--write", str(written)]
    done = CliRunner().invoke(lab, [*arguments, "--seeds", "2"])
    assert done.exit_code == 0, done.output
    assert "2 seeds, no promise was broken" in done.stdout
    done = CliRunner().invoke(lab, [*arguments, "--seeds", "3"])
    assert done.exit_code == 0, done.output
    assert "3 seeds, no promise was broken" in done.stdout
    assert [cell.seeds for cell in load(kept.read_bytes().splitlines()).values()] == [[0, 1, 2]]
    page = written.read_text(encoding="utf-8")
    assert "| pause | 0 / 3 ·" in page
    assert "`quorate lab table --seeds 3 --mode 'majority, 3 nodes' --fault 'pause' --write" in page
    done = CliRunner().invoke(lab, [*arguments, "--fault", "none", "--seeds", "1"])
    assert done.exit_code == 0, done.output
    page = written.read_text(encoding="utf-8")
    assert "`quorate lab table --seeds ... --mode ... --keep FILE --write" in page, "no one run has made this page"
    assert "Seeds of each column: majority, 3 nodes: 4." in page
    kept.write_bytes(b"noise\n")
    done = CliRunner().invoke(lab, arguments)
    assert "is no file of results" in str(done.exception)


def test_unknown_rows_and_columns_name_those_there_are() -> None:
    done = CliRunner().invoke(lab, ["table", "--mode", "doom"])
    assert (done.exit_code, "semi-sync:1, 5 nodes" in done.output) == (2, True)
    done = CliRunner().invoke(lab, ["table", "--fault", "doom"])
    assert (done.exit_code, "swizzle-clog" in done.output) == (2, True)


def test_a_lost_tail_may_hold_what_made_the_tables() -> None:
    row = next(row for row in ROWS if row.name.startswith("partition:"))
    assert cell_run(row, AN_ASYNC, 3).ok


def test_a_replica_that_forgets_where_its_log_ended_believes_a_disk_that_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    row, mode = next(each for each in listed() if each[0].filed)
    assert cell_run(row, mode, 79).ok
    monkeypatch.setattr(Ends, "missing", lambda _ends, _groups, _hash_at: {})
    report = cell_run(row, mode, 79)
    assert report.judge == "damaged replica", report.message
    assert "takes it for whole" in report.message


@pytest.mark.parametrize("seed", [1, 4, 12, 16, 18, 23])
def test_a_folder_may_have_forgotten_a_replica_and_its_first_heartbeats_may_be_lost(seed: int) -> None:
    """Seeds at which an empty replica, or a node of which nobody had heard that life, made a majority."""
    row = next(row for row in ROWS if row.name.startswith("a folder put back"))
    report = cell_run(row, MODES[0], seed)
    assert report.ok, "\n".join(report.lines())
    assert report.marks["folder put back"]


@pytest.mark.parametrize(
    ("fault", "seed"), [("delay with", 3), ("schema changes", 2)], ids=["integrity check", "schema that cannot change"]
)
def test_drawn_schemas_under_faults(fault: str, seed: int) -> None:
    row = next(row for row in ROWS if row.name.startswith(fault))
    report = cell_run(row, MODE["majority, 3 nodes, drawn schemas"], seed)
    assert report.ok, "\n".join(report.lines())
