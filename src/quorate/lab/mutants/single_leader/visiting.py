"""Mutants of sessions and of bounded reads: what a bookmark says, who looks at it, and how old an answer may be."""

from collections.abc import Iterable
from typing import Any

from msgspec import structs

from quorate.core import bookmarks, querying
from quorate.core.bookmarks import Reached
from quorate.core.requests import Answer
from quorate.core.single_leader import reads, sessions
from quorate.core.single_leader.state import Group
from quorate.lab.mutants.sabotage import Mutant, Swap


def _has_all(_original: Any) -> Any:
    return lambda _group, _places: sessions.HAS


def _any_epoch(_original: Any) -> Any:
    def standing(_group: Group, place: Reached, end: int) -> int:
        return sessions.HAS if place.index <= end else sessions.NOT_YET

    return standing


def _committed_will_do(_original: Any) -> Any:
    def data_file_has(group: Group, places: Iterable[Reached]) -> int:
        return max([sessions._standing(group, place, group.commit.committed) for place in places], default=sessions.HAS)

    return data_file_has


def _behind_is_lost(original: Any) -> Any:
    def standing(group: Group, place: Reached, end: int) -> int:
        return sessions.HAS if original(group, place, end) == sessions.HAS else sessions.LOST

    return standing


def _no_place(original: Any) -> Any:
    def answer(*arguments: Any) -> Any:
        found = original(*arguments)
        return structs.replace(found, epoch=0) if isinstance(found, Answer) else found

    return answer


def _newest_hides_others(original: Any) -> Any:
    def reduced(places: Iterable[Reached]) -> tuple[Reached, ...]:
        return tuple(original(places)[-1:])

    return reduced


def _always_fresh(_original: Any) -> Any:
    return lambda group: 0 if group.apply.opened else -1


MUTANTS = (
    Mutant(
        "bookmark-not-looked-at",
        "a replica answers a session whatever that has seen",
        "no case known as a bug; what reading at any replica would mean",
        "sessions",
        (Swap(sessions, "data_file_has", _has_all),),
        ("session",),
    ),
    Mutant(
        "bookmark-of-any-epoch",
        "a replica compares the index of a bookmark and not its epoch",
        "no case known; a position in one server's log that is looked for in another's",
        "sessions",
        (Swap(sessions, "_standing", _any_epoch),),
        ("session",),
    ),
    Mutant(
        "bookmark-before-applied",
        "a replica answers a session once it knows that what that has seen is committed, before its data file has it",
        "no case known; thesis section 6.4, step 3, for sessions",
        "sessions",
        (Swap(sessions, "data_file_has", _committed_will_do),),
        ("session",),
    ),
    Mutant(
        "bookmark-lost-when-behind",
        "a replica that has not reached a bookmark yet says that it is lost",
        "no case known; the error that sends a person to look for damage",
        "sessions",
        (Swap(sessions, "_standing", _behind_is_lost),),
        ("true answer",),
    ),
    Mutant(
        "reads-move-no-bookmark",
        "the answer to a read does not say how far it has seen",
        "no case known; a session that only its writes move",
        "sessions",
        (Swap(querying, "answer", _no_place),),
        ("session",),
    ),
    Mutant(
        "writes-after-what-is-lost",
        "a leader runs a session's write though a failover has lost what the session has seen",
        "MongoDB 3.6.4: causal sessions without majority writes (Jepsen, 2018)",
        "sessions",
        (Swap(sessions, "log_has", _has_all),),
        ("session",),
    ),
    Mutant(
        "newest-bookmark-hides-others",
        "of two places a merged bookmark keeps the one of the later epoch, whether or not it includes the other",
        "no case known; vectors of positions that are merged by their maximum",
        "sessions",
        (Swap(bookmarks, "reduced", _newest_hides_others),),
        ("session",),
    ),
    Mutant(
        "bounded-without-hearing",
        "a replica that has heard nothing answers bounded reads",
        "no case known as a bug; what reading at any replica would mean",
        "sessions",
        (Swap(reads, "age_us", _always_fresh),),
        ("bounded staleness",),
    ),
)
