"""How a client finds out that a dropped database is closed."""

from collections.abc import Iterable
from typing import Any

from quorate.core.catalog import DROPPED_QUERY
from quorate.core.requests import Done, StatusReport
from quorate.core.statements import Statement


def dropped_statements(name: str) -> tuple[Statement, ...]:
    """How to read from the catalog what the last dropped database of this name was."""
    return (Statement(DROPPED_QUERY, ((name,),)),)


class Closing:
    """A dropped database, and who must have closed it."""

    def __init__(self, done: Done) -> None:
        rows: Any = done.results[0].rows
        self.group = int(rows[0][0]) if rows else 0
        self._nodes = frozenset(int(node) for row in rows for node in row[1].split(",") if node)

    def is_closed(self, reports: Iterable[StatusReport]) -> bool:
        """Whether a majority of those who held it have closed it for good: nothing can count in it any more."""
        return 2 * len(self._closed(reports)) > len(self._nodes)

    def is_over(self, reports: Iterable[StatusReport]) -> bool:
        """Whether, besides, all of them have that answer."""
        reports = list(reports)
        asked = {report.node for report in reports} & self._nodes
        return self.is_closed(reports) and asked <= self._closed(reports)

    def _closed(self, reports: Iterable[StatusReport]) -> frozenset[int]:
        return self._nodes & {report.node for report in reports if self.group in report.dropped}
