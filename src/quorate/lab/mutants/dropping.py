"""Mutants of dropping a database: what is left of it, and what comes back."""

from typing import Any

from msgspec.structs import replace

from quorate.core import dropping as core_dropping
from quorate.core import roster
from quorate.core.dropping import Dropping
from quorate.core.kernel import CATALOG_GROUP, Applied, Now
from quorate.core.messages import Removed
from quorate.core.node import Node
from quorate.lab.mutants.sabotage import Mutant, Swap
from quorate.lab.sim.stores.model_tables import Tables
from quorate.storage.memory import MemoryStore


def _forgets(original: Any) -> Any:
    def recover(store: MemoryStore) -> Any:
        store.log.dropped.clear()
        return original(store)

    return recover


def _does_not_look(original: Any) -> Any:
    return lambda dropping, _dropped: original(dropping, ())


def _keeps_files(_original: Any) -> Any:
    return lambda _store, _group: None


def _keeps_timers(_original: Any) -> Any:
    def let_go(node: Node, number: int) -> None:
        del node.groups[number]
        node.liveness.let_go(number)

    return let_go


def _notes_a_copy(original: Any) -> Any:
    def on_applied(node: Node, now: Now, event: Applied) -> None:
        if event.group == CATALOG_GROUP:
            vars(node)["by_copy"] = event.controls is not None
        original(node, now, event)

    return on_applied


def _not_by_copy(original: Any) -> Any:
    def close(node: Node, now: Now, dropped: Any) -> None:
        if vars(node).get("by_copy"):
            node.dropping.known.update(dropped)
        else:
            original(node, now, dropped)

    return close


def _in_memory(_original: Any) -> Any:
    def close(node: Node, _now: Any, dropped: Any) -> None:
        for number in dropped:
            if number in node.groups:
                node.let_go(number)

    return close


def _used_again(original: Any) -> Any:
    def next_id(tables: Tables, name: str) -> int:
        if name != "partitions":
            return int(original(tables, name))
        return int(max(tables.table(name), default=0)) + 1

    return next_id


def _only_news(original: Any) -> Any:
    def on_removed(node: Node, now: Now, message: Removed) -> None:
        known = max(node.directory.told.change, node.directory.catalog.changes)
        original(node, now, message if message.change > known else replace(message, dropped=()))

    return on_removed


MUTANTS = (
    Mutant(
        "removed-hears-no-drops",
        "a node that was taken out hears of drops only with the next change of members",
        "our own: it kept the replicas of databases that were dropped after it had been told that it is out",
        "drops",
        (Swap(roster, "on_removed", _only_news),),
        ("liveness",),
    ),
    Mutant(
        "tombstone-forgotten",
        "a node forgets that it has closed a dropped group",
        "Cassandra: rows that a replica did not hear were deleted come back once the others' tombstones are gone",
        "drops",
        (Swap(MemoryStore, "recover", _forgets),),
        ("dropped",),
    ),
    Mutant(
        "tombstone-not-read",
        "a node that starts does not look at what it has closed, and an older state of the catalog makes it anew",
        "no case known; what a catalog in an unsynced data file leads to",
        "drops",
        (Swap(Dropping, "__init__", _does_not_look),),
        ("store", "dropped"),
    ),
    Mutant(
        "dropped-in-memory",
        "a node holds a dropped group no more, and does not write that down",
        "no case known; every start holds it again until the catalog is read",
        "drops",
        (Swap(core_dropping, "close", _in_memory),),
        ("liveness",),
    ),
    Mutant(
        "files-kept",
        "the files of a dropped group stay where they are",
        "Elasticsearch calls what is left so a dangling index, and used to import it again by itself (before 7.9)",
        "drops",
        (Swap(MemoryStore, "_delete", _keeps_files),),
        ("liveness",),
    ),
    Mutant(
        "timers-kept",
        "the timers of a dropped group still ring",
        "no case known",
        "drops",
        (Swap(Node, "let_go", _keeps_timers),),
        ("node",),
    ),
    Mutant(
        "copy-does-not-drop",
        "a node that fetches a copy of the catalog does not drop what others dropped entry by entry",
        "no case known; why the catalog lists what was dropped",
        "drops",
        (Swap(Node, "_on_applied", _notes_a_copy), Swap(core_dropping, "close", _not_by_copy)),
        ("liveness", "dropped"),
    ),
    Mutant(
        "number-used-again",
        "the group of a new database has the number of one that was dropped",
        "SQLite without AUTOINCREMENT, whose documentation says so",
        "drops",
        (Swap(Tables, "next_id", _used_again),),
        ("liveness", "dropped"),
        storage="model",
    ),
)
