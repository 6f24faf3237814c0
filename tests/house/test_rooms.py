"""Who may import whom. ARCHITECTURE.md draws it; this file holds it."""

import ast
import re
import sys

import pytest
from tests.house.source import PACKAGE, ROOT, dotted, imports, modules, name, tree

MAY_IMPORT: dict[str, set[str]] = {
    "core": {"core", "sql"},
    "sql": {"sql"},
    "functions": set(),
    "storage": {"storage", "functions", "core", "sql"},
    "wire": {"wire", "core"},
    "tls": {"tls", "wire"},
    "transport": {"transport", "tls", "wire", "core"},
    "runtime": {"runtime", "transport", "tls", "wire", "storage", "sql", "core"},
    "runtime/embedded": {"runtime/embedded", "runtime", "client", "wire", "storage", "sql", "core"},
    "runtime/tasks": {"runtime/embedded", "client", "sql", "core"},
    "client": {"client", "tls", "wire", "sql", "core"},
    "django": {"django", "web", "functions", "client", "runtime/embedded", "core"},
    "sqlalchemy": {"sqlalchemy", "web", "client", "runtime/embedded", "runtime/tasks", "sql", "core"},
    "testing": {"testing", "lab/nemesis", "client"},
    "web": {"web", "core"},
    "lab/models": {"lab/models", "core"},
    "lab/handshake": {"lab/handshake", "transport", "wire", "core"},
    "lab/judges": set(),
    "lab/sql": set(),
    "lab/fuzz": {"lab/fuzz", "lab/sql", "client", "wire", "storage", "core"},
    "lab/sim": {"lab/sim", "client", "lab/sql", "lab/judges", "wire", "storage", "sql", "core"},
    "lab/mutants": {"lab/mutants", "client", "lab/sim", "lab/fuzz", "storage", "sql", "core"},
    "lab/diagram": {"lab/diagram", "lab/sim", "lab/judges", "wire", "core"},
    "lab/nemesis": {"lab/nemesis", "lab/judges", "runtime", "client", "wire", "core"},
    "cli": {
        "cli",
        "lab/sim",
        "lab/mutants",
        "lab/judges",
        "lab/nemesis",
        "lab/diagram",
        "lab/fuzz",
        "lab/models",
        "lab/handshake",
        "runtime",
        "runtime/embedded",
        "client",
        "storage",
        "wire",
        "sql",
        "core",
    },
}
"""For each room, the rooms it may import beside itself; all but `lab/judges` may import `errors`, the ground floor."""

PURE = {
    "__future__",
    "binascii",
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "hmac",
    "itertools",
    "math",
    "msgspec",
    "operator",
    "random",
    "re",
    "string",
    "stringprep",
    "struct",
    "types",
    "typing",
    "unicodedata",
    "zlib",
}
"""What a pure room may import besides ours; of `random` only the type (test_purity holds that)."""

PURE_ROOMS = ("core", "sql", "wire", "lab/sql")

ONLY_IN: dict[str, tuple[str, ...]] = {
    "apsw": ("storage",),
    "cryptography": ("runtime", "cli"),
    "ssl": ("tls", "transport", "client"),
    "asyncio": ("transport", "runtime", "runtime/tasks", "client", "http", "sqlalchemy", "testing"),
    "uvloop": ("transport", "runtime"),
    "click": ("cli",),
    "rich": ("cli",),
    "sqlalchemy": ("sqlalchemy",),
    "django": ("django",),
    "sqlite3": (),
}
"""Modules that only some rooms may import. Opening one of our files with the standard `sqlite3` in a process that
also has it open through apsw would break POSIX locks, so nothing here uses it."""

CLOCKS_AND_DICE = {"time", "datetime", "secrets"}
CLOCKLESS = ("core", "sql", "wire", "storage")
"""Judges may time their own effort; no verdict depends on it."""


