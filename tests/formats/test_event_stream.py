"""Amazon's binary event stream: frames cut from bytes anywhere, and read as botocore reads them."""

from __future__ import annotations

import base64
import struct
import uuid
import zlib
from contextlib import suppress
from typing import Any

import pytest
from botocore_oracle import BotocoreOracle, OracleRefused
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import UpstreamError
from headworks.formats.event_stream import Decoder, Frame, HeaderValue, encode

names = st.text(min_size=1, max_size=40)
values = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=60), st.binary(max_size=60))
frames = st.builds(Frame, st.dictionaries(names, values, max_size=5), st.binary(max_size=300))

# The first two events of an answer of Claude on Bedrock, padding and all.
RECORDED = base64.b64decode(
    "AAAAsQAAAFLN4M4VCzpldmVudC10eXBlBwAMbWVzc2FnZVN0YXJ0DTpjb250ZW50LXR5cGUHABBhcHBsaWNhdGlvbi9qc29uDTptZXNzYWdl"
    "LXR5cGUHAAVldmVudHsicCI6ImFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoiLCJyb2xlIjoi"
    "YXNzaXN0YW50In3DJvYkAAAAvQAAAFd4etebCzpldmVudC10eXBlBwARY29udGVudEJsb2NrRGVsdGENOmNvbnRlbnQtdHlwZQcAEGFwcGxp"
    "Y2F0aW9uL2pzb24NOm1lc3NhZ2UtdHlwZQcABWV2ZW50eyJjb250ZW50QmxvY2tJbmRleCI6MywiZGVsdGEiOnsidGV4dCI6Ikkgbm90aWNl"
    "IHlvdXIgbWVzc2FnZSBjb250YWlucyJ9LCJwIjoiYWJjZGVmIn2PGx9K"
)


def raw(headers: bytes, payload: bytes = b"") -> bytes:
    """A frame with these very header bytes."""
    lengths = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    frame = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + payload
    return frame + struct.pack(">I", zlib.crc32(frame))


