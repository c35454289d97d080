"""Images, audio, files and batches: by OpenAI's own client, byte for byte, to who serves them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from running_gateway import World

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply
from headworks.types.records import UsageRow

PICTURE = bytes(range(256)) * 40
FILE = {"id": "file-1", "object": "file", "bytes": 3, "created_at": 1, "filename": "a.jsonl", "purpose": "batch"}
BATCH = {
    "id": "batch_1",
    "object": "batch",
    "endpoint": "/v1/chat/completions",
    "input_file_id": "file-1",
    "completion_window": "24h",
    "status": "validating",
    "created_at": 1,
}


def counted(row: UsageRow) -> tuple[Any, ...]:
    return row.input_tokens, row.output_tokens, row.cost_micro_usd, row.is_estimated


def test_an_image_is_made_by_the_target_of_a_route(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.raw(b'{"created":1, "data":[{"b64_json":"aGk="}]}', x_request_id="req_7"))
    answer = world.client().images.with_raw_response.generate(model="outside", prompt="A canal", size="1024x1024")
    assert answer.content == b'{"created":1, "data":[{"b64_json":"aGk="}]}'
    assert answer.headers["x-request-id"] == "req_7"
    assert answer.headers["x-headworks-release"].startswith("sha256:")
    assert provider.last.path == "/v1/images/generations"
    assert provider.last.json == {"model": "m1", "prompt": "A canal", "size": "1024x1024"}
    row = world.records.row()
    assert (row.surface, row.asked_model, row.provider, row.model) == ("image_generations", "outside", "outside", "m1")
    assert (row.status, row.attempts) == (200, 1)
    assert counted(row) == (None, None, None, False)


def test_a_form_arrives_with_nothing_but_its_model_changed(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json({"text": "Hello."}))
    answer = world.client().audio.transcriptions.create(
        model="outside", file=("späß.wav", PICTURE, "audio/wav"), language="en"
    )
    assert answer.text == "Hello."
    seen = provider.last
    assert seen.path == "/v1/audio/transcriptions"
    assert seen.body.count(PICTURE) == 1
    boundary = seen.headers["content-type"].partition("boundary=")[2].encode()
    parts = seen.body.split(b"--" + boundary)
    assert next(each for each in parts if b'name="model"' in each).endswith(b"\r\n\r\nm1\r\n")
    assert parts[-1].strip() == b"--"
    assert world.records.row().surface == "audio_transcriptions"


@pytest.mark.parametrize("kind", ["edits", "variations", "translations"])
def test_other_forms_go_to_their_own_paths(world: World, provider: SimulatedProvider, kind: str) -> None:
    image = ("a.png", PICTURE, "image/png")
    provider.will(Reply.json({"created": 1, "data": []}))
    group = "audio" if kind == "translations" else "images"
    if kind == "edits":
        world.client().images.edit(model="outside/gpt-image-1", image=[image, image], prompt="More water")
    else:  # the client calls them deprecated
        headers = {"authorization": f"Bearer {world.admin_key}"}
        sent: Any = {"data": {"model": "outside/old"}, "files": {"image": image}, "headers": headers}
        assert httpx.post(f"{world.url}/v1/{group}/{kind}", **sent).status_code == 200
    assert provider.last.path == f"/v1/{group}/{kind}"
    assert world.records.row().status == 200


def test_speech_streams_through_untouched(world: World, provider: SimulatedProvider) -> None:
    pieces = (b"\xff\xfb" + PICTURE, b"\x00" * 1000, PICTURE)
    provider.will(Reply(200, {"content-type": "audio/mpeg"}, pieces, is_chunked=True, gap_s=0.01))
    create = world.client().audio.speech.with_streaming_response.create
    with create(model="outside", voice="alloy", input="Hello.") as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        assert b"".join(answer.iter_bytes()) == b"".join(pieces)
    assert provider.last.json["model"] == "m1"
    assert world.records.row().surface == "speech"


def test_an_answer_that_breaks_off_is_not_taken_for_whole(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply(200, {"content-type": "audio/mpeg"}, (b"abc", b"def"), is_chunked=True, end="cut", gap_s=0.05))
    body = {"model": "outside", "voice": "alloy", "input": "Hello."}
    with pytest.raises(httpx.RemoteProtocolError):
        world.post(body, "/v1/audio/speech")
    row = world.records.row()
    assert row.status == 502
    assert row.error_code is not None
    provider.will(Reply(200, {"content-type": "audio/mpeg"}, (b"abc",), end="cut"))
    with pytest.raises(httpx.RemoteProtocolError):
        world.post(body, "/v1/audio/speech")


def test_events_that_break_off_end_with_an_error(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.events([{"type": "image_generation.partial_image", "b64_json": "aGk="}], end="cut", gap_s=0.05))
    body = {"model": "outside", "prompt": "A canal", "stream": True}
    answer = world.post(body, "/v1/images/generations")
    first, last = answer.text.strip().split("\n\n")
    assert "partial_image" in first
    assert '"error"' in last
    row = world.records.row()
    assert (row.streamed, row.status) == (True, 502)


def test_who_leaves_stops_the_provider(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply(200, {"content-type": "audio/mpeg"}, (b"abc", b"def"), is_chunked=True, end="hang"))
    create = world.client().audio.speech.with_streaming_response.create
    with create(model="outside", voice="alloy", input="Hello.") as answer:
        next(answer.iter_bytes())
    assert provider.last.wait_until_ended() == "abandoned"
    assert world.records.row().status == 499


def test_another_target_answers_where_the_first_is_down(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    other.will(Reply.json({"text": "Hello."}))
    file = ("a.wav", PICTURE, "audio/wav")
    assert world.client().audio.transcriptions.create(model="saved", file=file).text == "Hello."
    assert b"\r\n\r\nm2\r\n" in other.last.body
    row = world.records.row()
    assert (row.attempts, row.provider, row.status) == (2, "other", 200)
    provider.will(Reply.error(503))
    other.will(Reply.json({"created": 1, "data": []}))
    world.client().images.generate(model="pair", prompt="x")
    assert other.last.json["model"] == "m2"


@pytest.mark.parametrize("status", [400, 429, 500, 401])
def test_a_provider_s_error_is_passed_on_but_for_one_about_our_key(
    world: World, provider: SimulatedProvider, status: int
) -> None:
    provider.will(Reply.error(status, "No.", retry_after="7"))
    answer = world.post({"model": "outside", "prompt": "x"}, "/v1/images/generations")
    if status != 401:
        assert (answer.status_code, answer.json()["error"]["message"]) == (status, "No.")
        assert answer.headers["retry-after"] == "7"
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unauthorized")
    assert world.records.row().status == answer.status_code


def test_a_web_page_is_no_answer_of_a_provider(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.html(404), Reply.raw(b"", 302, location="http://elsewhere.example/"))
    for _ in range(2):
        answer = world.post({"model": "outside", "prompt": "x"}, "/v1/images/generations")
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("images/generations", {"prompt": "x"}, 400, "`model` is required"),
        ("images/generations", {"model": "inside", "prompt": "x"}, 400, "does not serve image_generations"),
        ("images/generations", {"model": "builtin/simulated"}, 400, "does not serve image_generations"),
        ("images/generations", {"model": "bare", "prompt": "x"}, 400, "is a feature"),
        ("images/generations", {"model": "nowhere", "prompt": "x"}, 404, "no model or feature `nowhere`"),
        ("audio/speech", b"{", 400, "not valid JSON"),
        ("audio/speech", {"model": 1}, 400, "`model` must be a string"),
    ],
)
def test_what_can_t_be_sent_is_named(world: World, path: str, body: Any, status: int, said: str) -> None:
    answer = world.post(body, f"/v1/{path}")
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]


def test_a_route_s_parameters_go_into_json_and_are_refused_for_a_form(
    world: World, provider: SimulatedProvider
) -> None:
    provider.will(Reply.json({"created": 1, "data": []}))
    world.client().images.generate(model="capped", prompt="x")
    assert provider.last.json == {"model": "m1", "prompt": "x", "temperature": 0.5}
    with pytest.raises(openai.BadRequestError, match="fixes `temperature`"):
        world.client().audio.transcriptions.create(model="capped", file=("a.wav", b"x"))


def test_a_key_for_other_models_is_refused(world: World, provider: SimulatedProvider) -> None:
    client = world.client(world.key(models=("inside",)))
    world.settle()
    with pytest.raises(openai.PermissionDeniedError, match="may not call `outside`"):
        client.images.generate(model="outside", prompt="x")
    with pytest.raises(openai.PermissionDeniedError, match="may not call `outside/files`"):
        client.files.list(extra_headers={"x-headworks-provider": "outside"})
    assert not provider.seen
    with pytest.raises(openai.AuthenticationError):
        world.client("hw_nobody").images.generate(model="outside", prompt="x")


CHOSEN = {"x-headworks-provider": "outside"}


def test_a_file_s_whole_life(world: World, provider: SimulatedProvider) -> None:
    content = b'{"custom_id": "a"}\n' * 1000
    deleted = {"id": "file-1", "object": "file", "deleted": True}
    provider.will(
        Reply.json(FILE),
        Reply.json({"object": "list", "data": [FILE], "has_more": False}),
        Reply.json(FILE),
        Reply.raw(content, content_type="application/octet-stream", content_disposition='attachment; filename="a"'),
        Reply.json(deleted),
    )
    files = world.client(default_headers=CHOSEN).files
    assert files.create(file=("a.jsonl", content), purpose="batch").id == "file-1"
    assert content in provider.last.body
    assert [each.id for each in files.list(purpose="batch", limit=5)] == ["file-1"]
    assert provider.last.path == "/v1/files?limit=5&purpose=batch"
    assert files.retrieve("file-1").bytes == 3
    fetched = files.content("file-1")
    assert fetched.content == content
    assert fetched.response.headers["content-length"] == str(len(content))
    assert fetched.response.headers["content-disposition"] == 'attachment; filename="a"'
    assert files.delete("file-1").deleted
    assert [(seen.method, seen.path.partition("?")[0]) for seen in provider.seen] == [
        ("POST", "/v1/files"),
        ("GET", "/v1/files"),
        ("GET", "/v1/files/file-1"),
        ("GET", "/v1/files/file-1/content"),
        ("DELETE", "/v1/files/file-1"),
    ]
    row = world.records.row(5)
    assert (row.surface, row.asked_model, row.provider, row.model) == ("files", "outside/files", "outside", None)
    assert counted(row) == (None, None, None, False)


def test_a_batch_s_whole_life(world: World, provider: SimulatedProvider) -> None:
    provider.will(
        Reply.json(BATCH),
        Reply.json({"object": "list", "data": [BATCH], "has_more": False}),
        Reply.json(BATCH),
        Reply.json(BATCH | {"status": "cancelling"}),
    )
    batches = world.client(default_headers=CHOSEN).batches
    batches.create(input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h")
    assert provider.last.json["input_file_id"] == "file-1"
    assert [each.id for each in batches.list()] == ["batch_1"]
    assert batches.retrieve("batch_1").status == "validating"
    assert batches.cancel("batch_1").status == "cancelling"
    assert provider.last.path == "/v1/batches/batch_1/cancel"
    assert {row.surface for row in world.records.rows} == {"batches"}


def test_without_a_name_the_accounts_are_listed_unless_there_is_one(world: World, provider: SimulatedProvider) -> None:
    answer = httpx.get(f"{world.url}/v1/batches", headers={"authorization": f"Bearer {world.admin_key}"})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "provider")
    assert "outside" in error["message"]
    assert "other" in error["message"]
    assert "x-headworks-provider" in error["message"]
    assert not provider.seen
    assert world.records.row().status == 400
    provider.will(Reply.json({"object": "list", "data": [], "has_more": False}))
    client = world.client(world.key(models=("outside/batches",)))
    world.settle()
    answer = client.batches.with_raw_response.list()
    assert answer.headers["x-headworks-provider"] == "outside"


def test_the_account_may_be_named_in_the_address(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json({"object": "list", "data": []}))
    headers = {"authorization": f"Bearer {world.admin_key}"}
    answer = httpx.get(f"{world.url}/v1/files?purpose=batch&provider=outside&limit=3", headers=headers)
    assert answer.status_code == 200
    assert provider.last.path == "/v1/files?purpose=batch&limit=3"


@pytest.mark.parametrize(
    ("method", "path", "chosen", "status", "said"),
    [
        ("GET", "files", "inside", 400, "`inside` does not serve files"),
        ("GET", "files", "builtin", 400, "does not serve files"),
        ("GET", "files", "nobody", 404, "no provider `nobody`"),
        ("GET", "files", "openai", 503, "has no credential"),
        ("GET", "files", "a b", 400, "no name of an account"),
        ("GET", "files?provider=a&provider=b", "", 400, "twice"),
        ("GET", "files/..%2fmodels", "outside", 404, "nothing at GET /v1/files/..%2fmodels"),
        ("POST", "f%69les", "outside", 404, "nothing at"),
        ("GET", "files/.hidden", "outside", 404, "nothing at"),
        ("GET", "files/a/b", "outside", 404, "nothing at"),
        ("GET", "batches/a/cancel", "outside", 404, "nothing at"),
        ("POST", "batches/a", "outside", 404, "nothing at"),
        ("DELETE", "files/a/content", "outside", 404, "nothing at"),
    ],
)
def test_a_wrong_place_is_refused_before_anything_is_sent(
    world: World, provider: SimulatedProvider, method: str, path: str, chosen: str, status: int, said: str
) -> None:
    headers = {"authorization": f"Bearer {world.admin_key}"} | ({"x-headworks-provider": chosen} if chosen else {})
    answer = httpx.request(method, f"{world.url}/v1/{path}", headers=headers)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["error"]["message"]
    assert not provider.seen


def test_who_may_only_call_features_sees_no_files(world: World, provider: SimulatedProvider) -> None:
    client = world.client(world.key(permissions=("feature:call",)))
    world.settle()
    with pytest.raises(openai.PermissionDeniedError, match="model:call"):
        client.files.list()
    assert not provider.seen


@pytest.fixture
def stranger(world: World, provider: SimulatedProvider) -> Iterator[str]:
    """A key of another tenant, which reaches the same provider with the same credential: none."""
    founded = world.run(world.identity.create_tenant(world.admin, "strangers"))
    world.settle()
    owner = world.run(world.gateway.authenticate(founded.key))
    accounts = f"providers:\n  ours: {{kind: openai, base_url: '{provider.url}'}}\n".encode()
    world.run(world.releases.apply(owner, "default", {"providers.yaml": accounts}))
    world.settle()
    yield founded.key
    world.run(world.releases.apply(owner, "default", {"providers.yaml": b"providers: {}\n"}))
    world.settle()


def test_tenants_that_share_a_key_see_no_files_of_each_other(
    world: World, provider: SimulatedProvider, stranger: str
) -> None:
    for key, name in ((world.admin_key, "outside"), (stranger, "ours")):
        with pytest.raises(openai.PermissionDeniedError, match="not this tenant's alone") as refused:
            world.client(key).files.list(extra_headers={"x-headworks-provider": name})
        assert refused.value.code == "account_is_shared"
    with pytest.raises(openai.BadRequestError, match="no account here"):
        world.client(stranger).files.list()
    assert not provider.seen
    world.providers[1].will(Reply.json({"object": "list", "data": []}))
    world.client().files.list(extra_headers={"x-headworks-provider": "other"})
