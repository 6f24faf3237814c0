"""`manage.py dbshell`."""

from typing import Any

from django.db.backends.base.client import BaseDatabaseClient


class DatabaseClient(BaseDatabaseClient):
    """Starts Quorate's command line."""

    executable_name = "quorate"

    @classmethod
    def settings_to_cmd_args_env(
        cls, settings_dict: dict[str, Any], parameters: list[str]
    ) -> tuple[list[str], dict[str, str] | None]:
        """The command to run."""
        return [cls.executable_name, "sql", str(settings_dict["NAME"]), *parameters], None
