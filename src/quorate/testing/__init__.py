"""Databases and clusters for the tests of programs that use Quorate (docs/testing.md). The plugin for pytest is
`quorate_pytest`; this is what its fixtures give, and what other test frameworks can use.
"""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import quorate
from quorate import errors
from quorate.lab.nemesis.place import proxied
from quorate.lab.nemesis.proxy import Harm
from quorate.lab.nemesis.trial import wait_until

LEADER = "leader"
"""Where a node's name may stand: whoever leads the database."""
PATIENCE = 60.0
"""Seconds in which a cluster takes writes again."""
Schema = str | Callable[[Any], object] | None


def fill(database: quorate.Connection, schema: Schema) -> None:
    """Bring a database to where tests begin: a script of SQL, or a function that is given a connection."""
    if isinstance(schema, str):
        database.executescript(schema)
    elif schema is not None:
        schema(database)


class Cluster:
    """Nodes on this machine, as processes, with links that can be cut: `with Cluster() as cluster:`. With asyncio,
    `async with`; its other methods block for a moment, up to a second or so, in either case."""

    def __init__(self, nodes: int = 3) -> None:
        """Starts nothing yet."""
        self.database = "main"
        """What `url`, `connect` and `"leader"` are about."""
        self._nodes = nodes
        self._folder: Path | None = None
        self._numbers = itertools.count(1)

    # ------------------------------------------------------------------ beginning and end

    def start(self) -> None:
        """Start the nodes, and wait until they take writes. Raises OSError and quorate.OperationalError."""
        self._folder = Path(tempfile.mkdtemp(prefix="quorate-"))
        self._cluster, self._proxies = proxied(self._folder / "cluster", self._nodes, 0)
        try:
            self._cluster.start_all()
            self._cluster.wait_ready(PATIENCE)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the nodes and delete what they have written."""
        if self._folder is not None:
            self._proxies.mend()
            self._cluster.stop()
            self._proxies.stop()
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def renew(self, schema: Schema = None) -> None:
        """Make all whole again, and go on with a new database: what `quorate_cluster` does before each test."""
        self.heal()
        for name in self.nodes:
            if not self._cluster.running(name):
                self.restart(name)
        self._cluster.wait_ready(PATIENCE)
        self.database = f"test{next(self._numbers)}"
        with quorate.Cluster(self._cluster.url, timeout=PATIENCE) as cluster:
            cluster.create(self.database)
        with self.connect(timeout=PATIENCE) as database:
            fill(database, schema)

    # ------------------------------------------------------------------ what there is

    @property
    def url(self) -> str:
        """Of the database, for `quorate.connect` and `quorate.aio.connect`."""
        return self._cluster.url_to(self.database)

    @property
    def sqlalchemy_url(self) -> str:
        """Of the database, for `create_engine` and `create_async_engine`."""
        hosts = "&".join(f"host={address}" for address in self._cluster.addresses)
        return f"sqlite+quorate:///{self.database}?{hosts}"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the nodes."""
        return self._cluster.names

    @property
    def leader(self) -> str:
        """The name of the node that leads the database; waits until there is one."""
        found: list[str] = []

        def led() -> bool:
            name = self._cluster.leader(self.database)
            found.extend([] if name is None else [name])
            return bool(found)

        wait_until(led, PATIENCE, f"nobody leads {self.database}")
        return found[0]

    def connect(self, **keywords: Any) -> Any:
        """A connection to the database, with the arguments of `quorate.connect`."""
        return quorate.connect(self.url, **keywords)

    # ------------------------------------------------------------------ faults

    def kill(self, node: str) -> str:
        """End a node's process at once (SIGKILL), that of the leader for `"leader"`; its name."""
        name = self._name(node)
        self._cluster.kill(name)
        return name

    def restart(self, node: str) -> None:
        """Start a node again that was killed, and wait until it answers."""
        self._cluster.restart(self._name(node), timeout=PATIENCE)

    def partition(self, *sides: str | Iterable[str]) -> None:
        """Let nothing pass between nodes of different sides, a node's name or several. Nodes that are not named are a
        side of their own together. Clients reach all nodes."""
        named = [{self._name(side)} if isinstance(side, str) else {self._name(each) for each in side} for side in sides]
        rest = set(self.nodes).difference(*named)
        parts = [*named, rest] if rest else named
        links = [(one, other) for a in parts for b in parts if a is not b for one in a for other in b]
        self._proxies.harm(links, Harm("partition", hold=True))

    def heal(self) -> None:
        """Let everything pass again. Nodes that were killed stay so."""
        self._proxies.mend(reset=True)

    def _name(self, node: str) -> str:
        name = self.leader if node == LEADER else node
        if name not in self.nodes:
            raise errors.UnknownNode(f"there is no node {name!r}", hint=f"there are: {', '.join(self.nodes)}")
        return name
