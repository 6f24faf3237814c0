"""What one may choose of a database: each option is declared here, once.

A replication names the options that it has (`Replication.options`), a struct whose fields are annotated with an
`Option`. From these are derived the keyword arguments of `Cluster.create` and `alter`, the flags of `quorate create`
and `alter`, the JSON in the catalog, what `status` and `explain` show, and docs/options.md. The value of an option is
a text everywhere.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Self, TypedDict, get_args, get_type_hints

import msgspec
from msgspec import Struct

from quorate.core.ack_policy import (
    ASYNC,
    AUTO,
    CHOICES,
    FAILOVERS,
    MAJORITY,
    SYNC,
    AckPolicy,
    NoSuchAcks,
    parse_for,
    rule_of,
)

SINGLE_LEADER = "single-leader"
"""The name of that replication: the catalog's, and that of databases for which none is chosen."""
MULTI_LEADER = "multi-leader"
EVERY = "all"
"""Every replica leads."""
TOPOLOGIES = ALL, RING, STAR = "all", "ring", "star"
LEADERLESS = "leaderless"
"""The name of the replication without a leader."""
REPLICAS_MAX = 1000
"""No cluster has more nodes."""


class Option(Struct, frozen=True):
    """One thing that one may choose."""

    means: str
    choices: tuple[str, ...]
    """As people read them."""
    read: Callable[[str, int], str]
    """The value as it is spelt, for so many replicas. Raises Unfit, or NoSuchAcks."""
    page: str
    """Where more of it is said, in docs/."""


class Unfit(ValueError):
    """No database can be like this. `hint` says what could be, and `error` is the error's name for callers."""

    def __init__(self, message: str, hint: str, error: str = "ProgrammingError") -> None:
        super().__init__(message)
        self.hint = hint
        self.error = error


class DatabaseOptions(Struct, frozen=True, kw_only=True):
    """The options of one database. A replication that has any derives its own from this."""

    @classmethod
    def declared(cls) -> dict[str, Option]:
        """Every option by its name, in the order in which they are shown."""
        hints = get_type_hints(cls, include_extras=True)
        return {name: get_args(hints[name])[1] for name in cls.__struct_fields__}

    @classmethod
    def decode(cls, text: str) -> Self:
        """From what `encode` gave; what was not declared then has its default."""
        return msgspec.json.decode(text, type=cls)

    def encode(self) -> str:
        """As the catalog keeps them: JSON, defaults included, so that they stay when a later release has others."""
        return msgspec.json.encode(self).decode()

    @property
    def spelt(self) -> dict[str, str]:
        """Every option with its value."""
        return {name: getattr(self, name) for name in self.__struct_fields__}

    @property
    def needs_all(self) -> bool:
        """A write waits for every replica."""
        return False

    def placed(self, nodes: Sequence[int]) -> tuple[Sequence[int], ...]:
        """The nodes of each group, of the nodes on which the database is to be."""
        return (nodes,)

    def check_change(self, before: Self) -> None:
        """Raises Unfit when a database that was like this cannot become like that."""

    def check_replicas(self, replicas: int) -> None:
        """Raises Unfit when so many can never do what is asked."""
        for name, option in self.declared().items():
            _read(name, option, getattr(self, name), replicas)


def _read_acks(text: str, replicas: int) -> str:
    return str(parse_for(text, replicas))


def _read_failover(text: str, _replicas: int) -> str:
    return _one_of("failover", text, FAILOVERS)


class SingleLeaderOptions(DatabaseOptions, frozen=True, kw_only=True):
    """The options of a database of one leader."""

    acks: Annotated[
        str, Option("Who must hold a write on disk before it is committed.", CHOICES, _read_acks, "acks.md")
    ] = MAJORITY
    failover: Annotated[
        str,
        Option(
            "Who decides that another node leads: the replicas, you, or the replicas with an etcd's permit.",
            FAILOVERS,
            _read_failover,
            "failover.md",
        ),
    ] = AUTO

    @property
    def rule(self) -> AckPolicy:
        """What a group's log names."""
        return rule_of(self.acks, self.failover)

    @property
    def needs_all(self) -> bool:
        return self.acks == SYNC


def _read_topology(text: str, _replicas: int) -> str:
    return _one_of("topology", text, TOPOLOGIES)


def _read_leaders(text: str, replicas: int) -> str:
    if text == EVERY:
        return text
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else 0
    if not 0 < number <= replicas:
        raise Unfit(f"{text!r:.80} is not how many of {replicas} replicas can lead", f"{EVERY}, or 1 to {replicas}")
    return str(number)


_SPANS_US = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}


def _span_us(text: str) -> int:
    """0: it is none."""
    for unit in sorted(_SPANS_US, key=len, reverse=True):
        number = text.removesuffix(unit)
        if number != text and number.isascii() and number.isdecimal() and len(number) < 7:
            return int(number) * _SPANS_US[unit]
    return 0


def _read_span(text: str, _replicas: int) -> str:
    if not _span_us(text):
        units = ", ".join(_SPANS_US)
        raise Unfit(f"{text!r:.80} is not a time after which something is forgotten", f"a number and one of {units}")
    return text


def _read_leader_acks(text: str, _replicas: int) -> str:
    """Each leader's group may be of another size."""
    return _one_of("acks", text, (ASYNC, SYNC, MAJORITY))


