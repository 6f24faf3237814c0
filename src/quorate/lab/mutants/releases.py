"""Mutants of upgrades: new formats before everybody can read them."""

from typing import Any

from quorate.core.node import Node
from quorate.core.upgrading import Versions
from quorate.lab.mutants.sabotage import Mutant, Swap


def _whoever_is_away(original: Any) -> Any:
    def finalization(versions: Versions, me: Any, members: Any, alive: dict[Any, bool], request: Any) -> Any:
        present = [member for member in members if member.node == me or alive.get(member.node)]
        return original(versions, me, present, alive, request)

    return finalization


def _whatever_they_read(original: Any) -> Any:
    def finalization(versions: Versions, me: Any, members: Any, alive: dict[Any, bool], request: Any) -> Any:
        others, versions.others = versions.others, dict.fromkeys(versions.others, versions.spoken)
        try:
            return original(versions, me, members, alive, request)
        finally:
            versions.others = others

    return finalization


def _at_once(original: Any) -> Any:
    def start(node: Node, now: Any) -> None:
        original(node, now)
        node.versions.learn(node.versions.formats.highest)

    return start


def _told_to_nobody(original: Any) -> Any:
    def learn(versions: Versions, version: int) -> None:
        emit, versions._emit = versions._emit, lambda _effect: None
        try:
            original(versions, version)
        finally:
            versions._emit = emit

    return learn


MUTANTS = (
    Mutant(
        "upgrade-forgets-the-absent",
        "an upgrade is finalized while a member that is away runs the older release",
        "CockroachDB's upgrade waits for every node for this reason; no issue known",
        "rolling",
        (Swap(Versions, "finalization", _whoever_is_away),),
        ("formats", "halt"),
    ),
    Mutant(
        "upgrade-asks-nobody",
        "an upgrade is finalized whatever the other members can read",
        "no case known; what a version switch in a configuration file does",
        "rolling",
        (Swap(Versions, "finalization", _whatever_they_read),),
        ("formats", "halt"),
    ),
    Mutant(
        "upgrade-at-the-first-start",
        "a newer release converts its folder when it starts, and nobody can go back",
        "common: MySQL 8.0 upgrades its data dictionary at the first start",
        "rolling",
        (Swap(Node, "_start", _at_once),),
        ("formats",),
    ),
    Mutant(
        "upgrade-leaves-folders-behind",
        "a node hears of the new number and does not note it on its disk",
        "no case known; the older release would start on it again",
        "rolling",
        (Swap(Versions, "learn", _told_to_nobody),),
        ("liveness",),
    ),
)
