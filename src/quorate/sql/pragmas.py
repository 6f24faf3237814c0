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

_HINTS = {
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


def refusal_of_pragma(name: str) -> tuple[str, str, str]:
    """Error class, message and hint for a PRAGMA that is not allowed."""
    hint = _HINTS.get(name.lower(), "it would change one connection of one node, not the database")
    return "NotSupportedError", f"PRAGMA {name} is not supported", hint
