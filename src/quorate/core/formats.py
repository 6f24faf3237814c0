"""The numbers of our formats: what each means, which release brought it, and what this release reads.

One number stands for everything that two releases must agree on: a node's folder, the data files and entries in
it, and what nodes tell each other. A release reads its own number and the one before, and refuses all others.

A *cluster* has a number too (in the catalog). It says what may be written: members of an older release must be able
to read everything that is written before the cluster's number is raised, and that happens only when somebody asks
for it (`core.upgrading`). Between two nodes, messages that the older of them does not know are not sent, whatever
the cluster's number.
"""

from msgspec import Struct

from quorate.core.bounds import Small

RELEASE = "0.1.0"
"""This release; a test holds it equal to the package's version."""


class Format(Struct, frozen=True):
    """One number, and what it stands for."""

    number: int
    release: str
    """The release that brought it."""
    folder: str
    entries: str
    messages: str


FORMATS = (
    Format(
        1,
        "0.1.0.dev0",
        folder="node.db, log.db and group-<id>-<n>.db as storage.node_file, storage.log and storage.data_file say",
        entries="a batch in the row format (storage.payload)",
        messages="core.messages, but for those that `core.messages.SINCE` names",
    ),
    Format(
        2,
        "0.1.0",
        folder="node.db says which release raised it, so that an older one can say what it needs",
        entries="as before, and some name an acks rule (core.single_leader.rules) or the group's members"
        " (core.single_leader.membership); data files note both (quorate_acks, quorate_members)",
        messages="replicas are compared: VerifyAsk, VerifyReply, VerifyVerdict; a node is told that it was Removed",
    ),
)


class Range(Struct, frozen=True, array_like=True):
    """The numbers that a release reads: all from the lowest to the highest."""

    lowest: int
    highest: int

    def __contains__(self, number: int) -> bool:
        return self.lowest <= number <= self.highest

    def __str__(self) -> str:
        if self.lowest == self.highest:
            return f"format {self.lowest}"
        return f"formats {self.lowest} to {self.highest}"


ACKS_SINCE = 2
"""The cluster's number from which on a database may have other acks than majority."""
MEMBERS_SINCE = 2
"""The cluster's number from which on members may be added, removed and replaced."""

HERE = Range(max(1, FORMATS[-1].number - 1), FORMATS[-1].number)
"""What this release reads; it writes the newest of them that the cluster allows."""

DATA_FILE = Range(1, 1)
"""The numbers that may stand in a data file's own table. They move only when its layout does."""
PAYLOAD = Range(1, 1)
"""The numbers that may stand in an entry's payload. They move only when its layout does."""


class Spoken(Struct, frozen=True, array_like=True, gc=False):
    """What a node tells the others with every heartbeat. Those who say nothing are of format 1."""

    lowest: Small = 1
    highest: Small = 1
    version: Small = 1
    """The cluster's number, as far as this node has heard."""

    @property
    def formats(self) -> Range:
        return Range(self.lowest, self.highest)


def release_of(number: int) -> str:
    """Which release brought a format, for sentences; one that is not known here is of a later one."""
    for each in FORMATS:
        if each.number == number:
            return f"release {each.release}"
    return f"a release later than {RELEASE}"


def refuse(what: str, number: int, formats: Range = HERE, release: str = "") -> tuple[str, str]:
    """Why `what`, which is of this format, cannot be read here, and what to do about it. `release`: who raised it."""
    message = f"{what} has format {number}; this release ({RELEASE}) reads {formats}"
    if number > formats.highest:
        return (
            message,
            f"start it with release {release} or later" if release else f"start it with {release_of(number)}",
        )
    return message, f"start it with {release_of(number + 1)} first, and finalize that upgrade"
