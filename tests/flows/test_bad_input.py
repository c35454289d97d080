"""Bad input of every kind, through the clients that people use: each test reads what is said, where, and what to do.

Elsewhere, on the same whole server: a taken port, an unreachable database and processes that are killed
(tests/server/test_supervisor.py), mistakes in a workspace's files (tests/cli/commands/test_apply.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest
from running_server import FEATURE, PROMPT, READERS, Server, eventually, start_server, write_workspace
from sample_documents import encrypted_pdf, flowing_pdf, raw_docx, scanned_pdf, zip_bomb_docx

from headworks.identity.tokens import mint
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion
from headworks.types.ids import new_id

MB = 1024 * 1024
ASKED: dict[str, Any] = {"model": "echo", "messages": [{"role": "user", "content": "hello"}]}
TYPED = """---
inputs:
  question: {kind: string, from: question}
  plan: {kind: string, required: true}
  year: {kind: integer, default: 2026}
---
user:
{{ plan }} {{ year }} {{ question }}
"""
LOOPING = """---
inputs:
  question: {kind: string, from: question}
---
user:
{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}{{ question }}
"""


SWELLING = """---
inputs:
  question: {kind: string, from: question}
---
user:
{% set ns = namespace(text=question) %}{% for a in range(60) %}{% set ns.text = ns.text ~ ns.text %}{% endfor %}
{{ ns.text }}
"""


@dataclass
class Scene:
    server: Server
    provider: SimulatedProvider


def workspace(provider: SimulatedProvider) -> dict[str, str]:
    files = {
        "providers.yaml": "providers:\n"
        f"  outside: {{kind: openai, base_url: '{provider.url}'}}\n"
        "  gone: {kind: openai, base_url: 'http://127.0.0.1:9/v1'}\n",
        "routes.yaml": "routes:\n  default: {targets: [outside/m1]}\n  echo: {targets: [builtin/simulated]}\n"
        "  dead: {targets: [gone/m1]}\n  keyless: {targets: [openai/gpt-5-mini]}\n",
        "collections/docs.yaml": READERS,
        "features/assistant/feature.yaml": FEATURE,
        "features/assistant/prompts/answer.prompty": PROMPT,
    }
    for name, prompt in (("typed", TYPED), ("looping", LOOPING)):
        files[f"features/{name}/feature.yaml"] = "owner: tests\nroute: echo\nprompt: prompts/answer.prompty\n"
        files[f"features/{name}/prompts/answer.prompty"] = prompt
    return files


@pytest.fixture(scope="module")
def world(server: Server) -> Iterator[Scene]:
    with SimulatedProvider() as provider:
        tenant = server.as_tenant("bad-input")
        tenant.apply(workspace(provider))
        yield Scene(tenant, provider)


@pytest.fixture
def scene(world: Scene) -> Scene:
    world.provider.forget()
    return world


@pytest.fixture
def client(scene: Scene) -> Iterator[openai.OpenAI]:
    url, key = f"{scene.server.url}/v1", scene.server.admin_key
    with openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=60) as made:
        yield made


def chat(client: openai.OpenAI, model: str, **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hello"}], **more)


def check_error(answer: httpx.Response, status: int, code: str, *said: str) -> None:
    """In OpenAI's shape, with all four fields, saying this, and with no more than one line of it."""
    error = answer.json()["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    assert (answer.status_code, error["code"]) == (status, code), answer.text
    for each in said:
        assert each in error["message"]
    assert "Traceback" not in answer.text


# ── Names ──


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("asistant", "There is no model or feature `asistant`. Near names: assistant."),
        ("ecko", "There is no model or feature `ecko`. Near names: echo."),
        ("outsid/m1", "There is no provider `outsid`. Near names: outside."),
        ("builtin/extractve", "There is no model `builtin/extractve`. Those are: builtin/extractive,"),
        ("nothing-like-it-at-all", "There is no model or feature `nothing-like-it-at-all`. You may call: "),
        ("typed@staging", "The feature `typed` has no release on `staging`. There is: typed@prod."),
        ("typed@sha256:" + "0" * 64, f"The feature `typed` has no release `sha256:{'0' * 64}`."),
    ],
)
def test_an_unknown_name_lists_near_ones(client: openai.OpenAI, name: str, said: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        chat(client, name)
    assert said in caught.value.message
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_near_names_are_none_that_the_key_may_not_call(scene: Scene, client: openai.OpenAI) -> None:
    member = scene.server.key_of("member")
    with pytest.raises(openai.NotFoundError) as caught:
        chat(client.with_options(api_key=member), "ecko")
    assert "echo" not in caught.value.message
    assert "assistant" in caught.value.message


# ── Keys ──


def damaged(key: str) -> str:
    return key[:-1] + ("a" if key[-1] != "a" else "b")


def doors(server: Server, headers: dict[str, str]) -> Iterator[httpx.Response]:
    """The answers of every kind of route."""
    with httpx.Client(base_url=server.url, headers=headers, timeout=30) as web:
        yield web.post("/v1/chat/completions", json=ASKED)
        yield web.post("/v1/chat/completions", json={**ASKED, "stream": True})
        yield web.post("/v1/embeddings", json={"model": "builtin/minilm", "input": "x"})
        yield web.get("/v1/models")
        yield web.get("/api/me")
        yield web.post("/api/search", json={"collection": "docs", "query": "x"})
        yield web.put("/api/collections/docs/documents?path=a.md", content=b"x")
        yield web.get("/api/traces")


@pytest.mark.parametrize(
    ("header", "code", "said"),
    [
        (None, "missing_api_key", "No API key was given. Send it as `Authorization: Bearer hw_…`"),
        ("Bearer", "missing_api_key", "`headworks key create` makes one"),
        ("Basic YTpi", "missing_api_key", "No API key was given."),
        ("Bearer sk-proj-1234", "malformed_api_key", "starts with `hw_` and has 75 characters"),
        ("Bearer hw_", "malformed_api_key", "Copy it again, whole and without quotes or blanks."),
        ("Bearer DAMAGED", "malformed_api_key", "The API key is malformed"),
        ("Bearer STRANGE", "invalid_api_key", "not known here. Check that it was made on this server"),
    ],
)
def test_a_key_that_is_none_is_told_so_at_every_door(scene: Scene, header: str | None, code: str, said: str) -> None:
    keys = {"DAMAGED": damaged(scene.server.admin_key), "STRANGE": mint("hw", new_id()).text()}
    headers = {}
    if header is not None:
        kind, _, word = header.partition(" ")
        headers["authorization"] = f"{kind} {keys.get(word, word)}".strip()
    for answer in doors(scene.server, headers):
        check_error(answer, 401, code, said)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert keys["STRANGE"] not in answer.text


def test_a_key_that_ended_is_told_how(scene: Scene) -> None:
    expired, revoked = (
        scene.server.key_of("leaver", name=name, expires=end) for name, end in (("a", "1s"), ("b", "1d"))
    )
    rows = scene.server.must("GET", "/api/keys?principal=leaver")["rows"]
    scene.server.must("DELETE", f"/api/keys/{next(row['id'] for row in rows if row['name'] == 'b')}")
    for key, code, said in (
        (expired, "expired_api_key", "Make a new one with `headworks key create`."),
        (revoked, "revoked_api_key", "Ask whoever revoked it"),
    ):
        eventually(lambda: scene.server.api("GET", "/api/me", key=key)[0] == 401)  # noqa: B023 -- called at once
        for answer in doors(scene.server, {"authorization": f"Bearer {key}"}):
            check_error(answer, 401, code, said)
        done = scene.server.cli("ask", "assistant", "hello", key=key, check=False)
        assert done.returncode == 1
        assert said in done.stderr


def test_a_missing_permission_is_named(scene: Scene) -> None:
    key = scene.server.key_of("member", permissions=[])
    needed = iter(
        ("model:call", "model:call", "model:call", None, None, "collection:read", "collection:write", "trace:")
    )
    for answer, permission in zip(doors(scene.server, {"authorization": f"Bearer {key}"}), needed, strict=True):
        if permission is None:
            assert answer.status_code == 200
        else:
            check_error(answer, 403, "permission_denied", f"`{permission}", "`member`", "ask an administrator")
    with openai.OpenAI(base_url=f"{scene.server.url}/v1", api_key=key, max_retries=0) as client:
        with pytest.raises(openai.PermissionDeniedError, match="lacks the permission `feature:call`"):
            chat(client, "assistant")
        assert client.models.list().data == []


# ── Bodies ──


def of_chat(**changed: Any) -> bytes:
    return json.dumps({**ASKED, **changed}).encode()


@pytest.mark.parametrize(
    ("path", "body", "code", "said"),
    [
        ("/v1/chat/completions", b"", "invalid_json", "The body is not valid JSON"),
        ("/v1/chat/completions", b'{"model": "echo",', "invalid_json", "The body is not valid JSON"),
        ("/v1/chat/completions", b"[]", "invalid_request", "The body must be a JSON object."),
        ("/v1/chat/completions", b'{"model": "echo", "messages": "\xff"}', None, "UTF-8: byte 31 can't be read."),
        ("/v1/chat/completions", of_chat(messages="hello"), "invalid_type", "`messages` must be an array."),
        ("/v1/chat/completions", of_chat(model=7), "invalid_type", "`model` must be a string."),
        ("/v1/chat/completions", of_chat(stream="yes"), "invalid_type", "`stream`"),
        ("/v1/chat/completions", of_chat(model="assistant", max_tokens="many"), "invalid_type", "`max_tokens`"),
        ("/v1/chat/completions", of_chat(model="assistant", inputs=[1]), "invalid_type", "`inputs`"),
        ("/v1/chat/completions", of_chat(messages=[]), "missing_field", "`messages` is empty."),
        ("/v1/chat/completions", b'{"x":' * 100_000, "invalid_request", "nested too deeply"),
        ("/v1/embeddings", b'{"model": "builtin/minilm"}', "missing_field", "`input` is required."),
        ("/v1/embeddings", b"\x00", "invalid_json", "The body is not valid JSON"),
        ("/api/search", b"", "invalid_request", "Field required"),
        ("/api/search", b'{"collection": ', "invalid_json", "Expecting value (character 15)."),
        ("/api/search", b'{"query": "\xff"}', "invalid_json", "byte 11 is not UTF-8. Send one JSON object in UTF-8."),
        ("/api/search", b"[" * 100_000, "invalid_json", "it is nested too deeply"),
        ("/api/search", b'{"collection": 1, "query": "x"}', "invalid_request", "`collection`: Input should be a"),
        ("/api/search", b'{"collection": "docs", "query": "x", "kk": 1}', "invalid_request", "`kk`: There is no field"),
        ("/api/search", b'{"collection": "docs", "query": "x", "k": 0}', "invalid_request", "`k` is 0, not 1 to 100."),
        ("/api/search", b'{"collection": "docs", "query": " "}', "invalid_request", "The query is empty."),
        ("/api/keys", b'{"expires": "yesterday"}', "invalid_request", "'yesterday' is no expiry. Give ISO 8601"),
        ("/api/keys", b'{"permissions": ["model:cal"]}', "invalid_request", "Did you mean `model:call`?"),
        ("/api/principals", b'{"name": "\\u0000"}', "invalid_request", "is not a name for a user. Use 1 to 100 of a-z"),
        ("/api/workspace/apply", b'{"files": {"a\\u0000": ""}}', "workspace_invalid", "no path of a workspace's file."),
        ("/api/workspace/apply", b'{"files": {"r.yaml": "a\\n\\ud800"}}', "workspace_invalid", "r.yaml:2: not UTF-8."),
    ],
)  # fmt: skip
def test_a_wrong_body_says_what_and_where(scene: Scene, path: str, body: bytes, code: str | None, said: str) -> None:
    headers = {"authorization": f"Bearer {scene.server.admin_key}", "content-type": "application/json"}
    answer = httpx.post(scene.server.url + path, content=body, headers=headers, timeout=30)
    check_error(answer, 400, code or answer.json()["error"]["code"], said)


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("PUT", "/api/collections/docs/documents", 400, "`path`: Field required."),
        ("PUT", "/api/collections/docs/documents?path=../x", 400, "'../x' is not a path of a document."),
        ("PUT", "/api/collections/dosc/documents?path=x", 404, "Did you mean `docs`?"),
        ("PUT", "/api/collections/docs/documents?path=x&readers=evryone", 400, "Did you mean `everyone`?"),
        ("GET", "/api/documents/%00", 404, "There is no such document, or you may not read it."),
        ("GET", "/api/traces/none", 400, "`trace`: It is no id."),
        ("GET", "/api/traces?most=0", 400, "`most`: Input should be greater than or equal to 1."),
        ("GET", "/v1/models/%ff", 404, "You may call: "),
        ("GET", "/%ff%fe", 404, "The addresses are listed in /api/openapi.json."),
        ("POST", "/v1/assistants", 404, "There is nothing at POST /v1/assistants."),
        ("GET", "/v1/chat/completions", 405, "does not answer GET. Ask with POST."),
        ("DELETE", "/api/me", 405, "does not answer DELETE. Ask with GET."),
    ],
)
def test_a_wrong_address_says_what_is_wrong_with_it(
    scene: Scene, method: str, path: str, status: int, said: str
) -> None:
    headers = {"authorization": f"Bearer {scene.server.admin_key}"}
    answer = httpx.request(method, scene.server.url + path, headers=headers, timeout=30)
    check_error(answer, status, answer.json()["error"]["code"], said)


