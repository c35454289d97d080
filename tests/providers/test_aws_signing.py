"""AWS signatures are those of botocore, for any request."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pytest
from botocore_oracle import BotocoreOracle
from hypothesis import given
from hypothesis import strategies as st

from headworks.providers.aws_signing import Credentials, Signer

AT = datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)
printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)
words = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789-", min_size=1, max_size=20)
segments = (
    st.text(max_size=30).filter(lambda each: each not in {"", ".", ".."}).map(lambda each: quote(each, safe="-_.~"))
)
paths = st.lists(segments, max_size=4).map(lambda each: "/" + "/".join(each))
queries = st.lists(st.tuples(segments, segments), max_size=4).map(lambda each: "&".join(f"{n}={v}" for n, v in each))
own = {"host", "x-amz-date", "x-amz-security-token", "authorization", "date", "x-amz-content-sha256"}
unsigned = {"baggage", "connection", "expect", "keep-alive", "te", "trailer", "upgrade", "user-agent"}
headers = st.dictionaries(words.map(str.lower).filter(lambda each: each not in own | unsigned), printable, max_size=4)
credentials = st.builds(
    Credentials,
    access_key=st.text("ABCDEFGHIJ0123456789", min_size=16, max_size=20),
    secret_key=st.text("abcXYZ/+0123456789", min_size=1, max_size=40),
    session_token=st.none() | st.text("abcXYZ/+=0123456789", min_size=1, max_size=80),
)
moments = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- as Hypothesis wants them


def oracle(botocore: BotocoreOracle, who: Credentials, region: str, url: str, **request: Any) -> dict[str, str]:
    said = botocore.ask(
        "sign",
        url=url,
        region=region,
        service="bedrock",
        access_key=who.access_key,
        secret_key=who.secret_key,
        session_token=who.session_token,
        **request,
    )
    return {name.lower(): value for name, value in said.items()}


@given(who=credentials, path=paths, query=queries, extra=headers, body=st.binary(max_size=200), at=moments)
def test_any_request_is_signed_as_botocore_signs_it(
    botocore: BotocoreOracle,
    who: Credentials,
    path: str,
    query: str,
    extra: dict[str, str],
    body: bytes,
    at: datetime,
) -> None:
    target = f"{path}?{query}" if query else path
    expected = oracle(
        botocore,
        who,
        "eu-west-1",
        f"https://bedrock.example.com{target}",
        method="POST",
        headers=extra,
        body=base64.b64encode(body).decode(),
        at=at.isoformat(),
    )
    given_headers = [(name.encode(), value.encode()) for name, value in extra.items()]
    made = Signer(who, "eu-west-1", "bedrock").sign(
        b"POST", b"bedrock.example.com", target.encode(), given_headers, body, at=at
    )
    assert {name.decode(): value.decode() for name, value in made}.items() <= expected.items()
    assert {name for name, _ in made} >= {b"authorization", b"x-amz-date"}


@pytest.mark.parametrize("model", ["us.anthropic.claude-sonnet-4-6-v1:0", "arn:aws:bedrock:us-east-1:1:x/y:2"])
def test_a_model_in_the_path_is_encoded_twice_in_what_is_signed(botocore: BotocoreOracle, model: str) -> None:
    who = Credentials("AKIDEXAMPLE", "secret")
    target = f"/model/{quote(model, safe='-_.~')}/converse"
    question = {"method": "POST", "headers": {}, "body": "", "at": AT.isoformat()}
    expected = oracle(botocore, who, "us-east-1", f"https://bedrock.example.com{target}", **question)
    made = dict(
        Signer(who, "us-east-1", "bedrock").sign(b"POST", b"bedrock.example.com", target.encode(), [], b"", at=AT)
    )
    assert made[b"authorization"].decode() == expected["authorization"]


def test_one_signer_signs_on_over_midnight() -> None:
    who = Credentials("AKIDEXAMPLE", "secret", "token")
    kept = Signer(who, "us-east-1", "bedrock")
    for minute in range(3):
        at = AT + timedelta(minutes=minute)
        fresh = Signer(who, "us-east-1", "bedrock")
        request: Any = (b"POST", b"h", b"/", [(b"content-type", b"application/json")], b"{}")
        assert kept.sign(*request, at=at) == fresh.sign(*request, at=at)


def test_a_moment_elsewhere_is_the_same_moment() -> None:
    signer = Signer(Credentials("A", "s"), "us-east-1", "bedrock")
    there = AT.astimezone(timezone(timedelta(hours=9)))
    request: Any = (b"GET", b"h", b"/", [], b"")
    assert signer.sign(*request, at=AT) == signer.sign(*request, at=there)


@pytest.mark.parametrize("path", [b"//a", b"/a//b", b"/./a", b"/a/..", b"/../a", b"/a/."])
def test_a_path_that_servers_read_in_different_ways_is_not_signed(path: bytes) -> None:
    with pytest.raises(ValueError, match="dotted segments"):
        Signer(Credentials("A", "s"), "us-east-1", "bedrock").sign(b"GET", b"h", path, [], b"")


def test_no_secret_is_shown() -> None:
    assert "hush" not in repr(Credentials("AKID", "hush", "hush"))
    made = Signer(Credentials("AKID", "hush"), "us-east-1", "bedrock").sign(b"GET", b"h", b"/", [], b"")
    assert b"hush" not in b"".join(value for _, value in made)
