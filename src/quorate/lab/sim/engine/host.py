"""One simulated machine: it holds a node's core and its store, performs the core's effects, dies, comes back.

This is a driver, with the duties that `core.kernel` lists. Where a real driver would wait for a thread
or a disk, virtual time passes; where a real machine would die, the effects of a step may stop half-way.
"""

import random
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from quorate.core.bounds import GroupId
from quorate.core.calls import EndLogins, Replies, Reply, Tell
from quorate.core.certificates import Protect
from quorate.core.entries import LogWrite
from quorate.core.formats import HERE
from quorate.core.kernel import (
    Connect,
    Deliver,
    Disconnect,
    Drain,
    Drained,
    Effect,
    Event,
    Halt,
    Note,
    Persist,
    Reachable,
    Send,
    Unreachable,
    Wake,
)
from quorate.core.messages import SINCE
from quorate.core.permits import AskPermit, DropPermit
from quorate.core.querying import Query
from quorate.core.recovered import Recovered
from quorate.core.requests import Left
from quorate.lab.sim.engine.arrivals import together
from quorate.lab.sim.engine.beside import Storage
from quorate.lab.sim.engine.callers import Callers
from quorate.lab.sim.engine.clocks import Clock
from quorate.lab.sim.engine.disk import Disk
from quorate.lab.sim.engine.network import Network
from quorate.lab.sim.engine.observers import CoreMaker, NodeCore, Observer
from quorate.lab.sim.engine.world import Violation, World
from quorate.lab.sim.etcd import Etcd
from quorate.lab.sim.scenarios.dials import MILLISECOND, Dials
from quorate.lab.sim.stores.keeps import SimulatedStore
from quorate.storage.interface import Broken, DiskIsFull
from quorate.wire import codec

FORMATS = "formats"
"""The judge of messages, folders and releases."""

LOOK_EVERY = 64
"""After each step the groups that it touched are looked at; after every so many steps all of them are."""
RECOVERIES = 5
RESTART_US = 300 * MILLISECOND
"""After so long a machine that had no room to start in is tried again."""
STEPS_WITHOUT_TIME = 20_000
"""A node that takes so many steps while no time passes will take them for ever."""


