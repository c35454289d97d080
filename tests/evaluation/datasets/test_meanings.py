"""Questions that are alike in other words: what the built-in embedder finds of them, measured."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from scripted_judge import ScriptedModels

from headworks.errors import ModelMissing
from headworks.evaluation.datasets.duplicates import near_duplicates
from headworks.evaluation.datasets.meanings import LIKE, MOST_TOLD, Alike, alike
from headworks.providers.minilm import MiniLM
from headworks.testing.scorers import SOMEBODY
from headworks.types.evaluation import Example
from headworks.types.models import Embeddings, ModelCall, Usage

ROWS = [json.loads(line) for line in Path(__file__).with_name("paraphrases.jsonl").read_text("utf-8").splitlines()]


class _Here(ScriptedModels):
    """The built-in embedder."""

    def __init__(self) -> None:
        super().__init__(lambda *_: "")
        self._minilm = MiniLM()

    async def embed(self, call: ModelCall, texts: Sequence[str]) -> Embeddings:
        self.calls.append(call)
        return Embeddings(self._minilm.embed(texts).tolist(), "minilm", Usage())


def found_in(examples: Sequence[Example], **more: object) -> list[Alike]:
    return asyncio.run(alike(_Here(), SOMEBODY, examples, "builtin/minilm", **more))  # type: ignore[arg-type] -- passed on


@pytest.fixture(scope="module")
def cosines() -> list[float]:
    """Of each row; as `alike` sees the two questions by themselves."""
    if not MiniLM().is_installed:
        pytest.skip("the built-in embedding model is not installed; script/bootstrap installs it")
    pairs = [[Example("a", row["one"]), Example("b", row["other"])] for row in ROWS]
    return [found_in(pair, least=-1.0)[0].cosine for pair in pairs]


def test_it_tells_the_subject_and_not_the_question(cosines: list[float]) -> None:
    """The numbers of the module's docstring and of docs/reference/measured.md."""
    same = [cosine >= LIKE for cosine, row in zip(cosines, ROWS, strict=True) if row["same"]]
    other = [cosine >= LIKE for cosine, row in zip(cosines, ROWS, strict=True) if not row["same"]]
    assert (len(same), len(other)) == (24, 24)
    assert abs(sum(same) - 15) <= 2  # processors differ in the last digits
    assert abs(sum(other) - 13) <= 2
    questions = [Example(str(at), text) for at, text in enumerate(sorted({row["one"] for row in ROWS}))]
    assert len(questions) == 24
    assert found_in(questions) == []


def test_no_words_in_common_are_needed(cosines: list[float]) -> None:
    del cosines
    one = Example("a", "How often may I have my eyes tested for free?")
    two = Example("b", "What is the number of eye exams that cost me nothing?", split="train")
    assert near_duplicates([one, two]) == []
    (found,) = found_in([one, two], least=0.5)
    assert found.is_across


async def test_those_across_splits_come_first_and_clusters_and_what_is_known_are_left_out() -> None:
    models = ScriptedModels(lambda *_: "")  # a direction for each first letter
    examples = [
        Example("1", "alpha"),
        Example("2", "another"),
        Example("3", "april", split="dev"),
        Example("4", "beta", cluster="x"),
        Example("5", "bear", cluster="x"),
        Example("6", " "),
    ]
    found = await alike(models, SOMEBODY, examples, "m")
    assert [(each.first, each.second) for each in found] == [("1", "3"), ("2", "3"), ("1", "2")]
    known = await alike(models, SOMEBODY, examples, "m", known=[("3", "1"), ("1", "2")])
    assert [(each.first, each.second) for each in known] == [("2", "3")]
    assert await alike(models, SOMEBODY, examples[:1], "m") == []
    many = [Example(str(at), f"a{at}") for at in range(20)]
    assert len(await alike(models, SOMEBODY, many, "m")) == MOST_TOLD
    assert {call.purpose for call in models.calls} == {"embed_ingest"}


async def test_an_embedder_that_is_not_there_is_the_caller_s_to_tell() -> None:
    class Missing(ScriptedModels):
        async def embed(self, call: ModelCall, texts: Sequence[str]) -> Embeddings:
            raise ModelMissing(f"Nobody embeds {len(texts)} texts with {call.model}.")

    with pytest.raises(ModelMissing):
        await alike(Missing(lambda *_: ""), SOMEBODY, [Example("a", "x"), Example("b", "y")], "m")
