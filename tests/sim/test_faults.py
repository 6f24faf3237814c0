"""A fault is one declaration: nothing that is derived from it can be forgotten, and no mark can be misspelt."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

import msgspec
from tests.house.source import modules

from quorate.core.replication import message_kinds
from quorate.lab.sim.actors.lasting import KINDS
from quorate.lab.sim.campaigns.shrink import Case, Shrinker, dump, load
from quorate.lab.sim.campaigns.table import MODES, ROWS
from quorate.lab.sim.faults.fault import Dial
from quorate.lab.sim.faults.registry import FAULTS
from quorate.lab.sim.scenarios import drawing
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.scenarios.purpose import AIMS

DECLARED: tuple[Dial, ...] = (*drawing.DIALS, *(dial for fault in FAULTS for dial in fault.dials))


def test_every_dial_is_declared_once() -> None:
    assert Counter(dial.name for dial in DECLARED) == Counter(Dials.__struct_fields__)


def test_the_shrinker_knows_every_dial_but_those_that_are_kept() -> None:
    kept = {dial.name for dial in drawing.OTHERS if not dial.quiet}
    assert set(drawing.QUIET) == set(Dials.__struct_fields__) - kept
    assert all(dial.quiet for fault in FAULTS for dial in fault.dials), "whatever is a fault can be turned off"


def test_whatever_the_shrinker_tries_can_be_kept_in_a_file() -> None:
    for dial in DECLARED:
        for value in dial.quiet:
            case = Case(scenario="calm", seed=0, dials=msgspec.structs.replace(Dials(), **{dial.name: value}))
            assert load(dump(case)) == case, dial.name


def test_a_fault_that_only_a_scenario_turns_on_is_turned_off() -> None:
    """Each dial of each fault: what fails for another reason is found to fail without it."""
    loud = {dial.name: 1 for fault in FAULTS for dial in fault.dials} | {
        "lasting": "partial", "old_copy_unseen": True, "etcd_spread": True,
    }  # fmt: skip
    case = Case(scenario="calm", seed=0, dials=msgspec.structs.replace(Dials(), **loud))
    small = Shrinker(case, lambda _case: Failing()).shrink()  # type: ignore[arg-type,return-value]
    assert not [dial.name for fault in FAULTS for dial in fault.dials if getattr(small.dials, dial.name)]


class Failing:
    """A run that fails whatever it suffers."""

    ok = False
    judge = "somebody"
    virtual_us = 1 << 60
    faults = 0
    steps = 1
    operations: ClassVar[dict[int, int]] = {}


# ---- marks -------------------------------------------------------------------------------------------------

NAMED = {
    **{mark: scenario for scenario, aim in AIMS.items() for mark in aim.least},
    **{fault.mark: fault.dial for fault in FAULTS if fault.dial != "lasting"},
    **{row.mark: row.name for row in ROWS},
    **{mode.mark: mode.name for mode in MODES if mode.mark},
}
"""Every mark that somebody waits for, and one who does."""


def literals(node: ast.AST) -> Iterator[str]:
    """The strings in an expression, as patterns."""
    for each in ast.walk(node):
        if isinstance(each, ast.JoinedStr):
            parts = [re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in each.values]
            yield "".join(parts)
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield re.escape(each.value)


def marked() -> set[str]:
    """What the simulator marks: strings handed to `mark`, or to what hands them on, and constants."""
    found: set[str] = set()
    for path in modules("lab/sim"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in {"mark", "harm", "_part", "after"}:
                    found.update(text for argument in node.args for text in literals(argument))
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                found.update(literals(node.value))
    return {pattern for pattern in found if not pattern.startswith((".+", "note:", "lasting:"))}


def notes() -> set[str]:
    """The notes that cores, and storage, make."""
    found: set[str] = set()
    for path in (*modules("core"), *modules("storage")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in {
                "Note",
                "note",
            }:
                found.update(text for argument in node.args for text in literals(argument))
    return {f"note: {text}" for text in found}


def families() -> set[str]:
    """Marks that are made of a name and what became of it."""
    ends = "ok|fail|failed|unsure|cancelled|expired"
    kinds = {f"got {kind.__name__}" for kind in message_kinds()} | {f"lasting: {kind}" for kind in KINDS}
    return {re.escape(kind) for kind in kinds} | {
        f"(read|journal|schema|alter|commit|session read|session write|bounded read|outcome of a run): ({ends})",
        f"(add|share|elements|notes|notes delete|row read|row write|row delete|counter add): ({ends})",
        f"(schema change|sql (read|write|add|insert|delete|failing|eventual|scan|extra|schema|setup)): ({ends})",
    }


def test_every_mark_that_is_waited_for_is_made() -> None:
    known = [re.compile(pattern) for pattern in marked() | notes() | families()]
    unknown = [mark for mark in NAMED if not any(pattern.fullmatch(mark) for pattern in known)]
    assert not unknown, [f"{NAMED[mark]} waits for {mark!r}, and nobody makes it" for mark in unknown]


def test_a_misspelt_mark_is_not_made() -> None:
    known = marked() | notes() | families()
    for misspelt in ("note: divergant", "crashes", "got StandNaw", "lasting: deaf leaders", "reads: ok"):
        assert not any(re.fullmatch(pattern, misspelt) for pattern in known), misspelt