def room_of(module: str) -> str:
    """The room of an import name: "quorate.lab.sim.engine.world" -> "lab/sim"; "" for the package's own face."""
    parts = module.split(".")[1:]
    if not parts or not (PACKAGE / parts[0]).is_dir():
        return ""
    if parts[0] == "lab" and len(parts) > 1:
        return f"lab/{parts[1]}"
    if parts[0] == "runtime" and "/".join(parts[:2]) in MAY_IMPORT:
        return "/".join(parts[:2])
    return parts[0]


def ours(module: str) -> bool:
    return module == "quorate" or module.startswith("quorate.")


def test_every_room_has_its_rule() -> None:
    rooms = {room_of(dotted(path)) for path in modules()} - {"", "lab"}
    assert rooms <= set(MAY_IMPORT), "a new room needs a line in MAY_IMPORT and in ARCHITECTURE.md"
    assert rooms >= set(MAY_IMPORT), "a rule for a room that is not there"


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_rooms_import_only_their_neighbours(room: str) -> None:
    allowed = MAY_IMPORT[room] | {room}
    for path in modules(room):
        if room_of(dotted(path)) != room:  # a room of its own inside this one
            continue
        wanted = {room_of(module) for module, _ in imports(path) if ours(module)} - {"", "lab"}
        assert wanted <= allowed, (
            f"{name(path)} imports from {sorted(wanted - allowed)}; {room} may only {sorted(allowed)}"
        )


def test_only_the_command_line_and_the_test_fixtures_import_the_laboratory() -> None:
    for path in modules():
        room = room_of(dotted(path))
        if room.startswith("lab") or room in ("cli", "testing"):
            continue
        for module, _ in imports(path):
            assert not module.startswith("quorate.lab"), f"{name(path)} imports {module}"


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_pure_rooms_import_only_pure_modules(room: str) -> None:
    for path in modules(room):
        strangers = {module.split(".")[0] for module, _ in imports(path) if not ours(module)} - PURE
        assert not strangers, f"{name(path)} imports {sorted(strangers)}: {room} may not touch the outside world"


def test_judges_import_only_the_standard_library_and_themselves() -> None:
    for path in modules("lab/judges"):
        for module, _ in imports(path):
            inside = module.startswith("quorate.lab.judges")
            known = module.split(".")[0] in {"msgspec", *sys.stdlib_module_names}
            assert inside or known, f"{name(path)} imports {module}"


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_libraries_stay_in_their_rooms(library: str) -> None:
    for path in modules():
        if any(module.split(".")[0] == library for module, _ in imports(path)):
            room = room_of(dotted(path))
            assert room in ONLY_IN[library], f"{name(path)} imports {library}; only {ONLY_IN[library]} may"


def test_an_embedded_node_needs_no_event_loop() -> None:
    for path in modules("runtime/embedded"):
        assert "asyncio" not in {module for module, _ in imports(path)}, f"{name(path)} is driven by its caller"


@pytest.mark.parametrize("room", CLOCKLESS)
def test_only_drivers_and_the_client_read_clocks(room: str) -> None:
    for path in modules(room):
        clocks = {module.split(".")[0] for module, _ in imports(path)} & CLOCKS_AND_DICE
        assert not clocks, f"{name(path)} imports {sorted(clocks)}: time and chance are handed in by a driver"


def test_nothing_is_imported_that_is_not_declared() -> None:
    declared = {"apsw", "msgspec", "uvloop", "click", "rich", "cryptography", "sqlalchemy", "django", "quorate"}
    for path in modules():
        for module, _ in imports(path):
            top = module.split(".")[0]
            assert top in declared or top in sys.stdlib_module_names, f"{name(path)} imports {top}"
    text = (ROOT / "pyproject.toml").read_text()
    for library in declared - {"quorate"}:
        assert re.search(rf'"{library}(\[\w+\])? >=', text)


def test_names_are_imported_from_where_they_are_defined() -> None:
    """`import name as name` re-exports; only the public modules may."""
    for path in modules():
        if path.parent != PACKAGE:
            passed_on = [
                f"{name(path)}:{node.lineno}"
                for node in ast.walk(tree(path))
                if isinstance(node, ast.ImportFrom) and any(each.name == each.asname for each in node.names)
            ]
            assert not passed_on
