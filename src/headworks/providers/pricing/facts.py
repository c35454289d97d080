"""What tables know of a model beside its price."""

from __future__ import annotations

from collections.abc import Sequence

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

    def capped(self, most: int) -> ModelFacts:
        """These facts where no more than `most` tokens of output are asked for."""
        return msgspec.structs.replace(self, max_output_tokens=min(most, self.max_output_tokens or most))

    def elsewhere(self) -> ModelFacts:
        """What holds whoever sells the model; when it retires is up to each seller."""
        return msgspec.structs.replace(self, is_deprecated=None, retires_on=None)


UNKNOWN = ModelFacts()


def of_all(models: Sequence[ModelFacts]) -> ModelFacts:
    """What holds whichever of these models is asked.

    A limit is the smallest, and unknown where one is. They support what each supports, and do not what one does not.
    They are of a kind where all are of it, deprecated where one is, and retire when the first does that is known to.
    """
    supports = [each.supports for each in models]
    settled = {word: _settled([each.get(word) for each in supports], by=False) for each in supports for word in each}
    kinds = {each.kind for each in models}
    return ModelFacts(
        context_tokens=_least([each.context_tokens for each in models]),
        max_output_tokens=_least([each.max_output_tokens for each in models]),
        kind=kinds.pop() if len(kinds) == 1 else None,
        is_deprecated=_settled([each.is_deprecated for each in models], by=True),
        retires_on=min((each.retires_on for each in models if each.retires_on is not None), default=None),
        supports={word: said for word, said in settled.items() if said is not None},
    )


def _least(limits: Sequence[int | None]) -> int | None:
    known = [each for each in limits if each is not None]
    return min(known) if len(known) == len(limits) else None


def _settled(said: Sequence[bool | None], *, by: bool) -> bool | None:
    """`by` where one of them says so, the contrary where all say that; None: not known of all."""
    if by in said:
        return by
    return None if None in said else not by


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
