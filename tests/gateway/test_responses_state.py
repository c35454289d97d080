"""Responses that are followed, asked for again and deleted, by OpenAI's own client: a provider's, and ours."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import openai
import psycopg
import pytest
from responses_samples import ANSWER, checked_response, events_of, stream_of
from running_gateway import DOCUMENT, World, passage

from headworks.formats.neutral import ThinkingBlock
from headworks.formats.responses.thoughts import packed
from headworks.storage.embedded import Cluster
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, chunk, completion, streamed
from headworks.types.ids import new_id

Json = dict[str, Any]


@pytest.fixture
def client(world: World) -> Any:
    return world.client()


def native(**changes: Any) -> Json:
    """A provider's response, with an id that no other test has seen."""
    return {**ANSWER, "id": f"resp_{new_id().hex}", **changes}


def eventually(look: Callable[[], Any], timeout_s: float = 5.0) -> Any:
    until = time.monotonic() + timeout_s
    while not (found := look()) and time.monotonic() < until:
        time.sleep(0.01)
    return found


def ask(world: World, method: str, path: str, key: str | None = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {key or world.admin_key}"}
    return httpx.request(method, f"{world.url}/v1/responses{path}", headers=headers, timeout=20)


# ── A provider's own ──


def test_a_follow_up_goes_to_the_target_that_keeps_the_response(
    world: World, client: Any, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    first = native()
    provider.will(Reply.hang_up(), Reply.hang_up(), Reply.hang_up(), Reply.hang_up())
    other.will(Reply.json(first))
    assert client.responses.create(model="pair", input="Hi").id == first["id"]  # the second target of the pair
    provider.forget()
    other.will(Reply.json(native(previous_response_id=first["id"])))
    client.responses.create(model="pair", input="And?", previous_response_id=first["id"])
    assert not provider.seen
    assert other.last.json == {"model": "m2", "input": "And?", "previous_response_id": first["id"]}


def test_where_the_keeper_fails_no_other_target_is_asked(
    client: Any, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    first = native()
    provider.will(Reply.json(first))
    client.responses.create(model="pair", input="Hi")
    provider.will(*[Reply.error(503)] * 5)
    with pytest.raises(openai.InternalServerError):
        client.responses.create(model="pair", input="And?", previous_response_id=first["id"])
    assert not other.seen


def test_a_model_that_does_not_keep_the_response_is_refused_with_the_one_that_does(
    client: Any, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    first = native()
    provider.will(Reply.json(first))
    client.responses.create(model="outside", input="Hi")
    for model in ("other/m2", "silent", "bare"):
        with pytest.raises(openai.BadRequestError, match="Call the model `outside/m1`") as raised:
            client.responses.create(model=model, input="And?", previous_response_id=first["id"])
        assert (raised.value.code, raised.value.param) == ("previous_response_elsewhere", "previous_response_id")
    assert len(provider.seen) == 1
    assert not other.seen


def test_what_nobody_or_somebody_else_has_asked_for_is_not_there(
    world: World, client: Any, provider: SimulatedProvider
) -> None:
    first = native()
    provider.will(Reply.json(first))
    client.responses.create(model="outside", input="Hi")
    somebody = f"s{new_id().hex}"
    world.run(world.identity.create_principal(world.admin, somebody, "service"))
    key = world.key(somebody)
    world.settle()
    assert ask(world, "GET", f"/{first['id']}", key).status_code == 404
    with pytest.raises(openai.NotFoundError) as raised:
        client.responses.create(model="outside", input="And?", previous_response_id="resp_made_up")
    assert raised.value.code == "previous_response_not_found"
    assert len(provider.seen) == 1


def test_a_stream_is_remembered_and_followed(client: Any, provider: SimulatedProvider) -> None:
    first = native()
    provider.will(Reply.raw(stream_of(events_of(first)), content_type="text/event-stream"))
    events = list(client.responses.create(model="outside", input="Hi", stream=True))
    assert events[-1].type == "response.completed"
    provider.will(Reply.json(native()))
    client.responses.create(model="outside", input="And?", previous_response_id=first["id"])
    assert provider.last.json["previous_response_id"] == first["id"]


def test_a_stream_whose_caller_leaves_is_remembered(client: Any, provider: SimulatedProvider) -> None:
    first = native(background=True)
    events = [stream_of([each]) for each in events_of(first)]
    provider.will(Reply.events(events[:-1], end="hang"))
    with client.responses.create(model="outside", input="Hi", stream=True, background=True) as stream:
        next(event for event in stream if event.type == "response.output_item.added")
    provider.seen[0].wait_until_ended()
    provider.will(Reply.json(native(id=first["id"], status="cancelled")))
    assert client.responses.cancel(first["id"]).status == "cancelled"
    assert (provider.last.method, provider.last.path) == ("POST", f"/v1/responses/{first['id']}/cancel")


def test_store_false_is_not_remembered(client: Any, provider: SimulatedProvider) -> None:
    first = native(store=False)
    provider.will(Reply.json(first), Reply.json(first))
    client.responses.create(model="outside", input="Hi", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first["id"])


def test_a_provider_s_response_is_asked_of_it(world: World, client: Any, provider: SimulatedProvider) -> None:
    first = native()
    provider.will(Reply.json(first), Reply.json(first, x_request_id="req_9"))
    client.responses.create(model="outside", input="Hi")
    found = client.responses.with_raw_response.retrieve(first["id"], include=["message.output_text.logprobs"])
    assert found.parse().id == first["id"]
    assert found.headers["x-request-id"] == "req_9"
    assert provider.last.method == "GET"
    split = urlsplit(provider.last.path)
    assert (split.path, list(parse_qs(split.query).values())) == (
        f"/v1/responses/{first['id']}",
        [["message.output_text.logprobs"]],
    )
    item = {"id": "msg_1", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
    provider.will(
        Reply.json({"object": "list", "data": [item], "first_id": "msg_1", "last_id": "msg_1", "has_more": False})
    )
    assert [each.id for each in client.responses.input_items.list(first["id"], limit=1)] == ["msg_1"]
    assert provider.last.path == f"/v1/responses/{first['id']}/input_items?limit=1"
    provider.will(Reply.json({"id": first["id"], "object": "response", "deleted": True}))
    client.responses.delete(first["id"])
    assert provider.last.method == "DELETE"
    seen = len(provider.seen)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first["id"])
    assert len(provider.seen) == seen


def test_a_response_in_the_background_is_streamed_again(client: Any, provider: SimulatedProvider) -> None:
    first = native()
    said = [stream_of([each]) for each in events_of(first)]
    provider.will(Reply.json({**first, "status": "queued", "output": [], "usage": None}), Reply.events(said[3:]))
    made = client.responses.create(model="outside", input="Hi", background=True)
    assert made.status == "queued"
    told = list(client.responses.retrieve(made.id, stream=True, starting_after=2))
    assert [each.type for each in told] == [each["type"] for each in events_of(first)[3:]]
    assert told[-1].response.output_text == "In a peaceful grove…"
    asked = urlsplit(provider.last.path)
    assert (asked.path, parse_qs(asked.query)) == (
        f"/v1/responses/{first['id']}",
        {"stream": ["true"], "starting_after": ["2"]},
    )
    provider.will(Reply.events(said[:-1]), Reply.error(400, "It was not begun as a stream."))
    with pytest.raises(openai.APIError, match="ended before the response did"):
        list(client.responses.retrieve(made.id, stream=True))
    with pytest.raises(openai.BadRequestError, match="not begun as a stream"):
        client.responses.retrieve(made.id, stream=True)


def test_a_stream_of_a_stored_response_whose_caller_leaves_is_left(client: Any, provider: SimulatedProvider) -> None:
    first = native()
    provider.will(Reply.json(first), Reply.events([stream_of([each]) for each in events_of(first)][:-1], end="hang"))
    client.responses.create(model="outside", input="Hi", background=True)
    with client.responses.retrieve(first["id"], stream=True) as stream:
        next(event for event in stream if event.type == "response.output_item.added")
    assert provider.last.wait_until_ended() == "abandoned"


def test_what_the_provider_has_forgotten_is_told_in_its_words(client: Any, provider: SimulatedProvider) -> None:
    first = native()
    provider.will(Reply.json(first), Reply.error(404, "Response not found.", "not_found"), Reply.error(401))
    client.responses.create(model="outside", input="Hi")
    with pytest.raises(openai.NotFoundError, match="Response not found"):
        client.responses.retrieve(first["id"])
    with pytest.raises(openai.APIStatusError) as raised:  # the caller's key is fine
        client.responses.retrieve(first["id"])
    assert (raised.value.status_code, raised.value.code) == (502, "upstream_unauthorized")


def test_a_key_reaches_a_response_by_a_route_that_it_may_call(world: World, provider: SimulatedProvider) -> None:
    first = native()
    provider.will(Reply.json(first), Reply.json(first))
    route, elsewhere = world.key(models=["outside"]), world.key(models=["other/m2", "claims"])
    world.settle()
    world.client(route).responses.create(model="outside", input="Hi")
    assert world.client(route).responses.retrieve(first["id"]).id == first["id"]
    with pytest.raises(openai.PermissionDeniedError, match="may not call `outside/m1`"):
        world.client(elsewhere).responses.retrieve(first["id"])


# ── Items that are only named, as the AI SDK does ──


def test_an_item_that_is_only_named_goes_to_the_target_that_keeps_it(
    world: World, client: Any, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    first = native(output=[{**ANSWER["output"][0], "id": f"msg_{new_id().hex}"}])
    named = {"type": "item_reference", "id": first["output"][0]["id"]}
    provider.will(*[Reply.hang_up()] * 4)
    other.will(Reply.json(first))
    client.responses.create(model="pair", input="Hi")  # the second target of the pair
    provider.forget()
    other.will(Reply.json(native()))
    client.responses.create(model="pair", input=[named, {"role": "user", "content": "And?"}])
    assert not provider.seen
    assert other.last.json["input"][0] == named
    with pytest.raises(openai.BadRequestError, match="Call the model `other/m2`"):
        client.responses.create(model="outside", input=[named])


@pytest.mark.parametrize("form", [{"type": "item_reference"}, {}])
def test_nobody_names_an_item_of_somebody_else(
    world: World, client: Any, provider: SimulatedProvider, form: Json
) -> None:
    first = native(output=[{**ANSWER["output"][0], "id": f"msg_{new_id().hex}"}])
    provider.will(Reply.json(first), Reply.json(native()), Reply.json(native()))
    client.responses.create(model="outside", input="Hi")
    somebody = f"s{new_id().hex}"
    world.run(world.identity.create_principal(world.admin, somebody, "service", roles=["engineer"]))
    somebody = world.key(somebody)
    world.settle()
    body = json.dumps({"model": "outside", "input": [{**form, "id": first["output"][0]["id"]}]})
    for text in (body, body.replace('"id"', '"\\u0069d"').replace("m_r", "m\\u005fr")):
        answer = world.post(text.encode(), "/v1/responses", key=somebody)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "item_not_found"), answer.text
        assert answer.json()["error"]["param"] == "input"
    assert len(provider.seen) == 1
    assert world.post(body.encode(), "/v1/responses").status_code == 200


def test_items_of_a_stream_can_be_named(client: Any, provider: SimulatedProvider) -> None:
    first = native(output=[{**ANSWER["output"][0], "id": f"msg_{new_id().hex}"}])
    provider.will(Reply.raw(stream_of(events_of(first)), content_type="text/event-stream"), Reply.json(native()))
    list(client.responses.create(model="outside", input="Hi", stream=True))
    client.responses.create(model="outside", input=[{"type": "item_reference", "id": first["output"][0]["id"]}])
    assert len(provider.seen) == 2


def test_items_that_lie_here_are_brought_in_for_any_model(client: Any, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("I am forty-two.")), Reply.json(completion("Yes.")), Reply.json(native()))
    first = client.responses.create(model="silent", input="How old?")
    asked = [
        {"role": "user", "content": "How old?"},
        {"type": "item_reference", "id": first.output[0].id},
        {"role": "user", "content": "Really?"},
    ]
    second = client.responses.create(model="silent", input=asked)
    assert [each["content"] for each in provider.last.json["messages"]] == ["How old?", "I am forty-two.", "Really?"]
    listed = client.responses.input_items.list(second.id, order="asc")
    assert [each.type for each in listed.data] == ["message"] * 3
    client.responses.create(model="outside", input=asked)
    assert "forty-two" in json.dumps(provider.last.json["input"])


# ── Ours ──


def test_a_translated_response_is_kept_and_followed_anywhere(
    client: Any, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.json(completion("Hello Ada.")))
    first = client.responses.create(model="silent", input="I am Ada.", instructions="Be kind.")
    assert first.store
    provider.will(Reply.json(completion("Ada.")))
    second = client.responses.create(model="silent", input="Who am I?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert [(each["role"], _text(each["content"])) for each in provider.last.json["messages"]] == [
        ("user", "I am Ada."),
        ("assistant", "Hello Ada."),
        ("user", "Who am I?"),
    ]
    other.will(Reply.json(native()))
    third = client.responses.create(model="other/m2", input="Sure?", previous_response_id=second.id)
    assert "previous_response_id" not in other.last.json
    said = [(each["role"], _text(each["content"])) for each in other.last.json["input"]]
    assert said == [
        ("user", "I am Ada."),
        ("assistant", "Hello Ada."),
        ("user", "Who am I?"),
        ("assistant", "Ada."),
        ("user", "Sure?"),
    ]
    other.will(Reply.json(native()))
    client.responses.create(model="other/m2", input="Yes?", previous_response_id=third.id)  # from here on, the target's
    assert other.last.json["input"] == "Yes?"


def test_a_translated_stream_is_kept(client: Any, provider: SimulatedProvider) -> None:
    provider.will(Reply.events(streamed("Hello ", "Ada.", usage={"prompt_tokens": 3, "completion_tokens": 2})))
    *_, last = client.responses.create(model="silent", input="I am Ada.", stream=True)
    assert last.type == "response.completed"
    found = client.responses.retrieve(last.response.id)
    assert found == last.response
    assert found.output_text == "Hello Ada."
    provider.will(Reply.events(streamed("Ada.")))
    *_, last = client.responses.create(model="silent", input="Who?", stream=True, previous_response_id=found.id)
    assert last.response.previous_response_id == found.id
    assert [_text(each["content"]) for each in provider.last.json["messages"]] == ["I am Ada.", "Hello Ada.", "Who?"]


def test_a_stream_that_breaks_off_is_not_kept(client: Any, provider: SimulatedProvider) -> None:
    provider.will(Reply.events([chunk("Hel", role="assistant")], end="cut"))
    events = client.responses.create(model="silent", input="Hi", stream=True)
    response_id = next(events).response.id
    with pytest.raises(openai.APIError):
        list(events)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response_id)


def test_ours_is_retrieved_listed_and_deleted(world: World, client: Any, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("Hello.")))
    made = client.responses.create(
        model="silent", input=[{"role": "user", "content": "One."}, {"role": "user", "content": "Two."}]
    )
    body = ask(world, "GET", f"/{made.id}")
    assert checked_response(body.content)["output"][0]["content"][0]["text"] == "Hello."
    assert client.responses.retrieve(made.id) == made
    items = client.responses.input_items.list(made.id, order="asc", limit=1)
    assert [each.content[0].text for each in items] == ["One.", "Two."]
    with pytest.raises(openai.BadRequestError, match="only responses in the background"):
        client.responses.cancel(made.id)
    with pytest.raises(openai.BadRequestError, match="only responses in the background"):
        client.responses.retrieve(made.id, stream=True)
    assert ask(world, "DELETE", f"/{made.id}").json() == {"id": made.id, "object": "response", "deleted": True}
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    assert len(provider.seen) == 1


def test_store_false_is_not_kept(client: Any, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("Hello.")))
    made = client.responses.create(model="silent", input="Hi", store=False)
    assert made.store is False
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_a_key_that_may_not_call_the_model_reads_nothing_of_it(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("Hello.")))
    made = world.client().responses.create(model="silent", input="Hi")
    narrow = world.key(models=["outside"])
    world.settle()
    with pytest.raises(openai.PermissionDeniedError, match="may not call `silent`"):
        world.client(narrow).responses.retrieve(made.id)
    with pytest.raises(openai.PermissionDeniedError, match="may not call `silent`"):
        world.client(narrow).responses.create(model="outside", input="And?", previous_response_id=made.id)


