"""What no file of the repository may contain."""

import re
from pathlib import Path

import pytest
from tests.house.source import ROOT, name, texts

THIS = Path(__file__).resolve()

MACHINE_PATHS = re.compile(r"(?<![\w.:/~-])/(?:home|root|Users|work|mnt|opt)/(?!quorate\b)[\w.-]")
"""Absolute paths that exist on one machine only; where a service is installed (`/opt/quorate`) is for everybody."""

LEFTOVERS = re.compile(r"\b(?:FIXME|XXX|HACK|TODO)\b")
"""Work that was not finished belongs in an issue, where it is counted."""

ADVERTISING = re.compile(
    r"\b(?:blazing|lightning[- ]fast|seamless(?:ly)?|powerful|cutting[- ]edge|state[- ]of[- ]the[- ]art|world[- ]class|"
    r"revolutionary|effortless(?:ly)?|production[- ]ready|enterprise[- ]grade|next[- ]generation|battle[- ]tested|"
    r"robust|elegant|game[- ]chang\w+)\b",
    re.IGNORECASE,
)

SECOND_WORDS = {
    "counted entry": "committed entry",
    "counted index": "commit index",
    "acks rule": "ack policy",
    "standnow": "TimeoutNow",
    "errand": "proposal",
    "ladder of ack": "ack policy",
    "rung of the": "ack policy",
}
"""Words that nobody else in this field uses, for what has a standard word (docs/words.md)."""


@pytest.mark.parametrize("path", texts(), ids=name)
def test_no_file_knows_the_machine_it_was_written_on(path: Path) -> None:
    found = [line for line in path.read_text(encoding="utf-8").splitlines() if MACHINE_PATHS.search(line)]
    assert path == THIS or not found, f"{name(path)}: {found[:3]}"


@pytest.mark.parametrize("path", texts(), ids=name)
def test_nothing_is_left_half_done(path: Path) -> None:
    found = [line for line in path.read_text(encoding="utf-8").splitlines() if LEFTOVERS.search(line)]
    assert path == THIS or not found, f"{name(path)}: {found[:3]}"


@pytest.mark.parametrize("path", [path for path in texts() if path.suffix == ".md"], ids=name)
def test_documents_state_and_do_not_praise(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not ADVERTISING.findall(text), name(path)
    for foreign, word in SECOND_WORDS.items():
        assert foreign not in text.lower(), f"{name(path)} says {foreign!r}; the word is {word!r}"


def test_every_file_ends_with_one_line_break_and_has_no_trailing_blanks() -> None:
    for path in texts():
        text = path.read_text(encoding="utf-8")
        assert not text or (text.endswith("\n") and not text.endswith("\n\n")), name(path)
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), name(path)


def test_the_licence_is_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert (ROOT / "src" / "quorate" / "py.typed").exists()
