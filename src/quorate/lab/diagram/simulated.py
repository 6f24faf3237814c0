"""Watches a simulated run and tells it as a diagram. Watching changes nothing: the trace stays the same."""

from collections.abc import Callable
from typing import Any

import msgspec

from quorate.core.executing import Execute
from quorate.core.kernel import (
    Apply,
    Checkpoint,
    Commit,
    Deliver,
    DiskFull,
    DiskRoom,
    Drain,
    Drained,
    Halt,
    Note,
    OpenGeneration,
    OpenSnapshot,
    Persist,
    Persisted,
    Rollback,
)
from quorate.core.options import LEADERLESS
from quorate.core.requests import Answer, Ask, Told, WriteOutcome
from quorate.core.requests import Run as RunRequest
from quorate.lab.diagram.model import (
    AGAIN,
    ALL,
    BAND,
    COUNT,
    IN_FLIGHT,
    LEADERSHIP,
    LOST,
    MESSAGE,
    POINT,
    SPAN,
    TO_THE_DEAD,
    UNENDED,
    Diagram,
    Event,
    Lane,
    Verdict,
    newest,
)
from quorate.lab.judges.history import FOREVER, INFO, History, Operation
from quorate.lab.judges.linearizability import judge
from quorate.lab.judges.models import Register
from quorate.lab.sim.campaigns.report import Report, short
from quorate.lab.sim.run import Run
from quorate.lab.sim.workloads.client import PROCESSES_PER_CLIENT
from quorate.lab.sim.workloads.ledger import BUDGET, LINEARIZABILITY
from quorate.wire import codec

_outcome = msgspec.msgpack.Decoder(WriteOutcome)

LIMIT = 10_000
"""Events on one page: more than anybody reads, and still drawn at once."""
TEXT_LIMIT = 400

SHOWN_EFFECTS = (Execute, Commit, Rollback, Apply, Checkpoint, OpenSnapshot, OpenGeneration, Halt, Drained)
"""Effects that are points of their own; of the others, messages, writes and notes are shown as such."""
DOWN = "down"
PAUSED = "paused"
DISK_FULL = "disk full"
PARTITION = "partition"
CLOGGED = "clogged"


