"""What botocore says: one JSON question a line on standard input, one JSON answer a line on standard output.

Runs in .venv-clients; tests ask it through tests/support/botocore_oracle.py.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from unittest import mock

import boto3
import botocore.auth
import botocore.session
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.eventstream import EventStreamBuffer, ParserError
from botocore.exceptions import BotoCoreError, ClientError
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator

MODEL = botocore.session.get_session().get_service_model("bedrock-runtime")


def sign(question: dict[str, Any]) -> Any:
    """The headers that botocore would send."""
    moment = datetime.fromisoformat(question["at"])
    request = AWSRequest(
        question["method"], question["url"], question["headers"], data=base64.b64decode(question["body"])
    )
    credentials = Credentials(question["access_key"], question["secret_key"], question["session_token"])
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        botocore.auth.SigV4Auth(credentials, question["service"], question["region"]).add_auth(request)
    return dict(request.headers.items())


def frames(question: dict[str, Any]) -> Any:
    """The event stream's frames."""
    buffer = EventStreamBuffer()
    buffer.add_data(base64.b64decode(question["data"]))
    return [{"headers": plain(each.headers), "payload": plain(each.payload)} for each in buffer]


def validate(question: dict[str, Any]) -> Any:
    """Complaints about a request's body, by the service model: unknown and missing members, types, ranges, enums.

    And the body that botocore itself would send for the same parameters.
    """
    operation = MODEL.operation_model(question["operation"])
    shape = operation.input_shape
    parameters = unpacked(shape, {**question["body"], "modelId": question["model"]})
    complaints = complaints_about(shape, parameters)
    if complaints:
        return {"complaints": complaints, "body": question["body"]}
    request = create_serializer(MODEL.resolved_protocol).serialize_to_request(parameters, operation)
    return {"complaints": [], "path": request["url_path"], "body": json.loads(request["body"])}


def judge(question: dict[str, Any]) -> Any:
    """Complaints about a whole answer, or about the payloads of a stream by their kinds, by the service model."""
    if "stream" in question:
        shape = MODEL.operation_model("ConverseStream").output_shape.members["stream"]
        return [each for event in question["stream"] for each in complaints_about(shape, unpacked(shape, event))]
    shape = MODEL.operation_model("Converse").output_shape
    return complaints_about(shape, unpacked(shape, question["body"]))


def samples(question: dict[str, Any]) -> Any:
    """Answers of an operation, as JSON has them: each member is in one of them, and each kind of a union."""
    return samples_of(MODEL.operation_model(question["operation"]).output_shape, 0)


def samples_of(shape: Any, depth: int) -> list[Any]:
    plain_values: dict[str, Any] = {"string": "a", "blob": "YQ==", "boolean": True, "timestamp": 0}
    if shape.type_name == "list":
        return [[each] for each in samples_of(shape.member, depth + 1)]
    if shape.type_name == "map":
        return [{"k": each} for each in samples_of(shape.value, depth + 1)[:1]]
    if shape.type_name != "structure":
        return [(getattr(shape, "enum", None) or [plain_values.get(shape.type_name, 1)])[0]]
    if depth > 12 or getattr(shape, "is_document_type", False):
        return [{}]
    found = {name: samples_of(member, depth + 1) for name, member in shape.members.items()}
    if getattr(shape, "is_tagged_union", False) or getattr(shape, "is_eventstream", False):
        return [{name: each} for name, kinds in found.items() for each in kinds]
    usual = {name: kinds[0] for name, kinds in found.items() if kinds}
    return [usual, *({**usual, name: each} for name, kinds in found.items() for each in kinds[1:])]


def call(question: dict[str, Any]) -> Any:
    """What boto3 makes of a server's answer."""
    options: dict[str, Any] = {"aws_session_token": question.get("session_token")}
    if question.get("access_key"):
        options |= {"aws_access_key_id": question["access_key"], "aws_secret_access_key": question["secret_key"]}
    client = boto3.client(
        "bedrock-runtime",
        region_name=question["region"],
        endpoint_url=question["endpoint"],
        config=Config(retries={"total_max_attempts": 1}, read_timeout=20),
        **options,
    )
    try:
        answer = getattr(client, question["method"])(**unpacked_call(question))
        metadata = answer.pop("ResponseMetadata")
        if "stream" in answer:
            answer["stream"] = list(answer["stream"])
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")  # none for an exception in a stream
        return {"error": error.response["Error"], "status": status}
    return {"answer": plain(answer), "status": metadata["HTTPStatusCode"], "request_id": metadata.get("RequestId")}


def endpoints(question: dict[str, Any]) -> Any:
    """The address of the service in each of these regions."""
    return {
        region: boto3.client(
            "bedrock-runtime", region_name=region, aws_access_key_id="a", aws_secret_access_key="b"
        ).meta.endpoint_url
        for region in question["regions"]
    }


def complaints_about(shape: Any, value: Any) -> list[str]:
    report = ParamValidator().validate(value, shape).generate_report()
    return [*report.splitlines(), *disallowed(shape, value, "")]


def unpacked_call(question: dict[str, Any]) -> dict[str, Any]:
    operation = MODEL.operation_model("ConverseStream" if question["method"].endswith("stream") else "Converse")
    unpacked_parameters: dict[str, Any] = unpacked(operation.input_shape, question["parameters"])
    return unpacked_parameters


def unpacked(shape: Any, value: Any) -> Any:
    """A value of a JSON body as botocore's parameters: base64 becomes bytes where the model says blob."""
    if shape.type_name == "blob":
        return base64.b64decode(value, validate=True)
    if shape.type_name == "structure" and isinstance(value, dict) and not getattr(shape, "is_document_type", False):
        return {
            name: unpacked(shape.members[name], each) if name in shape.members else each for name, each in value.items()
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [unpacked(shape.member, each) for each in value]
    return value


def disallowed(shape: Any, value: Any, where: str) -> Iterator[str]:
    """What botocore leaves to the service: values outside of an enum, patterns, upper limits."""
    if shape.type_name == "string" and isinstance(value, str):
        if getattr(shape, "enum", None) and value not in shape.enum:
            yield f"{where}: {value!r} is none of {shape.enum}"
        pattern, limit = shape.metadata.get("pattern"), shape.metadata.get("max", len(value))
        if len(value) > limit or (pattern and not re.fullmatch(pattern, value)):
            yield f"{where}: {value!r} breaks {pattern} or is longer than {limit}"
    elif shape.type_name in {"float", "integer"} and isinstance(value, int | float):
        if value > shape.metadata.get("max", value):
            yield f"{where}: {value} is above {shape.metadata['max']}"
    elif shape.type_name == "structure" and isinstance(value, dict) and not getattr(shape, "is_document_type", False):
        for name, each in value.items():
            if name in shape.members:
                yield from disallowed(shape.members[name], each, f"{where}.{name}")
    elif shape.type_name == "list" and isinstance(value, list):
        for number, each in enumerate(value):
            yield from disallowed(shape.member, each, f"{where}[{number}]")


def plain(value: Any) -> Any:
    """As JSON can say it: bytes in base64."""
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def main() -> None:
    known = {each.__name__: each for each in (sign, frames, validate, judge, samples, call, endpoints)}
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = {"answer": known[question["do"]](question)}
        except (BotoCoreError, ParserError, ValueError, LookupError) as error:
            answer = {"failure": type(error).__name__, "message": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