def test_thoughts_of_another_format_are_read_before_a_provider_of_responses_sees_them(
    client: Any, provider: SimulatedProvider
) -> None:
    made = packed(ThinkingBlock("Hm.", "signed by Anthropic", origin="messages"))
    thought: Any = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": made}
    provider.will(Reply.json(native()))
    client.responses.create(model="outside", input=[thought, {"role": "user", "content": "Hi"}])
    assert b"hw1." not in provider.last.body
    assert b"signed" not in provider.last.body
    assert provider.last.json["model"] == "m1"


# ── Features ──


@pytest.fixture
def document(world: World, cluster: Cluster) -> Iterator[Callable[[], object]]:
    """The document that passages are of, readable by everyone; called: nobody may read it any more."""
    of = {"tenant": world.admin.tenant, "document": DOCUMENT, "me": world.admin.id, "new": new_id()}
    with psycopg.connect(cluster.url(world.database_name), autocommit=True) as connection:
        run = connection.execute
        run("SET search_path = headworks, public")
        run("INSERT INTO project (tenant_id, project_id, name) VALUES (%(tenant)s, %(new)s, %(new)s)", of)
        run(
            "INSERT INTO collection (tenant_id, collection_id, project_id, name) "
            "VALUES (%(tenant)s, %(new)s, %(new)s, 'shelf')",
            of,
        )
        run("INSERT INTO collection_reader VALUES (%(tenant)s, %(new)s, %(me)s)", of)
        run(
            "INSERT INTO document (tenant_id, document_id, collection_id, source, path, title, media_type, "
            "content_hash, version, restricted, handed_in_by, characters) "
            "VALUES (%(tenant)s, %(document)s, %(new)s, 'upload', 'a.md', 'A', 'text/plain', '', 1, false, %(me)s, 1)",
            of,
        )
        yield lambda: run("UPDATE document SET restricted = true WHERE document_id = %(document)s", of)
        run("DELETE FROM collection WHERE collection_id = %(new)s", of)
        run("DELETE FROM project WHERE project_id = %(new)s", of)