def peaks_mb(server: Server) -> int:
    """The most memory that the gateway's processes have ever had."""
    found = []
    for each in server.tree():
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            found += [each.pid] if "gateway" in each.cmdline() else []
    lines = [Path(f"/proc/{pid}/status").read_text() for pid in found]
    return sum(int(match[1]) for text in lines if (match := re.search(r"VmHWM:\s+(\d+) kB", text))) // 1024


def fifty_megabytes() -> Iterator[bytes]:
    yield b'{"model": "echo", "messages": [{"role": "user", "content": "'
    for _ in range(50):
        yield b"a" * MB
    yield b'"}]}'


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings", "/api/search", "/api/workspace/apply"])
@pytest.mark.parametrize("is_announced", [True, False])
def test_fifty_megabytes_are_refused_without_being_kept(scene: Scene, path: str, *, is_announced: bool) -> None:
    headers = {"authorization": f"Bearer {scene.server.admin_key}", "content-type": "application/json"}
    content = b"".join(fifty_megabytes()) if is_announced else fifty_megabytes()
    before = peaks_mb(scene.server)
    answer = httpx.post(scene.server.url + path, content=content, headers=headers, timeout=60)
    check_error(answer, 413, "body_too_large", "The body is larger than 32 MiB. Send less")
    assert peaks_mb(scene.server) - before < (20 if is_announced else 90)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/search"])
