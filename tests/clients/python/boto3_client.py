"""Amazon's own client at our address, with a key of ours in its header; prints a line of JSON for each check.

Its own `AWS_BEARER_TOKEN_BEDROCK` goes over TLS only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

MODEL = "bedrock"
ASKED = "The weather in Basel and Bern?"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}}}]}


def made(attempts: int = 1) -> Any:
    retries: Any = {"mode": "standard", "total_max_attempts": attempts}
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=os.environ["HEADWORKS_TEST_URL"],
        config=Config(signature_version=UNSIGNED, retries=retries, read_timeout=60),
    )
    client.meta.events.register("before-call.bedrock-runtime", authorise)
    return client


def authorise(params: Any, **_: Any) -> None:
    params["headers"]["Authorization"] = f"Bearer {os.environ['HEADWORKS_TEST_KEY']}"


def user(text: str) -> Any:
    return {"role": "user", "content": [{"text": text}]}


def texts(content: Any) -> str:
    return "".join(each.get("text", "") for each in content)


def chat(client: Any) -> Any:
    answer = client.converse(modelId=MODEL, messages=[user("Hi.")], system=[{"text": "Be brief."}])
    said = texts(answer["output"]["message"]["content"])
    return {"text": said, "end": answer["stopReason"], "tokens": answer["usage"]["totalTokens"]}


def stream(client: Any) -> Any:
    text, end, kinds = "", "", []
    for event in client.converse_stream(modelId=MODEL, messages=[user("Hi there.")])["stream"]:
        kinds += event
        text += event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
        end = event.get("messageStop", {}).get("stopReason", end)
    return {"text": text, "end": end, "first": kinds[0], "last": kinds[-1]}


def tools(client: Any) -> Any:
    first = client.converse(modelId=MODEL, messages=[user(ASKED)], toolConfig=TOOLS)["output"]["message"]
    calls = [each["toolUse"] for each in first["content"] if "toolUse" in each]
    results = [{"toolResult": {"toolUseId": each["toolUseId"], "content": [{"text": "12"}]}} for each in calls]
    turns = [user(ASKED), first, {"role": "user", "content": results}]
    last = client.converse(modelId=MODEL, messages=turns, toolConfig=TOOLS)
    return {"calls": [each["input"] for each in calls], "text": texts(last["output"]["message"]["content"])}


def schema(client: Any) -> Any:
    wanted = {"jsonSchema": {"schema": json.dumps(SCHEMA), "name": "weather"}}
    form = {"textFormat": {"type": "json_schema", "structure": wanted}}
    answer = client.converse(modelId=MODEL, messages=[user("Say it as JSON.")], outputConfig=form)
    return json.loads(texts(answer["output"]["message"]["content"]))


def overloaded(client: Any) -> Any:
    return client.converse(modelId=MODEL, messages=[user("You are overloaded.")])


def broken(client: Any) -> Any:
    return heard(client, "It breaks off.")


def failed(client: Any) -> Any:
    return heard(client, "It gives up.")


def heard(client: Any, asked: str) -> Any:
    """The text of a stream up to the error that ends it."""
    text = ""
    try:
        for event in client.converse_stream(modelId=MODEL, messages=[user(asked)])["stream"]:
            text += event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
    except EventStreamError as error:
        return {"text": text, "raised": error.response["Error"]["Code"], "said": str(error)}
    return {"text": text}


def unknown(client: Any) -> Any:
    return client.converse(modelId="nowhere", messages=[user("Hi.")])


def retry(_: Any) -> Any:
    answer = made(attempts=3).converse(modelId=MODEL, messages=[user("busy boto3-bedrock now")])
    return {"text": texts(answer["output"]["message"]["content"])}


def cancel(client: Any) -> Any:
    events = client.converse_stream(modelId=MODEL, messages=[user("slowly, boto3 to bedrock")])["stream"]
    next(each for each in events if "contentBlockDelta" in each)
    events.close()
    return {"left": True}


CHECKS: tuple[Callable[[Any], Any], ...] = (
    chat,
    stream,
    tools,
    schema,
    overloaded,
    broken,
    failed,
    unknown,
    retry,
    cancel,
)


def main() -> None:
    """All of them."""
    client = made()
    for check in CHECKS:
        try:
            saw = check(client)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            saw = {"raised": error.response["Error"]["Code"], "status": status, "said": str(error)}
        print(json.dumps({"check": check.__name__, "model": MODEL, "saw": saw}), flush=True)


if __name__ == "__main__":
    main()
