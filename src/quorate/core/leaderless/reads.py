"""How a coordinator reads a row: it merges what so many replicas hold. The newest is what the versions say, never what
more of them hold.

Where they differ, those of them who lack something are sent the merged state (read repair). With `blocking` the caller
hears nothing before all who were asked hold it durably: whoever reads later, with a quorum that meets this one, sees
nothing older.
"""

from collections.abc import Callable, Mapping
from typing import Any

from quorate.core.kernel import Send
from quorate.core.leaderless.gathering import Gathering, States
from quorate.core.leaderless.keeping import Keeper
from quorate.core.leaderless.messages import Store
from quorate.core.leaderless.spreading import Spreading, Waiting
from quorate.core.leaderless.writes import Numbers, done, merged
from quorate.core.replica import Host
from quorate.core.requests import Refused
from quorate.core.row_effects import RowKey, RowState
from quorate.core.row_requests import ReadRow
from quorate.core.versions.encoding import decode_row, encode_row
from quorate.core.versions.resolvers import SHOWING_ONE, Spec
from quorate.core.versions.row import MISSING, Row, empty, is_live, shown, shown_entry, siblings_of


class Reads:
    """All reads of which this replica is the coordinator."""

    def __init__(
        self,
        host: Host,
        group: int,
        keeper: Keeper,
        gathering: Gathering,
        spreading: Spreading,
        numbers: Numbers,
        specs: Mapping[str, Spec],
    ) -> None:
        self._host, self._group, self._keeper = host, group, keeper
        self._gathering, self._spreading, self._numbers, self._specs = gathering, spreading, numbers, specs

    def submit(self, id: int, body: ReadRow, r: int, until_us: int, *, blocking: bool) -> None:
        """Answer it, or say why not."""
        spec = self._specs.get(body.table)
        if spec is None:
            self._host.reply(id, Refused("ProgrammingError", f"no such table: {body.table}"))
            return

        def on_row(state: bytes) -> None:
            row = decode_row(state) if state else empty()
            self._host.reply(id, done([described(row, spec)] if is_live(row) else [], -1))

        self.gather(id, (body.table, body.key), r, until_us, on_row, blocking=blocking)

    def gather(
        self, id: int, key: RowKey, r: int, until_us: int, on_row: Callable[[bytes], None], *, blocking: bool
    ) -> None:
        """Call `on_row` with the row's merged state, or tell caller `id` why not."""

        def gathered(states: States) -> None:
            row = merged(states)
            state = encode_row(row) if row.context else b""
            lacking = [node for node, found in states.items() if found != state]

            def answer() -> None:
                on_row(state)

            if not lacking:
                answer()
            elif blocking:
                self._repair((*key, state), states, lacking, answer, id, until_us)
            else:
                answer()
                self._repair_aside((*key, state), lacking)

        def failed(why: str) -> None:
            self._host.reply(id, Refused("Unavailable", f"not read: {why}", retryable=True))

        self._gathering.ask(self._numbers(), key, r, until_us, gathered, failed)

    def _repair(
        self, row: RowState, states: States, lacking: list[int], answer: Callable[[], None], id: int, until_us: int
    ) -> None:
        def failed() -> None:
            text = "not read: replicas differ, and those that lack a write could not be given it in time"
            self._host.reply(id, Refused("Unavailable", text, retryable=True))

        holders = tuple([node for node in states if node not in lacking])
        self._spreading.send(self._numbers(), row, holders, [Waiting(len(states), until_us, answer, failed)])

    def _repair_aside(self, row: RowState, lacking: list[int]) -> None:
        for node in lacking:
            if node == self._host.me:
                self._keeper.keep((row,), lambda: None)
            else:
                self._host.emit(Send(node, Store(self._group, self._numbers(), (row,))))


def described(row: Row, spec: Spec) -> tuple[Any, ...]:
    """For each column its value, and the stamp and origin of the version that it is of; 0 where it is of several."""
    found: list[Any] = []
    for column, value in enumerate(shown(row, spec)):
        entry = (
            shown_entry(row, spec, column) if spec.columns[column] in SHOWING_ONE and siblings_of(row, column) else None
        )
        found += (None if value is MISSING else value, *(entry[0] if entry is not None else (0, 0)))
    return tuple(found)
