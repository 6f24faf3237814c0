"""What a caller is told of the members of a cluster, and whether a change of them was carried out."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from quorate import errors
from quorate.core.kernel import CATALOG_DATABASE
from quorate.core.requests import GroupStatus, ReplyBody, StatusReport


class MemberInfo(Struct, frozen=True):
    """One member, and what it holds."""

    name: str
    node: int
    address: str
    alive: bool
    databases: tuple[str, ...] = ()
    """Of whose voters it is one."""
    learning: tuple[str, ...] = ()
    """Whose log it receives without a vote (yet)."""
    catalog: str = ""
    """voter or learner"""


def speakers(reports: Iterable[StatusReport]) -> dict[int, tuple[StatusReport, GroupStatus]]:
    """For each group who answers for it (`GroupStatus.speaks`) in the newest epoch, and what it says."""
    found: dict[int, tuple[StatusReport, GroupStatus]] = {}
    for report in reports:
        for group in report.groups:
            known = found.get(group.group)
            if group.speaks and (known is None or known[1].epoch < group.epoch):
                found[group.group] = report, group
    return found


def members_of(reports: Sequence[StatusReport]) -> list[MemberInfo]:
    """Every member, by name, as the node knows it that has seen the newest change."""
    newest = max(reports, key=lambda report: (not report.removed, report.changes, len(report.members)))
    answering = {report.node for report in reports}
    groups = [group for _, group in speakers(reports).values()]
    return sorted(
        (
            MemberInfo(
                member.name,
                member.node,
                member.address,
                member.alive or member.node in answering,
                tuple(sorted(_databases(groups, member.node, learning=False))),
                tuple(sorted(_databases(groups, member.node, learning=True))),
                _catalog(groups, member.node),
            )
            for member in newest.members
        ),
        key=lambda member: member.name,
    )


def _databases(groups: Iterable[GroupStatus], node: int, *, learning: bool) -> Iterable[str]:
    for group in groups:
        if group.database != CATALOG_DATABASE and node in (group.learners if learning else group.voters):
            yield group.database


def _catalog(groups: Iterable[GroupStatus], node: int) -> str:
    for group in groups:
        if group.database == CATALOG_DATABASE:
            return "voter" if node in group.voters else "learner" if node in group.learners else ""
    return ""


def find(members: Iterable[MemberInfo], name: str) -> MemberInfo:
    """The member of this name or address. Raises UnknownNode."""
    members = list(members)
    for member in members:
        if name in (member.name, member.address):
            return member
    names = ", ".join(member.name for member in members)
    raise errors.UnknownNode(f"{name} is not a member of this cluster", hint=f"there are: {names}")


def check_newcomer(address: str, reply: ReplyBody, reports: Sequence[StatusReport]) -> StatusReport:
    """Whether the node that answers at this address can be taken in; what it says of itself. Raises errors."""
    if not isinstance(reply, StatusReport):
        raise errors.OperationalError(f"{address} does not answer as a node")
    known = reports[0].cluster
    if reply.cluster != known:
        raise errors.OperationalError(
            f"{reply.name} at {address} belongs to another cluster ({reply.cluster}, not {known})",
            hint="make its folder with `quorate init --join`",
        )
    version = max(report.version for report in reports)
    if not reply.lowest <= version <= reply.highest:
        raise errors.OperationalError(
            f"{reply.name} cannot read format {version}, which this cluster writes",
            hint="start it with a newer release",
        )
    return reply


def unfinished(reports: Sequence[StatusReport], change: int) -> str:
    """Which database has not got the members that the catalog wants since this change; empty: all have."""
    newest = max(report.changes for report in reports)
    speaking = speakers(reports)
    if newest < change or not speaking:
        return "the catalog"
    names: Mapping[int, str] = {group.group: group.database for report in reports for group in report.groups}
    for number, database in sorted(names.items()):
        if number not in speaking:
            if not _given_up(reports, number):
                return database
            continue
        report, group = speaking[number]
        if report.changes < newest or group.wanted or group.voters_next:
            return database
    return ""


def all_lead(reports: Mapping[str, StatusReport]) -> bool:
    """Whether each leader of the database that was asked about is there, but for those whose nodes are all away.
    `reports`: by address."""
    leaders = max([report.leaders for report in reports.values()], key=len, default=())
    speaking = speakers(tuple(reports.values()))
    return all(each.group in speaking for each in leaders if not reports.keys().isdisjoint(each.addresses))


def is_coming(error: errors.Error) -> bool:
    """Whether a database that was just created may answer yet."""
    return error.retryable or isinstance(error, errors.UnknownDatabase)


def _given_up(reports: Iterable[StatusReport], number: int) -> bool:
    """Whether only nodes that are out have replicas of this group."""
    return all(report.removed for report in reports for group in report.groups if group.group == number)