def test_an_announced_body_is_refused_before_it_is_sent(scene: Scene, path: str) -> None:
    port = int(scene.server.url.rpartition(":")[2])
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {scene.server.admin_key}\r\n"
        f"content-type: application/json\r\ncontent-length: {50 * MB}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(12) == b"HTTP/1.1 413"


def test_a_stranger_can_not_make_the_server_keep_a_large_body(scene: Scene) -> None:
    before = peaks_mb(scene.server)
    for path in ("/v1/chat/completions", "/api/search"):
        answer = httpx.post(scene.server.url + path, content=fifty_megabytes(), timeout=60)
        assert answer.status_code in {401, 413}
    answer = httpx.put(
        f"{scene.server.url}/api/collections/docs/documents?path=a", content=fifty_megabytes(), timeout=60
    )
    check_error(answer, 401, "missing_api_key")
    assert peaks_mb(scene.server) - before < 90


# ── Prompts ──


@pytest.mark.parametrize(
    ("inputs", "param", "said"),
    [
        ({}, "inputs.plan", "`inputs.plan` is required by the feature `typed`."),
        ({"plan": 7}, "inputs.plan", "`inputs.plan` must be of kind string."),
        ({"plan": "gold", "year": "2026"}, "inputs.year", "`inputs.year` must be of kind integer."),
        ({"plan": "gold", "yaer": 2026}, "inputs.yaer", "no such input. Did you mean `year`?"),
    ],
)
def test_a_wrong_input_of_a_prompt_is_named(
    client: openai.OpenAI, inputs: dict[str, Any], param: str, said: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, "typed", extra_body={"inputs": inputs})
    assert caught.value.param == param
    assert said in caught.value.message


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_prompt_that_burns_its_fuel_is_stopped_and_costs_nobody_else(
    scene: Scene, client: openai.OpenAI, *, is_stream: bool
) -> None:
    before = peaks_mb(scene.server)
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, "looping", stream=is_stream)
    assert caught.value.code == "prompt_failed"
    assert "The prompt of `looping` can't be rendered: engine ran out of fuel" in caught.value.message
    assert peaks_mb(scene.server) - before < 100
    assert chat(client, "echo").choices[0].message.content == "hello"