def test_a_feature_s_response_is_followed_with_its_history(
    world: World, client: Any, provider: SimulatedProvider
) -> None:
    provider.will(Reply.json(completion("Hello Ada.")), Reply.json(completion("Ada.")))
    world.shelf.passages_of = []
    first = client.responses.create(model="claims", input="I am Ada.")
    second = client.responses.create(model="claims", input="Who am I?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert second.output_text == "Ada."
    assert [question for _, question in world.shelf.asked] == ["I am Ada.", "Who am I?"]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def test_a_response_is_gone_with_the_right_to_read_what_it_quotes(
    world: World, client: Any, provider: SimulatedProvider, document: Callable[[], object]
) -> None:
    world.shelf.passages_of = [passage(1, "Teeth are covered.")]
    provider.will(Reply.json(completion("Teeth are [1].")))
    made = client.responses.create(model="claims", input="Teeth?")
    assert made.output[0].content[0].annotations
    assert client.responses.retrieve(made.id) == made
    provider.will(Reply.json(native()), Reply.json(completion("So they are.")))
    elsewhere = client.responses.create(model="outside", input="Sure?", previous_response_id=made.id)
    world.shelf.passages_of = []
    here = client.responses.create(model="claims", input="Sure?", previous_response_id=made.id)
    asked = len(provider.seen)
    document()
    for response in (made, elsewhere, here):
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(response.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.create(model="outside", input="And?", previous_response_id=response.id)
    assert len(provider.seen) == asked


def test_what_an_item_quotes_is_not_forgotten_beside_a_response_that_is_followed(
    world: World, client: Any, provider: SimulatedProvider, document: Callable[[], object]
) -> None:
    provider.will(Reply.json(completion("Teeth are [1].")), Reply.json(completion("Hello.")))
    world.shelf.passages_of = [passage(1, "Teeth are covered.")]
    quoting = client.responses.create(model="claims", input="Teeth?")
    plain = client.responses.create(model="silent", input="Hi")
    named = [{"type": "item_reference", "id": quoting.output[0].id}, {"role": "user", "content": "Say it again."}]
    provider.will(Reply.json(completion("Teeth are covered.")))
    made = client.responses.create(model="silent", input=named, previous_response_id=plain.id)
    assert client.responses.retrieve(made.id).output_text == "Teeth are covered."
    document()
    assert client.responses.retrieve(plain.id).output_text == "Hello."
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_a_trace_of_what_follows_may_hold_what_the_first_answer_quoted(
    world: World, client: Any, provider: SimulatedProvider, document: Callable[[], object]
) -> None:
    del document  # it is there
    provider.will(Reply.json(completion("Teeth are [1].")), Reply.json(completion("Teeth are covered.")))
    world.shelf.passages_of = [passage(1, "Teeth are covered.")]
    first = client.responses.create(model="claims", input="Teeth?")
    world.shelf.passages_of = []
    client.responses.create(model="bare", input="Say it again.", previous_response_id=first.id)
    (root,) = [each for each in world.records.spans if each.name == "request"][1:]
    assert json.loads(world.open_payload(root)) == {"answer": "Teeth are covered."}
    assert root.documents == [DOCUMENT]


# ── Refusals ──


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/resp_x", 404),
        ("GET", "/resp_x/nothing", 404),
        ("POST", "/resp_x", 404),
        ("DELETE", "/resp_x/input_items", 404),
        ("GET", "/", 404),
        ("GET", "/%00%ff", 404),
        ("GET", "/" + "x" * 600, 404),
    ],
)
def test_what_is_not_there_is_refused_in_the_format(world: World, method: str, path: str, status: int) -> None:
    answer = ask(world, method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) >= {"message", "type", "param", "code"}


