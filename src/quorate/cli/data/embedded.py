"""What commands do with the folder of an embedded database, where there is no cluster to ask."""

import secrets
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from quorate.client.lost import Lost, LostWrite, Replayed, merged, replayed
from quorate.core.formats import HERE
from quorate.core.kernel import CATALOG_DATABASE, LostRead, ReadLost
from quorate.core.requests import LostAsk, LostReport, Replay, Upgrade, Verify
from quorate.core.statements import Token
from quorate.core.verdicts import VerifyReport
from quorate.errors import DataDamaged
from quorate.runtime.embedded.adopting import explained
from quorate.runtime.embedded.opening import open_folder
from quorate.storage.folder import is_node
from quorate.wire.answers import decoded, read_outcome, results_of


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
            return [decoded(node.request(Verify(name)).outcome, VerifyReport) for name in (CATALOG_DATABASE, "main")]
    except DataDamaged as error:
        node.close()
        raise explained(folder, "main", error) from None
    finally:
        node.close()


class FolderLost:
    """What an embedded folder keeps of what was lost: as much of a `Cluster` as `quorate lost` needs. Raises errors of
    `quorate`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._node = open_folder(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._node.close()

    def lost(self, database: str = "") -> Lost:
        """As `Cluster.lost`."""
        return merged([(str(self._folder), self._ask(LostAsk(database)))])

    def lost_payload(self, write: LostWrite) -> bytes:
        """As `Cluster.lost_payload`."""
        return self._ask(LostAsk(write.database, write.group, write.epoch, write.index)).payload

    def replay(self, write: LostWrite) -> Replayed:
        """As `Cluster.replay`."""
        place = (write.database, write.group, write.epoch, write.index)
        with self._node.writing:
            _, seen = self._node.start(write.database)
            begun = self._ask(LostAsk(*place, "begun", seen))
            token = Token(f"lost:{write.name}", begun.seen)
            answer = self._node.request(Replay(write.database, begun.payload, token))
            done = results_of(read_outcome(answer.outcome), token)
            self._ask(LostAsk(*place, "replayed"))
        return replayed(done.results[0])

    def _ask(self, question: LostAsk) -> LostReport:
        (event,) = self._node.store.perform(ReadLost(0, question))
        assert isinstance(event, LostRead), "storage answers what it was asked"
        return cast("LostReport", event.report)


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
