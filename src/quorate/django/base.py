"""The backend: Django's own for SQLite, on a connection of Quorate's."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.sqlite3 import base as sqlite
from django.utils.asyncio import async_unsafe
from django.utils.dateparse import parse_date, parse_datetime, parse_time

from quorate.django import driver
from quorate.django.client import DatabaseClient
from quorate.django.creation import DatabaseCreation
from quorate.django.features import DatabaseFeatures
from quorate.django.introspection import DatabaseIntrospection
from quorate.django.schema import DatabaseSchemaEditor
from quorate.web.carried import give

TYPES = driver.types({"DATE": parse_date, "TIME": parse_time, "DATETIME": parse_datetime, "TIMESTAMP": parse_datetime})

DEFAULT_MODE = "IMMEDIATE"
"""How `atomic` begins when OPTIONS does not say: Django's programs do not run a transaction again when others were
first, so it holds the writer (decision 0053)."""

_OPTIONS = frozenset({"timeout", "read", "retry", "read_your_writes", "user", "password", "token", "tls", "ca"})


class DatabaseWrapper(sqlite.DatabaseWrapper):
    """One of Django's connections."""

    display_name = "Quorate"
    Database = driver
    SchemaEditorClass = DatabaseSchemaEditor
    client_class = DatabaseClient
    creation_class = DatabaseCreation
    features_class = DatabaseFeatures
    introspection_class = DatabaseIntrospection

    @property
    def on_cluster(self) -> bool:
        """Whether NAME is a cluster's URL, and not a folder or memory."""
        return str(self.settings_dict["NAME"]).lower().startswith("quorate://")

    def get_connection_params(self) -> dict[str, Any]:
        """What `quorate.connect` is given. Raises ImproperlyConfigured."""
        settings = self.settings_dict
        if not settings["NAME"]:
            raise ImproperlyConfigured(
                f"settings.DATABASES[{self.alias!r}] needs a NAME: a folder, or quorate://host:port,.../database"
            )
        options = dict(settings["OPTIONS"])
        mode = options.pop("transaction_mode", DEFAULT_MODE)
        if mode is not None and str(mode).upper() not in self.transaction_modes:
            modes = ", ".join(repr(each) for each in sorted(self.transaction_modes))
            raise ImproperlyConfigured(
                f"settings.DATABASES[{self.alias!r}]['OPTIONS']['transaction_mode'] is improperly configured to "
                f"'{mode}'. Use one of {modes}, or None."
            )
        self.transaction_mode = str(mode).upper() if mode else None
        for unknown in sorted(options.keys() - _OPTIONS):
            known = ", ".join(("transaction_mode", *sorted(_OPTIONS)))
            raise ImproperlyConfigured(
                f"settings.DATABASES[{self.alias!r}]['OPTIONS'] has {unknown!r}; there are {known}"
            )
        if settings["USER"]:
            options.update(user=settings["USER"], password=settings["PASSWORD"] or None)
        return {"target": settings["NAME"], **options}

    @async_unsafe
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A connection that knows what Django's statements call."""
        return driver.connect(types=TYPES, **conn_params)

    def get_database_version(self) -> tuple[int, ...]:
        """Of SQLite, on the node that answers."""
        with self.cursor() as cursor:
            cursor.execute("SELECT sqlite_version()")
            return tuple(map(int, cursor.fetchone()[0].split(".")))

    def create_cursor(self, name: str | None = None) -> Any:
        """One that reads `%s`."""
        return driver.Cursor(self.connection.cursor(), self.connection if self.on_cluster else None)

    def _commit(self) -> None:
        super()._commit()
        if self.connection is not None and self.on_cluster:
            give(self.connection)

    def _set_autocommit(self, autocommit: bool) -> None:
        with self.wrap_database_errors:
            self.connection.autocommit = autocommit

    def disable_constraint_checking(self) -> bool:
        """Whether foreign keys are off now. They cannot be switched off inside a transaction."""
        self.ensure_connection()
        if not self.connection.in_transaction:
            return bool(super().disable_constraint_checking())
        with self.cursor() as cursor:
            return not cursor.execute("PRAGMA foreign_keys").fetchone()[0]

    def enable_constraint_checking(self) -> None:
        """Foreign keys are on from the next transaction."""
        if not self.connection.in_transaction:
            super().enable_constraint_checking()

    def is_usable(self) -> bool:
        """Whether the database answers."""
        try:
            self.connection.ping()
        except driver.Error:
            return False
        return True
