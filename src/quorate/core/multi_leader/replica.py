"""A replica of one leader's group: in its own group all is as with a single leader, and `pulling` and `serving` do what
it has to do with its siblings.
"""

from collections import deque
from typing import Any

from quorate.core.bookmarks import Reached
from quorate.core.bounds import NodeId
from quorate.core.calls import Request
from quorate.core.entries import Position
from quorate.core.kernel import Applied, LogRead, Now
from quorate.core.multi_leader import doubting, pulling, schema, serving, stability
from quorate.core.multi_leader.messages import Fetch, Fetched
from quorate.core.multi_leader.promises import PROMISES
from quorate.core.multi_leader.state import BOOT_BITS, MERGES, Doubt, LeaderGroup, Pulling, Serving, Stability
from quorate.core.options import MULTI_LEADER as NAME
from quorate.core.options import MultiLeaderOptions
from quorate.core.read_levels import BOUNDED, EVENTUAL, LEADER, LINEARIZABLE, SESSION, STRONGEST
from quorate.core.recovered import RecoveredGroup
from quorate.core.replica import Host, Replication
from quorate.core.requests import Refused
from quorate.core.single_leader import election, reads, writes
from quorate.core.single_leader.records import Subject
from quorate.core.single_leader.replica import EVENTS, MESSAGES, SingleLeaderReplica
from quorate.core.streams import WholeRead

_NOT_OFFERED = (LINEARIZABLE, LEADER)
NOT_PROMISED = Refused(
    "NotSupportedError",
    "a database of several leaders has no such reads: each accepts writes without asking the others",
    f"read at {SESSION} or {EVENTUAL}, or use a database of one leader",
)


class MultiLeaderReplica(SingleLeaderReplica, LeaderGroup):
    """The state of a replica, and what its node asks of it."""

    replication = NAME

    def __init__(self, host: Host, found: RecoveredGroup) -> None:
        super().__init__(host, found)
        self.pulling = Pulling(host.boot << BOOT_BITS, deque())
        self.serving = Serving()
        self.doubt = Doubt()
        self.stability = Stability()
        doubting.begin(self)

    def on_event(self, now: Now, event: Any) -> None:
        if type(event) is LogRead and event.to < 0:
            serving.on_log_read(self, event)
            return
        if type(event) is WholeRead:
            serving.on_whole_read(self, event)
            return
        if type(event) is Applied:
            pulling.on_applied(self, event)
            stability.on_applied(self, event)
        super().on_event(now, event)
        if self.serving.kept:
            serving.proceed(self)

    def on_message(self, now: Now, sender: NodeId, message: Any) -> None:
        if type(message) is Fetch:
            known = max(message.after, serving.said_of(self.group, message))
            doubting.heard(self, now, message.asker, known, leads=False)
            stability.on_fetch(self, now, message.asker)
            pulling.on_asked(self, now, sender, message)
            serving.on_fetch(self, now, sender, message)
        elif type(message) is Fetched:
            pulling.on_fetched(self, now, sender, message)
            stability.on_fetched(self, now, message)
            reads.on_applied(self)  # one may wait for what turned out to be here
        else:
            super().on_message(now, sender, message)
            if self.serving.kept:
                serving.proceed(self)

    def on_timer(self, now: Now, name: str) -> None:
        if name == pulling.POLL:
            pulling.on_poll(self, now)
            stability.on_poll(self, now)
        else:
            super().on_timer(now, name)

    def on_ready(self, now: Now) -> None:
        super().on_ready(now)
        pulling.proceed(self, now)

    def on_catalog(self) -> None:
        super().on_catalog()
        self.host.make_ready(self.group)

    def keeps_log_from(self) -> int:
        return serving.keeps_from(self) if self.leads else super().keeps_log_from()

    def next_epoch(self) -> int:
        return doubting.next_epoch(self)

    def distrust(self, now: Now, reason: str) -> None:
        if not self.others:
            doubting.begin(self)
            if self.leads:
                election.become_follower(self, now)
        super().distrust(now, reason)

    # ---- callers -----------------------------------------------------------------------------------------

    def reply(self, id: int, body: Any) -> None:
        if id <= MERGES:
            pulling.on_answer(self, id, body)
        else:
            super().reply(id, body)

    def reply_all(self, answers: list[tuple[int, Any]]) -> None:
        if answers[0][0] <= MERGES:  # alone in its batch
            pulling.on_answer(self, *answers[0])
        else:
            super().reply_all(answers)

    def submit_read(self, now: Now, id: int, what: Subject, level: str, after: tuple[Reached, ...] = ()) -> None:
        level = SESSION if level == STRONGEST else level
        if level in _NOT_OFFERED or level.startswith(BOUNDED):
            self.reply(id, NOT_PROMISED)
        else:
            reads.submit(self, now, id, what, level, after)

    def has_of_another(self, place: Reached) -> bool:
        return pulling.has(self, place.group, Position(place.epoch, place.index))

    def submit(self, now: Now, request: Request) -> bool:
        if (there := schema.elsewhere(self, request.body)) is not None:
            self.reply(request.id, there)
            return False
        if self.leads and not doubting.is_sure(self):
            self.reply(request.id, doubting.refusal(self))
            return False
        return writes.submit(self, now, request)

    def join(self, now: Now, request: Request) -> bool:
        if (there := schema.elsewhere(self, request.body)) is not None:
            self.reply(request.id, there)
            return False
        if self.leads and not doubting.is_sure(self):
            self.reply(request.id, doubting.refusal(self))
            return False
        return writes.join(self, now, request)


MULTI_LEADER = Replication(
    NAME,
    MultiLeaderReplica,
    frozenset((*EVENTS, WholeRead)),
    frozenset((*MESSAGES, Fetch, Fetched)),
    MultiLeaderOptions,
    PROMISES,
)
