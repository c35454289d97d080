"""What we write to Gemini: the members of a generateContent body that we use, under Google's names."""

from __future__ import annotations

from typing import Literal

import msgspec


class Shape(msgspec.Struct, omit_defaults=True, rename="camel", gc=False):
    """An object whose unset members are not written."""


class Blob(Shape):
    """Media in the request itself, as base64."""

    mime_type: str | None
    data: str


class FileData(Shape):
    """Media that Google fetches: an address, or a file of its own Files API."""

    file_uri: str
    mime_type: str | None = None


class MediaPart(Shape):
    """A picture or a file, inside of a tool's result."""

    inline_data: Blob | None = None
    file_data: FileData | None = None


class FunctionCall(Shape):
    """`args` is a JSON object as the model wrote it."""

    name: str
    args: msgspec.Raw
    id: str | None = None


class FunctionResponse(Shape):
    """`response` has the one member `output`, or `error`."""

    name: str
    response: dict[str, str | list[str]]
    id: str | None = None
    parts: list[MediaPart] | None = None


class Part(MediaPart):
    """One piece of a turn; one member of it is set, but for those of thoughts."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None


class Content(Shape):
    """A turn; `model` is what other formats call the assistant. Raw parts are of this format already."""

    parts: list[Part | msgspec.Raw]
    role: Literal["user", "model"] | None = None


class FunctionDeclaration(Shape):
    """A tool that the caller runs."""

    name: str
    description: str | None = None
    parameters_json_schema: msgspec.Raw | None = None


class DeclaredTools(Shape):
    """All functions stand in one entry of `tools`."""

    function_declarations: list[FunctionDeclaration]


class FunctionCallingConfig(Shape):
    """VALIDATED is AUTO whose calls keep to their schemas, and to the allowed names."""

    mode: Literal["AUTO", "ANY", "NONE", "VALIDATED"]
    allowed_function_names: list[str] | None = None


class ToolConfig(Shape):
    """How tools may be called."""

    function_calling_config: FunctionCallingConfig


class ThinkingConfig(Shape):
    """Tokens for thoughts: 0 is none and -1 as many as the model likes; newer models take a level instead."""

    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class GenerationConfig(Shape):
    """How the answer is made."""

    candidate_count: int | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    response_mime_type: str | None = None
    response_json_schema: msgspec.Raw | None = None
    thinking_config: ThinkingConfig | None = None


class Body(Shape):
    """A whole request. The model stands in its address."""

    contents: list[Content]
    system_instruction: Content | None = None
    tools: list[DeclaredTools | msgspec.Raw] | None = None
    tool_config: ToolConfig | None = None
    generation_config: GenerationConfig | None = None
    service_tier: str | None = None
