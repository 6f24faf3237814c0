"""The package's public names stand in one table; what readers of types are shown follows it."""

import ast
import inspect

import quorate
from quorate import errors


def shown_to_readers_of_types() -> dict[str, tuple[str, str]]:
    """Name -> the module that it is imported from there, and its name in it."""
    tree = ast.parse(inspect.getsource(quorate))
    (block,) = [each for each in tree.body if isinstance(each, ast.If) and ast.unparse(each.test) == "TYPE_CHECKING"]
    imported = {
        alias.asname or alias.name: (str(each.module), alias.name)
        for each in block.body
        if isinstance(each, ast.ImportFrom)
        for alias in each.names
    }
    for each in block.body:
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name) and isinstance(each.value, ast.Name):
            imported[each.targets[0].id] = imported.pop(each.value.id)
    return imported


def test_readers_of_types_are_shown_what_is_imported_later() -> None:
    table = {}
    for name, where in quorate._LATER.items():
        module, _, attribute = where.partition(":")
        table[name] = module, attribute or name
    shown = shown_to_readers_of_types()
    assert shown.pop("Secret")[0] == "quorate.client.credentials", "an argument's type, and no public name"
    assert shown == {name: where for name, where in table.items() if name != "__version__"}


def test_every_error_is_public() -> None:
    found = {name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, Exception)}
    assert len(found) > 30
    assert found <= set(quorate.__all__)


def test_nothing_else_is_public() -> None:
    assert len(quorate.__all__) == len(set(quorate.__all__))
    own = {"apilevel", "connect", "paramstyle", "threadsafety"}
    assert {name for name in quorate.__all__ if not hasattr(errors, name)} == {*quorate._LATER, *own} - {"__version__"}
