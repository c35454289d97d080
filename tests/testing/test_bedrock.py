"""The simulated Bedrock says what boto3 reads, lets in who signs, and refuses what Bedrock refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from botocore_oracle import BotocoreOracle

from headworks.formats.converse.format import CONVERSE
from headworks.formats.neutral import Failed
from headworks.providers.aws_signing import Credentials, Signer
from headworks.testing import bedrock_replies as replies
from headworks.testing.bedrock import ACCESS_KEY, BEARER_TOKEN, REGION, SECRET_KEY, SimulatedBedrock
from headworks.testing.replies import Reply

MODEL = "us.anthropic.claude-sonnet-4-6-v1:0"
RULES = [
    {"when": "Hello?", "answer": "Hi there."},
    {"when": "slow", "answer": "one two", "delay_s": 0.01, "token_delay_s": 0.01},
    {"when": "cut", "answer": "one two three", "cut_after": 1},
    {"when": "busy", "status": 429, "retry_after_s": 7, "answer": "Slow down."},
    {"when": "broken", "status": 500},
    {"when": "long", "answer": "no end", "finish_reason": "length"},
]
WEATHER = {
    "toolSpec": {
        "name": "weather",
        "inputSchema": {
            "json": {
                "type": "object",
                "properties": {"at": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["at", "days"],
            }
        },
    }
}
EVERYTHING = [
    replies.thought("Hm, well."),
    replies.hidden(),
    replies.cited("Grass is green.", "grass"),
    replies.text("So it is."),
    replies.picture("iVBORw0KGgo="),
    replies.call("weather", {"at": "Bern", "days": 2}),
]


@pytest.fixture
def simulated() -> Iterator[SimulatedBedrock]:
    with SimulatedBedrock(script=RULES) as running:
        yield running


class Client:
    """boto3 against the simulated server."""

    def __init__(self, botocore: BotocoreOracle, simulated: SimulatedBedrock) -> None:
        self._botocore = botocore
        self._endpoint = simulated.origin

    def call(self, method: str, *content: Any, account: Any = None, **more: Any) -> Any:
        messages = [{"role": "user", "content": list(content)}]
        parameters = {"modelId": MODEL, "messages": messages, **more}
        who = account or {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "region": REGION}
        return self._botocore.call(method, self._endpoint, parameters, **who)

    def converse(self, question: str = "Hello?", **more: Any) -> Any:
        return self.call("converse", {"text": question}, **more)["answer"]

    def stream(self, question: str = "Hello?", **more: Any) -> Any:
        return self.call("converse_stream", {"text": question}, **more)["answer"]["stream"]


@pytest.fixture
def client(botocore: BotocoreOracle, simulated: SimulatedBedrock) -> Client:
    return Client(botocore, simulated)


def post(simulated: SimulatedBedrock, body: Any, operation: str = "converse", **headers: str) -> httpx.Response:
    known = {"authorization": f"Bearer {BEARER_TOKEN}", **headers}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(f"{simulated.origin}/model/m/{operation}", content=content, headers=known)


def asked(*content: Any, **more: Any) -> Any:
    return {"messages": [{"role": "user", "content": list(content) or [{"text": "Hello?"}]}], **more}


def test_boto3_is_answered_by_the_script(simulated: SimulatedBedrock, client: Client) -> None:
    said = client.converse()
    assert said["output"]["message"] == {"role": "assistant", "content": [{"text": "Hi there."}]}
    assert (said["stopReason"], said["usage"]["outputTokens"]) == ("end_turn", 2)
    assert simulated.last.path == "/model/us.anthropic.claude-sonnet-4-6-v1%3A0/converse"
    assert client.converse("long")["stopReason"] == "max_tokens"
    assert client.converse("What else?")["output"]["message"]["content"] == [{"text": "What else?"}]
    assert client.converse("slow")["output"]["message"]["content"] == [{"text": "one two"}]


def test_boto3_is_streamed_to_by_the_script(simulated: SimulatedBedrock, client: Client) -> None:
    events = client.stream()
    assert [next(iter(event)) for event in events] == [
        "messageStart",
        "contentBlockDelta",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]
    assert events[-1]["metadata"]["usage"]["totalTokens"] == 3
    assert simulated.last.path.endswith("/converse-stream")
    assert len(client.stream("slow")) == 6


def test_all_that_it_can_say_is_read_by_boto3_whole_and_streamed(simulated: SimulatedBedrock, client: Client) -> None:
    counted = replies.usage(10, 70, cached=500, written=20, written_1h=10)
    simulated.will(
        replies.answer(*EVERYTHING, counts=counted), replies.frames(*replies.spoken(*EVERYTHING, counts=counted))
    )
    whole, streamed = client.converse(), client.stream()
    told = json.loads(json.dumps(EVERYTHING).replace('"iVBORw0KGgo="', '{"bytes":"iVBORw0KGgo="}'))
    told[1]["reasoningContent"]["redactedContent"] = {"bytes": told[1]["reasoningContent"]["redactedContent"]}
    assert whole["output"]["message"]["content"] == told
    assert whole["stopReason"] == "tool_use"
    metadata = streamed[-1]["metadata"]
    assert metadata["usage"] == whole["usage"]
    assert metadata["usage"]["cacheDetails"] == [{"ttl": "1h", "inputTokens": 10}, {"ttl": "5m", "inputTokens": 20}]
    deltas = [event["contentBlockDelta"]["delta"] for event in streamed if "contentBlockDelta" in event]
    assert "".join(each.get("text", "") for each in deltas) == "Grass is green.So it is."
    assert json.loads("".join(each["toolUse"]["input"] for each in deltas if "toolUse" in each)) == {
        "at": "Bern",
        "days": 2,
    }
    assert not any("SDK_UNKNOWN_MEMBER" in event for event in streamed)


def test_our_reader_and_boto3_agree_on_a_stream(simulated: SimulatedBedrock, client: Client) -> None:
    reader = CONVERSE.reader()
    said = reader.feed(b"".join(replies.spoken(*EVERYTHING)))
    simulated.will(replies.stream(*EVERYTHING))
    grown = "".join(getattr(event, "text", "") for event in said)
    deltas = [event["contentBlockDelta"]["delta"] for event in client.stream() if "contentBlockDelta" in event]
    seen = [
        each.get("text") or each.get("toolUse", {}).get("input") or each.get("reasoningContent", {}).get("text") or ""
        for each in deltas
    ]
    assert grown == "".join(seen)
    assert reader.end() == []


def test_all_that_it_can_say_is_valid_by_the_service_model(botocore: BotocoreOracle) -> None:
    counted = replies.usage(10, 70, cached=500, written=20)
    whole = replies.answer(*EVERYTHING, counts=counted).pieces[0]
    assert botocore.complaints_about_answer(whole) == []
    streamed = b"".join(replies.spoken(*EVERYTHING, counts=counted))
    assert botocore.complaints_about_stream(streamed + replies.exception("throttlingException")) == []
    assert botocore.complaints_about_answer(replies.answer({"txt": "x"}).pieces[0]) != []
    assert botocore.complaints_about_answer(replies.answer(stop_reason="stop").pieces[0]) != []
    assert botocore.complaints_about_stream(replies.event("contentBlockStop", {})) != []


def test_errors_are_those_that_boto3_knows(simulated: SimulatedBedrock, client: Client) -> None:
    for status, code in [
        (400, "ValidationException"),
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (408, "ModelTimeoutException"),
        (424, "ModelErrorException"),
        (429, "ThrottlingException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailableException"),
    ]:
        simulated.will(replies.failure(status, message="No."))
        refused = client.call("converse", {"text": "x"})
        assert refused == {"error": {"Code": code, "Message": "No."}, "status": status}
    assert client.call("converse", {"text": "busy"})["error"]["Message"] == "Slow down."
    assert client.call("converse_stream", {"text": "broken"})["status"] == 500
    assert post(simulated, asked({"text": "busy"})).headers["retry-after"] == "7"


@pytest.mark.parametrize("kind", ["throttlingException", "modelStreamErrorException", "internalServerException"])
def test_exceptions_in_a_stream_are_those_that_boto3_knows(
    simulated: SimulatedBedrock, client: Client, kind: str
) -> None:
    pieces = (replies.begun(), *replies.told(0, replies.text("Hi."))), replies.exception(kind, "No more.")
    simulated.will(replies.frames(*pieces[0], pieces[1]))
    refused = client.call("converse_stream", {"text": "x"})
    assert refused["error"] == {"Code": kind, "Message": "No more."}
    failed = CONVERSE.reader().feed(pieces[1])[0]
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.message) == (kind, "No more.")


def test_it_breaks_off(simulated: SimulatedBedrock) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        post(simulated, asked({"text": "cut"}), "converse-stream")
    assert simulated.last.wait_until_ended() == "cut"
    with pytest.raises(httpx.RemoteProtocolError):
        post(simulated, asked({"text": "cut"}))


def test_a_tool_that_must_be_called_is_called(client: Client) -> None:
    config = {"tools": [WEATHER], "toolChoice": {"any": {}}}
    (block,) = client.converse(toolConfig=config)["output"]["message"]["content"]
    assert block["toolUse"]["input"] == {"at": "x", "days": 1}
    config["toolChoice"] = {"tool": {"name": "weather"}}
    assert client.stream(toolConfig=config)[-2]["messageStop"]["stopReason"] == "tool_use"
    config["toolChoice"] = {"auto": {}}
    assert client.converse(toolConfig=config)["stopReason"] == "end_turn"


def test_tokens_are_counted(botocore: BotocoreOracle, simulated: SimulatedBedrock) -> None:
    counted = post(simulated, {"input": {"converse": asked({"text": "one two three"})}}, "count-tokens")
    assert counted.json() == {"inputTokens": 3}
    assert post(simulated, {"input": {"converse": asked(inferenceConfig={})}}, "count-tokens").status_code == 400


@pytest.mark.parametrize(
    ("account", "code"),
    [
        ({"secret_key": "wrong"}, "InvalidSignatureException"),
        ({"access_key": "OTHER"}, "UnrecognizedClientException"),
        ({"region": "eu-west-1"}, "UnrecognizedClientException"),
    ],
)
def test_who_signs_with_another_key_is_not_let_in(
    simulated: SimulatedBedrock, client: Client, account: Any, code: str
) -> None:
    simulated.will(replies.answer(replies.text("never")))
    refused = client.call("converse", {"text": "x"}, account=account)
    assert (refused["status"], refused["error"]["Code"]) == (403, code)


def test_temporary_credentials_are_let_in(client: Client) -> None:
    account = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "session_token": "a/b+c="}
    assert client.call("converse", {"text": "Hello?"}, account=account)["status"] == 200


def signed(simulated: SimulatedBedrock, body: bytes, **said: Any) -> dict[str, str]:
    host = urlsplit(simulated.origin).netloc.encode()
    signer = Signer(Credentials(ACCESS_KEY, SECRET_KEY), REGION, "bedrock")
    made = signer.sign(b"POST", host, b"/model/m/converse", [], body, **said)
    return {name.decode(): value.decode() for name, value in made}


def test_a_signature_holds_for_one_body_and_a_while(simulated: SimulatedBedrock) -> None:
    body = json.dumps(asked()).encode()
    assert post(simulated, body, **signed(simulated, body)).status_code == 200
    for wrong in (
        signed(simulated, body + b" "),
        signed(simulated, body, at=datetime.now(UTC) - timedelta(hours=1)),
        {**signed(simulated, body), "x-amz-date": "20200101T000000Z"},
        {"authorization": "Bearer other"},
        {"authorization": "AWS4-HMAC-SHA256 nonsense"},
        {"authorization": signed(simulated, body)["authorization"].replace("host;", ""), "x-amz-date": "x"},
    ):
        refused = post(simulated, body, **wrong)
        assert refused.status_code == 403, wrong
        assert CONVERSE.read_error(403, refused.content) is not None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (asked(extra=1), "extraneous key"),
        (asked(inferenceConfig={"maxTokens": 0}), "maxTokens"),
        (asked(inferenceConfig={"temperature": 1.5}), "temperature"),
        ({"messages": []}, "must start with a user message"),
        ({"messages": [*asked()["messages"], *asked()["messages"]]}, "must alternate"),
        (asked({"text": " "}), "is blank"),
        (asked({"toolResult": {"toolUseId": "a", "content": []}}), "do not match"),
        (asked(toolConfig={"tools": []}), "toolConfig.tools"),
        (asked(*[{"document": {"name": "a", "source": {}}}] * 2, {"text": "x"}), "same name"),
        (
            {
                "messages": [
                    *asked()["messages"],
                    {"role": "assistant", "content": [replies.call("f", {})]},
                    *asked({"toolResult": {"toolUseId": "tooluse_sim1", "content": []}})["messages"],
                ]
            },
            "toolConfig field must be defined",
        ),
        ({"messages": 1}, "can't be read"),
        (b"{", "can't be read"),
        ({}, "can't be read"),
    ],
)
def test_what_bedrock_refuses_is_refused(simulated: SimulatedBedrock, wrong: Any, said: str) -> None:
    refused = post(simulated, wrong)
    assert refused.status_code == 400
    failed = CONVERSE.read_error(400, refused.content, refused.headers.raw)
    assert failed is not None
    assert said in failed.message
    assert failed.kind in {"ValidationException", "SerializationException"}


def test_other_paths_are_unknown(simulated: SimulatedBedrock) -> None:
    assert post(simulated, asked(), "invoke").status_code == 404
    simulated.will(Reply.json({}))
    assert post(simulated, asked(), "invoke").status_code == 200
