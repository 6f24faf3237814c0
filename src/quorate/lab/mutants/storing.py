"""Mutants of the data file and of exactly-once."""

from typing import Any

from quorate.core import superseding
from quorate.core.entries import DATA, Entry, Position
from quorate.core.requests import Outcome
from quorate.core.superseding import Lives
from quorate.lab.mutants.sabotage import INSIDE, SEEN, Mutant, Swap
from quorate.lab.sim.stores.keeps import SQLITE
from quorate.storage.data import data_file
from quorate.storage.data import writer as writer_module
from quorate.storage.data.connection import LEAD, set_mode
from quorate.storage.data.replica import Replica
from quorate.storage.data.snapshots import MemoryShelf
from quorate.storage.data.writer import Writer
from quorate.storage.execution.execution import TransactionLostError
from quorate.storage.rows.application import apply_batch
from quorate.storage.rows.capture import Capture
from quorate.storage.rows.payload import CANCELLED, decode_batch, decode_records, encode_failed

TWICE = ("exactly once", "same answer", "linearizability", "true answer", "atomicity")


def _nothing(_original: Any) -> Any:
    return lambda *_arguments: None


def _looks_but_does_not_fence(original: Any) -> Any:
    def attempt(writer: Writer, requests: Any, lost: Any) -> Any:
        outcomes, records = original(writer, requests, lost)
        asked = {request.token.name for request in requests if type(request) is Outcome}
        return outcomes, [record for record in records if record[0] not in asked or record[1] != CANCELLED]

    return attempt


def _any_statement(_original: Any) -> Any:
    return lambda _token, known, _remembers: known


def _follower_forgets(_original: Any) -> Any:
    def apply(writer: Writer, entry: Entry, _previous: Position) -> Position:
        if entry.kind == DATA:
            batch = decode_batch(entry.payload)
            if batch.segments:
                writer._facts = apply_batch(writer.connection, batch, writer._read_facts(), writer._schema.read)
        return Position(entry.epoch, entry.index)

    return apply


def _no_schema_check(_original: Any) -> Any:
    def apply(writer: Writer, entry: Entry, _previous: Position) -> Position:
        if entry.kind == DATA:
            batch = decode_batch(entry.payload)
            if batch.segments:
                writer._facts = apply_batch(writer.connection, batch, writer._read_facts(), writer._schema.read)
            records = bytes(batch.records)
            tokens = [token for token, _ in decode_records(records)]
            if tokens:
                data_file.write_records(writer.connection, writer.window, entry.index, tokens, records)
        return Position(entry.epoch, entry.index)

    return apply


def _columns_do_not_travel(original: Any) -> Any:
    def ddl(capture: Capture, sql: str, legacy: int = 0) -> None:
        if not sql.upper().startswith("ALTER TABLE JOURNAL"):
            original(capture, sql, legacy)

    return ddl


def _copy_without_window(original: Any) -> Any:
    def copy(stored: MemoryShelf, group: int, replica: Replica, spare: int = 0) -> Any:
        replica.digest()  # whatever batch is open is put aside
        connection = replica._writer.connection
        rows = connection.execute("SELECT entry, records FROM quorate_window").fetchall()
        connection.execute("DELETE FROM quorate_window")
        taken = original(stored, group, replica, spare)
        connection.executemany("INSERT INTO quorate_window VALUES (?, ?)", rows)
        return taken

    return copy


def _others_are_undone(_original: Any) -> Any:
    """The request that ended the transaction takes with it what ran before it; the others go on."""

    def run_batch(writer: Writer, requests: Any, timestamp_us: int) -> Any:
        facts = writer._begin()
        outcomes: list[bytes] = []
        records: list[Any] = []
        for request in requests:
            try:
                some, more = writer._attempt([request], {})
            except TransactionLostError as gone:
                writer.set_aside()
                facts = writer._begin()
                some = (encode_failed(gone.failed),)
                more = [(request.token.id, some[0])]
            outcomes += some
            records += more
        return writer._seal(facts, records, timestamp_us), tuple(outcomes)

    return run_batch


def _stays_undone(_original: Any) -> Any:
    """The transaction is opened again, and what earlier batches did in it is not."""

    def bring_back(writer: Writer) -> None:
        writer._follow()
        writer._control("BEGIN IMMEDIATE")
        set_mode(writer.connection, LEAD)
        writer._mode = LEAD

    return bring_back


def _stack_forgets(original: Any) -> Any:
    def known(writer: Writer, token: str, seen: int) -> bytes | None:
        writer._fresh.clear()
        found: bytes | None = original(writer, token, seen)
        return found

    return known


def _position_apart(original: Any) -> Any:
    def write_applied(connection: Any, position: Position, floor: int) -> None:
        """What this transaction reached is only written down by the next one."""
        rows = connection.execute("SELECT 1 FROM temp.sqlite_schema WHERE name = 'late'").fetchall()
        if not rows:
            connection.execute("CREATE TEMP TABLE late(epoch, entry)")
        for epoch, entry in connection.execute("SELECT epoch, entry FROM temp.late").fetchall():
            original(connection, Position(epoch, entry), floor)
        connection.execute("DELETE FROM temp.late")
        connection.execute("INSERT INTO temp.late VALUES (?, ?)", (position.epoch, position.index))

    return write_applied