class MultiLeaderOptions(SingleLeaderOptions, frozen=True, kw_only=True):
    """The options of a database of several leaders. Each leads a group of its own, which is one of a single leader."""

    acks: Annotated[
        str, Option("Who must hold a write on disk before it is committed.", CHOICES, _read_leader_acks, "acks.md")
    ] = MAJORITY
    leaders: Annotated[
        str,
        Option(
            "How many of the replicas lead; the others follow one of them.",
            (EVERY, "N"),
            _read_leaders,
            "multi-leader.md",
        ),
    ] = EVERY
    topology: Annotated[
        str,
        Option("From whom a leader takes the writes of the others.", TOPOLOGIES, _read_topology, "multi-leader.md"),
    ] = ALL

    forget_after: Annotated[
        str,
        Option(
            "How long a leader that is away is waited for before deletes are forgotten.",
            ("30m", "12h", "10d"),
            _read_span,
            "multi-leader.md",
        ),
    ] = "10d"

    @property
    def forget_after_us(self) -> int:
        """In microseconds."""
        return _span_us(self.forget_after)

    def placed(self, nodes: Sequence[int]) -> tuple[Sequence[int], ...]:
        leaders = len(nodes) if self.leaders == EVERY else min(int(self.leaders), len(nodes))
        return tuple([nodes[leader::leaders] for leader in range(leaders)])

    def check_change(self, before: Self) -> None:
        if self.leaders != before.leaders:
            raise Unfit("the leaders of a database are chosen when it is created", "create another, and import into it")


class OptionKeywords(TypedDict, total=False):
    """The options of every replication for type checkers, which cannot derive them; a test holds that they agree.
    None: not given."""

    acks: str | None
    failover: str | None
    leaders: str | None
    topology: str | None
    forget_after: str | None
    w: str | None
    r: str | None
    repair: str | None


Known = Mapping[str, type[DatabaseOptions]]
"""The options of each replication, by its name (`core.replication.options_known`)."""


def check(
    known: Known, replication: str, given: Mapping[str, Any], replicas: int, before: DatabaseOptions | None = None
) -> DatabaseOptions:
    """What is chosen for a database of so many replicas; what is not given is as `before`, or the default.
    Raises Unfit."""
    if replication not in known:
        raise Unfit(f"there is no replication {replication!r:.80}", _listed(known), "NotSupportedError")
    declared = known[replication].declared()
    for name in given:
        if name not in declared:
            raise _unknown(known, replication, name)
    wanted = (before or known[replication]()).spelt | dict(given)
    return known[replication](**{name: _read(name, declared[name], wanted[name], replicas) for name in declared})


def check_change(known: Known, given: Mapping[str, Any]) -> dict[str, str]:
    """What is to be changed of a database whose replication is not known here, as it is spelt. Raises Unfit."""
    declared = {name: option for each in known.values() for name, option in each.declared().items()}
    if not given:
        raise Unfit("nothing is to be changed", _listed(declared))
    for name in given:
        if name not in declared:
            raise _unknown(known, "", name)
    return {name: _read(name, declared[name], value, REPLICAS_MAX) for name, value in given.items()}


def describe(options: Mapping[str, str]) -> str:
    """Options for people, as create, explain and status say them."""
    return ", ".join(f"{name} {value}" for name, value in options.items())


def _read(name: str, option: Option, value: object, replicas: int) -> str:
    if not isinstance(value, str):
        raise Unfit(f"{name} is a text, not {value!r:.80}", _listed(option.choices))
    try:
        return option.read(value, replicas)
    except NoSuchAcks as error:
        raise Unfit(str(error), error.hint) from None


def _one_of(name: str, text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise Unfit(f"unknown {name} {text!r:.80}", _listed(choices))
    return text


def _listed(names: Iterable[str]) -> str:
    return f"there are: {', '.join(names)}"


def _unknown(known: Known, replication: str, name: str) -> Unfit:
    owners = [each for each, kind in known.items() if name in kind.declared()]
    if owners:
        return Unfit(f"{replication} has no option {name!r:.80}", f"it is for {', '.join(owners)}")
    there = dict.fromkeys(
        option for each, kind in known.items() if replication in ("", each) for option in kind.declared()
    )
    return Unfit(f"there is no option {name!r:.80}", _listed(there) if there else "it has none")


def document(known: Known) -> str:
    """docs/options.md, generated: `python tools/options_page.py`."""
    lines = [
        "# Options of a database",
        "",
        "Generated from `core/options.py` by `tools/options_page.py`; a test holds it to the code.",
        "",
        "Each option is a flag of `quorate create` and `quorate alter` (`--acks sync`), a keyword argument of",
        '`Cluster.create` and `Cluster.alter` (`acks="sync"`), and a field of the object `options` that `create`,',
        "`alter`, `databases`, `status` and `explain` print with `--json`. The replication itself is chosen when the",
        "database is created, with `--replication` or `replication=`.",
        "",
        "| option | values | default | replications | means |",
        "|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(name for kind in known.values() for name in kind.declared()):
        owners = [each for each, kind in known.items() if name in kind.declared()]
        option, default = known[owners[0]].declared()[name], known[owners[0]]().spelt[name]
        values = ", ".join(f"`{each}`" for each in option.choices)
        names = ", ".join(f"`{each}`" for each in owners)
        page = f"[{option.page}]({option.page})"
        lines.append(f"| `{name}` | {values} | `{default}` | {names} | {option.means} See {page}. |")
    return "\n".join(lines) + "\n"
