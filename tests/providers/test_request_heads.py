from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import UpstreamError
from headworks.providers.request_heads import HeaderBlocks, framing, header_block, request_line


def test_a_block_has_one_line_per_header_and_asks_for_no_compression() -> None:
    block = header_block([(b"content-type", b"application/json"), (b"x-empty", b"")])
    assert block == b"accept-encoding: identity\r\ncontent-type: application/json\r\nx-empty: \r\n"


@pytest.mark.parametrize(
    "value", [b"sk-secret\r\nx-admin: 1", b"sk-secret\n", b"sk-secret\r", b"sk-\x00secret", b" sk-secret"]
)
def test_a_value_that_could_start_a_line_of_its_own_is_refused_without_being_shown(value: bytes) -> None:
    with pytest.raises(UpstreamError, match="'authorization'") as refused:
        header_block([(b"authorization", value)])
    assert "secret" not in str(refused.value)
    assert "line break at the end of a key" in refused.value.next_step


@pytest.mark.parametrize("name", [b"", b"x y", b"x:", b"x\r\n", b"\xc3\xa4"])
def test_a_name_that_is_none_is_refused(name: bytes) -> None:
    with pytest.raises(UpstreamError, match="not the name of an HTTP header"):
        header_block([(name, b"1")])


@pytest.mark.parametrize("name", [b"Host", b"content-length", b"Transfer-Encoding", b"connection", b"Accept-Encoding"])
def test_a_header_of_the_connection_cannot_be_set(name: bytes) -> None:
    with pytest.raises(UpstreamError, match="belongs to the connection"):
        header_block([(name, b"1")])


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_whatever_is_given_is_one_line_or_refused(name: bytes, value: bytes) -> None:
    try:
        block = header_block([(name, value)])
    except UpstreamError:
        return
    _, line, rest = block.split(b"\r\n")
    assert (line, rest) == (name + b": " + value, b"")
    assert not {0, 10, 13} & set(line)


def test_what_callers_send_along_stands_behind_what_is_ours() -> None:
    version, beta = (b"anthropic-version", b"1"), (b"anthropic-beta", b"b")
    blocks = HeaderBlocks([(b"x-api-key", b"k")], usual=[version], never=frozenset((b"authorization",)))
    assert blocks.beside(()) == header_block([(b"x-api-key", b"k"), version])
    assert blocks.beside((beta,)) == header_block([(b"x-api-key", b"k"), beta, version])
    other = (b"Anthropic-Version", b"2")
    assert blocks.beside((other, (b"authorization", b"x"))) == header_block([(b"x-api-key", b"k"), other])


def test_what_many_callers_send_alike_is_made_once_and_what_differs_is_not_kept() -> None:
    blocks = HeaderBlocks([(b"x-api-key", b"k")])
    steady = ((b"anthropic-version", b"2023-06-01"),)
    assert blocks.beside(steady) is blocks.beside(steady)
    for number in range(200):
        trace = ((b"traceparent", b"00-%d" % number),)
        assert blocks.beside(trace) == header_block([(b"x-api-key", b"k"), *trace])
        assert blocks.beside(trace) is not blocks.beside(trace)
        assert b": %d" % number in blocks.beside(((b"anthropic-beta", b"%d" % number),))
    with pytest.raises(UpstreamError, match="'anthropic-beta'"):
        blocks.beside(((b"anthropic-beta", b"a\r\nx-admin: 1"),))


def test_a_request_line_takes_known_methods_and_clean_paths() -> None:
    assert request_line(b"POST", b"/v1/chat?a=b") == b"POST /v1/chat?a=b HTTP/1.1\r\n"
    for method in (b"HEAD", b"CONNECT", b"post", b"GET /\r\n"):
        with pytest.raises(ValueError, match="method"):
            request_line(method, b"/")
    for path in (b"", b"v1", b"/a b", b"/a\r\nx: y", b"/\xff", b"http://elsewhere/"):
        with pytest.raises(ValueError, match="path"):
            request_line(b"GET", path)


def test_a_length_is_sent_where_a_body_is_expected() -> None:
    assert framing(b"POST", b"") == b"content-length: 0\r\n\r\n"
    assert framing(b"GET", b"") == b"\r\n"
    assert framing(b"DELETE", b"abc") == b"content-length: 3\r\n\r\n"
