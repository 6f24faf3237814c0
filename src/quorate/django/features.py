"""What the backend can do."""

from django.db.backends.sqlite3 import features as sqlite
from django.db.utils import InterfaceError
from django.utils.functional import cached_property


class DatabaseFeatures(sqlite.DatabaseFeatures):
    """As SQLite's, of a release that is new."""

    minimum_database_version = (3, 51, 3)
    can_alter_table_drop_column = True
    can_return_columns_from_insert = True
    can_return_rows_from_bulk_insert = True
    can_clone_databases = False
    closed_cursor_error_class = InterfaceError

    @cached_property
    def supports_regex_backreferencing(self) -> bool:
        """On a cluster there are no regular expressions."""
        return not self.connection.on_cluster
