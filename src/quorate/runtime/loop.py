"""A server: one process, one event loop, one node. Puts the driver, the transport and the store together."""

import asyncio
import contextlib
import gc
import logging
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from quorate.core.auth.access import Access
from quorate.core.certificates import CertificateRead
from quorate.core.formats import RELEASE
from quorate.core.kernel import Core
from quorate.core.recovered import Identity
from quorate.core.versions.custom import Custom
from quorate.runtime import service
from quorate.runtime.aside import READS, Aside, Piece
from quorate.runtime.config import ANYWHERE, Config, ConfigError, check_listen, credentials, etcd_endpoints, security
from quorate.runtime.door import CatalogDoor
from quorate.runtime.driver import Driver, monotonic_us, real_clock
from quorate.runtime.scheduler import Timer
from quorate.runtime.signals import Signals
from quorate.storage.interface import Lending
from quorate.transport.addresses import format_address, parse_address
from quorate.transport.etcd import EtcdPermits
from quorate.transport.tcp import Limits, TcpTransport
from quorate.wire.handshake import NODE, Hello

log = logging.getLogger("quorate.runtime")

STOPPED = 0
FAILED = 70
"""Exit code of a node that stopped because going on would have broken a promise (EX_SOFTWARE)."""
INTERRUPTED = 130

DAY_S = 86_400
WARN_DAYS = 14
"""From when on a node warns that its certificate expires."""
CERTIFICATES_EVERY_S = 3600.0
"""How often a node reads its certificate again."""

DESCRIPTORS_OF_A_REPLICA = 7
"""As a rule at the most: a writer, its write-ahead log and its index, and two readers with two each."""
DESCRIPTORS_KEPT = 120
"""For the node's own files, its peers, a copy under way, further readers of the same files, and clients. (Most data
files have four, so clients can have more than this leaves them.)"""

SWITCH_S = 0.000_5
"""How long a thread beside the loop may keep the interpreter when the loop wants it: a tenth of Python's own."""

T = TypeVar("T")


