"""Transfers between accounts: the total never changes, and no balance goes below zero.

`transfer` {from, to, amount} and `read` of all balances, {account: balance}. Accounts are those that the first read
shows and those that transfers name; where an operation does not say which it touches, any account may be there.
"""

from collections.abc import Hashable
from typing import Any

from quorate.lab.judges.history import ALWAYS, FAIL, FOREVER, HistoryError
from quorate.lab.judges.history import OK as DONE
from quorate.lab.judges.jepsen import Op
from quorate.lab.judges.report import BROKEN, OK, Anomaly, Report, brief, show
from quorate.lab.judges.values import freeze

MODEL = "bank"
TOLD_MAX = 5


def judge(ops: list[Op], total: int | None = None, *, allow_negative: bool = False) -> Report:
    """Without a total, all reads must agree on one."""
    found: dict[str, list[tuple[str, ...]]] = {}
    first: Op | None = None
    known = _accounts(ops)
    for op in ops:
        if op.f != "read" or op.end != DONE or op.result is None:
            continue
        balances = _balances(op)
        strange = (
            []
            if known is None
            else [account for account in balances if known.get(_account(account), FOREVER) > op.stop]
        )
        if strange:
            found.setdefault("unexpected-account", []).append((show(op), f"out of nowhere: {brief(strange)}"))
        if any(balance is None for balance in balances.values()):
            found.setdefault("nil-balance", []).append((show(op),))
            continue
        amount = sum(balances.values())
        if total is None:
            total, first = amount, op
        if amount != total:
            story = [show(op), f"these add up to {amount}, not to {total}"]
            if first is not None:
                story.insert(0, show(first))
            found.setdefault("wrong-total", []).append(tuple(story))
        below = {account: balance for account, balance in balances.items() if balance < 0}
        if below and not allow_negative:
            story = [show(op), f"below zero: {brief(below)}"]
            found.setdefault("negative-balance", []).append(tuple(story))
    anomalies = tuple(Anomaly(name, story) for name, stories in found.items() for story in stories[:TOLD_MAX])
    if not found:
        return Report(MODEL, OK, operations=len(ops))
    reason = ", ".join(f"{name} in {len(stories):,} reads" for name, stories in found.items())
    return Report(MODEL, BROKEN, reason, (), anomalies, operations=len(ops))


def _accounts(ops: list[Op]) -> dict[Any, int] | None:
    """Account -> the moment from which a read may show it; None where that cannot be known."""
    known: dict[Any, int] = {}
    reads = [op for op in ops if op.f == "read" and op.end == DONE and op.result is not None]
    for op in ops:
        if op.f == "read" or op.end == FAIL:
            continue
        value = op.value if op.value is not None else op.result
        if not isinstance(value, dict) or "from" not in value or "to" not in value:
            return None
        for side in ("from", "to"):
            account = _account(value[side])
            known[account] = min(known.get(account, FOREVER), op.start)
    if reads:
        shown = _balances(min(reads, key=lambda op: op.stop))
        known.update(dict.fromkeys(map(_account, shown), ALWAYS))
    return known


def _account(name: Any) -> Hashable:
    """JSON writes the keys of a map as texts, also where accounts are numbers."""
    return str(name) if isinstance(name, int) else freeze(name)


def _balances(op: Op) -> dict[Any, Any]:
    value = op.result
    if isinstance(value, list):
        try:
            value = {freeze(account): balance for account, balance in value}
        except (TypeError, ValueError) as error:
            raise HistoryError(f"not balances: {op!r}") from error
    if not isinstance(value, dict):
        raise HistoryError(f"not balances: {op!r}")
    for balance in value.values():
        if balance is not None and not isinstance(balance, int | float):
            raise HistoryError(f"not a balance: {balance!r}")
    return value
