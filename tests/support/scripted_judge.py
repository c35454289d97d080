"""Models that answer as a judge would, by rule: a double for what calls `Models`, without a server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence

from headworks.errors import HeadworksError
from headworks.types.models import Completion, Embeddings, ModelCall, Prompt, Relevances, Usage

Reply = str | HeadworksError | tuple[str, str]
"""An answer, an error, or an answer and its `finish_reason`."""


class ScriptedModels:
    """types.models.Models: `say` gets the prompt, and how often it was asked before."""

    def __init__(self, say: Callable[[Prompt, int], Reply]) -> None:
        self._say = say
        self.calls: list[ModelCall] = []
        self.prompts: list[Prompt] = []

    async def complete(self, call: ModelCall, prompt: Prompt) -> Completion:
        """See Models."""
        said = self._say(prompt, len(self.calls))
        self.calls.append(call)
        self.prompts.append(prompt)
        if isinstance(said, HeadworksError):
            raise said
        text, reason = said if isinstance(said, tuple) else (said, "stop")
        return Completion(text, reason, Usage(10, 10))

    async def embed(self, call: ModelCall, texts: Sequence[str]) -> Embeddings:
        """See Models: a direction for each first letter."""
        self.calls.append(call)
        vectors = [[float(text.strip().lower().startswith(letter)) for letter in "abcdefghij"] for text in texts]
        return Embeddings(vectors, "scripted", Usage())

    async def rerank(self, call: ModelCall, query: str, texts: Sequence[str]) -> Relevances:
        """Nobody asks it."""
        raise NotImplementedError


def word_of(prompt: Prompt) -> str:
    """The word that an answer has to repeat."""
    found = re.search(r'"word": "(\w+)"', prompt.messages[0].content)
    assert found is not None
    return found[1]


def verdict(prompt: Prompt, verdicts: Mapping[str, str], reason: str = "So it is.") -> str:
    """An answer as a judge is asked for it."""
    criteria = {name: {"reason": reason, "verdict": each} for name, each in verdicts.items()}
    return json.dumps({"word": word_of(prompt), "criteria": criteria})


def between(prompt: Prompt, name: str) -> str:
    """What stands in the prompt as data under a name."""
    text = "\n".join(message.content for message in prompt.messages)
    word = word_of(prompt)
    return text.split(f"<{name} {word}>\n", 1)[1].split(f"\n</{name} {word}>", 1)[0]
