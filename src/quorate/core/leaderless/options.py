"""What one may choose of a database without a leader."""

from typing import Annotated

from quorate.core.options import DatabaseOptions, Option, Unfit
from quorate.core.quorum import majority
from quorate.core.quorums import Quorums

MAJORITY, ALL = "majority", "all"
QUORUMS = (MAJORITY, ALL, "1", "2", "...")
BLOCKING, BACKGROUND = "blocking", "background"


def _read_quorum(text: str, replicas: int) -> str:
    if text in (MAJORITY, ALL):
        return text
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else 0
    if not 1 <= number <= replicas:
        hint = f"give {MAJORITY}, {ALL}, or a number from 1 to {replicas}"
        raise Unfit(f"{text!r:.80} does not say how many of {replicas} replicas", hint)
    return str(number)


def _read_repair(text: str, _replicas: int) -> str:
    if text not in (BLOCKING, BACKGROUND):
        raise Unfit(f"unknown repair {text!r:.80}", f"there are: {BLOCKING}, {BACKGROUND}")
    return text


def number_of(text: str, replicas: int) -> int:
    """How many that is of so many replicas."""
    return majority(replicas) if text == MAJORITY else replicas if text == ALL else int(text)


class LeaderlessOptions(DatabaseOptions, frozen=True, kw_only=True):
    """The options of a database without a leader."""

    w: Annotated[
        str,
        Option(
            "How many replicas must hold a write on disk before it succeeds.", QUORUMS, _read_quorum, "leaderless.md"
        ),
    ] = MAJORITY
    r: Annotated[str, Option("How many replicas must answer a read.", QUORUMS, _read_quorum, "leaderless.md")] = (
        MAJORITY
    )
    repair: Annotated[
        str,
        Option(
            "Whether a read that finds that replicas differ answers when they no longer do, or before.",
            (BLOCKING, BACKGROUND),
            _read_repair,
            "leaderless.md",
        ),
    ] = BLOCKING

    def quorums(self, replicas: int) -> Quorums:
        """The numbers, of so many replicas."""
        return Quorums(replicas, number_of(self.w, replicas), number_of(self.r, replicas))

    @property
    def needs_all(self) -> bool:
        return self.w == ALL
