"""Databases of tests."""

import shutil
from pathlib import Path
from typing import Any

from django.db.backends.base.creation import BaseDatabaseCreation

MEMORY = ":memory:"


class DatabaseCreation(BaseDatabaseCreation):
    """Tests run in memory, or in the folder that TEST NAME says; never on a cluster unless it says that."""

    @staticmethod
    def is_in_memory_db(database_name: Any) -> bool:
        """Whether it lives in this process only."""
        return bool(database_name == MEMORY)

    def _get_test_db_name(self) -> str:
        return str(self.connection.settings_dict["TEST"]["NAME"] or MEMORY)

    def _create_test_db(self, verbosity: int, autoclobber: bool, keepdb: bool = False) -> str:
        name = self._get_test_db_name()
        if not keepdb:
            self._remove(name)
        return name

    def _destroy_test_db(self, test_database_name: str, verbosity: int) -> None:
        self._remove(test_database_name)

    def _remove(self, name: str) -> None:
        """Delete the folder of earlier tests: one that Quorate has made, and nothing else."""
        folder = Path(name)
        if name != MEMORY and not name.startswith("quorate://") and (folder / "node.db").is_file():
            shutil.rmtree(folder)

    def test_db_signature(self) -> tuple[Any, ...]:
        """What tells one test database from another."""
        name = self._get_test_db_name()
        own = self.connection.alias if self.is_in_memory_db(name) else name
        return self.connection.settings_dict["NAME"], own
