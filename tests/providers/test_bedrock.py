"""Accounts with Amazon Bedrock: addresses, credentials, and requests that a server which checks signatures takes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from botocore_oracle import BotocoreOracle

from headworks.errors import InvalidRequest, ModelMissing, UpstreamError, UpstreamRejected, UpstreamTruncated
from headworks.formats import answers
from headworks.formats.converse.format import CONVERSE
from headworks.formats.neutral import Event, Request, TextBlock, Tool, ToolCallBlock, ToolChoice, Turn
from headworks.providers.bedrock import Bedrock
from headworks.providers.contract import Ask, Provider
from headworks.providers.upstream import Upstream
from headworks.testing import bedrock_replies as replies
from headworks.testing.bedrock import ACCESS_KEY, BEARER_TOKEN, REGION, SECRET_KEY, SimulatedBedrock
from headworks.testing.replies import Reply
from headworks.types.workspace import AccountSpec

MODEL = "us.anthropic.claude-sonnet-4-6-v1:0"
ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-6-v1:0"
KEYS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": REGION}
HELLO = CONVERSE.write_request(Request("chat", MODEL, [Turn("user", [TextBlock("Hello?")])], max_output=9)).body


@pytest.fixture
def simulated() -> Iterator[SimulatedBedrock]:
    with SimulatedBedrock(script=[{"when": "Hello?", "answer": "Hi there."}]) as running:
        yield running


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream()
    yield made
    await made.close()


def account(base_url: str | None = None, variable: str | None = None) -> AccountSpec:
    return AccountSpec("mine", "bedrock", base_url, variable, "providers.yaml:1")


def ask(model: str = MODEL, body: bytes = HELLO, **more: Any) -> Ask:
    return Ask("converse", model, body, **more)


@pytest.mark.parametrize(
    "environ",
    [
        KEYS,
        {**KEYS, "AWS_SESSION_TOKEN": "a/b+c=\n"},
        {"AWS_BEARER_TOKEN_BEDROCK": BEARER_TOKEN},
        {**KEYS, "AWS_BEARER_TOKEN_BEDROCK": BEARER_TOKEN},
    ],
)
@pytest.mark.parametrize("model", [MODEL, ARN, "amazon.nova-lite-v1:0"])
async def test_requests_are_let_in_whole_and_streamed(
    simulated: SimulatedBedrock, upstream: Upstream, environ: dict[str, str], model: str
) -> None:
    made: Provider = Bedrock(upstream, environ, base_url=simulated.origin)
    made.check("converse", model)
    status, headers, body = await made.fetch(ask(model))
    assert (status, dict(headers)[b"content-type"]) == (200, b"application/json")
    assert CONVERSE.read_answer(body).blocks == [TextBlock("Hi there.")]
    answer = await made.stream(ask(model))
    assert answer.status == 200
    reader, events = CONVERSE.reader(), list[Event]()
    async for piece in answer:
        events += reader.feed(piece)
    collected = answers.collect([*events, *reader.end()])
    assert collected is not None
    assert collected.blocks == [TextBlock("Hi there.")]
    paths = [seen.path for seen in simulated.seen]
    encoded = model.replace(":", "%3A").replace("/", "%2F")
    assert paths == [f"/model/{encoded}/converse", f"/model/{encoded}/converse-stream"]
    has_token = "AWS_BEARER_TOKEN_BEDROCK" in environ
    assert all(seen.headers["authorization"].startswith("Bearer") is has_token for seen in simulated.seen)


async def test_a_base_path_is_signed_as_well(simulated: SimulatedBedrock, upstream: Upstream) -> None:
    made = Bedrock(upstream, KEYS, base_url=f"{simulated.origin}/through/here")
    simulated.will(Reply.json({}))
    assert (await made.fetch(ask()))[0] == 200
    assert simulated.last.path.startswith("/through/here/model/")


async def test_headers_of_the_caller_go_on_but_for_those_that_prove_who_asks(
    simulated: SimulatedBedrock, upstream: Upstream
) -> None:
    forwarded = (
        (b"x-amzn-bedrock-trace", b"ENABLED"),
        (b"Authorization", b"Bearer sk"),
        (b"X-Amz-Security-Token", b"theirs"),
        (b"Content-Type", b"text/html"),
    )
    made = Bedrock(upstream, KEYS, base_url=simulated.origin)
    assert (await made.fetch(ask(forwarded=forwarded)))[0] == 200
    seen = simulated.last.headers
    assert seen["x-amzn-bedrock-trace"] == "ENABLED"
    assert "x-amz-security-token" not in seen
    assert seen["content-type"] == "application/json"


async def test_an_answer_that_is_cut_is_an_error(simulated: SimulatedBedrock, upstream: Upstream) -> None:
    made = Bedrock(upstream, KEYS, base_url=simulated.origin)
    frames = replies.spoken(replies.text("one two three"))
    simulated.will(replies.frames(*frames[:3], end="cut"), replies.frames(*frames[:3]))
    answer = await made.stream(ask())
    with pytest.raises(UpstreamTruncated):
        await answer.read(10_000)
    reader = CONVERSE.reader()
    reader.feed(await (await made.stream(ask())).read(10_000))
    with pytest.raises(UpstreamTruncated):
        reader.end()


async def test_a_refusal_is_an_answer(simulated: SimulatedBedrock, upstream: Upstream) -> None:
    made = Bedrock(upstream, KEYS, base_url=simulated.origin)
    simulated.will(replies.failure(429, retry_after="7"))
    status, headers, body = await made.fetch(ask())
    failed = CONVERSE.read_error(status, body, headers)
    assert failed is not None
    assert (failed.kind, failed.status, failed.retry_after_s) == ("ThrottlingException", 429, 7)


async def test_tools_are_called_and_their_results_taken(simulated: SimulatedBedrock, upstream: Upstream) -> None:
    made = Bedrock(upstream, KEYS, base_url=simulated.origin)
    request = Request("chat", MODEL, [Turn("user", [TextBlock("Hello?")])], [Tool("f")], ToolChoice("required"))
    _, _, body = await made.fetch(ask(body=CONVERSE.write_request(request).body))
    answer = CONVERSE.read_answer(body)
    assert answer.stopped.reason == "tool_calls"
    (call,) = answer.blocks
    assert isinstance(call, ToolCallBlock)
    assert json.loads(call.arguments) == {}


async def test_tokens_are_counted(simulated: SimulatedBedrock, upstream: Upstream) -> None:
    made = Bedrock(upstream, KEYS, base_url=simulated.origin)
    assert await made.count_tokens(ask()) == 1
    assert simulated.last.json == {"input": {"converse": {"messages": json.loads(HELLO)["messages"]}}}
    simulated.will(replies.failure(404))
    with pytest.raises(UpstreamRejected) as refused:
        await made.count_tokens(ask())
    assert (refused.value.status, refused.value.headers["x-amzn-requestid"]) == (404, replies.REQUEST_ID)
    simulated.will(Reply.json({"tokens": 1}))
    with pytest.raises(UpstreamError, match="no count"):
        await made.count_tokens(ask())


# Where it asks, and as whom.


def test_each_region_has_the_address_that_botocore_knows(botocore: BotocoreOracle) -> None:
    regions = [
        "us-east-1",
        "eu-central-2",
        "ap-southeast-5",
        "us-gov-west-1",
        "cn-north-1",
        "eusc-de-east-1",
        "us-iso-east-1",
        "us-isob-east-1",
        "us-isof-south-1",
        "eu-isoe-west-1",
        "mx-central-1",
    ]
    known = botocore.ask("endpoints", regions=regions)
    for region in regions:
        made = Bedrock(Upstream(), {**KEYS, "AWS_REGION": region})
        made.check("converse", MODEL)
        assert f"https://{made._origin.host}" == known[region]


PRIVATE = "vpce-1.bedrock-runtime.eu-west-3.vpce.amazonaws.com"


@pytest.mark.parametrize(
    ("environ", "base_url", "host", "region"),
    [
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, None, "bedrock-runtime.eu-west-1.amazonaws.com", "eu-west-1"),
        (
            {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"},
            None,
            "bedrock-runtime.eu-west-1.amazonaws.com",
            "eu-west-1",
        ),
        ({"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, None, "127.0.0.1", "eu-west-1"),
        (
            {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": f"https://{PRIVATE}"},
            None,
            PRIVATE,
            "eu-west-3",
        ),
        ({"AWS_REGION": "us-east-1"}, f"https://{PRIVATE}", PRIVATE, "eu-west-3"),
        ({}, "https://bedrock-runtime-fips.us-west-2.amazonaws.com", None, "us-west-2"),
    ],
)
def test_the_address_comes_from_the_account_or_the_environment(
    environ: dict[str, str], base_url: str | None, host: str | None, region: str
) -> None:
    keys = {name: value for name, value in KEYS.items() if name != "AWS_REGION"}
    made = Bedrock(Upstream(), {**keys, **environ}, account=account(base_url))
    made.check("converse", MODEL)
    assert host in {None, made._origin.host}
    assert f"/{region}/bedrock/aws4_request".encode() in made._signed(b"/", b"", ask())


@pytest.mark.parametrize(
    ("environ", "spec", "missing"),
    [
        ({}, None, "AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, is not set"),
        ({**KEYS, "AWS_SECRET_ACCESS_KEY": " "}, None, "AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, is not set"),
        ({**KEYS, "AWS_REGION": ""}, None, "AWS_REGION or AWS_DEFAULT_REGION is not set to a region"),
        ({**KEYS, "AWS_REGION": "evil.example.com/"}, None, "is not set to a region"),
        ({**KEYS, "AWS_REGION": ""}, account("http://127.0.0.1:1"), "is not set to a region"),
        ({"AWS_BEARER_TOKEN_BEDROCK": "t"}, None, "is not set to a region"),
        ({"AWS_BEARER_TOKEN_BEDROCK": "t"}, account("http://127.0.0.1:1"), "AWS_ACCESS_KEY_ID with"),
        (KEYS, account(None, "TEAM_TOKEN"), "TEAM_TOKEN is not set"),
    ],
)
def test_what_is_missing_is_named(environ: dict[str, str], spec: AccountSpec | None, missing: str) -> None:
    with pytest.raises(ModelMissing, match="can't be called") as refused:
        Bedrock(Upstream(), environ, account=spec).check("converse", MODEL)
    assert missing in str(refused.value)
    assert SECRET_KEY not in str(refused.value)


async def test_a_usual_token_never_travels_to_an_address_of_a_workspace(
    simulated: SimulatedBedrock, upstream: Upstream
) -> None:
    environ = {**KEYS, "AWS_BEARER_TOKEN_BEDROCK": BEARER_TOKEN, "TEAM_TOKEN": BEARER_TOKEN}
    await Bedrock(upstream, environ, account=account(simulated.origin)).fetch(ask())
    assert simulated.last.headers["authorization"].startswith("AWS4-HMAC-SHA256")
    status, _, _ = await Bedrock(upstream, environ, account=account(simulated.origin, "TEAM_TOKEN")).fetch(ask())
    assert (status, simulated.last.headers["authorization"]) == (200, f"Bearer {BEARER_TOKEN}")


@pytest.mark.parametrize("model", ["", "..", ".", "a b", "a?b", "a\nb", "é", "a%2fb", "x" * 2049])
def test_what_is_no_id_of_a_model_is_refused(model: str) -> None:
    with pytest.raises(InvalidRequest, match="is not the id or the ARN") as refused:
        Bedrock(Upstream(), KEYS).check("converse", model)
    assert refused.value.param == "model"


def test_a_surface_that_it_does_not_serve_is_named() -> None:
    made = Bedrock(Upstream(), KEYS, account=account())
    with pytest.raises(InvalidRequest, match="`mine` does not serve embeddings"):
        made.check("embeddings", MODEL)
    assert made.speaks == ("converse",)
