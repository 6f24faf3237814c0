from typing import Any, cast

import msgspec
import pytest

from quorate.core.entries import DATA, Entry, Position
from quorate.core.messages import GroupHeartbeat, Heartbeat, HeartbeatReply, Message
from quorate.core.replication import message_kinds
from quorate.core.requests import (
    Answer,
    Ask,
    Done,
    NotLeader,
    Outcome,
    Refused,
    RequestBody,
    Run,
    Status,
    StatusReport,
    Told,
)
from quorate.core.scripts import Evaluated, Pin, RunOfAttempts, Script, Step
from quorate.core.single_leader.messages import Append, SnapshotChunk, Vote
from quorate.core.statements import Failed, Result, Statement, Token
from quorate.errors import InternalError, SerializationFailure
from quorate.wire.answers import evaluated_of, read_script
from quorate.wire.codec import add_message, decode_ask, decode_message, decode_told, encode
from quorate.wire.frames import FrameCorrupt, FrameReader, FrameTooLong, frame
from quorate.wire.handshake import RefusedByPeer, VersionRefused, refusal

MESSAGES: list[Message] = [
    Heartbeat(3, 1, (GroupHeartbeat(1, 2, 3),), ()),
    HeartbeatReply(3, 1),
    Vote(1, 9, Position(8, 100), transfer=True),
    Append(1, 9, Position(8, 100), (Entry(101, 9, DATA, b"\x00payload\xff"),), 99),
    SnapshotChunk(1, 9, 4, 1 << 40, bytes(1000), True, Position(8, 100)),
]


def past_greeting() -> FrameReader:
    reader = FrameReader()
    reader.feed(HELLO)
    return reader


HELLO = frame(encode(MESSAGES[0]))


def test_messages_arrive_as_they_were_sent() -> None:
    payloads = past_greeting().feed(b"".join(frame(encode(message)) for message in MESSAGES))
    assert [decode_message(payload) for payload in payloads] == MESSAGES


def test_every_kind_of_message_has_its_own_tag() -> None:
    tags = [cast(Any, kind).__struct_config__.tag for kind in message_kinds()]
    assert all(isinstance(tag, int) for tag in tags)
    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize(
    "body",
    [
        Run("main", (Statement("SELECT ?1", ((1, None, 2.5, "å", b"\x00"),)),), token=Token("t", 4)),
        Run("main", (Statement("INSERT INTO t VALUES (:a)", ({"a": 1}, {"a": 2}), True),)),
        Outcome("main", Token("t", 4)),
        Script("main", (Step(Statement("SELECT 1"), b"digest", Pin(1, 2, (("t", 5),))), Step(Statement("SELECT 2")))),
        Script("main", (), commit=True, token=Token("t", 4), run=RunOfAttempts("r", 2)),
        Status(),
    ],
)
def test_requests_arrive_as_they_were_sent(body: RequestBody) -> None:
    assert decode_ask(encode(Ask(5, body))) == Ask(5, body)


def test_what_a_transaction_gave_arrives_as_it_was_sent() -> None:
    given = Result((("a", "INT"),), [(1,), (b"x",)], -1), None
    gave = Evaluated(given, (None, Failed("IntegrityError", "m")), (b"1", b"2"), (Pin(1, 2), None), "DDL")
    found = evaluated_of(read_script(msgspec.msgpack.encode(gave)))
    assert found == gave
    assert found.outcomes == (given[0], gave.failures[1])


def test_a_transaction_that_ended_raises_why() -> None:
    failed = Failed("SerializationFailure", "changed")
    with pytest.raises(SerializationFailure, match="changed") as raised:
        evaluated_of(read_script(msgspec.msgpack.encode(failed)))
    assert raised.value.retryable
    with pytest.raises(InternalError):
        evaluated_of(Done(()))


def test_an_outcome_travels_encoded_and_unopened() -> None:
    outcome = msgspec.msgpack.encode(Done((Result((("a", "INT"),), [(1,), (b"x",)], -1),)))
    told = decode_told(encode(Told(5, Answer(msgspec.Raw(outcome), 12))))
    assert isinstance(told.body, Answer)
    assert told.body.index == 12
    assert bytes(told.body.outcome) == outcome


@pytest.mark.parametrize("body", [NotLeader("h:1"), Refused("Overloaded", "m"), StatusReport("c", 1, "n", 2, (), ())])
def test_answers_arrive_as_they_were_sent(body: Any) -> None:
    assert decode_told(encode(Told(1, body))) == Told(1, body)


def test_a_refusal_in_place_of_an_answer_is_raised() -> None:
    (payload,) = past_greeting().feed(refusal(VersionRefused("too old")))
    with pytest.raises(RefusedByPeer, match="too old"):
        decode_told(payload)


@pytest.mark.parametrize("decode", [decode_message, decode_ask, decode_told])
@pytest.mark.parametrize(
    "payload", [b"", b"\xc1", b"\x90", b"\x93\xa3ask\x01\xff", b"\x92\xa1\xff\x01", encode(Ask(1, Status())) + b"\x00"]
)
def test_what_cannot_be_decoded_is_corrupt(decode: Any, payload: bytes) -> None:
    with pytest.raises(FrameCorrupt):
        decode(payload)


def test_a_value_nested_too_deeply_is_corrupt() -> None:
    whole = encode(Ask(1, Run("main", (Statement("S", ((7,),)),))))
    with pytest.raises(FrameCorrupt):
        decode_ask(whole.replace(b"\x91\x91\x07", b"\x91\x91" + b"\x91" * 100_000 + b"\x07"))


def test_a_message_too_long_leaves_the_buffer_as_it_was() -> None:
    out = bytearray(b"before")
    with pytest.raises(FrameTooLong):
        add_message(out, SnapshotChunk(1, 1, 1, 0, bytes(65 << 20), False, Position(1, 1)))
    assert out == b"before"


def test_a_node_that_knows_less_of_a_request_takes_what_it_knows() -> None:
    """New clients ask old nodes: what they say beside it is passed over."""

    class OldStatus(msgspec.Struct, frozen=True, tag="status"):
        """As it was before clients asked for the members alone."""

    class OldRun(msgspec.Struct, frozen=True, tag="run"):
        database: str

    class OldAsk(msgspec.Struct, frozen=True, array_like=True, tag="ask"):
        id: int
        body: OldStatus | OldRun

    asked = encode(Ask(7, Status(members_only=True)))
    assert msgspec.msgpack.decode(asked, type=OldAsk) == OldAsk(7, OldStatus())
