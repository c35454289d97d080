"""`/v1/models` by both vendors' clients: each gets its own shape."""

from __future__ import annotations

import anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running_gateway import World

from headworks.errors import InvalidRequest
from headworks.gateway.wire import anthropic_models


def test_both_clients_list_the_same_models(world: World) -> None:
    client = anthropic.Anthropic(base_url=world.url, api_key=world.admin_key, max_retries=0)
    names = [model.id for model in client.models.list(limit=3)]  # page by page
    assert names == [model.id for model in world.client().models.list()]
    assert len(names) > 3
    one = client.models.retrieve("claims")
    assert (one.id, one.type, one.display_name) == ("claims", "model", "claims")
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("nothing")
    with pytest.raises(anthropic.BadRequestError):
        client.models.list(limit=0)
    with pytest.raises(anthropic.AuthenticationError):
        client.copy(api_key="nonsense").models.list()


def test_backwards(world: World) -> None:
    client = anthropic.Anthropic(base_url=world.url, api_key=world.admin_key, max_retries=0)
    names = [model.id for model in client.models.list(limit=1000)]
    assert [model.id for model in client.models.list(limit=2, before_id=names[5])] == [
        names[at] for at in (3, 4, 1, 2, 0)
    ]


@given(st.lists(st.text(min_size=1), unique=True, max_size=30), st.integers(1, 40))
def test_pages_put_together_are_the_list(names: list[str], limit: int) -> None:
    import json

    got: list[str] = []
    query = {"limit": str(limit)}
    while True:
        page = json.loads(anthropic_models.listing(names, query))
        got += [each["id"] for each in page["data"]]
        if not page["has_more"]:
            break
        query["after_id"] = page["last_id"]
    assert got == names


@pytest.mark.parametrize(
    "query", [{"limit": "x"}, {"limit": "0"}, {"limit": "1001"}, {"after_id": "z"}, {"before_id": "z"}]
)
def test_bounds_that_are_none_are_refused(query: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        anthropic_models.listing(["a"], query)
