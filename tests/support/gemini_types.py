"""Google's own types of a generateContent request, which forbid what they do not know."""

from __future__ import annotations

import json
from typing import Any

from google.genai import _common, types


class Body(_common.BaseModel):
    """What stands in the body: the client puts it together from parts, so it has no type of its own."""

    contents: list[types.Content]
    system_instruction: types.Content | None = None
    tools: list[types.Tool] | None = None
    tool_config: types.ToolConfig | None = None
    generation_config: types.GenerationConfig | None = None
    service_tier: types.ServiceTier | None = None


def strictly(body: bytes) -> dict[str, Any]:
    """The body as JSON, after Google's types have read it; pydantic's ValidationError for what they do not know."""
    value: dict[str, Any] = json.loads(body)
    Body.model_validate(value)
    return value
