"""No number that arrives can be one that a node cannot store, or cannot count on from."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from quorate.core.bounds import BOOT_MAX, EPOCH_MAX, INDEX_BITS
from quorate.core.entries import DATA, Entry, Position
from quorate.core.messages import GroupHeartbeat, Heartbeat, Message
from quorate.core.replication import message_kinds
from quorate.core.requests import Ask, FailoverReport, Told
from quorate.core.single_leader.messages import Append, PreVoteReply, Vote
from quorate.core.statements import Result
from quorate.core.verdicts import VerifyReport
from quorate.wire.codec import decode_ask, decode_message, encode
from quorate.wire.frames import FrameCorrupt, NotOurProtocol
from quorate.wire.handshake import Hello, Refusal, greeting, meet


def unbounded(kind: Any, where: str, seen: set[int]) -> Iterator[str]:
    """Where in this type, as msgspec sees it, there is an integer that may be anything."""
    if isinstance(kind, msgspec.inspect.IntType):
        if kind.ge is None or kind.le is None:
            yield where
    elif id(getattr(kind, "cls", kind)) not in seen:
        if isinstance(kind, msgspec.inspect.StructType):
            seen.add(id(kind.cls))
            for field in kind.fields:
                yield from unbounded(field.type, f"{kind.cls.__name__}.{field.name}", seen)
        for inner in ("types", "item_types"):
            for each in getattr(kind, inner, ()):
                yield from unbounded(each, where, seen)
        for inner in ("item_type", "key_type", "value_type"):
            if hasattr(kind, inner):
                yield from unbounded(getattr(kind, inner), where, seen)


@pytest.mark.parametrize(
    "kind",
    [*message_kinds(), Ask, Told, Hello, Refusal, Result, VerifyReport, FailoverReport],
    ids=lambda kind: str(kind)[:40],
)
def test_every_integer_of_every_message_is_bounded(kind: Any) -> None:
    assert not list(unbounded(msgspec.inspect.type_info(kind), "", set()))


def test_the_check_finds_an_integer_without_bounds() -> None:
    class Loose(msgspec.Struct):
        rows: tuple[dict[str, int], ...]

    assert list(unbounded(msgspec.inspect.type_info(Loose | None), "", set())) == ["Loose.rows"]


@pytest.mark.parametrize(
    "message",
    [
        Vote(1, EPOCH_MAX + 1, Position(1, 1)),
        Vote(1, 1, Position(EPOCH_MAX + 1, 1)),
        Vote(-1, 1, Position(1, 1)),
        PreVoteReply(1, (1 << 63) - 1, granted=False),
        PreVoteReply(1, (1 << 64) - 1, granted=False),
        Append(1, 1, Position(1, 1 << INDEX_BITS), (), 0),
        Append(1, 1, Position(1, 1), (Entry(1 << INDEX_BITS, 1, DATA, b""),), 0),
        Append(1, 1, Position(1, 1), (), -1),
        Heartbeat(1, BOOT_MAX + 1),
        Heartbeat(1, 1, (GroupHeartbeat(1 << 23, 1, 1),)),
    ],
    ids=str,
)
def test_a_number_beyond_its_bounds_is_refused(message: Message) -> None:
    with pytest.raises(FrameCorrupt):
        decode_message(encode(message))


def test_a_caller_names_no_index_beyond_its_bounds() -> None:
    body = {"type": "outcome", "database": "main", "token": ["t", 1 << 63]}
    with pytest.raises(FrameCorrupt):
        decode_ask(msgspec.msgpack.encode(["ask", 1, body]))


def test_a_greeting_names_no_life_beyond_its_bounds() -> None:
    with pytest.raises(NotOurProtocol):
        meet(Hello("node"), greeting(Hello("node", boot=BOOT_MAX + 1))[8:])
