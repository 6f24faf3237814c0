"""Mutants of verify: who is compared with whom, where, and who is believed."""

from typing import Any

import msgspec

from quorate.core.kernel import Digest, Now
from quorate.core.single_leader import verification
from quorate.core.single_leader.records import Verification
from quorate.core.single_leader.state import Group
from quorate.core.verdicts import EQUAL, ReplicaVerdict
from quorate.lab.mutants.sabotage import Mutant, Swap


def _wherever_it_stands(_original: Any) -> Any:
    def proceed(group: Group, _now: Now) -> None:
        check = group.verifying.check
        if (
            check is not None
            and not check.begun
            and group.apply.opened
            and not group.fetching.switching
            and not group.repair.damaged
        ):
            check.begun = True
            group.host.emit(Digest(group.group, check.number))

    return proceed


def _position_unread(original: Any) -> Any:
    def on_digested(group: Group, now: Now, event: Any) -> None:
        check = group.verifying.check
        if check is not None:
            event = msgspec.structs.replace(event, position=check.position)
        original(group, now, event)

    return on_digested


def _leader_is_right(_original: Any) -> Any:
    return lambda group, running: running.answers[group.me].digest


def _what_it_should_be(original: Any) -> Any:
    def on_digested(group: Group, now: Now, event: Any) -> None:
        if not event.failed:
            event = msgspec.structs.replace(event, digest=f"{event.position}")
        original(group, now, event)

    return on_digested


def _deaf(_original: Any) -> Any:
    return lambda *_arguments: None


def _leader_is_never_wrong(original: Any) -> Any:
    def verdict_of(group: Group, node: Any, running: Verification, right: str) -> ReplicaVerdict:
        verdict: ReplicaVerdict = original(group, node, running, right)
        return msgspec.structs.replace(verdict, verdict=EQUAL, rebuilt=False) if node == group.me else verdict

    return verdict_of


MUTANTS = (
    Mutant(
        "verify-anywhere",
        "replicas are compared at different positions",
        "no case known; why pt-table-checksum sends its queries through the replication itself",
        "divergence",
        (
            Swap(verification, "proceed", _wherever_it_stands),
            Swap(verification, "on_digested", _position_unread),
        ),
        ("sound disk",),
    ),
    Mutant(
        "verify-believes-the-leader",
        "whoever differs from the leader is taken for wrong, whatever a majority holds",
        "what copying from the primary does with a primary that is damaged (no issue known)",
        "divergence",
        (Swap(verification, "majority_digest", _leader_is_right),),
        ("sound disk",),
    ),
    Mutant(
        "verify-tells-what-should-be",
        "a replica's digest is of what it was given, not of what its file holds",
        "no case known; an incremental checksum that nothing compares with the disk",
        "divergence",
        (Swap(verification, "on_digested", _what_it_should_be),),
        ("verify",),
    ),
    Mutant(
        "verify-changes-nothing",
        "a replica that is told that it differs goes on as it is",
        "no case known; an alarm without a repair",
        "divergence",
        (Swap(verification, "on_verdict", _deaf),),
        ("liveness", "verify"),
    ),
    Mutant(
        "verify-spares-the-leader",
        "a leader compares all others and never itself",
        "no case known",
        "divergence",
        (Swap(verification, "_verdict_of", _leader_is_never_wrong),),
        ("verify",),
    ),
)
