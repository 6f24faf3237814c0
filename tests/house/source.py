"""What the house tests share: the project's files, parsed once."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "quorate"
CODE_FOLDERS = ("src", "tests", "bench", "tools", "examples")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def modules(room: str = "") -> list[Path]:
    """Every module of the package, or of one room such as "core" or "lab/sim"."""
    return sorted((PACKAGE / room).rglob("*.py"))


def code() -> list[Path]:
    """Every Python file that we wrote."""
    return sorted(path for folder in CODE_FOLDERS for path in (ROOT / folder).rglob("*.py"))


def texts() -> list[Path]:
    """Every text file that belongs to the repository, whatever its language."""
    kinds = {".py", ".md", ".toml", ".txt", ".sql", ".cfg", ".yml", ".yaml", ".json", ".html", ".js", ".css"}
    places = [ROOT / folder for folder in (*CODE_FOLDERS, "docs", ".ci")]
    found = [path for place in places for path in place.rglob("*") if path.suffix in kinds or path.parent.name == ".ci"]
    found += [path for path in ROOT.iterdir() if path.suffix in kinds]
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


def name(path: Path) -> str:
    """How messages call a file: its path from the root of the checkout."""
    return path.relative_to(ROOT).as_posix()


def dotted(path: Path) -> str:
    """The import name of a module of the package."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str) -> bool:
    """Is this import name a module or package of ours?"""
    path = PACKAGE.parent.joinpath(*name.split("."))
    return name.startswith("quorate") and (path.with_suffix(".py").exists() or (path / "__init__.py").exists())


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, and whether only for the type checker.

    `from package import name` gives package.name when that is a module of ours, else the package.
    """
    yield from _imports(tree(path), dotted(path), path.name == "__init__.py", False)


def _imports(node: ast.AST, module: str, is_package: bool, typing_only: bool) -> Iterator[tuple[str, bool]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, typing_only
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            above = module.split(".")
            above = above[: len(above) - node.level + is_package]
            base = ".".join([*above, *([node.module] if node.module else [])])
        inner = [f"{base}.{alias.name}" for alias in node.names]
        if not all(is_module(each) for each in inner):
            yield base, typing_only
        for each in inner:
            if is_module(each):
                yield each, typing_only
    else:
        guarded = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.iter_child_nodes(node):
            yield from _imports(child, module, is_package, typing_only or guarded)
