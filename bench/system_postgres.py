"""PostgreSQL as it is measured: a primary and two standbys on loopback, Debian's package, its defaults but for
replication: `synchronous_standby_names = 'ANY 1 (s1, s2)'`, `synchronous_commit = on`, fsync on. The load is pgbench
with prepared statements."""

import contextlib
import math
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench import procs
from bench.loop import Tally, summary
from bench.results import Sample
from bench.work import Broken, Timing, sample_of
from quorate.runtime.founding import free_ports

ACCOUNT = "postgres"
"""The server refuses to run as root; when we are root, it runs as this account."""
START_S = 30.0
MARGIN_S = 0.5
CONNECT_S = 0.004
"""How long pgbench may need to open one connection, before the measuring begins; more when that was too short."""
CONNECT_TRIES = 3

CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
synchronous_commit = on
fsync = on
wal_level = replica
max_wal_senders = 8
logging_collector = off
"""
SYNCHRONOUS = "synchronous_standby_names = 'ANY 1 (s1, s2)'\n"
SCRIPTS = {
    "update": "\\set k random(0, :last)\nUPDATE kv SET v = :value WHERE k = :k;\n",
    "select": "\\set k random(0, :last)\nSELECT v FROM kv WHERE k = :k;\n",
    "read-update": (
        "\\set k random(0, :last)\nBEGIN;\nSELECT v FROM kv WHERE k = :k;\n"
        "UPDATE kv SET v = :value WHERE k = :k;\nCOMMIT;\n"
    ),
}


def programs() -> Path | None:
    """The folder with the newest version's programs, or None."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    return max(found, key=lambda path: float(path.parent.name), default=None)


