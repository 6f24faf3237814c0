"""The page of results: tables and plots drawn from a file of results, and from nothing else."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from bench.figures import median
from bench.results import APSW, DISK, ETCD, POSTGRESQL, QUORATE, Measure, Results
from quorate.lab.models.plots import Plot, Point, Series, number
from quorate.lab.models.plots import draw as draw_plot

PAGE = "performance-results.md"
NARRATIVE = "performance.md"
PLOTS = "performance"
"""The folder of the plots, beside the page."""

COLOURS = {
    QUORATE: ("#0072B2", "#6A3D9A", "#1B9AAA", "#0B3C5D", "#9E77C9", "#56B4E9"),
    POSTGRESQL: ("#D55E00",),
    ETCD: ("#2E8B57", "#85BB65"),
    APSW: ("#555555",),
    DISK: ("#999999",),
}
"""Each system has a family of colours; its lines differ by dash and marker too."""
SYSTEMS = tuple(COLOURS)

PER_S = ("per_s", "operations per second", False)
P50 = ("p50_ms", "p50, milliseconds", True)
P99 = ("p99_ms", "p99, milliseconds", True)
MEMORY = ("memory_mb", "memory of all nodes, MiB", False)
CPU = ("server_cpu_share", "CPU of all nodes, share of a core", False)
DESCRIPTORS = ("descriptors", "descriptors of all nodes", False)
Field = tuple[str, str, bool]
"""A field of a sample, its name on the axis, and whether the axis goes by powers of ten."""


class Chapter(Struct, frozen=True):
    """A part of the benchmark as the page shows it."""

    part: str
    title: str
    text: str
    x_label: str
    plots: tuple[Field, ...]
    columns: tuple[str, ...] = ("per_s", "p50_ms", "p99_ms", "server_cpu_us", "load_cpu_us", "memory_mb")


CHAPTERS = (
    Chapter(
        "update",
        "Durable updates",
        "One row is updated by its key; the answer comes when the write is fsynced on a majority (PostgreSQL: on the "
        "primary and one standby). Each client has a connection of its own and sends its next update when it has its "
        "answer; for “one shared connection” the axis says how many updates are in flight on it.",
        "clients",
        (PER_S, P50, P99),
    ),
    Chapter(
        "select",
        "Point reads",
        "One row is read by its key. PostgreSQL is read on its primary. `linearizable` asks a majority before it "
        "answers, in Quorate as in etcd; `leader` trusts that the leader still leads; `eventual` is the answer of "
        "one replica, as `serializable` is in etcd.",
        "clients",
        (PER_S, P50, P99),
    ),
    Chapter(
        "orm",
        "Read a row, update it, commit",
        "What an object-relational mapper does. PostgreSQL: BEGIN, SELECT, UPDATE, COMMIT by pgbench. Quorate, without "
        "a transaction: a read at `leader`, then a batch; once as raw frames from the load generator, once through the "
        "client library, whose own cost is then part of the figure.",
        "clients",
        (PER_S, P50),
    ),
    Chapter(
        "transactions",
        "Interactive transactions",
        "The same program in Python on both: Quorate's client, and psycopg 3 against PostgreSQL; asyncio, a connection "
        "for each client. BEGIN, SELECT, UPDATE, COMMIT on rows that no other client uses, and all on one row "
        "(PostgreSQL locks it with FOR UPDATE, Quorate runs again what lost: `run_transaction`); INSERT RETURNING and "
        "an INSERT that refers to it; 20 SELECTs, an aggregate and one of 1,000 rows among them, and one UPDATE; and "
        "the first beside one more client that has read and written in a transaction, and sleeps in it.",
        "clients",
        (PER_S, P50),
        ("per_s", "p50_ms", "p99_ms", "retries", "server_cpu_us", "load_cpu_us"),
    ),
    Chapter(
        "embedded commits",
        "Embedded: commits",
        "In one process, beside plain apsw with `journal_mode=WAL` and `synchronous=FULL`. Every commit is on the disk "
        "when the call returns.",
        "updates in each commit",
        (PER_S,),
        ("per_s", "p50_ms", "p99_ms", "server_cpu_us"),
    ),
    Chapter(
        "embedded reads",
        "Embedded: point reads",
        "In the same process; rows are fetched.",
        "",
        (),
        ("per_s", "p50_ms", "p99_ms", "server_cpu_us"),
    ),
    Chapter(
        "raw",
        "The machine's own limits",
        "A page appended and fdatasynced, and plain SQLite in one process: what any system on this disk and this "
        "processor stays below.",
        "",
        (),
        ("per_s", "p50_ms", "p99_ms", "server_cpu_us"),
    ),
    Chapter("rows", "More rows", "64 clients on tables of different sizes.", "rows", (PER_S, P50)),
    Chapter("values", "Wider values", "16 clients, values of different sizes.", "bytes of a value", (PER_S, P50)),
    Chapter(
        "active",
        "More databases, all in use",
        "The same 64 clients over more and more databases of three replicas each.",
        "databases",
        (PER_S, P50),
    ),
    Chapter(
        "idle",
        "More databases, none in use",
        "What three nodes cost together while nobody asks them anything; how fast the databases were created, one "
        "after the other; and how long one of the nodes takes to start with them and what it then holds.",
        "databases",
        (CPU, MEMORY, DESCRIPTORS),
        ("server_cpu_share", "per_s", "p50_ms", "server_cpu_us", "memory_mb", "peak_mb", "descriptors"),
    ),
    Chapter(
        "followers",
        "More followers",
        "64 clients; each group on a cluster of its own, all nodes on this one machine.",
        "followers",
        (PER_S, P50),
    ),
    Chapter(
        "failover",
        "Failover",
        "From `kill -9` of the leader to the first new acknowledged write, with eight clients writing. New means: "
        "begun after the process was certainly gone. The axis says how many leaders were killed.",
        "",
        (),
        ("p50_ms", "p99_ms"),
    ),
)

HEADINGS = {
    "per_s": "per second",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "server_cpu_us": "server CPU µs/op",
    "load_cpu_us": "generator CPU µs/op",
    "server_cpu_share": "CPU, share of a core",
    "memory_mb": "memory MiB",
    "peak_mb": "peak memory MiB",
    "descriptors": "descriptors",
    "retries": "retries",
}


def draw(results: Results, source: str, docs: Path) -> list[Path]:
    """Write the page and its plots into the folder; what was written. `source` is the results file's name."""
    place = docs / PLOTS
    place.mkdir(parents=True, exist_ok=True)
    for chapter in CHAPTERS:
        for field, _, _ in chapter.plots:  # others' plots lie there too
            (place / _file(chapter.part, field)).unlink(missing_ok=True)
    written = []
    for name, plot in plots(results):
        (place / name).write_text(draw_plot(plot), encoding="utf-8")
        written.append(place / name)
    (docs / PAGE).write_text(page(results, source, explained=(docs / NARRATIVE).exists()), encoding="utf-8")
    return [docs / PAGE, *written]


