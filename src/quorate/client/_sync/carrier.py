"""Carrying requests through as threads see it.

Generated from `client/carrier_aio.py` by `tools/async_to_sync.py`: edit that one.
"""

import os
import random
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from quorate import errors
from quorate.client._sync.asking import Asking
from quorate.client.credentials import NOBODY, Credentials
from quorate.client.directory import Directory
from quorate.client.homes import ANY, Home
from quorate.client.link_sync import Link, Lock, Pending, dial, sleep
from quorate.client.links import LinkLost, Patience
from quorate.client.protection import Protection
from quorate.client.results import closed
from quorate.client.routing import MEMBERS_EVERY, Ask, Call, GiveUp, Wait
from quorate.client.row_calls import RowCall
from quorate.client.url import check_timeout, split_address
from quorate.client.without_leader import may_repeat, refusal
from quorate.core.bounds import GroupId
from quorate.core.options import LEADERLESS
from quorate.core.repeats import Budget
from quorate.core.requests import Answer, Leaders, Outcome, ReplyBody, RequestBody, Status, StatusReport
from quorate.core.row_requests import RunRow, SchemaFits
from quorate.core.statements import Token

T = TypeVar("T")


class Client(Asking):
    """Links to a cluster's nodes, shared by everything that speaks through it; carries requests through."""

    def __init__(
        self,
        addresses: Iterable[str],
        timeout: float,
        *,
        always: bool = False,
        key: str = "",
        cluster: str = "",
        protection: Protection = Protection(),  # noqa: B008 - frozen
        credentials: Credentials = NOBODY,
        database: str = "",
    ) -> None:
        """`database`: the one that it is about, if it is about one."""
        self.timeout = timeout
        self._protection = protection
        self._credentials = credentials
        self._always = always
        """What takes long is sent to other nodes as well."""
        self._database = database
        self._rng = random.Random(secrets.randbits(64))
        self._directory = Directory(addresses, self._rng, key)
        self._budget = Budget()
        self._decide = threading.Lock()
        """Guards the directory, the budget and the rng; never held while waiting."""
        self._links: dict[str, Link] = {}
        self._dialling: dict[str, Lock] = {}
        self._dial_failures: dict[str, tuple[float, LinkLost]] = {}
        self._patience = Patience()
        self._under_way: dict[Call, dict[str, tuple[Link, Pending]]] = {}
        """Calls, and where each waits for an answer."""
        self._cluster = cluster
        self._process = os.getpid()
        self._closed = False
        self._finalizer = weakref.finalize(self, _hang_up, self._links)

    @property
    def cluster(self) -> str:
        """The id of the cluster; empty until a node has answered, unless the URL has named it."""
        return self._cluster

    @property
    def addresses(self) -> tuple[str, ...]:
        """The nodes that are known: those that were named, then those that answers named."""
        return tuple(self._directory.addresses)

    @property
    def several(self) -> bool:
        """Whether the database is known to have several leaders, so that the next answer may come from another one."""
        return self._database in self._directory.several

    @property
    def unled(self) -> bool:
        """Whether the database is known to have no leader."""
        return self._database in self._directory.unled

    def check_led(self, call: str) -> None:
        """Raises NotSupportedError where the database is known to have no leader, and this call needs one."""
        if self.unled:
            raise refusal(call)

    def home(self, database: str) -> GroupId:
        """The group of the leader that this client writes to, where a database has several."""
        return self._directory.homes.get(database, ANY)

    def leaders(self, database: str, timeout: float | None) -> tuple[Leaders, ...]:
        """The leaders of a database, if it has several. Raises Unavailable."""
        report = self._first(Status(members_only=True, database=database), timeout)
        return report.leaders if report is not None else ()

    def learn(self, addresses: Iterable[str]) -> None:
        """These are nodes of the cluster too."""
        with self._decide:
            for address in addresses:
                self._directory.learn(address)

    def shun(self, address: str) -> None:
        """This node has failed: ask others first for a while."""
        with self._decide:
            self._directory.failed(address, time.monotonic())

    def close(self) -> None:
        """Hang up. Requests under way are lost; closing again does nothing."""
        self._closed = True
        for link in list(self._links.values()):
            link.close()
        self._links.clear()
        self._finalizer.detach()

    def check(self) -> None:
        """Raises InterfaceError when this client is closed or was carried over a fork."""
        if self._closed:
            closed("connection")
        if os.getpid() != self._process:
            raise errors.InterfaceError(
                "this connection was opened before a fork and belongs to the parent process",
                hint="connect again in the child",
            )

    def request(
        self,
        body: RequestBody,
        database: str,
        *,
        level: str,
        token: Token | None = None,
        timeout: float | None = None,
        patient: Callable[[errors.Error], bool] | None = None,
        shown_by: str = "",
    ) -> tuple[Answer, bool]:
        """Carry one request through; its answer, and whether no other send of it may have done anything.

        Raises Unavailable (not done), MaybeDone, or what a node refused it with.
        """
        answer, call = self.carry(
            body, database, level=level, token=token, timeout=timeout, patient=patient, shown_by=shown_by
        )
        return answer, call.clean

    def carry(
        self,
        body: RequestBody,
        database: str,
        *,
        level: str,
        token: Token | None = None,
        timeout: float | None = None,
        patient: Callable[[errors.Error], bool] | None = None,
        shown_by: str = "",
    ) -> tuple[Answer, Call]:
        """As `request`; the answer, and what became of all its sends."""
        self.check()
        deadline = time.monotonic() + (self.timeout if timeout is None else check_timeout(timeout))
        named = getattr(body, "token", None)
        with self._decide:
            call = Call(
                self._directory,
                self._budget,
                self._rng,
                database,
                level=level,
                token=token,
                deadline=deadline,
                patient=patient,
                shown_by=shown_by,
                always=self._always,
                home=Home(named.group if named else ANY, self._directory.homes, database, asks=type(body) is Outcome),
            )
        answer = self._through(call, body)
        if type(answer) is not Answer:
            raise errors.InternalError(f"a node answered a request with {type(answer).__name__}")
        return answer, call

    def carry_row(
        self, body: RunRow, timeout: float, patient: Callable[[errors.Error], bool] | None = None
    ) -> Answer | SchemaFits:
        """Carry a statement through on a database without a leader. Raises as `request` does."""
        self.check()
        deadline = time.monotonic() + check_timeout(timeout)
        writes = not may_repeat(body)
        with self._decide:
            call = RowCall(
                self._directory, self._budget, self._rng, body.database,
                deadline=deadline, writes=writes, patient=patient,
            )  # fmt: skip
        answer = self._through(call, body)
        if not isinstance(answer, Answer | SchemaFits):
            raise errors.InternalError(f"a node answered a request with {type(answer).__name__}")
        return answer

    def _through(self, call: Call, body: RequestBody) -> ReplyBody:
        """Do what the call decides until it is answered."""
        pending: dict[str, tuple[Link, Pending]] = {}
        with self._decide:
            self._under_way[call] = pending
        try:
            while True:
                answer = self._turn(call, body, pending)
                if answer is not None:
                    return answer
                self.check()
        finally:
            with self._decide:
                del self._under_way[call]
            leaves = call.interrupted or (call.reads and time.monotonic() < call.deadline)
            for link, waiting in pending.values():
                link.forget(waiting, tell=leaves)

    def interrupt(self) -> None:
        """All calls are to wait no more. Raises InterfaceError when this client is closed."""
        self.check()
        with self._decide:
            for call, pending in self._under_way.items():
                call.interrupted = True
                for link, waiting in tuple(pending.values()):
                    link.wake(waiting)

    def _turn(self, call: Call, body: RequestBody, pending: dict[str, tuple[Link, Pending]]) -> ReplyBody | None:
        """Do the call's next step; the answer when that ended it."""
        if pending:
            for address, (link, waiting) in list(pending.items()):
                answer = self._hear(call, address, link, waiting, pending, None)
                if answer is not None:
                    return answer
        with self._decide:
            step = call.next(time.monotonic())
            if type(step) is Ask and step.address not in pending:
                call.sent(step.address)
        if isinstance(step, GiveUp):
            raise step.error
        if isinstance(step, Wait):
            if not pending:
                sleep(step.seconds)
                return None
            address, (link, waiting) = next(iter(pending.items()))
            return self._hear(call, address, link, waiting, pending, step.seconds)
        if step.address not in pending and not self._send(call, body, step, pending):
            return None
        if call.interrupted:
            return None
        link, waiting = pending[step.address]
        heard = self._hear(call, step.address, link, waiting, pending, step.patience)
        if heard is None and step.address in pending:
            with self._decide:
                call.silent(step.address)
        return heard

    def _send(self, call: Call, body: RequestBody, step: Ask, pending: dict[str, tuple[Link, Pending]]) -> bool:
        """Send the request to the node of this step; False when there is no connection."""
        try:
            link, now = self._links.get(step.address), time.monotonic()
            if link is None or not link.usable or link.hung_up(now):
                link = self._link(step.address, step.patience, call.left_us(now) / 1e6)
                now = time.monotonic()
            asked = call.outgoing(body)
            pending[step.address] = (link, link.send(asked, step.patience, call.left_us(now)))
            if now >= link.members_at:
                self._ask_members(link, now, step.patience)
        except LinkLost as lost:
            with self._decide:
                call.lost(
                    step.address,
                    time.monotonic(),
                    str(lost),
                    sent=lost.sent,
                    late=lost.late,
                    foreign=lost.foreign,
                    login=lost.login,
                )
            return False
        return True

    def _ask_members(self, link: Link, now: float, seconds: float) -> None:
        """Ask who the members are, beside a request on its link. Nobody waits for the answer: it is looked at when
        the request's comes, or at the next."""
        with self._decide:
            if now < link.members_at:
                return
            link.members_at = now + MEMBERS_EVERY
            unanswered, link.members = link.members, None
        if unanswered is not None:
            link.forget(unanswered)
        with suppress(LinkLost):  # the request is under way, and will be told
            link.members = link.send(Status(members_only=True, database=self._database), seconds)

    def _learn_members(self, link: Link) -> None:
        """Look at what a node has said of the members, if it has."""
        with self._decide:
            if link.members is None or link.members.body is None:
                return
            report, link.members = link.members.body, None
            if isinstance(report, StatusReport) and not report.removed:
                self._learn_kind(report)
                self._directory.members((member.address for member in report.members), report.changes)

    def _learn_kind(self, report: StatusReport) -> None:
        """Take from a node's report how the database is replicated."""
        if report.leaders:
            self._directory.several.add(self._database)
        if report.replication == LEADERLESS:
            self._directory.unled.add(self._database)

    def _hear(
        self,
        call: Call,
        address: str,
        link: Link,
        waiting: Pending,
        pending: dict[str, tuple[Link, Pending]],
        seconds: float | None,
    ) -> ReplyBody | None:
        """Look (`seconds` is None) or wait for an answer; it, when it ends the call."""
        try:
            answer = link.answer(waiting) if seconds is None else link.wait(waiting, seconds)
        except LinkLost as lost:
            self._learn_members(link)
            del pending[address]
            with self._decide:
                if lost.unread:
                    call.dropped(address)
                    return None
                _note(call, address, waiting)
                call.lost(address, time.monotonic(), str(lost), sent=lost.sent, late=lost.late)
            return None
        if link.members is not None:
            self._learn_members(link)
        if answer is None:
            with self._decide:
                _note(call, address, waiting)
            return None
        del pending[address]
        with self._decide:
            _note(call, address, waiting)
            ended = call.told(address, time.monotonic(), answer)
        return answer if ended else None

    def _link(self, address: str, seconds: float, most: float = 0.0) -> Link:
        """The link to a node, dialled if need be, in so many seconds; or in `most`, behind dials that ran out of time.
        Raises LinkLost."""
        link = self._links.get(address)
        if link is not None and link.usable:
            return link
        wanted = time.monotonic()
        lock = self._dialling.setdefault(address, Lock())
        with lock:
            link = self._links.get(address)
            if link is not None and link.usable:
                return link
            failed, why = self._dial_failures.get(address, (0.0, None))
            if why is not None and failed >= wanted:  # somebody else has just tried, while this one was waiting
                raise LinkLost(str(why), sent=False, foreign=why.foreign, login=why.login)
            try:
                seconds = self._patience.seconds(address, seconds, most)
                link = dial(address, self._cluster, seconds, self._protection, self._credentials)
            except LinkLost as lost:
                self._dial_failures[address] = (time.monotonic(), lost)
                if lost.late and self._protection.encrypts(split_address(address)[0]):
                    self._patience.late(address, seconds)
                raise
            self._patience.connected(address)
            if self._closed:
                link.close()
                closed("connection")
            self._cluster = link.cluster
            self._links[address] = link
            return link


def _note(call: Call, address: str, waiting: Pending) -> None:
    """Tell the call what the node has said before its answer."""
    if waiting.running:
        call.runs(address)
    if waiting.minted is not None:
        call.minted(waiting.minted)


def _hang_up(links: dict[str, Link]) -> None:
    """What is left to do for a client that was dropped without being closed."""
    for link in links.values():
        link.abandon()
    links.clear()
