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
    "check_constraint_reflection", "computed_columns", "ctes", "ctes_with_update_delete", "datetime_microseconds",
    "delete_returning", "except_", "fk_constraint_option_reflection_ondelete_restrict",
    "foreign_key_constraint_option_reflection_ondelete", "foreign_key_constraint_option_reflection_onupdate",
    "insert_from_select", "intersect", "json_type", "non_updating_cascade", "nullsordering",
    "precision_generic_float_type", "regexp_match", "savepoints", "tuple_in", "unique_constraint_reflection",
    "update_from", "update_returning", "views", "window_functions",
)  # fmt: skip
"""What SQLite has beyond what the suite expects of every database."""
NOT_SQLITE = ("order_by_col_from_union", "precision_numerics_many_significant_digits")


class Differences:
    """What differs from SQLAlchemy's dialects of `sqlite3`. `tools/sqlalchemy_suite.py` lays it over their own list."""

    def get_isolation_levels(self, config: Any) -> dict[str, Any]:
        """READ UNCOMMITTED is not among them."""
        return {"default": "SERIALIZABLE", "supported": ["SERIALIZABLE", "AUTOCOMMIT"]}


class Requirements(Differences, SuiteRequirements):
    """For `sqlalchemy.testing.suite`."""


for _name in ABSENT:
    setattr(Differences, _name, property(lambda _: exclusions.closed()))
for _name in ALSO:
    setattr(Differences, _name, property(lambda _: exclusions.open()))
for _name in SQLITE:
    setattr(Requirements, _name, property(lambda _: exclusions.open()))
for _name in NOT_SQLITE:
    setattr(Requirements, _name, property(lambda _: exclusions.closed()))
