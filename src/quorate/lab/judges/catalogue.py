"""The judges by name: what `quorate lab judge --model` offers.

A judge that fails inside, or runs out of memory, says `unknown`: only a history that is not one raises.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from quorate.lab.judges import (
    bank,
    counters,
    list_append,
    long_fork,
    queues,
    registers,
    rw_register,
    sessions,
    sets,
    staleness,
)
from quorate.lab.judges.history import HistoryError, Operation
from quorate.lab.judges.isolation import MODELS as ISOLATION
from quorate.lab.judges.isolation import model_named
from quorate.lab.judges.jepsen import Op, read, to_history
from quorate.lab.judges.linearizability import Budget, Verdict, by_key, describe, judge_key
from quorate.lab.judges.models import Model, Register
from quorate.lab.judges.mutex import Mutex
from quorate.lab.judges.report import BROKEN, OK, UNKNOWN, Report, show
from quorate.lab.judges.texts import ChainText, distinct_texts
from quorate.lab.judges.transactions import Effort
from quorate.lab.judges.versions import ORDERS

MEMORY_BYTES = 400_000_000
"""What the search for a linearization may remember."""

WITNESS_MAX = 30
"""How many operations of a witness are told, the last ones."""


class Options(Struct, frozen=True):
    """What the judges can be told; each takes what concerns it."""

    initial: Any = None
    """What a register or a counter holds before the first operation; a map says it for each of several registers."""
    steps: int = 5_000_000
    """The budget of a search, for one key."""
    keyed: bool = False
    """Values are pairs of key and value (Jepsen's independent keys)."""
    expect: str = "strict-serializable"
    """The model that transactions were promised."""
    total: int | None = None
    allow_negative: bool = False
    allow_stale: bool = False
    promised: tuple[str, ...] = sessions.GUARANTEES
    order: str = "auto"
    versions: int | None = None
    seconds: float | None = None


def linearizable(name: str, ops: list[Op], options: Options) -> Report:
    """Registers, texts and locks, key by key: broken before unknown before ok."""
    history = to_history(ops, keyed=options.keyed)
    worst = Verdict(OK)
    steps = 0
    for key, operations in by_key(history):
        verdict = _one_object(name, key, operations, options)
        steps += verdict.steps
        if verdict.verdict == BROKEN:
            worst = verdict
            break
        if verdict.verdict == UNKNOWN:
            worst = verdict
    reason = f"key {worst.key!r}: {worst.reason}" if worst.key != "" and worst.reason else worst.reason
    witness = [line.strip() for line in describe(worst)[1:]]
    if len(witness) > WITNESS_MAX:
        witness[:-WITNESS_MAX] = [f"(after {len(witness) - WITNESS_MAX:,} earlier operations)"]
    return Report(name, worst.verdict, reason, tuple(witness), operations=len(ops), steps=steps)


def _one_object(name: str, key: Any, operations: list[Operation], options: Options) -> Verdict:
    model: Model
    if name == "text":
        model = ChainText()
        answer = distinct_texts(model.prepare(operations))
        if answer is not None:
            witness, reason = answer
            return Verdict(BROKEN if reason else OK, key, tuple(witness), reason, len(operations))
    elif name == "register":
        model = Register(options.initial)
    else:
        model = Mutex(owned=name == "owned-mutex")
    return judge_key(key, operations, model, _budget(options, len(operations)))


def _budget(options: Options, count: int) -> Budget:
    each = 260 + count // 7  # a configuration holds a bit for every operation
    return Budget(options.steps, max(1_000, MEMORY_BYTES // each))


def _multi_register(ops: list[Op], options: Options) -> Report:
    model = registers.Registers(ops, options.initial)
    operations = registers.operations(ops, model)
    verdict = judge_key("", operations, model, _budget(options, len(operations)))
    guilty = {id(one.value) for one in verdict.witness}
    witness = [show(op) for op in ops if id(model.parts[op.number]) in guilty][-WITNESS_MAX:]
    return Report(
        "multi-register", verdict.verdict, verdict.reason, tuple(witness), operations=len(ops), steps=verdict.steps
    )


def _session(*promised: str) -> Callable[[list[Op], Options], Report]:
    return lambda ops, options: sessions.judge(ops, promised or options.promised, options.order)


JUDGES: dict[str, Callable[[list[Op], Options], Report]] = {
    "register": lambda ops, options: linearizable("register", ops, options),
    "text": lambda ops, options: linearizable("text", ops, options),
    "mutex": lambda ops, options: linearizable("mutex", ops, options),
    "owned-mutex": lambda ops, options: linearizable("owned-mutex", ops, options),
    "list-append": lambda ops, options: list_append.judge(ops, options.expect, Effort()),
    "rw-register": lambda ops, options: rw_register.judge(
        ops, options.expect, Effort(), in_time=options.order != "inferred"
    ),
    "bank": lambda ops, options: bank.judge(ops, options.total, allow_negative=options.allow_negative),
    "set": lambda ops, _options: sets.judge(ops),
    "set-full": lambda ops, options: sets.judge_full(ops, allow_stale=options.allow_stale),
    "queue": lambda ops, _options: queues.judge(ops),
    "total-queue": lambda ops, _options: queues.judge_total(ops),
    "multi-register": _multi_register,
    "sequential": lambda ops, options: registers.judge_sequential(ops, options.initial, _budget(options, len(ops))),
    "counter": lambda ops, options: counters.judge(ops, options.initial),
    "unique-ids": lambda ops, _options: counters.judge_identities(ops),
    "long-fork": lambda ops, _options: long_fork.judge(ops),
    "sessions": _session(),
    **{name: _session(name) for name in sessions.GUARANTEES},
    "consistent-prefix": lambda ops, options: sessions.judge_prefix(ops, options.order),
    "bounded-staleness": lambda ops, options: staleness.judge(ops, options.versions, options.seconds),
    "convergence": lambda ops, _options: staleness.judge_convergence(ops),
}
"""Name -> judge. docs/judges.md says what each means."""

ALIASES = {"cas-register": "register"}


def judge(model: str, ops: list[Op], options: Options | None = None) -> Report:
    """The verdict of one judge. Raises HistoryError when the history does not fit the model."""
    options = options or Options()
    name = ALIASES.get(model, model)
    expect = model_named(options.expect)
    if expect is None:
        raise HistoryError(f"no model of consistency is called {options.expect!r}; there are: {', '.join(ISOLATION)}")
    for promise in options.promised:
        if promise not in sessions.GUARANTEES:
            raise HistoryError(f"no guarantee is called {promise!r}; there are: {', '.join(sessions.GUARANTEES)}")
    if options.order not in ORDERS:
        raise HistoryError(f"no order is called {options.order!r}; there are: {', '.join(ORDERS)}")
    if expect != options.expect:
        options = Options(
            **{**{field: getattr(options, field) for field in Options.__struct_fields__}, "expect": expect}
        )
    try:
        with _no_garbage_collection():
            return JUDGES[name](ops, options)
    except (HistoryError, KeyboardInterrupt):
        raise
    except MemoryError:
        return Report(name, UNKNOWN, "out of memory", operations=len(ops))
    except Exception as error:  # noqa: BLE001 - a judge that fails has not judged
        return Report(name, UNKNOWN, f"the judge failed: {type(error).__name__}: {error}", operations=len(ops))


def judge_text(model: str, content: bytes, options: Options | None = None) -> Report:
    """The verdict on a history as it was written down. Raises HistoryError."""
    with _no_garbage_collection():
        ops = read(content)
    return judge(model, ops, options)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Judges make many small objects and no circles of them; looking for such costs a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