class LoopScheduler:
    """Keeps `scheduler.Scheduler` over an asyncio loop and the threads beside it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.aside = Aside(loop.call_soon_threadsafe)

    def call_soon(self, callback: Callable[[], None]) -> object:
        return self._loop.call_soon(callback)

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """A little late and never early: loops count milliseconds from the beginning of their turn, and a timer that
        fires before its deadline would be armed again, and fire again, until the deadline has come."""
        return self._loop.call_later((int(delay * 1000) + 1) / 1000, callback)

    def run_aside(
        self, work: Callable[[], T], done: Callable[[T | BaseException], None], lane: str = READS, key: int = 0
    ) -> Piece:
        return self.aside.run(work, done, lane, key)


class Server:
    """One node, from the opened store to the exit code."""

    def __init__(self, core: Core, store: Lending, config: Config, access: Access | None = None) -> None:
        self.address = ""
        """Where it listens, once it does."""
        self._core = core
        self._access = access
        self._store = store
        self._config = config
        self._finished: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._draining = False

    async def run(self, ready: Callable[[str], None] = lambda _address: None, *, signals: bool = True) -> int:
        """Serve until told to stop; the exit code. Raises ConfigError when it cannot listen."""
        loop = asyncio.get_running_loop()
        scheduler = LoopScheduler(loop)
        self._driver = driver = Driver(self._core, self._store, scheduler, lambda _reason: self.finish(FAILED))
        driver.drained = lambda: self.finish(STOPPED)
        driver.slow_reads.limit_us = self._config.read_limit
        driver.slow_reads.times.most_us = self._config.user_read_time
        config = self._config
        limits = Limits(
            connections=config.connections,
            user_connections=config.user_connections,
            user_requests=config.user_requests,
            user_request_bytes=config.user_request_bytes,
            client_requests=config.client_requests,
        )
        me = greeting_of(self._store.identity, self._config)
        rng = random.Random(os.urandom(16))
        self._security = security(self._config, me.cluster, me.node)
        driver.transport = transport = TcpTransport(me, driver, rng, limits, self._security)
        if self._access is not None:
            transport.door = CatalogDoor(self._access, real_clock)
        permits = self._permits(driver)
        host, port = parse_address(listen_address(self._config, self._store.identity))
        try:
            self.address = await transport.listen(host, port)
        except OSError as error:
            raise ConfigError(f"cannot listen on {format_address(host, port)}: {error.strerror or error}") from error
        handlers = Signals(loop, self.drain, lambda: self.finish(INTERRUPTED), self.reload) if signals else None
        code = FAILED
        try:
            try:
                driver.start()
                driver.located(me.node, me.address, certified=me.certified)
                log.info("%s listens on %s", self._store.identity.name, self.address)
                self._look_at_certificates()
                ready(self.address)
                code = await self._finished
            finally:
                driver.stop()
                if permits is not None:
                    await permits.close()
                await transport.close(orderly=code == STOPPED)
            if scheduler.aside.stop(1.0) and code == STOPPED:
                self._store.close()
        finally:
            if handlers is not None:
                handlers.close()
        return code

    def _permits(self, driver: Driver) -> EtcdPermits | None:
        """The etcd that the configuration names, if any."""
        endpoints = etcd_endpoints(self._config)
        if not endpoints:
            return None
        identity = self._store.identity
        driver.permits = permits = EtcdPermits(endpoints, identity.cluster, identity.node, driver.feed)
        return permits

    def reload(self) -> None:
        """Read the certificate's files again, for new connections. What cannot be used is logged, and the node goes on
        with what it has."""
        identity = self._store.identity
        if self._security.credentials is None:
            log.info("there is no certificate to read again")
            return
        try:
            fresh = credentials(self._config, identity.cluster, identity.node)
        except ConfigError as error:
            log.error("the certificate is not replaced: %s", error)
            return
        self._security.credentials = fresh
        self._driver.feed(CertificateRead(fresh.serial, int(fresh.expires_s * 1e6)))
        days = (fresh.expires_s - time.time()) / DAY_S
        level = logging.WARNING if days < WARN_DAYS else logging.INFO
        log.log(level, "the certificate in use expires in %.1f days", days)

    def _look_at_certificates(self) -> None:
        """Every hour: somebody may have renewed them and not said so."""
        if self._security.credentials is not None and not self._finished.done():
            asyncio.get_running_loop().call_later(CERTIFICATES_EVERY_S, self._look_at_certificates)
            self.reload()

    def drain(self) -> None:
        """Hand leadership over, finish what is under way, then stop; at the latest after the drain time."""
        if self._draining or self._finished.done():
            return
        self._draining = True
        log.info("draining")
        service.tell(service.STOPPING)
        asyncio.get_running_loop().call_later(self._config.drain / 1e6, self._drained_late)
        self._driver.drain()

    def _drained_late(self) -> None:
        if not self._finished.done():
            log.warning("not drained in time; stopping all the same")
            self.finish(STOPPED)

    def finish(self, code: int) -> None:
        if not self._finished.done():
            self._finished.set_result(code)

    def watch_parent(self) -> None:
        """Stop when standard input ends: whoever started this node holds the other end of that pipe."""
        loop = asyncio.get_running_loop()

        def readable() -> None:
            if not os.read(sys.stdin.fileno(), 4096):
                loop.remove_reader(sys.stdin.fileno())
                log.warning("the process that started this node is gone")
                self.drain()

        loop.add_reader(sys.stdin.fileno(), readable)


def greeting_of(identity: Identity, config: Config) -> Hello:
    """How this node introduces itself."""
    return Hello(
        NODE,
        cluster=identity.cluster,
        node=identity.node,
        name=identity.name,
        boot=identity.boot,
        address=advertised(identity, config),
        release=RELEASE,
        certified=bool(config.tls_certificate),
    )


def advertised(identity: Identity, config: Config) -> str:
    """Where others reach this node: as the configuration says; else where it listens, if that is an address at all;
    else where the cluster was founded with it; empty when nobody knows."""
    if config.advertise:
        return config.advertise
    host, port = parse_address(config.listen) if config.listen else ("", 0)
    if host and port and host not in ANYWHERE:
        return config.listen
    return next((member.address for member in identity.founders if member.node == identity.node), "")


def listen_address(config: Config, identity: Identity) -> str:
    """The configured address, else the one under which the cluster was founded. Raises ConfigError."""
    if config.listen:
        return config.listen
    for member in identity.founders:
        if member.node == identity.node and member.address:
            check_listen(member.address, config)
            return member.address
    raise ConfigError("listen: the folder does not record an address of this node; give one")


def run_node(config: Config, *, with_parent: bool = False) -> int:
    """Open the folder and serve until told to stop; the exit code.

    Raises ConfigError, OSError, StorageError, or errors of `quorate.errors` (AlreadyOpen above all).
    """
    from quorate.core.node import Node
    from quorate.storage.folder import open_store

    if sys.flags.optimize:
        raise ConfigError("python -O takes the assertions away, and they are the invariants: run without -O")
    custom = _resolvers(config)
    open_replicas = replicas_within(raise_file_limit(), config.open_replicas)
    store = open_store(Path(config.folder), clock=monotonic_us, open_replicas=open_replicas)
    store.custom = custom
    settings = config.settings()
    node = Node(store.recover(), random.Random(os.urandom(16)), settings)
    store.long_us = settings.long_us
    sys.setswitchinterval(SWITCH_S)

    async def main() -> int:
        server = Server(node, store, config, node.access)
        if with_parent:
            server.watch_parent()
        gc.collect()
        gc.freeze()
        return await server.run(lambda _address: service.tell(service.READY))

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main())


def _resolvers(config: Config) -> tuple[Custom, ...]:
    """Raises ConfigError."""
    if not config.resolvers:
        return ()
    from quorate.runtime.resolvers import NoResolver, configured

    try:
        return configured(config.resolvers)
    except NoResolver as error:
        raise ConfigError(f"resolvers: {error}") from error


def raise_file_limit() -> int:
    """Take as many file descriptors as the system allows: connections and replicas need more than shells give. How
    many there are now; 0 when there is no limit or none that could be asked for."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else 65536
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if soft == resource.RLIM_INFINITY else soft


def replicas_within(descriptors: int, wanted: int) -> int:
    """How many data files may be open when so many descriptors exist (0: any number). Raises ConfigError when there
    are too few to run at all."""
    if not descriptors:
        return wanted
    fit = (descriptors - DESCRIPTORS_KEPT) // DESCRIPTORS_OF_A_REPLICA
    if fit < 1:
        needed = DESCRIPTORS_KEPT + DESCRIPTORS_OF_A_REPLICA
        raise ConfigError(f"the system allows {descriptors} open files; a node needs {needed}: raise ulimit -n")
    if fit < wanted:
        log.warning("the system allows %d open files: %d data files at a time, not %d", descriptors, fit, wanted)
    return min(fit, wanted)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it exists."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Any = uvloop.new_event_loop
    return factory  # type: ignore[no-any-return]
