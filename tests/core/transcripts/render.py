"""How messages and effects look in a transcript.

Each has a display name of its own here, so that renaming a class changes one line of this file and no transcript. Only
public fields of messages, effects and notes are shown; what carries no meaning for a reader (sequence numbers, sizes of
time, marks) is left out.
"""

from collections.abc import Callable, Iterable
from typing import Any, get_args

import msgspec

from quorate.core import ack_policy, kernel, membership, requests
from quorate.core.calls import EndLogins, Replies, Reply, Tell
from quorate.core.certificates import Protect
from quorate.core.dropped import DropReplica
from quorate.core.entries import (
    ACKS,
    DATA,
    MEMBERS,
    CreateGroup,
    Entry,
    ForgetVoters,
    LogWrite,
    Position,
    SwitchGeneration,
    TrimLog,
    WriteEntries,
    WriteHardState,
)
from quorate.core.executing import Execute
from quorate.core.lives import RaiseBoot, RememberLife
from quorate.core.messages import GroupHeartbeat, Heartbeat, HeartbeatReply, Removed, Superseded
from quorate.core.multi_leader import messages as siblings
from quorate.core.options import LEADERLESS
from quorate.core.permits import AskPermit, DropPermit
from quorate.core.querying import Query
from quorate.core.replication import REPLICATIONS
from quorate.core.row_effects import RowEffect
from quorate.core.single_leader import messages
from quorate.core.single_leader.messages import DAMAGED, EXAMINED, PASSED, WORKING
from quorate.core.streams import ReadWhole
from quorate.core.verdicts import VerifyReport
from quorate.core.viewing import FetchView, LetViewGo, PinView

NEEDS_SNAPSHOT = -1
_outcome = msgspec.msgpack.Decoder(requests.WriteOutcome)


def at(position: Position) -> str:
    return f"{position.epoch}/{position.index}"


def nodes(numbers: Iterable[int]) -> str:
    return " ".join(str(number) for number in numbers) or "nobody"


def entry(each: Entry) -> str:
    """One entry: its place, and what it says."""
    place = f"{each.epoch}/{each.index}"
    if each.kind == DATA:
        return f"{place} data {' '.join(msgspec.msgpack.decode(each.payload))}"
    if each.kind == ACKS:
        rule, _ = ack_policy.read_entry(each.payload)
        return f"{place} acks {rule.text}"
    if each.kind == MEMBERS:
        return f"{place} members {configuration(membership.read_entry(each.payload))}"
    _, accepted = ack_policy.read_noop(each.payload) if each.payload else (0, False)
    return f"{place} noop{', loss accepted' if accepted else ''}"


def entries(several: Iterable[Entry]) -> str:
    return ", ".join(entry(each) for each in several)


def configuration(it: membership.Configuration) -> str:
    joint = f" joint with {nodes(it.following)}" if it.following else ""
    learners = f", learners {nodes(it.learners)}" if it.learners else ""
    return f"{nodes(it.voters)}{joint}{learners}"


# ---- messages ------------------------------------------------------------------------------------------------


def _pre_vote_reply(it: messages.PreVoteReply) -> str:
    outside = f", you are out since {it.outside}" if it.outside else ""
    return f"granted for epoch {it.epoch}" if it.granted else f"refused, epoch {it.epoch}{outside}"


def _append(it: messages.Append) -> str:
    carried = entries(it.entries) or "nothing"
    return f"epoch {it.epoch}: {carried} after {at(it.previous)}; committed {it.committed}"


def _append_reply(it: messages.AppendReply) -> str:
    if it.accepted:
        found = f"matched {it.matched}"
    elif it.matched == NEEDS_SNAPSHOT:
        found = f"needs a snapshot at {at(it.conflict)} or later"
    else:
        found = f"refused, try after {at(it.conflict)}"
    vote = "" if it.voter else ", not to be counted yet"
    return f"epoch {it.epoch}: {found}{vote}{'' if it.whole else ', data file damaged'}"


def _chunk(it: messages.SnapshotChunk) -> str:
    return f"at {at(it.position)}, from byte {it.offset}{', end' if it.end else ''}"


def _verify_reply(it: messages.VerifyReply) -> str:
    state = {WORKING: "at work", EXAMINED: f"holds [{it.digest}]", PASSED: "has passed", DAMAGED: "damaged"}[it.state]
    return f"{state} at {at(it.position)}"


def _mentions(led: Iterable[GroupHeartbeat], stepped_down: Iterable[GroupHeartbeat]) -> str:
    parts = [f"leads epoch {each.epoch}, committed {each.committed}" for each in led]
    parts += [f"leads no more, epoch {each.epoch}" for each in stepped_down]
    return "; ".join(parts)


