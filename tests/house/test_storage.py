"""Storage keeps what a replication writes down, and understands none of it: it executes changes of rows, no more."""

import ast

from tests.house.source import imports, modules, name, tree

PROTOCOL = ("quorate.core.ack_policy", "quorate.core.membership", "quorate.core.quorum", "quorate.core.single_leader")
KINDS = {"NOOP", "ACKS", "MEMBERS"}
"""Of control entries."""


def test_storage_does_not_parse_the_protocol() -> None:
    for path in modules("storage"):
        for module, _ in imports(path):
            assert not module.startswith(PROTOCOL), f"{name(path)} imports {module}"
        for node in ast.walk(tree(path)):
            known = {each.name for each in node.names} if isinstance(node, ast.ImportFrom) else set()
            assert not KINDS & known, f"{name(path)} knows kinds of entries that it does not execute"
