"""The record of changes: each change of the cluster is written to the catalog in the same write that makes it."""

from typing import Any

from msgspec import json, structs, to_builtins

from quorate.core.auth.users import Login
from quorate.core.auth.verifiers import by_certificate
from quorate.core.kernel import Now
from quorate.core.requests import Run
from quorate.core.statements import Statement

_SECRET = ("token", "verifier")
INSERT = "INSERT INTO audit(at_us, who, origin, what) VALUES (?, ?, ?, ?)"


def recorded(write: Run, login: Login | None, body: Any, now: Now) -> Run:
    """The same write, which records who made it as well. Its last statement stays the last."""
    who, origin = (login.name, login.origin) if login is not None else ("", "")
    note = Statement(INSERT, ((now.wall_us, who, origin, described(body)),))
    return structs.replace(write, statements=(*write.statements[:-1], note, write.statements[-1]))


def line(at_us: int, login: Login | None, body: Any) -> dict[str, Any]:
    """The same for the node's log."""
    who, origin = (login.name, login.origin) if login is not None else ("", "")
    return {"at_us": at_us, "who": who, "from": origin, "what": json.decode(described(body))}


def described(body: Any) -> str:
    """A change as JSON, without its secrets."""
    kind = body.__struct_config__.tag
    fields = {name: to_builtins(getattr(body, name)) for name in body.__struct_fields__ if name not in _SECRET}
    if by_certificate(getattr(body, "verifier", "")):
        fields["login"] = "certificate"
    return json.encode({"change": kind} | fields).decode()
