"""Bookmarks: how far a session has got, as a text that a program may keep, send and merge.

A bookmark names places in the logs of one cluster's groups: (group, epoch, index). Whoever shows it wants to see all of
that, and nothing that lacks any of it. Two places of different epochs of one group are both kept, for only a log can
tell whether the one is part of what the other is the end of; a node that answers has looked, and names the one place
that stands for both.

As a text it is a number in base 64 (with the alphabet of URLs, at most 64 digits), whose bytes are: a version, five
bytes of a digest of the cluster's id, each place as three variable-length integers, and two bytes of a checksum.
"""

import functools
import string
from collections.abc import Iterable
from hashlib import blake2b
from typing import Self
from zlib import crc32

from msgspec import Struct

from quorate.core.bounds import EPOCH_MAX, GROUP_BITS, INDEX_BITS, Count, Epoch, GroupId, Index
from quorate.errors import ProgrammingError

TEXT_MAX = 64
PLACES_MAX = 4
_VERSION = 1
_CLUSTER_BYTES = 5
_CHECK_BYTES = 2
_HEAD = 1 + _CLUSTER_BYTES
_VARINT_BYTES_MAX = 9
_DIGITS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
_VALUES = {sign: value for value, sign in enumerate(_DIGITS)}
_HINT = "pass what str(connection.bookmark) gave"


class Reached(Struct, frozen=True, array_like=True, order=True, gc=False):
    """A place in a group's log."""

    group: GroupId
    epoch: Epoch
    index: Index


class Bookmark(Struct, frozen=True, array_like=True):
    """How far a session has got. Made by `Connection.bookmark` and `Bookmark.parse`; empty when nothing was seen yet.
    `str` gives it as a text of at most 64 printable characters."""

    cluster: Count = 0
    """A digest of the cluster's id; 0 while nothing was seen."""
    places: tuple[Reached, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """From what `str` gave. Raises ProgrammingError for anything else."""
        if not text:
            return cls()
        raw = _raw(text)
        body, check = raw[:-_CHECK_BYTES], raw[-_CHECK_BYTES:]
        if len(body) < _HEAD or _checksum(body) != check:
            raise ProgrammingError(f"{text!r:.80} is not a bookmark, or not all of one", hint=_HINT)
        if body[0] != _VERSION:
            raise ProgrammingError(f"the bookmark {text!r} is of another release", hint="begin a new session")
        numbers = _numbers(body[_HEAD:])
        places = tuple([Reached(*numbers[at : at + 3]) for at in range(0, len(numbers) - 2, 3)])
        bookmark = cls(int.from_bytes(body[1:_HEAD], "big"), places)
        if len(numbers) % 3 or not all(_is_place(each) for each in places) or str(bookmark) != text:
            raise ProgrammingError(f"{text!r:.80} is not a bookmark", hint=_HINT)
        return bookmark

    def __str__(self) -> str:
        if not self.places:
            return ""
        body = bytes((_VERSION,)) + self.cluster.to_bytes(_CLUSTER_BYTES, "big")
        for place in self.places:
            body += _varint(place.group) + _varint(place.epoch) + _varint(place.index)
        return _text(body + _checksum(body))

    def __bool__(self) -> bool:
        return bool(self.places)

    def merge(self, other: "Bookmark") -> "Bookmark":
        """One that has seen what either has seen: `a | b` is the same.

        Raises ProgrammingError for bookmarks of two clusters, and where 64 characters do not hold both.
        """
        if not isinstance(other, Bookmark):
            raise ProgrammingError(f"a bookmark is merged with a bookmark, not with {type(other).__name__}")
        if self.cluster != other.cluster and self and other:
            raise ProgrammingError("these two bookmarks are of two clusters", hint="keep one for each cluster")
        places = reduced((*self.places, *other.places))
        merged = Bookmark(self.cluster or other.cluster, places)
        if len(places) > PLACES_MAX or len(str(merged)) > TEXT_MAX:
            hint = "read once with each of them, and merge what the connections have then"
            raise ProgrammingError(f"one bookmark holds at most {PLACES_MAX} places", hint=hint)
        return merged

    __or__ = merge

    def moved(self, known: "Bookmark", cluster: int, to: Reached) -> "Bookmark":
        """After an answer from this place, whose node had seen that it includes all that `known` names. Where more is
        left than a bookmark holds, the newest is."""
        if len(self.places) == 1:
            (place,) = self.places
            if place.group == to.group and place.epoch == to.epoch:
                return self if place.index >= to.index else Bookmark(cluster, (to,))
        here = to.group, to.epoch
        left = [each for each in self.places if each not in known.places or (each.group, each.epoch) == here]
        return fitting(cluster, reduced((*left, to)))


def reduced(places: Iterable[Reached]) -> tuple[Reached, ...]:
    """Without those that another place of the same group and epoch includes."""
    newest: dict[tuple[int, int], Reached] = {}
    for place in places:
        key = place.group, place.epoch
        if key not in newest or newest[key].index < place.index:
            newest[key] = place
    return tuple(sorted(newest.values()))


def fitting(cluster: int, places: tuple[Reached, ...]) -> Bookmark:
    """The newest of these places that one bookmark holds."""
    places = places[-PLACES_MAX:]
    while len(places) > 1 and len(str(Bookmark(cluster, places))) > TEXT_MAX:
        places = places[1:]
    return Bookmark(cluster, places)


@functools.lru_cache(64)
def digest_of(cluster: str) -> int:
    """What bookmarks keep of a cluster's id."""
    return int.from_bytes(blake2b(cluster.encode(), digest_size=_CLUSTER_BYTES).digest(), "big") or 1


def _is_place(place: Reached) -> bool:
    return place.group < 1 << GROUP_BITS and 0 < place.epoch <= EPOCH_MAX and place.index < 1 << INDEX_BITS


def _checksum(body: bytes) -> bytes:
    return (crc32(body) & 0xFFFF).to_bytes(_CHECK_BYTES, "big")


def _text(raw: bytes) -> str:
    number, digits = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits


def _raw(text: str) -> bytes:
    """What `_text` was given; nothing where it gave no such text."""
    number = 0
    for sign in text if len(text) <= TEXT_MAX else "":
        value = _VALUES.get(sign)
        if value is None:
            return b""
        number = number * len(_DIGITS) + value
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last have the eighth set."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _numbers(body: bytes) -> list[int]:
    """Every integer in there; one too many where the last does not end."""
    numbers, number, shift = [], 0, 0
    for byte in body:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
        elif shift > 7 * _VARINT_BYTES_MAX:
            return []
    return numbers if not shift else []
