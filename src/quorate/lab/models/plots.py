"""Line plots as SVG text, with nothing but the standard library. Pure.

The values on the x axis are few and grow by factors, so they stand at equal distances. Each point is the median of
its rounds, and a thin line spans the slowest and the fastest round. Lines differ by marker and dash too, so that
colour is not needed to tell them apart.
"""

import math
from xml.sax.saxutils import escape

from msgspec import Struct

WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 44, 48
LEGEND_LINE = 20
LEGEND_COLUMNS = 2
DASHES = ("", "7 4", "2 3", "9 3 2 3")
TICKS = 5


class Point(Struct, frozen=True):
    x: int
    y: float
    low: float
    high: float


class Series(Struct, frozen=True):
    name: str
    points: tuple[Point, ...]
    colour: str = "#000000"
    style: int = 0
    """Which marker and which dash: another number for each line of one colour."""


class Plot(Struct, frozen=True):
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    logarithmic: bool = False
    """The y axis by factors of ten instead of from zero."""


def number(value: float) -> str:
    """Short: 1,200 · 34k · 1.5M · 0.25."""
    for unit, letter in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= unit:
            return f"{value / (1e3 if letter == 'k' else 1e6):.3g}{letter}"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def linear_ticks(top: float) -> list[float]:
    """From 0 to the first round number that is not below `top`."""
    if top <= 0:
        return [0.0, 1.0]
    rough = top / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    return [step * count for count in range(math.ceil(top / step) + 1)]


def decade_ticks(low: float, high: float) -> list[float]:
    """Powers of ten around the values."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]


class Axes:
    """Where values are on the drawing."""

    def __init__(self, plot: Plot, legend: int) -> None:
        points = [point for series in plot.series for point in series.points]
        self.xs = sorted({point.x for point in points})
        self.logarithmic = plot.logarithmic
        if self.logarithmic:
            values = [value for point in points for value in (point.low, point.high) if value > 0]
            self.ticks = decade_ticks(min(values, default=1.0), max(values, default=10.0))
        else:
            self.ticks = linear_ticks(max((point.high for point in points), default=1.0))
        self.top = TOP + legend
        self.bottom = HEIGHT + legend - BOTTOM

    def x(self, value: int) -> float:
        step = (WIDTH - LEFT - RIGHT) / len(self.xs)
        return LEFT + step * (self.xs.index(value) + 0.5)

    def y(self, value: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        if self.logarithmic:
            share = (math.log10(max(value, low)) - math.log10(low)) / (math.log10(high) - math.log10(low))
        else:
            share = (value - low) / (high - low)
        return self.bottom - share * (self.bottom - self.top)


def draw(plot: Plot) -> str:
    """The whole drawing."""
    legend = LEGEND_LINE * (-(-len(plot.series) // LEGEND_COLUMNS))
    axes = Axes(plot, legend)
    height = HEIGHT + legend
    out = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
            f' role="img" font-family="system-ui, sans-serif" font-size="12">'
        ),
        f"<title>{escape(plot.title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="22" font-size="15" font-weight="600" fill="#222222">{escape(plot.title)}</text>',
        *_grid(plot, axes),
    ]
    for order, series in enumerate(plot.series):
        out += _line(series, axes)
        out += _legend(series, order)
    return "\n".join([*out, "</svg>"]) + "\n"


def _grid(plot: Plot, axes: Axes) -> list[str]:
    out = []
    for tick in axes.ticks:
        y = axes.y(tick)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#555555">{number(tick)}</text>')
    for value in axes.xs:
        x = axes.x(value)
        out.append(
            f'<text x="{x:.1f}" y="{axes.bottom + 18}" text-anchor="middle" fill="#555555">{number(value)}</text>'
        )
    middle = (axes.top + axes.bottom) / 2
    out.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{axes.bottom + 38}" text-anchor="middle" fill="#222222">'
        f"{escape(plot.x_label)}</text>"
    )
    out.append(
        f'<text transform="translate(16 {middle:.0f}) rotate(-90)" text-anchor="middle" fill="#222222">'
        f"{escape(plot.y_label)}</text>"
    )
    return out


def _dash(series: Series) -> str:
    """The attribute for the dash."""
    dash = DASHES[series.style % len(DASHES)]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _line(series: Series, axes: Axes) -> list[str]:
    colour, dash = series.colour, _dash(series)
    points = sorted(series.points, key=lambda point: point.x)
    path = " ".join(f"{axes.x(point.x):.1f},{axes.y(point.y):.1f}" for point in points)
    out = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>']
    for point in points:
        x = axes.x(point.x)
        low, high = axes.y(point.low), axes.y(point.high)
        if abs(low - high) > 1:
            out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="{colour}"/>')
        label = f"{series.name}, {point.x:,}: {number(point.y)}"
        out.append(_marker(series.style, x, axes.y(point.y), colour, label))
    return out


def _marker(style: int, x: float, y: float, colour: str, label: str = "") -> str:
    """A circle, square, diamond or triangle; `label` shows when a pointer rests on it."""
    shapes = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"',
        f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7"',
        f'<polygon points="{x:.1f},{y - 5:.1f} {x + 5:.1f},{y:.1f} {x:.1f},{y + 5:.1f} {x - 5:.1f},{y:.1f}"',
        f'<polygon points="{x:.1f},{y - 5:.1f} {x + 5:.1f},{y + 4:.1f} {x - 5:.1f},{y + 4:.1f}"',
    )
    shape = shapes[style % len(shapes)]
    if not label:
        return f'{shape} fill="{colour}"/>'
    closing = shape[1:].split(" ", 1)[0]
    return f'{shape} fill="{colour}"><title>{escape(label)}</title></{closing}>'


def _legend(series: Series, order: int) -> list[str]:
    colour, dash = series.colour, _dash(series)
    x = LEFT + (order % LEGEND_COLUMNS) * (WIDTH - LEFT - RIGHT) / LEGEND_COLUMNS
    y = TOP + LEGEND_LINE * (order // LEGEND_COLUMNS)
    return [
        f'<line x1="{x:.1f}" x2="{x + 26:.1f}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}" stroke-width="2"{dash}/>',
        _marker(series.style, x + 13, y - 4, colour),
        f'<text x="{x + 32:.1f}" y="{y}" fill="#222222">{escape(series.name)}</text>',
    ]
