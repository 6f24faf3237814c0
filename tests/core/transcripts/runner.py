"""Runs a script, and lays what it caused beneath each command."""

from pathlib import Path

from tests.core.transcripts.commands import Script

INDENT = "    "
FOLDER = Path(__file__).parent


def scripts() -> list[Path]:
    """Every transcript."""
    return sorted(FOLDER.glob("*.txt"))


def record(text: str) -> str:
    """The script anew: its commands and comments as they are, and beneath each command what it causes now."""
    script = Script()
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(INDENT):
            continue
        lines.append(line)
        if not line or line.startswith("#"):
            continue
        try:
            lines += [f"{INDENT}{each}" for each in script.do(line)]
        except Exception as problem:
            problem.add_note(f"line {number}: {line}\n" + "\n".join(lines[-40:]))
            raise
    return "\n".join(lines) + "\n"
