"""Which PRAGMAs mean something here: those that read, those that travel, and why the rest are refused."""

ARGUMENT_READS = frozenset(
    {
        "foreign_key_check", "foreign_key_list", "index_info", "index_list", "index_xinfo", "integrity_check",
        "quick_check", "table_info", "table_list", "table_xinfo",
    }
)  # fmt: skip
"""They only read, whatever argument they are given."""

BARE_READS = frozenset(
    {
        "application_id", "auto_vacuum", "automatic_index", "cache_size", "collation_list", "compile_options",
        "data_version", "database_list", "defer_foreign_keys", "encoding", "foreign_keys", "freelist_count",
        "function_list", "journal_mode", "legacy_alter_table", "locking_mode", "module_list", "page_count", "page_size",
        "pragma_list", "query_only", "read_uncommitted", "recursive_triggers", "schema_version", "synchronous",
        "temp_store", "trusted_schema", "user_version",
    }
)  # fmt: skip
"""They read when they are given no argument, and set something when they are."""

REPLICATED = frozenset({"application_id", "user_version"})
"""Setting them writes into the database's header, within a transaction: their text travels like DDL."""

SETTINGS = {"foreign_keys": True, "defer_foreign_keys": False, "legacy_alter_table": False}
"""What a migration sets before its transaction, with what is in force otherwise. They hold for whole requests: no
connection of a node keeps them."""
LASTING = frozenset({"foreign_keys", "legacy_alter_table"})
"""Those that stay as they are set, until they are set again; the other one is off again when a transaction ends."""

_ON = frozenset({"1", "on", "yes", "true"})
_OFF = frozenset({"0", "off", "no", "false"})
_NO_ROW = "SELECT NULL WHERE 0"
_IN_FORCE: dict[str, tuple[frozenset[str] | None, str]] = {
    "auto_vacuum": (_OFF | {"none"}, _NO_ROW),
    "automatic_index": (_ON, _NO_ROW),
    "busy_timeout": (None, _NO_ROW),
    "encoding": (frozenset({"utf-8", "utf8"}), _NO_ROW),
    "ignore_check_constraints": (_OFF, _NO_ROW),
    "locking_mode": (frozenset({"normal"}), "SELECT 'normal' AS locking_mode"),
    "query_only": (_OFF, _NO_ROW),
    "read_uncommitted": (None, _NO_ROW),
    "recursive_triggers": (_OFF, _NO_ROW),
    "writable_schema": (_OFF, _NO_ROW),
    "journal_mode": (frozenset({"wal"}), "SELECT 'wal' AS journal_mode"),
    "synchronous": (frozenset({"1", "2", "normal", "full"}), _NO_ROW),
}
"""Settings that nearly every program begins with: the values that ask for no more than there is (None: all, a call has
a time-out of its own), and what gives the rows that SQLite would."""

_HINTS = {
    "busy_timeout": "each call has a timeout",
    "journal_mode": "the node chooses how its files are written",
    "synchronous": "a write is durable according to the database's acks",
    "optimize": "run ANALYZE, which is replicated",
    "wal_checkpoint": "the node checkpoints by itself",
    "incremental_vacuum": "nodes reclaim space by themselves",
}


def is_on(value: str) -> bool:
    """Whether SQLite takes this value of a setting for true."""
    return value.lower() in _ON or (value.isdecimal() and int(value) % 256 != 0)


def pragma_reads(name: str, argument: str | None) -> bool:
    """Does this PRAGMA only read?"""
    name = name.lower()
    return name in ARGUMENT_READS or (argument is None and name in BARE_READS)


def in_force(name: str, value: str) -> str:
    """What answers a PRAGMA that sets what is in force already, in place of it; empty: it is not."""
    if name == "busy_timeout" and value.isdecimal():
        return f"SELECT {int(value)} AS timeout"
    values, answer = _IN_FORCE.get(name, (frozenset[str](), ""))
    return answer if values is None or value.lower() in values else ""


def refusal_of_pragma(name: str) -> tuple[str, str, str]:
    """Error class, message and hint for a PRAGMA that is not allowed."""
    hint = _HINTS.get(name.lower(), "it would change one connection of one node, not the database")
    return "NotSupportedError", f"PRAGMA {name} is not supported", hint
