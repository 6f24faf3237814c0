# ruff: noqa: ASYNC109 - a time-out in seconds is part of the API
"""A cluster as tasks see it: its databases, its nodes, and what happens to them."""

import os
import secrets
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, Unpack

from quorate import errors
from quorate.client.carrier_aio import Client
from quorate.client.checks import check_database, check_databases, check_flag, check_kind, check_node, check_text
from quorate.client.credentials import Secret, check_login
from quorate.client.dropping import Closing, dropped_statements
from quorate.client.link_aio import sleep
from quorate.client.links import DIAL_MAX, LinkLost
from quorate.client.lost import Lost, LostWrite, Replayed, merged, replayed
from quorate.client.membership import MemberInfo, all_lead, check_newcomer, find, is_coming, members_of, unfinished
from quorate.client.options import check_change, check_options, explained
from quorate.client.pieces import (
    CATALOG_STATEMENTS,
    LEADER_SHOWN_BY,
    SHOWN_BY,
    VERIFY_TIMEOUT,
    DatabaseInfo,
    Tokens,
    catalog_databases,
    check_known,
    is_in_force,
    most_advanced,
)
from quorate.client.url import (
    DEFAULT_TIMEOUT,
    check_timeout,
    parse_address,
    parse_cluster_url,
    with_login,
    with_protection,
)
from quorate.client.users_aio import Users
from quorate.core.certificates import RevokeCertificate, SetTls, serial_of
from quorate.core.kernel import CATALOG_DATABASE
from quorate.core.options import LEADERLESS, MULTI_LEADER, SINGLE_LEADER, OptionKeywords, describe
from quorate.core.promises import Explanation
from quorate.core.read_levels import LEADER, LINEARIZABLE
from quorate.core.requests import (
    AddMember,
    AlterDatabase,
    CreateDatabase,
    Done,
    DropDatabase,
    Expired,
    Failover,
    FailoverReport,
    LostAsk,
    LostReport,
    RemoveMember,
    ReplaceMember,
    Replay,
    RequestBody,
    Run,
    Status,
    StatusReport,
    Upgrade,
    Verify,
)
from quorate.core.row_requests import RunRow
from quorate.core.statements import Statement, Token
from quorate.core.verdicts import VerifyReport
from quorate.wire.answers import decoded, read_outcome, results_of

READ_POLL = 0.02
"""Seconds between two looks at whether all nodes have read a change."""
CHANGE_POLL = 0.05
"""Seconds between two looks at whether a change has been carried out."""
MEMBERS_TIMEOUT = 60.0
"""Seconds that a change of members may take unless the caller says otherwise: a new node has to fetch everything."""


