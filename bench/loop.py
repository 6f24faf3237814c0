"""The load generators' engine: many sockets in closed loops over epoll, one process, one thread.

A `Speaker` knows a protocol and no sockets; the engine knows sockets and no protocol. There is no event loop
library in between: on a machine where servers and generator share few cores, what the generator burns is taken
from the servers, so it has to be as cheap as a Python program can be. Its CPU time is part of every result.
"""

import select
import socket
import time
from collections.abc import Sequence
from typing import Any, Protocol

from bench import procs
from bench.figures import percentile, significant

RECEIVE_BYTES = 1 << 16
DRAIN_S = 10.0
"""How long answers that are still owed are waited for at the end."""


class Tally:
    """What is counted, and in which phase: only answers that arrive while `measuring` count."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.measuring = False
        self.stopping = False
        self.failures: dict[str, int] = {}

    def fail(self, why: str) -> None:
        self.failures[why] = self.failures.get(why, 0) + 1


class Speaker(Protocol):
    """One connection's side of a protocol, closed loop: each answer is followed by the next request."""

    owed: int
    """Answers that have not come yet."""

    def hello(self) -> bytes:
        """What is sent first."""

    def received(self, data: bytes, now: float) -> bytes:
        """Take what arrived; return what is to be sent, which may be nothing."""


class Line:
    """One socket and its speaker."""

    def __init__(self, speaker: Speaker, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(0)
        self.speaker = speaker
        self.unsent = b""

    def send(self, data: bytes) -> bool:
        """Send what the socket takes; True when something is left over."""
        if self.unsent:
            data = self.unsent + data
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        self.unsent = data[sent:] if sent < len(data) else b""
        return bool(self.unsent)


class Engine:
    """Runs all lines: warm-up, measuring, then waits for what is owed."""

    def __init__(self, tally: Tally, lines: Sequence[Line]) -> None:
        self.tally = tally
        self.epoll = select.epoll()
        self.lines = {line.socket.fileno(): line for line in lines}

    def run(self, warm_up: float, seconds: float, watch: Sequence[int]) -> dict[str, Any]:
        """The result as a JSON object. `watch` are the servers' processes."""
        for number, line in self.lines.items():
            self.epoll.register(number, select.EPOLLIN)
            self._send(number, line, line.speaker.hello())
        self._until(time.perf_counter() + warm_up)
        servers, cpu, began = procs.cpu_s(watch), time.process_time(), time.perf_counter()
        self.tally.measuring = True
        self._until(began + seconds)
        self.tally.measuring = False
        ended = time.perf_counter()
        cpu, servers = time.process_time() - cpu, procs.cpu_s(watch) - servers
        memory = procs.memory_mb(watch)
        self.tally.stopping = True
        self._drain(DRAIN_S)
        return summary(self.tally, ended - began, cpu, servers, memory)

    def run_out(self, timeout: float = 600.0) -> dict[str, Any]:
        """Run until the speakers have nothing more to ask; for filling a server, not for measuring."""
        for number, line in self.lines.items():
            self.epoll.register(number, select.EPOLLIN)
            self._send(number, line, line.speaker.hello())
        self._until(time.perf_counter() + 0.2)  # greetings
        self._drain(timeout)
        return {"failures": self.tally.failures}

    def _drain(self, timeout: float) -> None:
        """Wait for all that is owed, then hang up."""
        deadline = time.perf_counter() + timeout
        while any(line.speaker.owed for line in self.lines.values()):
            self._turn(0.1)
            if time.perf_counter() > deadline:
                self.tally.fail("no answer in time")
                break
        for line in self.lines.values():
            line.socket.close()
        self.epoll.close()

    def _until(self, deadline: float) -> None:
        while (left := deadline - time.perf_counter()) > 0:
            self._turn(left)

    def _turn(self, timeout: float) -> None:
        lines = self.lines
        for number, mask in self.epoll.poll(timeout):
            line = lines[number]
            if mask & select.EPOLLOUT:
                self._send(number, line, b"")
            if mask & ~select.EPOLLOUT:
                try:
                    data = line.socket.recv(RECEIVE_BYTES)
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""
                if not data:
                    raise SystemExit(f"a server hung up; failures so far: {self.tally.failures}")
                out = line.speaker.received(data, time.perf_counter())
                if out:
                    self._send(number, line, out)

    def _send(self, number: int, line: Line, data: bytes) -> None:
        had = bool(line.unsent)
        left = line.send(data)
        if left != had:
            self.epoll.modify(number, select.EPOLLIN | (select.EPOLLOUT if left else 0))


def summary(tally: Tally, seconds: float, cpu: float, servers: float, memory: float) -> dict[str, Any]:
    """Rates per second, times in milliseconds, CPU in microseconds per operation, memory in MiB."""
    ordered = sorted(tally.latencies)
    count = len(ordered)
    return {
        "per_s": round(count / seconds, 1),
        "p50_ms": round(percentile(ordered, 0.50) * 1e3, 3),
        "p99_ms": round(percentile(ordered, 0.99) * 1e3, 3),
        "load_cpu_share": round(cpu / seconds, 3),
        "load_cpu_us": significant(cpu * 1e6 / count) if count else 0.0,
        "server_cpu_share": round(servers / seconds, 3),
        "server_cpu_us": significant(servers * 1e6 / count) if count else 0.0,
        "memory_mb": round(memory, 1),
        "failures": tally.failures,
    }
