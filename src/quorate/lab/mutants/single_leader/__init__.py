"""Mutants of the replication with a single leader: each breaks `core.single_leader` in one way."""

from quorate.lab.mutants.sabotage import Mutant
from quorate.lab.mutants.single_leader import (
    acknowledging,
    answering,
    elections,
    forgetting,
    handing,
    holding,
    members,
    permitting,
    reading,
    repairing,
    replication,
    running_long,
    verifying,
    visiting,
)

MUTANTS: tuple[Mutant, ...] = (
    elections.MUTANTS
    + replication.MUTANTS
    + reading.MUTANTS
    + verifying.MUTANTS
    + acknowledging.MUTANTS
    + running_long.MUTANTS
    + handing.MUTANTS
    + holding.MUTANTS
    + permitting.MUTANTS
    + members.MUTANTS
    + repairing.MUTANTS
    + forgetting.MUTANTS
    + visiting.MUTANTS
    + answering.MUTANTS
)