MESSAGES: dict[type, tuple[str, Callable[[Any], str]]] = {
    messages.PreVote: ("PreVote", lambda it: f"epoch {it.epoch}, last {at(it.last)}"),
    messages.PreVoteReply: ("PreVoteReply", _pre_vote_reply),
    messages.Vote: (
        "Vote",
        lambda it: f"epoch {it.epoch}, last {at(it.last)}{', the leader hands over' if it.transfer else ''}",
    ),
    messages.VoteReply: ("VoteReply", lambda it: f"epoch {it.epoch}: {'granted' if it.granted else 'refused'}"),
    siblings.Fetch: ("Fetch", lambda it: f"number {it.number & 0xFFFFFFFF} of group {it.asker}: after {at(it.after)}"),
    siblings.Fetched: (
        "Fetched",
        lambda it: f"number {it.number & 0xFFFFFFFF} from {it.upstream}: to {at(it.through)}",
    ),
    **{kind: (kind.__name__, lambda it: f"number {it.number}") for kind in REPLICATIONS[LEADERLESS].messages},
    messages.Append: ("Append", _append),
    messages.AppendReply: ("AppendReply", _append_reply),
    messages.SnapshotOffer: ("SnapshotOffer", lambda it: f"epoch {it.epoch}: at {at(it.position)}"),
    messages.SnapshotWant: ("SnapshotWant", lambda it: f"from byte {it.offset}"),
    messages.SnapshotChunk: ("SnapshotChunk", _chunk),
    messages.SnapshotGone: ("SnapshotGone", lambda it: f"epoch {it.epoch}"),
    messages.SnapshotDone: ("SnapshotDone", lambda it: f"epoch {it.epoch}: installed at {at(it.position)}"),
    messages.TimeoutNow: ("TimeoutNow", lambda it: f"epoch {it.epoch}"),
    messages.ReadIndexAsk: ("ReadIndex", lambda it: f"epoch {it.epoch}"),
    messages.ReadIndexReply: (
        "ReadIndexReply",
        lambda it: f"index {it.index}" if it.index >= 0 else f"epoch {it.epoch}: I do not lead",
    ),
    messages.VerifyAsk: ("VerifyAsk", lambda it: f"what do you hold at {at(it.position)}?"),
    messages.VerifyReply: ("VerifyReply", _verify_reply),
    messages.VerifyVerdict: ("VerifyVerdict", lambda it: f"a majority holds [{it.digest}] at {at(it.position)}"),
    Heartbeat: ("Heartbeat", lambda it: _mentions(it.led, it.stepped_down)),
    HeartbeatReply: (
        "HeartbeatReply",
        lambda it: "; ".join(f"epoch {each.epoch}, committed {each.committed}" for each in it.groups),
    ),
    Removed: ("Removed", lambda it: f"members {nodes(member.node for member in it.members)}"),
    Superseded: ("Superseded", lambda it: f"life {it.boot}: known is life {it.known}"),
}


REPEATED = {Heartbeat, HeartbeatReply, Removed, messages.PreVote, messages.PreVoteReply}
"""Messages that say the same again and again while nothing changes."""


def message(it: Any) -> str:
    name, fields = MESSAGES[type(it)]
    return f"{name}  {fields(it)}".rstrip()


# ---- what is asked of the node itself ------------------------------------------------------------------------


def log_write(it: LogWrite) -> str:
    if isinstance(it, WriteEntries):
        return entries(it.entries)
    if isinstance(it, WriteHardState):
        return f"epoch {it.epoch}, {f'vote {it.vote}' if it.vote else 'no vote'}"
    if isinstance(it, TrimLog):
        return f"trim the log through {at(it.through)}"
    if isinstance(it, SwitchGeneration):
        kept = f", keep the log through {it.keep}" if it.keep else ""
        return f"the snapshot at {at(it.position)} becomes the data file{kept}"
    if isinstance(it, ForgetVoters):
        return "forget with which voters the group began"
    if isinstance(it, CreateGroup):
        return f"make room for a replica, voters {nodes(it.voters)}"
    return "tombstone: never hold this group again"


def body(it: Any) -> str:
    """What a caller is answered."""
    if isinstance(it, requests.Answer):
        return _answer(it)
    if isinstance(it, requests.NotLeader):
        return f"not the leader{f', ask {it.leader}' if it.leader else ''}"
    if isinstance(it, requests.Unsure):
        return "unsure: logged, not known to be committed"
    if isinstance(it, requests.Running):
        return "running, the answer follows"
    if isinstance(it, requests.LostReport):
        kept = [f"{each.epoch}/{each.index} {each.state}" for each in it.entries]
        unknown = [f"whatever {each.name} acknowledged from {each.first} on" for each in it.unknown]
        return f"kept: {', '.join(kept) or 'nothing'}; unknown: {', '.join(unknown) or 'nothing'}"
    assert isinstance(it, requests.Refused), it
    return f"refused, {it.error}{' (may be tried again)' if it.retryable else ''}"


