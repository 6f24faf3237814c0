"""Mutants of repair: what is damaged, what that silences, and what a copy takes the place of."""

from typing import Any

import msgspec

from quorate.core.kernel import ApplyFailed
from quorate.core.recovered import RecoveredGroup
from quorate.core.single_leader import repair, snapshots
from quorate.core.single_leader.state import Group
from quorate.lab.mutants.sabotage import Mutant, Swap


def _never_behind(original: Any) -> Any:
    def kept_behind(group: Group, position: Any) -> int:
        return original(group, position) if group.rewinding.first else 0

    return kept_behind


def _always(_original: Any) -> Any:
    return lambda *_arguments: True


def _all_is_lost(original: Any) -> Any:
    def found_damaged(group: Group, event: ApplyFailed, failing: int) -> None:
        original(group, msgspec.structs.replace(event, log_intact=False), failing)

    return found_damaged


def _all_was_lost(original: Any) -> Any:
    def begins(group: Group, host: Any, found: RecoveredGroup) -> None:
        original(group, host, msgspec.structs.replace(found, log_intact=False))

    return begins


def _only_the_file(original: Any) -> Any:
    def begins(group: Group, host: Any, found: RecoveredGroup) -> None:
        original(group, host, msgspec.structs.replace(found, log_intact=bool(found.damaged)))

    return begins


def _not_damaged(original: Any) -> Any:
    return lambda group: original(group) and not group.repair.damaged


def _any_copy(_original: Any) -> Any:
    def installed(group: Group) -> None:
        if group.repair.damaged:
            repair._heal(group)

    return installed


MUTANTS = (
    Mutant(
        "copy-takes-the-log",
        "a copy in the place of a damaged data file drops the log behind it, which was acknowledged",
        "no case known; InstallSnapshot that discards the whole log though the last entry agrees (section 7 of the"
        " Raft paper says to keep it)",
        "unfit",
        (Swap(snapshots, "_kept_behind", _never_behind),),
        ("durable majority", "leader completeness", "durable log", "acknowledged write lost", "liveness"),
    ),
    Mutant(
        "damaged-file-silences-the-log",
        "a replica whose data file is damaged votes for nobody and acknowledges nothing, though its log is sound",
        "found here: a whole leader and two data files that could not be brought forward, and no leader ever after",
        "unfit",
        (Swap(repair, "found_damaged", _all_is_lost), Swap(Group, "__init__", _all_was_lost)),
        ("liveness",),
    ),
    Mutant(
        "damaged-log-speaks",
        "a replica whose log has lost its end is treated as if only its data file were damaged",
        "Protocol-aware recovery, FAST 2018",
        "damage",
        (Swap(Group, "__init__", _only_the_file),),
        ("damaged replica",),
    ),
    Mutant(
        "condemns-for-ever",
        "a replica that cannot apply what follows its copy fetches the next one at once",
        "found here: five to ten copies a second, fetched and condemned",
        "unfit",
        (Swap(repair, "may_ask", _always),),
        ("repair",),
    ),
    Mutant(
        "damaged-never-leads",
        "a replica with a damaged data file never leads, though nobody else has the newest entries",
        "no case known",
        "unfit",
        (Swap(Group, "may_stand", _not_damaged),),
        ("liveness",),
    ),
    Mutant(
        "copy-ends-damage",
        "a replica whose log lost its end is whole as soon as any copy is there, however old that is",
        "any restore from a backup after which a member goes on voting; Protocol-aware recovery, FAST 2018",
        "relapse",
        (Swap(repair, "installed", _any_copy),),
        ("damaged replica",),
    ),
)
