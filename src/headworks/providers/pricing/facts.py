"""What tables know of a model beside its price."""

from __future__ import annotations

import msgspec


class ModelFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Facts of one model; None and what is not in `supports` is unknown, not a no.

    `context_tokens` is the most input, `max_output_tokens` the most output of one call. `retires_on` is the day
    (YYYY-MM-DD) from which the provider no longer serves it. `kind` is `chat`, `embedding`, `rerank` and the like.
    """

    context_tokens: int | None = None
    max_output_tokens: int | None = None
    kind: str | None = None
    is_deprecated: bool | None = None
    retires_on: str | None = None
    supports: dict[str, bool] = {}
    """Of `SUPPORTS`."""

    def filled_from(self, other: ModelFacts) -> ModelFacts:
        """These facts, and the other's where these say nothing."""
        mine = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        supports = {"supports": {**other.supports, **self.supports}}
        return ModelFacts(**{**msgspec.structs.asdict(other), **mine, **supports})

    def elsewhere(self) -> ModelFacts:
        """What holds whoever sells the model; when it retires is up to each seller."""
        return msgspec.structs.replace(self, is_deprecated=None, retires_on=None)


SUPPORTS = (
    "tools",
    "parallel_tools",
    "tool_choice",
    "json_schema",
    "images",
    "audio_input",
    "audio_output",
    "files",
    "video",
    "reasoning",
    "prompt_cache",
    "system_messages",
    "prefill",
    "web_search",
    "computer_use",
)
"""What a model may support; `files` are PDF and the like, `json_schema` is an answer that follows one."""
