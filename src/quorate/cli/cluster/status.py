"""`quorate status`: nodes, groups, leaders, epochs, positions, lag."""

import time

import click
import msgspec
from msgspec import Struct

from quorate.cli.output import (
    Exit,
    Fail,
    Seconds,
    aligned,
    cluster_option,
    find_cluster,
    is_terminal,
    json_option,
    print_json,
)
from quorate.client.credentials import NOBODY, find_login
from quorate.client.link_sync import dial
from quorate.client.links import LinkLost
from quorate.client.url import ClusterTarget, parse_cluster_url, with_login
from quorate.core.ack_policy import MANUAL
from quorate.core.certificates import OFF
from quorate.core.formats import Range
from quorate.core.options import describe
from quorate.core.requests import Refused, Status, StatusReport
from quorate.errors import Error
from quorate.wire.answers import refusal

DAY_S = 86_400
ORDINARY = ("leader", "follower", "member")
"""Roles that the text does not mention."""


class PeerLine(Struct, frozen=True):
    """What a node measured of another (docs/timeouts.md)."""

    node: str
    alive: bool
    trip_us: int
    """The mean time from a heartbeat to its answer."""
    suspect_us: int
    """The silence after which it is taken for dead."""


class NodeLine(Struct, frozen=True):
    """One node, as it answered or as others know it."""

    name: str
    node: int
    address: str
    answers: bool
    boot: int = 0
    disk_full: bool = False
    release: str = ""
    reads: str = ""
    """The formats that it reads."""
    removed: bool = False
    """It was taken out of the cluster; it can be stopped."""
    peers: tuple[PeerLine, ...] = ()
    stranger: str = ""
    """The cluster that it belongs to, when that is another than the first node's; what it says is left out."""
    logins: str = ""
    """As in `StatusReport`, and so the next two."""
    logins_age_us: int = -1
    logins_stale: bool = False
    tls: str = ""
    certificate: str = ""
    expires_us: int = 0
    revoked: bool = False
    snapshots: int = 0
    """States of databases that it keeps for streams, and for transactions that only read."""


class ReplicaLine(Struct, frozen=True):
    """One replica. `lag`: committed entries that it has not applied, as far as the answers tell."""

    node: str
    role: str
    last: int
    applied: int
    lag: int
    verified: int = 0
    """The newest index at which verify found it equal to a majority; 0: not since its node started."""
    damage: str = ""
    """Why it is damaged; or, once it was rebuilt, why it had been."""
    age_us: int = -1
    """Microseconds by which, at most, reads lag behind here, if it has asked; -1: it has not."""
    damaged: bool = False


class GroupLine(Struct, frozen=True):
    """One group, by what the node says that answers for it, else by the most advanced answer."""

    group: int
    database: str
    partition: int
    options: dict[str, str]
    """Those in force (docs/options.md)."""
    leader: str
    epoch: int
    last: int
    committed: int
    replicas: tuple[ReplicaLine, ...]
    voters: tuple[str, ...] = ()
    learners: tuple[str, ...] = ()
    change: str = ""
    """What its members are being changed to; empty when they are those that are wanted."""
    permit: str = ""
    """Why nobody has a permit to stand (`etcd`); empty when that is not known or not so."""
    answered_for: bool = False
    """Some node answers for it: its leader, or, where it has none, any member."""
    missing: dict[str, int] = {}
    """Without a leader: so many rows wait for this node, which missed them."""
    agreed_us: int = -1
    """Without a leader: how long ago all replicas were last found to hold the same; -1: not known."""


class View(Struct, frozen=True):
    """A whole cluster at about one moment."""

    cluster: str
    nodes: tuple[NodeLine, ...]
    groups: tuple[GroupLine, ...]
    version: int = 0
    """The cluster's format number."""


@click.command()
@cluster_option
@click.option("--watch", is_flag=True, help="Repeat until Ctrl-C.")
@click.option("--interval", type=Seconds(0.1), default=1.0, show_default=True, help="Seconds between repeats.")
@click.option("--timeout", type=Seconds(0.01), default=1.0, show_default=True, help="Seconds for each node.")
@json_option
def status(cluster: str | None, watch: bool, interval: float, timeout: float, as_json: bool) -> None:
    """Ask every node what it knows and show it together.

    Exits with 3 when no node answers. A node that does not answer is shown as such. Where the cluster has users, it
    takes the role monitor.
    """
    target = parse_cluster_url(find_cluster(cluster))
    target = with_login(target, find_login(NOBODY, target.login))
    if not watch:
        view = look(target, timeout)
        if not any(node.answers for node in view.nodes):
            raise Fail(f"no node answers at {', '.join(target.addresses)}", Exit.UNAVAILABLE)
        print_json(view) if as_json else click.echo(as_text(view))
        return
    while True:
        view = look(target, timeout)
        if as_json:
            click.echo(msgspec.json.encode(view).decode())
        else:
            if is_terminal():
                click.clear()
            click.echo(as_text(view))
        time.sleep(interval)