def _answer(it: requests.Answer) -> str:
    tagged = msgspec.msgpack.decode(it.outcome)
    if isinstance(tagged, list):
        return f"[{tagged[0].decode()}]"
    if "type" in tagged:
        outcome = _outcome.decode(it.outcome)
        return f"{type(outcome).__name__.lower()}{f', index {it.index}' if it.index else ''}"
    if "replicas" in tagged:
        report = msgspec.msgpack.decode(it.outcome, type=VerifyReport)
        found = ", ".join(f"{each.name} {each.verdict}" for each in report.replicas)
        return f"{report.verdict} at {report.epoch}/{report.index}: {found}"
    if "leader" in tagged:
        failover = msgspec.msgpack.decode(it.outcome, type=requests.FailoverReport)
        return f"{failover.leader} leads epoch {failover.epoch}, before it {failover.was or 'nobody'}"
    return f"copy open, index {it.index}"


def _span(it: kernel.Apply) -> str:
    first, last = it.entries[0] if it.entries else None, at(it.through)
    start = f"{first.epoch}/{first.index}" if first is not None else last
    return last if start == last else f"{start} to {last}"


EFFECTS: dict[type, tuple[str, Callable[[Any], str]]] = {
    kernel.OpenReplica: ("Open", lambda it: "the data file"),
    kernel.Commit: ("CommitData", lambda it: at(it.position)),
    kernel.Rollback: ("Rollback", lambda it: ""),
    kernel.Apply: ("Apply", _span),
    kernel.ReadLog: ("ReadLog", lambda it: f"{it.first} to {it.last} for {it.to}"),
    kernel.Checkpoint: ("Checkpoint", lambda it: ""),
    kernel.OpenSnapshot: ("OpenSnapshot", lambda it: f"for {it.to}" if it.to else "for a caller"),
    kernel.ReadSnapshot: ("ReadSnapshot", lambda it: f"from byte {it.offset}"),
    kernel.CloseSnapshot: ("CloseSnapshot", lambda it: ""),
    kernel.StoreSnapshot: ("StoreSnapshot", lambda it: f"from byte {it.offset}, for {at(it.position)}"),
    kernel.OpenGeneration: ("InstallSnapshot", lambda it: ""),
    kernel.ForgetDamage: ("ForgetDamage", lambda it: ""),
    kernel.Digest: ("Digest", lambda it: ""),
    kernel.Condemn: ("MarkCorrupt", lambda it: "data file and log" if it.log else "data file"),
    AskPermit: ("AskPermit", lambda it: ""),
    DropPermit: ("DropPermit", lambda it: f"of epoch {it.epoch}"),
    DropReplica: ("DropReplica", lambda it: ""),
    RaiseBoot: ("RaiseBoot", lambda it: f"{it.boot}"),
    kernel.Drained: ("Drained", lambda it: ""),
    kernel.Halt: ("Halt", lambda it: it.reason),
}

SHOWN_ELSEWHERE = {
    kernel.Send, kernel.Persist, Execute, Query, kernel.SaveLost, Reply, Replies,
    Tell, kernel.Note,
}  # fmt: skip
"""By the machine that performs them (`cluster.Recorder`), which knows the callers."""

HOUSEKEEPING = {
    kernel.Connect, kernel.Disconnect, kernel.CloseIdle, kernel.ReadCatalog, kernel.ReadLost, RememberLife,
    kernel.RaiseFormat, EndLogins, Protect, FetchView, LetViewGo, PinView, ReadWhole, *get_args(RowEffect),
}  # fmt: skip
"""Of the node, not of the protocol: not shown."""

NOTES: dict[str, Callable[[dict[str, Any]], str]] = {
    "committed": lambda it: f"committed {at(it['position'])}",
    "became_leader": lambda it: f"leads epoch {it['epoch']}",
    "stepped_down": lambda it: f"leads epoch {it['epoch']} no more",
    "lost_quorum": lambda it: "is not answered by a majority",
    "follows": lambda it: f"follows {it['leader']} in epoch {it['epoch']}",
    "truncated": lambda it: f"truncates its log from {it['index']}",
    "rewinds": lambda it: f"its data file holds what the leader's log does not, from {it['index']}",
    "contradicted": lambda it: f"what was committed here is not in the leader's log, from {it['index']}",
    "loss_accepted": lambda it: "leads by fewer votes than the acks ask: the loss was accepted",
    "lost_saved": lambda it: f"has kept {it['entries']} of its own" if it["entries"] else "",
    "left_out": lambda it: "is no member any more",
    "leaves": lambda it: "leads a group that it is no member of",
    "transfer_failed": lambda it: f"does not hand over to {it['to']}: {it['why']}",
    "long_write": lambda it: "runs it again, alone",
    "damaged": lambda it: "its replica is damaged",
    "healed": lambda it: "its replica is whole again",
    "no_room": lambda it: "has no room for its data file",
    "disk_full": lambda it: "has no room for its log",
    "disk_room": lambda it: "has room again",
    "divergent": lambda it: f"holds something else than a majority at {it['index']}",
    "permitted": lambda it: f"has the permit for epoch {it['revision']}",
    "permit_denied": lambda it: f"has no permit: {it['holder']} has it",
    "permit_unavailable": lambda it: "has no permit: etcd does not answer",
    "removed": lambda it: "is out of the cluster",
}
"""Notes that tell a reader what happened; all others are not shown."""
