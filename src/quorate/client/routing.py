"""Whom to ask, when to ask again, and what to make of it: the client's decisions, without input or output.

A `Call` is one request's life. Its driver (`client.aio`, and `client._sync.connection` generated from it) asks `next`
what to do, does it, and tells the call what came of it:

1. A request goes to the node that is thought to lead its database, or for reads that any replica answers
   (`Level.anywhere`) to a node that this client stays with.
2. `NotLeader` names a better node: ask there at once. Without a name, wait a little and try the next node.
3. A node that says nothing for a while (`patience`) may be slow, paused or cut off: the request stays
   there and is *also* sent to another node. All sends of one write carry the same token, so it happens
   once; a read may be answered twice and does no harm. When the other node names the silent one as the
   leader after all, the call goes back to waiting for it, with twice the patience.
4. A node that says that a write takes long (`Running`) is waited for, and no other is sent the write: it would keep one
   after the other busy. When that node is lost, the caller gets `MaybeDone` (unless it wanted all to be repeated).
5. When no node has ever answered this client, and every address refuses connections: `Unavailable`, after a second.
6. When the deadline comes: `MaybeDone` when the write, or a change of the cluster, was sent and never settled, else
   `Unavailable`.

Waiting is full jitter, U(0, min(cap, base * 2^n)) (Brooker, "Exponential backoff and jitter", 2015), so that
many clients do not come back together; a node that refuses for want of time says how much later. What may have cost a
node work is repeated from a budget (`core.repeats`: a tenth of what succeeds, and a few a second), and when that is
spent, the caller gets the error at once: a client must not drown a cluster that is struggling. The first repetition of
a call whose node was lost is free, so that a change of leaders costs nobody an error.

Caveats: time is a float of monotonic seconds, handed in. Nothing here is safe for threads by itself; the
sync driver holds a lock around each call.
"""

from collections.abc import Callable
from random import Random
from typing import Any

from msgspec import Struct

from quorate import errors
from quorate.client.directory import Directory
from quorate.client.homes import Home, addressed, packed, stamped
from quorate.client.links import foreign_node
from quorate.client.without_leader import refusal_by
from quorate.core.read_levels import parse
from quorate.core.repeats import Budget
from quorate.core.requests import Answer, LostReport, NotLeader, Refused, ReplyBody, StatusReport, Unsure
from quorate.core.row_requests import ByRow, Minted
from quorate.core.statements import Token
from quorate.wire.answers import refusal

LAST_SEND = 0.010
"""So shortly before the end nothing is sent again: there would be no time for an answer."""
BACKOFF_BASE = 0.010
INTERRUPT = "SQLITE_INTERRUPT"
"""As `sqlite3` has it."""
BACKOFF_CAP = 0.500
"""Seconds; the cap is near the time that a failover takes."""

PATIENCE_FIRST = 0.3
PATIENCE_CAP = 0.6
"""Seconds of silence before another node is asked as well."""

MEMBERS_EVERY = 2.0
"""Seconds after which a node that is asked something is asked who the members are, too. All that are known must not be
gone before the next time; nobody replaces a whole cluster in that time."""

REFUSED_FOR, REFUSED_TIMES = 1.0, 2
"""Seconds after which, and times that, every address must have refused a connection before a client that no node has
ever answered gives up: a wrong host shows soon, and nodes that are just being started are waited for a little."""


class Ask(Struct, frozen=True):
    """Send the request to this node (unless it is already waiting there) and wait this long."""

    address: str
    patience: float
    """Seconds."""


class Wait(Struct, frozen=True):
    """Nothing to send now; come back in this many seconds."""

    seconds: float


class GiveUp(Struct, frozen=True):
    """Raise this."""

    error: errors.Error


Step = Ask | Wait | GiveUp


