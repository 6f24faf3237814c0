"""The bytes of HTTP/2, HPACK and gRPC, held against the examples of their specifications."""

import struct

import pytest
from bench.http2 import Answers, Ended, Method, field, frame, header_block, integer, opening, varint
from bench.load_etcd import Caller, Spec
from bench.loop import Tally

from bench import http2


@pytest.mark.parametrize(("value", "prefix", "expected"), [(10, 5, "0a"), (1337, 5, "1f9a0a"), (42, 8, "2a")])
def test_integers_as_in_the_appendix_of_hpack(value: int, prefix: int, expected: str) -> None:
    """RFC 7541, C.1."""
    assert integer(value, prefix).hex() == expected


def test_literal_header_field_without_indexing() -> None:
    """RFC 7541, C.2.2, with the name written out instead of indexed."""
    assert header_block([(":path", "/sample/path")]) == b"\x00\x05:path\x0c/sample/path"


def test_varints_as_in_the_protobuf_guide() -> None:
    assert varint(150) == b"\x96\x01"
    assert field(2, b"testing") == b"\x12\x07testing"
    assert field(1, 150) == b"\x08\x96\x01"


def test_a_frame_begins_with_nine_bytes() -> None:
    assert frame(http2.PING, http2.ACK, 0, b"12345678") == b"\x00\x00\x08\x06\x01\x00\x00\x00\x0012345678"
    assert frame(http2.DATA, 0, 5, b"x" * 70_000)[:9] == b"\x01\x11\x70\x00\x00\x00\x00\x00\x05"


def test_a_client_opens_with_the_preface_settings_and_a_wide_window() -> None:
    data = opening().removeprefix(http2.PREFACE)
    assert data[:9] == b"\x00\x00\x0c\x04\x00\x00\x00\x00\x00"
    assert data[-4:] == struct.pack(">I", 2**31 - 1 - 65_535)


def test_a_call_is_headers_and_data_on_its_stream() -> None:
    data = Method("127.0.0.1:1", "/etcdserverpb.KV/Put").call(7, b"message")
    size = int.from_bytes(data[:3], "big")
    assert data[3:9] == b"\x01\x04\x00\x00\x00\x07"
    assert b"/etcdserverpb.KV/Put" in data[9 : 9 + size]
    rest = data[9 + size :]
    assert rest == frame(http2.DATA, http2.END_STREAM, 7, b"\x00\x00\x00\x00\x07message")


def answer(stream: int) -> bytes:
    """A unary answer as a gRPC server sends it."""
    return (
        frame(http2.HEADERS, http2.END_HEADERS, stream, b"\x88")
        + frame(http2.DATA, 0, stream, b"\x00\x00\x00\x00\x02hi")
        + frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, stream, b"\x88")
    )


def ends(found: list[Ended]) -> list[tuple[int, bool]]:
    return [(each.stream, each.good) for each in found]


def test_answers_in_chunks_of_any_size() -> None:
    whole = frame(http2.SETTINGS, 0, 0, b"") + answer(1) + frame(http2.PING, 0, 0, b"abcdefgh") + answer(3)
    for size in (1, 2, 7, 10, len(whole)):
        answers = Answers()
        found = [each for at in range(0, len(whole), size) for each in answers.feed(whole[at : at + size])]
        assert ends(found) == [(1, True), (3, True)]
        assert answers.reply == frame(http2.SETTINGS, http2.ACK, 0) + frame(http2.PING, http2.ACK, 0, b"abcdefgh")


def test_an_end_without_a_message_is_a_failure() -> None:
    answers = Answers()
    trailers_only = frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, 1, b"\x88")
    reset = frame(http2.RST_STREAM, 0, 3, b"\x00\x00\x00\x07")
    assert ends(list(answers.feed(trailers_only + reset))) == [(1, False), (3, False)]
    assert not answers.going_away
    answers.feed(frame(http2.GOAWAY, 0, 0, b"\x00" * 8))
    assert answers.going_away


def test_a_caller_keeps_one_call_under_way() -> None:
    tally = Tally()
    tally.measuring = True
    caller = Caller(Spec(("a:1",), "update"), tally, "a:1", 0)
    assert caller.hello() == opening()
    first = caller.received(frame(http2.SETTINGS, 0, 0, b""), 1.0)
    assert first.startswith(frame(http2.SETTINGS, http2.ACK, 0))
    assert (caller.stream, caller.owed) == (1, 1)
    assert caller.received(answer(1), 1.5)
    assert tally.latencies == [0.5]
    tally.stopping = True
    assert caller.received(answer(3), 2.0) == b""
    assert caller.owed == 0
    assert tally.failures == {}
