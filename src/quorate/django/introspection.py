"""What is in a database."""

from typing import Any

from django.db.backends.sqlite3 import introspection as sqlite

OWN = "quorate_"


class DatabaseIntrospection(sqlite.DatabaseIntrospection):
    """As SQLite's, without the replica's own tables."""

    def get_table_list(self, cursor: Any) -> list[Any]:
        """Tables and views that are the program's."""
        return [table for table in super().get_table_list(cursor) if not table.name.startswith(OWN)]
