"""Liveness belongs to the node, not to the group.

Every pair of nodes exchanges one heartbeat, however many groups they share. A heartbeat names only groups
of which something is worth saying, so a thousand idle groups cost what one does. Three questions are
answered here: whom do I hear (followers wait for a leader's node), who answers me (a leader needs a
majority that does), and has a majority confirmed this group since a read arrived.
"""

from collections.abc import Callable, Collection, Iterable

from msgspec import Struct

from quorate.core.bounds import GroupId, NodeId
from quorate.core.kernel import Effect, Now, Send
from quorate.core.lives import PeerLife
from quorate.core.messages import GroupHeartbeat, Heartbeat, HeartbeatReply, Superseded
from quorate.core.replica import Replica
from quorate.core.settings import Settings
from quorate.core.superseding import Lives
from quorate.core.timeouts import Timing, election_us
from quorate.core.upgrading import Versions

SENT_KEPT = 1_000
"""Heartbeats whose answers are still waited for, of one peer."""


LIVES_TOLD = 8
"""Lives that a voter names."""


class Sent(Struct, frozen=True):
    at_us: int
    stepped_down: tuple[GroupHeartbeat, ...]


NEVER_US = -(1 << 60)
"""Before any clock begins."""


class Peer:
    """What this node knows of another."""

    def __init__(self, now_us: int, settings: Settings) -> None:
        self.timing = Timing(settings)
        self.heard_us = now_us
        self.connected = True
        self.alive = True
        self.boot = 0
        self.settled = 0
        self.answered_us = now_us
        """When the newest of our heartbeats that it answered was sent."""
        self.lived_us = NEVER_US
        """The same, but that no stall of ours moves it: it lived then, for certain."""
        self.sent: dict[int, Sent] = {}
        self.due: dict[GroupId, None] = {}
        """Groups that we lead and whose state it has not confirmed."""
        self.stepped_down: dict[GroupId, int] = {}
        """Groups that we have ceased to lead, and in which epoch."""