class Recorder:
    """Give it to `run.world.watcher` before the run is executed."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._nodes = {number: place for place, number in enumerate(sorted(run.hosts))}
        self._clients = {client.number: len(self._nodes) + place for place, client in enumerate(run.clients)}
        self.events: list[Event] = []
        self._messages: dict[int, Event] = {}
        """Messages by the identity of their bytes, which `_kept` keeps from being used again."""
        self._kept: list[bytes] = []
        self._leaderships: dict[tuple[int, int], Event] = {}
        self._committed: dict[tuple[int, int], int] = {}
        self._bands: dict[tuple[int, str], Event] = {}
        self._writes: dict[tuple[int, int], Event] = {}
        self._calls: dict[int, tuple[Any, Event]] = {}
        self._heard: dict[int, int] = {}
        """When each client last got an answer: calls end then, if they end by one."""
        self.groups: dict[int, str] = {}
        run.world.watcher = self
        for number in self._nodes:
            self._begin(number, DOWN, "not started yet")

    def _lane(self, number: int) -> int:
        return self._clients[-number] if number < 0 else self._nodes[number]

    def _now(self) -> int:
        return self._run.world.now_us

    def _add(self, event: Event) -> Event:
        self.events.append(event)
        return event

    # ---- messages --------------------------------------------------------------------------------------

    def sent(self, source: int, target: int, payload: bytes) -> None:
        """A message leaves."""
        self._look_at_clients()
        try:
            message = self._read(source, target, payload)
        except msgspec.MsgspecError:
            message = None
        kind, text, group, epoch = _told(message)
        event = Event(self._now(), self._lane(source), kind, text, MESSAGE, to=self._lane(target))
        event.fate, event.group, event.epoch = IN_FLIGHT, group, epoch
        self._messages[id(payload)] = self._add(event)
        self._kept.append(payload)

    def _read(self, source: int, target: int, payload: bytes) -> Any:
        if source < 0:
            return codec.decode_ask(payload)
        return codec.decode_told(payload) if target < 0 else codec.decode_message(payload)

    def lost(self, payload: bytes) -> None:
        """The network dropped it."""
        event = self._messages.get(id(payload))
        if event is not None and event.until == UNENDED:
            event.fate = LOST

    def arrived(self, _source: int, target: int, payload: bytes) -> None:
        """It comes out at the other end; perhaps a second time."""
        self._look_at_clients()
        if target < 0:
            self._heard[-target] = self._now()
        event = self._messages.get(id(payload))
        if event is None:
            return
        host = self._run.hosts.get(target)
        fate = TO_THE_DEAD if host is not None and not host.alive else ""
        if event.until == UNENDED:
            event.until, event.fate = self._now(), fate
        else:
            self._add(msgspec.structs.replace(event, until=self._now(), fate=fate or AGAIN))

    # ---- clients ---------------------------------------------------------------------------------------

    def _look_at_clients(self) -> None:
        """Calls begin and end between two messages: see which are under way."""
        for client in self._run.clients:
            known = self._calls.get(client.number)
            call = client.call
            if known is not None and known[0] is not call:
                heard = self._heard.get(client.number, 0)
                known[1].until = heard if heard > known[1].time else self._now()
                del self._calls[client.number]
                known = None
            if known is None and call is not None:
                operation = call.operation
                event = Event(self._now(), self._clients[client.number], operation.kind, operation.database, SPAN)
                self._calls[client.number] = (call, self._add(event))

    # ---- steps -----------------------------------------------------------------------------------------

    def stepped(self, node: int, event: Any, effects: Any) -> None:
        """One step of a node, or a fault (a text)."""
        if isinstance(event, str):
            self._fault(node, event, effects)
            return
        self._look_at(node)
        if isinstance(event, Persisted):
            for number, write in [key for key in self._writes if key[0] == node and key[1] <= event.sequence]:
                self._writes.pop((number, write)).until = self._now()
        elif isinstance(event, DiskFull):
            self._begin(node, DISK_FULL, "no room for the log")
        elif isinstance(event, DiskRoom):
            self._end(node, DISK_FULL)
        elif isinstance(event, Drain):
            self._point(node, "drain", "told to finish, hand over and stop")
        elif not isinstance(event, Deliver) and effects:
            self._point(node, type(event).__name__, short(event), getattr(event, "group", -1))
        for effect in effects or ():
            self._effect(node, effect)

    def _effect(self, node: int, effect: Any) -> None:
        if isinstance(effect, Persist):
            event = Event(self._now(), self._nodes[node], "write to disk", _cut(short(effect)), SPAN)
            self._writes[node, effect.sequence] = self._add(event)
        elif isinstance(effect, Note):
            fields = " ".join(f"{name}={value}" for name, value in effect.fields.items())
            self._point(node, effect.name.replace("_", " "), fields, int(effect.fields.get("group", -1)))
        elif isinstance(effect, SHOWN_EFFECTS):
            self._point(node, type(effect).__name__, short(effect), getattr(effect, "group", -1))

    def _point(self, node: int, kind: str, text: str, group: int = -1) -> None:
        lane = self._nodes[node] if node else ALL
        self._add(Event(self._now(), lane, kind, _cut(text), POINT, group=group))

    def _look_at(self, node: int) -> None:
        """Who leads, and what is committed, as this node sees it now."""
        core = self._run.hosts[node].core
        for number, group in core.groups.items() if core is not None else ():
            self.groups.setdefault(number, group.database or "catalog")
            if group.replication == LEADERLESS:
                continue  # nobody leads it, and nothing in it is committed by one for all
            leadership = self._leaderships.get((node, number))
            if leadership is None or (leadership.epoch, leadership.kind) != (group.election.epoch, group.election.role):
                if leadership is not None:
                    leadership.until = self._now()
                event = Event(
                    self._now(),
                    self._nodes[node],
                    group.election.role,
                    "",
                    LEADERSHIP,
                    group=number,
                    epoch=group.election.epoch,
                )
                self._leaderships[node, number] = self._add(event)
            if self._committed.get((node, number), 0) != group.commit.committed:
                self._committed[node, number] = group.commit.committed
                event = Event(
                    self._now(), self._nodes[node], "committed", "", COUNT, group=number, index=group.commit.committed
                )
                self._add(event)

    # ---- faults ----------------------------------------------------------------------------------------

    def _fault(self, node: int, text: str, details: Any) -> None:
        if node:
            self._point(node, text.split(" ")[0], text)
        if text == "start":
            self._end(node, DOWN)
        elif text.startswith("crash"):
            self._died(node, text)
        elif text == "pause":
            self._begin(node, PAUSED, "not scheduled; what arrives waits")
        elif text == "resume":
            self._end(node, PAUSED)
        elif text == "mended":
            self._end(0, f"{PARTITION} {details}")
        elif not node and details:
            links = " ".join(f"{source}→{target}" for source, target in details)
            shape = text.removeprefix(PARTITION).strip(" _").replace("_", " ")
            self._begin(0, f"{PARTITION} {details}", f"{shape}: nothing passes {links}", PARTITION)
        elif not node:
            self._point(0, text, "" if details is None else str(details))
        if text == "liveness phase":
            for lane, name in [key for key in self._bands if key[1].startswith((PARTITION, CLOGGED))]:
                self._end(lane, name)

    def clogged(self, link: tuple[int, int]) -> None:
        """What is sent over this link waits from now on."""
        self._begin(0, f"{CLOGGED} {link}", f"{link[0]}→{link[1]}: what is sent waits", CLOGGED)

    def unclogged(self, link: tuple[int, int]) -> None:
        self._end(0, f"{CLOGGED} {link}")

    def _died(self, node: int, text: str) -> None:
        for name in (PAUSED, DISK_FULL):
            self._end(node, name)
        for key in [key for key in self._leaderships if key[0] == node]:
            self._leaderships.pop(key).until = self._now()
            self._committed.pop(key, None)
        for write in [key for key in self._writes if key[0] == node]:
            event = self._writes.pop(write)
            event.until, event.fate = self._now(), "cut short"
        self._begin(node, DOWN, text)

    def _begin(self, node: int, name: str, text: str, kind: str = "") -> None:
        if (node, name) not in self._bands:
            lane = self._nodes[node] if node else ALL
            self._bands[node, name] = self._add(Event(self._now(), lane, kind or name, text, BAND))

    def _end(self, node: int, name: str) -> None:
        band = self._bands.pop((node, name), None)
        if band is not None:
            band.until = self._now()

    # ---- the whole -------------------------------------------------------------------------------------

    def diagram(self, report: Report, limit: int = LIMIT) -> Diagram:
        """What was seen, after the run; the newest `limit` events of it."""
        self._look_at_clients()
        witness = _witness(report, self._run.ledger.history)
        self._name_calls(self._run.ledger.history, witness)
        lanes = [Lane(f"node {number}") for number in self._nodes]
        lanes += [Lane(f"client {number}", "client") for number in self._clients]
        end = self._now()
        facts = {
            "scenario": report.scenario,
            "seed": str(report.seed),
            "core": report.core,
            "nodes": str(len(self._nodes)),
            "steps": f"{report.steps:,}",
            "virtual time": f"{report.virtual_us / 1e6:.3f} s",
            "trace": report.trace,
        }
        diagram = Diagram(
            f"{report.scenario}, seed {report.seed}", lanes, self.events, 0, end, verdict=self._verdict(report, witness)
        )
        diagram.facts = facts
        diagram.groups = {str(number): name for number, name in sorted(self.groups.items())}
        core = "" if report.core == "real" else f" --core {report.core}"
        diagram.again = f"quorate lab replay {report.seed} --scenario {report.scenario}{core}"
        return newest(diagram, limit)

    def _name_calls(self, history: History, witness: tuple[Operation, ...]) -> None:
        """Judged calls say what was asked and told; the rest say of what kind they were."""
        known: dict[tuple[int, int], Operation] = {}
        for one in history:
            client = abs(one.process) if one.process < 0 else one.process // PROCESSES_PER_CLIENT
            known[self._clients.get(client, -1), one.invoked] = one
        guilty = {(one.process, one.invoked) for one in witness}
        for event in self.events:
            if event.shape != SPAN or event.lane < len(self._nodes):
                continue
            operation = known.get((event.lane, event.time))
            if operation is not None:
                event.text, event.fate = tell_operation(operation), operation.end
                event.marked = (operation.process, operation.invoked) in guilty
                if operation.end != INFO and (event.until == UNENDED or event.until > operation.returned):
                    event.until = operation.returned
                elif event.until < operation.returned < FOREVER:
                    event.text += ", told later"  # the caller had given up; somebody asked for the outcome

    def _verdict(self, report: Report, witness: tuple[Operation, ...]) -> Verdict | None:
        if report.ok:
            return None
        time, lane = self._now(), ALL
        if witness:
            time = max(one.returned if one.end != INFO else one.invoked for one in witness)
        elif self._run.world.recent:
            _, node, _, effects = self._run.world.recent[-1]
            lane = self._nodes[node] if node and effects is not None else ALL
        return Verdict(report.judge, report.message, time, lane)


def _witness(report: Report, history: History) -> tuple[Operation, ...]:
    return judge(history, Register(0), BUDGET).witness if report.judge == LINEARIZABILITY else ()


def tell_operation(operation: Operation) -> str:
    """A call in a few words: what was asked of which key, and what was told."""
    asked = "" if operation.value is None else f" {operation.value}"
    told = "" if operation.result is None else f" → {operation.result}"
    key = f" {operation.key}" if operation.key else ""
    return _cut(f"{operation.function}{key}{asked}{told}")


def _told(message: Any) -> tuple[str, str, int, int]:
    """Kind, text, group and epoch of a message."""
    if message is None:
        return "damaged", "cannot be decoded", -1, 0
    body = getattr(message, "body", None)
    kind = type(message).__name__
    if isinstance(message, Ask):
        return "Request", _cut(_asked(body)), -1, 0
    if isinstance(message, Told):
        return "Answer", _cut(_answered(body)), -1, 0
    return kind, _cut(short(message)), getattr(message, "group", -1), getattr(message, "epoch", 0)


def _asked(body: Any) -> str:
    """A request, with its SQL first: that is what a reader looks for."""
    if not isinstance(body, RunRequest):
        return short(body)
    said = "; ".join(f"{one.sql} {' '.join(map(repr, one.sets))}".removesuffix(" ()") for one in body.statements)
    token = f" token {body.token.id}" if body.token is not None else ""
    return f"{said} · {body.database} {body.level}{token}"


def _answered(body: Any) -> str:
    if not isinstance(body, Answer):
        return short(body)
    return f"{short(_outcome.decode(body.outcome))} · index {body.index}"


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"


def watched(simulate: Callable[[], Report], limit: int = LIMIT) -> tuple[Report, Diagram]:
    """Let `simulate` execute a run, of whatever code, and tell that run."""
    recorders: list[Recorder] = []

    def watch(run: Run) -> None:
        recorders[:] = [Recorder(run)]

    before, Run.watch = Run.watch, watch
    try:
        report = simulate()
    finally:
        Run.watch = before
    return report, recorders[-1].diagram(report, limit)
