"""How many instructions a leader spends on one request, and an embedded node on one commit.

A shared machine is not equally fast from one minute to the next; the number of instructions is the same every time.
valgrind counts them (`apt-get install valgrind`), on a clock that moves 20 us with each look, so that batches do not
depend on how slow valgrind is. What is counted twice, with few and with many requests, leaves starting up out; what the
load generator inside the process does is counted alone and subtracted.

    python -m bench.count update
    python -m bench.count embedded --python /path/to/another/checkout/.venv/bin/python
"""

import argparse
import asyncio
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FEW, MANY = 1_280, 3_200
CONNECTIONS = 64
CLOCK_STEP_US = 20
_TOTAL = re.compile(rb"Collected : (\d+)")


def _even_clock() -> None:
    """Every look at the clock is 20 us later than the one before."""
    from quorate.core.kernel import Now
    from quorate.runtime import driver
    from quorate.runtime.embedded import inline

    ticks = itertools.count(1_000_000_000, CLOCK_STEP_US)
    driver.monotonic_us = inline.monotonic_us = lambda: next(ticks)

    def look() -> Now:
        at = next(ticks)
        return Now(at, at)

    driver.real_clock = look


def _server(kind: str, requests: int, folder: Path, *, generate_only: bool) -> None:
    _even_clock()
    from bench import path

    ticks = itertools.count(1_000_000_000, CLOCK_STEP_US)
    setattr(path, "monotonic_us", lambda: next(ticks))  # noqa: B010 - a name that the module imports

    async def serve() -> None:
        bench = path.Bench(folder, CONNECTIONS)
        if not generate_only:
            bench.spend(kind, requests)
        else:
            for _ in range(requests):
                bench.request(kind)
        bench.store.close()

    asyncio.run(serve())


def _embedded(commits: int, folder: Path) -> None:
    import quorate

    _even_clock()
    with quorate.connect(folder / "node") as db:
        db.execute("CREATE TABLE kv(k INTEGER PRIMARY KEY, v TEXT)")
        db.executemany("INSERT INTO kv VALUES (?, ?)", [(key, "x" * 100) for key in range(1000)])
        for number in range(commits):
            db.execute("UPDATE kv SET v = ? WHERE k = ?", (f"{number}{'v' * 100}"[:100], number * 7 % 1000))


def work(kind: str, requests: int, folder: Path) -> None:
    """What is counted, in a process of its own."""
    if kind == "embedded":
        _embedded(requests, folder)
    else:
        _server(kind.removesuffix("-generator"), requests, folder, generate_only=kind.endswith("-generator"))


def instructions(python: str, kind: str, requests: int) -> int:
    """Of one whole process."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        ours = ["-m", "bench.count", "--work", folder, "--requests", str(requests), kind]
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
        done = subprocess.run(
            [*valgrind, python, *ours], capture_output=True, check=False, env={**os.environ, "PYTHONHASHSEED": "0"}
        )
    found = _TOTAL.search(done.stderr)
    if done.returncode or found is None:
        raise SystemExit(done.stderr.decode(errors="replace")[-2000:])
    return int(found[1])


def each(python: str, kind: str) -> float:
    """Of one request more."""
    few, many = (300, 1_300) if kind == "embedded" else (FEW, MANY)
    return (instructions(python, kind, many) - instructions(python, kind, few)) / (many - few)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("update", "read", "embedded", "update-generator", "read-generator"))
    parser.add_argument("--python", default=sys.executable, help="an interpreter with another checkout installed")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--requests", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args.kind, args.requests, args.work)
        return
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is not there: apt-get install valgrind")
    gross = each(args.python, args.kind)
    if args.kind == "embedded":
        print(f"an embedded commit of one row: {gross:,.0f} instructions")
        return
    generator = 0.0 if args.kind.endswith("-generator") else each(args.python, f"{args.kind}-generator")
    net = f"{gross - generator:,.0f} instructions ({gross:,.0f} with the generator)"
    print(f"{args.kind}, {CONNECTIONS} in a batch: {net}")


if __name__ == "__main__":
    main()
