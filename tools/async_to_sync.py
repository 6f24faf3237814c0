"""Makes the client for threads out of the client for tasks: `src/quorate/client/sync.py` out of `aio.py`.

Works on tokens, so comments and layout stay. `python tools/async_to_sync.py` writes the file; with `--check`
it only says (exit code 1) whether the file is not what it would write.
"""

import io
import subprocess
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "quorate" / "client" / "aio.py"
TARGET = ROOT / "src" / "quorate" / "client" / "sync.py"

DOCSTRING = (
    '''"""A cluster as threads see it. Generated from `client/aio.py` by `tools/async_to_sync.py`: edit that one."""'''
)

DROPPED = {"async", "await"}
RENAMED = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "link_aio": "link_sync",
}
REWORDED = {"Any number of tasks": "Any number of threads"}
"""Words in docstrings that are true of one kind only."""


def convert(source: str) -> str:
    """The text of the client for threads."""
    lines = source.splitlines(keepends=True)
    edits: list[tuple[int, int, int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        (line, start), (_, end) = token.start, token.end
        if token.type != tokenize.NAME:
            continue
        if token.string in DROPPED:
            while lines[line - 1][end] == " ":
                end += 1
            edits.append((line, start, end, ""))
        elif token.string in RENAMED:
            edits.append((line, start, end, RENAMED[token.string]))
    for line, start, end, text in reversed(edits):
        lines[line - 1] = lines[line - 1][:start] + text + lines[line - 1][end:]
    text = "".join(lines)
    for old, new in REWORDED.items():
        text = text.replace(old, new)
    _, _, body = text.split('"""', 2)
    return formatted(DOCSTRING + body)


def formatted(text: str) -> str:
    """Laid out as ruff lays out everything here: without `await`, more fits on a line."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(TARGET), "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return done.stdout


def main() -> int:
    wanted = convert(SOURCE.read_text(encoding="utf-8"))
    if "--check" in sys.argv[1:]:
        fresh = TARGET.exists() and TARGET.read_text(encoding="utf-8") == wanted
        if not fresh:
            print(f"{TARGET.relative_to(ROOT)} is stale: run python tools/async_to_sync.py", file=sys.stderr)
        return 0 if fresh else 1
    TARGET.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
