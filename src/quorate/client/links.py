"""What both kinds of link share: how a link fails, and how a client greets."""

import os
import select

from quorate.client.credentials import Credentials
from quorate.core.auth.access import OFF, ON
from quorate.core.limits import REQUEST_BYTES_MAX
from quorate.core.requests import Ask, Left, RequestBody, Running, too_large
from quorate.core.row_requests import Minted
from quorate.errors import AuthenticationError, OperationalError, ProgrammingError, TooLarge
from quorate.wire.codec import encode
from quorate.wire.frames import FrameTooLong, WireError, frame
from quorate.wire.handshake import CLIENT, IDLE, ClusterRefused, Hello, RefusedByPeer, greeting, meet
from quorate.wire.login import LOGIN, WAIT, login_frame, read_told
from quorate.wire.scram import NONCE_BYTES, ClientLogin, LoginFailed

CERTIFICATE = "certificate"
"""The code of a refusal: the node does not believe the certificate that it was shown."""
DIAL_MAX = 1.0
"""Seconds to connect and to exchange greetings, at first."""
DIAL_LATE_MAX = 8.0
"""The same, behind others that were too short."""

RESTED = 0.001
"""Seconds without a request after which a link is looked at before the next: the look costs one system call, and
requests that follow each other closely would pay for it."""

BEFORE = frozenset({Running, Minted})
"""What a node says before its answer."""


class Patience:
    """How long each dial to one address may take. Twice as long behind one that ran out of time while TLS was shaken
    hands: when many dial at once, each waits for the handshakes of others, and to give up and dial again only makes
    more of them. Without TLS a node that does not greet in time is not well, and others are asked."""

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def seconds(self, address: str, wanted: float, most: float) -> float:
        """For the next one, if its caller wants to give it so many, and cannot give it more than `most`."""
        return max(min(wanted, DIAL_MAX), min(most, self._seconds.get(address, 0.0)))

    def connected(self, address: str) -> None:
        """It came about."""
        self._seconds.pop(address, None)

    def late(self, address: str, given: float) -> None:
        """It did not, though it was given so many seconds."""
        self._seconds[address] = min(DIAL_LATE_MAX, max(self._seconds.get(address, 0.0), 2 * given))


class LinkLost(Exception):
    """There is no connection to a node, or it ended. `sent`: the request may have arrived there. `late`: it may
    only have been too little time. `unread`: the node closed a connection that was not used, and looked at nothing
    that was sent there afterwards. `foreign`: a node of another cluster answered."""

    def __init__(
        self,
        reason: str,
        *,
        sent: bool,
        late: bool = False,
        unread: bool = False,
        foreign: bool = False,
        login: AuthenticationError | None = None,
    ) -> None:
        super().__init__(reason)
        self.sent = sent
        self.late = late
        self.unread = unread
        self.foreign = foreign
        self.login = login
        """The node does not let us in, and why."""


def foreign_node(address: str, reason: str) -> OperationalError:
    """What is to be said of an address that a user named, and at which a node of another cluster answered."""
    return OperationalError(
        f"not done: the node at {address} is of another cluster than is meant here, or than answered before: {reason}",
        hint="name nodes of one cluster only",
    )


def is_unread(error: BaseException) -> bool:
    """Whether a node says with this that it has closed a connection on which nothing was asked."""
    return isinstance(error, RefusedByPeer) and error.reason == IDLE


def has_ended(number: int) -> bool:
    """Whether the other end of this socket has closed it, as far as this system can tell without reading."""
    if number < 0:
        return True
    if not hasattr(select, "POLLRDHUP"):
        return False
    poll = select.poll()
    poll.register(number, select.POLLRDHUP)  # errors and POLLHUP are always reported
    return bool(poll.poll(0))


def reason_of(error: BaseException) -> str:
    """Why there is no connection (any more), in the operating system's words."""
    number = getattr(error, "errno", None)
    if isinstance(error, TimeoutError):
        return str(error) or "no connection in time"
    if isinstance(number, int) and number > 0:
        return os.strerror(number)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def hello(cluster: str) -> Hello:
    """Who we are; `cluster` is empty as long as no node has told us which one it belongs to."""
    return Hello(role=CLIENT, cluster=cluster)


