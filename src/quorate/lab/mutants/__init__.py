"""Sabotaged cores. A judge that has never caught anything is not to be trusted: each of these breaks one rule
on purpose, and the laboratory must notice.
"""

from quorate.lab.mutants.cores import MUTANTS, Mutant

__all__ = ["MUTANTS", "Mutant"]
