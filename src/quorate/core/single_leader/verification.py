"""Do all replicas hold the same? The leader asks each for the digest of its content at one position.

The leader names the end of its own log. On a link that keeps order the question overtakes no entry and no
entry overtakes it, so a follower still has that position before it: it applies up to exactly there, pins what
is committed, goes on, and hashes the pinned state aside. One that has passed the position (the question was
repeated, or came late) says so, and the leader names a newer one. Digests of different positions are never
compared.

A digest that a majority of the voters holds is right, whoever leads: what was committed was executed once and
applied everywhere, so one file that differs was changed by something else (a hand, a disk, a bug). A wrong
follower is told and fetches a copy; a wrong leader hands over first. Without a majority nobody can say who is
wrong, and nothing is touched.

Sources: CockroachDB's consistency checker sends the same question through the log, etcd's corruption check names
a revision. Naming the end of the leader's log needs no entry of its own, so that nothing new is written.
"""

from msgspec import Raw, msgpack

from quorate.core.bounds import GroupId, NodeId
from quorate.core.kernel import Condemn, Digest, Digested, Now
from quorate.core.requests import Answer, NotLeader
from quorate.core.single_leader import apply, messages, settling
from quorate.core.single_leader.messages import TimeoutNow, VerifyAsk, VerifyReply, VerifyVerdict
from quorate.core.single_leader.owned import NOBODY
from quorate.core.single_leader.records import Check, Verification
from quorate.core.single_leader.roles import LEADER
from quorate.core.single_leader.state import Group
from quorate.core.verdicts import AWAY, DAMAGED, DIFFERS, EQUAL, UNDECIDED, ReplicaVerdict, VerifyReport

_encode = msgpack.Encoder().encode

WORST = (EQUAL, AWAY, DIFFERS, DAMAGED, UNDECIDED)
"""A report's verdict is the last of these that a replica of it got."""

TOO_OLD = "it runs a release that cannot be asked; upgrade it"
SILENT = "it did not answer"
MOVES = "it had always applied more already"
OTHERS_DIFFER = "verify: at index {index} a majority holds something else than this replica"


# ---- the leader's side -------------------------------------------------------------------------------


def submit(group: Group, _now: Now, id: int) -> None:
    """A caller wants the replicas compared. Who comes while they are waits for the next comparison: what this one
    looked at is older than the question."""
    if not group.leads_ready or group.handover.to:
        group.reply(id, NotLeader(group.leader_address()))
        return
    group.verifying.callers.append(id)
    group.host.keep_busy(group.group)
    start(group)


def start(group: Group) -> None:
    """Compare as soon as nothing is compared and no batch is just being executed."""
    if group.leads_ready and group.verifying.running is None:
        group.verifying.wanted = True
        group.host.make_ready(group.group)


def start_next(groups: dict[GroupId, Group], after: GroupId) -> tuple[GroupId, int]:
    """Compare one group of those that lead, in turn; which one, and among how many."""
    led = [number for number in sorted(groups) if groups[number].election.role == LEADER]
    if not led:
        return after, 1
    number = next((number for number in led if number > after), led[0])
    start(groups[number])
    return number, len(led)


def begin(group: Group, now: Now) -> None:
    """Everything that was ready has been fed. While a batch is being executed, the place where it will leave the
    data file has no name yet."""
    verifying = group.verifying
    if not verifying.wanted or group.writes.batch is not None or not group.leads_ready:
        return
    verifying.wanted = False
    if verifying.running is None:
        callers, verifying.callers = verifying.callers, []
        verifying.running = Verification(0, group.log.last, callers=callers)
    _ask_all(group, now, verifying.running)


def _ask_all(group: Group, now: Now, running: Verification) -> None:
    """Name the end of our log, and ask everybody for it."""
    verifying = group.verifying
    verifying.numbers += 1
    running.number = verifying.numbers
    running.position = group.log.last
    running.answers = {}
    running.asked = group.others
    running.heard_us = dict.fromkeys(running.asked, now.mono_us)
    _ask(group, now, running)
    verifying.check = Check(group.me, group.election.epoch, running.number, running.position)
    group.host.keep_busy(group.group)
    proceed(group, now)
    settling.settle_now(group)


def _ask(group: Group, now: Now, running: Verification) -> None:
    running.asked_us = now.mono_us
    for peer in running.asked:
        if peer in running.answers:
            continue
        if group.host.highest_of(peer) and not group.host.understands(peer, VerifyAsk):
            running.answers[peer] = _away(group, running, TOO_OLD)
        elif group.host.heard(now, peer):
            group.send(peer, VerifyAsk(group.group, group.election.epoch, running.number, running.position))