def test_a_prompt_that_swells_ends_one_process_and_not_the_server(tmp_path: Path) -> None:
    """Fuel counts steps, and sixty doublings are few: what holds then is the limit on the process."""
    folder = write_workspace(
        tmp_path / "workspace",
        **{
            "routes.yaml": "routes:\n  default: {targets: [builtin/simulated]}\n",
            "features/swelling/feature.yaml": "owner: tests\nroute: default\nprompt: prompts/answer.prompty\n",
            "features/swelling/prompts/answer.prompty": SWELLING,
        },
    )
    running = start_server(tmp_path, folder, HEADWORKS_SERVER_WORKER_MEMORY_MB="700")
    try:
        trace = running.ask("default", "hello")[2]["x-headworks-trace"]
        worker = running.one("headworks.app", "gateway")
        with pytest.raises(OSError, match="closed connection"):
            running.ask("swelling", "hello")
        eventually(lambda: running.ask("default", "hello")[0] == 200)
        assert running.one("headworks.app", "gateway").pid != worker.pid
        assert running.trace(trace)["usage"]["status"] == 200
        assert "gateway-0 has died and is started again" in running.log.read_text()
    finally:
        assert running.stop() == 0, running.log.read_text()


def test_a_missing_variable_of_a_prompt_is_found_when_it_is_applied(scene: Scene, tmp_path: Path) -> None:
    prompt = PROMPT.replace("{{ question }}", "{{ quesion }}")
    folder = write_workspace(tmp_path / "workspace", **{"features/assistant/prompts/answer.prompty": prompt})
    done = scene.server.cli("apply", str(folder), check=False)
    line = prompt[: prompt.index("{{ quesion")].count("\n") + 1
    assert done.returncode == 1
    assert f"features/assistant/prompts/answer.prompty:{line}: the template uses `quesion`" in done.stderr
    assert "Did you mean `question`?" in done.stderr
    assert scene.server.ask("echo", "hello")[0] == 200, "nothing has changed"


