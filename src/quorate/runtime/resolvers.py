"""Resolvers that a program brings: modules are loaded, and functions tried, before one is accepted."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from quorate.core.versions.custom import Custom
from quorate.runtime.config import listed

SECONDS_MAX = 60.0
"""How long the laws may take to try."""
SEEDS = ("1", "2")
"""PYTHONHASHSEED of each process: what depends on the order of a set differs between them."""


class NoResolver(Exception):
    """The function cannot be a resolver; the message says why."""


def load(file: Path, name: str) -> Custom:
    """One function of a module's file. Its module is called as the file is. Raises NoResolver."""
    try:
        pin = blake2b(file.read_bytes(), digest_size=8).hexdigest()
        found = importlib.util.spec_from_file_location(f"quorate_resolvers_{file.stem}_{pin}", file)
        if found is None or found.loader is None:
            raise NoResolver(f"{file} is no Python module")
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
    except OSError as error:
        raise NoResolver(f"{file} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        raise NoResolver(f"{file} cannot be imported: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise NoResolver(f"{file} has no function {name}")
    return Custom(f"{file.stem}:{name}", pin, function)


def samples_of(resolver: Custom) -> list[Any]:
    """What the function itself says that it is for (`function.samples = [...]`), or values of every kind."""
    own = getattr(resolver.function, "samples", None)
    return list(own) if own else list(SAMPLES)


SAMPLES: tuple[Any, ...] = (
    None, 0, 1, -7, 12, 1 << 40, 0.5, -2.25, "", "a", "ab", "ba", "abc", "b\na", "a\nb", "10", "9", "2026-11-30", "ä",
    b"", b"a", b"\x00\xff", "[]", "[1,2]", "[2,1]", '["a","b"]', "{}", '{"a":1}', '{"a":2,"b":1}', '{"b":3}',
)  # fmt: skip


def check(file: Path, name: str, recorded: Sequence[Any] = ()) -> Custom:
    """The resolver, when it keeps the laws on its samples and on what is `recorded`, in two processes with different
    hash seeds. Raises NoResolver with the counterexample."""
    resolver = load(file, name)
    samples = [*samples_of(resolver), *recorded]
    told = [_tried(file, name, seed, samples) for seed in SEEDS]
    for each in told:
        if each["broken"]:
            raise NoResolver(f"{resolver.name} is {each['broken']}")
    for first, second in zip(told[0]["answers"], told[1]["answers"], strict=True):
        if first != second:
            one, other, answer = first
            differ = f"{name}({one}, {other}) is {answer} in one process, and {second[2]} in another"
            raise NoResolver(f"{resolver.name} is not deterministic: {differ}")
    return resolver


def configured(value: str) -> tuple[Custom, ...]:
    """The resolvers that a configuration lists, each checked. Raises NoResolver."""
    found: dict[str, Custom] = {}
    for each in listed(value):
        file, _, name = each.rpartition(":")
        if not file.endswith(".py") or not name:
            raise NoResolver(f"{each!r} is not FILE.py:FUNCTION")
        resolver = check(Path(file), name)
        if resolver.name in found:
            raise NoResolver(f"{resolver.name} is listed twice: databases know it by this name")
        found[resolver.name] = resolver
    return tuple(found.values())


def _tried(file: Path, name: str, seed: str, samples: Sequence[Any]) -> Any:
    """What one process says of it. Raises NoResolver."""
    question = json.dumps([str(file), name, [_packed(each) for each in samples]])
    try:
        done = subprocess.run(
            [sys.executable, "-m", "quorate.runtime.resolver_trial"],
            input=question,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
    except subprocess.TimeoutExpired:
        raise NoResolver(f"{name} of {file} was not tried to the end in {SECONDS_MAX:.0f} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"its process ended with {done.returncode}"])[-1]
        raise NoResolver(f"{name} of {file} cannot be tried: {last}")
    return json.loads(done.stdout.splitlines()[-1])


def _packed(value: Any) -> Any:
    return {"blob": value.hex()} if isinstance(value, bytes) else value


def unpacked(value: Any) -> Any:
    """A value of SQLite from JSON, where a blob is an object."""
    return bytes.fromhex(value["blob"]) if isinstance(value, dict) else value
