"""What becomes of each class of conflict under each resolver. Documents and tests read this table."""

from quorate.core.versions.conflicts import Conflict
from quorate.core.versions.custom import Custom
from quorate.core.versions.resolvers import AnyResolver, Resolver

_BOTH_VALUES = {
    Resolver.LAST_WRITE_WINS: "the write with the higher stamp is shown; the other is listed and discarded",
    Resolver.PRIORITY: "the write of the leader that comes first is shown; the other is listed and discarded",
    Resolver.KEEP: "the write with the higher stamp is shown; the other is listed and kept until it is resolved",
    Resolver.CONCAT: "both texts are shown, a line break between them",
    Resolver.SET: "the members of both are shown, without those that a write removed which had seen them",
    Resolver.MAX: "the greater value is shown",
    Resolver.MIN: "the smaller value is shown; NULL only if there is nothing else",
}
_CUSTOM = "what the function makes of both is shown; the other is listed and kept until a write replaces both"
_WHATEVER: dict[Conflict, str] = {
    Conflict.UPDATE_DELETE: "the row stays deleted; the update is listed and discarded",
    Conflict.DELETE_UPDATE: "the row stays deleted, though the update is later; the update is listed and discarded",
    Conflict.DELETE_DELETE: "the row is deleted; nothing is lost",
    Conflict.INSERT_TOMBSTONE: "the row stays: the delete had not seen this insert; the delete is listed",
    Conflict.MISSING_ROW: "the row stays forgotten; the update is listed and discarded",
    Conflict.UNIQUE: "the row that was inserted first is shown; the other is hidden as a whole, and listed",
    Conflict.MULTIPLE_UNIQUE: "a row that loses any unique value is hidden as a whole; each value it lost is listed",
    Conflict.FOREIGN_KEY: "the child stays visible, and is listed",
    Conflict.CHECK: "a row is never put together from two; one whose merged column breaks its CHECK is listed",
    Conflict.SCHEMA: "the value is kept, and shown when its column is there; until then it is listed",
}


def outcome(conflict: Conflict, resolver: AnyResolver) -> str:
    """One sentence."""
    if conflict in _WHATEVER:
        return _WHATEVER[conflict]
    if isinstance(resolver, Custom):
        return _CUSTOM
    if resolver is Resolver.COUNTER:
        both = "both inserts count" if conflict is Conflict.INSERT_INSERT else "both increments count"
        return f"the sum is shown: {both}"
    return _BOTH_VALUES[resolver]
