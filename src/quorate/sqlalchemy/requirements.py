"""What SQLAlchemy's test suite may expect of this dialect: what it expects of SQLite, without ATTACH and TEMP."""

from typing import Any

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

ABSENT = (
    "schemas", "cross_schema_fk_reflection",
    "temporary_tables", "temporary_views", "temp_table_reflection", "temp_table_names", "temp_table_reflect_indexes",
    "has_temp_table",
)  # fmt: skip
"""Other databases are not attached, and statements of one connection may run on different nodes."""
ALSO = ("autocommit", "dbapi_lastrowid", "emulated_lastrowid", "isolation_level")
"""What SQLAlchemy grants to the names of its own drivers."""
SQLITE = (
    "aggregate_order_by", "boolean_col_expressions", "check_constraint_reflection", "computed_columns",
    "computed_columns_reflect_persisted", "computed_columns_stored", "computed_columns_virtual", "create_table_as",
    "ctes", "ctes_with_values", "date_historic", "datetime_historic", "datetime_literals", "except_",
    "expression_server_defaults", "fetch_expression", "fetch_offset_with_options",
    "fk_constraint_option_reflection_ondelete_noaction", "fk_constraint_option_reflection_ondelete_restrict",
    "fk_constraint_option_reflection_onupdate_restrict", "float_or_double_precision_behaves_generically",
    "foreign_key_constraint_name_reflection", "foreign_key_constraint_option_reflection_ondelete",
    "foreign_key_constraint_option_reflection_onupdate", "index_ddl_if_exists", "indexes_check_column_order",
    "indexes_with_expressions", "infinity_floats", "inline_check_constraint_reflection", "intersect",
    "json_array_indexes", "json_type", "legacy_unconditional_json_extract", "mod_operator_as_percent_sign",
    "non_updating_cascade", "nullsordering", "nvarchar_types", "order_by_collation",
    "order_by_label_with_expression", "percent_schema_names", "precision_numerics_enotation_small",
    "precision_numerics_retains_significant_digits", "reflect_table_options", "reflects_pk_names", "regexp_match",
    "repeated_column_foreign_keys", "repeated_remote_col_foreign_keys", "server_defaults",
    "skip_autocommit_rollback", "supports_bitwise_and", "supports_bitwise_not", "supports_bitwise_or",
    "supports_bitwise_shift", "supports_bitwise_xor", "table_ddl_if_exists", "tuple_in", "tuple_in_w_empty",
    "unicode_ddl", "update_from", "view_column_reflection", "view_reflection", "views", "window_functions",
    "window_range", "window_range_numeric",
)  # fmt: skip
"""What SQLite has beyond what the suite expects of every database: the list of SQLAlchemy's own dialects."""
NOT_SQLITE = (
    "foreign_keys", "implicitly_named_constraints", "independent_connections",
    "json_index_supplementary_unicode_element", "nested_aggregates", "numeric_received_as_decimal_untyped",
    "on_update_cascade", "on_update_or_deferrable_fks", "parens_in_union_contained_select_w_limit_offset",
    "parens_in_union_contained_select_wo_limit_offset",
)  # fmt: skip
"""What it expects of every database, and not of SQLite."""


class Differences:
    """What differs from SQLAlchemy's dialects of `sqlite3`. `tools/sqlalchemy_suite.py` lays it over their own list."""

    def get_isolation_levels(self, config: Any) -> dict[str, Any]:
        """READ UNCOMMITTED is not among them."""
        return {"default": "SERIALIZABLE", "supported": ["SERIALIZABLE", "AUTOCOMMIT"]}


class Requirements(Differences, SuiteRequirements):
    """For `sqlalchemy.testing.suite`."""

    def get_order_by_collation(self, config: Any) -> str:
        """A collation that every node has."""
        return "NOCASE"


for _name in ABSENT:
    setattr(Differences, _name, property(lambda _: exclusions.closed()))
for _name in ALSO:
    setattr(Differences, _name, property(lambda _: exclusions.open()))
for _name in SQLITE:
    setattr(Requirements, _name, property(lambda _: exclusions.open()))
for _name in NOT_SQLITE:
    setattr(Requirements, _name, property(lambda _: exclusions.closed()))
