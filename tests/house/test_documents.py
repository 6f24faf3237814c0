"""Documents are held to the code: links lead somewhere, rooms and commands are described, tables have tests."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from tests.house.source import PACKAGE, ROOT, name, texts

DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")],
)

SETUP_DEMO = "python3 -m venv .venv && .venv/bin/pip install -q -e . && .venv/bin/quorate demo"
SETUP_TESTS = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]' && .venv/bin/pytest"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if target.startswith(("http://", "https://", "#", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve()
        assert found.exists(), f"{name(path)} links to {target}"
        if anchor:
            assert anchor in anchors(found), f"{name(path)} links to {target}"


def anchors(path: Path) -> set[str]:
    """The names under which a Markdown file's headings can be linked to."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_document_in_docs_is_listed() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for path in (ROOT / "docs").glob("*.md"):
        assert path.name == "README.md" or f"({path.name})" in index, f"docs/README.md does not list {path.name}"


def test_decisions_are_numbered_without_holes_and_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    records = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert [record[:4] for record in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    index = (folder / "README.md").read_text()
    for record in records:
        assert f"({record})" in index, f"docs/decisions/README.md does not list {record}"
        text = (folder / record).read_text()
        for heading in ("## Decision", "## Why", "## Consequences"):
            assert heading in text, f"{record} has no section {heading!r}"


def test_the_architecture_names_every_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    rooms = [path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"]
    rooms += [
        f"lab/{path.name}" for path in (PACKAGE / "lab").iterdir() if path.is_dir() and path.name != "__pycache__"
    ]
    for room in rooms:
        assert f"`{room}/`" in text, f"ARCHITECTURE.md does not explain {room}/"
    assert "Start reading here" in text


def test_paths_named_in_the_architecture_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for path in re.findall(r"`((?:src|tests|docs|tools|bench)/[\w./]+)`", text):
        assert (ROOT / path).exists(), f"ARCHITECTURE.md names {path}"


def test_the_readme_has_both_setup_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert f"\n{SETUP_DEMO}\n" in text
    assert f"\n{SETUP_TESTS}\n" in text


def test_the_script_that_checks_a_clean_machine_takes_its_test_line_from_the_readme() -> None:
    done = subprocess.run(
        ["bash", str(ROOT / ".ci" / "run"), "--print-test-line"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == SETUP_TESTS


def test_no_text_installs_the_package_of_somebody_else() -> None:
    """`quorate` on the index is another program; ours is `quoratedb` (docs/decisions/0047-distribution-name.md)."""
    wrong = re.compile(r"\bpip install\b[^\n`]*['\" ]quorate(?![\w.-])|['\"]quorate\[")
    assert wrong.search("pip install quorate")
    assert wrong.search("pip install -q 'quorate[certs]'")
    assert not wrong.search("pip install -q -e . && .venv/bin/quorate demo")
    for path in texts():
        if path.suffix != ".py" or PACKAGE in path.parents:
            assert not wrong.search(path.read_text(encoding="utf-8")), f"{name(path)} installs another program"


def test_the_changelog_knows_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_every_row_of_the_sql_page_has_a_test() -> None:
    """The last column of each table in docs/sql.md names the test that holds the row: path::name."""
    rows = re.findall(r"^\|.*\| `(tests/[^`]+)` \|$", (ROOT / "docs" / "sql.md").read_text(), re.MULTILINE)
    table_lines = re.findall(r"^\| (?!-|what)", (ROOT / "docs" / "sql.md").read_text(), re.MULTILINE)
    assert len(rows) == len(table_lines), "a row of docs/sql.md has no test"
    for row in rows:
        path, _, test = row.partition("::")
        assert (ROOT / path).exists(), f"docs/sql.md names {path}"
        assert re.search(rf"^(?:async )?def {re.escape(test)}\(", (ROOT / path).read_text(), re.MULTILINE), (
            f"docs/sql.md names {row}"
        )


def test_every_error_is_explained() -> None:
    names = re.findall(r"^class (\w+)\(", (PACKAGE / "errors.py").read_text(), re.MULTILINE)
    text = (ROOT / "docs" / "errors.md").read_text()
    for error in names:
        assert f"`{error}`" in text, f"docs/errors.md does not explain {error}"


def test_the_tour_leads_to_what_it_names() -> None:
    tour = (ROOT / "docs" / "tour.md").read_text()
    assert [int(number) for number in re.findall(r"^(\d+)\. \[", tour, re.MULTILINE)] == list(range(1, 11))
    answers = re.findall(r"\]\(\.\./([^)]+\.py)\)((?:,? `[A-Za-z_.]+`)+)", tour)
    assert len(answers) >= 10
    for path, names in answers:
        text = (ROOT / path).read_text()
        for each in re.findall(r"`([A-Za-z_.]+)`", names):
            for part in each.split("."):
                assert re.search(rf"^\s*(?:def|class) {part}\b", text, re.MULTILINE), (
                    f"docs/tour.md: {path} has no {each}"
                )


def test_a_recipe_takes_three_files_and_all_are_there() -> None:
    recipes = (ROOT / "docs" / "recipes.md").read_text().split("\n## ")[1:]
    assert len(recipes) >= 7
    for recipe in recipes:
        title = recipe.split("\n", 1)[0]
        steps = re.findall(r"^(\d+)\. ", recipe, re.MULTILINE)
        assert 2 <= len(steps) <= 3, title
        for path in re.findall(r"`((?:tests|tools)/[^`]+)`", recipe):
            assert (ROOT / path).exists(), f"{title}: {path}"
