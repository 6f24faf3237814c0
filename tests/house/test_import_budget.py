"""`import quorate` must stay cheap: a program that only wants an embedded database pays for nothing else."""

import json
import subprocess
import sys

BUDGET_MS = 60
TRIES = 5

PROBE = """
import json, sys, time
before = time.perf_counter()
import quorate
took = (time.perf_counter() - before) * 1000
print(json.dumps({"ms": took, "modules": sorted(sys.modules)}))
"""

ALLOWED = {"quorate", "apsw", "msgspec"}
HEAVY = {"asyncio", "click", "rich", "uvloop", "sqlite3", "ssl", "multiprocessing", "unittest"}


def probe() -> dict[str, object]:
    """A fresh interpreter, so that nothing is there already."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, timeout=60)
    report: dict[str, object] = json.loads(done.stdout)
    return report


def loaded() -> set[str]:
    bare = subprocess.run(
        [sys.executable, "-c", "import json, sys; print(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    modules = probe()["modules"]
    assert isinstance(modules, list)
    return {module.split(".")[0] for module in set(modules) - set(json.loads(bare.stdout))}


def test_import_loads_only_apsw_and_msgspec_beside_the_standard_library() -> None:
    new = loaded()
    assert not new & HEAVY, f"import quorate loads {sorted(new & HEAVY)}"
    strangers = {module for module in new if module not in sys.stdlib_module_names} - ALLOWED
    # A compiled wheel may bring a helper module with a mangled name; it belongs to its library.
    strangers = {module for module in strangers if not module.startswith("_")}
    assert not strangers, f"import quorate loads {sorted(strangers)}"


def test_import_is_quick() -> None:
    """The best of several tries: the machine may be busy, but not always. Stops at the first good one."""
    times = []
    for _ in range(TRIES):
        took = probe()["ms"]
        assert isinstance(took, float)
        times.append(took)
        if took < BUDGET_MS:
            return
    raise AssertionError(f"import quorate took {min(times):.0f} ms at best, the budget is {BUDGET_MS}")