class Liveness:
    """Heartbeats with every other node of the cluster."""

    def __init__(
        self,
        boot: int,
        settings: Settings,
        groups: dict[GroupId, Replica],
        versions: Versions,
        emit: Callable[[Effect], None],
        me: NodeId = 0,
        lives: Iterable[PeerLife] = (),
    ) -> None:
        self.boot = boot
        self.begun_us = 0
        """When this life began, by the wall clock."""
        self.lives = Lives(me, lives, emit)
        self.settings = settings
        self.groups = groups
        self.versions = versions
        self.emit = emit
        self.peers: dict[NodeId, Peer] = {}
        self.sequence = 0
        self.rounds: dict[GroupId, None] = {}
        """Groups whose reads wait for a confirmation."""
        self.settled = 0
        """See `Heartbeat.settled`."""
        self.fresh_rounds: dict[GroupId, None] = {}
        """Those among them that have not been sent a heartbeat yet."""
        self.stalled_us = 0
        """When this node last went on after it had not run for a while."""

    def add(self, node: NodeId, now: Now) -> bool:
        """Begin to watch a node; False when it already was."""
        if node in self.peers:
            return False
        self.peers[node] = Peer(now.mono_us, self.settings)
        return True

    def drop(self, node: NodeId) -> None:
        """Watch it no more: it is no member, and in none of our groups."""
        self.peers.pop(node, None)

    def let_go(self, group: GroupId) -> None:
        """Nothing is to be said of this group any more."""
        self.rounds.pop(group, None)
        self.fresh_rounds.pop(group, None)
        for peer in self.peers.values():
            peer.due.pop(group, None)
            peer.stepped_down.pop(group, None)

    # ---- hearing ---------------------------------------------------------------------------------------

    def heard(self, now: Now, node: NodeId) -> bool:
        peer = self.peers.get(node)
        return peer is not None and peer.connected and now.mono_us - peer.heard_us < peer.timing.suspect_us

    def on_any_message(self, now: Now, sender: NodeId) -> None:
        peer = self.peers.get(sender)
        if peer is not None:
            peer.heard_us = now.mono_us
            peer.connected = True
            if not peer.alive:
                peer.alive = True
                self._returned(sender)

    def on_unreachable(self, now: Now, node: NodeId) -> None:
        """The connection broke. If the node lives, it will be heard again before anyone is elected."""
        peer = self.peers.get(node)
        if peer is not None:
            peer.connected = False
            peer.alive = False
            self._lose(now, node)

    def is_news(self, node: NodeId, boot: int) -> bool:
        """Whether this is another life of the node than the one that was heard last."""
        peer = self.peers.get(node)
        return peer is not None and peer.boot != boot

    def on_heartbeat(self, now: Now, sender: NodeId, message: Heartbeat) -> None:
        peer = self.peers.get(sender)
        if peer is None:
            return  # a stranger
        life = PeerLife(sender, message.boot, message.begun_us)
        known = self.lives.newest.get(sender, life)
        if known != life:
            self.emit(Send(sender, Superseded(life.boot, life.begun_us, known.boot, known.begun_us)))
        if not self.lives.is_newest(life):
            return  # the echo of an earlier life, or an old copy of its folder
        if message.boot > peer.boot:
            if peer.boot:
                self._restarted(now, sender)
            peer.boot = message.boot
            peer.timing.beat_us = 0
        peer.timing.beat(now.mono_us)
        self.versions.heard(sender, message.spoken)
        peer.settled = message.settled
        for mention in message.stepped_down:
            group = self.groups.get(mention.group)
            if group is not None:
                group.on_resigned(now, sender, mention.epoch)
        answers: list[GroupHeartbeat] = []
        for mention in message.led:
            group = self.groups.get(mention.group)
            if group is None:
                continue
            answer = group.on_mention(now, sender, mention)
            if answer is not None:
                answers.append(answer)
        self.emit(Send(sender, HeartbeatReply(message.sequence, message.boot, tuple(answers))))

    def on_reply(self, now: Now, sender: NodeId, message: HeartbeatReply) -> None:
        peer = self.peers.get(sender)
        if peer is None or message.boot != self.boot:
            return
        sent = peer.sent.pop(message.sequence, None)
        if sent is not None:
            peer.answered_us = max(peer.answered_us, sent.at_us)
            peer.lived_us = max(peer.lived_us, sent.at_us)
            if sent.at_us >= self.stalled_us:  # else it measures our own stall
                peer.timing.answered(now.mono_us - sent.at_us)
            for mention in sent.stepped_down:
                if peer.stepped_down.get(mention.group) == mention.epoch:
                    del peer.stepped_down[mention.group]
        for mention in message.groups:
            group = self.groups.get(mention.group)
            if group is None:
                continue
            if group.on_mention_answered(now, sender, message.sequence, mention):
                peer.due.pop(mention.group, None)

    def lived_us(self, node: NodeId) -> int:
        """When this node lived for certain: what was sent to it then was answered. What it has said since may be on its
        way; what comes late does not count."""
        peer = self.peers.get(node)
        return NEVER_US if peer is None else peer.lived_us

    # ---- speaking --------------------------------------------------------------------------------------

    def mention(self, group: Replica) -> None:
        """This group's epoch or commit index moved: say so until everybody has confirmed it."""
        for node in group.others:
            peer = self.peers.get(node)
            if peer is not None:
                peer.due[group.group] = None
                peer.stepped_down.pop(group.group, None)

    def resign(self, group: Replica, epoch: int) -> None:
        """This node no longer leads the group: say so until everybody has heard it."""
        self.rounds.pop(group.group, None)
        self.fresh_rounds.pop(group.group, None)
        for node in group.others:
            peer = self.peers.get(node)
            if peer is not None:
                peer.due.pop(group.group, None)
                peer.stepped_down[group.group] = epoch

    def start_round(self, group: GroupId) -> int:
        """The sequence of the heartbeat that is about to ask this group's voters."""
        self.rounds[group] = None
        self.fresh_rounds[group] = None
        return self.sequence + 1

    def flush_rounds(self, now: Now) -> None:
        """Ask the voters of every group that began a round since the last time; one message a peer."""
        if not self.fresh_rounds:
            return
        nodes: dict[NodeId, list[GroupId]] = {}
        for group in self.fresh_rounds:
            for node in self.groups[group].others:
                nodes.setdefault(node, []).append(group)
        self.fresh_rounds.clear()
        self.sequence += 1
        for node, groups in nodes.items():
            if node in self.peers:
                self._send(now, node, groups)

    def beat(self, now: Now) -> None:
        """Tell every peer that we are alive, and what it has not confirmed."""
        if self.peers:
            self.lives.live(self.boot, self.begun_us)
        self.sequence += 1
        self.rounds = {group: None for group in self.rounds if self.groups[group].confirming}
        self.fresh_rounds.clear()
        for node, peer in self.peers.items():
            self._send(now, node, dict.fromkeys((*peer.due, *self.rounds)))

    def _send(self, now: Now, node: NodeId, groups: Iterable[GroupId]) -> None:
        peer = self.peers[node]
        led: list[GroupHeartbeat] = []
        for number in groups:
            mention = self.groups[number].mention_to(node)
            if mention is not None:
                led.append(mention)
            else:
                peer.due.pop(number, None)
        stepped_down = tuple([GroupHeartbeat(number, epoch, 0) for number, epoch in peer.stepped_down.items()])
        sent, horizon = peer.sent, now.mono_us - self.settings.suspect_max_us
        sent[self.sequence] = Sent(now.mono_us, stepped_down)
        while len(sent) > 1 and (next(iter(sent.values())).at_us < horizon or len(sent) > SENT_KEPT):
            del sent[next(iter(sent))]  # an answer that late would not count
        spoken = self.versions.spoken
        heartbeat = Heartbeat(self.sequence, self.boot, tuple(led), stepped_down, spoken, self.settled, self.begun_us)
        self.emit(Send(node, heartbeat))

    # ---- judging ---------------------------------------------------------------------------------------

    def judge(self, now: Now) -> None:
        """Once per heartbeat: who fell silent, and which of our leaderships have lost their majority."""
        silent = False
        for node, peer in self.peers.items():
            if peer.alive and not self.heard(now, node):
                peer.alive = False
                self._lose(now, node)
            silent = silent or peer.answered_us + peer.timing.suspect_us <= now.mono_us
        # A voter that is not watched, for our copy of the catalog does not name it yet, need not be missed: whoever
        # voted for us was heard, and members change only when a majority of those to come is. So the watched, with us,
        # are a majority of each set, and while all of them answer no leadership has lost its own.
        if not silent:
            return
        fresh = {node: peer.answered_us + peer.timing.suspect_us for node, peer in self.peers.items()}
        for group in list(self.groups.values()):
            group.on_answered_until(now, fresh)

    def stalled(self, now: Now, stall_us: int) -> None:
        """This node did not run for so long: it was stopped, starved, or kept by one long task. Time in which it could
        hear nobody is not silence of the others, nor delay of its disk. What was said meanwhile lies in its sockets,
        and is heard next. (A slow node must blame itself first: Dadgar and others 2018, "Lifeguard".)"""
        self.stalled_us = now.mono_us
        for peer in self.peers.values():
            peer.heard_us += stall_us
            peer.answered_us += stall_us
            peer.timing.beat_us = 0
        for group in self.groups.values():
            group.on_stalled(stall_us)

    def election_us(self, voters: Collection[NodeId], needed: int) -> int:
        """How long a candidate waits at least that needs so many of these."""
        timings = [peer.timing for node, peer in self.peers.items() if peer.alive and node in voters]
        return election_us(self.settings, timings, needed)

    def retry_us(self, node: NodeId) -> int:
        """After how long what was sent to this node is sent again."""
        peer = self.peers.get(node)
        return self.settings.retry_us if peer is None else peer.timing.retry_us

    def _returned(self, node: NodeId) -> None:
        """It was silent and is heard again."""
        for group in self.groups.values():
            group.on_peer_back(node)

    def _restarted(self, now: Now, node: NodeId) -> None:
        """A later life of a node: it leads nothing until it says so, and what it has it must show again."""
        self._lose(now, node)
        for group in self.groups.values():
            if group.on_peer_restarted(node):
                self.mention(group)

    def own_lives(self) -> tuple[PeerLife, ...]:
        """The last lives of this node that its folder knows."""
        known = {**self.lives.own, self.boot: self.begun_us}
        return tuple(PeerLife(self.lives.me, boot, known[boot]) for boot in sorted(known)[-LIVES_TOLD:])

    def alive(self) -> dict[NodeId, bool]:
        return {node: peer.alive for node, peer in self.peers.items()}

    def _lose(self, now: Now, node: NodeId) -> None:
        for group in self.groups.values():
            group.on_peer_lost(now, node)
