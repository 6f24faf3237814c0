"""Asking single nodes as threads see it.

Generated from `client/asking_aio.py` by `tools/async_to_sync.py`: edit that one.
"""

import time
from typing import Any, TypeVar

from quorate import errors
from quorate.client.link_sync import Link
from quorate.client.links import DIAL_MAX, LinkLost, foreign_node
from quorate.client.routing import PATIENCE_FIRST
from quorate.client.url import check_timeout
from quorate.core.requests import ReplyBody, RequestBody, Status, StatusReport

T = TypeVar("T")


class Asking:
    """A client, as far as a certain node is to answer, or whichever does."""

    def mention(self: Any, address: str, body: RequestBody) -> None:
        """Say something to a node, and wait for no answer; without a link to it, it hears nothing. Raises LinkLost."""
        link = self._links.get(address)
        if link is not None and link.usable and not self._closed:
            link.forget(link.send(body, self.timeout))

    def ask_node(self: Any, address: str, body: RequestBody, seconds: float, waits_us: int = 0) -> ReplyBody:
        """Ask one node, once; `waits_us`: how long it is told that anybody waits. Raises LinkLost; also when it does
        not answer in time."""
        self.check()
        link = self._link(address, seconds)
        waiting = link.send(body, seconds, waits_us)
        try:
            answer: ReplyBody | None = link.wait(waiting, seconds)
        finally:
            link.forget(waiting)
        if answer is None:
            raise LinkLost("no answer in time", sent=True)
        return answer

    def ask_again(self: Any, address: str, body: RequestBody, seconds: float) -> ReplyBody:
        """Ask one node; once more when the link was one to an earlier life of it. Raises LinkLost."""
        reply: ReplyBody
        try:
            reply = self.ask_node(address, body, seconds)
        except LinkLost as lost:
            if not (lost.sent or lost.unread):
                raise
            reply = self.ask_node(address, body, seconds)
        return reply

    def everywhere(self: Any, body: RequestBody, kind: type[T], timeout: float | None) -> dict[str, T]:
        """Ask every node that is known; the answers of this kind, by address. Raises Unavailable when there is none."""
        self.check()
        seconds = min(self.timeout if timeout is None else check_timeout(timeout), 2 * DIAL_MAX)
        reports: dict[str, T] = {}
        asked: set[str] = set()
        reasons: list[str] = []
        login: errors.AuthenticationError | None = None
        while True:
            left = [address for address in self.addresses if address not in asked]
            if not left:
                break
            asked.add(left[0])
            try:
                report = self.ask_again(left[0], body, seconds)
            except LinkLost as lost:
                if lost.foreign and self._directory.is_named(left[0]):
                    raise foreign_node(left[0], str(lost)) from lost
                reasons.append(f"{left[0]}: {lost}")
                login = lost.login or login
                continue
            if isinstance(report, kind):
                reports[left[0]] = report
            if isinstance(report, StatusReport):
                self.learn(member.address for member in report.members if member.address)
        if not reports:
            raise login or errors.Unavailable("no node answers: " + "; ".join(reasons))
        return reports

    def greet(self: Any, timeout: float | None) -> None:
        """Hear of one node that is known. Raises Unavailable with what became of each."""
        self._first(Status(members_only=True, database=self._database), timeout)

    def _first(self: Any, body: Status, timeout: float | None) -> StatusReport | None:
        """What the first node says that answers; None: it refuses. Raises Unavailable with what became of each."""
        self.check()
        seconds = min(self.timeout if timeout is None else check_timeout(timeout), 2 * DIAL_MAX)
        reasons: list[str] = []
        login: errors.AuthenticationError | None = None
        for address in self.addresses:
            try:
                report = self.ask_again(address, body, seconds)
            except LinkLost as lost:
                if lost.foreign and self._directory.is_named(address):
                    raise foreign_node(address, str(lost)) from lost
                reasons.append(f"{address}: {lost}")
                login = lost.login or login
                continue
            if isinstance(report, StatusReport):
                self.learn(member.address for member in report.members if member.address)
                return report
            return None
        raise login or errors.Unavailable("no node answers: " + "; ".join(reasons))

    def meet(self: Any, timeout: float | None = None) -> None:
        """Exchange greetings with one node that is known. Raises Unavailable with what became of each; at once when all
        of them refuse."""
        self.check()
        until = time.monotonic() + (self.timeout if timeout is None else check_timeout(timeout))
        reasons: list[str] = []
        login: errors.AuthenticationError | None = None
        addresses = self.addresses
        for number, address in enumerate(addresses):
            seconds = max(
                0.001, (until - time.monotonic()) / (len(addresses) - number)
            )  # one that is silent is not all
            try:
                link = self._link(address, seconds)
                self._ask_kind(link)
            except LinkLost as lost:
                if lost.foreign and self._directory.is_named(address):
                    raise foreign_node(address, str(lost)) from lost
                reasons.append(f"{address}: {lost}")
                login = lost.login or login
            else:
                return
        raise login or errors.Unavailable("no node answers: " + "; ".join(reasons))

    def _ask_kind(self: Any, link: Link) -> None:
        """Hear from a node how the database is replicated, if it says so at once: else others will. Raises LinkLost."""
        if self._database:
            waiting = link.send(Status(members_only=True, database=self._database), PATIENCE_FIRST)
            report = link.wait(waiting, PATIENCE_FIRST)
            link.forget(waiting)
            if isinstance(report, StatusReport):
                with self._decide:
                    self._learn_kind(report)
