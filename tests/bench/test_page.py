"""The page and its plots, from a small file of results."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from bench.page import draw, plots
from bench.results import Check, Machine, Measure, Plan, Results, Sample, read, reckon, write
from bench.work import Timing, in_turn

from quorate.lab.models.plots import Plot, Point, Series, decade_ticks, linear_ticks, number
from quorate.lab.models.plots import draw as draw_plot

PLAN = Plan(1.0, 0.5, 2, 10, 100, (1, 64), (64,), (10,), (1,), 1.0, (1,), (100,), (2,), 3)
MACHINE = Machine("A processor", 2, 4096, "Linux 6", "ext4", 200.0, 900.0, {"python": "3.11", "etcd": ""})


def sample(per_s: float) -> Sample:
    return Sample(per_s=per_s, p50_ms=1.5, p99_ms=12.0, load_cpu_share=0.25, server_cpu_us=80.0)


def measure(system: str, variant: str, x: int, *per_s: float, part: str = "update") -> Measure:
    return Measure(part, system, variant, x, tuple(sample(each) for each in per_s))


MEASURES = (
    measure("quorate", "own connections", 1, 300.0, 500.0),
    measure("postgresql", "own connections", 1, 600.0, 500.0),
    measure("quorate", "own connections", 64, 9000.0, 12000.0),
    measure("postgresql", "own connections", 64, 6000.0, 6000.0),
    measure("quorate", "one shared connection", 64, 20000.0),
)
RESULTS = Results(
    1,
    "2026-01-01T00:00:00+00:00",
    "abc",
    PLAN,
    MACHINE,
    MEASURES,
    reckon(MEASURES),
    (Check("a check", "etcd", 0.97, "ratio"),),
    ("a note",),
)


def test_ratios_are_medians_over_pairs_of_rounds() -> None:
    one, many = RESULTS.ratios
    assert (one.x, one.median, one.low, one.high) == (1, 0.75, 0.5, 1.0)
    assert (many.x, many.peer, many.median) == (64, "postgresql", 1.75)


def test_rounds_run_in_turn_and_turn_their_order() -> None:
    order = []

    def contender(name: str, per_s: float) -> object:
        def run(_: Timing) -> Sample:
            order.append(name)
            return sample(per_s)

        return run

    contenders = {("p", name, "", 1): contender(name, value) for name, value in (("a", 1.0), ("b", 2.0), ("c", 3.0))}
    measures = in_turn(contenders, 3, Timing(1.0, 0.0), lambda *_: None)  # type: ignore[arg-type]
    assert "".join(order) == "abcbcacab"
    assert [each.middle("per_s") for each in measures] == [1.0, 2.0, 3.0]


def test_results_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    write(path, RESULTS)
    assert read(path) == RESULTS


def test_every_number_of_the_page_comes_from_the_file(tmp_path: Path) -> None:
    written = draw(RESULTS, "r.json", tmp_path)
    assert written[0] == tmp_path / "performance-results.md"
    text = written[0].read_text()
    assert "| quorate | own connections | 64 | 10,500 |" in text
    assert "| update | own connections | postgresql, own connections | 64 | **1.75** | 1.5 to 2 |" in text
    assert "A processor, 2 cores" in text
    assert "etcd ," not in text
    assert "| a check | etcd | 0.97 ratio |" in text
    assert "- a note" in text
    assert "quick run" not in text
    for path in written[1:]:
        assert f"(performance/{path.name})" in text


def test_plots_are_sound_xml_and_show_every_point(tmp_path: Path) -> None:
    for path in draw(RESULTS, "r.json", tmp_path)[1:]:
        root = ET.fromstring(path.read_text())
        titles = [each.text for each in root.iter("{http://www.w3.org/2000/svg}title")]
        assert len(titles) == 1 + len(MEASURES)
        for element in root.iter():
            for name in ("x1", "x2", "y1", "y2", "cx", "cy"):
                assert 0 <= float(element.get(name, "0")) <= 760


def test_parts_with_one_point_have_no_plot() -> None:
    alone = Results(1, "", "", PLAN, MACHINE, (measure("quorate", "update", 2, 1.0, part="followers"),))
    assert plots(alone) == []


@pytest.mark.parametrize(("top", "last"), [(7.0, 8.0), (95_000.0, 100_000.0), (0.23, 0.25), (10.0, 10.0)])
def test_the_axis_ends_at_a_round_number(top: float, last: float) -> None:
    ticks = linear_ticks(top)
    assert ticks[0] == 0
    assert ticks[-1] == pytest.approx(last)
    assert len(ticks) <= 7


def test_decades_enclose_the_values() -> None:
    assert decade_ticks(0.3, 45.0) == [0.1, 1.0, 10.0, 100.0]
    assert decade_ticks(1.0, 1.0) == [1.0, 10.0]


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.25, "0.25"), (1200.0, "1,200"), (34_500.0, "34.5k"), (1_500_000.0, "1.5M")]
)
def test_numbers_on_axes_are_short(value: float, text: str) -> None:
    assert number(value) == text


def test_names_are_escaped() -> None:
    plot = Plot("a < b", "x", "y", (Series("c & d", (Point(1, 2.0, 2.0, 2.0), Point(2, 3.0, 3.0, 3.0))),))
    assert ET.fromstring(draw_plot(plot)).tag.endswith("svg")
