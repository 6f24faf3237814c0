"""What callers choose of a database, looked at before anything is sent."""

from collections.abc import Iterable, Mapping

import msgspec

from quorate import errors
from quorate.client.checks import check_text, shown
from quorate.client.pieces import DatabaseInfo
from quorate.core import options as declared
from quorate.core.promises import Explanation


def options_known() -> declared.Known:
    """The options of each replication. Not imported before it is asked for: who only reads and writes needs none."""
    from quorate.core import replication

    return replication.options_known()


def _given(options: Mapping[str, object]) -> dict[str, str]:
    """The options that have a value, whatever they are. Raises ProgrammingError for what is no text."""
    return {check_text(name, "an option"): check_text(each, name) for name, each in options.items() if each is not None}


def check_options(replication: str, options: Mapping[str, object], replicas: int) -> dict[str, str]:
    """What is chosen for a new database. Raises NotSupportedError for a replication that is not there, ProgrammingError
    for options that cannot be."""
    if isinstance(replicas, bool) or not isinstance(replicas, int) or not 0 < replicas <= declared.REPLICAS_MAX:
        raise errors.ProgrammingError(f"replicas is a number from 1 to {declared.REPLICAS_MAX}, not {shown(replicas)}")
    try:
        return declared.check(
            options_known(), check_text(replication, "a replication"), _given(options), replicas
        ).spelt
    except declared.Unfit as error:
        raise getattr(errors, error.error)(str(error), hint=error.hint) from None


def check_change(options: Mapping[str, object]) -> dict[str, str]:
    """What is to be changed, as it is spelt. Raises ProgrammingError."""
    try:
        return declared.check_change(options_known(), _given(options))
    except declared.Unfit as error:
        raise errors.ProgrammingError(str(error), hint=error.hint) from None


def explained(known: Iterable[DatabaseInfo], name: str) -> Explanation:
    """What the database of this name promises. Raises UnknownDatabase, or NotSupportedError for a replication of a
    later release."""
    there = {each.name: each for each in known}
    if name not in there:
        raise errors.UnknownDatabase(f"there is no database {name!r}", hint=f"there are: {', '.join(there)}")
    info = there[name]
    from quorate.core.replication import REPLICATIONS

    if info.replication not in REPLICATIONS:
        raise errors.NotSupportedError(
            f"this release does not know the replication {info.replication!r}", hint="use that of the nodes"
        )
    replication = REPLICATIONS[info.replication]
    options = msgspec.convert(info.options, replication.options)
    return msgspec.structs.replace(replication.promises.explain(options, info.replicas), options=info.options)