def hello_frame(cluster: str) -> bytes:
    """The first bytes of every link."""
    return greeting(hello(cluster))


def meet_node(cluster: str, payload: bytes) -> Hello:
    """Look at a node's greeting. Raises LinkLost when we cannot go on with it."""
    try:
        return meet(hello(cluster), payload)
    except ClusterRefused as error:
        raise LinkLost(str(error), sent=False, foreign=True) from error
    except WireError as error:
        if isinstance(error, RefusedByPeer) and error.reason == CERTIFICATE:
            raise _not_in(f"not done: {error}", "") from None
        foreign = isinstance(error, RefusedByPeer) and error.reason == ClusterRefused.code
        raise LinkLost(str(error), sent=False, foreign=foreign) from error


class Greeting:
    """The client's side from the first byte to the first request: both greetings and, where one is asked for, the
    login."""

    def __init__(self, cluster: str, credentials: Credentials) -> None:
        self.cluster = cluster
        self._credentials = credentials
        self._met = False
        self._login: ClientLogin | None = None
        self._proved = False
        self.done = False
        """Requests may be sent."""

    def take(self, payload: bytes) -> bytes:
        """What to send for the node's next frame, if anything. Raises LinkLost or WireError."""
        if not self._met:
            return self._meet(payload)
        assert self._login is not None
        try:
            text = read_told(payload)
            if not self._proved:
                self._proved = True
                return login_frame(self._login.final(text))
            self._login.check(text)
        except LoginFailed as error:
            raise _not_in(f"not done: {error}", "is this the cluster that you mean?") from None
        except RefusedByPeer as refused:
            if refused.reason not in (LOGIN, WAIT):
                raise
            raise _not_in(f"not done: {refused}", "") from None
        self.done = True
        return b""

    def _meet(self, payload: bytes) -> bytes:
        them = meet_node(self.cluster, payload)
        self.cluster, self._met = them.cluster, True
        if them.logins == ON:
            if self._credentials.certified:
                self._check_name(them.user)
                self.done = True
                return b""
            if not self._credentials:
                raise _not_in("not done: this cluster asks for a login", "connect with user= and password=, or token=")
            try:
                name, salt_password = self._credentials.current()
            except AuthenticationError as error:
                raise LinkLost(str(error), sent=False, login=error) from None
            self._login = ClientLogin(name, os.urandom(NONCE_BYTES), salt_password)
            return login_frame(self._login.first())
        if self._credentials:
            if them.logins != OFF:
                raise LinkLost("the node does not know its users yet", sent=False)
            hint = "leave user, password and token away, or make users with `quorate user create`"
            raise _not_in("not done: this cluster has no users, and a login would protect nothing", hint)
        self.done = True
        return b""

    def _check_name(self, user: str) -> None:
        """Raises LinkLost, unless the node takes us for whom we mean to be."""
        meant = self._credentials.user
        if not user:
            hint = "`quorate certs show FILE` shows its names; `quorate user create NAME --certificate` makes a user"
            raise _not_in("not done: the certificate names no user who logs in by it", hint)
        if meant not in ("", user):
            raise _not_in(f"not done: the certificate is that of {user}, and {meant} is meant", "leave the user out")


def _not_in(message: str, hint: str) -> LinkLost:
    return LinkLost(message, sent=False, login=AuthenticationError(message, hint=hint))


def ask_frame(number: int, body: RequestBody, waits_us: int = 0) -> bytes:
    """A request as bytes, and how much longer its caller waits (0: not said). Raises TooLarge, and
    ProgrammingError for an argument that nothing has looked at before."""
    try:
        payload = encode(Ask(number, body, waits_us))
    except (TypeError, ValueError, OverflowError) as error:
        raise ProgrammingError(f"the request cannot be sent: {error}") from error
    if len(payload) > REQUEST_BYTES_MAX and (refused := too_large(body, len(payload))):
        raise TooLarge(refused.message, hint=refused.hint)
    try:
        return frame(payload)
    except FrameTooLong as error:
        raise TooLarge(f"the request is too large: {error}", hint="send it in several parts") from None


def left_frame(number: int) -> bytes:
    """Word that nobody waits for an answer any more."""
    return frame(encode(Left(number)))
