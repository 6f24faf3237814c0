import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core.limits import FRAME_BYTES_MAX
from quorate.wire.frames import (
    GREETING_BYTES_MAX,
    HEADER,
    HEADER_BYTES,
    FrameCorrupt,
    FrameReader,
    FrameTooLong,
    NotOurProtocol,
    frame,
)


def greeted() -> FrameReader:
    """A reader that is past the first frame of its stream."""
    reader = FrameReader()
    assert reader.feed(frame(b"hello")) == [b"hello"]
    return reader


@given(st.lists(st.binary(max_size=300), max_size=12), st.data())
def test_any_cut_of_the_stream_gives_the_same_payloads(payloads: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(frame(payload) for payload in payloads)
    reader, seen, at = FrameReader(), [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, len(stream) - at))
        seen += reader.feed(stream[at : at + size])
        at += size
    assert seen == payloads
    assert reader.feed(frame(b"next")) == [b"next"]


def test_a_long_frame_in_many_chunks_is_held_once() -> None:
    payload = bytes(range(256)) * 4096
    reader, stream = greeted(), frame(payload)
    held = 0
    while held + 1000 < len(stream):
        assert reader.feed(stream[held : held + 1000]) == []
        held += 1000
    assert reader.feed(stream[held:]) == [payload]
    assert reader.feed(stream) == [payload]


@given(st.binary(min_size=1, max_size=60), st.integers(0), st.integers(0, 7))
def test_every_flipped_bit_is_noticed(payload: bytes, where: int, bit: int) -> None:
    stream = bytearray(frame(payload))
    stream[HEADER_BYTES + where % len(payload)] ^= 1 << bit
    for following in (b"", frame(b"following")):
        with pytest.raises(FrameCorrupt):
            greeted().feed(bytes(stream) + following)


def test_a_frame_too_long_is_refused_by_its_header_alone() -> None:
    with pytest.raises(FrameTooLong, match=str(FRAME_BYTES_MAX + 1)):
        greeted().feed(HEADER.pack(FRAME_BYTES_MAX + 1, 0))


def test_a_frame_of_the_greatest_length_is_awaited() -> None:
    assert greeted().feed(HEADER.pack(FRAME_BYTES_MAX, 0)) == []


def test_a_payload_too_long_is_never_sent() -> None:
    with pytest.raises(FrameTooLong):
        frame(bytes(FRAME_BYTES_MAX + 1))


@pytest.mark.parametrize(
    "stranger",
    [
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        HEADER.pack(GREETING_BYTES_MAX + 1, 0),
        HEADER.pack(5, 0) + b"hello",
    ],
    ids=["http", "tls", "ssh", "long first frame", "bad checksum"],
)
def test_strangers_are_found_out_by_their_first_bytes(stranger: bytes) -> None:
    with pytest.raises(NotOurProtocol):
        FrameReader().feed(stranger)


def test_what_precedes_a_bad_frame_is_lost_with_the_stream() -> None:
    with pytest.raises(FrameCorrupt):
        greeted().feed(frame(b"good") + HEADER.pack(3, 1) + b"bad")
