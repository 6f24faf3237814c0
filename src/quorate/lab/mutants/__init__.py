"""Sabotage. A judge that has never caught anything is not to be trusted: each mutant breaks our own code in one
way, as others' code was broken before, and the laboratory must notice.
"""

from quorate.lab.mutants import (
    dropping,
    fencing,
    files,
    leaderless,
    leaderless_sql,
    multi_leader,
    overloading,
    releases,
    rows,
    single_leader,
    storing,
    transacting,
    users,
    views,
)
from quorate.lab.mutants.sabotage import Mutant, find, run, run_case, sabotaged

MUTANTS: tuple[Mutant, ...] = (
    single_leader.MUTANTS
    + storing.MUTANTS
    + files.MUTANTS
    + rows.MUTANTS
    + releases.MUTANTS
    + overloading.MUTANTS
    + dropping.MUTANTS
    + transacting.MUTANTS
    + fencing.MUTANTS
    + leaderless.MUTANTS
    + leaderless_sql.MUTANTS
    + views.MUTANTS
    + multi_leader.MUTANTS
    + users.MUTANTS
)

__all__ = ["MUTANTS", "Mutant", "find", "run", "run_case", "sabotaged"]