def test_no_key_is_refused(world: World) -> None:
    answer = ask(world, "GET", "/resp_x", key="nonsense")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "malformed_api_key")


def test_a_conversation_is_refused_by_name(world: World, provider: SimulatedProvider) -> None:
    answer = world.post({"model": "outside", "input": "Hi", "conversation": "conv_1"}, "/v1/responses")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "conversation")
    answer = world.post({"model": "outside", "input": "Hi", "store": "yes"}, "/v1/responses")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "store")
    assert not provider.seen


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=99999", "order=up", "after=nothing"])
def test_a_list_of_items_with_wrong_bounds_is_refused(
    world: World, client: Any, provider: SimulatedProvider, query: str
) -> None:
    provider.will(Reply.json(completion("Hello.")))
    made = client.responses.create(model="silent", input="Hi")
    answer = ask(world, "GET", f"/{made.id}/input_items?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, query.partition("=")[0])


def test_without_the_database_the_answer_is_given_all_the_same(
    world: World, client: Any, provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = native()
    provider.will(Reply.json(first), Reply.json(completion("Hello.")))
    away = property(lambda _: False, lambda _, __: None)  # the next look at the database does not change it
    monkeypatch.setattr(type(world.gateway.snapshots), "is_connected", away, raising=False)
    assert client.responses.create(model="outside", input="Hi").id == first["id"]
    made = client.responses.create(model="silent", input="Hi")
    monkeypatch.undo()
    for response_id in (first["id"], made.id):
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(response_id)


def test_bytes_of_a_provider_s_response_stay_as_they_are(world: World, provider: SimulatedProvider) -> None:
    body = json.dumps(native(), indent=3).encode().replace(b'"a_future', b'"a_f\\u0075ture')
    provider.will(Reply.raw(body))
    assert world.post({"model": "outside", "input": "Hi"}, "/v1/responses").content == body
