"""`quorate resolve`: a resolver is tried before a database uses it."""

import json
from pathlib import Path

from click.testing import CliRunner

from quorate.cli.data.resolve import resolve

CONFLICTS = [
    {"table": "pages", "key": ["home"], "lost": {"body": "long text"}, "shown": {"body": "text"}},
    {"table": "pages", "key": ["logo"], "lost": {"image": {"blob": "00ff"}}, "shown": {"image": {"blob": "01"}}},
]
LONGEST = (
    "def longest(one, other):\n    return max(one, other, key=lambda each: (len(str(each)), str(each), repr(each)))\n"
)


def test_it_shows_what_a_resolver_would_have_shown(tmp_path: Path) -> None:
    module, file = tmp_path / "merges.py", tmp_path / "conflicts.json"
    module.write_text(LONGEST)
    file.write_text("\n".join(json.dumps(each) for each in CONFLICTS))
    asked = ["--dry-run", f"{module}:longest", "--against", str(file)]
    done = CliRunner().invoke(resolve, asked)
    assert done.exit_code == 0
    assert "pages.body of home: lost 'long text', shown 'text', would show 'long text'" in done.output
    assert "2 values; 2 would differ" in done.output
    file.write_text(json.dumps(CONFLICTS))
    found = json.loads(CliRunner().invoke(resolve, [*asked, "--json", "--column", "pages.image"]).output)
    assert [each["would_show"] for each in found["conflicts"]] == [{"blob": "00ff"}]


def test_a_counterexample_is_shown(tmp_path: Path) -> None:
    module = tmp_path / "merges.py"
    module.write_text("def first(one, other):\n    return one\n")
    done = CliRunner().invoke(resolve, ["--dry-run", f"{module}:first"])
    assert "not commutative: first(None, 0) is None" in str(done.exception)


def test_a_file_without_conflicts(tmp_path: Path) -> None:
    file = tmp_path / "conflicts.json"
    file.write_text('{"table": 1}')
    done = CliRunner().invoke(resolve, ["--dry-run", "m:f", "--against", str(file)])
    assert "has no recorded conflicts" in str(done.exception)
