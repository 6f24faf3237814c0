"""Which requests have already been answered: the memory behind exactly-once.

It is part of the replicated state: what it holds and when it forgets follow from the log alone, so every
replica answers a repeated request alike. One blob for each entry holds its tokens and outcomes (a row for each
request cut writes from 90,000/s to 35,000); here are only the tokens, and where to find them.
"""

from collections import deque
from collections.abc import Callable, Iterable

from quorate.core.statements import BOUND, Failed
from quorate.storage.rows.payload import CANCELLED, EXPIRED, Record, encode

REUSED = encode(
    Failed(
        "TokenReused",
        "the token was used for other statements before",
        "give each write a token of its own, and send a write again exactly as it was",
    )
)

TOKENS_MAX = 262_144
BYTES_MAX = 64 * 1024 * 1024


class Window:
    """Token -> index of the entry that recorded it. Pure: the blobs themselves are the data file's."""

    __slots__ = ("_entries", "_index", "bytes", "bytes_max", "floor", "tokens_max")

    def __init__(self, floor: int = 0, tokens_max: int = TOKENS_MAX, bytes_max: int = BYTES_MAX) -> None:
        self.floor = floor
        """The newest index that was forgotten. A token sent when its client had seen less may have been in it."""
        self.bytes = 0
        self.tokens_max = tokens_max
        self.bytes_max = bytes_max
        self._index: dict[str, int] = {}
        self._entries: deque[tuple[int, tuple[str, ...], int]] = deque()

    def copy(self) -> "Window":
        """One that goes its own way from here."""
        copy = Window(self.floor, self.tokens_max, self.bytes_max)
        copy.bytes = self.bytes
        copy._index, copy._entries = self._index.copy(), self._entries.copy()
        return copy

    def __len__(self) -> int:
        return len(self._index)

    def find(self, token: str) -> int | None:
        """The index of the entry that recorded this token."""
        return self._index.get(token)

    def expired(self, seen: int) -> bool:
        """Could a token that is unknown, from a client that had seen this index, have been forgotten?"""
        return seen < self.floor

    def add(self, index: int, tokens: Iterable[str], size: int) -> int | None:
        """Remember an entry's tokens, whose blob has `size` bytes. Whole old entries are forgotten when there is
        no more room, never this one; then the new floor is returned."""
        names = tuple(tokens)
        for name in names:
            self._index[name] = index
        self._entries.append((index, names, size))
        self.bytes += size
        before = self.floor
        while (len(self._index) > self.tokens_max or self.bytes > self.bytes_max) and len(self._entries) > 1:
            self._forget_oldest()
        return self.floor if self.floor != before else None

    def _forget_oldest(self) -> None:
        index, names, size = self._entries.popleft()
        self.bytes -= size
        self.floor = index
        for name in names:
            if self._index.get(name) == index:
                del self._index[name]


def name_of(token: str) -> str:
    """The name in the id of a token: the same object where there is nothing else in it."""
    return token.partition(BOUND)[0] if BOUND in token else token


def repeated(token: str, known: bytes, remembers: Callable[[str], bool]) -> bytes:
    """What is answered to a write whose token's name is known: what it was told, or that this is another write."""
    if BOUND not in token or known in (CANCELLED, EXPIRED) or remembers(token):
        return known
    return REUSED


def note_id(token: str, fresh: dict[str, bytes], records: list[Record]) -> None:
    """Remember the whole id of a token that is bound to its statements, beside its name, with nothing to tell."""
    fresh[token] = EXPIRED
    records.append((token, EXPIRED))


def records_of(token: str, kept: bytes) -> list[Record]:
    """How the outcome of one write is remembered."""
    records = [(name_of(token), kept)]
    if BOUND in token:
        note_id(token, {}, records)
    return records
