"""Mutants of SQL on databases without a leader: statements that run on less than a quorum has, or more than once, and
callers who ask again when they must not."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import structs

from quorate.client.row_calls import RowCall
from quorate.core.leaderless.reads import Reads
from quorate.core.leaderless.spreading import SENDINGS, Spreading
from quorate.core.leaderless.statements import Statements
from quorate.core.leaderless.writes import Writes
from quorate.core.row_requests import RunRow
from quorate.lab.mutants.sabotage import Mutant, Swap
from quorate.storage.data.keyed_statements import KeyedStatements
from quorate.storage.versions import keyed_tables

_REGULAR, _ORDERED, _MONOTONIC, _GONE = "regular register", "ordered versions", "monotonic reads", "no resurrection"
_COUNTED, _EXISTS, _WHOLE, _TRUE = "counters", "existence", "atomicity", "true answer"
_CONVERGES, _DURABLE = "convergence", "durable rows"
_STALE = (_REGULAR, _ORDERED, _MONOTONIC, _COUNTED, _EXISTS, _GONE)


def _one_is_enough(original: Any) -> Any:
    def spread(each: Writes, key: Any, state: bytes, writes: Any, *rest: Any) -> None:
        for write in writes:
            write.w = 1
        original(each, key, state, writes, *rest)

    return spread


def _on_its_own(original: Any) -> Any:
    def compute(each: Writes, key: Any, line: Any, writes: Any, states: Any) -> None:
        me = each._host.me
        original(each, key, line, writes, {me: states[me]})

    return compute


def _reads_here(original: Any) -> Any:
    def gather(each: Reads, id: int, key: Any, _r: int, *rest: Any, **how: Any) -> None:
        original(each, id, key, 1, *rest, **how)

    return gather


def _waits_for_no_change(original: Any) -> Any:
    def submit(each: Statements, asked: Any) -> None:
        asked.body = structs.replace(asked.body, schema=0)
        original(each, asked)

    return submit


def _runs_again(original: Any) -> Any:
    def write(each: Statements, asked: Any, event: Any) -> None:
        original(each, asked, structs.replace(event, state=b"", outcome=b""))

    return write


def _sends_no_state(_original: Any) -> Any:
    def outgoing(_call: RowCall, body: RunRow) -> RunRow:
        return body

    return outgoing


def _always_told(_original: Any) -> Any:
    return lambda _call: False


def _never_under_way(_original: Any) -> Any:
    return lambda _call: False


def _keeps_what_it_did(_original: Any) -> Any:
    @contextmanager
    def where(each: KeyedStatements, states: Any) -> Iterator[None]:
        each._lead()
        facts = each._read_facts()
        each._control("BEGIN IMMEDIATE")
        try:
            each.tables.show({key: state for key, state in states.items() if each.rows.state_of(key) != state})
            each._capture.begin(facts)
            each._execution.begin(facts)
            yield
            each._control("COMMIT")
        finally:
            each.set_aside()

    return where


def _hints_early(original: Any) -> Any:
    def on_time(each: Spreading, now: Any) -> None:
        for number, spread in list(each._open.items()):
            if spread.sendings >= SENDINGS and not spread.waits and each._host.me not in spread.holders:
                del each._open[number]
                for node in spread.targets:
                    if node not in spread.holders:
                        each._hint(node, spread.row)
        original(each, now)

    return on_time


def _by_name_alone(_original: Any) -> Any:
    def table_key(name: str, _number: int) -> str:
        return name

    return table_key


def _mutant(name: str, bug: str, where: str, swap: Swap, judges: tuple[str, ...]) -> Mutant:
    return Mutant(name, bug, where, "carts", (swap,), judges)


_OWN = "nowhere that is known"
_TWICE = "CASSANDRA-2495: counters count a retry twice"
MUTANTS = (
    _mutant(
        "statement-kept-by-one", "a statement is answered when one replica holds what it did",
        "Cassandra at the level ONE, taken for QUORUM", Swap(Writes, "_spread", _one_is_enough), _STALE,
    ),
    _mutant(
        "statement-on-its-own-state", "a statement runs on the row as its coordinator has it, not as r replicas do",
        _OWN, Swap(Writes, "_compute", _on_its_own), _STALE,
    ),
    _mutant(
        "select-reads-one", "a SELECT by key is answered with what its coordinator holds", _OWN,
        Swap(Reads, "gather", _reads_here), _STALE,
    ),
    _mutant(
        "runs-in-an-older-schema", "a replica that lacks a change of the schema that its caller saw runs the statement",
        "CASSANDRA-5025: schema push/pull race", Swap(Statements, "submit", _waits_for_no_change),
        (_TRUE, _GONE, _WHOLE),
    ),
    _mutant(
        "statement-runs-again", "a statement that is asked for again with its state is run again", _TWICE,
        Swap(Statements, "_write", _runs_again), (_COUNTED, _EXISTS, _REGULAR, _ORDERED, _TRUE),
    ),
    _mutant(
        "asks-again-without-the-state", "a caller asks again and does not bring what it was told", _TWICE,
        Swap(RowCall, "outgoing", _sends_no_state), (_COUNTED, _EXISTS, _REGULAR, _ORDERED, _TRUE),
    ),
    _mutant(
        "asks-again-untold", "a caller asks again for a write of which it was told nothing", _TWICE,
        Swap(RowCall, "_untold", _always_told), (_COUNTED, _EXISTS, _TRUE),
    ),
    _mutant(
        "lost-means-not-done", "a caller takes a write whose answer was lost for one that is not done",
        "DeCandia and others 2007 (Dynamo); Cassandra's WriteTimeoutException taken for a failure",
        Swap(RowCall, "_under_way", _never_under_way), (_COUNTED, _EXISTS, _WHOLE),
    ),
    _mutant(
        "statement-not-undone", "what a statement did where it was tried stays there", _OWN,
        Swap(KeyedStatements, "_where", _keeps_what_it_did),
        (*_STALE, _CONVERGES, _DURABLE, _TRUE, _WHOLE),
    ),
    _mutant(
        "hints-before-it-is-kept", "a row is left to a hint before the data file has what the hint is about",
        "found here: a slow disk, and a member that was handed the row's old state instead",
        Swap(Spreading, "on_time", _hints_early), (_CONVERGES,),
    ),
    _mutant(
        "tables-have-names-alone", "a table that is made again shows the rows of the one that was dropped",
        "CASSANDRA-5202: column families without ids that are unique in time",
        Swap(keyed_tables, "table_key", _by_name_alone), (_GONE, _TRUE, "node"),
    ),
)  # fmt: skip
