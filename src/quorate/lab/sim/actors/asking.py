"""Somebody who asks the cluster for one thing at a time, and asks again until it is answered: what `Operator`,
`Chooser` and `Mover` have in common."""

from typing import Any

from quorate.core.requests import Answer, Ask, NotLeader, Refused, ReplyBody, Told
from quorate.lab.sim.actors.actor import Actor, SimCluster
from quorate.lab.sim.engine.network import node_at
from quorate.lab.sim.scenarios.dials import MILLISECOND
from quorate.wire import codec

AGAIN_US = 20 * MILLISECOND
"""How long it waits before it goes where it was sent to."""


class Asker(Actor):
    """Sends its question to one node, to another when that is silent, and to whoever is named as the leader."""

    def __init__(self, cluster: SimCluster, number: int, name: str, patience_us: int) -> None:
        """`number`: its address, below every node's. `name`: of its random numbers. `patience_us`: until another is
        asked."""
        super().__init__(cluster)
        self._number = number
        self._patience_us = patience_us
        self._rng = cluster.world.rng(name)
        self._asks = 0
        self._body: Any = None
        """What is being asked; None while nothing is."""
        self._target = 1
        self._network.join(number, self._receive)

    # ---- what becomes of it, each kind in its own way ------------------------------------------------------

    def _answered(self, body: Any, answer: Answer) -> None:
        """That was the answer to this; nothing is being asked any more."""
        raise NotImplementedError

    def _is_over(self, refused: Refused) -> bool:
        """Whether it is not asked again after this refusal."""
        del refused
        return False

    def _is_tired(self) -> bool:
        """Whether it is not asked again after so many attempts."""
        return False

    # ---- asking ------------------------------------------------------------------------------------------

    def _ask(self, body: Any) -> None:
        self._body = body
        self._asks += 1
        self._network.send(self._number, self._target, codec.encode(Ask(self._asks, body)))
        self._world.after(self._patience_us, self._silent, self._asks)

    def _silent(self, asked: int) -> None:
        if asked == self._asks and self._body is not None:
            self._target = self._somebody()
            self._again(asked)

    def _again(self, asked: int) -> None:
        if asked != self._asks or self._body is None:
            return
        if self._is_tired():
            self._body = None
        else:
            self._ask(self._body)

    def _receive(self, _source: int, payload: bytes) -> None:
        told: Told = codec.decode_told(payload)
        if told.id != self._asks or self._body is None:
            return
        reply: ReplyBody = told.body
        if isinstance(reply, Answer):
            body, self._body = self._body, None
            self._answered(body, reply)
        elif isinstance(reply, Refused) and self._is_over(reply):
            self._body = None
        else:
            address = reply.leader if isinstance(reply, NotLeader) else ""
            self._target = node_at(address) if address else self._somebody()
            self._world.after(AGAIN_US, self._again, told.id)

    def _somebody(self) -> int:
        return self._rng.choice(sorted(self._hosts))