class Call:
    """One request from its first send to its answer."""

    def __init__(
        self,
        directory: Directory,
        budget: Budget,
        rng: Random,
        database: str,
        *,
        level: str,
        token: Token | None,
        deadline: float,
        patient: Callable[[errors.Error], bool] | None = None,
        shown_by: str = "",
        always: bool = False,
        home: Home | None = None,
    ):
        self._directory = directory
        self._budget = budget
        self._rng = rng
        self._database = database
        self._level = level
        self._anywhere = parse(level)[0].anywhere
        self._token = token
        self.deadline = deadline
        self._patient = patient or (lambda error: error.retryable)
        """Which refusals are worth another try."""
        self._shown_by = shown_by
        """For what changes the cluster, not a database: how a person sees whether it happened. No token settles it."""
        self.home = home or Home(0, directory.homes, database)
        self._always = always
        """What takes long is repeated like all else."""
        self._running = ""
        """The node that said that it takes long, and runs."""
        self._lost_running = False
        self._tries = 0
        self._wait_until = 0.0
        self._go_to: str | None = None
        """The node that the last answer named."""
        self._patience: dict[str, float] = {}
        """Nodes where the request is under way, and how long they were last waited for."""
        self._hops = 0
        """Redirections followed since the last wait: two nodes that name each other must not spin us."""
        self._must_pay = False
        self._free = True
        """A repetition after the node was lost has not been made yet."""
        self.unsettled = False
        """A send may have taken effect and was not answered."""
        self.interrupted = False
        """Its caller is to wait no more."""
        self.answered_by = ""
        """The node whose answer ended the call."""
        self._last: errors.Error | None = None
        self._foreign: errors.Error | None = None
        """The user named nodes of two clusters, or no node lets us in."""
        self._closed_doors: dict[str, errors.AuthenticationError] = {}
        """Nodes that do not let us in."""
        self._unreachable: dict[str, int] = {}
        """How often each address has refused a connection."""
        self._unreachable_since = 0.0

    def next(self, now: float) -> Step:
        """What to do now."""
        if self.interrupted:
            return GiveUp(self._interruption())
        if now >= self.deadline:
            return GiveUp(self._too_slow() if self._running and self.reads else self._late())
        if self._lost_running:
            return GiveUp(self._late(end="the node was lost that ran it"))
        if self._running:
            return Ask(self._running, self.deadline - now)
        if self._foreign is not None and not self._patience:
            end = "no node lets us in" if self._closed_doors else "a node of another cluster answered"
            return GiveUp(self._late(self._foreign, end=end))
        if self._nobody_there(now):
            return GiveUp(self._late(end="every address has refused a connection twice"))
        if now < self._wait_until:
            return Wait(min(self._wait_until, self.deadline) - now)
        if self._wait_until and self.clean and self.deadline - now < LAST_SEND:
            return GiveUp(self._late())  # what has certainly not been done must not become doubtful in the end
        if self._must_pay:
            self._must_pay = False
            if not self._budget.spend(int(now * 1e6)):
                return self._broke(now)
        address, self._go_to = self._go_to, None
        if address is None:
            address = self._directory.choose(self._database, self._level, self._patience, now)
        patience = min(PATIENCE_CAP, 2 * self._patience[address]) if address in self._patience else PATIENCE_FIRST
        return Ask(address, min(patience, self.deadline - now))

    def _nobody_there(self, now: float) -> bool:
        """No node has ever answered this client, and for a while each address has done nothing but refuse."""
        if self._directory.heard or self._patience or now < self._unreachable_since + REFUSED_FOR:
            return False
        return all(self._unreachable.get(address, 0) >= REFUSED_TIMES for address in self._directory.addresses)

    @property
    def token(self) -> Token | None:
        """What the call was last sent with."""
        return None if self._token is None else addressed(self._token, self.home.group or self._token.group)

    def outgoing(self, body: Any) -> Any:
        """The request as it is sent next."""
        return stamped(body, self.home.group)

    def minted(self, told: Minted) -> None:
        """A coordinator has told the version of the write, and waits for replicas to acknowledge it."""

    def left_us(self, now: float) -> int:
        """How much longer the caller waits; at least 1, for 0 means that nobody knows."""
        return max(1, int((self.deadline - now) * 1e6))

    def _broke(self, now: float) -> Step:
        """No repetition is left: wait for where the request is under way, or tell the caller now."""
        if self._patience:
            address = next(iter(self._patience))
            return Ask(address, min(PATIENCE_CAP, self.deadline - now))
        return GiveUp(self._late(end="too much has failed to go on asking"))

    @property
    def clean(self) -> bool:
        """Every send but the one that was answered last is known to have done nothing."""
        return not self.unsettled and not self._patience

    def sent(self, address: str) -> None:
        """The request is about to leave for this node."""
        self._patience.setdefault(address, PATIENCE_FIRST / 2)

    def runs(self, address: str) -> None:
        """The node said that the request takes long, and runs there."""
        if not self._always or self.reads:
            self._running = address

    def silent(self, address: str) -> None:
        """The node said nothing for as long as `Ask` allowed; the request stays under way there."""
        if self._running or self.interrupted:
            return
        self._patience[address] = min(PATIENCE_CAP, max(PATIENCE_FIRST, 2 * self._patience[address]))
        self._last = errors.Unavailable(f"node {address} has not answered")
        self._directory.silent(self._database, address)
        others = [each for each in self._directory.addresses if each not in self._patience]
        if not others:
            self._go_to = address
        else:
            self._must_pay = True

    def lost(
        self,
        address: str,
        now: float,
        reason: str,
        *,
        sent: bool,
        late: bool = False,
        foreign: bool = False,
        login: errors.AuthenticationError | None = None,
    ) -> None:
        """No connection, or it ended. `sent`: the request may have arrived. `late`: perhaps for want of time.
        `foreign`: a node of another cluster answered there. An address that was named wrongly is for its user to mend:
        which cluster is meant would be chance. Where a member of the cluster used to be, others are asked."""
        self._patience.pop(address, None)
        self._directory.failed(address, now)
        if self._last is None or not late:
            self._last = errors.Unavailable(f"node {address}: {reason}")
        if foreign and self._directory.is_named(address):
            self._foreign = foreign_node(address, reason)
        if login is not None:  # one node may not have heard of this user yet, but hardly two
            self._closed_doors[address] = login
            if len(self._closed_doors) >= min(2, len(self._directory.addresses)):
                self._foreign = login
        elif not (sent or late):
            self._unreachable_since = self._unreachable_since if self._unreachable else now
            self._unreachable[address] = self._unreachable.get(address, 0) + 1
        if sent:
            self.unsettled = True
            self._lost_node()
        if address == self._running:
            self._running = ""
            self._lost_running = not self.reads  # a read does no harm when it runs again
        self._back_off(now)

    def dropped(self, address: str) -> None:
        """The node had closed a connection that was not used: nothing was done there, and it is well. Ask again."""
        self._patience.pop(address, None)
        self._go_to = address

    def _lost_node(self) -> None:
        self._must_pay, self._free = not self._free, False

    def told(self, address: str, now: float, body: ReplyBody) -> bool:
        """A node answered; True when that ends the call. Raises what a refusal stands for."""
        self._patience.pop(address, None)
        self._directory.answered(address)
        if address == self._running:
            self._running = ""
        if isinstance(body, Answer | StatusReport | LostReport):
            self._budget.earn()
            self.answered_by = address
            if not self._anywhere and isinstance(body, Answer) and not self.home.visits:
                self._directory.leads(self._database, address)
            return True
        if isinstance(body, NotLeader):
            if body.group:
                self._directory.several.add(self._database)
                self._redirect(address, now, self._leader(address, now, body), again=True)
            else:
                self._redirect(address, now, body.leader)
        elif isinstance(body, Unsure):
            self.unsettled = True
            self._lost_node()
            self._last = errors.Unavailable(f"node {address} stopped leading {self._database!r} before it was sure")
            self._redirect(address, now, body.leader)
        elif isinstance(body, Refused):
            self._refused(address, now, body)
        elif type(body) is ByRow:
            self._directory.unled.add(self._database)
            raise refusal_by(self._database, address)
        return False

    def _leader(self, address: str, now: float, body: NotLeader) -> str:
        """Whom to ask, where there are several leaders."""
        return self.home.redirected(
            address, body.leader, body.group, clean=self.clean, is_lost=lambda each: self._directory.is_lost(each, now)
        )

    def _redirect(self, address: str, now: float, leader: str, *, again: bool = False) -> None:
        if leader == address and not again:
            leader = ""
        if not self.home.visits:
            self._directory.does_not_lead(self._database, address)
        if self._last is None or not leader:
            self._last = errors.Unavailable(f"{self._database!r} has no leader that node {address} knows of")
        self._hops += 1
        if leader and self._hops <= len(self._directory.addresses) + 1:
            if not self.home.visits:
                self._directory.leads(self._database, leader)
            self._go_to = leader
            return
        self._back_off(now)

    def _refused(self, address: str, now: float, body: Refused) -> None:
        error = refusal(body)
        if not self._patient(error):
            raise self._late(error, end="a repetition was refused") if self._under_way() else error
        self._last = error
        self._must_pay = True
        if self._anywhere or not isinstance(error, errors.Overloaded):
            # Its disk is full, its copy is damaged: others may lead by now. An overloaded leader still leads.
            self._directory.failed(address, now)
        self._back_off(now, body.again_us / 1e6)

    def _back_off(self, now: float, least: float = 0.0) -> None:
        """`least`: what the node asked for; the jitter comes on top."""
        self._hops = 0
        self._go_to = None
        most = min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** min(self._tries, 20))
        self._wait_until = now + min(BACKOFF_CAP, least) + self._rng.uniform(0.0, most)
        self._tries += 1

    def _under_way(self) -> bool:
        """May a write, or a change of the cluster, that was sent still take effect, or have done so?"""
        return (self._token is not None or bool(self._shown_by)) and (self.unsettled or bool(self._patience))

    def _interruption(self) -> errors.Error:
        """What to raise where the caller is to wait no more."""
        error = self._maybe_done("interrupted", "") if self._under_way() else errors.OperationalError("interrupted")
        error.sqlite_errorname = INTERRUPT
        return error

    @property
    def reads(self) -> bool:
        """It changes nothing, wherever and however often it runs."""
        return self._token is None and not self._shown_by

    def _too_slow(self) -> errors.Error:
        """A read was running when its time was over."""
        message = f"not done: time ran out while node {self._running} was reading"
        return errors.StatementTimeout(message, hint="read less at a time, or give it more time (timeout=)")

    def _late(self, cause: errors.Error | None = None, end: str = "time ran out") -> errors.Error:
        """The truth at the deadline, or when nothing more may be sent; `end` says why."""
        why = cause or self._last
        detail = f": {why.args[0]}" if why is not None and why.args else ""
        if self._under_way():
            error: errors.Error = self._maybe_done(end, detail)
        elif why is not None and not isinstance(why, errors.Unavailable):
            return why
        else:
            unheard = "" if self._directory.heard else "none of the addresses has ever answered: are they right?"
            error = errors.Unavailable(f"not done: {end} before a node could carry it out{detail}", hint=unheard)
        error.__cause__ = why
        return error

    def _maybe_done(self, end: str, detail: str) -> errors.MaybeDone:
        if self._token is None or self._shown_by:
            return errors.MaybeDone(f"{end} before the answer came; it may have happened{detail}", hint=self._shown_by)
        return errors.MaybeDone(
            f"{end} before the answer came; the write may have happened{detail}",
            token=self._token.name,
            seen=packed(self.token or self._token),
            hint="connection.outcome(error.token) settles it",
        )
