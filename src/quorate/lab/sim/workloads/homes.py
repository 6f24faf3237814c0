"""Whose a simulated client's write is, where a database has several leaders."""

from typing import Any

from msgspec import structs


def belongs_to(call: Any, group: int) -> None:
    """A node says that this group's leader may run it, and no other; 0: it says nothing. What was said first holds, but
    for changes of the schema, which run at one leader only."""
    if group and call.token is not None and (not call.token.group or call.operation.kind == "setup"):
        call.token = structs.replace(call.token, group=group)
        call.original = structs.replace(call.original, token=call.token)
        call.body = structs.replace(call.body, token=call.token)
