"""Permits to stand, from a real etcd, over its HTTP gateway (JSON, version 3 of its API).

A permit is the key `/quorate/<cluster>/<group>`, created under a lease only if there is none; its value is the number
of the node that has it. Each permit has a lease of its own, which is kept alive from when it was given until it is
dropped: a question whose answer was lost leaves a key that runs out by itself.

Source: the etcd v3 API reference (KV.Txn, Lease); in its JSON, bytes are base64 and 64-bit numbers are strings.
"""

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from quorate.core.bounds import GroupId, NodeId
from quorate.core.permits import AskPermit, Denied, DropPermit, Permitted, PermitUnavailable
from quorate.transport.addresses import format_address

log = logging.getLogger("quorate.transport")

LEASE_S = 2
"""How long a permit lasts that nobody keeps alive; an etcd with its default time-outs grants no less."""
KEEP_ALIVE_S = 0.5
CALL_S = 0.5
"""How long one etcd may take to answer a call before the next is tried."""
ASK_S = 1.5
"""How long a question for a permit may take in all."""
ANSWER_BYTES_MAX = 1 << 20
TAKES = 3
"""How often the key is tried for when it changes meanwhile."""


class EtcdError(Exception):
    """An etcd answered, and not as it should. The message is shown in `quorate status`."""


class EtcdPermits:
    """Keeps `interface.Permits`. Everything happens in tasks of the running loop."""

    def __init__(
        self, endpoints: tuple[tuple[str, int], ...], cluster: str, me: NodeId, feed: Callable[[Any], None]
    ) -> None:
        self._endpoints = list(endpoints)
        self._prefix = f"/quorate/{cluster}/"
        self._me = me
        self._feed = feed
        self._kept: dict[tuple[GroupId, int], asyncio.Task[None]] = {}
        """(group, epoch) of each permit that is had -> what keeps its lease alive and gives it back when cancelled."""
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, effect: AskPermit) -> None:
        for group, epoch in [each for each in self._kept if each[0] == effect.group]:
            self.drop(DropPermit(group, epoch))
        self._begin(self._ask(effect))

    def drop(self, effect: DropPermit) -> None:
        keeping = self._kept.pop((effect.group, effect.epoch), None)
        if keeping is not None:
            keeping.cancel()

    async def close(self) -> None:
        """Give back what is had, as far as that is quickly done."""
        for keeping in self._kept.values():
            keeping.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CALL_S)
            for task in late:
                task.cancel()

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _ask(self, effect: AskPermit) -> None:
        group, number = effect.group, effect.number
        try:
            async with asyncio.timeout(ASK_S):
                answer = await self._take(group, number)
        except TimeoutError:
            answer = PermitUnavailable(group, number, f"no answer within {ASK_S} s")
        except (OSError, EtcdError) as error:
            answer = PermitUnavailable(group, number, str(error))
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            answer = PermitUnavailable(group, number, f"an answer that is none of etcd's: {error!r}")
        self._feed(answer)

    async def _take(self, group: GroupId, number: int) -> Permitted | Denied | PermitUnavailable:
        key = _encode(f"{self._prefix}{group}")
        lease = str((await self._call("lease/grant", {"TTL": LEASE_S}))["ID"])
        for _ in range(TAKES):
            absent = {"key": key, "target": "CREATE", "result": "EQUAL", "create_revision": "0"}
            put = {"request_put": {"key": key, "value": _encode(str(self._me)), "lease": lease}}
            look = {"request_range": {"key": key}}
            said = await self._call("kv/txn", {"compare": [absent], "success": [put], "failure": [look]})
            if said.get("succeeded"):
                epoch = int(said["header"]["revision"])
                self._kept[group, epoch] = self._begin(self._keep(lease))
                return Permitted(group, number, epoch)
            found = said["responses"][0]["response_range"].get("kvs", [])
            if found and int(base64.b64decode(found[0]["value"])) != self._me:
                with contextlib.suppress(OSError, EtcdError, TimeoutError):
                    await self._call("lease/revoke", {"ID": lease})
                return Denied(group, number, int(base64.b64decode(found[0]["value"])))
            if found:  # ours, of an earlier life or an earlier question: nobody stands with it any more
                same = {
                    "key": key,
                    "target": "CREATE",
                    "result": "EQUAL",
                    "create_revision": found[0]["create_revision"],
                }
                delete = {"request_delete_range": {"key": key}}
                await self._call("kv/txn", {"compare": [same], "success": [delete]})
        raise EtcdError("the key changes all the time")

    async def _keep(self, lease: str) -> None:
        """Keep a permit until it is dropped. That its lease ran out changes nothing: it is no fence."""
        try:
            while True:
                await asyncio.sleep(KEEP_ALIVE_S)
                try:
                    said = await self._call("lease/keepalive", {"ID": lease})
                except (OSError, TimeoutError, EtcdError, ValueError) as error:
                    log.debug("a permit's lease was not kept alive: %s", error)
                    continue
                if not int(said.get("result", {}).get("TTL", 0)):
                    log.info("the lease of a permit has run out; whoever leads goes on")
                    return
        except asyncio.CancelledError:
            with contextlib.suppress(OSError, EtcdError, TimeoutError, ValueError):
                await self._call("lease/revoke", {"ID": lease})

    async def _call(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask the first etcd that answers. Raises OSError, TimeoutError, EtcdError or ValueError."""
        failed: Exception = EtcdError("no etcd is configured")
        for endpoint in list(self._endpoints):
            try:
                async with asyncio.timeout(CALL_S):
                    return await _post(endpoint, method, body)
            except TimeoutError:
                failed = EtcdError(f"{format_address(*endpoint)} does not answer")
            except (OSError, EtcdError) as error:
                failed = error
            self._endpoints.append(self._endpoints.pop(0))  # the next question begins with another
        raise failed


async def _post(endpoint: tuple[str, int], method: str, body: dict[str, Any]) -> dict[str, Any]:
    """One call on a connection of its own: elections are rare, and a fresh one cannot be stale."""
    payload = json.dumps(body).encode()
    head = f"POST /v3/{method} HTTP/1.0\r\nHost: {format_address(*endpoint)}\r\nContent-Length: {len(payload)}\r\n\r\n"
    reader, writer = await asyncio.open_connection(*endpoint)
    try:
        writer.write(head.encode() + payload)
        await writer.drain()
        answer = b""
        while piece := await reader.read(1 << 16):
            answer += piece
            if len(answer) > ANSWER_BYTES_MAX:
                raise EtcdError(f"{format_address(*endpoint)} answers without end")
    finally:
        writer.close()
    header, _, content = answer.partition(b"\r\n\r\n")
    status = header.split(b" ", 2)[1:2]
    if status != [b"200"]:
        raise EtcdError(
            f"{format_address(*endpoint)} refuses {method}: {content[:200].decode(errors='replace').strip()}"
        )
    said = json.loads(content)
    if not isinstance(said, dict):
        raise EtcdError(f"{format_address(*endpoint)} answers {method} with {said!r}")
    return said


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
