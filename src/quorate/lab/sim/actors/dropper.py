"""Somebody who creates a database, uses it, drops it and creates it again under the same name, while all the rest of
the cluster is in use.

The judge is called *dropped*. A dropped database answers nobody once its drop was answered and a majority of those who
held it have closed it; a new one of its name never shows a row of an old one, and keeps its own; a node that has closed
a group never holds it again, in no later life; and at the end nothing of it lies on any disk.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from quorate.core.bounds import GroupId
from quorate.core.copy_requests import OpenCopy
from quorate.core.options import SINGLE_LEADER
from quorate.core.read_levels import LINEARIZABLE
from quorate.core.requests import Answer, Ask, CreateDatabase, Done, DropDatabase, Refused, Run, WriteOutcome
from quorate.core.statements import Failed, Statement, Token
from quorate.lab.sim.actors.actor import SimCluster
from quorate.lab.sim.actors.asking import Asker
from quorate.lab.sim.engine.host import Host
from quorate.lab.sim.engine.tombstones import DROPPED
from quorate.lab.sim.engine.world import Violation
from quorate.lab.sim.scenarios.dials import MILLISECOND
from quorate.lab.sim.workloads import operations
from quorate.wire import codec

NUMBER = -1_010
PATIENCE_US = 400 * MILLISECOND
LOOK_US = 20 * MILLISECOND
LINGERS_US = 800 * MILLISECOND
"""No message travels for so long: what was sent to the old database does not come to the new one."""
VICTIM = "victim"
MOST_WRITES = 4
PROBES = 3
BYSTANDERS = 4
"""So many requests of others are under way at the most when it is dropped."""
OTHERS = 1 << 40
"""Their numbers begin behind this, where nobody looks at the answers."""

_outcome = msgspec.msgpack.Decoder(WriteOutcome)


class Dropper(Asker):
    """One thing after the other, each asked for until it is answered."""

    def __init__(self, cluster: SimCluster) -> None:
        super().__init__(cluster, NUMBER, "dropper", PATIENCE_US)
        self._next: Callable[[], None] = self._create
        self._generation = 0
        """How often it was created."""
        self._value = 0
        """What was written last to the row of this generation."""
        self._tokens = 0
        self._dropped: dict[GroupId, tuple[int, ...]] = {}
        """Groups that were dropped, as the catalog said, and who held them."""
        self._probes = 0
        self._closing = False
        self.idle = True
        """Nothing is there, and nothing is under way."""

    def begin(self) -> None:
        """Drop and create from now on, if this run does that."""
        if self._dials.drops_us:
            self._world.after(self._rng.randint(1, self._dials.drops_us), self._go_on)

    def done(self, dead: int) -> bool:
        """In the liveness phase: the last one is dropped, and nothing of any is left."""
        del dead
        if not self._dials.drops_us:
            return True
        self._closing = True
        return self.unfinished() is None

    def _to_close(self, host: Host) -> set[GroupId]:
        """The dropped groups that this node has to know of: those that it holds, and as a member all."""
        core: Any = host.core
        if core is None or (core.me in core.directory.members and not core.removed):
            return set(self._dropped)
        return {number for number in self._dropped if number in core.groups}

    def unfinished(self) -> str | None:
        """What is still to be done; None when nothing is."""
        if not self._dials.drops_us:
            return None
        if not self.idle:
            return f"{VICTIM} is not dropped: {self._body} is asked"
        for host in self._hosts.values() if self._dropped else ():
            if host.alive and (open_ := sorted(self._to_close(host) - host.store.log.dropped)):
                return f"node {host.number} has not closed groups {open_}"
            if host.alive and (left := sorted(set(self._dropped) & host.store.held())):
                return f"files of the dropped groups {left} are left on node {host.number}"
        return None

    # ---- one thing after the other ---------------------------------------------------------------------------

    def _go_on(self) -> None:
        if not (self._closing and self.idle):
            self._next()

    def _soon(self, then: Callable[[], None], least_us: int = 0) -> None:
        self._next = then
        self._world.after(least_us + self._rng.randint(1, self._dials.drops_us), self._go_on)

    def _token(self) -> Token:
        self._tokens += 1
        return Token(f"drops-{self._tokens}", 0)

    def _key(self, generation: int) -> str:
        return f"generation {generation}"

    def _create(self) -> None:
        self.idle = False
        self._ask(CreateDatabase(VICTIM, SINGLE_LEADER, {}, min(3, len(self._hosts)), self._token()))

    def _create_alone(self) -> None:
        """So many members have left that it can have one replica only."""
        self._ask(CreateDatabase(VICTIM, SINGLE_LEADER, {}, 1, self._token(), exists_ok=True))

    def _set_up(self) -> None:
        insert = "INSERT INTO registers VALUES (?, 0)"
        statements = (Statement(operations.SETUP[0]), Statement(insert, ((self._key(self._generation),),)))
        self._ask(Run(VICTIM, statements, token=self._token()))

    def _write(self) -> None:
        parameters = (self._value + 1, self._key(self._generation))
        self._ask(Run(VICTIM, (Statement(operations.WRITE, (parameters,)),), token=self._token()))

    def _read(self, generation: int) -> None:
        statement = Statement(operations.READ, ((self._key(generation),),))
        self._ask(Run(VICTIM, (statement,), LINEARIZABLE))

    def _read_mine(self) -> None:
        self._read(self._generation)

    def _read_old(self) -> None:
        self._read(self._rng.randint(1, self._generation - 1))

    def _drop(self) -> None:
        for host in self._hosts.values():
            core: Any = host.core
            for row in core.directory.catalog.partitions if core is not None else ():
                if row.database == VICTIM:
                    self._dropped[row.group] = row.nodes
        for _ in range(self._rng.randint(0, BYSTANDERS)):
            self._send_and_forget()
        self._ask(DropDatabase(VICTIM, self._token()))

    def _send_and_forget(self) -> None:
        """Somebody else's write, read or export is under way when the database goes."""
        key = self._key(self._generation)
        write = Run(VICTIM, (Statement(operations.WRITE, ((-1, key),)),), token=self._token())
        read = Run(VICTIM, (Statement(operations.READ, ((key,),)),), LINEARIZABLE)
        self._tokens += 1
        ask = Ask(OTHERS + self._tokens, self._rng.choice((write, read, OpenCopy(VICTIM, LINEARIZABLE))))
        self._network.send(NUMBER, self._somebody(), codec.encode(ask))
        self._world.mark("under way when dropped")

    def _is_over(self, refused: Refused) -> bool:
        """A dropped one is gone; any other is only not heard of yet."""
        body = self._body
        self._world.mark(f"dropper: {refused.error}")
        if isinstance(body, Run) and self._probes and refused.error == "UnknownDatabase":
            self._world.mark("dropped: refused")
            self._world.after(LOOK_US, self._probe)
            return True
        if isinstance(body, CreateDatabase) and body.replicas > 1 and refused.error == "ProgrammingError":
            self._world.after(LOOK_US, self._create_alone)
            return True
        return False

    def _answered(self, body: Any, answer: Answer) -> None:
        outcome = _outcome.decode(answer.outcome)
        if isinstance(body, CreateDatabase):
            self._generation += 1
            self._value = 0
            self._world.mark("dropper: created")
            self._soon(self._set_up)
        elif isinstance(body, DropDatabase):
            self._world.mark("dropper: dropped")
            self._await_closing()
        elif self._probes:
            raise Violation(DROPPED, f"{VICTIM} is dropped, and answers {outcome}")
        elif body.token is not None:
            self._has_written(body, outcome)
        else:
            self._has_read(body, outcome)

    def _has_written(self, body: Run, outcome: WriteOutcome) -> None:
        if not isinstance(outcome, Done):
            raise Violation(DROPPED, f"a write to a new {VICTIM} ends with {outcome}")
        if len(body.statements) == 1:
            if outcome.results[0].rowcount != 1:
                raise Violation(DROPPED, f"the row of generation {self._generation} of {VICTIM} is gone")
            self._value += 1
        self._go_anywhere()

    def _go_anywhere(self) -> None:
        if self._value < MOST_WRITES and not self._closing and self._rng.random() < 0.8:
            choices = [self._write, self._write, self._read_mine]
            if self._generation > 1:
                choices.append(self._read_old)
            self._soon(self._rng.choice(choices))
        else:
            self._soon(self._drop)

    def _has_read(self, body: Run, outcome: WriteOutcome) -> None:
        key = body.statements[0].sets[0][0]  # type: ignore[index]
        mine = key == self._key(self._generation)
        if isinstance(outcome, Failed) and not mine:
            self._go_anywhere()
            return
        rows = outcome.results[0].rows if isinstance(outcome, Done) else None
        if mine and rows != [(self._value,)]:
            raise Violation(DROPPED, f"{VICTIM} shows {rows} where {self._value} was written")
        if not mine and rows:
            raise Violation(DROPPED, f"generation {self._generation} of {VICTIM} shows {rows} of {key!r}")
        self._world.mark("dropper: read")
        self._go_anywhere()

    # ---- after it was dropped ----------------------------------------------------------------------------------

    def _await_closing(self) -> None:
        """A client looks at what the nodes say; a majority of those who held it must have closed it."""
        if all(self._closed_by_majority(group) for group in self._dropped):
            self._probes = PROBES
            self._world.after(LOOK_US, self._probe)
        else:
            self._world.after(LOOK_US, self._await_closing)

    def _closed_by_majority(self, group: GroupId) -> bool:
        nodes = self._dropped[group]
        closed = [node for node in nodes if group in self._hosts[node].store.log.dropped]
        return 2 * len(closed) > len(nodes)

    def _probe(self) -> None:
        """Ask the dropped one, at any node."""
        self._probes -= 1
        if self._probes:
            self._target = self._somebody()
            if self._rng.random() < 0.5:
                self._read_mine()
            else:
                self._write()
        else:
            self.idle = True
            self._soon(self._create, LINGERS_US)
