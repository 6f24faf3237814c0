"""How the demo tells its story: plain lines, or on a terminal a picture that moves. Always on stderr."""

import sys
import time
from typing import Any, Protocol

from msgspec import Struct

BARS = " ▁▂▃▄▅▆▇█"
SLOT_S = 0.2
"""How much time one bar of the timeline stands for."""
SLOTS = 60


class Figures(Struct, frozen=True):
    """What is going on, as numbers that only grow."""

    orders: int
    reads: int
    unclear: int
    nodes: tuple[tuple[str, str], ...] = ()
    """Each node's name, and what it is doing."""


class View(Protocol):
    """Where the story goes."""

    def say(self, text: str) -> None:
        """Something happened."""

    def show(self, figures: Figures) -> None:
        """The work goes on; called about ten times a second."""

    def close(self) -> None:
        """The moving part is over."""


class PlainView:
    """Lines, and a line of progress each second."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._shown = -1

    def say(self, text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - self._begun:6.1f} s  {text}\n")
        sys.stderr.flush()

    def show(self, figures: Figures) -> None:
        second = int(time.monotonic() - self._begun)
        if second > self._shown:
            self._shown = second
            self.say(f"{figures.orders} orders acknowledged, {figures.reads} reads")

    def close(self) -> None:
        pass


class Timeline:
    """Acknowledged orders in slots of time, drawn as bars: a failover is the gap."""

    def __init__(self, now: float) -> None:
        self._begun = now
        self._before = 0
        self.slots: list[int] = [0]

    def add(self, orders: int, now: float) -> None:
        slot = int((now - self._begun) / SLOT_S)
        while len(self.slots) <= slot:
            self.slots.append(0)
        self.slots[slot] += orders - self._before
        self._before = orders

    def bars(self) -> str:
        last = self.slots[-SLOTS - 1 : -1]
        top = max(last, default=0) or 1
        return "".join(BARS[-(-each * (len(BARS) - 1) // top)] for each in last)

    def rate(self) -> float:
        """Orders a second, over the last full second."""
        last = self.slots[-6:-1]
        return sum(last) / (len(last) * SLOT_S) if last else 0.0


class RichView:
    """The same lines, and below them what moves."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True, highlight=False)
        self._live = Live("", console=self._console, refresh_per_second=10, transient=True)
        self._begun = time.monotonic()
        self._timeline = Timeline(self._begun)
        self._moving = False

    def say(self, text: str) -> None:
        from rich.text import Text

        clock = f"{time.monotonic() - self._begun:6.1f} s  "
        self._console.print(Text.assemble((clock, "dim"), text), soft_wrap=True)

    def show(self, figures: Figures) -> None:
        now = time.monotonic()
        self._timeline.add(figures.orders, now)
        if not self._moving:
            self._moving = True
            self._live.start()
        self._live.update(self._picture(figures))

    def _picture(self, figures: Figures) -> Any:
        from rich.panel import Panel
        from rich.text import Text

        nodes = "   ".join(f"{name} {state}" for name, state in figures.nodes)
        lines = [
            f"orders acknowledged {figures.orders:>8}   {self._timeline.rate():>7.0f} a second",
            f"linearizable reads  {figures.reads:>8}   unclear {figures.unclear}",
            self._timeline.bars().ljust(SLOTS),
            nodes,
        ]
        return Panel(Text("\n".join(lines)), title="the store is open", expand=False)

    def close(self) -> None:
        if self._moving:
            self._moving = False
            self._live.stop()


def make_view() -> View:
    """A moving picture on a terminal, plain lines elsewhere."""
    return RichView() if sys.stderr.isatty() else PlainView()
