"""Changes of the schema."""

from typing import Any

from django.db.backends.sqlite3 import schema as sqlite


class DatabaseSchemaEditor(sqlite.DatabaseSchemaEditor):
    """As SQLite's: it rebuilds tables with foreign keys off, in one transaction that holds the writer."""

    def quote_value(self, value: Any) -> str:
        """A value as a literal; dates and decimals as they are stored."""
        return str(super().quote_value(self.connection.Database.adapted(value)))
