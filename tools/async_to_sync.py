"""Makes the client for threads out of the client for tasks, in `src/quorate/client`: `_sync/connection.py` out
of `aio.py`, `_sync/cluster.py` out of `cluster_aio.py`, and so on. Only `_sync/__init__.py` is written by hand there.

Works on tokens, so comments and layout stay. `python tools/async_to_sync.py` writes the files; with `--check`
it only says (exit code 1) which of them are not what it would write.
"""

import io
import subprocess
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLIENT = ROOT / "src" / "quorate" / "client"
GENERATED = CLIENT / "_sync"
FILES = {
    "aio.py": ("connection.py", "A connection to a cluster"),
    "cluster_aio.py": ("cluster.py", "A cluster"),
    "asking_aio.py": ("asking.py", "Asking single nodes"),
    "carrier_aio.py": ("carrier.py", "Carrying requests through"),
    "cursors_aio.py": ("cursors.py", "Cursors over a cluster"),
    "transactions_aio.py": ("transactions.py", "Interactive transactions over a cluster"),
    "row_runs_aio.py": ("row_runs.py", "Running statements on a database without a leader, on a connection,"),
    "runs_aio.py": ("runs.py", "`run_transaction` over a cluster"),
    "outcomes_aio.py": ("outcomes.py", "Asking what became of a write, on a connection to a cluster,"),
    "session_aio.py": ("session.py", "The transaction that a connection to a cluster is itself in,"),
    "extras_aio.py": ("extras.py", "What `sqlite3` has beyond PEP 249, on a connection to a cluster,"),
    "users_aio.py": ("users.py", "A cluster's users"),
    "copies_aio.py": ("copies.py", "Fetching a copy of a cluster's database"),
    "streams_aio.py": ("streams.py", "Reading from one state of a cluster's database that a node keeps"),
}
"""Source -> target in `_sync`, and what its docstring begins with."""

DOCSTRING = '''"""{} as threads see it.

Generated from `client/{}` by `tools/async_to_sync.py`: edit that one.
"""'''

DROPPED = {"async", "await"}
RENAMED = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "StopAsyncIteration": "StopIteration",
    "link_aio": "link_sync",
}
REWORDED = {
    "Any number of tasks": "Any number of threads",
    "`async with ": "`with ",
    "Run `await ": "Run `",
    "async for ": "for ",
}
"""Words in docstrings that are true of one kind only."""
TYPES = {"Awaitable[T]": "T", "Awaitable, ": ""}
MOVED = {
    "quorate.client.asking_aio": "quorate.client._sync.asking",
    "quorate.client.carrier_aio": "quorate.client._sync.carrier",
    "quorate.client.extras_aio": "quorate.client._sync.extras",
    "quorate.client.outcomes_aio": "quorate.client._sync.outcomes",
    "quorate.client.users_aio": "quorate.client._sync.users",
    "quorate.client.copies_aio": "quorate.client._sync.copies",
    "quorate.client.streams_aio": "quorate.client._sync.streams",
    "quorate.client.cursors_aio": "quorate.client._sync.cursors",
    "quorate.client.transactions_aio": "quorate.client._sync.transactions",
    "quorate.client.row_runs_aio": "quorate.client._sync.row_runs",
    "quorate.client.runs_aio": "quorate.client._sync.runs",
    "quorate.client.session_aio": "quorate.client._sync.session",
    "quorate.client.cluster_aio": "quorate.client._sync.cluster",
    "quorate.client.aio": "quorate.client._sync.connection",
}
"""Modules whose twins are generated, too."""


def convert(name: str) -> str:
    """The text for threads of the file of this name."""
    source = (CLIENT / name).read_text(encoding="utf-8")
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
    for old, new in (REWORDED | TYPES | MOVED).items():
        text = text.replace(old, new)
    _, _, body = text.split('"""', 2)
    return formatted(DOCSTRING.format(FILES[name][1], name) + body)


def formatted(text: str) -> str:
    """Laid out as ruff lays out everything here: without `await`, more fits on a line; and imports sorted."""
    for job in (("check", "--quiet", "--fix", "--select", "I"), ("format",)):
        command = [sys.executable, "-m", "ruff", *job, "--stdin-filename", str(GENERATED / "connection.py"), "-"]
        text = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    return text


def main() -> int:
    stale = []
    for name, (target, _) in FILES.items():
        path = GENERATED / target
        wanted = convert(name)
        if path.exists() and path.read_text(encoding="utf-8") == wanted:
            continue
        stale.append(target)
        if "--check" not in sys.argv[1:]:
            path.write_text(wanted, encoding="utf-8")
    if stale and "--check" in sys.argv[1:]:
        print(f"stale: {', '.join(stale)}; run python tools/async_to_sync.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
