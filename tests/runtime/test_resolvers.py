"""A program's own resolver is accepted when it keeps the laws, and refused with a counterexample when it does not."""

from pathlib import Path

import pytest

from quorate.runtime.resolvers import NoResolver, check, configured, load

GOOD = """
import json

def longest(one, other):
    return max(one, other, key=lambda each: (len(str(each)), str(each), repr(each)))

def union(one, other):
    return json.dumps(sorted({*json.loads(one), *json.loads(other)}))

union.samples = ["[]", "[1]", "[1, 2]", "[2, 3]"]
"""
WINS = "def resolve(one, other):\n    return one if one == other or one + other in ('pr', 'rs', 'sp') else other\n"
REFUSED = {
    "one": (
        "def resolve(one, other):\n    return max(one, other, key=lambda each: len(str(each)))",
        "not commutative: resolve(",
    ),
    "order": ("def resolve(one, other):\n    return one", "not commutative: resolve(None, 0) is None"),
    "sum": ("def resolve(one, other):\n    return int(one) + int(other)", "not idempotent: resolve("),
    "mean": (
        "def resolve(one, other):\n    return (float(one) + float(other)) / 2\nresolve.samples = [1.0, 2.0, 4.0]",
        "not idempotent: resolve(1.0, 2.0) is 1.5",
    ),
    "rocks": (
        WINS + "resolve.samples = ['r', 'p', 's']",
        "not associative: resolve(resolve(",
    ),
    "random": (
        "import random\ndef resolve(one, other):\n    return random.random()",
        "resolve(None, None) is 0.",
    ),
    "hash": (
        "def resolve(one, other):\n    return next(iter({one, other}))\nresolve.samples = ['quite', 'different']",
        "not deterministic: resolve('quite', 'different') is",
    ),
    "list": ("def resolve(one, other):\n    return [one, other]", "SQLite cannot hold"),
    "lone": ("def resolve(one):\n    return one", "TypeError"),
    "syntax": ("def resolve(", "cannot be imported: SyntaxError"),
    "absent": ("def other(one, other):\n    return one", "has no function resolve"),
    "leaves": ("import sys\ndef resolve(one, other):\n    sys.exit('gone')", "cannot be tried: gone"),
}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "texts.py"
    file.write_text(GOOD)
    return file


def test_what_keeps_the_laws_is_accepted(good: Path) -> None:
    resolver = check(good, "union")
    assert resolver.name == "texts:union"
    assert resolver.value == f"custom:texts:union#{resolver.pin}"
    assert check(good, "longest", ["recorded", b"x"]).function(1, "abc") == "abc"


def test_a_changed_file_has_another_pin(good: Path) -> None:
    before = load(good, "union").pin
    good.write_text(GOOD + "\n")
    assert load(good, "union").pin != before


@pytest.mark.parametrize("name", REFUSED)
def test_what_breaks_a_law_is_refused_with_the_counterexample(name: str, tmp_path: Path) -> None:
    text, said = REFUSED[name]
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(NoResolver) as caught:
        check(file, "resolve")
    assert said in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NoResolver, match="cannot be read"):
        load(tmp_path / "none.py", "resolve")


def test_a_configuration_lists_functions(good: Path) -> None:
    found = configured(f"{good}:union, {good}:longest")
    assert [each.name for each in found] == ["texts:union", "texts:longest"]


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ("{}", "is not FILE.py:FUNCTION"),
        ("texts:union", "is not FILE.py:FUNCTION"),
        ("{}:union, {}:union", "texts:union is listed twice"),
        ("{}:first", "first is not commutative"),
    ],
)
def test_what_a_configuration_cannot_list(good: Path, listed: str, said: str) -> None:
    good.write_text(GOOD + "\ndef first(one, other):\n    return one\n")
    with pytest.raises(NoResolver, match=said):
        configured(listed.format(good, good))