class Cluster:
    """A cluster as a whole: its databases, and how its nodes are."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float | None = None,
        user: str | None = None,
        password: Secret | None = None,
        token: Secret | None = None,
        tls: str | None = None,
        ca: "str | os.PathLike[str] | None" = None,
        certificate: "str | os.PathLike[str] | None" = None,
        key: "str | os.PathLike[str] | None" = None,
    ) -> None:
        target = with_protection(parse_cluster_url(url), tls, ca, certificate, key)
        target = with_login(target, check_login(user, password, token))
        seconds = target.timeout or DEFAULT_TIMEOUT if timeout is None else check_timeout(timeout)
        self._client = Client(
            target.addresses, seconds, cluster=target.cluster, protection=target.protection, credentials=target.login
        )
        self._tokens = Tokens(secrets.token_hex(8))

    async def create(
        self,
        name: str,
        *,
        replication: str = SINGLE_LEADER,
        replicas: int = 3,
        exists_ok: bool = False,
        timeout: float | None = None,
        **options: Unpack[OptionKeywords],
    ) -> None:
        """Create a database; it can be used on return. Its options are keyword arguments, for example `acks="sync"`:
        see docs/options.md. With `exists_ok` one that is there is left as it is, whatever its options and replicas are:
        `databases` says.

        Raises DatabaseExists (unless `exists_ok`), NotSupportedError, Unavailable, or MaybeDone: when it was created
        but its replicas did not come up in time, or the answer was lost; calling again with `exists_ok=True` goes on.
        """
        self._client.check()
        name, exists_ok = check_database(name), check_flag(exists_ok, "exists_ok")
        chosen = check_options(replication, options, replicas)
        seconds = self._client.timeout if timeout is None else check_timeout(timeout)
        deadline = time.monotonic() + seconds
        await self.change_catalog(
            lambda token: CreateDatabase(name, replication, chosen, replicas, token, exists_ok), seconds
        )
        question = Statement("SELECT 1")
        left = max(0.001, deadline - time.monotonic())
        try:
            if replication == LEADERLESS:
                await self._client.carry_row(RunRow(name, question), left, is_coming)
            else:
                run = Run(name, (question,), LINEARIZABLE, strongest=True)
                await self._client.request(run, name, level=LINEARIZABLE, timeout=left, patient=is_coming)
            asked = Status(database=name)
            while replication == MULTI_LEADER and not all_lead(
                await self._client.everywhere(asked, StatusReport, seconds)
            ):
                if time.monotonic() >= deadline:
                    raise errors.Unavailable("not all of its leaders are there")
                await sleep(CHANGE_POLL)
        except errors.Error as error:
            raise errors.MaybeDone(
                f"{name} is created, and its replicas have not come up in time: {error}",
                hint="create it again with exists_ok to go on waiting; see quorate status",
            ) from error

    async def drop(self, name: str, *, if_exists: bool = False, timeout: float | None = None) -> None:
        """Delete a database for good, with all that is in it. On return nothing can be read from it or written to it
        any more, and its name can be used again; nodes that are away delete their files when they come back. With
        `if_exists` one that is not there is no error.

        Raises UnknownDatabase (unless `if_exists`), ProgrammingError for the catalog, ChangeUnderWay, Unavailable, or
        MaybeDone: when the catalog has dropped it but too few of its replicas were closed in time, or the answer was
        lost; calling again with `if_exists=True` goes on waiting.
        """
        self._client.check()
        name, if_exists = check_database(name), check_flag(if_exists, "if_exists")
        seconds = self._client.timeout if timeout is None else check_timeout(timeout)
        deadline = time.monotonic() + seconds
        await self.change_catalog(lambda token: DropDatabase(name, token, if_exists), seconds)
        left = max(0.1, deadline - time.monotonic())
        question = Run(CATALOG_DATABASE, dropped_statements(name), LINEARIZABLE)
        try:
            body, _ = await self._client.request(question, CATALOG_DATABASE, level=LINEARIZABLE, timeout=left)
        except errors.Unavailable as error:
            raise errors.MaybeDone(f"{name} is dropped, but: {error}", hint=SHOWN_BY) from error
        closing = Closing(results_of(read_outcome(body.outcome), None))
        while closing.group:
            try:
                reports = await self.status(timeout=max(0.1, deadline - time.monotonic()))
            except errors.Unavailable:
                reports = []
            late = time.monotonic() >= deadline
            if closing.is_over(reports) or (late and closing.is_closed(reports)):
                return
            if late:
                raise errors.MaybeDone(
                    f"{name} is dropped, and too few of its replicas were closed in time",
                    hint="they are as soon as their nodes hear of it; drop it again with if_exists to go on waiting",
                )
            await sleep(CHANGE_POLL)

    async def alter(self, name: str, *, timeout: float | None = None, **options: Unpack[OptionKeywords]) -> None:
        """Change options of a database while it is in use; in force on return. They are keyword arguments, for example
        `acks="sync"`: see docs/options.md. Those that are not given, or are None, stay.

        Until then the stricter of the old and the new acks holds. Raises UnknownDatabase, ProgrammingError for options
        that its replicas can never meet, ChangeUnderWay when somebody else alters it at this moment (then
        nothing was altered), Unavailable, or MaybeDone: when the change was noted and its leader has not
        carried it out in time, it will still, and when the answer was lost, it may; calling again goes on waiting.
        """
        self._client.check()
        name = check_database(name)
        seconds = self._client.timeout if timeout is None else check_timeout(timeout)
        deadline = time.monotonic() + seconds
        wanted = check_change(options)
        await self.change_catalog(lambda token: AlterDatabase(name, wanted, token), seconds)
        while True:
            try:
                reports = await self.status(timeout=max(0.1, deadline - time.monotonic()))
            except errors.Unavailable:
                reports = []
            if is_in_force(reports, name, wanted):
                return
            if time.monotonic() >= deadline:
                raise errors.MaybeDone(
                    f"{name} is to have {describe(wanted)}, and its leader has not brought that about in time",
                    hint="it goes on trying; see quorate status",
                )
            await sleep(CHANGE_POLL)

    @property
    def users(self) -> Users:
        """Users, their tokens and roles, and the record of changes (docs/security.md)."""
        return Users(self)

    @property
    def timeout(self) -> float:
        """Seconds that a call may take unless it says otherwise."""
        return self._client.timeout

    async def read_catalog(self, statements: tuple[Statement, ...], seconds: float) -> Done:
        """What the catalog answers to these. Raises PermissionDenied, Unavailable."""
        question = Run(CATALOG_DATABASE, statements, LINEARIZABLE)
        body, _ = await self._client.request(question, CATALOG_DATABASE, level=LINEARIZABLE, timeout=seconds)
        return results_of(read_outcome(body.outcome), None)

    async def change_catalog(self, request: Callable[[Token], RequestBody], seconds: float) -> int:
        """Carry a change of the catalog through, under a token of its own; where the catalog's log stood then."""
        token = self._tokens.mint(None)
        while True:
            body, clean = await self._client.request(
                request(token), CATALOG_DATABASE, level=LEADER, token=token, timeout=seconds, shown_by=SHOWN_BY
            )
            outcome = read_outcome(body.outcome)
            if not isinstance(outcome, Expired) or not clean or token.seen or not body.index:
                break
            token = Token(token.id, body.index)
        self._tokens.heard(body.index)
        results_of(outcome, token)
        return body.index

    async def change_everywhere(
        self, request: Callable[[Token], RequestBody], timeout: float | None, revoked: str = ""
    ) -> None:
        """Carry a change of the catalog through, and wait until every node that answers has read it; not for one with
        the certificate that is revoked, which nobody tells."""
        seconds = self.timeout if timeout is None else check_timeout(timeout)
        deadline = time.monotonic() + seconds
        index = await self.change_catalog(request, seconds)
        while time.monotonic() < deadline:
            try:
                reports = await self.status(timeout=max(0.1, deadline - time.monotonic()))
            except errors.Error:  # nobody answers, or we may not ask, or not like this from now on
                return
            told = [report for report in reports if not revoked or report.certificate != revoked]
            if all(group.applied >= index for report in told for group in report.groups if group.group == 0):
                return
            await sleep(READ_POLL)

    async def set_tls(self, step: str, *, timeout: float | None = None) -> None:
        """Take the cluster's next step from plain text to TLS: `accepted` (nodes that have a certificate take both, and
        dial each other by TLS) or `required` (nothing in plain text, from anybody). There is no step back.

        Raises OperationalError, naming them, while a member is away or has no certificate and TLS is to be required.
        """
        step = check_text(step, "a step")
        await self.change_everywhere(lambda token: SetTls(step, token), timeout)

    async def revoke_certificate(self, serial: str, *, timeout: float | None = None) -> None:
        """Let no node believe the certificate with this number (in hexadecimal) any more: connections that it was shown
        on are closed. Raises ProgrammingError."""
        try:
            kept = serial_of(check_text(serial, "the number of a certificate"))
        except ValueError:
            hint = "`quorate certs show FILE` shows it"
            raise errors.ProgrammingError(f"{serial!r:.80} is not the number of a certificate", hint=hint) from None
        await self.change_everywhere(lambda token: RevokeCertificate(kept, token), timeout, revoked=kept)

    async def explain(self, name: str, *, timeout: float | None = None) -> Explanation:
        """What a database promises, how many nodes may be away, and what is lost when. Raises UnknownDatabase."""
        name = check_text(name, "the name of a database")
        return explained(await self.databases(timeout=timeout), name)

    async def members(self, *, timeout: float | None = None) -> list[MemberInfo]:
        """Every member of the cluster, by name, and what each holds. Raises Unavailable when no node answers."""
        return members_of(await self.status(timeout=timeout))

    async def add_member(
        self, address: str, *, databases: Sequence[str] = (), timeout: float = MEMBERS_TIMEOUT
    ) -> MemberInfo:
        """Take in the node that runs at this address (see `quorate init --join`), and give it a replica of each of
        these databases. On return it has caught up, and votes.

        Raises AlreadyMember, NodeRemoved, UnknownDatabase, ChangeUnderWay, Unavailable, or MaybeDone: when it was taken
        in and has not caught up in time, it still will, and when the answer was lost, it may; `members` shows it.
        """
        address, wanted = parse_address(address), check_databases(databases)
        deadline = time.monotonic() + check_timeout(timeout)
        reports = await self.status(timeout=timeout)
        node = await self._newcomer(address, reports, timeout)
        await self.change_catalog(lambda token: AddMember(node.node, node.name, address, token, wanted), timeout)
        return find(members_of(await self._carried_out(reports, deadline, f"{node.name} was taken in")), node.name)

    async def remove_member(self, name: str, *, timeout: float = MEMBERS_TIMEOUT) -> None:
        """Take a member out for good. Its replicas go to members that have none of that database, if there are any.
        On return no database needs it any more, and it can be stopped.

        Raises UnknownNode, LastVoter, NoMajority, ChangeUnderWay, OperationalError when a database could not keep its
        acks with the replicas that are left, or Unavailable or MaybeDone as `add_member` does.
        """
        name = check_node(name)
        deadline = time.monotonic() + check_timeout(timeout)
        reports = await self.status(timeout=timeout)
        member = find(members_of(reports), name)
        await self.change_catalog(lambda token: RemoveMember(member.node, token), timeout)
        await self._carried_out(reports, deadline, f"{name} was taken out")

    async def replace_member(self, name: str, by: str, *, timeout: float = MEMBERS_TIMEOUT) -> MemberInfo:
        """Put another node in the place of a member that is dead, or alive: `by` is a member's name, or the address of
        a node that is taken in first. Each database changes once, from the old voters to the new.

        Raises what `add_member` and `remove_member` do. When that is about the second step, the new node is a member.
        """
        name, by = check_node(name), check_node(by)
        deadline = time.monotonic() + check_timeout(timeout)
        reports = await self.status(timeout=timeout)
        known = members_of(reports)
        old = find(known, name)
        if all(by not in (member.name, member.address) for member in known):
            by = parse_address(by)
            node = await self._newcomer(by, reports, timeout)
            await self.change_catalog(lambda token: AddMember(node.node, node.name, by, token), timeout)
            reports = await self._carried_out(reports, deadline, f"{node.name} was taken in")
            known = members_of(reports)
        new = find(known, by)
        await self.change_catalog(lambda token: ReplaceMember(old.node, new.node, token), timeout)
        reports = await self._carried_out(reports, deadline, f"{new.name} takes the place of {name}")
        return find(members_of(reports), new.name)

    async def _newcomer(self, address: str, reports: list[StatusReport], seconds: float) -> StatusReport:
        """What the node at this address says of itself. Raises Unavailable, or why it cannot be taken in."""
        try:
            reply = await self._client.ask_again(address, Status(), min(seconds, 2 * DIAL_MAX))
        except LinkLost as lost:
            raise errors.Unavailable(f"no node answers at {address}: {lost}", hint="start it, then add it") from lost
        return check_newcomer(address, reply, reports)

    async def _carried_out(self, before: list[StatusReport], deadline: float, what: str) -> list[StatusReport]:
        """Wait until every database has the members that are wanted; what the nodes say then. Raises MaybeDone: the
        change is made, whoever answers."""
        change = max(report.changes for report in before) + 1
        while True:
            try:
                reports = await self.status(timeout=max(0.1, deadline - time.monotonic()))
                left = unfinished(reports, change)
            except errors.Unavailable:
                reports, left = [], "the catalog"
            if not left:
                return reports
            if time.monotonic() >= deadline:
                raise errors.MaybeDone(
                    f"{what}, and {left} has not got its members in time",
                    hint="it goes on; see quorate status and quorate member list",
                )
            await sleep(CHANGE_POLL)

    async def lost(self, database: str = "", *, timeout: float | None = None) -> Lost:
        """What failovers lost of databases with `acks = async`, of one or of all, as the nodes that answer keep it.
        Raises UnknownDatabase when no node that answers has heard of that database, and Unavailable."""
        database = check_text(database, "the name of a database")
        nodes = await self.status(timeout=timeout)  # to know every node
        found = merged((await self._client.everywhere(LostAsk(database), LostReport, timeout)).items())
        if database and found == Lost((), (), ()):
            check_known(database, nodes)
        return found

    async def lost_payload(self, write: LostWrite, *, timeout: float | None = None) -> bytes:
        """The bytes of a lost entry, as they were in the log. Raises Unavailable when no node that keeps it answers."""
        write = check_kind(write, LostWrite, "a lost write is one that `lost` has listed")
        question = LostAsk(write.database, write.group, write.epoch, write.index)
        reports = await self._client.everywhere(question, LostReport, timeout)
        for report in reports.values():
            if report.entries:
                return report.payload
        raise errors.Unavailable(f"no node that keeps {write.name} answers")

    async def replay(self, write: LostWrite, *, timeout: float | None = None) -> Replayed:
        """Apply a lost entry again, as far as it still fits; what does not is reported and left alone. Once, however
        often it is called. Raises Expired when an earlier replay was cut short so long ago that nobody can tell."""
        payload = await self.lost_payload(write, timeout=timeout)
        groups = [group for report in await self.status(timeout=timeout) for group in report.groups]
        seen = max((group.last for group in groups if group.group == write.group), default=0)
        place = (write.database, write.group, write.epoch, write.index)
        begun = await self._client.everywhere(LostAsk(*place, "begun", seen), LostReport, timeout)
        seen = min((report.seen for report in begun.values() if report.entries), default=seen)
        token = Token(f"lost:{write.name}", seen)
        body, _ = await self._client.request(
            Replay(write.database, payload, token), write.database, level=LEADER, token=token, timeout=timeout
        )
        done = results_of(read_outcome(body.outcome), token)
        await self._client.everywhere(LostAsk(*place, "replayed"), LostReport, timeout)
        return replayed(done.results[0])

    async def databases(self, *, timeout: float | None = None) -> list[DatabaseInfo]:
        """Every database of the cluster, by name."""
        body, _ = await self._client.request(
            Run(CATALOG_DATABASE, CATALOG_STATEMENTS, LINEARIZABLE),
            CATALOG_DATABASE,
            level=LINEARIZABLE,
            timeout=timeout,
        )
        return catalog_databases(results_of(read_outcome(body.outcome), None))

    async def status(self, *, timeout: float | None = None) -> list[StatusReport]:
        """What each node that answers says of itself, by node name. Raises Unavailable when none does."""
        reports = await self._client.everywhere(Status(), StatusReport, timeout)
        return sorted(reports.values(), key=lambda report: report.name)

    async def upgrade(self, *, timeout: float | None = None) -> int:
        """Raise the cluster's format number to the newest that any member reads: the end of a rolling upgrade, and
        there is no way back. Returns the number; when it was raised before, nothing changes.

        Raises OperationalError, naming them, while a member is away or runs an older release.
        """
        reports = await self.status(timeout=timeout)
        number = max(report.highest for report in reports)
        older = [f"{each.name} reads up to format {each.highest}" for each in reports if each.highest < number]
        if older:  # they could not even read the question
            hint = "every member must run the newer release; then finalize again"
            raise errors.OperationalError(f"not raised to format {number}: {', '.join(older)}", hint=hint)
        token = self._tokens.mint(None)
        upgrade = Upgrade(number, token)
        body, _ = await self._client.request(
            upgrade, CATALOG_DATABASE, level=LEADER, token=token, timeout=timeout, shown_by=SHOWN_BY
        )
        self._tokens.heard(body.index)
        results_of(read_outcome(body.outcome), token)
        return number

    async def verify(self, database: str | None = None, *, timeout: float = VERIFY_TIMEOUT) -> list[VerifyReport]:
        """Compare what the replicas of a database hold, or of every database and the catalog when none is named.

        Replicas that differ from a majority, and damaged ones, are told to fetch a copy: `rebuilt` in the report
        says so, and `status` shows when it is done. `timeout` seconds for each database. Raises UnknownDatabase or
        Unavailable; the nodes go on comparing then, and a later call joins them.
        """
        check_timeout(timeout)
        if database is not None:
            names = [check_database(database)]
        else:
            names = [CATALOG_DATABASE, *(each.name for each in await self.databases(timeout=timeout))]
        reports: list[VerifyReport] = []
        for name in names:
            body, _ = await self._client.request(Verify(name), name, level=LEADER, timeout=timeout)
            reports.append(decoded(body.outcome, VerifyReport))
        return reports

    async def failover(
        self, name: str, *, to: str | None = None, accept_loss: bool = False, timeout: float | None = None
    ) -> FailoverReport:
        """Let the replica on node `to` lead a database, or the live one that has most when no node is named.

        Where a leader is at work nothing fails: it goes on until the other has everything, then holds new writes until
        the other leads. Where nobody leads, the node stands, and needs the votes that the acks ask for; with
        `accept_loss` a majority is enough, and what only those had committed that are away is lost (`lost` lists it).
        Returns who leads; at once when that node does already.

        Raises UnknownDatabase, UnknownNode, OperationalError when it holds no replica, is away, cannot take over (then
        the old leader goes on), or is not elected; MaybeDone when it was told to and has not in time, or the answer was
        lost: the old leader goes on, and the other may still take over.
        """
        seconds = self._client.timeout if timeout is None else check_timeout(timeout)
        deadline = time.monotonic() + seconds
        name, accept_loss = check_database(name), check_flag(accept_loss, "accept_loss")
        wanted = "" if to is None else check_node(to)
        wanted = wanted or most_advanced(await self.status(timeout=seconds), name)
        question = Failover(name, wanted, accept_loss)
        left = max(0.001, deadline - time.monotonic())
        body, _ = await self._client.request(question, name, level=LEADER, timeout=left, shown_by=LEADER_SHOWN_BY)
        return decoded(body.outcome, FailoverReport)

    async def close(self) -> None:
        """Hang up. Closing again does nothing."""
        await self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
