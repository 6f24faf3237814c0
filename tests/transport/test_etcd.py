"""The client of etcd, against a gateway of this test's own that speaks its JSON."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

from quorate.core.permits import AskPermit, Denied, DropPermit, Permitted, PermitUnavailable
from quorate.transport.etcd import EtcdPermits

KEY = "/quorate/shops/7"


class Gateway:
    """A fake etcd: one key, leases that never run out by themselves, and faults as the test says."""

    def __init__(self) -> None:
        self.revision = 40
        self.keys: dict[str, dict[str, Any]] = {}
        self.leases: set[str] = set()
        self.kept: list[str] = []
        self.status = "200 OK"
        self.garbage = b""
        self.hangs = False
        self.gone = False
        """Leases have run out."""
        self.changed = asyncio.Event()

    async def serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._answer, "127.0.0.1", 0)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        if not self.hangs:
            said = self.garbage or json.dumps(self.perform(head.split(" ")[1].removeprefix("/v3/"), body)).encode()
            writer.write(f"HTTP/1.0 {self.status}\r\nContent-Type: application/json\r\n\r\n".encode() + said)
        else:
            await reader.read()  # until the client gives up
        writer.close()
        self.changed.set()

    def perform(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        header = {"revision": str(self.revision)}
        if method == "lease/grant":
            self.leases.add(str(7_000 + len(self.leases)))
            return {"header": header, "ID": str(7_000 + len(self.leases) - 1), "TTL": str(body["TTL"])}
        if method == "lease/keepalive":
            self.kept.append(body["ID"])
            return {"result": {"header": header, "ID": body["ID"], **({} if self.gone else {"TTL": "2"})}}
        if method == "lease/revoke":
            self.leases.discard(body["ID"])
            self.keys = {key: each for key, each in self.keys.items() if each["lease"] != body["ID"]}
            return {"header": header}
        assert method == "kv/txn", method
        (compare,) = body["compare"]
        there = self.keys.get(compare["key"])
        if compare["create_revision"] != (there["create_revision"] if there else "0"):
            found = [there] if there else []
            return {"header": header, "responses": [{"response_range": {"header": header, "kvs": found}}]}
        self.revision += 1
        (success,) = body["success"]
        if "request_put" in success:
            put = success["request_put"]
            self.keys[put["key"]] = {**put, "create_revision": str(self.revision)}
        else:
            self.keys.pop(success["request_delete_range"]["key"], None)
        return {"header": {"revision": str(self.revision)}, "succeeded": True, "responses": [{}]}

    @property
    def holders(self) -> dict[str, str]:
        return {_text(key): _text(each["value"]) for key, each in self.keys.items()}


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode()


class Node:
    """Asks, and waits for what comes back."""

    def __init__(self, number: int, *ports: int) -> None:
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        endpoints = tuple(("127.0.0.1", port) for port in ports)
        self.permits = EtcdPermits(endpoints, "shops", number, self.events.put_nowait)

    async def ask(self, number: int = 1) -> Any:
        self.permits.ask(AskPermit(7, number))
        return await asyncio.wait_for(self.events.get(), 10)


def run(test: Callable[[Gateway, int], Awaitable[None]]) -> None:
    async def body() -> None:
        gateway = Gateway()
        server = await gateway.serve()
        try:
            await test(gateway, server.sockets[0].getsockname()[1])
        finally:
            server.close()

    asyncio.run(body())


async def until(gateway: Gateway, holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            gateway.changed.clear()
            await gateway.changed.wait()


def test_the_epoch_is_the_revision_at_which_the_key_was_created() -> None:
    async def test(gateway: Gateway, port: int) -> None:
        node = Node(3, port)
        assert await node.ask() == Permitted(7, 1, 41)
        assert gateway.holders == {KEY: "3"}
        await node.permits.close()
        assert gateway.holders == {}, "a node that stops gives it back"

    run(test)


def test_one_node_at_a_time_and_the_next_gets_a_higher_epoch() -> None:
    async def test(gateway: Gateway, port: int) -> None:
        first, second = Node(1, port), Node(2, port)
        assert await first.ask() == Permitted(7, 1, 41)
        assert await second.ask(5) == Denied(7, 5, 1)
        assert len(gateway.leases) == 1, "who is denied keeps no lease"
        first.permits.drop(DropPermit(7, 41))
        await until(gateway, lambda: not gateway.keys)
        assert await second.ask(6) == Permitted(7, 6, 42)
        await second.permits.close()

    run(test)


def test_an_own_key_of_an_earlier_life_is_replaced() -> None:
    async def test(gateway: Gateway, port: int) -> None:
        earlier, later = Node(1, port), Node(1, port)
        assert await earlier.ask() == Permitted(7, 1, 41)
        assert await later.ask() == Permitted(7, 1, 43)
        await later.permits.close()
        await earlier.permits.close()

    run(test)


def test_a_permit_is_kept_alive_until_its_lease_has_run_out() -> None:
    async def test(gateway: Gateway, port: int) -> None:
        node = Node(1, port)
        await node.ask()
        await until(gateway, lambda: len(gateway.kept) == 2)
        gateway.gone = True
        await until(gateway, lambda: len(gateway.kept) == 3)
        assert node.events.empty(), "nobody is deposed by it"
        await node.permits.close()

    run(test)


def test_the_next_endpoint_is_asked_when_one_is_away() -> None:
    async def test(gateway: Gateway, port: int) -> None:
        dead = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
        away = dead.sockets[0].getsockname()[1]
        dead.close()
        node = Node(1, away, port)
        assert await node.ask() == Permitted(7, 1, 41)
        assert gateway.holders == {KEY: "1"}
        await node.permits.close()

    run(test)


def test_what_is_no_answer_is_unavailable_and_says_why() -> None:
    async def test(gateway: Gateway, port: int) -> None:
        node = Node(1, port)
        gateway.hangs = True
        hung = await node.ask(1)
        assert isinstance(hung, PermitUnavailable)
        assert hung.reason == f"127.0.0.1:{port} does not answer"
        gateway.hangs, gateway.status = False, "503 Service Unavailable"
        refused = await node.ask(2)
        assert isinstance(refused, PermitUnavailable)
        assert f"127.0.0.1:{port} refuses lease/grant" in refused.reason
        gateway.status, gateway.garbage = "200 OK", b"<html>"
        other = await node.ask(3)
        assert isinstance(other, PermitUnavailable)
        assert "none of etcd's" in other.reason
        gateway.garbage = b"[]"
        assert isinstance(await node.ask(4), PermitUnavailable)
        await node.permits.close()

    run(test)
