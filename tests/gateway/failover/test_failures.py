"""What providers say when they fail, each in its own words, and what we take it for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import (
    Blocked,
    BodyTooLarge,
    DatabaseUnavailable,
    HeadworksError,
    InvalidRequest,
    ModelMissing,
    NotFound,
    Unavailable,
    Unmapped,
    UpstreamError,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamTruncated,
)
from headworks.formats.neutral import Failed
from headworks.gateway.failover.failures import classify, failure_of
from headworks.types.failing import FailureClass, FailureWord

EVERY_CLASS: set[str] = {*get_args(FailureWord), "quota", "caller", "unfit"}
IN_A_STREAM = 502
"""What an error inside a 200 comes as."""


def openai(message: str, kind: str | None, code: str | int | None = None, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def anthropic(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}


def google(code: int, status: str, message: str, *details: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"code": code, "message": message, "status": status}
    return {"error": {**said, "details": list(details)} if details else said}


def vllm(message: str, kind: str, code: int) -> dict[str, Any]:
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


OPENAI: list[tuple[FailureClass, int, Any]] = [
    (
        "context_window",
        400,
        openai(
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 140000 tokens."
            " Please reduce the length of the messages.",
            "invalid_request_error",
            "context_length_exceeded",
            "messages",
        ),
    ),
    (
        "context_window",
        400,
        openai("Input tokens exceed the configured limit", "invalid_request_error", "context_length_exceeded"),
    ),
    ("rate_limit", 429, openai("Rate limit reached for gpt-5 on tokens per min", "tokens", "rate_limit_exceeded")),
    ("rate_limit", 429, openai("Too many requests", "requests", "rate_limit_exceeded")),
    (
        "quota",
        429,
        openai(
            "You exceeded your current quota, please check your plan and billing details.",
            "insufficient_quota",
            "insufficient_quota",
        ),
    ),
    ("quota", 429, openai("Your account is not active", "billing_not_active", "billing_not_active")),
    (
        "quota",
        400,
        openai("Billing hard limit has been reached", "invalid_request_error", "billing_hard_limit_reached"),
    ),
    (
        "content_policy",
        400,
        openai(
            "Your request was rejected as a result of our safety system.",
            "image_generation_user_error",
            "moderation_blocked",
        ),
    ),
    (
        "content_policy",
        400,
        openai("It may contain text", "invalid_request_error", "content_policy_violation"),
    ),
    (
        "content_policy",
        400,
        openai(
            "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
            "invalid_request_error",
            "invalid_prompt",
        ),
    ),
    ("auth", 401, openai("Incorrect API key provided: sk-…", "invalid_request_error", "invalid_api_key")),
    (
        "auth",
        403,
        openai("Country not supported", "request_forbidden", "unsupported_country_region_territory"),
    ),
    ("no_model", 404, openai("The model `gpt-4-32k` does not exist", "invalid_request_error", "model_not_found")),
    ("no_model", 404, openai("The model `gpt-4-32k` has been deprecated", "invalid_request_error", None)),
    ("caller", 404, openai("Response with id 'resp_1' not found.", "invalid_request_error", None)),
    (
        "caller",
        400,
        openai("Previous response with id 'resp_1' not found.", "invalid_request_error", "previous_response_not_found"),
    ),
    (
        "caller",
        400,
        openai("Not supported", "invalid_request_error", "unsupported_parameter", "top_k"),
    ),
    (
        "caller",
        400,
        openai("Invalid 'user': string too long.", "invalid_request_error", "string_above_max_length", "user"),
    ),
    ("server_error", 500, openai("The server had an error while processing your request.", "server_error", None)),
    ("server_error", 503, openai("The engine is currently overloaded", "server_error", None)),
    ("server_error", 503, openai("Slow down", "service_unavailable_error", "slow_down")),
    ("server_error", 409, openai("The resource is locked", "invalid_request_error", None)),
    ("timeout", 408, openai("Request timed out.", "invalid_request_error", None)),
    ("timeout", 504, openai("Gateway timeout", "server_error", "gateway_timeout")),
]
AZURE: list[tuple[FailureClass, int, Any]] = [
    (
        "content_policy",
        400,
        {
            "error": {
                "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management"
                " policy. Please modify your prompt and retry.",
                "type": None,
                "param": "prompt",
                "code": "content_filter",
                "status": 400,
                "innererror": {
                    "code": "ResponsibleAIPolicyViolation",
                    "content_filter_result": {"violence": {"filtered": True, "severity": "medium"}},
                },
            }
        },
    ),
    ("content_policy", 400, {"error": {"code": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
    (
        "rate_limit",
        429,
        {
            "error": {
                "code": "429",
                "message": "Requests have exceeded call rate limit. Retry after 7 seconds.",
            }
        },
    ),
    ("rate_limit", 429, {"error": {"code": "RateLimitReached", "message": "Your requests exceeded the token limit."}}),
    ("no_model", 404, {"error": {"code": "DeploymentNotFound", "message": "The API deployment does not exist."}}),
    ("no_model", 404, {"error": {"code": "404", "message": "Resource not found"}}),
    ("auth", 401, {"error": {"code": "401", "message": "Access denied due to invalid subscription key."}}),
    ("auth", 403, {"error": {"code": "403", "message": "Access denied due to Virtual Network/Firewall rules."}}),
    ("timeout", 408, {"error": {"code": "Timeout", "message": "The operation was timeout."}}),
    ("server_error", 500, {"error": {"code": "InternalServerError", "message": "The server had an error."}}),
]
ANTHROPIC: list[tuple[FailureClass, int, Any]] = [
    (
        "context_window",
        400,
        anthropic("invalid_request_error", "prompt is too long: 211938 tokens > 200000 maximum"),
    ),
    (
        "context_window",
        400,
        anthropic(
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000, decrease input length",
        ),
    ),
    ("context_window", 413, anthropic("request_too_large", "Request exceeds the maximum size")),
    ("content_policy", 400, anthropic("invalid_request_error", "Output blocked by content filtering policy")),
    (
        "quota",
        400,
        anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
    ),
    (
        "quota",
        400,
        anthropic(
            "invalid_request_error",
            "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
        ),
    ),
    ("quota", 402, anthropic("billing_error", "There is an issue with your billing.")),
    ("rate_limit", 429, anthropic("rate_limit_error", "This request would exceed your organization's rate limit.")),
    ("server_error", 529, anthropic("overloaded_error", "Overloaded")),
    ("server_error", 500, anthropic("api_error", "Internal server error")),
    ("timeout", 504, anthropic("timeout_error", "Request timed out")),
    ("auth", 401, anthropic("authentication_error", "invalid x-api-key")),
    ("auth", 403, anthropic("permission_error", "Your API key does not have permission")),
    ("no_model", 404, anthropic("not_found_error", "model: claude-2.1")),
    ("caller", 400, anthropic("invalid_request_error", "messages: at least one message is required")),
    ("server_error", IN_A_STREAM, anthropic("overloaded_error", "Overloaded")),
    ("rate_limit", IN_A_STREAM, anthropic("rate_limit_error", "Slow down")),
    ("caller", IN_A_STREAM, anthropic("invalid_request_error", "messages: bad")),
    ("context_window", IN_A_STREAM, anthropic("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum")),
]
GEMINI: list[tuple[FailureClass, int, Any]] = [
    (
        "context_window",
        400,
        google(
            400,
            "INVALID_ARGUMENT",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        ),
    ),
    (
        "context_window",
        400,
        google(400, "INVALID_ARGUMENT", "The input token count is 2000 but model only supports up to 1000."),
    ),
    (
        "rate_limit",
        429,
        google(
            429,
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota, please check your plan and billing details.",
            {
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}],
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"},
        ),
    ),
    (
        "quota",
        429,
        google(
            429,
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota, please check your plan and billing details.",
            {
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
            },
        ),
    ),
    (
        "auth",
        400,
        google(
            400,
            "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key.",
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
        ),
    ),
    ("auth", 400, google(400, "FAILED_PRECONDITION", "User location is not supported for the API use.")),
    ("auth", 403, google(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers")),
    ("no_model", 404, google(404, "NOT_FOUND", "models/gemini-1.0 is not found for API version v1beta")),
    ("server_error", 503, google(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")),
    ("server_error", 500, google(500, "INTERNAL", "An internal error has occurred.")),
    ("timeout", 504, google(504, "DEADLINE_EXCEEDED", "The request timed out.")),
    ("caller", 400, google(400, "INVALID_ARGUMENT", "Invalid value at 'contents[0].role'")),
    ("rate_limit", IN_A_STREAM, [google(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).")]),
    ("caller", IN_A_STREAM, google(400, "INVALID_ARGUMENT", "Invalid value at 'tools'")),
]
OTHERS: list[tuple[FailureClass, int, Any]] = [
    # vLLM and SGLang
    (
        "context_window",
        400,
        vllm(
            "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
            "BadRequestError",
            400,
        ),
    ),
    (
        "context_window",
        400,
        {"error": vllm("The decoder prompt (length 5000) is longer than the maximum model length of 4096.", "x", 400)},
    ),
    (
        "context_window",
        400,
        vllm("The input (5000) is longer than the model's context length (4096).", "BadRequestError", 400),
    ),
    ("no_model", 404, vllm("The model `x` does not exist.", "NotFoundError", 404)),
    ("server_error", 500, vllm("EngineCore encountered an issue.", "InternalServerError", 500)),
    ("caller", 400, vllm("top_p must be in (0, 1], got 2.0.", "BadRequestError", 400)),
    ("caller", IN_A_STREAM, {"error": vllm("guided_json is no grammar", "BadRequestError", 400)}),
    ("server_error", IN_A_STREAM, {"error": {"message": "EngineCore died", "code": 500}}),
    # TGI
    (
        "context_window",
        422,
        {
            "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs`"
            " tokens and 500 `max_new_tokens`",
            "error_type": "validation",
        },
    ),
    ("server_error", 424, {"error": "Request failed during generation: out of memory", "error_type": "generation"}),
    ("caller", 422, {"error": "Input validation error: `temperature` must be positive", "error_type": "validation"}),
    # Ollama and llama.cpp
    ("no_model", 404, {"error": "model 'llama9' not found"}),
    ("no_model", 404, openai('model "llama9" not found, try pulling it first', "api_error")),
    ("server_error", 503, {"error": "server busy, please try again.  maximum pending requests exceeded"}),
    ("server_error", 500, {"error": "model requires more system memory (9 GiB) than is available (4 GiB)"}),
    ("context_window", 500, {"error": "the input length exceeds the context length"}),
    (
        "context_window",
        400,
        openai(
            "the request exceeds the available context size. try increasing the context size",
            "exceed_context_size_error",
            400,
        ),
    ),
    # Sellers of others' models
    (
        "context_window",
        400,
        {"error": {"code": 400, "message": "This endpoint's maximum context length is 131072 tokens."}},
    ),
    (
        "content_policy",
        403,
        {
            "error": {
                "code": 403,
                "message": 'openai/gpt-5 requires moderation on OpenAI. Your input was flagged for "violence".',
                "metadata": {"reasons": ["violence"], "flagged_input": "…"},
            }
        },
    ),
    (
        "context_window",
        400,
        {
            "error": {
                "code": 400,
                "message": "Provider returned error",
                "metadata": {"raw": '{"error":{"message":"prompt is too long: 9 tokens > 8 maximum"}}'},
            }
        },
    ),
    ("quota", 402, {"error": {"code": 402, "message": "This request requires more credits, or fewer max_tokens."}}),
    ("quota", 402, openai("Insufficient Balance", "unknown_error", "invalid_request_error")),
    ("content_policy", 400, openai("Content Exists Risk", "invalid_request_error", "invalid_request_error")),
    (
        "quota",
        429,
        {
            "code": "Some resource has been exhausted",
            "error": "Your team has either used all available credits or reached its monthly spending limit.",
        },
    ),
    (
        "context_window",
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        },
    ),
    (
        "rate_limit",
        429,
        {"object": "error", "message": "Slow down", "type": "rate_limited", "code": "1300"},
    ),
    ("rate_limit", 413, openai("Request too large for model on tokens per minute", "tokens", "rate_limit_exceeded")),
    ("rate_limit", 498, openai("Flex tier capacity exceeded", "x", None)),
    (
        "no_model",
        400,
        openai("`mixtral` has been taken away", "invalid_request_error", "model_decommissioned"),
    ),
    ("context_window", 400, {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081"}),
    ("caller", 422, {"detail": [{"loc": ["body", "messages"], "msg": "field required", "type": "missing"}]}),
    ("server_error", 503, {"error": "Model x is currently loading", "estimated_time": 20.0}),
    # Inside a stream of Responses
    ("rate_limit", IN_A_STREAM, {"type": "error", "code": "rate_limit_exceeded", "message": "…", "sequence_number": 3}),
    (
        "server_error",
        IN_A_STREAM,
        {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "Sorry"}}},
    ),
    ("server_error", IN_A_STREAM, {"error": {"message": "Overloaded.", "type": "server_error", "code": "busy"}}),
]
CASES = [
    pytest.param(failure, status, body, id=f"{maker}: {failure} {number}")
    for maker, cases in {
        "openai": OPENAI,
        "azure": AZURE,
        "anthropic": ANTHROPIC,
        "gemini": GEMINI,
        "other": OTHERS,
    }.items()
    for number, (failure, status, body) in enumerate(cases)
]


def rejected(status: int, body: Any, **headers: str) -> UpstreamRejected:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return UpstreamRejected(status, orjson.dumps(body), named)


@pytest.mark.parametrize(("failure", "status", "body"), CASES)
def test_what_a_provider_says_is_understood(failure: FailureClass, status: int, body: Any) -> None:
    assert classify(rejected(status, body)) == failure


@pytest.mark.parametrize(
    ("failure", "status", "kind", "message"),
    [
        ("context_window", 400, "ValidationException", "Input is too long for requested model."),
        ("context_window", 400, "ValidationException", "Too many input tokens. Max input tokens: 8192, got: 9000"),
        (
            "context_window",
            400,
            "ValidationException",
            "The model returned the following errors: prompt is too long: 210000 tokens > 200000 maximum",
        ),
        ("caller", 400, "ValidationException", "The role 'system' is not one of user, assistant."),
        ("no_model", 400, "ValidationException", "The provided model identifier is invalid."),
        (
            "no_model",
            400,
            "ValidationException",
            "Invocation of model ID x with on-demand throughput isn’t supported. Retry with an inference profile.",
        ),
        ("no_model", 404, "ResourceNotFoundException", "This model version has reached the end of its life."),
        ("rate_limit", 429, "ThrottlingException", "Too many tokens, please wait before trying again."),
        ("quota", 400, "ServiceQuotaExceededException", "Your request exceeds the service quota."),
        ("auth", 403, "AccessDeniedException", "You don't have access to the model with the specified model ID."),
        ("auth", 403, "UnrecognizedClientException", "The security token included in the request is invalid."),
        ("auth", 400, "ExpiredTokenException", "The security token included in the request is expired"),
        ("timeout", 408, "ModelTimeoutException", "The request took too long to process."),
        ("server_error", 424, "ModelErrorException", "The system encountered an unexpected error."),
        ("server_error", 429, "ModelNotReadyException", "The model is not ready. Try again later."),
        ("server_error", 503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
        ("server_error", 500, "InternalServerException", "The system encountered an unexpected error."),
    ],
)
def test_what_amazon_says_is_understood(failure: FailureClass, status: int, kind: str, message: str) -> None:
    said = {"message": message}
    in_header = rejected(status, said, x_amzn_ErrorType=f"{kind}:http://internal.amazon.com/coral/com.amazon/")
    assert classify(in_header) == failure
    assert classify(rejected(status, {"__type": f"com.amazon.coral.service#{kind}", **said})) == failure
    assert failure_of(Failed(kind, message), status) == failure


def test_an_exception_of_amazon_s_stream_is_understood_without_a_status() -> None:
    assert failure_of(Failed("throttlingException", "Too many tokens, please wait.")) == "rate_limit"
    assert failure_of(Failed("modelStreamErrorException", "Bad.", status=424)) == "server_error"
    assert failure_of(Failed("validationException", "Input is too long for requested model.")) == "context_window"
    assert failure_of(Failed("validationException", "Malformed.")) == "caller"


def test_an_error_that_a_codec_has_read_is_judged_by_its_own_words_and_body() -> None:
    raw = msgspec.Raw(orjson.dumps(openai("x", "y", "insufficient_quota")))
    assert failure_of(Failed("y", "x", raw=raw), 429) == "quota"
    assert failure_of(Failed("overloaded_error", "Overloaded"), 529) == "server_error"
    assert failure_of(Failed("x", "y", status=504)) == "timeout"
    assert failure_of(Failed("x", "y", raw=msgspec.Raw(b"{")), 408) == "timeout"


def test_what_was_judged_before_it_was_translated_is_believed() -> None:
    body = orjson.dumps(openai("Bad.", "invalid_request_error"))
    assert classify(UpstreamRejected(400, body, {})) == "caller"
    assert classify(UpstreamRejected(400, body, {}, failure="context_window")) == "context_window"


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        ("timeout", UpstreamTimeout("The first byte deadline of 1 s passed.")),
        ("invalid_answer", UpstreamTruncated("It ended before it had said anything.")),
        ("invalid_answer", UpstreamError("A web page.", code="upstream_not_an_answer")),
        ("auth", UpstreamError("401.", code="upstream_unauthorized")),
        ("server_error", UpstreamError("It refuses connections.")),
        ("no_model", ModelMissing("GROQ_API_KEY is not set.")),
        ("unfit", Unmapped("No word for it.", param="logit_bias")),
        ("unfit", InvalidRequest("It has no embeddings.")),
        ("unfit", BodyTooLarge("Too large.")),
    ],
)
def test_our_own_errors_of_an_attempt_are_told_apart(failure: FailureClass, error: HeadworksError) -> None:
    assert classify(error) == failure


@pytest.mark.parametrize(
    "error",
    [Blocked("A rule."), NotFound("No."), Unavailable("Away."), DatabaseUnavailable("Away."), HeadworksError("Oh.")],
)
def test_what_is_no_failure_of_a_target_is_no_failure(error: HeadworksError) -> None:
    assert classify(error) is None


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (400, "caller"),
        (401, "auth"),
        (402, "quota"),
        (403, "auth"),
        (404, "no_model"),
        (405, "no_model"),
        (408, "timeout"),
        (409, "server_error"),
        (410, "no_model"),
        (413, "context_window"),
        (415, "caller"),
        (422, "caller"),
        (425, "server_error"),
        (429, "rate_limit"),
        (451, "caller"),
        (500, "server_error"),
        (501, "server_error"),
        (502, "server_error"),
        (503, "server_error"),
        (504, "timeout"),
        (520, "server_error"),
        (522, "timeout"),
        (524, "timeout"),
        (529, "server_error"),
        (599, "server_error"),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>Not JSON", b"{}", b"null", b'"text"', b"[[[]]]", b'{"error": null}'])
def test_where_nothing_is_said_the_status_decides(status: int, failure: FailureClass, body: bytes) -> None:
    assert classify(UpstreamRejected(status, body, {})) == failure
    error = UpstreamError("A web page.")
    error.status = status
    assert classify(error) == failure


def test_a_phrase_is_not_believed_against_what_the_status_says() -> None:
    """A message may quote the request: a model called `not found` does not make a full minute a missing model."""
    assert classify(rejected(429, openai("Slow down: prompt is too long for this minute", None))) == "rate_limit"
    assert classify(rejected(500, openai("The model was not found", None))) == "server_error"
    assert classify(rejected(401, openai("flagged as spam", None))) == "auth"


def test_what_the_error_does_not_say_itself_is_not_read() -> None:
    quoted = {"error": {"message": "Bad.", "type": "invalid_request_error"}, "request": {"code": "insufficient_quota"}}
    assert classify(rejected(400, quoted)) == "caller"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["error", "code", "type", "message", "details", "x"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.integers(400, 599), st.one_of(st.binary(max_size=40), JSON.map(orjson.dumps)))
def test_whatever_a_provider_answers_is_some_failure(status: int, body: bytes) -> None:
    assert classify(UpstreamRejected(status, body, {})) in EVERY_CLASS - {"unfit"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":' * 5000 + b"1" + b"}" * 5000,
        b'{"error":{"message":"' + b"model " * 150_000 + b'"}}',
        b'{"errors":[' + b",".join([b'{"message":"x","code":"y"}'] * 20_000) + b"]}",
        b'{"error":{"code":' + b"9" * 4000 + b"}}",
    ],
    ids=["deep", "long", "many", "a huge number"],
)
def test_an_error_of_any_size_is_judged(body: bytes) -> None:
    assert classify(UpstreamRejected(400, body, {})) == "caller"