class Host:
    """One machine. Alive or dead, running or paused."""

    def __init__(
        self,
        world: World,
        dials: Dials,
        network: Network,
        number: int,
        store: SimulatedStore,
        make_core: CoreMaker,
        observer: Observer,
    ) -> None:
        self.world = world
        self.dials = dials
        self.number = number
        self.store = store
        store.handles.most = dials.open_replicas
        self.network = network
        self.observer = observer
        self.etcd: Etcd
        """Set once, before anything is asked of it: there is one for all hosts of a run."""
        self.clock = Clock(world.rng(f"clock/{number}"), dials.drift_ppm, dials.wall_offset_us)
        self.disk: Disk = store.make_disk(world, dials, number, self._make_durable, self.feed, self.crash)
        self.core: NodeCore | None = None
        self.paused = False
        self.resumed_us = 0
        """When it last went on."""
        self.restarts = False
        """What the judge *node* would say ends the node, as it does in the world, and not the run."""
        self.gone = False
        """Its disk is lost: it never starts again."""
        self.when_sent: dict[type, Callable[[Host], None]] = {}
        """A fault waits for the moment at which a message of this kind (a vote only if granted) has left."""
        self.formats = HERE
        """What the release that this machine starts reads."""
        self.life = 0
        self.rng = world.rng(f"host/{number}")
        self.storage = Storage(self)
        self.peers: dict[int, str] = {}
        """Whom the core asked to be connected to."""
        self._make_core = make_core
        self._ready: deque[Event] = deque()
        self._stepping = False
        self._tear_after: int | None = None
        self._drained = False
        self.draining = False
        self._held: deque[Event] = deque()
        self._wake_at_us = -1
        self._armed_us = -1
        """The deadline for which that was set, by the node's clock ..."""
        self._due_us = 0
        """... and by the world's."""
        self.callers = Callers(self)
        self._last_time_us = -1
        self._steps_now = 0
        self._steps_until_look = LOOK_EVERY
        network.join(number, self._receive)

    @property
    def alive(self) -> bool:
        return self.core is not None

    @property
    def running(self) -> bool:
        return self.core is not None and not self.paused

    # ---- life and death ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Recover what the disk holds and begin a life."""
        assert self.core is None, "a machine is started once"
        if self.gone:
            return
        self.life += 1
        self.clock.reboot()
        recovered = self._recover()
        if recovered is None:
            return
        if recovered.identity.format not in self.formats:
            raise Violation(FORMATS, f"node {self.number} reads {self.formats}, its folder {recovered.identity.format}")
        rng = self.world.rng(f"node/{self.number}/{recovered.identity.boot}")
        self.core = self._make_core(recovered, rng, self.dials.settings, self.formats)
        for writes in self.store.landed():
            self.observer.durable(self, writes)
        for group, count in self.store.lost():
            self.world.record(self.number, f"damage to the last {count} entries of group {group}", None)
            self.world.mark("damage")
            self.observer.damaged(self, group, count)
        self.observer.started(self, recovered)
        self.world.record(self.number, "start", None)
        self._wake_at_us = self._armed_us = -1
        self._arm()

    def _recover(self) -> Recovered | None:
        """What the disk holds; None when it has no room to start in, and somebody will try again."""
        for _ in range(RECOVERIES):
            try:
                return self.store.recover()
            except Broken as broken:
                self.world.record(self.number, f"not started: {broken}", None)
                self.world.mark("recovery failed")  # somebody tries once more
            except DiskIsFull:
                self.world.mark("no room to start")
                self.world.after(RESTART_US, self._start_again, self.life)
                return None
            except Exception as error:
                where = "".join(traceback.format_exception(error)[-4:])
                raise Violation("store", f"node {self.number} cannot start: {error!r}\n{where}") from error
        raise Violation("store", f"node {self.number} does not start in {RECOVERIES} attempts")

    def _start_again(self, life: int) -> None:
        if self.core is None and self.life == life:
            self.start()

    def crash(self, *, orderly: bool = False) -> None:
        """The process dies, perhaps with the whole machine; or it stops in order, with nothing to lose."""
        if self.core is None:
            self.life += 1  # nor is it started again
            return
        machine = not orderly and self.rng.random() < self.dials.lose_unsynced
        self.world.record(self.number, "crash of the machine" if machine else "crash of the process", None)
        self.world.mark("stop" if orderly else "crash")
        self.core = None
        self.paused = False
        self.life += 1
        self.disk.crash()
        if orderly:
            try:
                self.store.stop()
            except Broken:
                orderly = False
        if not orderly:
            self.store.crash(self.rng, machine)
        self._ready.clear()
        self._held.clear()
        self.callers.crash()
        self.peers.clear()
        self._tear_after = None
        self._drained = self.draining = False
        self.storage.crash()

    def drain(self) -> None:
        """An operator asks the node to finish, hand over and stop."""
        self.draining = True
        self.feed(Drain())

    def damage(self) -> None:
        """The end of one of its logs turns out to be unreadable. Between two lives."""
        assert self.core is None, "only a dead machine's disk is damaged"
        self.store.lose_tail(self.rng)

    def harm(self, what: str, flip: Callable[[random.Random], GroupId | None]) -> None:
        """A bit of this machine's disk changes, unseen for now."""
        group = flip(self.rng)
        if group is not None:
            self.world.record(self.number, f"{what} of group {group}", None)
            self.world.mark(what)
            self.observer.flipped(self, group)

    def fail_stop(self, why: Broken) -> None:
        """The disk failed in a way that nobody can survive: a real driver stops the node."""
        self.world.record(self.number, f"stopped: {why}", None)
        self.world.mark("disk failed")
        self.crash()
        if self.store.lied_to:  # this may come long after the lie: nobody else waits for it
            self.world.after(RESTART_US, self._start_again, self.life)

    def crash_within_a_step(self) -> None:
        """Die in the middle of performing the effects of some step to come."""
        if not self.store.die_soon():
            self._tear_after = self.rng.randint(0, 4)

    def cancel_tear(self) -> None:
        """The faults are over."""
        self._tear_after = None

    def fill_disk(self, *, full: bool) -> None:
        """No room for the log nor for data files, or room again."""
        self.disk.fill(full=full)
        self.store.full = full

    def pause(self) -> None:
        """The process stops being scheduled; what arrives waits, and time goes on without it."""
        if self.running:
            self.world.record(self.number, "pause", None)
            self.world.mark("pause")
            self.paused = True

    def resume(self) -> None:
        if self.core is not None and self.paused:
            self.world.record(self.number, "resume", None)
            self.paused, self.resumed_us = False, self.world.now_us
            self._ready.extend(together(self._held))
            self._held.clear()
            self._drain()

    # ---- events --------------------------------------------------------------------------------------------

    def feed(self, event: Event) -> None:
        """Hand an event to the node, after those that are already waiting."""
        if self.core is None:
            return
        if self.paused:
            self._held.append(event)
            return
        self._ready.append(event)
        self._drain()

    def _drain(self) -> None:
        if self._stepping:
            return
        self._stepping = True
        try:
            while self._ready and self.core is not None:
                self._step(self._ready.popleft())
        finally:
            self._stepping = False
        self._arm()

    def _step(self, event: Event) -> None:
        core, world = self.core, self.world
        assert core is not None
        if world.now_us != self._last_time_us:
            self._last_time_us = world.now_us
            self._steps_now = 0
        self._steps_now += 1
        if self._steps_now > STEPS_WITHOUT_TIME:
            raise Violation("progress", f"node {self.number} steps without end while no time passes")
        self._steps_until_look -= 1
        try:
            effects = core.step(self.clock.read(world.now_us), event)
            if self._steps_until_look:
                touched = core.touched
                for group in touched:
                    group.assert_invariants()
            else:
                self._steps_until_look = LOOK_EVERY
                touched = core.groups.values()
                core.assert_invariants()
        except Exception as error:
            where = "".join(traceback.format_exception(error)[-4:])
            world.record(self.number, event, ())
            if self.restarts:
                self.fail_stop(Broken(repr(error)))
                world.after(RESTART_US, self._start_again, self.life)
                return
            raise Violation("node", f"node {self.number} failed an assertion or raised: {error!r}\n{where}") from error
        world.record(self.number, event, effects)
        self.observer.after_step(self, event, effects, touched)
        if not effects:
            return
        if self._tear_after is not None and len(effects) > self._tear_after:
            for effect in effects[: self._tear_after]:
                self.PERFORM.get(type(effect), Host._store_effect)(self, effect)
            self.world.mark("torn step")
            self.crash()
            return
        life = self.life
        for effect in effects:
            self.PERFORM.get(type(effect), Host._store_effect)(self, effect)
            if self.life != life:
                return  # it died of one of them
        if self._drained:
            self.crash(orderly=True)

    def _receive(self, source: int, payload: bytes) -> None:
        """A message arrived from the network."""
        if self.core is None:
            return
        if source > 0:
            message = codec.decode_message(payload)
            if SINCE.get(type(message), 0) <= self.formats.highest:  # a real transport would not have sent it
                self.feed(Deliver(source, message))
            return
        asked = codec.decode_asked(payload)
        if isinstance(asked, Left):
            self.callers.left(source, asked.id)
        else:
            request = self.callers.request(source, asked)
            if request is not None:
                self.feed(request)

    def hint(self, peer: int, *, reachable: bool) -> None:
        """The transport noticed that a connection was lost or regained."""
        if peer in self.peers:
            self.feed(Reachable(peer) if reachable else Unreachable(peer))

    # ---- effects -------------------------------------------------------------------------------------------

    def _send(self, effect: Send) -> None:
        message = effect.message
        if effect.to not in self.peers:
            self.world.mark("sent without a link")
            return
        self.observer.sending(self, effect)
        self.network.send(self.number, effect.to, codec.encode(message))
        if self.when_sent:
            strike = self.when_sent.get(type(message))
            if strike is not None and getattr(message, "granted", True):
                strike(self)

    def _persist(self, effect: Persist) -> None:
        self.disk.persist(effect)

    def _note(self, effect: Note) -> None:
        self.world.mark(f"note: {effect.name}")

    def _connect(self, effect: Connect) -> None:
        self.peers[effect.peer] = effect.address

    def _disconnect(self, effect: Disconnect) -> None:
        self.peers.pop(effect.peer, None)

    def _has_drained(self, _effect: Drained) -> None:
        self._drained = True

    def _halt(self, effect: Halt) -> None:
        raise Violation("halt", f"node {self.number} halted: {effect.reason}")

    def _ask_permit(self, effect: AskPermit) -> None:
        self.etcd.ask(self, effect)

    def _drop_permit(self, effect: DropPermit) -> None:
        self.etcd.drop(self, effect)

    def _answer_all(self, effect: Replies) -> None:
        for answer in effect.answers:
            self.reply(*answer)

    def _query(self, effect: Query) -> None:
        self.storage.query(effect)

    def _store_effect(self, effect: Effect) -> None:
        self.storage.perform(effect)

    def ready(self, events: Iterable[Event]) -> None:
        """Storage has told these; they are next."""
        (self._held if self.paused else self._ready).extend(events)

    def storage_answers(self, life: int, event: Event) -> None:
        """Storage tells something, of that life of the node."""
        if life == self.life:
            self.feed(event)

    def go_on(self) -> None:
        """See to what is ready."""
        if not self.paused:
            self._drain()

    def _make_durable(self, writes: tuple[LogWrite, ...]) -> None:
        try:
            self.store.persist(writes)
        except Broken as broken:
            self.fail_stop(broken)
            return
        except DiskIsFull:
            raise  # the disk waits for room
        except Exception as error:
            raise Violation("store", f"node {self.number}'s store raised {error!r} for {writes!r}") from error
        self.observer.durable(self, writes)

    def reply(self, number: int, body: Any) -> None:
        """Answer a request."""
        self.callers.reply(number, body)

    def unanswered(self) -> int:
        """How many requests still wait for their reply."""
        return len(self.callers)

    PERFORM: ClassVar[dict[type, Callable[["Host", Any], None]]] = {
        Send: _send,
        Persist: _persist,
        Reply: lambda host, effect: host.reply(effect.id, effect.body),
        Replies: _answer_all,
        Tell: lambda host, effect: host.callers.tell(effect),
        Query: _query,
        Note: _note,
        Connect: _connect,
        Disconnect: _disconnect,
        EndLogins: lambda host, effect: host.callers.end_logins(effect),
        Protect: lambda _host, _effect: None,
        Drained: _has_drained,
        Halt: _halt,
        AskPermit: _ask_permit,
        DropPermit: _drop_permit,
    }
    """Every other effect is the store's."""

    # ---- waking --------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """One entry in the world's queue for the node's next deadline; sooner ones are added, late ones ignored."""
        if self.core is None:
            return
        deadline_us = self.core.deadline_us
        if deadline_us is None:
            return
        if deadline_us != self._armed_us:
            self._armed_us, self._due_us = deadline_us, self.clock.when(deadline_us)
        elif self._wake_at_us >= 0:
            return
        at_us = max(self.world.now_us, self._due_us)
        if self._wake_at_us < 0 or at_us < self._wake_at_us:
            self._wake_at_us = at_us
            self.world.at(at_us, self._wake, self.life, at_us)

    def _wake(self, life: int, at_us: int) -> None:
        if life != self.life or at_us != self._wake_at_us or self.core is None:
            return
        self._wake_at_us = -1
        if self.paused:
            self._held.append(Wake())
        elif self.core.deadline_us is not None:
            if self._due_us <= self.world.now_us:
                self.feed(Wake())
            else:
                self._arm()
