"""SQLAlchemy's own suite for dialects, on Quorate and on `sqlite3`: what passes there and not here.

    python tools/sqlalchemy_suite.py --sdist DIR [--cluster] [--driver aioquorate]

DIR is an unpacked source distribution of the SQLAlchemy that is installed (`pip download --no-deps --no-binary :all:
sqlalchemy==VERSION`): its requirements, which are those of its own dialects, hold for both sides. It runs in a folder,
or with `--cluster` on three nodes that it starts. Ends with 1 when a test differs that tools/sqlalchemy_known.txt does
not list.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from quorate.runtime.cluster import LocalCluster

KNOWN = Path(__file__).with_name("sqlalchemy_known.txt")
NEEDS = ("test_schema", "temporary objects are not supported")
"""How a test fails that needs ATTACH or TEMP, and is not skipped where those are missing."""
CONFIG = """
[sqla_testing]
requirement_cls = {requirements}
profile_file = profiles.txt
[db]
default = sqlite://
"""
CONFTEST = """
import pytest
pytest.register_assert_rewrite("sqlalchemy.testing.assertions")
from sqlalchemy.testing.plugin.pytestplugin import *
"""
LAID_OVER = """
from quorate.sqlalchemy.requirements import Differences
from test.requirements import DefaultRequirements

class Requirements(Differences, DefaultRequirements):
    pass
"""
OURS = "quorate.sqlalchemy.requirements:Requirements"


def run(folder: Path, url: str, requirements: str) -> dict[str, str]:
    """What came of each test: `passed`, `skipped`, or how it failed. `folder` is for the run alone."""
    (folder / "setup.cfg").write_text(CONFIG.format(requirements=requirements))
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_suite.py").write_text("from sqlalchemy.testing.suite import *\n")
    report = folder / "report.xml"
    arguments = [
        "--dburi",
        url,
        "--junitxml",
        str(report),
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
        "--maxfail=9999",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--tb=line", *arguments, "test_suite.py"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if not report.exists():
        raise SystemExit(f"the suite did not run:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    found: dict[str, str] = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        name = case.get("classname", "").rpartition(".")[2].partition("_sqlite")[0] + "::" + case.get("name", "")
        failed = next((each for each in case if each.tag in ("failure", "error")), None)
        if failed is not None:
            found[name] = (failed.get("message") or failed.tag) + (failed.text or "")
        elif found.get(name, "passed") in ("passed", "skipped"):
            found[name] = "skipped" if case.find("skipped") is not None else "passed"
    return found


def known(*, cluster: bool = False) -> dict[str, str]:
    """The tests that are known to differ, with the reasons."""
    lines = [line.partition(" # ") for line in KNOWN.read_text().splitlines() if line and not line.startswith("#")]
    return {name.strip(): why for name, _, why in lines if cluster or not why.startswith("on a cluster")}


def failures(found: dict[str, str]) -> dict[str, str]:
    """Those that failed, but for want of ATTACH or TEMP."""
    return {
        name: each
        for name, each in found.items()
        if each not in ("passed", "skipped") and not any(word in each for word in NEEDS)
    }


def compare(there: dict[str, str], here: dict[str, str], listed: dict[str, str]) -> int:
    """Print the difference; how many tests are in it that nobody has listed."""
    passing = {name for name, each in there.items() if each == "passed"}
    missing = {name for name in passing if here.get(name) != "passed"}
    failed = failures({name: here.get(name, "not run") for name in missing})
    print(f"sqlite3: {len(passing)} of {len(there)} pass; Quorate: {len(passing) - len(missing)} of those")
    print(f"need ATTACH or TEMP: {len(missing) - len(failed)}")
    for name in sorted(missing - set(failed)):
        print(f"  {name}")
    print(f"others: {len(failed)}, of which {len(set(failed) & set(listed))} are listed")
    for name in sorted(failed):
        print(f"  {name}  {listed.get(name) or failed[name][:200]!r}")
    for name in sorted(set(listed) - set(failed)):
        print(f"passes now, and can be taken off the list: {name}")
    return len(set(failed) - set(listed))


def main() -> int:
    """Run both, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sdist", type=Path, required=True)
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--driver", default="quorate", choices=("quorate", "aioquorate"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        sides = []
        for side in ("there", "here"):
            folder = Path(scratch, side)
            folder.mkdir()
            shutil.copytree(options.sdist / "test", folder / "test", ignore=shutil.ignore_patterns("*_suite.py"))
            (folder / "test" / "conftest.py").unlink()
            (folder / "laid_over.py").write_text(LAID_OVER)
            sides.append(folder)
        there = run(sides[0], f"sqlite:///{sides[0]}/querytest.db", "test.requirements:DefaultRequirements")
        if options.cluster:
            with LocalCluster.start(3, Path(scratch, "cluster")) as cluster:
                hosts = "&".join(f"host={address}" for address in cluster.addresses)
                url = f"sqlite+{options.driver}:///main?{hosts}&timeout=30"
                here = run(sides[1], url, "laid_over:Requirements")
        else:
            here = run(sides[1], f"sqlite+{options.driver}:///{sides[1]}/folder", "laid_over:Requirements")
    return int(compare(there, here, known(cluster=options.cluster)) > 0)


if __name__ == "__main__":
    sys.exit(main())
