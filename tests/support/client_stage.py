"""One server with an account at each simulated vendor, for all clients."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from answering_providers import AnsweringAnthropic, AnsweringBedrock, AnsweringGemini, AnsweringOpenAI
from running_server import CLEAN, Server, eventually, start_server

from headworks.testing.bedrock import ACCESS_KEY, REGION, SECRET_KEY
from headworks.testing.provider import Seen, SimulatedProvider

ENVIRON = {
    "HEADWORKS_PROVIDERS_CREDENTIAL_ENV": "SIMULATED_KEY",
    "SIMULATED_KEY": "sk-simulated",
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_REGION": REGION,
}
ROUTES = """routes:
  gpt: {targets: [at-openai/gpt-4o-mini]}
  compatible: {targets: [at-together/m1]}
  claude: {targets: [at-anthropic/claude-simulated]}
  gemini: {targets: [at-google/gemini-simulated]}
  bedrock: {targets: [at-amazon/anthropic.claude-simulated]}
"""


@dataclass
class Stage:
    """The server, and the providers by the names of their routes."""

    server: Server
    providers: Mapping[str, SimulatedProvider]

    @property
    def url(self) -> str:
        """What a client of OpenAI's has as its base."""
        return f"{self.server.url}/v1"

    @property
    def key(self) -> str:
        return self.server.admin_key

    def seen(self, route: str, words: str) -> list[Seen]:
        """The requests at a provider that have these words in them."""
        return [each for each in self.providers[route].seen if words.encode() in each.body]

    def is_abandoned(self, route: str, words: str) -> bool:
        """Whether the connection with this question was closed before the answer's end."""
        return [each.wait_until_ended(30) for each in self.seen(route, words)] == ["abandoned"]

    def run(self, command: Sequence[str | Path], *more: str) -> dict[tuple[str, str], Any]:
        """The lines that a client's process prints, by check and model."""
        environ = CLEAN | {"HEADWORKS_TEST_URL": self.server.url, "HEADWORKS_TEST_KEY": self.key}
        done = subprocess.run([*command, *more], capture_output=True, text=True, env=environ, timeout=240, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return {(each["check"], each["model"]): each["saw"] for each in lines}


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("clients")
    for each in (folder, *list(folder.parents)[:2]):
        each.chmod(each.stat().st_mode | 0o011)
    with ExitStack() as stack:
        openai, claude = stack.enter_context(AnsweringOpenAI()), stack.enter_context(AnsweringAnthropic())
        gemini, bedrock = stack.enter_context(AnsweringGemini()), stack.enter_context(AnsweringBedrock())
        server = start_server(folder, None, **ENVIRON)
        stack.callback(server.stop)
        accounts = (
            f"  at-openai: {{kind: openai, base_url: '{openai.url}'}}\n"
            f"  at-together: {{kind: together, base_url: '{openai.url}'}}\n"
            f"  at-anthropic: {{kind: anthropic, base_url: '{claude.origin}', api_key_env: SIMULATED_KEY}}\n"
            f"  at-google: {{kind: gemini, base_url: '{gemini.url}', api_key_env: SIMULATED_KEY}}\n"
            f"  at-amazon: {{kind: bedrock, base_url: '{bedrock.origin}'}}\n"
        )
        server.apply({"providers.yaml": f"providers:\n{accounts}", "routes.yaml": ROUTES})
        providers = {"gpt": openai, "compatible": openai, "claude": claude, "gemini": gemini, "bedrock": bedrock}
        eventually(lambda: server.ask("claude", "ready?")[0] != 404)
        yield Stage(server, providers)
        assert server.stop() == 0, server.log.read_text()
        assert "callers of other formats are not told" not in server.log.read_text()
