import msgspec
import pytest

from quorate.wire.frames import FrameCorrupt, FrameReader, FrameTooLong, NotOurProtocol, WireError
from quorate.wire.handshake import (
    CLIENT,
    NODE,
    ClusterRefused,
    Hello,
    NodeRefused,
    RefusedByPeer,
    VersionRefused,
    greeting,
    meet,
    read_refusal,
    refusal,
    spoken,
)

HERE = Hello(NODE, cluster="c1", node=7, name="n1", boot=3)
THERE = Hello(NODE, cluster="c1", node=8, name="n2", boot=1)
CLIENT_HELLO = Hello(CLIENT)


def sent(hello: Hello) -> bytes:
    (payload,) = FrameReader().feed(greeting(hello))
    return payload


def test_a_greeting_arrives_as_it_was_sent() -> None:
    assert meet(HERE, sent(THERE)) == THERE


def test_a_client_need_not_know_the_cluster() -> None:
    assert meet(HERE, sent(CLIENT_HELLO)) == CLIENT_HELLO
    assert meet(CLIENT_HELLO, sent(HERE)) == HERE


@pytest.mark.parametrize(
    ("mine", "theirs", "error"),
    [
        (HERE, {"version": 0, "oldest": 0}, VersionRefused),
        (HERE, {"version": 9, "oldest": 8}, VersionRefused),
        (HERE, {"cluster": "c2"}, ClusterRefused),
        (HERE, {"wanted": 99}, NodeRefused),
        (msgspec.structs.replace(HERE, wanted=99), {}, NodeRefused),
        (HERE, {"role": "visitor"}, NotOurProtocol),
    ],
)
def test_who_cannot_be_talked_to_is_refused_with_a_type(
    mine: Hello, theirs: dict[str, object], error: type[WireError]
) -> None:
    with pytest.raises(error):
        meet(mine, sent(msgspec.structs.replace(THERE, **theirs)))


def test_versions_that_overlap_agree_on_the_newest_common_one() -> None:
    newer = msgspec.structs.replace(THERE, version=5, oldest=1)
    assert meet(HERE, sent(newer)) == newer
    assert spoken(HERE, newer) == HERE.version == spoken(newer, HERE)


def test_a_later_version_may_greet_with_more_fields() -> None:
    longer = msgspec.msgpack.encode([*msgspec.msgpack.decode(sent(THERE)), "something new", 42])
    assert meet(HERE, longer) == THERE


@pytest.mark.parametrize("first", [HERE, THERE])
def test_a_field_more_that_is_nested_too_deeply_is_not_our_protocol(first: Hello) -> None:
    payload = sent(first)
    deep = bytes([payload[0] + 1]) + payload[1:] + b"\x91" * 3000 + b"\x00"
    with pytest.raises(NotOurProtocol):
        meet(HERE, deep)
    with pytest.raises(FrameCorrupt):
        read_refusal(deep)


def test_a_refusal_arrives_with_its_reason() -> None:
    (payload,) = FrameReader().feed(refusal(ClusterRefused("another cluster")))
    with pytest.raises(RefusedByPeer, match="another cluster") as caught:
        meet(HERE, payload)
    assert caught.value.reason == "cluster"
    assert read_refusal(payload).reason == "cluster"


def test_a_second_greeting_is_no_refusal() -> None:
    with pytest.raises(FrameCorrupt):
        read_refusal(sent(HERE))


@pytest.mark.parametrize(
    "payload", [b"", b"\xc1", b"\x90", msgspec.msgpack.encode(["other"]), b"\x91\xa7quora\xff\xff"]
)
def test_garbage_in_a_sound_frame_is_not_our_protocol(payload: bytes) -> None:
    with pytest.raises(NotOurProtocol):
        meet(HERE, payload)


def test_codes_of_errors_are_distinct() -> None:
    kinds: list[type[WireError]] = [FrameTooLong, FrameCorrupt, NotOurProtocol, RefusedByPeer]
    kinds += [VersionRefused, ClusterRefused, NodeRefused]
    assert len({kind.code for kind in kinds}) == len(kinds)
