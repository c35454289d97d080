"""Where `model` stands in a form, and that nothing else is touched or left to interpretation."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.gateway.passthrough.forms import Form, is_form

TYPE = b"multipart/form-data; boundary=b"
HEAD = b'content-disposition: form-data; name="model"\r\n\r\n'


def form(*parts: bytes, end: bytes = b"--b--\r\n") -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + end


def part(name: str, value: bytes, more: str = "") -> bytes:
    return f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value


def refused(raw: bytes, content_type: bytes = TYPE) -> str:
    with pytest.raises(InvalidRequest) as error:
        Form.read(raw, content_type)
    return str(error.value)


@given(
    content=st.binary(max_size=200).filter(lambda each: b"--b" not in each),
    model=st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=30).filter(
        lambda each: "--b" not in each
    ),
    new=st.sampled_from(["m", "a-much-longer-name", "ü"]),
    first=st.booleans(),
)
def test_only_the_value_of_model_changes(content: bytes, model: str, new: str, *, first: bool) -> None:
    file = part("file", content, '; filename="a; name=model.mp3"')
    parts = [part("model", model.encode()), file]
    raw = form(*(parts if first else reversed(parts)))
    found = Form.read(raw, TYPE)
    assert found.model == model
    expected = [part("model", new.encode()), file]
    assert found.spliced(new) == form(*(expected if first else reversed(expected)))
    assert found.spliced(model) == raw


@given(raw=st.binary(max_size=300), more=st.binary(max_size=60))
def test_any_bytes_are_a_form_or_refused(raw: bytes, more: bytes) -> None:
    for body, kind in ((raw, TYPE), (b"--b\r\n" + HEAD + raw, TYPE), (form(part("model", b"m")), TYPE + more)):
        try:
            Form.read(body, kind)
        except InvalidRequest:
            continue


def test_what_httpx_writes_is_read() -> None:
    request = httpx.Request(
        "POST",
        "http://x/",
        data={"model": "whisper-1", "temperature": "0"},
        files={"file": ("späß.mp3", b"\x00\xff\r\n--\r\n", "audio/mpeg")},
    )
    found = Form.read(request.read(), request.headers["content-type"].encode())
    assert found.model == "whisper-1"
    assert is_form(request.headers["content-type"].encode())
    assert not is_form(b"application/json")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (form(part("file", b"x")), "exactly one part with the name `model`"),
        (form(part("model", b"a"), part("model", b"b")), "exactly one part"),
        (form(part("model", b"a"), end=b""), "no end"),
        (b"x" + form(part("model", b"a")), "does not begin with its boundary"),
        (form(part("model", b"a")) + b"--b\r\n" + part("model", b"b"), "follows its end"),
        (form(part("model", b"a"), part("file", b"\n--b\n" + part("model", b"b"))), "no end"),
        (form(part("model", b"a"), part("x", b"b", "; name*=utf-8''model")), "no name that can be read"),
        (form(part("model", b"a"), part("x", b"b", "; name=model")), "no name that can be read"),
        (form(part("model", b"a"), part('mo\\"del', b"b")), "no name that can be read"),
        (form(part("model", b"a"), b"content-type: text/plain\r\n\r\nb"), "no name that can be read"),
        (form(b"Content-Disposition: form-data;\r\n name=model\r\n\r\na"), "no name that can be read"),
        (form(b"X: y\r\n folded\r\n" + part("model", b"a")), "can't be read"),
        (form(b"X: y\nZ: z\r\n" + part("model", b"a")), "can't be read"),
        (form(part("model", b"a"), part("x", b"b") + b"\r\n" + HEAD, HEAD), "exactly one part"),
        (form(b"X: " + b"y" * 5000 + b"\r\n" + part("model", b"a")), "a very long one"),
        (form(part("model", b"a"), *[part("x", b"")] * 1001), "more than 1000 parts"),
        (b"", "does not begin"),
    ],
)
def test_a_form_that_could_be_read_otherwise_is_refused(raw: bytes, said: str) -> None:
    assert said in refused(raw)


@pytest.mark.parametrize(
    "content_type",
    [
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b"multipart/mixed; boundary=b",
        b"multipart/form-data; b",
        TYPE + TYPE,
    ],
)
def test_a_type_without_a_boundary_is_refused(content_type: bytes) -> None:
    assert "names no boundary" in refused(form(part("model", b"a")), content_type)


@pytest.mark.parametrize("content_type", [TYPE, b'Multipart/Form-Data; charset=utf-8; boundary="b"', TYPE + b"; x=y"])
def test_a_boundary_is_found(content_type: bytes) -> None:
    assert Form.read(form(part("model", b"a")), content_type).model == "a"


def test_a_model_that_is_no_text_is_named() -> None:
    with pytest.raises(InvalidRequest, match="not UTF-8"):
        _ = Form.read(form(part("model", b"\xff")), TYPE).model