def told(value: HeaderValue) -> Any:
    return {"bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def cut(data: bytes, at: list[int]) -> list[bytes]:
    marks = sorted(each % (len(data) + 1) for each in at)
    return [data[start:end] for start, end in zip([0, *marks], [*marks, len(data)], strict=True)]


@given(st.lists(frames, max_size=4), st.lists(st.integers(0, 2**16), max_size=12))
def test_what_is_encoded_is_decoded_however_it_is_cut(sent: list[Frame], at: list[int]) -> None:
    decoder = Decoder()
    pieces = cut(b"".join(encode(*frame) for frame in sent), at)
    assert [frame for piece in pieces for frame in decoder.feed(piece)] == sent
    assert decoder.is_between_frames


@given(sent=st.lists(frames, max_size=3))
def test_botocore_reads_our_frames(botocore: BotocoreOracle, sent: list[Frame]) -> None:
    read = botocore.frames(b"".join(encode(*frame) for frame in sent))
    assert read == [({name: told(value) for name, value in headers.items()}, payload) for headers, payload in sent]


def test_every_kind_of_header_is_read_as_botocore_reads_it(botocore: BotocoreOracle) -> None:
    kinds = [
        b"\x00",
        b"\x01",
        b"\x02\xfe",
        b"\x03\xff\x00",
        b"\x04" + struct.pack(">i", -7),
        b"\x05" + struct.pack(">q", 2**40),
        b"\x06" + struct.pack(">H", 3) + b"\x00\xff\x01",
        b"\x07" + struct.pack(">H", 3) + "é1".encode(),
        b"\x08" + struct.pack(">q", 1_700_000_000_000),
        b"\x09" + uuid.UUID(int=5).bytes,
    ]
    data = raw(b"".join(b"\x02h%d" % number + kind for number, kind in enumerate(kinds)), b"{}")
    (frame,) = Decoder().feed(data)
    assert botocore.frames(data) == [({name: told(each) for name, each in frame.headers.items()}, b"{}")]
    assert list(frame.headers.values())[:6] == [True, False, -2, -256, -7, 2**40]
    assert list(frame.headers.values())[7:] == ["é1", 1_700_000_000_000, uuid.UUID(int=5).bytes]


def test_recorded_bytes_are_read() -> None:
    start, delta = Decoder().feed(RECORDED)
    assert start.headers == {
        ":event-type": "messageStart",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    assert delta.headers[":event-type"] == "contentBlockDelta"
    assert b"I notice your message contains" in delta.payload
    assert encode(*start) + encode(*delta) == RECORDED


@given(st.integers(0, len(RECORDED) - 1), st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(at: int, flip: int) -> None:
    broken = bytearray(RECORDED)
    broken[at] ^= flip
    whole = Decoder().feed(RECORDED)
    decoder = Decoder()
    read: list[Frame] = []
    with suppress(UpstreamError):  # a larger length in a head is found out by its checksum, the rest by the frame's
        read = decoder.feed(bytes(broken))
        assert not decoder.is_between_frames
    assert read == whole[: len(read)]
    assert len(read) < 2


@given(data=st.binary(max_size=80))
def test_any_bytes_are_frames_or_refused(data: bytes) -> None:
    decoder = Decoder()
    try:
        decoder.feed(data)
    except UpstreamError:
        return
    assert len(data) < 12 or decoder.is_between_frames


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        (b"\x01a\x00\x01a\x01", "twice"),
        (b"\x01a\x0a", "unknown kind 10"),
        (b"\x05a\x00", "can't be read"),
        (b"\x01a", "can't be read"),
        (b"\x01a\x07\x00\x05abc", "can't be read"),
        (b"\x01a\x07\x00", "can't be read"),
        (b"\x01\xff\x00", "can't be read"),
        (b"\x01a\x05\x00\x00", "can't be read"),
        (b"\x01a\x09\x00\x00", "can't be read"),
    ],
)
def test_headers_that_do_not_add_up_are_refused(headers: bytes, why: str) -> None:
    with pytest.raises(UpstreamError, match=why):
        Decoder().feed(raw(headers))


def test_lengths_that_can_not_be_are_refused_before_the_frame_is_waited_for() -> None:
    for size, headers in [(15, 0), (16, 1), (2**31, 0), (2**20, 2**18)]:
        lengths = struct.pack(">II", size, headers)
        with pytest.raises(UpstreamError, match="lengths can't be"):
            Decoder().feed(lengths + struct.pack(">I", zlib.crc32(lengths)))


@pytest.mark.parametrize("at", range(12))
def test_a_changed_head_is_refused_before_the_frame_is_waited_for(at: int) -> None:
    head = bytearray(RECORDED[:12])
    head[at] ^= 1
    with pytest.raises(UpstreamError, match="checksum of a frame's head is wrong"):
        Decoder().feed(bytes(head))


def test_a_large_frame_in_small_pieces_is_read_in_linear_time() -> None:
    data = encode({":event-type": "x"}, b"y" * 3_000_000)
    decoder = Decoder()
    read = [frame for at in range(0, len(data), 1000) for frame in decoder.feed(data[at : at + 1000])]
    assert [len(frame.payload) for frame in read] == [3_000_000]


@pytest.mark.parametrize(
    ("headers", "payload"),
    [({"": "x"}, b""), ({"n" * 256: "x"}, b""), ({"n": "x" * 40_000}, b""), ({"n": "x"}, b"y" * 26_000_000)],
)
def test_what_is_too_large_for_a_frame_is_not_encoded(headers: dict[str, HeaderValue], payload: bytes) -> None:
    with pytest.raises(ValueError, match="has|larger"):
        encode(headers, payload)


def test_botocore_refuses_what_we_refuse(botocore: BotocoreOracle) -> None:
    broken = bytearray(RECORDED)
    broken[-1] ^= 1
    with pytest.raises(OracleRefused, match="ChecksumMismatch"):
        botocore.frames(bytes(broken))
    with pytest.raises(UpstreamError, match="checksum of a frame is wrong"):
        Decoder().feed(bytes(broken))
