"""How tables are made."""

from typing import Any, cast

import sqlalchemy
from sqlalchemy.dialects.sqlite import base


class Schemas(base.SQLiteDDLCompiler):
    """Numbered keys are AUTOINCREMENT unless a table says otherwise, so that no number is given twice, also not after
    its row was deleted."""

    def get_column_specification(self, column: Any, **kwargs: Any) -> str:
        text: str = super().get_column_specification(column, **kwargs)
        if not _is_numbered(column):
            return text
        name = column.table.primary_key.name
        named = self.preparer.format_constraint(column.table.primary_key) if name is not None else None
        return text + (f" CONSTRAINT {named}" if named else "") + " PRIMARY KEY AUTOINCREMENT"

    def visit_primary_key_constraint(self, constraint: Any, **kw: Any) -> str:
        if len(constraint.columns) == 1 and _is_numbered(next(iter(constraint))):
            return cast("str", None)  # it stands with its column; SQLAlchemy leaves out what is None
        return cast("str", super().visit_primary_key_constraint(constraint, **kw))


def _is_numbered(column: Any) -> bool:
    table = column.table
    return (
        column is table._autoincrement_column
        and "sqlite_autoincrement" not in list(table.dialect_kwargs)  # which answers `in` with defaults, too
        and table.dialect_options["sqlite"]["with_rowid"]
        and not column.foreign_keys
        and column.computed is None
        and type(column.type) in (sqlalchemy.Integer, sqlalchemy.INTEGER)
        and column.dialect_options["sqlite"]["on_conflict_primary_key"] is None
        and table.primary_key.dialect_options["sqlite"]["on_conflict"] is None
    )