# ── Documents ──


def spoilt(folder: Path) -> dict[str, tuple[set[str], str]]:
    """Files that can't be read: by path, the codes that may be told and words of the message."""
    outside = folder.parent / "outside.md"
    outside.write_text("# Outside\n\nNot of this folder.\n")
    (folder / "link.md").symlink_to(outside)
    with (folder / "huge.txt").open("wb") as file:
        file.truncate(200 * MB)
    whole = flowing_pdf([("BodyText", "whole")])
    for name, content in {
        "encrypted.pdf": encrypted_pdf(), "corrupt.pdf": b"%PDF-1.7 nothing", "cut.pdf": whole[: len(whole) // 3],
        "scanned.pdf": scanned_pdf(), "bomb.docx": zip_bomb_docx(64), "corrupt.docx": b"PK\x03\x04nothing",
        "empty.md": b"", "blank.md": b" \n\n ", "no-text.docx": raw_docx(""), "binary.txt": bytes(range(256)) * 40,
        "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(100), "program.exe": b"MZ" + bytes(100),
    }.items():  # fmt: skip
        (folder / name).write_bytes(content)
    return {
        "link.md": ({"outside_folder"}, "The link leads out of the folder"),
        "huge.txt": ({"too_large"}, "MB"),
        "encrypted.pdf": ({"encrypted"}, "password"),
        "corrupt.pdf": ({"corrupt"}, "PDF"),
        "cut.pdf": ({"corrupt", "empty"}, ""),
        "scanned.pdf": ({"needs_ocr"}, "Turn OCR on"),
        "bomb.docx": ({"bomb"}, ""),
        "corrupt.docx": ({"corrupt"}, ""),
        "empty.md": ({"empty"}, ""),
        "blank.md": ({"empty"}, ""),
        "no-text.docx": ({"empty"}, ""),
        "binary.txt": ({"not_text", "corrupt", "unsupported", "binary"}, ""),
        "picture.png": ({"unsupported", "needs_ocr", "corrupt"}, "OCR"),
        "program.exe": ({"unsupported"}, "It reads: "),
    }


def test_each_file_that_can_not_be_read_is_listed_with_its_reason_and_the_others_are_in(
    scene: Scene, tmp_path: Path
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    expected = spoilt(folder)
    (folder / "good.md").write_text("# Good\n\nThe quokka smiles on Sundays.\n")
    (folder / "whole.pdf").write_bytes(flowing_pdf([("Title", "Whole"), ("BodyText", "The wombat digs on Mondays.")]))
    done = scene.server.cli("ingest", "docs", str(folder), "--json", check=False)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["documents"] == 2
    failed = {each["path"]: each for each in found["failed"]}
    assert failed.keys() == expected.keys()
    for path, (codes, said) in expected.items():
        assert failed[path]["code"] in codes, failed[path]
        assert said in failed[path]["message"], failed[path]
        assert len(failed[path]["message"]) > 10
        assert str(tmp_path) not in failed[path]["message"]
    for word, path in (("quokka", "good.md"), ("wombat", "whole.pdf")):
        rows = scene.server.must("POST", "/api/search", {"collection": "docs", "query": word})["rows"]
        assert rows[0]["path"] == path
    assert "Not of this folder" not in json.dumps(
        scene.server.must("POST", "/api/search", {"collection": "docs", "query": "outside of this folder", "k": 100})
    )
    progress = scene.server.worked_on("docs")
    assert progress["done"] == progress["total"]


def test_a_file_of_two_hundred_megabytes_is_refused_while_it_comes(scene: Scene) -> None:
    before = peaks_mb(scene.server)
    answer = httpx.put(
        f"{scene.server.url}/api/collections/docs/documents?path=huge.txt",
        content=(b"a" * MB for _ in range(200)),
        headers={"authorization": f"Bearer {scene.server.admin_key}"},
        timeout=60,
    )
    check_error(answer, 413, "body_too_large", "The file is larger than 64 MB. Split it, or raise `max_file_mb`")
    assert peaks_mb(scene.server) - before < 150


# ── Providers ──


FAULTS: dict[str, tuple[Reply, int, str, str]] = {
    "a web page": (Reply.html(), 502, "upstream_not_an_answer", "text/html that is no answer"),
    "a web page as an error": (Reply.html(503), 503, "upstream_error", "status 503 and text/html"),
    "nothing": (Reply.hang_up(), 502, "upstream_error", "closed the connection without an answer. Try again"),
    "an empty body": (Reply.raw(b""), 502, "upstream_not_an_answer", "The provider of `outside/m1`"),
    "no JSON": (Reply.raw(b"\xff\xfe"), 502, "upstream_not_an_answer", "Check the provider's address"),
    "no answer": (Reply.json({"ok": True}), 502, "upstream_not_an_answer", "that is no answer"),
    "half a body": (
        Reply(200, {"content-type": "application/json"}, (b'{"choices": [',), end="cut"),
        502, "stream_truncated", "in the middle of its answer. Try again.",
    ),
    "that the key is wrong": (Reply.error(401, "Incorrect API key"), 502, "upstream_unauthorized", "yours is fine"),
    "an error of its own": (Reply.error(500, "Out of GPUs.", "gpu"), 500, "gpu", "Out of GPUs."),
}  # fmt: skip


STREAMED = ("a web page", "a web page as an error", "nothing", "that the key is wrong", "an error of its own")


@pytest.mark.parametrize("model", ["default", "assistant"])
@pytest.mark.parametrize(
    ("fault", "is_stream"), [*((fault, False) for fault in FAULTS), *((fault, True) for fault in STREAMED)]
)
def test_a_provider_that_answers_badly_is_told_from_the_server(
    scene: Scene, client: openai.OpenAI, model: str, fault: str, *, is_stream: bool
) -> None:
    reply, status, code, said = FAULTS[fault]
    scene.provider.will(reply, reply)  # a kept-alive connection that dies before it answers is tried once more
    with pytest.raises(openai.APIStatusError) as caught:
        chat(client, model, stream=is_stream)
    assert (caught.value.status_code, caught.value.code) == (status, code), caught.value
    assert said in caught.value.message
    found = scene.server.trace(caught.value.response.headers["x-headworks-trace"])
    assert found["usage"]["status"] == status
    scene.provider.forget()
    scene.provider.will(Reply.json(completion("Well again.")))
    assert chat(client, model).choices[0].message.content == "Well again."


def test_a_provider_that_is_down_or_without_a_key_is_named(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as down:
        chat(client, "dead")
    assert (down.value.status_code, down.value.code) == (502, "upstream_error")
    assert down.value.message.endswith("127.0.0.1:9 refuses connections. Is the provider running there?")
    with pytest.raises(openai.APIStatusError) as keyless:
        chat(client, "keyless")
    assert (keyless.value.status_code, keyless.value.code) == (503, "model_missing")
    assert "`openai/gpt-5-mini` has no credential: OPENAI_API_KEY is not set" in keyless.value.message
    assert "`headworks doctor`" in keyless.value.message


def test_what_a_busy_provider_says_survives(scene: Scene, client: openai.OpenAI) -> None:
    scene.provider.will(Reply.error(429, "Too many tokens.", retry_after="7", x_request_id="req_1"))
    with pytest.raises(openai.RateLimitError) as caught:
        chat(client, "default")
    assert "Too many tokens." in caught.value.message
    headers = caught.value.response.headers
    assert (headers["retry-after"], headers["x-request-id"]) == ("7", "req_1")


def test_a_slow_provider_holds_nobody_else_up(scene: Scene, client: openai.OpenAI) -> None:
    scene.provider.will(*(Reply.silence() for _ in range(10)))
    port = int(scene.server.url.rpartition(":")[2])
    body = of_chat(model="default")
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {scene.server.admin_key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with contextlib.ExitStack() as waiting:
        for _ in range(10):
            connection = waiting.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            connection.sendall(head.encode() + body)
        scene.provider.wait_for_request(10)
        assert chat(client, "echo").choices[0].message.content == "hello"
        assert scene.server.api("GET", "/api/me")[0] == 200
    for seen in scene.provider.seen:
        assert seen.wait_until_ended() == "abandoned", "who waits no longer is waited for no longer"


# ── A full disk ──


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which is easily filled."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("a small disk can be mounted by root only")
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=300m,mode=0711", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_said_and_nothing_that_was_acknowledged_is_lost(small_disk: Path, tmp_path: Path) -> None:
    routes = "routes:\n  default: {targets: [builtin/simulated]}\n"
    running = start_server(small_disk, write_workspace(tmp_path / "workspace", **{"routes.yaml": routes}))
    try:
        traces = [running.ask("default", "hello")[2]["x-headworks-trace"]]
        running.hand_in("docs", "before.md", "# Before\n\nThe quokka smiles.\n")
        running.worked_on("docs")
        filler = small_disk / "filler"
        with filler.open("wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(MB))
                file.flush()
        for _ in range(200):
            status, answer, headers = running.ask("default", "hello " * 500)
            if status != 200:
                break
            traces.append(headers["x-headworks-trace"])
        assert (status, answer["error"]["code"]) == (503, "unavailable")
        assert "The request could not be recorded" in answer["error"]["message"]
        assert "Free space on the disk of the data folder" in answer["error"]["message"]
        refused = running.api("PUT", "/api/collections/docs/documents?path=full.md", raw=bytes(2 * MB))
        assert (refused[0], refused[1]["error"]["code"]) == (503, "disk_full")
        assert "The database's disk is full. Free some space on it" in refused[1]["error"]["message"]
        assert running.must("POST", "/api/search", {"collection": "docs", "query": "quokka"})["rows"], "reading goes on"

        filler.unlink()
        eventually(lambda: running.ask("default", "hello")[0] == 200)
        after = b"# After\n\nThe wombat digs.\n"
        place = "/api/collections/docs/documents?path=after.md"
        eventually(lambda: running.api("PUT", place, raw=after)[0] == 202)
        assert running.worked_on("docs")["failed"] == []
        found = running.must("POST", "/api/search", {"collection": "docs", "query": "wombat"})
        assert found["rows"][0]["path"] == "after.md"
        for trace in traces:
            assert running.trace(trace)["usage"]["status"] == 200
    finally:
        assert running.stop() == 0, running.log.read_text()
