"""Which model the demo takes, with providers that are sockets of this test."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest
from ruamel.yaml import YAML

from headworks.cli.demo import choice
from headworks.cli.demo.choice import BUILT_IN, choose, with_target
from headworks.cli.starting import workspace_files
from headworks.providers.catalog import Catalog, Found
from headworks.providers.vendors import VENDORS
from headworks.testing.anthropic import SimulatedAnthropic
from headworks.testing.anthropic_replies import MODEL as CLAUDE
from headworks.testing.gemini import SimulatedGemini


@pytest.fixture
def provider() -> Iterator[Any]:
    """A provider's model list: the ids, or a status."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: list[str] | int) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                ok = not isinstance(answer, int) and self.headers["authorization"] == "Bearer sk-test"
                content = json.dumps({"data": [{"id": each} for each in answer] if ok else []}).encode()  # type: ignore[union-attr]
                self.send_response(200 if ok else answer if isinstance(answer, int) else 401)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/v1"

    yield start
    for each in servers:
        each.shutdown()
        each.server_close()


def choose_from(monkeypatch: pytest.MonkeyPatch, *found: Found) -> choice.Choice:
    async def discovered(_: object) -> list[Found]:
        return list(found)

    monkeypatch.setattr(choice, "discover", discovered)
    return choose({"OPENAI_API_KEY": "sk-test", "XAI_API_KEY": "sk-test"})


def row(identifier: str) -> Any:
    found = Catalog.load().get(identifier)
    assert found is not None
    return found


def test_nothing_found_is_the_built_in_model(monkeypatch: pytest.MonkeyPatch) -> None:
    found = choose_from(monkeypatch)
    assert (found.target, found.reasons, found.is_built_in) == (BUILT_IN, (), True)


def test_a_key_that_works_gives_the_first_preferred_model_that_is_listed(
    monkeypatch: pytest.MonkeyPatch, provider: Any
) -> None:
    url = provider(["text-embedding-3-small", "gpt-4o-mini", "gpt-4.1-mini"])
    found = choose_from(monkeypatch, Found(row("openai"), "OPENAI_API_KEY", url))
    assert found.target == "openai/gpt-4.1-mini"
    assert found.reasons == ("OPENAI_API_KEY is set: OpenAI's model gpt-4.1-mini is used.",)
    assert not found.is_built_in


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (401, "OPENAI_API_KEY is set, but OpenAI refuses it (status 401)."),
        (["other"], "OPENAI_API_KEY is set, but OpenAI lists no model that the demo knows."),
    ],
)
def test_a_key_that_does_not_work_is_said_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, provider: Any, answer: list[str] | int, reason: str
) -> None:
    found = choose_from(monkeypatch, Found(row("openai"), "OPENAI_API_KEY", provider(answer)))
    assert (found.target, found.reasons) == (BUILT_IN, (reason,))


def test_a_provider_that_is_out_of_reach_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = choose_from(monkeypatch, Found(row("openai"), "OPENAI_API_KEY", "http://127.0.0.1:1/v1"))
    assert found.reasons == ("OPENAI_API_KEY is set, but OpenAI can't be reached from here.",)


def test_a_local_server_gives_a_model_for_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    ollama = Found(row("ollama"), "port 11434", "http://127.0.0.1:11434/v1", ("nomic-embed-text", "llama3.2:3b"))
    found = choose_from(monkeypatch, ollama)
    assert found.target == "ollama/llama3.2:3b"
    assert found.reasons == ("Ollama answers on port 11434: its model llama3.2:3b is used.",)
    only = Found(row("ollama"), "port 11434", "http://127.0.0.1:11434/v1", ("nomic-embed-text",))
    assert choose_from(monkeypatch, only).is_built_in


def test_every_provider_that_is_preferred_is_in_the_catalogue() -> None:
    for identifier, models in choice._preferred().items():
        assert identifier in VENDORS or "chat" in row(identifier).serves
        assert models


@pytest.mark.parametrize("vendor", ["anthropic", "gemini"])
def test_a_vendor_s_models_are_listed_as_the_vendor_wants_to_be_asked(
    monkeypatch: pytest.MonkeyPatch, vendor: str
) -> None:
    servers = {"anthropic": SimulatedAnthropic, "gemini": SimulatedGemini}
    monkeypatch.setattr(choice, "_preferred", lambda: {"anthropic": [CLAUDE], "gemini": ["gemini-simulated"]})
    with servers[vendor]() as server:
        there = msgspec.structs.replace(VENDORS[vendor], models_url=f"{server.url}/models")
        found = choose_from(monkeypatch, Found(there, "OPENAI_API_KEY", ""))
    assert found.target == f"{vendor}/{CLAUDE if vendor == 'anthropic' else 'gemini-simulated'}"


def test_only_routes_to_the_built_in_model_are_led_elsewhere() -> None:
    files = dict(workspace_files())
    files["routes.yaml"] = (
        b"# kept\nroutes:\n  default: {targets: [builtin/extractive]}\n"
        b"  other: {targets: [groq/x, builtin/extractive]}\n"
    )
    changed = with_target(files, "openai/gpt-5-mini")
    routes = YAML(typ="safe").load(changed["routes.yaml"].decode())["routes"]
    assert routes["default"]["targets"] == ["openai/gpt-5-mini"]
    assert routes["other"]["targets"] == ["groq/x", "builtin/extractive"]
    assert b"# kept" in changed["routes.yaml"]
    assert with_target(files, BUILT_IN) == files
    assert {path for path in files if files[path] != changed[path]} == {"routes.yaml"}
