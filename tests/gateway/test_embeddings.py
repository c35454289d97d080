"""`/v1/embeddings`, by a provider and by this process."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest
from running_gateway import World

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply


def embed(world: World, **body: Any) -> httpx.Response:
    return world.post(body, "/v1/embeddings")


@pytest.mark.parametrize("encoding", ["float", "base64", None])
def test_the_built_in_model_embeds(world: World, encoding: Any) -> None:
    options = {} if encoding is None else {"encoding_format": encoding}
    answer = world.client().embeddings.create(model="builtin/minilm", input=["odd", "even"], **options)
    if encoding == "base64":
        assert [type(each.embedding) for each in answer.data] == [str, str]
    else:
        assert [each.embedding for each in answer.data] == [[1.0, 0.0], [0.0, 1.0]]
    assert answer.usage.prompt_tokens == 2
    row = world.records.row()
    assert (row.surface, row.model, row.cost_micro_usd, row.input_tokens) == ("embeddings", "minilm", 0, 2)


def test_a_provider_s_embeddings_arrive_byte_for_byte(world: World, provider: SimulatedProvider) -> None:
    body = b'{"object":"list", "data":[{"index":0,"embedding":[0.10, 1e-3]}],"usage":{"prompt_tokens":3}, "x":1}'
    provider.will(Reply.raw(body, x_request_id="req_1"))
    answer = embed(world, model="outside", input="text", dimensions=2)
    assert answer.content == body
    assert provider.last.path == "/v1/embeddings"
    assert provider.last.json == {"model": "m1", "input": "text", "dimensions": 2}
    assert world.records.row().input_tokens == 3


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"model": "builtin/minilm"}, "input", "`input` is required"),
        ({"model": "builtin/minilm", "input": 1}, "input", "a text or an array"),
        ({"model": "builtin/minilm", "input": []}, "input", "1 to 2048 texts"),
        ({"model": "builtin/minilm", "input": ["a", ""]}, "input", "none of them empty"),
        ({"model": "builtin/minilm", "input": [[1, 2]]}, "input", "can't read"),
        ({"model": "builtin/minilm", "input": "a", "dimensions": 5}, "dimensions", "vectors of 2 numbers"),
        ({"model": "builtin/minilm", "input": "a", "encoding_format": "hex"}, "input", "hex"),
        ({"model": "builtin/simulated", "input": "a"}, "model", "does not serve embeddings"),
    ],
)
def test_a_wrong_request_is_named(world: World, body: dict[str, Any], param: str, said: str) -> None:
    answer = embed(world, **body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert said in error["message"]


def test_a_model_that_embeds_does_not_chat(world: World) -> None:
    client = world.client()
    with pytest.raises(openai.BadRequestError, match="does not serve chat"):
        client.chat.completions.create(model="builtin/minilm", messages=[{"role": "user", "content": "x"}])
