"""What callers ask of a node: each request goes to the group that answers it, or its caller is told where to go.

A driver hands over together what has arrived together. Whether a group takes writes just now is then looked at once for
all of them, and a batch begins once all of them wait for it.
"""

from typing import TYPE_CHECKING

from msgspec import structs

from quorate.core import proposals, routes
from quorate.core.bookmarks import Reached
from quorate.core.calls import Request, Requests
from quorate.core.changes import Change
from quorate.core.copy_requests import OpenCopy, ReadCopy
from quorate.core.kernel import CATALOG_DATABASE, Condemn, Now, ReadLost
from quorate.core.querying import DAMAGED, QueryFailed, refusal
from quorate.core.read_levels import STRONGEST
from quorate.core.replica import Replica
from quorate.core.report import report
from quorate.core.requests import CommitHeld, Failover, LostAsk, Outcome, Refused, Replay, Run, Status, Verify
from quorate.core.row_requests import ReadRow, RunRow, WriteRow
from quorate.core.scripts import BeginAttempt, LetGo, Script, pinned
from quorate.core.view_requests import CloseView, OpenView, ReadView
from quorate.sql.classify import reads_only

if TYPE_CHECKING:
    from quorate.core.node import Node


def on_request(node: "Node", now: Now, event: Request) -> None:
    _take(node, now, (event,))


def on_requests(node: "Node", now: Now, event: Requests) -> None:
    _take(node, now, event.requests)


def _take(node: "Node", now: Now, requests: tuple[Request, ...]) -> None:
    admission, now_us = node.admission, now.mono_us
    found: dict[str, Replica] = {}
    takers: dict[Replica, None] = {}
    """Groups that take any write, as far as nothing but the length of their queue speaks against it."""
    joined: dict[Replica, None] = {}
    runs_only = True
    guards = node.access.guards
    on_time_us = -1
    """Those that came then have not waited for too long to be looked at."""
    for request in requests:
        since_us = request.since_us  # 0: it says nothing of how long others wait
        if (since_us and since_us != on_time_us) or 0 < request.until_us <= now_us:
            refusal = admission.late(now_us, since_us or now_us, request.until_us)
            if refusal is not None:
                node.reply(request.id, refusal)
                continue
            on_time_us = since_us
        body = request.body
        if guards and (refused := node.access.refusal(request.login, body, now)) is not None:
            node.reply(request.id, refused)
            continue
        if type(body) is not Run:
            runs_only = False
            node.until_us = request.until_us
            takers.clear()  # it may change who takes writes
            group = _on_other(node, now, request)
            if group is not None:
                joined[group] = None
            continue
        group = found.get(body.database)
        if group is None:
            group = routes.group_for(node, request.id, body.database)
            if group is None:
                continue
            found[body.database] = group
        after: tuple[Reached, ...] = ()
        if body.after is not None:
            if (refused := routes.misplaced(node, group, body.after)) is not None:
                node.reply(request.id, refused)
                continue
            after = body.after.places
        if reads_only(body.statements):
            node.until_us = request.until_us
            level = STRONGEST if body.strongest else body.level
            group.submit_read(now, request.id, body.statements, level, after)
        elif group in takers and body.token is not None:
            group.join(now, request)
        elif _submit_run(node, now, group, request):
            joined[group] = None
            if len(requests) > 1 and group.takes_writes() and len(node.directory.groups_for(body.database)) < 2:
                takers[group] = None
    for group in joined:
        group.joined()
    if runs_only and found:
        node.touched = found.values()


def _submit_run(node: "Node", now: Now, group: Replica, request: Request) -> bool:
    """A caller's write: whether it waits for its turn now."""
    body = request.body
    if body.database == CATALOG_DATABASE:
        hint = "create databases with Cluster.create or `quorate create`"
        node.reply(request.id, Refused("NotSupportedError", "the catalog can only be read", hint))
        return False
    if body.token is None and (type(body) is Run or body.commit):
        node.reply(request.id, Refused("InterfaceError", "a write needs a token"))
        return False
    return routes.submit(node, now, group, request)


def _on_script(node: "Node", now: Now, request: Request) -> Replica | None:
    """A transaction's statements. Those that only read run where reads do, and at their level."""
    body = request.body
    group = routes.group_for(node, request.id, body.database)
    if group is None:
        return None
    if not body.steps or (body.commit and not all(step.digest for step in body.steps)):
        message = "a transaction is committed without a statement, or with one that has not run"
        node.reply(request.id, Refused("InterfaceError", message))
        return None
    if body.after is not None and (refused := routes.misplaced(node, group, body.after)) is not None:
        node.reply(request.id, refused)
        return None
    steps = pinned(body.steps, now.wall_us, node.rng)
    if not body.commit and body.hold is None and reads_only(steps):
        after = () if body.after is None else body.after.places
        group.submit_read(now, request.id, steps, STRONGEST if body.strongest else body.level, after)
        return None
    request = structs.replace(request, body=structs.replace(body, steps=steps))
    return group if _submit_run(node, now, group, request) else None


def _on_other(node: "Node", now: Now, request: Request) -> Replica | None:
    """Whatever is not a Run. The group where it waits for its turn as a write."""
    number, body = request.id, request.body
    if type(body) is Script:
        return _on_script(node, now, request)
    if type(body) is BeginAttempt:
        group = routes.group_for(node, number, body.database)
        return group if group is not None and _submit_run(node, now, group, request) else None
    if isinstance(body, Outcome | CommitHeld | Replay):
        group = routes.group_for(node, number, body.database)
        return group if group is not None and routes.submit(node, now, group, request) else None
    if isinstance(body, Change):
        proposals.on_change(node, now, request)
    elif isinstance(body, Verify | LetGo | RunRow | WriteRow | ReadRow):
        if (group := routes.group_for(node, number, body.database)) is not None:
            group.on_request(now, number, body)
    elif type(body) is Failover:
        _on_failover(node, now, request)
    elif isinstance(body, OpenCopy | ReadCopy):
        node.copies.on_request(now, request)
    elif isinstance(body, OpenView | ReadView | CloseView):
        node.views.on_request(now, request)
    elif type(body) is LostAsk:
        node.emit(ReadLost(number, body))
    elif type(body) is Status:
        node.reply(number, report(node, members_only=body.members_only, database=body.database))
    else:
        node.reply(number, Refused("NotSupportedError", f"unknown request {type(body).__name__}"))
    return None


def _on_failover(node: "Node", now: Now, request: Request) -> None:
    number, body = request.id, request.body
    if body.to and node.directory.node_named(body.to) is None:
        node.reply(number, routes.unknown_member(node, body.to))
    elif (group := routes.group_for(node, number, body.database)) is not None:
        proposals.on_failover(node, now, request, group)


def on_query_failed(node: "Node", _now: Now, event: QueryFailed) -> None:
    """A read found nothing: its caller is told so. Where the data file is damaged, the replica gets a copy."""
    node.touched = ()
    node.reply(event.id, refusal(event))
    if event.why == DAMAGED and event.group in node.groups:
        node.emit(Condemn(event.group, event.reason))