def look(target: ClusterTarget, timeout: float) -> View:
    """Ask the given addresses, then every further member that they name. Raises what the last node said that let
    nobody of this name look, where none answers."""
    refused: list[Error] = []
    reports = {address: _ask(address, target, timeout, refused) for address in target.addresses}
    first = next((report.cluster for report in reports.values() if report is not None), "")
    for report in list(reports.values()):
        for member in report.members if report is not None and report.cluster == first else ():
            if member.address not in reports:
                reports[member.address] = _ask(member.address, target, timeout, refused)
    if refused and not first:
        raise refused[-1]
    return combine(reports)


def _ask(address: str, target: ClusterTarget, timeout: float, refused: list[Error]) -> StatusReport | None:
    """What the node says of itself, to whatever cluster it belongs; None when it does not answer, or refuses to."""
    until = time.monotonic() + timeout
    try:
        link = dial(address, "", timeout, target.protection, target.login)
        try:
            left = until - time.monotonic()
            answer = link.wait(link.send(Status(), left), left)
        finally:
            link.close()
    except LinkLost as lost:
        if lost.login is not None:
            refused.append(lost.login)
        return None
    if isinstance(answer, Refused):
        refused.append(refusal(answer))
    return answer if isinstance(answer, StatusReport) else None


def combine(reports: dict[str, StatusReport | None]) -> View:
    """One view out of what each address answered (None: nothing)."""
    cluster = next((report.cluster for report in reports.values() if report is not None), "")
    answered = [report for report in reports.values() if report is not None and report.cluster == cluster]
    names = {member.node: member.name for report in answered for member in report.members}
    names.update({report.node: report.name for report in answered})
    at = {member.address: member for report in answered for member in report.members}
    nodes = []
    for address, report in reports.items():
        if report is not None and report.cluster != cluster:
            nodes.append(NodeLine(report.name, report.node, address, answers=True, stranger=report.cluster))
        elif report is not None:
            name, node = report.name, report.node
            reads = str(Range(report.lowest, report.highest))
            nodes.append(
                NodeLine(
                    name,
                    node,
                    address,
                    answers=True,
                    boot=report.boot,
                    disk_full=report.disk_full,
                    release=report.release,
                    reads=reads,
                    removed=report.removed,
                    logins=report.logins,
                    logins_age_us=report.logins_age_us,
                    logins_stale=report.logins_stale,
                    tls=report.tls,
                    certificate=report.certificate,
                    expires_us=report.expires_us,
                    revoked=report.revoked,
                    snapshots=report.snapshots,
                    peers=tuple(
                        PeerLine(member.name, member.alive, member.trip_us, member.suspect_us)
                        for member in report.members
                        if member.node != node
                    ),
                )
            )
        else:
            known = at.get(address)
            nodes.append(NodeLine(known.name if known else "?", known.node if known else 0, address, answers=False))
    numbers = sorted({group.group for report in answered for group in report.groups})
    groups = tuple(_group(number, answered, names) for number in numbers)
    version = max((report.version for report in answered), default=0)
    return View(cluster, tuple(sorted(nodes, key=lambda each: each.name)), groups, version)


def _group(number: int, answered: list[StatusReport], names: dict[int, str]) -> GroupLine:
    found = [(report, group) for report in answered for group in report.groups if group.group == number]
    _, best = max(found, key=lambda pair: (pair[1].speaks, pair[1].epoch, pair[1].committed))
    committed = max(group.committed for _, group in found)
    members = {*best.voters, *best.learners, *best.voters_next}
    replicas = tuple(
        ReplicaLine(
            report.name,
            "learner" if report.node in best.learners else group.role,
            group.last,
            group.applied,
            max(0, committed - group.applied) if group.leader or group.epoch else 0,
            group.verified,
            group.damage,
            group.age_us,
            group.damaged,
        )
        for report, group in sorted(found, key=lambda pair: pair[0].name)
        if report.node in members or not members
    )
    leader = names.get(best.leader, str(best.leader)) if best.leader else ""
    voters, learners, following, wanted = (
        tuple(names.get(node, str(node)) for node in nodes)
        for nodes in (best.voters, best.learners, best.voters_next, best.wanted)
    )
    agreed_us = min((group.agreed_us for _, group in found if group.agreed_us >= 0), default=-1)
    missing: dict[str, int] = {}
    for node, rows in (hint for _, group in found for hint in group.hints):
        name = names.get(node, str(node))
        missing[name] = max(missing.get(name, 0), rows)
    change = ""
    if following:
        change = f"voters {', '.join(voters)} give way to {', '.join(following)}: a majority of both is needed"
    elif wanted:
        change = f"voters are to be {', '.join(wanted)}"
        change += f"; {', '.join(learners)} fetching what there is" if learners else ""
    return GroupLine(
        best.group, best.database, best.partition, best.options, leader, best.epoch, best.last, committed, replicas,
        voters, learners, change, next((each.permit for _, each in found if each.permit), ""),
        answered_for=best.speaks, missing=missing, agreed_us=agreed_us,
    )  # fmt: skip


