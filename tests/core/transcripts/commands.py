"""The commands of a transcript. Each does one thing to the cluster; what that causes is recorded beneath it.

Messages of the databases wait until they are delivered. The catalog, and heartbeats that say nothing but "alive", go
their way by themselves. No time passes but in `run`, `wait` and `campaign`.
"""

from collections.abc import Callable, Iterator

import msgspec

from quorate.core import kernel
from quorate.core.catalog import DroppedRow
from quorate.core.copy_requests import OpenCopy, ReadCopy
from quorate.core.requests import Failover, LostAsk, Outcome, Run, Verify
from quorate.core.statements import Statement, Token
from tests.core.harness import SETTINGS
from tests.core.transcripts import render
from tests.core.transcripts.cluster import STEP_US, Scripted
from tests.core.transcripts.machine import Recorder

CAMPAIGN_US = 5_000_000
"""By then somebody's patience must have ended."""
UNITS = {"ms": 1_000, "s": 1_000_000}


class Script:
    """What the commands of one file act upon."""

    def __init__(self) -> None:
        self.cluster = Scripted(0, 0, "majority", (), SETTINGS)
        self.reads = 0

    def do(self, command: str) -> list[str]:
        """Carry out one line; returns what it caused, line by line. `&` at its end: the next comes at that moment."""
        name, *words = command.removesuffix("&").split()
        COMMANDS[name](self, *words)
        if not command.endswith("&"):
            self.cluster.settle()
        return self.cluster.take_lines()

    # ---- the cluster ---------------------------------------------------------------------------------------------

    def nodes(self, *words: str) -> None:
        """`nodes 3 [spares 1] [acks sync] [manual] [databases a b] [set name 1] [holding x y]`: a cluster at rest, led
        by node 1; with settings changed, and with these writes done."""
        found = _options(words[1:])
        databases = found.get("databases") or ["main"]
        acks = " ".join((*found.get("acks", ["majority"]), *(each for each in ("manual", "etcd") if each in found)))
        numbers = found.get("set", [])
        changed = {name: int(value) for name, value in zip(numbers[::2], numbers[1::2], strict=True)}
        settings = msgspec.structs.replace(SETTINGS, **changed, has_etcd="etcd" in found)
        self.cluster = Scripted(int(words[0]), int(found.get("spares", "0")[0]), acks, tuple(databases), settings)
        self.cluster.run(2_000_000)
        for token in found.get("holding", ()):
            self.write("1", token)
            self.cluster.run(300_000)
        self.cluster.recording = True
        self.status()

    def status(self, *words: str) -> None:
        """`status [node ...]`: what each node says of its replica, and the writes that its data file holds."""
        for number, machine in self.cluster.machines.items():
            if not words or str(number) in words:
                for group in self.cluster.groups:
                    self.cluster.say(group, str(number), _status(machine, group))

    def order(self, *words: str) -> None:
        """`order 3 1 2`: node 3 is the first to lose its patience when nobody leads."""
        self.cluster.order[:] = [int(each) for each in words]

    # ---- callers -------------------------------------------------------------------------------------------------

    def write(self, number: str, token: str, *words: str) -> None:
        """`write 1 a [for 50ms] [in other]`: a caller asks node 1 for write a, whose token is its name."""
        until_us = self.cluster.now_us + _time(words[words.index("for") + 1]) if "for" in words else 0
        body = Run(self._database(words), (Statement("INSERT INTO t VALUES (1)"),), token=Token(token, 0))
        self.cluster.ask(int(number), token, body, until_us)

    def read(self, number: str, level: str, *words: str) -> None:
        """`read 2 linearizable`: a caller asks node 2; the reads are called r1, r2 and so on."""
        self.reads += 1
        body = Run(self._database(words), (Statement("SELECT 1"),), level=level)
        self.cluster.ask(int(number), f"r{self.reads}", body)

    def outcome(self, number: str, token: str) -> None:
        """`outcome 2 a`: what became of write a?"""
        self.cluster.ask(int(number), f"outcome of {token}", Outcome("main", Token(token, 0)))

    def failover(self, number: str, to: str, *words: str) -> None:
        """`failover 1 2 [accept-loss] [in other]`: somebody asks node 1 that node 2 lead."""
        body = Failover(self._database(words), f"n{to}", "accept-loss" in words)
        self.cluster.ask(int(number), "failover", body)

    def verify(self, number: str) -> None:
        """`verify 1`: somebody asks that all replicas be compared."""
        self.cluster.ask(int(number), "verify", Verify("main"))

    def lost(self, number: str) -> None:
        """`lost 1`: what does node 1 know of lost tails?"""
        self.cluster.ask(int(number), "lost", LostAsk("main"))

    def copy(self, number: str) -> None:
        """`copy 1`: somebody wants a copy of the database as it is now."""
        self.cluster.ask(int(number), "copy", OpenCopy("main", "linearizable"))

    def part(self, number: str, offset: str) -> None:
        """`part 1 0`: the caller reads its copy from there on; at its end it has read all of it."""
        self.cluster.ask(int(number), "part", ReadCopy(len(self.cluster.copies), int(offset)))

    def _database(self, words: tuple[str, ...]) -> str:
        return words[words.index("in") + 1] if "in" in words else next(iter(self.cluster.groups.values()))

    # ---- the catalog ---------------------------------------------------------------------------------------------

    def acks(self, *words: str) -> None:
        """`acks sync`: the catalog wants these acks from now on."""
        self.cluster.acks = " ".join(words)
        self.cluster.tell_catalog()

    def members(self, *words: str) -> None:
        """`members 1 2 4`: the catalog wants just these from now on."""
        self.cluster.want_members(*(int(each) for each in words))

    def drop_database(self, name: str) -> None:
        """`drop-database main`: the catalog says that it is gone."""
        number = next(group for group, each in self.cluster.groups.items() if each == name)
        self.cluster.dropped += (DroppedRow(number, name, self.cluster.placed),)
        self.cluster.tell_catalog()

    # ---- the network ---------------------------------------------------------------------------------------------

    def deliver(self, *words: str) -> None:
        """`deliver`: all until nothing moves; `deliver 1 -> 2 [Append] [first]`: those that are under way now."""
        if not words:
            self.cluster.deliver_all()
        for each in self._taken(*words) if words else ():
            self.cluster.hand_over(*each)

    def drop(self, *words: str) -> None:
        """`drop 1 -> 2 [Append]`: what is under way there is lost."""
        for each in self._taken(*words):
            self.cluster.say_message(each[0], "-x", each[1], each[2])

    def duplicate(self, *words: str) -> None:
        """`duplicate 1 -> 2 [Append]`: what is under way there will arrive twice."""
        taken = list(self._taken(*words))
        self.cluster.messages.extend((*taken, *taken))

    def delay(self, *words: str) -> None:
        """`delay 1 -> 2 [Append]`: everything else that is under way is faster."""
        self.cluster.messages.extend(list(self._taken(*words)))

    def _taken(self, sender: str, arrow: str, to: str, *words: str) -> Iterator[tuple[int, int, object]]:
        """Take messages from the network: those under way from one node to another (`*`: any), perhaps of one name, or
        only the first."""
        assert arrow == "->", arrow
        taken: list[tuple[int, int, object]] = []
        left: list[tuple[int, int, object]] = []
        names = [word for word in words if word != "first"]
        for each in self.cluster.messages:
            fits = sender in ("*", str(each[0])) and to in ("*", str(each[1]))
            named = not names or render.MESSAGES[type(each[2])][0] in names
            late = "first" in words and taken
            (taken if fits and named and not late else left).append(each)
        assert taken, f"nothing is under way {sender} -> {to} {' '.join(words)}"
        self.cluster.messages.clear()
        self.cluster.messages.extend(left)
        return iter(taken)

    def partition(self, *words: str) -> None:
        """`partition 1 | 2 3`: no message passes between these."""
        side_of = {}
        side = 0
        for word in words:
            if word == "|":
                side += 1
            else:
                side_of[int(word)] = side
        self.cluster.cut = {(a, b) for a in side_of for b in side_of if side_of[a] != side_of[b]}

    def heal(self) -> None:
        """Every message passes again."""
        self.cluster.heal()

    def unreachable(self, number: str) -> None:
        """`unreachable 1`: the connections to node 1 break, which the others notice."""
        for machine in self.cluster.machines.values():
            if machine.alive and machine.number != int(number):
                machine.feed(kernel.Unreachable(int(number)))

    # ---- time ----------------------------------------------------------------------------------------------------

    def run(self, time: str) -> None:
        """`run 500ms`: time passes, and every message arrives."""
        self.cluster.run(_time(time))

    def wait(self, time: str) -> None:
        """`wait 500ms`: time passes, and messages stay under way."""
        self.cluster.wait(_time(time))

    def campaign(self, number: str) -> None:
        """`campaign 2`: time passes until node 2 asks for votes, which nobody has heard yet."""
        end = self.cluster.now_us + CAMPAIGN_US
        while not any(int(number) == each[0] and _asks_for_votes(each[2]) for each in self.cluster.messages):
            assert self.cluster.now_us < end, f"node {number} does not stand"
            self.cluster.wait(STEP_US)

    # ---- nodes and their disks -----------------------------------------------------------------------------------

    def crash(self, number: str) -> None:
        """`crash 2`: what it had not written is gone, and so are its connections."""
        self.cluster.machines[int(number)].crash()

    def restart(self, number: str) -> None:
        """`restart 2`: it begins again from its disk."""
        self.cluster.machines[int(number)].start()

    def slow(self, number: str) -> None:
        """`slow 2`: what node 2 writes is not durable before `fsync 2`."""
        self.cluster.machines[int(number)].slow_disk = True

    def fsync(self, number: str) -> None:
        """`fsync 2`: what node 2 was writing is durable now."""
        self.cluster.machines[int(number)].finish_writing()

    def fast(self, number: str) -> None:
        """`fast 2`: its disk is quick again."""
        machine = self.cluster.machines[int(number)]
        machine.slow_disk = False
        machine.finish_writing()

    def fsync_next(self, number: str) -> None:
        """`fsync-next 2`: only the oldest of what node 2 was writing is durable."""
        machine = self.cluster.machines[int(number)]
        effect = machine.unwritten.popleft()
        machine.disk.writes.extend(effect.writes)
        machine.feed(kernel.Persisted(effect.sequence))

    def disk_full(self, number: str) -> None:
        """`disk-full 2`: it has no room for its log. What it is given waits."""
        self.slow(number)
        self.cluster.machines[int(number)].feed(kernel.DiskFull())

    def disk_room(self, number: str) -> None:
        """`disk-room 2`: it has room again, and what waited is written."""
        self.fast(number)
        self.cluster.machines[int(number)].feed(kernel.DiskRoom())

    def corrupt(self, number: str, token: str) -> None:
        """`corrupt 2 a`: the data file of node 2 holds something else than a."""
        data = self.cluster.machines[int(number)].data
        for group in self.cluster.groups:
            data[group] = [(place, f"{each}?" if each == token else each) for place, each in data[group]]

    def damage(self, number: str, *words: str) -> None:
        """`damage 3 [file]`: its replica turns out to be damaged; or only its data file, and the log is whole."""
        machine = self.cluster.machines[int(number)]
        for group in self.cluster.groups:
            machine.feed(kernel.ApplyFailed(group, full=False, reason="a torn page", log_intact="file" in words))

    def long(self, token: str) -> None:
        """`long b`: write b takes long, wherever it runs."""
        for machine in self.cluster.machines.values():
            machine.long.add(token)

    def finish(self, number: str) -> None:
        """`finish 1`: what runs alone on node 1 has ended."""
        machine = self.cluster.machines[int(number)]
        machine.feed(machine.executed(machine.alone.popleft()))

    def etcd(self, state: str) -> None:
        """`etcd away`, `etcd back`, `etcd expires`: it does not answer; it does; the permit's holder has lost it."""
        self.cluster.etcd_away = state == "away"
        if state == "expires":
            self.cluster.permit_holder = 0

    def drain(self, number: str) -> None:
        """`drain 1`: it is to be stopped, and hands over what it leads."""
        self.cluster.machines[int(number)].feed(kernel.Drain())