def plots(results: Results) -> list[tuple[str, Plot]]:
    """Every plot with its file's name."""
    out = []
    for chapter in CHAPTERS:
        measures = _of(results, chapter.part)
        for field, label, logarithmic in chapter.plots if measures else ():
            title = f"{chapter.title}: {label}"
            series = tuple(_series(measures, field))
            if any(len(each.points) > 1 for each in series):
                out.append(
                    (_file(chapter.part, field), Plot(title, chapter.x_label, label, series, logarithmic=logarithmic))
                )
    return out


def _file(part: str, field: str) -> str:
    return f"{part}-{field}".replace(" ", "-").replace("_", "-") + ".svg"


def _of(results: Results, part: str) -> list[Measure]:
    return [measure for measure in results.measures if measure.part == part]


def _series(measures: Sequence[Measure], field: str) -> Iterable[Series]:
    lines: dict[tuple[str, str], list[Point]] = {}
    for measure in measures:
        values = [float(getattr(each, field)) for each in measure.rounds]
        point = Point(measure.x, median(values), min(values), max(values))
        lines.setdefault((measure.system, measure.variant), []).append(point)
    styles: dict[str, int] = {}
    for (system, variant), points in sorted(lines.items(), key=lambda each: SYSTEMS.index(each[0][0])):
        style = styles[system] = styles.get(system, -1) + 1
        colours = COLOURS[system]
        yield Series(f"{system}, {variant}", tuple(points), colours[style % len(colours)], style)


def page(results: Results, source: str, *, explained: bool = False) -> str:
    """The page as Markdown; `explained`: there is a page that tells why figures are as they are."""
    drawn = {name for name, _ in plots(results)}
    out = [
        "# Performance results",
        "",
        f"Drawn by `python -m bench page` from `bench/results/{source}`; every number comes from that file.",
        "",
    ]
    if explained:
        out += [f"What was tried, and why figures are as they are, is in [{NARRATIVE}]({NARRATIVE}).", ""]
    if results.plan.quick:
        out += ["**A quick run**: rounds too short to quote; it shows that everything can be measured.", ""]
    out += _machine(results) + _ratios(results)
    for chapter in CHAPTERS:
        measures = _of(results, chapter.part)
        if measures:
            out += [f"## {chapter.title}", "", chapter.text, ""]
            for field, label, _ in chapter.plots:
                if (name := _file(chapter.part, field)) in drawn:
                    out += [f"![{chapter.title}: {label}]({PLOTS}/{name})", ""]
            out += _table(measures, chapter.columns)
    return "\n".join(out + _generator(results) + _notes(results)).rstrip("\n") + "\n"