def as_text(view: View) -> str:
    """Aligned plain lines."""
    lines = [f"cluster {view.cluster or '?'}" + (f", format {view.version}" if view.version else "")]
    rows: list[tuple[str, ...]] = [("node", "address", "state", "boot", "release")]
    for node in view.nodes:
        state = "no answer" if not node.answers else "disk full" if node.disk_full else "up"
        state = "removed" if node.removed else "another cluster" if node.stranger else state
        release = f"{node.release or 'unknown'} ({node.reads})" if node.answers and not node.stranger else ""
        rows.append((node.name, node.address, state, str(node.boot or ""), release))
    lines += ["", *aligned(rows)]
    for node in view.nodes:
        if node.stranger:
            lines += ["", f"{node.address} is the address of a node of another cluster, {node.stranger}"]
        if node.logins_stale:
            age = node.logins_age_us // 1_000_000
            lines += ["", f"{node.name} refuses clients: it has not heard from the catalog's leader for {age} s"]
    lines += _certificates(view)
    rows = [
        ("database", "group", "options", "leader", "epoch", "last", "committed", "replicas (applied, lag, staleness)")
    ]
    for group in view.groups:
        replicas = ", ".join(_replica(replica) for replica in group.replicas)
        numbers = (str(group.epoch), str(group.last), str(group.committed))
        rows.append(
            (
                group.database,
                str(group.group),
                describe(group.options),
                group.leader or ("any" if group.answered_for else "none"),
                *numbers,
                replicas,
            )
        )
    lines += ["", *aligned(rows)]
    for group in view.groups:
        if group.permit and not group.answered_for:
            lines += ["", f"{group.database} waits for a permit to elect a leader: {group.permit}"]
        if group.options.get("failover") == MANUAL and not group.answered_for:
            lines += ["", f"{group.database} waits for you: quorate failover {group.database} --to NODE"]
    for group in view.groups:
        if group.change:
            lines += ["", f"{group.database}: {group.change}"]
        for node_name, count in sorted(group.missing.items()):
            lines += ["", f"{group.database}: {node_name} has missed writes of {count} rows, which are kept for it"]
        if group.agreed_us >= 0:
            lines += ["", f"{group.database}: all replicas held the same {_time(group.agreed_us)} ago"]
        for replica in group.replicas:
            if replica.damage:
                state = "damaged, being rebuilt" if replica.damaged else "was rebuilt"
                lines += ["", f"{group.database} on {replica.node}: {state}: {replica.damage}"]
    return "\n".join(lines)


def _certificates(view: View) -> list[str]:
    """Until when they hold, and which step the cluster has taken on its way to TLS; nothing where there are none."""
    lines = []
    steps = sorted({node.tls for node in view.nodes if node.tls})
    if steps and steps != [OFF]:
        lines += ["", f"TLS is {' and '.join(steps)}"]
    for node in view.nodes:
        if node.revoked:
            lines += ["", f"{node.name}: its certificate {node.certificate} was revoked, and no peer believes it"]
        elif node.certificate:
            left = node.expires_us / 1e6 - time.time()
            when = f"expires in {int(left // DAY_S)} days" if left > 0 else "has run out"
            lines += ["", f"{node.name}: certificate {node.certificate} {when}"]
    return lines


def _replica(replica: ReplicaLine) -> str:
    role = "" if replica.role in ORDINARY else f" {replica.role}"
    lag = f" -{replica.lag}" if replica.lag else ""
    return f"{replica.node}{role} {replica.applied}{lag}" + (
        f" <={_time(replica.age_us)}" if replica.age_us >= 0 else ""
    )


def _time(us: int) -> str:
    """Rounded up, so that the bound holds."""
    if us <= 999_000:
        return f"{-(-us // 1_000)}ms"
    return f"{-(-us // 100_000) / 10:.1f}s" if us <= 59_900_000 else f"{-(-us // 60_000_000)}m"
