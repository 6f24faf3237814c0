"""`import quorate` must stay cheap: a program that only wants an embedded database pays for nothing else."""

import json
import subprocess
import sys

BUDGET_CALLS = 20_000
"""Twice what it was when this was written: 9,789 calls, in 18 ms."""

PROBE = """
import json, sys
calls = 0
def count(frame, event, argument):
    global calls
    calls += event in ("call", "c_call")
sys.setprofile(count)
import quorate
sys.setprofile(None)
print(json.dumps({"calls": calls, "modules": sorted(sys.modules)}))
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
    """Calls are counted, which are the same on a busy machine; time is not."""
    calls = probe()["calls"]
    assert isinstance(calls, int)
    assert 1_000 < calls < BUDGET_CALLS, f"import quorate makes {calls} calls, the budget is {BUDGET_CALLS}"