def _any_life(original: Any) -> Any:
    def is_newest(lives: Lives, life: Any) -> bool:
        original(lives, life)
        lives.old.clear()
        return True

    return is_newest


MUTANTS = (
    Mutant(
        "old-copy-goes-on",
        "nobody minds that a node's folder is an older copy, though he remembers a later life of that node",
        "any member that is restored from a backup or from a virtual machine's snapshot, as etcd's guide warns",
        "outdated",
        (
            Swap(Lives, "is_newest", _any_life),
            Swap(Lives, "forgot", _nothing),
            Swap(superseding, "on_superseded", _nothing),
        ),
        (
            "leader completeness",
            "committed entries stay",
            "election safety",
            "durable majority",
            "log matching",
            "node",
        ),
        inner=INSIDE,
        outer=SEEN,
    ),
    Mutant(
        "retry-runs-again",
        "a write that is sent again is run again",
        "MongoDB 4.2.6 (Jepsen, 2020: effects of transactions that were retried appear twice)",
        "mixed",
        (Swap(Writer, "_known", _nothing),),
        (*TWICE, "store"),
        storage=SQLITE,
    ),
    Mutant(
        "window-on-the-leader-only",
        "followers do not remember which writes were answered",
        "no case known as a bug; rabbitmq/ra issue 145 asks for replicated sessions",
        "mixed",
        (Swap(Writer, "_apply", _follower_forgets),),
        ("replicas equal",),
        inner=("replicas equal",),
        outer=TWICE,
        storage=SQLITE,
    ),
    Mutant(
        "copy-without-window",
        "a snapshot leaves out which writes were answered",
        "no case known as a bug; thesis section 6.3 demands it",
        "snapshots",
        (Swap(MemoryShelf, "copy", _copy_without_window),),
        ("replicas equal", *TWICE),
        storage=SQLITE,
    ),
    Mutant(
        "outcome-does-not-fence",
        "asking what became of an unknown write says 'never' and does not see to it",
        "no case known as a bug; what a status question without a fence would be",
        "hasty",
        (Swap(Writer, "_attempt", _looks_but_does_not_fence),),
        TWICE,
        storage=SQLITE,
    ),
    Mutant(
        "rollback-of-others",
        "a statement that ends the transaction of a batch undoes what others were told was done",
        "no case known; what SQLite's INSERT OR ROLLBACK does on a shared connection",
        "batched",
        (Swap(Writer, "_execute", _others_are_undone),),
        ("acknowledged write lost", *TWICE),
        storage=SQLITE,
    ),
    Mutant(
        "undone-batch-stays-undone",
        "a statement that ends the transaction also ends that of the batches before it, which were answered",
        "no case known; several batches in one open transaction are this project's own",
        "batched",
        (Swap(Writer, "_bring_back", _stays_undone),),
        ("acknowledged write lost", "replicas equal", "sound disk", "store", "node", *TWICE),
        storage=SQLITE,
    ),
    Mutant(
        "stack-forgets-tokens",
        "a write that is sent again runs again while the first is executed and not committed",
        "no case known; several batches in one open transaction are this project's own",
        "batched",
        (Swap(Writer, "_known", _stack_forgets),),
        (*TWICE, "store", "node"),
        storage=SQLITE,
    ),
    Mutant(
        "token-without-statement",
        "a token that was used for another write is answered with that one's outcome, and nothing is done",
        "Stripe's idempotency keys compare the parameters of a request with those of the first, to prevent that",
        "mixed",
        (Swap(writer_module, "repeated", _any_statement),),
        ("same answer",),
        storage=SQLITE,
    ),
    Mutant(
        "position-written-apart",
        "the data file's position is not written in the transaction of the data",
        "etcd 3.5.0 to 3.5.2, issue 13766 (2022)",
        "power",
        (Swap(data_file, "write_applied", _position_apart),),
        ("sound disk", "store", "replicas equal", "node", *TWICE),
        storage=SQLITE,
    ),
    Mutant(
        "counter-left-behind",
        "AUTOINCREMENT's counter does not travel",
        "GitHub's incident as the textbook tells it: ids given again after a failover",
        "mixed",
        (Swap(Capture, "_add_sequences", _nothing),),
        ("replicas equal", "atomicity", "sound disk"),
        storage=SQLITE,
    ),
    Mutant(
        "schema-unchecked",
        "changes are applied to a table that has other columns, and are skipped without a word",
        "no case known; how SQLite's session extension behaves (tried)",
        "mixed",
        (Swap(Writer, "_apply", _no_schema_check), Swap(Capture, "ddl", _columns_do_not_travel)),
        ("replicas equal",),
        storage=SQLITE,
    ),
)
