"""What the `/v1` routes take and give, as types: the members that we read, or that clients wait for. All allow others.

A member that is not here passes untouched where caller and provider share a format; across formats it is carried, or
refused by its name.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Json = dict[str, Any]
Model = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=512,
        description="A feature, a route, or `provider/model`. A feature may be pinned: `name@channel`.",
    ),
]
Tokens = Annotated[int, Meta(ge=1, le=10**18 - 1)]
Parts = str | list[Json]


class StreamOptions(msgspec.Struct, kw_only=True):
    """How a stream is given."""

    include_usage: bool | None = None


class ChatMessage(msgspec.Struct, kw_only=True):
    """A turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Parts | None = None
    tool_calls: list[Json] | None = None
    tool_call_id: str | None = None


class ChatRequest(msgspec.Struct, kw_only=True):
    """OpenAI's Chat Completions."""

    model: Model
    messages: Annotated[list[ChatMessage], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    tools: list[Json] | None = None
    tool_choice: str | Json | None = None
    response_format: Json | None = None
    reasoning_effort: str | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    inputs: Json | None = None
    """Of a feature: the inputs that its prompt declares."""


class ChatUsage(msgspec.Struct, kw_only=True):
    """Tokens, as Chat Completions counts them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: Json | None = None
    completion_tokens_details: Json | None = None


class ChatChoice(msgspec.Struct, kw_only=True):
    """One answer."""

    index: int
    message: Json
    finish_reason: str | None


class ChatCompletion(msgspec.Struct, kw_only=True):
    """The answer of Chat Completions."""

    id: str
    object: str
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage | None = None


class CompletionRequest(msgspec.Struct, kw_only=True):
    """OpenAI's Completions."""

    model: Model
    prompt: str | list[Any]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Tokens | None = None
    temperature: float | None = None
    stop: str | list[str] | None = None
    user: str | None = None


class Completion(msgspec.Struct, kw_only=True):
    """The answer of Completions."""

    id: str
    object: str
    created: int
    model: str
    choices: list[Json]
    usage: ChatUsage | None = None


class ResponseRequest(msgspec.Struct, kw_only=True):
    """OpenAI's Responses."""

    model: Model
    input: str | list[Json] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    background: bool | None = None
    stream: bool | None = None
    max_output_tokens: Tokens | None = None
    temperature: float | None = None
    tools: list[Json] | None = None
    tool_choice: str | Json | None = None
    text: Json | None = None
    reasoning: Json | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None


class Response(msgspec.Struct, kw_only=True):
    """The answer of Responses, and a stored one."""

    id: str
    object: str
    status: str
    model: str
    output: list[Json]
    usage: Json | None = None
    error: Json | None = None


class InputItems(msgspec.Struct, kw_only=True):
    """What a stored response was made from."""

    object: str
    data: list[Json]
    has_more: bool
    first_id: str | None = None
    last_id: str | None = None


class Deleted(msgspec.Struct, kw_only=True):
    """Something is no more."""

    id: str
    deleted: bool


class InputMessage(msgspec.Struct, kw_only=True):
    """A turn of a conversation."""

    role: Literal["user", "assistant", "system"]
    content: Parts


class CountRequest(msgspec.Struct, kw_only=True):
    """The tokens of a request in Anthropic's Messages are asked for."""

    model: Model
    messages: Annotated[list[InputMessage], Meta(min_length=1)]
    system: Parts | None = None
    tools: list[Json] | None = None
    tool_choice: Json | None = None
    thinking: Json | None = None


class MessageRequest(CountRequest, kw_only=True):
    """Anthropic's Messages."""

    max_tokens: Tokens
    stream: bool | None = None
    temperature: float | None = None
    stop_sequences: list[str] | None = None
    output_config: Json | None = None
    metadata: Json | None = None


class MessageUsage(msgspec.Struct, kw_only=True):
    """Tokens, as Messages counts them: the cached ones stand beside."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class Message(msgspec.Struct, kw_only=True):
    """The answer of Messages."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[Json]
    stop_reason: str | None
    usage: MessageUsage


class TokenCount(msgspec.Struct, kw_only=True):
    """How many tokens a request has."""

    input_tokens: int


class EmbeddingRequest(msgspec.Struct, kw_only=True):
    """OpenAI's Embeddings."""

    model: Model
    input: str | list[Any]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    user: str | None = None


class EmbeddingList(msgspec.Struct, kw_only=True):
    """A vector for each text, in their order."""

    object: str
    data: list[Json]
    model: str
    usage: Json | None = None


class RerankRequest(msgspec.Struct, kw_only=True):
    """Cohere's and Jina's Rerank."""

    model: Model
    query: str | Json
    documents: Annotated[list[str | Json], Meta(min_length=1)]
    top_n: Annotated[int, Meta(ge=1)] | None = None


class Results(msgspec.Struct, kw_only=True):
    """A row for each document or input."""

    results: list[Json]


class ModerationRequest(msgspec.Struct, kw_only=True):
    """OpenAI's Moderations. Without `model` the only one that moderates is asked."""

    input: str | list[Any] | Json
    model: Model | None = None


class ListedModel(msgspec.Struct, kw_only=True):
    """What may be named as `model`, in OpenAI's words, and what is known of it. What is unknown is left out."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    feature: Json | None = None
    targets: list[str] | None = None
    kind: str | None = None
    context_length: int | None = None
    max_output_tokens: int | None = None
    capabilities: dict[str, bool] | None = None
    deprecated: bool | None = None
    retires_on: str | None = None
    pricing: Json | None = None
    """Dollars for `per_tokens` tokens, as decimal numbers in text."""


class ModelList(msgspec.Struct, kw_only=True):
    """All that this key may name."""

    object: Literal["list"]
    data: list[ListedModel]


class AnthropicModel(msgspec.Struct, kw_only=True):
    """The same in Anthropic's words, for who sends `anthropic-version`."""

    type: Literal["model"]
    id: str
    display_name: str
    created_at: str


class AnthropicModelPage(msgspec.Struct, kw_only=True):
    """A page of all that this key may name."""

    data: list[AnthropicModel]
    has_more: bool
    first_id: str | None
    last_id: str | None


class PromptRequest(msgspec.Struct, kw_only=True):
    """What images are made from."""

    model: Model
    prompt: str


class SpeechRequest(msgspec.Struct, kw_only=True):
    """What is to be spoken."""

    model: Model
    input: str
    voice: str | Json | None = None


class BatchRequest(msgspec.Struct, kw_only=True):
    """Many requests at once, from a file."""

    input_file_id: str
    endpoint: str
    completion_window: str


class OpenAIFault(msgspec.Struct, kw_only=True):
    """What went wrong. `code` is the word to branch on; docs/reference/errors.md has ours."""

    message: str
    type: str | None
    param: Any = None
    code: str | int | None = None


class OpenAIError(msgspec.Struct, kw_only=True):
    """An error as OpenAI's clients read it."""

    error: OpenAIFault


class AnthropicFault(msgspec.Struct, kw_only=True):
    """What went wrong."""

    type: str
    message: str
    param: str | None = None
    code: str | None = None


class AnthropicError(msgspec.Struct, kw_only=True):
    """An error as Anthropic's clients read it."""

    type: Literal["error"]
    error: AnthropicFault
    request_id: str | None = None


class GoogleFault(msgspec.Struct, kw_only=True):
    """What went wrong, in Google's words."""

    code: int
    message: str
    status: str


class GoogleError(msgspec.Struct, kw_only=True):
    """An error as Google's clients read it."""

    error: GoogleFault


class AmazonError(msgspec.Struct, kw_only=True):
    """An error as Amazon's clients read it; its kind stands in `x-amzn-errortype`, too."""

    message: str