def version() -> str:
    """Empty when it is not installed."""
    place = programs()
    if place is None:
        return ""
    done = subprocess.run([place / "postgres", "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip().removeprefix("postgres (PostgreSQL) ")


class PostgresSystem:
    """Running servers. Raises Broken when PostgreSQL is missing or does not come up."""

    def __init__(self, folder: Path) -> None:
        place = programs()
        if place is None:
            raise Broken("PostgreSQL is not installed (apt-get install postgresql)")
        self.programs = place
        self.account: dict[str, Any] = {}
        if os.geteuid() == 0:
            self.account = {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": []}
        self.folder = folder / "postgresql"
        self.folder.mkdir()
        if self.account:
            owner = pwd.getpwnam(ACCOUNT)
            folder.chmod(0o711)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        self.ports = free_ports("127.0.0.1", 3)
        self.processes: list[subprocess.Popen[bytes]] = []
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.processes]

    def _start(self) -> None:
        primary = self.folder / "primary"
        self._run("initdb", "-D", str(primary), "-A", "trust", "-U", ACCOUNT, "-E", "UTF8", "--locale=C")
        with (primary / "postgresql.conf").open("a") as file:
            file.write(CONFIGURATION)
        self._serve(primary, self.ports[0])
        for name, port in zip(("s1", "s2"), self.ports[1:], strict=True):
            copy = self.folder / name
            source = f"host=127.0.0.1 port={self.ports[0]} user={ACCOUNT} application_name={name}"
            self._run("pg_basebackup", "-D", str(copy), "-R", "-X", "stream", "-c", "fast", "-d", source)
            self._serve(copy, port)
        with (primary / "postgresql.conf").open("a") as file:
            file.write(SYNCHRONOUS)
        self.sql("SELECT pg_reload_conf()")
        deadline = time.monotonic() + START_S
        while self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'") != "2":
            if time.monotonic() > deadline:
                raise Broken("the standbys did not come up")
            time.sleep(0.1)

    def _run(self, program: str, *arguments: str) -> str:
        command = [str(self.programs / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder, **self.account)
        if done.returncode != 0:
            raise Broken(f"{program}: {done.stderr[-2000:]}")
        return str(done.stdout)

    def _serve(self, data: Path, port: int) -> None:
        command = [str(self.programs / "postgres"), "-D", str(data), "-p", str(port)]
        with (self.folder.parent / f"{data.name}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **self.account)
        self.processes.append(process)
        ready = [str(self.programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        deadline = time.monotonic() + START_S
        while subprocess.run(ready, check=False).returncode != 0:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Broken(f"a PostgreSQL server did not come up: {data.name}")
            time.sleep(0.1)

    def stop(self) -> None:
        """A fast shutdown of the standbys first: a primary would wait for them."""
        for process in reversed(self.processes):
            process.send_signal(2)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.send_signal(3)  # immediate, so that the server ends its children too
                process.wait()

    def sql(self, text: str, port: int | None = None) -> str:
        """Rows as lines."""
        where = ("-h", "127.0.0.1", "-p", str(port or self.ports[0]), "-U", ACCOUNT, "-d", "postgres")
        return self._run("psql", *where, "-v", "ON_ERROR_STOP=1", "-qAtc", text).strip()

    def fill(self, rows: int, value_bytes: int) -> None:
        self.sql(
            "DROP TABLE IF EXISTS kv; CREATE TABLE kv(k bigint PRIMARY KEY, v text);"
            f"INSERT INTO kv SELECT k, repeat('v', {value_bytes}) FROM generate_series(0, {rows - 1}) k; ANALYZE kv;"
        )
        self.sql("VACUUM kv")
        self.sql("CHECKPOINT")

    def load(self, kind: str, timing: Timing, clients: int, rows: int, value_bytes: int) -> Sample:
        """One round by pgbench.

        pgbench has no warm-up and no percentiles, so it logs every transaction (to memory, where there is such a
        file system); what ended between two moments is counted, and CPU time is read at those moments.
        """
        place = self.folder.parent / "pgbench"
        memory = Path("/dev/shm")
        if memory.is_dir():
            place = memory / f"quorate-bench-{os.getpid()}"
        place.mkdir(parents=True, exist_ok=True)
        if self.account:
            shutil.chown(place, ACCOUNT, ACCOUNT)
        try:
            for longer in range(CONNECT_TRIES):
                warm_up = timing.warm_up + CONNECT_S * clients * 3**longer
                found = self._pgbench(
                    place,
                    kind,
                    Timing(timing.seconds, warm_up),
                    clients,
                    {"last": rows - 1, "value": "v" * value_bytes},
                )
                if found is not None:
                    return found
        finally:
            shutil.rmtree(place)
        raise Broken("pgbench was still opening connections when measuring began")

    def _pgbench(
        self, place: Path, kind: str, timing: Timing, clients: int, variables: dict[str, int | str]
    ) -> Sample | None:
        """None when connections were still being opened when the window began."""
        for old in place.glob("log.*"):
            old.unlink()
        script = place / "script.sql"
        script.write_text(SCRIPTS[kind])
        command = [
            str(self.programs / "pgbench"),
            *("-n", "-M", "prepared", "-c", str(clients), "-j", str(min(2, clients)), "-f", str(script)),
            *(
                "-T",
                str(math.ceil(timing.warm_up + timing.seconds + MARGIN_S)),
                "-l",
                "--log-prefix",
                str(place / "log"),
            ),
            *("-h", "127.0.0.1", "-p", str(self.ports[0]), "-U", ACCOUNT),
            *(part for name, value in variables.items() for part in ("-D", f"{name}={value}")),
            "postgres",
        ]
        errors = place / "errors"
        with errors.open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=place, **self.account)
        try:
            time.sleep(timing.warm_up)
            load, servers, began = procs.cpu_s([process.pid]), procs.cpu_s(self.pids), time.time()
            time.sleep(timing.seconds)
            ended = time.time()
            load, servers = procs.cpu_s([process.pid]) - load, procs.cpu_s(self.pids) - servers
            memory = procs.memory_mb(self.pids)
            code = process.wait(60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
        text = errors.read_text(errors="replace")
        if code != 0:
            raise Broken(f"pgbench ended with {code}: {text[-2000:]}")
        tally = Tally()
        lines = [line for path in place.glob("log.*") for line in path.read_text().splitlines()]
        tally.latencies, first = in_window(lines, began, ended)
        if first > began:
            return None
        return sample_of(summary(tally, ended - began, load, servers, memory))


def in_window(lines: Sequence[str], began: float, ended: float) -> tuple[list[float], float]:
    """Of pgbench's log (client, number, microseconds, script, epoch seconds, microseconds): the latencies in seconds
    of what ended in the window, and when the first transaction of all ended."""
    latencies, first = [], math.inf
    for line in lines:
        fields = line.split()
        at = int(fields[4]) + int(fields[5]) / 1e6
        first = min(first, at)
        if began <= at < ended:
            latencies.append(int(fields[2]) / 1e6)
    return latencies, first