def _time(text: str) -> int:
    number = text.rstrip("ms")
    return int(number) * UNITS[text[len(number) :]]


def _asks_for_votes(message: object) -> bool:
    kind = render.MESSAGES[type(message)][0]
    return kind in ("PreVote", "Vote")


def _options(words: tuple[str, ...]) -> dict[str, list[str]]:
    """What follows each of these words."""
    found: dict[str, list[str]] = {}
    for word in words:
        if word in ("spares", "acks", "manual", "etcd", "databases", "set", "holding"):
            last = found.setdefault(word, [])
        else:
            last.append(word)
    return found


def _status(machine: Recorder, group: int) -> str:
    if not machine.alive:
        return "is dead"
    status = machine.status(group)
    if status is None:
        return "has no replica"
    follows = f" of {status.leader}" if status.leader and status.role != "leader" else ""
    first = f" from {status.first}" if status.first > 1 else ""
    now, coming = status.options["acks"], status.options_next
    acks = f"; acks {now}" if now != "majority" or coming else ""
    changes = f", changing to {coming['acks']}" if coming else ""
    usual = tuple(each.node for each in machine.cluster.members)
    voters = f"; voters {render.nodes(status.voters)}" if status.voters != usual or status.voters_next else ""
    joint = f" joint with {render.nodes(status.voters_next)}" if status.voters_next else ""
    learners = f"; learners {render.nodes(status.learners)}" if status.learners else ""
    return (
        f"{status.role}{follows}, epoch {status.epoch}; log{first} to {status.last_epoch}/{status.last},"
        f" committed {status.committed}, applied {status.applied}{acks}{changes}{voters}{joint}{learners};"
        f" holds [{machine.rows(group)}]"
    )


COMMANDS: dict[str, Callable[..., None]] = {
    name.replace("_", "-"): command
    for name, command in vars(Script).items()
    if callable(command) and not name.startswith("_") and name != "do"
}