def _away(group: Group, running: Verification, reason: str) -> VerifyReply:
    return VerifyReply(
        group.group, group.election.epoch, running.number, messages.PASSED, running.position, reason=reason
    )


def on_reply(group: Group, now: Now, sender: NodeId, message: VerifyReply) -> None:
    """A follower says where our question stands."""
    running = group.verifying.running
    if message.epoch > group.election.epoch:
        group.adopt_epoch(now, message.epoch, NOBODY)
    elif running is not None and message.epoch == group.election.epoch and message.number == running.number:
        if sender not in running.asked:
            return
        running.heard_us[sender] = now.mono_us
        if message.state != messages.WORKING and sender not in running.answers:
            _take(group, now, sender, running, message)


def _take(group: Group, now: Now, node: NodeId, running: Verification, answer: VerifyReply) -> None:
    """One replica's final word about this position."""
    elsewhere = answer.state == messages.EXAMINED and answer.position != running.position
    if answer.state == messages.PASSED or elsewhere:
        if running.attempt < group.settings.verify_attempts:
            running.attempt += 1
            running.number = 0  # no answer is of interest until there is another position
            group.verifying.wanted = True
            group.host.make_ready(group.group)
            return
        answer = _away(group, running, MOVES)
    running.answers[node] = answer
    _finish_if_complete(group, now, running)


def tick(group: Group, now: Now) -> bool:
    """Ask again whoever is silent, and give up who has been for long. False when nothing is compared."""
    running = group.verifying.running
    if running is None:
        if group.verifying.callers:
            start(group)
        return group.verifying.wanted
    if not running.number:
        group.host.make_ready(group.group)
        return True
    # Who was taken out gets no more of the log: it may never reach the position, and say for ever that it works on it.
    running.asked = tuple(peer for peer in running.asked if peer in group.others)
    patience_us = group.settings.answer_timeout_us
    for peer in running.asked:
        silent_us = now.mono_us - running.heard_us[peer]
        gone = not group.host.heard(now, peer) and silent_us > group.settings.suspect_us
        if peer not in running.answers and (gone or silent_us > patience_us):
            running.answers[peer] = _away(group, running, SILENT)
    if now.mono_us - running.asked_us >= group.settings.retry_us:
        _ask(group, now, running)
    _finish_if_complete(group, now, running)
    return group.verifying.running is not None


def _finish_if_complete(group: Group, now: Now, running: Verification) -> None:
    """Once everybody, ourselves included, has answered or was given up: the verdict."""
    if group.election.role != LEADER or any(node not in running.answers for node in (group.me, *running.asked)):
        return
    group.verifying.running = None
    right = majority_digest(group, running)
    replicas = tuple(_verdict_of(group, node, running, right) for node in (group.me, *running.asked))
    verdict = max((each.verdict for each in replicas), key=WORST.index)
    report = VerifyReport(group.database, group.group, group.election.epoch, running.position.index, verdict, replicas)
    wrong = [each.name for each in replicas if each.verdict not in (EQUAL, AWAY)]
    group.note("verified", index=running.position.index, verdict=verdict, wrong=wrong)
    answer = Answer(Raw(_encode(report)), running.position.index)
    for caller in running.callers:
        group.reply(caller, answer)
    if right:
        _tell(group, running, right)
    if replicas[0].rebuilt:
        _hand_over(group, now, replicas)
        reason = replicas[0].reason or OTHERS_DIFFER.format(index=running.position.index)
        group.host.emit(Condemn(group.group, reason))


def majority_digest(group: Group, running: Verification) -> str:
    """The digest that a majority of all voters (not only of those that answered) holds, or an empty string."""
    held: dict[str, list[NodeId]] = {}
    for voter in group.voters:
        answer = running.answers.get(voter)
        if answer is not None and answer.state == messages.EXAMINED:
            held.setdefault(answer.digest, []).append(voter)
    return next((digest for digest, voters in held.items() if group.majority_of(voters)), "")


def _verdict_of(group: Group, node: NodeId, running: Verification, right: str) -> ReplicaVerdict:
    answer = running.answers[node]
    name = group.host.name_of(node)
    if answer.state == messages.PASSED:
        return ReplicaVerdict(node, name, AWAY, reason=answer.reason)
    if answer.state == messages.DAMAGED:
        # A follower condemns itself. A leader must leave behind a majority that can elect another.
        rebuilt = node != group.me or bool(right)
        return ReplicaVerdict(node, name, DAMAGED, reason=answer.reason, rebuilt=rebuilt)
    digests = {each.digest for each in running.answers.values() if each.digest}
    if answer.digest == right or len(digests) == 1:
        return ReplicaVerdict(node, name, EQUAL, answer.digest)
    if right:
        return ReplicaVerdict(node, name, DIFFERS, answer.digest, rebuilt=True)
    return ReplicaVerdict(node, name, UNDECIDED, answer.digest, "replicas differ, and no digest has a majority")


