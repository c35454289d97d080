"""All that our OpenAPI document lets a caller say to `/v1`, and much that it does not: never a fault of ours.

Errors have the shape of their format.

The number of examples is bounded and their seed is fixed, so that a run can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from client_stage import Stage
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from headworks.gateway.openapi.document import OPERATIONS

SEED = 20260301
MODELS = ("gpt", "compatible", "claude", "gemini", "bedrock", "builtin/simulated")
SPOKEN = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens")
OTHERS = tuple((method.lower(), path) for method, path in (each.route for each in OPERATIONS) if path not in SPOKEN)
EXAMPLES, FEW = 20, 4


@pytest.fixture(scope="module")
def document(stage: Stage) -> dict[str, Any]:
    whole: dict[str, Any] = stage.server.must("GET", "/api/openapi.json")
    return whole


def bounded(most: int) -> Callable[[Any], Any]:
    return settings(
        max_examples=most,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=False,
    )


def asked(document: dict[str, Any], method: str, path: str, mode: GenerationMode) -> st.SearchStrategy[Any]:
    return schemathesis.openapi.from_dict(document)[path][method].as_strategy(generation_mode=mode)


def check(stage: Stage, document: dict[str, Any], method: str, path: str, case: Any) -> None:
    """Ask, and judge the answer by its status and by the schema that stands there for it."""
    headers = {"authorization": f"Bearer {stage.key}"}
    answer = case.call(base_url=stage.server.url, headers=headers, timeout=30)
    status = answer.status_code
    said = f"{status} {answer.content[:400]!r}\n{case.as_curl_command()[:2000]}"
    assert status < 500, said
    kind = answer.headers.get("content-type", [""])[0].partition(";")[0]
    if kind in {"text/event-stream", "application/vnd.amazon.eventstream"}:
        assert b"internal_error" not in answer.content, said
        return
    assert kind == "application/json", said
    shown = document["paths"][path][method]["responses"]["200" if status == 200 else "4XX"]["content"]
    if (schema := shown[kind]["schema"]) == {"type": "object"}:
        return
    validator = jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})
    assert [error.message for error in validator.iter_errors(answer.json())] == [], said


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda each: each.value)
@pytest.mark.parametrize("path", SPOKEN)
def test_no_request_of_a_conversation_is_a_fault_of_ours(
    stage: Stage, document: dict[str, Any], path: str, mode: GenerationMode
) -> None:
    body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    known = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]["properties"]

    @seed(SEED)
    @bounded(EXAMPLES)
    @given(asked(document, "post", path, mode), st.sampled_from(MODELS), st.integers(0, 9))
    def told(case: Any, model: str, luck: int) -> None:
        if isinstance(case.body, dict) and luck:  # now and then what was made up stays
            case.body = {name: value for name, value in case.body.items() if name in known or luck < 3}
            case.body["model"] = model
        check(stage, document, "post", path, case)

    told()


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda each: each.value)
@pytest.mark.parametrize(("method", "path"), OTHERS, ids=lambda each: each)
def test_no_other_request_is_a_fault_of_ours(
    stage: Stage, document: dict[str, Any], method: str, path: str, mode: GenerationMode
) -> None:
    @seed(SEED)
    @bounded(FEW)
    @given(asked(document, method, path, mode), st.sampled_from(MODELS))
    def told(case: Any, model: str) -> None:
        if isinstance(case.body, dict):
            case.body["model"] = model
        if case.path_parameters and "model" in case.path_parameters:
            case.path_parameters["model"] = model
        check(stage, document, method, path, case)

    told()


def test_no_described_operation_is_left_out(document: dict[str, Any]) -> None:
    described = {
        (method, path)
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith(("/v", "/model/"))
    }
    assert described == {("post", path) for path in SPOKEN} | set(OTHERS)
