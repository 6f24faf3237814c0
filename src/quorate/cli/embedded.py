"""What commands do with the folder of an embedded database, where there is no cluster to ask."""

import secrets
from pathlib import Path

from quorate.client.results import read_outcome, results_of, verify_report
from quorate.core.formats import HERE
from quorate.core.kernel import CATALOG_DATABASE
from quorate.core.requests import Token, Upgrade, Verify, VerifyReport
from quorate.runtime.embedded import open_folder
from quorate.storage.folder import is_node


def is_embedded(target: str | None) -> bool:
    """Whether this names a folder in which a node lives."""
    return target is not None and "://" not in target and is_node(Path(target))


def verify_folder(folder: Path) -> list[VerifyReport]:
    """Examine the data files of an embedded folder. Raises errors of `quorate`."""
    node = open_folder(folder)
    try:
        with node.writing:
            for name in (CATALOG_DATABASE, "main"):
                node.start(name)
            return [verify_report(node.request(Verify(name)).outcome) for name in (CATALOG_DATABASE, "main")]
    finally:
        node.close()


def upgrade_folder(folder: str, *, finalize: bool) -> int:
    """The number of the folder's format; with `finalize`, after it was raised to the newest."""
    node = open_folder(Path(folder))
    try:
        with node.writing:
            if finalize:
                _, index = node.start(CATALOG_DATABASE)
                token = Token(f"upgrade-{secrets.token_hex(8)}", index)
                results_of(read_outcome(node.request(Upgrade(HERE.highest, token)).outcome), token)
        return node.store.identity.format
    finally:
        node.close()