def _machine(results: Results) -> list[str]:
    machine, plan = results.machine, results.plan
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items() if version)
    lines = [
        ("processor", f"{machine.processor}, {machine.cores} cores"),
        ("memory", f"{machine.memory_mb:,} MiB"),
        ("system", f"{machine.kernel}, {machine.filesystem}"),
        ("fdatasync, growing file", f"p50 {machine.fdatasync_p50_us:g} µs, p99 {machine.fdatasync_p99_us:g} µs"),
        ("versions", versions),
        ("commit", f"{results.commit or 'unknown'}, {results.started}"),
        (
            "rounds",
            (
                f"{plan.rounds} of {plan.seconds:g} s after {plan.warm_up:g} s of warm-up; {plan.rows:,} rows, "
                f"values of {plan.value_bytes} bytes"
            ),
        ),
    ]
    table = [f"| {name} | {value} |" for name, value in lines]
    explained = (
        "All systems, and the load generator, share this one machine; each figure is the median of its rounds, and a "
        "thin line in a plot spans the slowest and the fastest. Systems that are compared ran in turn, round by round."
    )
    return ["## The machine", "", "| | |", "|---|---|", *table, "", explained, ""]


def _ratios(results: Results) -> list[str]:
    if not results.ratios:
        return []
    rows = [
        f"| {each.part} | {each.variant} | {each.peer}, {each.peer_variant} | {each.x:,} | **{each.median:g}** |"
        f" {each.low:g} to {each.high:g} |"
        for each in results.ratios
    ]
    head = ["| what | Quorate | peer | at | ratio | range |", "|---|---|---|---:|---:|---:|"]
    text = (
        "Throughput of Quorate ÷ throughput of the peer: the median over pairs of neighbouring rounds. "
        "Above 1, Quorate did more."
    )
    return ["## Ratios", "", text, "", *head, *rows, ""]


def _table(measures: Sequence[Measure], columns: Sequence[str]) -> list[str]:
    head = "| system | how | at | " + " | ".join(HEADINGS[column] for column in columns) + " |"
    rule = "|---|---|---:|" + "---:|" * len(columns)
    rows = []
    for measure in sorted(measures, key=lambda each: (each.x, each.system != QUORATE)):
        cells = [_cell(measure.middle(column)) for column in columns]
        rows.append(f"| {measure.system} | {measure.variant} | {measure.x:,} | " + " | ".join(cells) + " |")
    return [head, rule, *rows, ""]


def _cell(value: float) -> str:
    if value == 0:
        return "-"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _generator(results: Results) -> list[str]:
    """How we know that the load generator was not the bottleneck."""
    most: dict[str, tuple[float, Measure]] = {}
    for measure in results.measures:
        share = measure.middle("load_cpu_share")
        if share > most.get(measure.system, (0.0, measure))[0]:
            most[measure.system] = (share, measure)
    if not most and not results.checks:
        return []
    out = [
        "## The load generator",
        "",
        (
            "It is one process with one thread. On a quiet core, a generator that was the bottleneck would use the "
            "whole of it; where servers and generator share all cores, it may instead wait for one, and then two "
            "generators would get more done than one. The most that it used in any median round:"
        ),
        "",
        "| system | generator's share of a core | where |",
        "|---|---:|---|",
        *(
            f"| {system} | {share:.2f} | {each.part}, {each.variant}, {each.x:,} |"
            for system, (share, each) in sorted(most.items())
        ),
        "",
    ]
    if results.checks:
        out += [
            (
                "Two generators with half of the connections each should not get more done than one with all: a ratio "
                "near 1 or below. The rate against a server that answers at once is bounded by that server too, which "
                "is Quorate's own sockets and codec; the generator's own time per request is what bounds it."
            ),
            "",
            "| check | system | value |",
            "|---|---|---:|",
            *(f"| {each.what} | {each.system} | {number(each.value)} {each.unit} |" for each in results.checks),
            "",
        ]
    return out


def _notes(results: Results) -> list[str]:
    if not results.notes:
        return []
    return ["## Notes", "", *(f"- {note}" for note in results.notes), ""]
