"""How much a request carries, told without looking at all of it."""

from typing import Any

from quorate.core.requests import Replay, Run
from quorate.core.scripts import Script


def weight(body: Any, enough: int) -> int:
    """About how many bytes a request carries. What comes behind `enough` of them is not counted: a request may have
    millions of parameters."""
    if type(body) is not Run and type(body) is not Script:
        return 64 + len(body.payload) if type(body) is Replay else 64
    size = 64
    for statement in body.statements:
        size += len(statement.sql)
        if 8 * len(statement.sets) >= enough:
            return enough
        for parameters in statement.sets:
            values = parameters.values() if isinstance(parameters, dict) else parameters
            if 8 * len(values) >= enough:
                return enough
            for value in values:
                size += len(value) if isinstance(value, str | bytes) else 8
            if size >= enough:
                return size
    return size
