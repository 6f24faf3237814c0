"""Sabotage. A judge that has never caught anything is not to be trusted: each mutant breaks our own code in one
way, as others' code was broken before, and the laboratory must notice.
"""

from quorate.lab.mutants import (
    acknowledging,
    dropping,
    elections,
    fencing,
    files,
    forgetting,
    handing,
    members,
    overloading,
    permitting,
    reading,
    releases,
    repairing,
    replication,
    rows,
    running_long,
    storing,
    transacting,
    verifying,
    visiting,
)
from quorate.lab.mutants.sabotage import Mutant, find, run, run_case, sabotaged

MUTANTS: tuple[Mutant, ...] = (
    elections.MUTANTS
    + replication.MUTANTS
    + reading.MUTANTS
    + storing.MUTANTS
    + files.MUTANTS
    + rows.MUTANTS
    + verifying.MUTANTS
    + releases.MUTANTS
    + acknowledging.MUTANTS
    + overloading.MUTANTS
    + running_long.MUTANTS
    + handing.MUTANTS
    + permitting.MUTANTS
    + members.MUTANTS
    + repairing.MUTANTS
    + dropping.MUTANTS
    + forgetting.MUTANTS
    + visiting.MUTANTS
    + transacting.MUTANTS
    + fencing.MUTANTS
)

__all__ = ["MUTANTS", "Mutant", "find", "run", "run_case", "sabotaged"]