def _tell(group: Group, running: Verification, right: str) -> None:
    """Let every replica know what the majority holds; the wrong ones will fetch a copy."""
    for peer in running.asked:
        answer = running.answers[peer]
        if answer.state == messages.EXAMINED:
            verdict = VerifyVerdict(group.group, group.election.epoch, running.number, running.position, right)
            group.send(peer, verdict)
    if running.answers[group.me].digest == right:
        group.verifying.equal_at = running.position.index


def _hand_over(group: Group, now: Now, replicas: tuple[ReplicaVerdict, ...]) -> None:
    """Our own content is wrong: have a sound follower stand at once, and lead no more."""
    for each in replicas[1:]:
        progress = group.progress.get(each.node)
        if each.verdict == EQUAL and progress is not None and progress.matched == group.log.last.index:
            group.send(each.node, TimeoutNow(group.group, group.election.epoch))
            break
    group.become_follower(now)


def abandon(group: Group) -> None:
    """We lead no more: whoever leads can be asked."""
    running, group.verifying.running = group.verifying.running, None
    callers, group.verifying.callers = group.verifying.callers, []
    group.verifying.wanted = False
    for caller in (*callers, *(running.callers if running is not None else ())):
        group.reply(caller, NotLeader(""))


# ---- every replica's side ----------------------------------------------------------------------------


def on_ask(group: Group, now: Now, sender: NodeId, message: VerifyAsk) -> None:
    """The leader wants the digest of what we hold at a position."""
    if message.epoch < group.election.epoch:
        return
    group.heard_leader(now, sender, message.epoch)
    check = group.verifying.check
    if check is None or check.leader != sender or check.number != message.number:
        check = group.verifying.check = Check(sender, message.epoch, message.number, message.position)
        proceed(group, now)
        if check.passed:
            return  # and it was said
    _say(group, check)


def proceed(group: Group, now: Now) -> None:
    """The data file moved, or a digest was asked for: take it here if this is the place."""
    check = group.verifying.check
    if (
        check is None
        or check.begun
        or check.passed
        or not group.apply.opened
        or group.fetching.switching
        or group.repair.damaged
    ):
        return
    if group.apply.applied == check.position:
        check.begun = True
        group.host.emit(Digest(group.group, check.number))
    elif group.apply.applied.index >= check.position.index:
        check.passed = True
        _conclude(group, now, check)
    else:
        apply.apply_more(group)


def on_digested(group: Group, now: Now, event: Digested) -> None:
    """The digest that was begun at the check's position is there, or could not be taken."""
    check = group.verifying.check
    if check is None or not check.begun or check.number != event.number or check.digest or check.failed:
        return
    if event.failed:
        check.failed = event.failed
    elif event.position != check.position:
        check.passed = True
    else:
        check.digest = event.digest
    _conclude(group, now, check)


def _conclude(group: Group, now: Now, check: Check) -> None:
    """There is a final word about this check."""
    running = group.verifying.running
    if check.leader != group.me:
        _say(group, check)
        if check.failed and group.election.role != LEADER and group.others:
            group.host.emit(Condemn(group.group, check.failed))
    elif running is not None and running.number == check.number and group.election.role == LEADER:
        _take(group, now, group.me, running, _word(group, check))


def _say(group: Group, check: Check) -> None:
    """Tell the leader where its question stands."""
    if check.leader == group.election.leader != group.me:
        group.send(check.leader, _word(group, check))


def _word(group: Group, check: Check) -> VerifyReply:
    state, reason = messages.WORKING, ""
    if group.repair.damaged or check.failed:
        state, reason = messages.DAMAGED, check.failed or group.repair.damaged
    elif check.passed:
        state, reason = messages.PASSED, MOVES
    elif check.digest:
        state = messages.EXAMINED
    return VerifyReply(
        group.group, check.epoch, check.number, state, check.position, digest=check.digest, reason=reason
    )


def on_verdict(group: Group, _now: Now, sender: NodeId, message: VerifyVerdict) -> None:
    """What a majority holds where we took our digest."""
    check = group.verifying.check
    if check is None or sender != group.election.leader or not group.election.epoch == message.epoch == check.epoch:
        return
    if check.number != message.number or check.position != message.position or not check.digest or group.repair.damaged:
        return
    group.verifying.check = None
    if check.digest == message.digest:
        group.verifying.equal_at = message.position.index
        return
    group.note("divergent", index=message.position.index)
    group.host.emit(Condemn(group.group, OTHERS_DIFFER.format(index=message.position.index)))
