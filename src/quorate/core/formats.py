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
        3,
        "0.1.0",
        folder="node.db, log.db and group-<id>-<n>.db as storage.node_file, storage.log and storage.data_file say",
        entries="rows as storage.capture finds them (storage.payload), ack policies and members (core.single_leader)",
        messages="core.messages",
    ),
)
FIRST = FORMATS[0].number
"""Builds before the first release wrote 1 and 2, which no release reads."""


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


HERE = Range(max(FIRST, FORMATS[-1].number - 1), FORMATS[-1].number)
"""What this release reads; it writes the newest of them that the cluster allows."""

DATA_FILE = Range(3, 3)
"""The numbers that may stand in a data file's own table. They move only when its layout does."""
PAYLOAD = Range(3, 3)
"""The numbers that may stand in an entry's payload. They move only when its layout does."""


class Spoken(Struct, frozen=True, array_like=True, gc=False):
    """What a node tells the others with every heartbeat. Those who say nothing are of the first."""

    lowest: Small = FIRST
    highest: Small = FIRST
    version: Small = FIRST
    """The cluster's number, as far as this node has heard."""

    @property
    def formats(self) -> Range:
        return Range(self.lowest, self.highest)


def release_of(number: int) -> str:
    """Which release brought a format, for sentences; one that is not known here is of a later one."""
    if number < FIRST:
        return "a build before the first release"
    for each in FORMATS:
        if each.number == number:
            return f"release {each.release}"
    return f"a release later than {RELEASE}"


def refuse(what: str, number: int, formats: Range = HERE, release: str = "") -> tuple[str, str]:
    """Why `what`, which is of this format, cannot be read here, and what to do about it. `release`: who raised it."""
    message = f"{what} has format {number}; this release ({RELEASE}) reads {formats}"
    if number < FIRST:
        return message, "export its databases with the build that wrote it, and import them into a new folder"
    if number > formats.highest:
        return (
            message,
            f"start it with release {release} or later" if release else f"start it with {release_of(number)}",
        )
    return message, f"start it with {release_of(number + 1)} first, and finalize that upgrade"
