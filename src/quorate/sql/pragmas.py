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
        "application_id", "collation_list", "compile_options", "data_version", "database_list", "encoding",
        "foreign_keys", "freelist_count", "function_list", "journal_mode", "module_list", "page_count", "page_size",
        "pragma_list", "query_only", "recursive_triggers", "schema_version", "synchronous", "user_version",
    }
)  # fmt: skip
"""They read when they are given no argument, and set something when they are."""

REPLICATED = frozenset({"application_id", "user_version"})
"""Setting them writes into the database's header, within a transaction: their text travels like DDL."""

_ON = frozenset({"1", "on", "yes", "true"})
_NO_ROW = "SELECT NULL WHERE 0"
_IN_FORCE: dict[str, tuple[frozenset[str] | None, str]] = {
    "busy_timeout": (None, _NO_ROW),
    "encoding": (frozenset({"utf-8", "utf8"}), _NO_ROW),
    "foreign_keys": (_ON, _NO_ROW),
    "journal_mode": (frozenset({"wal"}), "SELECT 'wal' AS journal_mode"),
    "synchronous": (frozenset({"1", "2", "normal", "full"}), _NO_ROW),
}
"""Settings that nearly every program begins with: the values that ask for no more than there is (None: all, a call has
a time-out of its own), and what gives the rows that SQLite would."""

_HINTS = {
    "busy_timeout": "each call has a timeout",
    "foreign_keys": "foreign keys are always enforced",
    "journal_mode": "the node chooses how its files are written",
    "synchronous": "a write is durable according to the database's acks",
    "optimize": "run ANALYZE, which is replicated",
    "wal_checkpoint": "the node checkpoints by itself",
    "incremental_vacuum": "nodes reclaim space by themselves",
}


def pragma_reads(name: str, argument: str | None) -> bool:
    """Does this PRAGMA only read?"""
    name = name.lower()
    return name in ARGUMENT_READS or (argument is None and name in BARE_READS)


def in_force(name: str, value: str) -> str:
    """What answers a PRAGMA that sets what is in force already, in place of it; empty: it is not."""
    values, answer = _IN_FORCE.get(name, (frozenset[str](), ""))
    return answer if values is None or value.lower() in values else ""


def refusal_of_pragma(name: str) -> tuple[str, str, str]:
    """Error class, message and hint for a PRAGMA that is not allowed."""
    hint = _HINTS.get(name.lower(), "it would change one connection of one node, not the database")
    return "NotSupportedError", f"PRAGMA {name} is not supported", hint
