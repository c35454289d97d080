"""The catalogue of providers, and which of them can be used here."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from headworks.errors import StartupRefused
from headworks.providers.catalog import Catalog, Found, discover, fetch_json, reference_page

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/providers.md"
SECRET = "sk-proj-this-one-must-never-be-seen"
ROW = """
[acme]
name = "Acme"
base_url = "https://llm.acme.example/v1"
serves = ["chat"]
max_tokens_field = "max_tokens"
stream_usage = true
"""


def model_list(*ids: str, owner: str) -> dict[str, object]:
    return {"object": "list", "data": [{"id": name, "object": "model", "owned_by": owner} for name in ids]}


def answering(
    answers: dict[int, object], asked: list[tuple[int, str | None]] | None = None
) -> Callable[[str, str | None], Awaitable[object | None]]:
    async def probe(url: str, key: str | None) -> object | None:
        parts = urlsplit(url)
        assert parts.hostname == "127.0.0.1"
        assert parts.path == "/v1/models"
        assert parts.port is not None
        if asked is not None:
            asked.append((parts.port, key))
        return answers.get(parts.port)

    return probe


def found(environ: dict[str, str], answers: dict[int, object] | None = None) -> list[Found]:
    return asyncio.run(discover(environ, answering(answers or {})))


def test_every_row_names_a_real_api_base() -> None:
    for provider in Catalog.load():
        url = urlsplit(provider.base_url)
        assert url.scheme == ("http" if provider.is_local else "https")
        assert not provider.base_url.endswith("/")
        assert provider.serves & {"chat", "rerank"}
        assert provider.paths.keys() <= provider.serves
        if not provider.is_local:
            assert provider.key_env
            assert url.port is None


def test_a_local_row_points_to_the_first_of_its_ports() -> None:
    for provider in (row for row in Catalog.load() if row.is_local):
        assert urlsplit(provider.base_url).hostname == "127.0.0.1"
        assert urlsplit(provider.base_url).port == provider.ports[0]


def test_ids_can_stand_before_a_slash_and_no_variable_names_two_providers() -> None:
    rows = list(Catalog.load())
    variables = [name for row in rows for name in row.key_env]

    assert all(row.id.isascii() and row.id.islower() and row.id.isalnum() for row in rows)
    assert len(variables) == len(set(variables))
    assert "builtin" not in {row.id for row in rows}


@pytest.mark.parametrize(
    "identifier",
    ["openai", "vllm", "tgi", "ollama", "groq", "mistral", "deepseek", "openrouter", "together", "fireworks", "xai"],
)
def test_the_usual_providers_are_there(identifier: str) -> None:
    provider = Catalog.load().get(identifier)

    assert provider is not None
    assert provider.id == identifier


def test_an_unknown_provider_is_none_and_near_ids_are_named() -> None:
    catalog = Catalog.load()

    assert catalog.get("opnai") is None
    assert catalog.near("opnai")[0] == "openai"
    assert catalog.near("zzzzzz") == []


def test_rows_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Catalog.load().get("openai").base_url = "https://elsewhere.example"  # type: ignore[union-attr,misc]


def test_a_row_is_read_with_its_defaults() -> None:
    (provider,) = Catalog.parse(ROW, "here.toml")

    assert (provider.id, provider.name, provider.is_local, provider.price_provider) == ("acme", "Acme", False, "")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (ROW + 'colour = "red"', "colour"),
        (ROW.replace('name = "Acme"', ""), "name"),
        (ROW.replace('["chat"]', '["chat", "video"]'), "video"),
        (ROW.replace('"max_tokens"', '"tokens"'), "tokens"),
        (ROW.replace("stream_usage = true", 'stream_usage = "yes"'), "stream_usage"),
        ('loose = "value"', "loose"),
        ("[acme", "table"),
    ],
    ids=["unknown key", "missing name", "unknown surface", "unknown field", "wrong type", "outside", "not TOML"],
)
def test_a_wrong_row_is_refused_with_file_and_key(content: str, told: str) -> None:
    with pytest.raises(StartupRefused) as refused:
        Catalog.parse(content, "here.toml")

    assert "here.toml" in str(refused.value)
    assert told in str(refused.value)


def test_a_key_in_the_environment_finds_its_provider_and_is_never_shown() -> None:
    entries = found({"OPENAI_API_KEY": SECRET, "GROQ_API_KEY": "gsk_x", "UNRELATED": "1"})

    assert [(entry.provider.id, entry.source) for entry in entries] == [
        ("openai", "OPENAI_API_KEY"),
        ("groq", "GROQ_API_KEY"),
    ]
    assert SECRET not in repr(entries)


def test_an_empty_key_is_no_key() -> None:
    assert found({"OPENAI_API_KEY": "", "MISTRAL_API_KEY": "  "}) == []


def test_the_first_variable_that_is_set_wins() -> None:
    nvidia = Catalog.load().get("nvidia")
    assert nvidia is not None

    assert nvidia.key_variable({"NIM_API_KEY": "a"}) == "NIM_API_KEY"
    assert nvidia.key_variable({"NIM_API_KEY": "a", "NVIDIA_API_KEY": "b"}) == "NVIDIA_API_KEY"
    assert nvidia.key_variable({"NIM_API_KEY": " "}) is None


def test_a_local_server_is_found_by_its_port_with_its_models() -> None:
    (entry,) = found({}, {11434: model_list("qwen3:8b", "llama3.2", owner="library")})

    assert (entry.provider.id, entry.source, entry.base_url) == ("ollama", "port 11434", "http://127.0.0.1:11434/v1")
    assert entry.models == ("qwen3:8b", "llama3.2")


def test_servers_that_share_a_port_are_told_apart_by_what_they_say() -> None:
    (llamacpp,) = found({}, {8080: model_list("gemma.gguf", owner="llamacpp")})
    (tgi,) = found({}, {8080: model_list("mistralai/Mistral-7B", owner="mistralai/Mistral-7B")})
    (other_port,) = found({}, {3000: model_list("m", owner="m")})

    assert llamacpp.provider.id == "llamacpp"
    assert tgi.provider.id == "tgi"
    assert (other_port.provider.id, other_port.base_url) == ("tgi", "http://127.0.0.1:3000/v1")


def test_a_server_that_says_who_it_is_is_found_on_anothers_port() -> None:
    (entry,) = found({}, {8000: model_list("Qwen/Qwen3-4B", owner="sglang")})

    assert (entry.provider.id, entry.base_url) == ("sglang", "http://127.0.0.1:8000/v1")


@pytest.mark.parametrize(
    "answer",
    [None, {}, {"data": []}, {"data": "x"}, [], "hello", {"data": [{"name": "no id"}]}, model_list("m", owner="me")],
)
def test_a_stranger_on_the_port_of_vllm_is_not_taken_for_it(answer: object) -> None:
    assert found({}, {8000: answer}) == []


def test_each_port_is_asked_once_and_with_the_key_of_its_own_server() -> None:
    asked: list[tuple[int, str | None]] = []

    asyncio.run(discover({"VLLM_API_KEY": " local-secret ", "OPENAI_API_KEY": SECRET}, answering({}, asked)))

    assert sorted(asked) == [
        (1234, None),
        (3000, None),
        (8000, "local-secret"),
        (8080, None),
        (11434, None),
        (30000, None),
    ]


def test_keys_come_before_local_servers_in_the_order_of_the_catalogue() -> None:
    entries = found(
        {"XAI_API_KEY": "x", "OPENAI_API_KEY": "x"},
        {1234: model_list("m", owner="organization_owner"), 11434: model_list("m", owner="library")},
    )

    assert [entry.provider.id for entry in entries] == ["openai", "xai", "ollama", "lmstudio"]


@asynccontextmanager
async def serving(answer: bytes | None, heads: list[bytes]) -> AsyncIterator[int]:
    """A server that answers one request, or with None holds its tongue until the caller hangs up."""
    done = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        if answer is None:
            await reader.read()
        writer.write(answer or b"")
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        done.set()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.wait_for(done.wait(), 10)


def fetch(answer: bytes | None, key: str | None = None) -> tuple[object | None, bytes]:
    async def run() -> tuple[object | None, bytes]:
        heads: list[bytes] = []
        async with serving(answer, heads) as port:
            document = await fetch_json(f"http://127.0.0.1:{port}/v1/models", key)
        return document, heads[0]

    return asyncio.run(run())


def http(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def test_a_real_server_is_asked_over_http() -> None:
    listed = model_list("qwen3", owner="library")

    document, head = fetch(http("200 OK", json.dumps(listed).encode()))

    assert document == listed
    assert head.startswith(b"GET /v1/models HTTP/1.0\r\n")
    assert b"authorization" not in head


def test_a_local_servers_key_is_sent_to_it() -> None:
    _, head = fetch(http("200 OK", b"{}"), key="local-secret")

    assert b"authorization: Bearer local-secret\r\n" in head


@pytest.mark.parametrize(
    "answer",
    [
        http("404 Not Found", b"{}"),
        http("200 OK", b"<html>"),
        http("401 Unauthorized", b'{"data": []}'),
        b"",
        b"SSH-2.0-x",
    ],
    ids=["missing", "HTML", "refused", "nothing", "another protocol"],
)
def test_anything_but_json_with_status_200_is_nobody(answer: bytes) -> None:
    assert fetch(answer)[0] is None


def test_a_closed_port_is_nobody() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]

        assert asyncio.run(fetch_json(f"http://127.0.0.1:{port}/v1/models", None)) is None


def test_a_server_that_never_answers_is_nobody() -> None:
    assert fetch(None)[0] is None


def test_the_reference_page_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page == reference_page(Catalog.load())
    assert all(f"| `{provider.id}` |" in page for provider in Catalog.load())
